// Package rdb reads and writes Redis database files: whole dumps, the base of
// an append-only file, and the payloads of DUMP and RESTORE.
//
//	"REDIS" "0010"             magic, version in four digits
//	  aux fields               FA name value            (redis-ver, ctime, …)
//	  functions                F5 source
//	  SELECTDB                 FE db
//	  RESIZEDB                 FB keys expiring-keys    (a hint, never trusted)
//	  entries                  [FC expiry in ms] [F8 idle | F9 freq] type key value
//	  …
//	EOF                        FF
//	CRC-64                     8 bytes little endian, 0 when it was not computed
//
// Lengths take 1, 2, 5 or 9 bytes; strings are a length and bytes, or an integer
// of 1, 2 or 4 bytes, or LZF. Small collections are one string, which holds a
// listpack, intset, ziplist or zipmap. The format is that of Redis's src/rdb.h
// and src/rdb.c.
//
// An [Encoder] writes version 10, with the types of version 10, which Redis 7.0
// and everything after it reads. A [Decoder] reads versions 1 to 12 (up to Redis
// 7.4) in all encodings. Neither knows what a key is for, when it expires or how
// it is kept in memory: values are plain slices, or the packed bytes themselves
// for speed.
//
// Three things are told apart in every error: the file ends early
// ([ErrTruncated]), it is damaged ([ErrCorrupt]), it is newer than this package
// ([ErrNewer]). A file without its end is damage and never an empty database,
// also when it has no bytes at all.
//
// The Decoder may be given hostile bytes: it takes memory for what has arrived
// and never for a length that is merely claimed (compression can make 88 bytes
// of one; every element costs a slice where it is not kept packed), and checks
// packed collections to the last byte before anybody walks them.
package rdb
