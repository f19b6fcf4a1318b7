// Package command holds Redis's commands: a table of them, one file a family,
// over the keyspace.
//
// A handler reads and changes the keyspace, writes its reply, and states its
// effect: what must be logged so that replaying the log gives the same data.
// It does no I/O, reads no clock and starts no goroutine. An effect is canonical:
// deadlines are absolute, random choices are made, scripts are unrolled. The
// table of forms is the one of Redis 7.0 (what its AOF holds).
//
// A [Unit] is what runs to completion alone: one command, a MULTI block, or a
// script. The engine begins it, feeds it requests and takes its effects; all of
// it happens under the engine's lock, so nothing here locks.
package command
