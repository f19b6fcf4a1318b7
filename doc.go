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
// # What there is
//
// [DB.Do] runs one command, [DB.Pipeline] many together, [DB.TxPipeline] all of
// them or none; a [Session] watches keys and selects a database. Replies are
// [resp.Value], which has methods for the Go types: AsInt, AsStrings, AsMap.
// [DB.Snapshot] writes a dump.rdb to any writer while the store goes on.
// [DB.Stats] has the figures of INFO.
//
// To serve clients over a network, or to hand go-redis a connection in memory,
// see package limpet/server, which stands above this one and uses no more of it
// than anybody can: a store that nobody serves has no listener.
//
// docs/library.md is a tour of it all.
package limpet
