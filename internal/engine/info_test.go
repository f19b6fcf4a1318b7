package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/testredis"
	"limpet/vfs"
)

// persistenceOf is INFO persistence of a real server.
func persistenceOf(real *testredis.Server) map[string]string {
	return fieldsOf(fmt.Sprint(real.Do("INFO", "persistence")))
}

func fieldsOf(info string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

func namesOf(info string) (names []string) {
	for line := range strings.Lines(info) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			names = append(names, name)
		}
	}
	return names
}

// countable are the fields that depend on what happened, and on nothing else.
var countable = []string{
	"loading", "async_loading", "current_cow_size", "current_save_keys_processed", "current_save_keys_total", "current_fork_perc",
	"rdb_changes_since_last_save", "rdb_bgsave_in_progress", "rdb_last_bgsave_status", "rdb_last_bgsave_time_sec",
	"rdb_current_bgsave_time_sec", "rdb_saves", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded", "aof_enabled",
	"aof_rewrite_in_progress", "aof_rewrite_scheduled", "aof_last_rewrite_time_sec", "aof_current_rewrite_time_sec",
	"aof_last_bgrewrite_status", "aof_rewrites", "aof_rewrites_consecutive_failures", "aof_last_write_status",
	"aof_pending_rewrite", "aof_buffer_length",
}

// TestInfo_Persistence_HasTheRealFieldsInTheRealOrder leads a real server and us
// through the same life and compares the names, their order, and what is counted.
func TestInfo_Persistence_HasTheRealFieldsInTheRealOrder(t *testing.T) {
	dir := t.TempDir()
	real := testredis.Start(t, testredis.Options{})
	e, err := Open(dir, Options{NoAppendOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	ours := connect(t, e)
	defer func() { _ = e.Close() }()
	compare := func(when string) {
		t.Helper()
		info := ours.must("INFO", "persistence")
		if diff := cmp.Diff(namesOf(fmt.Sprint(real.Do("INFO", "persistence"))), namesOf(info)); diff != "" {
			t.Errorf("%s: names:\n%s", when, diff)
		}
		theirs, own := persistenceOf(real), fieldsOf(info)
		for _, name := range countable {
			took := strings.Contains(name, "_last_") && strings.HasSuffix(name, "_time_sec") // a second more or less; -1 is never
			if theirs[name] != own[name] && (!took || strings.HasPrefix(theirs[name], "-") != strings.HasPrefix(own[name], "-")) {
				t.Errorf("%s: %s is %q, redis-server says %q", when, name, own[name], theirs[name])
			}
		}
	}
	both := func(words ...string) {
		t.Helper()
		args := make([]any, len(words))
		for i, w := range words {
			args[i] = w
		}
		real.Do(args...)
		ours.must(words...)
	}
	settled := func() {
		t.Helper()
		eventually(t, "both have nothing under way", func() bool {
			for _, f := range []map[string]string{persistenceOf(real), fieldsOf(ours.must("INFO", "persistence"))} {
				for _, name := range []string{"rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled", "aof_buffer_length"} {
					if v := f[name]; v != "0" && v != "" {
						return false
					}
				}
			}
			return true
		})
	}
	compare("fresh, without a log")
	for i := range 5 {
		both("SET", key(i), "v")
	}
	both("PEXPIREAT", key(0), "9999999999999")
	compare("after writes")
	both("BGSAVE")
	settled()
	both("DEL", key(1))
	compare("after BGSAVE")
	both("SAVE")
	compare("after SAVE")
	both("BGREWRITEAOF")
	settled()
	compare("after BGREWRITEAOF without a log")
	both("CONFIG", "SET", "appendonly", "yes")
	settled()
	switchedOn(t, ours)
	both("SET", "more", "v")
	settled()
	compare("with a log")
	both("BGREWRITEAOF")
	settled()
	compare("after BGREWRITEAOF")
	both("CONFIG", "SET", "appendonly", "no")
	compare("switched off")
	both("FLUSHALL")
	compare("after FLUSHALL")
	if got, want := ours.must("LASTSAVE"), ours.infoField("rdb_last_save_time"); got != want {
		t.Errorf("LASTSAVE %s, rdb_last_save_time:%s", got, want)
	}
}

// changes are requests in whose effect on rdb_changes_since_last_save a save point
// of a real server and ours must agree.
var changes = strings.Split(strings.TrimSpace(`
SET a 1
SET a 2
SET a 3 NX
SETNX a 1
MSET a 1 b 2 c 3
MSETNX d 1 e 2
APPEND a x
INCR n
INCRBYFLOAT f 1.5
GETSET a 1
GETDEL a
SETRANGE s 3 abc
DEL b c none
EXPIRE d 1000
PERSIST d
PERSIST d
RPUSH l a b c d e
LPUSH l x y
RPUSHX none a
LPUSHX l a b
LPOP l
LPOP l 2
LREM l 0 c
LSET l 0 new
LINSERT l BEFORE new before
LTRIM l 0 1
RPOPLPUSH l m
LMOVE l m LEFT RIGHT
SADD s1 a b c d e
SADD s1 a b f
SREM s1 a b none
SPOP s1
SPOP s1 2
SADD s2 x y z
SMOVE s2 s1 x
SMOVE s2 s1 none
SUNIONSTORE s3 s1 s2
SINTERSTORE s3 s1 none
SDIFFSTORE s4 s2 none
HSET h a 1 b 2 c 3
HSET h a 1 b 5
HMSET h d 1 e 2
HSETNX h a 1
HSETNX h z 1
HDEL h a b none
HINCRBY h n 1
HINCRBYFLOAT h fl 1.5
ZADD z 1 a 2 b 3 c
ZADD z 1 a 5 b 6 d
ZADD z CH 9 a 9 q
ZADD z INCR 1 a
ZINCRBY z 1 a
ZREM z a none
ZREMRANGEBYRANK z 0 0
ZPOPMIN z
ZPOPMAX z 2
ZADD z 1 a 2 b 3 c 4 d
ZREMRANGEBYSCORE z 1 2
ZUNIONSTORE z2 1 z
ZINTERSTORE z2 2 z none
ZRANGESTORE z3 z 0 -1
RENAME z z4
LREM l 0 none
LMPOP 1 m LEFT COUNT 5
ZMPOP 1 z4 MIN COUNT 2
XADD st 1-1 f v
XADD st 2-1 f v
XADD st 3-1 f v
XADD st 4-1 f v
XADD st MAXLEN 2 5-1 f v
XTRIM st MAXLEN 1
XADD st 6-1 f v
XDEL st 5-1 6-1 9-9
XSETID st 10-1
XGROUP CREATE st g 0
XGROUP CREATECONSUMER st g c
XGROUP DELCONSUMER st g c
EVAL return\ redis.call('mset','k1','1','k2','2') 0
UNLINK k1 k2
FLUSHDB
SET a 1
SET b 1
SELECT 1
SET c 1
FLUSHALL
FLUSHALL
`), "\n")

func TestInfo_ChangesSinceLastSave_CountAsTheRealServer(t *testing.T) {
	real := testredis.Start(t, testredis.Options{})
	e, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ours := connect(t, e)
	defer func() { _ = e.Close() }()
	conn := real.Client().Conn()
	defer func() { _ = conn.Close() }()
	for _, line := range changes {
		line = strings.ReplaceAll(line, `\ `, "\x00")
		words := strings.Fields(line)
		args := make([]any, len(words))
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "\x00", " ")
			args[i] = words[i]
		}
		before := [2]string{persistenceOf(real)["rdb_changes_since_last_save"], ours.infoField("rdb_changes_since_last_save")}
		_ = conn.Do(t.Context(), args...)
		_, _ = ours.exec(words...)
		want := atoi(persistenceOf(real)["rdb_changes_since_last_save"]) - atoi(before[0])
		got := atoi(ours.infoField("rdb_changes_since_last_save")) - atoi(before[1])
		if got != want {
			t.Errorf("%s: %d changes, redis-server counts %d", words, got, want)
		}
	}
}

