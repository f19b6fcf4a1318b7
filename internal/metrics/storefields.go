package metrics

import "strconv"

// field is a field of INFO and the metric that shows it.
type field struct {
	name   string
	metric *Metric
	read   func(value string) (float64, bool) // false: there is nothing to show
}

// number shows a field as it is.
func number(value string) (float64, bool) {
	n, err := strconv.ParseFloat(value, 64)
	return n, err == nil
}

// scaled shows a field in a base unit.
func scaled(by float64) func(string) (float64, bool) {
	return func(value string) (float64, bool) {
		n, ok := number(value)
		return n / by, ok
	}
}

// duration shows seconds; -1 is Redis's word for "never" and "not now".
func duration(value string) (float64, bool) {
	n, ok := number(value)
	return n, ok && n >= 0
}

// okay shows a field that is ok or err.
func okay(value string) (float64, bool) {
	if value == "ok" {
		return 1, true
	}
	return 0, value == "err"
}

// linkUp shows a field that is up or down.
func linkUp(value string) (float64, bool) {
	if value == "up" {
		return 1, true
	}
	return 0, value == "down"
}

var (
	storeUp           = Gauge("limpet_store_up", "1 while the store answers INFO, 0 while it does not; its other metrics are absent then.")
	storeAnswerTime   = Gauge("limpet_store_answer_seconds", "Time that the store took to answer INFO.")
	storeInfo         = Gauge("limpet_store_info", "Always 1; the labels tell what server it is.", "server", "version", "role", "mode")
	storeKeys         = Gauge("limpet_store_keys", "Keys in a database; databases without keys are absent.", "db")
	storeVolatileKeys = Gauge("limpet_store_volatile_keys", "Keys in a database that have a deadline.", "db")
	storeAppendFsync  = Gauge("limpet_store_appendfsync_info", "Always 1; the label tells when the log is synced. Limpet's store only.", "appendfsync")
	storeLastSync     = Gauge("limpet_store_last_sync_timestamp_seconds", "End of the last sync of the log, in Unix time; long ago in an idle store. Limpet's store only.")
)

// syncFields are what Limpet's store tells beyond INFO persistence.
var syncFields = []field{
	{"limpet_last_sync_time_ms", storeLastSync, scaled(1000)},
	{"limpet_unsynced_changes", Gauge("limpet_store_unsynced_changes", "Changes that a power cut would take now. Limpet's store only, and not under appendfsync no."), number},
	{"limpet_unsynced_ms", Gauge("limpet_store_unsynced_seconds", "How long the oldest change that is not synced has waited, 0 when none waits: time since the last good sync that anybody would miss. Limpet's store only, and not under appendfsync no."), scaled(1000)},
}

