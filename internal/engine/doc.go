// Package engine is the single writer: it replays the files, runs batches of
// requests one after another, appends their effects to the log, acknowledges,
// expires keys and takes snapshots. Ordering and durability live here alone.
//
// The life of a write, and who holds what:
//
//	server      parses what a connection has sent into a Batch
//	Exec        takes mu once; each request runs alone; its effects get the next
//	            sequence number and are put into the log's buffer; the batch comes
//	            back with its replies and a ticket, the newest sequence number
//	            that the replies depend on
//	log.run     one goroutine writes the buffer to the file and syncs it as a
//	            group while the next batches already run
//	Wait        holds the replies back until the ticket is synced (always), or
//	            not at all (everysec, no)
//
// A snapshot (BGREWRITEAOF, SAVE, BGSAVE) is cut under mu and walks the keyspace
// in short slices; the rotation of the log file happens at the same place in the
// order of writes, done by the log's goroutine when it gets there, so that mu is
// never held while a disk works.
//
// The first failed write or sync is final for its file. Writes are refused with
// MISCONF from then on, reads go on, and the engine writes everything it has to a
// new base and a new incr as soon as the disk takes it.
package engine
