package limpet_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"limpet"
	"limpet/vfs"
)

// infoOf is INFO by name of the field.
func infoOf(t *testing.T, db *limpet.DB) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for line := range strings.Lines(do(t, db, "INFO").Text()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

func flag(yes bool) string { return map[bool]string{false: "0", true: "1"}[yes] }

func okOr(err error) string {
	if err != nil {
		return "err"
	}
	return "ok"
}

func seconds(d time.Duration, never bool) string {
	if never {
		return "-1"
	}
	return strconv.FormatInt(int64(d.Seconds()), 10)
}

// wantAgree compares every figure with INFO's. Nothing may be under way but what
// stands still.
func wantAgree(t *testing.T, when string, db *limpet.DB) limpet.Stats {
	t.Helper()
	runtime.GC() // else one between the two readings could halve what is used
	info := infoOf(t, db)
	s := db.Stats()
	same := map[string]any{
		"connected_clients": s.Clients, "maxclients": s.MaxClients,
		"total_connections_received": s.Accepted, "rejected_connections": s.Rejected,
		"total_commands_processed": s.Commands - 1, // INFO does not count itself yet
		"keyspace_hits":            s.Hits, "keyspace_misses": s.Misses, "expired_keys": s.Expired,
		"aof_enabled":       flag(s.AppendOnly),
		"aof_current_size":  s.LogBytes,
		"aof_base_size":     s.BaseBytes,
		"aof_buffer_length": s.BufferedBytes, "aof_pending_bio_fsync": flag(s.Unsynced > 0),
		"aof_delayed_fsync": s.SlowSyncs, "aof_last_write_status": okOr(s.LogError),
		"aof_rewrite_in_progress": flag(s.Rewriting), "aof_rewrite_scheduled": flag(s.RewriteScheduled), "aof_rewrites": s.Rewrites,
		"aof_rewrites_consecutive_failures": s.RewriteFailures, "aof_last_bgrewrite_status": okOr(s.RewriteError),
		"aof_last_rewrite_time_sec": seconds(s.RewriteTook, s.RewriteTook == 0),
		"rdb_bgsave_in_progress":    flag(s.Saving), "rdb_saves": s.Saves, "rdb_last_bgsave_status": okOr(s.SaveError),
		"rdb_last_bgsave_time_sec": seconds(s.SaveTook, s.SaveTook == 0),
		"rdb_last_save_time":       s.LastSave.Unix(), "rdb_changes_since_last_save": s.Changes,
		"current_save_keys_processed": s.KeysWritten, "current_save_keys_total": s.KeysToWrite,
		"current_cow_size": s.InFlight, "latest_fork_usec": s.LastCut.Microseconds(),
	}
	if !s.AppendOnly {
		for _, name := range []string{"aof_current_size", "aof_base_size", "aof_buffer_length", "aof_pending_bio_fsync", "aof_delayed_fsync"} {
			delete(same, name) // INFO has no such lines then
		}
	}
	for name, value := range same {
		if got := fmt.Sprint(value); got != info[name] {
			t.Errorf("%s: %s is %s, INFO says %q", when, name, got, info[name])
		}
	}
	for i := range 16 {
		line := ""
		if s.Keys[i] > 0 {
			line = fmt.Sprintf("keys=%d,expires=%d,avg_ttl=0", s.Keys[i], s.Volatile[i])
		}
		if info[fmt.Sprint("db", i)] != line {
			t.Errorf("%s: db%d: %q, INFO says %q", when, i, line, info[fmt.Sprint("db", i)])
		}
	}
	for name, value := range map[string]uint64{"used_memory": s.UsedMemory, "used_memory_peak": s.PeakMemory, "used_memory_rss": s.HeldMemory} {
		if n, _ := strconv.ParseUint(info[name], 10, 64); value < n/2 || value > 2*n { // it moves
			t.Errorf("%s: %s is %d, INFO says %d", when, name, value, n)
		}
	}
	if up, _ := strconv.Atoi(info["uptime_in_seconds"]); s.Uptime < time.Duration(up)*time.Second || s.Uptime > time.Duration(up+5)*time.Second {
		t.Errorf("%s: uptime %v, INFO says %ds", when, s.Uptime, up)
	}
	if want := do(t, db, "CONFIG", "GET", "appendfsync").Elems[1].Text(); s.Fsync.String() != want {
		t.Errorf("%s: %v, CONFIG says %s", when, s.Fsync, want)
	}
	return s
}

func TestStats_AgreeWithInfo_ThroughTheLifeOfAStore(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem(), Fsync: limpet.Always})
	if s := wantAgree(t, "fresh", db); s.RewriteTook != 0 || s.SaveTook != 0 || !s.AppendOnly || len(s.Keys) != 0 {
		t.Errorf("fresh: %+v", s)
	}
	fillAll(t, db)
	do(t, db, "GET", "none")
	do(t, db, "GET", "text")
	s := db.Session("", "")
	settled := func(which string) {
		t.Helper()
		eventually(t, func() bool {
			s := db.Stats()
			return !s.Rewriting && !s.Saving && !s.RewriteScheduled && s.Unsynced == 0
		})
		if s := wantAgree(t, which, db); s.KeysToWrite != 0 || s.InFlight != 0 {
			t.Errorf("%s: something is under way: %+v", which, s)
		}
	}
	settled("full")
	if s := db.Stats(); s.Keys[0] != 14 || s.Keys[9] != 14 || s.Volatile[9] != 1 || s.Clients != 1 || s.Accepted != 2 || s.Hits < 1 || s.Misses < 1 || s.Changes == 0 {
		t.Errorf("full: %+v", s)
	}
	s.Close()
	do(t, db, "BGREWRITEAOF")
	settled("rewritten")
	if s := db.Stats(); s.Rewrites != 1 || s.BaseBytes < 1000 || s.LogBytes < s.BaseBytes || s.RewriteTook <= 0 || s.LastCut <= 0 {
		t.Errorf("rewritten: %+v", s)
	}
	do(t, db, "BGSAVE")
	settled("saved")
	if s := db.Stats(); s.Saves != 1 || s.Changes != 0 || s.SaveTook <= 0 {
		t.Errorf("saved: %+v", s)
	}
	do(t, db, "PEXPIRE", "text", 1)
	eventually(t, func() bool { return db.Stats().Expired == 1 })
	settled("after a key has expired")
	do(t, db, "CONFIG", "SET", "appendfsync", "no")
	settled("without syncs")
	do(t, db, "CONFIG", "SET", "appendonly", "no")
	settled("without a log")
	if s := db.Stats(); s.AppendOnly || s.LogBytes != 0 || s.Fsync != limpet.No {
		t.Errorf("without a log: %+v", s)
	}
	var b bytes.Buffer
	during := limpet.Stats{}
	if err := db.Snapshot(ctx, writerFunc(func(p []byte) (int, error) {
		if !during.Snapshotting {
			during = db.Stats()
		}
		return b.Write(p)
	})); err != nil {
		t.Fatal(err)
	}
	if !during.Snapshotting || during.KeysToWrite != 27 || during.KeysWritten == 0 || during.InFlight == 0 {
		t.Errorf("during a snapshot: %+v", during)
	}
	settled("after a snapshot")
}

