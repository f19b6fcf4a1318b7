// Package crc computes the checksum that ends an RDB file and a DUMP payload:
// CRC-64 with Jones's polynomial 0xad93d23594c935a9, input and output reflected,
// starting from zero and not inverted at the end, as in Redis's src/crc64.c. (The
// standard library's hash/crc64 inverts, and knows neither the polynomial nor a
// way to run on from a given sum without that.)
package crc
