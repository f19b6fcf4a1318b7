// Package limpet is an embeddable, durable store that speaks Redis's commands
// and keeps Redis's files.
//
//	db, err := limpet.Open("volumes/redis", nil)
//	…
//	v, err := db.Do(ctx, "INCR", "visits")
//
// The directory is exactly what redis-server 7.0 writes and reads: a multi-part
// append-only log with an RDB base. A real server takes over when it is copied.
//
// What is acknowledged is durable as far as appendfsync says ([Options].Fsync):
// with [Always] to the last write, a power cut included; with [EverySec], the
// default, to the last second; and always as a prefix of what was written, never
// with a hole.
//
// To serve clients over a network, or to hand a Redis client library a
// connection in memory, see package limpet/server.
package limpet