// What is not synced yet is counted, and so is a log that is broken.
func TestStats_UnsyncedAndBroken_AreTold(t *testing.T) {
	gate := make(chan struct{})
	var hang atomic.Bool
	db := open(t, home, limpet.Options{FS: hanging(&hang, gate), Fsync: limpet.EverySec})
	release := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	hang.Store(true)
	before := db.Stats()
	tx := db.TxPipeline()
	tx.Do("SET", "a", 1)
	tx.Do("SET", "b", 1)
	exec(t, tx)
	do(t, db, "SET", "c", 1)
	if s := db.Stats(); s.Unsynced != 2 || s.Changes != 3 {
		t.Errorf("unsynced %d, changes %d, want 2 and 3", s.Unsynced, s.Changes)
	}
	if s := db.Stats(); !before.UnsyncedSince.IsZero() || s.UnsyncedSince.Before(before.LastSync) || s.UnsyncedSince.After(time.Now()) {
		t.Errorf("unsynced since %v, and before anything was written since %v", s.UnsyncedSince, before.UnsyncedSince)
	}
	release()
	eventually(t, func() bool {
		s := db.Stats()
		return s.Unsynced == 0 && s.UnsyncedSince.IsZero() && s.LastSync.After(before.LastSync)
	})

	var full atomic.Bool
	full.Store(true)
	broken := open(t, home, limpet.Options{FS: vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) vfs.Fault {
		if full.Load() && op.Kind == vfs.OpWrite && strings.HasSuffix(op.Path, ".incr.aof") {
			return vfs.Fault{Err: errHungUp}
		}
		return vfs.Fault{}
	}), Fsync: limpet.Always})
	if _, err := broken.Do(ctx, "SET", "a", 1); err == nil {
		t.Fatal("taken")
	}
	if s := broken.Stats(); s.LogError == nil && s.Rewrites == 0 { // or it is healed already
		t.Errorf("%+v", s)
	}
	full.Store(false)
	eventually(t, func() bool { return broken.Stats().LogError == nil })
}
