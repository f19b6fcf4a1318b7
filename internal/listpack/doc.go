// Package listpack holds short sequences of strings and integers in one piece
// of memory, in the exact bytes of Redis's listpack. The same bytes serve as the
// small form of lists, hashes, sets and sorted sets in memory and as their form
// in an RDB file, so that saving and loading one is a copy.
//
//	 0        4       6                                        len-1
//	┌────────┬───────┬─────────┬─────────┬─ ─ ─┬─────────┬──────┐
//	│ bytes  │ count │ entry 0 │ entry 1 │     │ entry n │ 0xFF │
//	│ u32 LE │ u16 LE│         │         │     │         │      │
//	└────────┴───────┴─────────┴─────────┴─ ─ ─┴─────────┴──────┘
//
//	entry = encoding and data, then backlen
//	        (backlen: the length of the former, 7 bits a byte, written so that
//	        it can be read from its last byte backwards)
//
//	0xxxxxxx                      7 bit unsigned integer
//	10llllll data                 string of up to 63 bytes
//	110xxxxx xxxxxxxx             13 bit signed integer
//	1110llll llllllll data        string of up to 4095 bytes
//	11110000 u32 LE data          string
//	11110001 … 11110100           integer of 16, 24, 32, 64 bits, little endian
//
// A count of 65535 means "not known": the entries must be counted. A string is
// kept as an integer exactly when its text is the canonical decimal of an int64.
//
// The format is described in Redis's src/listpack.c and in
// https://github.com/antirez/listpack/blob/master/listpack.md.
//
// Methods of [List] trust the bytes. Bytes from outside go through [Validate]
// first.
package listpack
