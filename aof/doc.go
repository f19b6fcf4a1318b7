// Package aof reads and writes a Redis multi-part append-only directory: one
// manifest, at most one BASE file, and INCR files in rising sequence.
//
//	appendonlydir/
//	  appendonly.aof.manifest         names the files that count, and no other file does
//	  appendonly.aof.2.base.rdb       b: the whole data set at one moment, written by a rewrite
//	  appendonly.aof.2.incr.aof       i: the commands since then, in order,
//	  appendonly.aof.3.incr.aof       i: the last one being appended to
//	  appendonly.aof.1.base.rdb       h: history, waiting to be unlinked
//	  appendonly.aof.3.incr.aof.cut-… what was torn off a file's end, kept for people
//	  temp-appendonly.aof.incr        of a log that is being switched on; see attach.go
//	  temp-appendonly.aof.…           unfinished; removed at the next start
//
// Three promises hold at every instant, a power cut included:
//
//  1. A file and its directory entry are durable before a manifest names it.
//     (The one file that Redis left outside, see upgrade, is named first and
//     moved after; a start in between finishes the move.)
//  2. A file is unlinked only once a durable manifest no longer needs it.
//  3. Bytes below [Writer.Synced] are never lost. Bytes above it may be lost or
//     torn; [Reader] says where they stop making sense.
//
// A fourth keeps counts right: a file that another one follows is whole, since
// [Dir.Rotate] syncs it before its successor is named, and the last file is cut
// only before an open MULTI, never inside.
//
// The life of a directory, as its owner drives it (one process, under a lock
// that the owner holds):
//
//	d, err := aof.OpenDir(fsys, dir, aof.Options{})
//	plan, err := d.Load()          // what is there; refuses what must not be touched
//	done, err := plan.Replay(l)    // everything in order; cuts a torn tail
//	w, err := d.OpenIncr()         // from here on w.Append, w.Sync
//	err = d.DeleteHistory()
//
//	w, err = d.Rotate(w)           // a rewrite: the next incr begins …
//	f, err := d.CreateTempBase()   // … the data as of that moment is written …
//	err = d.CommitBase(f.Name(), w.Seq()) // … and takes the place of all before
//	err = d.DeleteHistory()
//
// Whoever only wants to know whether a file is sound asks [Scan], which reads it
// on all processors and finds what a Reader finds.
//
// What a command means is not known here. MULTI and EXEC are recognised because
// the log must not be cut between them, SELECT because whoever continues at a
// cut needs to know the database.
//
// The format is Redis 7.0's (src/aof.c). Where this package is stricter than
// Redis, the reason stands at the place.
package aof
