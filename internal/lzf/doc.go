// Package lzf packs and unpacks LZF, the small fast compression that Redis uses
// for strings in an RDB file. A packed string is a row of literal runs and of
// references to bytes that were already unpacked:
//
//	000lllll  data                   a run of l+1 bytes, 1 to 32
//	lllooooo  oooooooo               copy l+2 bytes, 3 to 8, from o+1 bytes back
//	111ooooo  llllllll  oooooooo     copy l+9 bytes, 9 to 264, from o+1 bytes back
//
// o has thirteen bits, the first five being its highest. A copy may run into the
// bytes that it writes. The format is that of Marc Lehmann's liblzf.
package lzf
