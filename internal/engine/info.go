package engine

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"limpet/internal/command"
)

// infoSections in Redis's order, with what writes each.
var infoSections = []struct {
	name    string
	byDef   bool // part of INFO without arguments
	content func(e *Engine, b *strings.Builder)
}{
	{"Server", true, infoServer},
	{"Clients", true, infoClients},
	{"Memory", true, infoMemory},
	{"Persistence", true, infoPersistence},
	{"Stats", true, infoStats},
	{"Replication", true, infoReplication},
	{"CPU", true, infoCPU},
	{"Modules", true, func(*Engine, *strings.Builder) {}},
	{"Commandstats", false, infoCommandstats},
	{"Errorstats", true, func(*Engine, *strings.Builder) {}},
	{"Latencystats", false, func(*Engine, *strings.Builder) {}},
	{"Cluster", true, func(_ *Engine, b *strings.Builder) { b.WriteString("cluster_enabled:0\r\n") }},
	{"Keyspace", true, infoKeyspace},
	{"Limpet", false, infoLimpet},
}

// Info is INFO. Section names are in lower case. e.mu is held.
func (e *Engine) Info(sections []string) string {
	var b strings.Builder
	all := slices.Contains(sections, "all") || slices.Contains(sections, "everything")
	byDefault := len(sections) == 0 || slices.Contains(sections, "default")
	for _, s := range infoSections {
		if !all && !(byDefault && s.byDef) && !slices.Contains(sections, strings.ToLower(s.name)) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + s.name + "\r\n")
		s.content(e, &b)
	}
	return b.String()
}

// field writes a line of INFO.
func field(b *strings.Builder, name string, value any) { fmt.Fprintf(b, "%s:%v\r\n", name, value) }

func flag(v bool) int {
	if v {
		return 1
	}
	return 0
}

func okOrErr(err error) string {
	if err != nil {
		return "err"
	}
	return "ok"
}

func infoServer(e *Engine, b *strings.Builder) {
	up := e.clock.Now().Sub(e.started)
	field(b, "redis_version", command.RedisVersion)
	field(b, "redis_git_sha1", "00000000")
	field(b, "redis_git_dirty", 0)
	field(b, "redis_build_id", "limpet")
	field(b, "redis_mode", "standalone")
	field(b, "os", runtime.GOOS+" "+runtime.GOARCH)
	field(b, "arch_bits", 64)
	field(b, "process_id", os.Getpid())
	field(b, "run_id", e.runID)
	field(b, "tcp_port", e.port)
	field(b, "server_time_usec", e.clock.Now().UnixMicro())
	field(b, "uptime_in_seconds", int64(up.Seconds()))
	field(b, "uptime_in_days", int64(up.Hours()/24))
	field(b, "hz", int(time.Second/cronPeriod))
	field(b, "executable", executable())
	field(b, "config_file", e.configFile)
}

func executable() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

func infoClients(e *Engine, b *strings.Builder) {
	field(b, "connected_clients", len(e.sessions))
	field(b, "cluster_connections", 0)
	field(b, "maxclients", e.maxClients)
	field(b, "blocked_clients", 0)
	field(b, "tracking_clients", 0)
	field(b, "clients_in_timeout_table", 0)
}

func infoMemory(e *Engine, b *strings.Builder) {
	used, held := e.memory()
	field(b, "used_memory", used)
	field(b, "used_memory_human", human(used))
	field(b, "used_memory_rss", held)
	field(b, "used_memory_rss_human", human(held))
	field(b, "used_memory_peak", e.peakMemory)
	field(b, "used_memory_peak_human", human(e.peakMemory))
	field(b, "maxmemory", 0)
	field(b, "maxmemory_human", "0B")
	field(b, "maxmemory_policy", "noeviction")
	field(b, "mem_aof_buffer", e.log.stats().buffered)
	field(b, "mem_allocator", "go")
}

func human(n uint64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%dB", n)
	case n < 1<<20:
		return fmt.Sprintf("%.2fK", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.2fM", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2fG", float64(n)/(1<<30))
}