// What Redis has no field for stands in a section of our own that nobody gets who
// does not ask for it. A change that waits for its sync gets older by the clock; an
// idle store does not, however long ago its last sync was.
func TestInfo_Limpet_TellsHowLongChangesWaitForASync(t *testing.T) {
	now := fakeTime()
	c := connect(t, start(t, vfs.NewMem(), Options{Clock: now, Fsync: No}))
	waited := func() string { t.Helper(); return fieldsOf(c.must("INFO", "limpet"))["limpet_unsynced_ms"] }
	awaitWaiters(t, now, 2) // the log's ticker and the engine's
	now.Advance(time.Hour)
	if got := waited(); got != "0" {
		t.Errorf("an idle store's change has waited for %s ms", got)
	}
	c.must("SET", "k", "v")
	now.Advance(time.Second)
	c.e.log.awaitTick(t)
	now.Advance(3 * time.Second)
	info := fieldsOf(c.must("INFO", "limpet"))
	if info["limpet_unsynced_ms"] != "3000" || info["limpet_unsynced_changes"] != "1" || info["limpet_appendfsync"] != "no" {
		t.Errorf("%v", info)
	}
	c.must("CONFIG", "SET", "appendfsync", "everysec")
	eventually(t, "the change is synced", func() bool { return waited() == "0" })
	synced := fieldsOf(c.must("INFO", "everything"))
	if synced["limpet_last_sync_time_ms"] != fmt.Sprint(now.Now().UnixMilli()) || synced["limpet_unsynced_changes"] != "0" {
		t.Errorf("synced at %s, now is %d", synced["limpet_last_sync_time_ms"], now.Now().UnixMilli())
	}
	c.must("CONFIG", "SET", "appendfsync", "no")
	now.Advance(time.Hour)
	c.must("SET", "k", "w")
	if got := waited(); got != "0" {
		t.Errorf("a change of just now has waited for %s ms", got)
	}
	if plain := c.must("INFO"); strings.Contains(plain, "limpet_unsynced") {
		t.Error("INFO without arguments has our own fields")
	}
}

// awaitTick waits until the log has seen that something waits.
func (l *commitLog) awaitTick(t *testing.T) {
	t.Helper()
	eventually(t, "a tick", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return !l.waiting.IsZero() })
}
