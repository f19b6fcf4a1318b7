package limpet

import "time"

// Stats is what a store knows of itself: the figures of INFO, whose names for them
// are in parentheses. What began with Open begins anew with each.
type Stats struct {
	Uptime time.Duration // since Open (uptime_in_seconds)

	// Keys and Volatile tell, by number of the database, how many keys there are,
	// and how many of them have a deadline; one that has passed is counted until the
	// key is met or looked for, a tenth of a second or so. Databases without keys are
	// not in the maps (db0:keys, expires).
	Keys     map[int]int
	Volatile map[int]int

	Clients    int   // sessions there are, those of servers included (connected_clients)
	MaxClients int   // what a server has said that it serves at most (maxclients)
	Accepted   int64 // sessions there have been (total_connections_received)
	Rejected   int64 // connections that servers have turned away (rejected_connections)

	Commands          int64 // run, those of DB.Do included (total_commands_processed)
	CommandsPerSecond int64 // over the last whole second (instantaneous_ops_per_sec)
	Hits              int64 // keys that were looked up and found (keyspace_hits)
	Misses            int64 // and not found (keyspace_misses)
	Expired           int64 // keys deleted since their deadline had passed (expired_keys)

	// Memory is that of the whole process, in bytes, not only the store's.
	UsedMemory uint64 // objects, those not yet collected included (used_memory)
	PeakMemory uint64 // the most that Stats or INFO has seen of it (used_memory_peak)
	HeldMemory uint64 // taken from the system and not given back (used_memory_rss)

	AppendOnly    bool      // there is a log, or its first base is being written (aof_enabled)
	Fsync         Policy    // appendfsync as it is now
	LogBytes      int64     // base and incr files together (aof_current_size)
	BaseBytes     int64     // the base alone (aof_base_size)
	BufferedBytes int64     // not yet in a file, up to 64 MiB before writers wait (aof_buffer_length)
	Unsynced      uint64    // changes, each a command, transaction or script, that a power cut would take (aof_pending_bio_fsync: whether there are any)
	UnsyncedSince time.Time // since when one of them waits, to the second; zero when there is none
	LastSync      time.Time // end of the log's last sync; Open where there was none
	SlowSyncs     int64     // that took more than a second (aof_delayed_fsync)
	LogError      error     // why the log's file is broken and writes are refused; nil when it is sound (aof_last_write_status)

	Rewriting        bool          // a rewrite of the log is under way (aof_rewrite_in_progress)
	RewriteScheduled bool          // one waits for its turn (aof_rewrite_scheduled)
	Rewrites         int           // that went well (aof_rewrites)
	RewriteFailures  int           // one after another since the last that went well (aof_rewrites_consecutive_failures)
	RewriteTook      time.Duration // the last one; 0 before the first (aof_last_rewrite_time_sec)
	RewriteError     error         // of the last one, nil when it went well (aof_last_bgrewrite_status)

	Saving        bool          // BGSAVE or a save point's save is under way (rdb_bgsave_in_progress)
	SaveScheduled bool          // BGSAVE SCHEDULE waits for its turn
	Saves         int           // of dump.rdb that went well (rdb_saves)
	SaveTook      time.Duration // the last one in the background; 0 before the first (rdb_last_bgsave_time_sec)
	SaveError     error         // of the last one, nil when it went well (rdb_last_bgsave_status)
	LastSave      time.Time     // when the last one went well; Open where there was none (rdb_last_save_time)
	Changes       int64         // to keys since then (rdb_changes_since_last_save)

	// The rewrite, save or snapshot that is under way; 0 when there is none.
	Snapshotting bool          // it is a DB.Snapshot
	KeysWritten  int           // so far (current_save_keys_processed)
	KeysToWrite  int           // in all (current_save_keys_total)
	InFlight     int64         // bytes in memory that wait for its file or writer, up to 64 MiB before writers wait (current_cow_size)
	LastCut      time.Duration // for how long everybody waited when the last one began (latest_fork_usec)
}

// Stats gives the figures of this moment. It costs some ten microseconds, while
// which everybody waits.
func (db *DB) Stats() Stats { return Stats(db.e.Stats()) }
