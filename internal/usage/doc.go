// Package usage says what a data directory takes, from its files alone: the disk,
// file by file, and the memory, by patterns of keys. It only reads, and may be
// used beside a running server, which may rewrite its log meanwhile.
//
// What the disk takes is counted. What the memory takes is an estimate: that of a
// Redis 7 on a 64-bit machine with jemalloc, worked out from the entries of an
// RDB one by one, so that it takes no more memory than the largest value and the
// patterns. Redis's own MEMORY USAGE, with SAMPLES 0, is what it is measured
// against.
package usage