// storeFields are the fields of INFO, all of INFO persistence among them, in its
// order.
var storeFields = []field{
	{"loading", Gauge("limpet_store_loading", "1 while the store reads its files at start."), number},
	{"async_loading", Gauge("limpet_store_async_loading", "1 while the store loads from its master and still serves the old data."), number},
	{"current_cow_peak", Gauge("limpet_store_cow_peak_bytes", "Most memory that the save or rewrite under way has taken beyond the data."), number},
	{"current_cow_size", Gauge("limpet_store_cow_bytes", "Memory that the save or rewrite under way takes beyond the data."), number},
	{"current_cow_size_age", Gauge("limpet_store_cow_age_seconds", "Age of that figure."), number},
	{"current_fork_perc", Gauge("limpet_store_snapshot_progress_ratio", "How much of the save or rewrite under way is done, from 0 to 1."), scaled(100)},
	{"current_save_keys_processed", Gauge("limpet_store_snapshot_keys_processed", "Keys that the save or rewrite under way has written."), number},
	{"current_save_keys_total", Gauge("limpet_store_snapshot_keys", "Keys that the save or rewrite under way has to write."), number},
	{"rdb_changes_since_last_save", Gauge("limpet_store_rdb_changes_since_last_save", "Changes since dump.rdb was last saved."), number},
	{"rdb_bgsave_in_progress", Gauge("limpet_store_rdb_save_in_progress", "1 while dump.rdb is saved in the background."), number},
	{"rdb_last_save_time", Gauge("limpet_store_rdb_last_save_timestamp_seconds", "When dump.rdb was last saved, in Unix time; the start of the store where it was not."), number},
	{"rdb_last_bgsave_status", Gauge("limpet_store_rdb_last_save_ok", "1 when the last save in the background went well, 0 when it failed."), okay},
	{"rdb_last_bgsave_time_sec", Gauge("limpet_store_rdb_last_save_duration_seconds", "Time that it took; absent before the first."), duration},
	{"rdb_current_bgsave_time_sec", Gauge("limpet_store_rdb_current_save_duration_seconds", "Time that the save under way has taken; absent when there is none."), duration},
	{"rdb_saves", Counter("limpet_store_rdb_saves_total", "Saves of dump.rdb since the store was started."), number},
	{"rdb_last_cow_size", Gauge("limpet_store_rdb_last_cow_bytes", "Memory that the last save took beyond the data."), number},
	{"rdb_last_load_keys_expired", Gauge("limpet_store_rdb_last_load_keys_expired", "Keys whose deadline had passed when the store loaded its files."), number},
	{"rdb_last_load_keys_loaded", Gauge("limpet_store_rdb_last_load_keys_loaded", "Keys that the store loaded from an RDB."), number},
	{"aof_enabled", Gauge("limpet_store_aof_enabled", "1 while the store keeps an append-only log."), number},
	{"aof_rewrite_in_progress", Gauge("limpet_store_aof_rewrite_in_progress", "1 while the log is rewritten."), number},
	{"aof_rewrite_scheduled", Gauge("limpet_store_aof_rewrite_scheduled", "1 while a rewrite waits for its turn."), number},
	{"aof_last_rewrite_time_sec", Gauge("limpet_store_aof_last_rewrite_duration_seconds", "Time that the last rewrite took; absent before the first."), duration},
	{"aof_current_rewrite_time_sec", Gauge("limpet_store_aof_current_rewrite_duration_seconds", "Time that the rewrite under way has taken; absent when there is none."), duration},
	{"aof_last_bgrewrite_status", Gauge("limpet_store_aof_last_rewrite_ok", "1 when the last rewrite went well, 0 when it failed."), okay},
	{"aof_rewrites", Counter("limpet_store_aof_rewrites_total", "Rewrites of the log since the store was started."), number},
	{"aof_rewrites_consecutive_failures", Gauge("limpet_store_aof_rewrite_consecutive_failures", "Rewrites that failed since the last that went well."), number},
	{"aof_last_write_status", Gauge("limpet_store_aof_last_write_ok", "1 when the last write and sync of the log went well; 0, and writes are refused."), okay},
	{"aof_last_cow_size", Gauge("limpet_store_aof_last_cow_bytes", "Memory that the last rewrite took beyond the data."), number},
	{"module_fork_in_progress", Gauge("limpet_store_module_fork_in_progress", "1 while a module has forked the server."), number},
	{"module_fork_last_cow_size", Gauge("limpet_store_module_fork_last_cow_bytes", "Memory that the last fork of a module took beyond the data."), number},
	// While there is a log:
	{"aof_current_size", Gauge("limpet_store_aof_current_size_bytes", "Size of the log, base and incr files together."), number},
	{"aof_base_size", Gauge("limpet_store_aof_base_size_bytes", "Size of the log when it was last rewritten or opened."), number},
	{"aof_pending_rewrite", Gauge("limpet_store_aof_pending_rewrite", "1 while a rewrite waits for the end of a save, as Redis before 7 has it."), number},
	{"aof_buffer_length", Gauge("limpet_store_aof_buffer_bytes", "Size of what waits to be written to the log."), number},
	{"aof_pending_bio_fsync", Gauge("limpet_store_aof_pending_fsyncs", "Syncs that Redis has handed over to its thread and are not done; with Limpet's store, 1 while a change is not synced."), number},
	{"aof_delayed_fsync", Counter("limpet_store_aof_delayed_fsyncs_total", "Syncs that held up writers (Redis), or took more than a second (Limpet), since the store was started."), number},
	// While it loads:
	{"loading_start_time", Gauge("limpet_store_loading_start_timestamp_seconds", "When loading began, in Unix time; this and the next are absent once it is done."), number},
	{"loading_total_bytes", Gauge("limpet_store_loading_size_bytes", "Size of what is to be loaded."), number},
	{"loading_rdb_used_mem", Gauge("limpet_store_loading_rdb_memory_bytes", "Memory that the data took in the server that wrote the RDB."), number},
	{"loading_loaded_bytes", Gauge("limpet_store_loading_loaded_bytes", "Size of what was loaded so far."), number},
	{"loading_loaded_perc", Gauge("limpet_store_loading_progress_ratio", "How much was loaded so far, from 0 to 1."), scaled(100)},
	{"loading_eta_seconds", Gauge("limpet_store_loading_eta_seconds", "Time until it is done, as the store reckons."), duration},

	{"uptime_in_seconds", Gauge("limpet_store_uptime_seconds", "Time since the store was started."), number},
	{"connected_clients", Gauge("limpet_store_clients", "Clients that are connected."), number},
	{"maxclients", Gauge("limpet_store_max_clients", "Clients that the store serves at most."), number},
	{"blocked_clients", Gauge("limpet_store_blocked_clients", "Clients that wait in a blocking command."), number},
	{"used_memory", Gauge("limpet_store_memory_used_bytes", "Memory that the store has allocated."), number},
	{"used_memory_rss", Gauge("limpet_store_memory_resident_bytes", "Memory that the store has from the system."), number},
	{"used_memory_peak", Gauge("limpet_store_memory_peak_bytes", "Most memory that the store had allocated."), number},
	{"maxmemory", Gauge("limpet_store_memory_max_bytes", "Memory that the data may take, 0 for no limit."), number},
	{"mem_aof_buffer", Gauge("limpet_store_memory_aof_buffer_bytes", "Memory of the log's buffers."), number},
	{"total_connections_received", Counter("limpet_store_connections_total", "Connections since the store was started."), number},
	{"rejected_connections", Counter("limpet_store_rejected_connections_total", "Connections turned away since the store was started, there being too many."), number},
	{"total_commands_processed", Counter("limpet_store_commands_total", "Commands run since the store was started."), number},
	{"instantaneous_ops_per_sec", Gauge("limpet_store_commands_per_second", "Commands a second, as the store reckons."), number},
	{"keyspace_hits", Counter("limpet_store_keyspace_hits_total", "Keys looked up and found since the store was started."), number},
	{"keyspace_misses", Counter("limpet_store_keyspace_misses_total", "Keys looked up and not found since the store was started."), number},
	{"expired_keys", Counter("limpet_store_expired_keys_total", "Keys deleted at their deadline since the store was started."), number},
	{"evicted_keys", Counter("limpet_store_evicted_keys_total", "Keys deleted for want of memory since the store was started."), number},
	{"latest_fork_usec", Gauge("limpet_store_last_fork_seconds", "For how long everybody waited at the last fork (Redis) or cut (Limpet)."), scaled(1e6)},
	{"total_forks", Counter("limpet_store_forks_total", "Forks since the store was started."), number},
	{"connected_slaves", Gauge("limpet_store_replicas", "Replicas that are connected."), number},
	{"master_link_status", Gauge("limpet_store_master_link_up", "Of a replica: 1 while it is connected to its master."), linkUp},
}