func infoPersistence(e *Engine, b *strings.Builder) {
	log, p := e.log.stats(), e.saves.report(e.clock.Now())
	field(b, "loading", 0)
	field(b, "async_loading", 0)
	field(b, "current_cow_peak", p.peak)
	field(b, "current_cow_size", p.inFlight)
	field(b, "current_cow_size_age", p.inFlightAge)
	field(b, "current_fork_perc", fmt.Sprintf("%.2f", 100*float64(p.keysDone)/float64(max(1, p.keysTotal))))
	field(b, "current_save_keys_processed", p.keysDone)
	field(b, "current_save_keys_total", p.keysTotal)
	field(b, "rdb_changes_since_last_save", e.unit.Changes)
	field(b, "rdb_bgsave_in_progress", flag(p.save.running))
	field(b, "rdb_last_save_time", e.saves.lastSave.Unix())
	field(b, "rdb_last_bgsave_status", okOrErr(p.save.lastErr))
	field(b, "rdb_last_bgsave_time_sec", p.save.lastSeconds)
	field(b, "rdb_current_bgsave_time_sec", p.save.currentSeconds)
	field(b, "rdb_saves", p.save.done)
	field(b, "rdb_last_cow_size", p.save.lastPeak)
	field(b, "rdb_last_load_keys_expired", e.loaded.expired)
	field(b, "rdb_last_load_keys_loaded", e.loaded.keys)
	field(b, "aof_enabled", flag(e.logState != logOff))
	field(b, "aof_rewrite_in_progress", flag(p.rewrite.running))
	field(b, "aof_rewrite_scheduled", flag(e.saves.rewriteQueued))
	field(b, "aof_last_rewrite_time_sec", p.rewrite.lastSeconds)
	field(b, "aof_current_rewrite_time_sec", p.rewrite.currentSeconds)
	field(b, "aof_last_bgrewrite_status", okOrErr(p.rewrite.lastErr))
	field(b, "aof_rewrites", p.rewrite.done)
	field(b, "aof_rewrites_consecutive_failures", e.saves.failures)
	field(b, "aof_last_write_status", okOrErr(log.broken))
	field(b, "aof_last_cow_size", p.rewrite.lastPeak)
	field(b, "module_fork_in_progress", 0)
	field(b, "module_fork_last_cow_size", 0)
	if e.logState == logOff {
		return
	}
	field(b, "aof_current_size", e.logSize())
	field(b, "aof_base_size", e.baseSize)
	field(b, "aof_pending_rewrite", 0)
	field(b, "aof_buffer_length", log.buffered)
	field(b, "aof_pending_bio_fsync", flag(log.pending))
	field(b, "aof_delayed_fsync", log.delayed)
}

// infoLimpet is what Redis has no fields for. No client of Redis's asks for this
// section, and all its names begin with ours.
func infoLimpet(e *Engine, b *strings.Builder) {
	log, waits := e.log.stats(), int64(0)
	if log.pending {
		waits = max(0, e.clock.Now().Sub(log.waiting).Milliseconds())
	}
	field(b, "limpet_appendfsync", Policy(e.log.policy.Load()))
	field(b, "limpet_last_sync_time_ms", log.lastSync.UnixMilli())
	field(b, "limpet_unsynced_changes", e.seq-min(e.seq, e.log.durable.Load()))
	field(b, "limpet_unsynced_ms", waits)
}

func infoStats(e *Engine, b *strings.Builder) {
	s := e.ks.Stats
	field(b, "total_connections_received", e.accepted)
	field(b, "total_commands_processed", s.Commands)
	field(b, "instantaneous_ops_per_sec", e.opsPerSecond)
	field(b, "rejected_connections", e.rejected)
	field(b, "expired_keys", s.Expired)
	field(b, "evicted_keys", 0)
	field(b, "keyspace_hits", s.Hits)
	field(b, "keyspace_misses", s.Misses)
	field(b, "pubsub_channels", 0)
	field(b, "pubsub_patterns", 0)
	field(b, "latest_fork_usec", e.saves.lastCut.Microseconds())
	field(b, "total_forks", 0)
}

func infoReplication(e *Engine, b *strings.Builder) {
	field(b, "role", "master")
	field(b, "connected_slaves", 0)
	field(b, "master_failover_state", "no-failover")
	field(b, "master_replid", e.runID)
	field(b, "master_replid2", strings.Repeat("0", 40))
	field(b, "master_repl_offset", 0)
	field(b, "second_repl_offset", -1)
	field(b, "repl_backlog_active", 0)
}

func infoCPU(_ *Engine, b *strings.Builder) {
	for _, who := range []struct {
		suffix string
		id     int
	}{{"", unix.RUSAGE_SELF}, {"_children", unix.RUSAGE_CHILDREN}} {
		var u unix.Rusage
		if unix.Getrusage(who.id, &u) != nil {
			continue
		}
		field(b, "used_cpu_sys"+who.suffix, fmt.Sprintf("%d.%06d", u.Stime.Sec, u.Stime.Usec))
		field(b, "used_cpu_user"+who.suffix, fmt.Sprintf("%d.%06d", u.Utime.Sec, u.Utime.Usec))
	}
}

func infoCommandstats(e *Engine, b *strings.Builder) {
	for name, n := range e.unit.Calls() {
		fmt.Fprintf(b, "cmdstat_%s:calls=%d\r\n", name, n)
	}
}

func infoKeyspace(e *Engine, b *strings.Builder) {
	for i := range e.ks.Databases() {
		if db := e.ks.DB(i); db.Len() > 0 {
			fmt.Fprintf(b, "db%d:keys=%d,expires=%d,avg_ttl=0\r\n", i, db.Len(), db.Volatile())
		}
	}
}
