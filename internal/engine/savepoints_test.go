package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/clock"
	"limpet/internal/testredis"
	"limpet/rdb"
	"limpet/vfs"
)

// dumpKeys is the number of keys in dump.rdb, -1 when there is none.
func dumpKeys(t *testing.T, fsys vfs.FS) int {
	t.Helper()
	f, err := vfs.Open(fsys, home+"/dump.rdb")
	if err != nil {
		return -1
	}
	defer func() { _ = f.Close() }()
	d := rdb.NewDecoder(f, rdb.DecoderOptions{})
	for n := 0; ; n++ {
		if _, err := d.Next(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatalf("dump.rdb: %v", err)
		}
	}
}

// infoField is a line of INFO persistence.
func (c *client) infoField(name string) string {
	c.t.Helper()
	for line := range strings.Lines(c.must("INFO", "persistence")) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "<none>"
}

// isDump are the operations on a dump.rdb that is being written.
func isDump(op vfs.Op) bool {
	return strings.HasSuffix(op.Path, ".rdb") && strings.Contains(op.Path, "/temp-")
}

func failDumps(op vfs.Op) vfs.Fault {
	if isDump(op) && op.Kind == vfs.OpWrite {
		return vfs.Fault{Err: syscall.ENOSPC}
	}
	return vfs.Fault{}
}

// turn lets cron run until a condition holds, a tenth of a second at a time.
func turn(t *testing.T, now *clock.Fake, what string, holds func() bool) {
	t.Helper()
	eventually(t, what, func() bool { now.Advance(cronPeriod); return holds() })
}

// wantNoSave fails when cron would start a save now, or has done so.
func wantNoSave(t *testing.T, e *Engine, why string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.saveDue(e.clock.Now()) || e.saves.save.running {
		t.Fatalf("a save is due: %s", why)
	}
}

func TestSavePoints_ManyChangesSoonAndFewLate(t *testing.T) {
	mem, now := vfs.NewMem(), fakeTime()
	e := start(t, mem, Options{Clock: now, SavePoints: []SavePoint{{time.Hour, 1}, {time.Minute, 10}}})
	c := connect(t, e)
	for i := range 9 {
		c.must("SET", key(i), "v")
	}
	now.Advance(2 * time.Minute)
	wantNoSave(t, e, "nine changes in two minutes")
	c.must("SET", key(9), "v")
	turn(t, now, "ten changes in a minute are saved", func() bool { return dumpKeys(t, mem) == 10 })
	c.must("SET", key(10), "v")
	now.Advance(50 * time.Minute)
	wantNoSave(t, e, "one change in fifty minutes")
	now.Advance(11 * time.Minute)
	turn(t, now, "one change in an hour is saved", func() bool { return dumpKeys(t, mem) == 11 })
}

func TestSavePoints_FailedSave_RefusesWritesAndIsRetriedAfterFiveSeconds(t *testing.T) {
	var f fault
	mem, now := vfs.NewMem(), fakeTime()
	e := start(t, vfs.NewFaulty(mem, f.ask), Options{Clock: now, SavePoints: []SavePoint{{time.Minute, 1}}})
	c := connect(t, e)
	f.set(failDumps)
	c.must("SET", "a", "1")
	now.Advance(2 * time.Minute)
	turn(t, now, "the save fails", func() bool { return c.infoField("rdb_last_bgsave_status") == "err" })
	for _, refused := range [][]string{{"SET", "a", "2"}, {"PING"}, {"FLUSHALL"}} {
		_, err := c.do(refused...)
		wantWireError(t, err, misconfSave)
	}
	if v := c.must("GET", "a"); v != "1" {
		t.Errorf("a is %q", v)
	}
	c.must("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
	c.must("SET", "a", "2")
	c.must("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
	first := e.lastTry()
	turn(t, now, "the save is tried again", func() bool { return e.lastTry() != first })
	if passed := e.lastTry().Sub(first); passed <= saveRetry {
		t.Errorf("tried again after %v", passed)
	}
	f.set(nil)
	turn(t, now, "the retry succeeds and writes are taken", func() bool { _, err := c.do("SET", "a", "3"); return err == nil })
	if s := c.infoField("rdb_last_bgsave_status"); s != "ok" {
		t.Errorf("rdb_last_bgsave_status:%s", s)
	}
}

func (e *Engine) lastTry() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.saves.lastTry
}

// With both broken, clients hear of the save, as from Redis.
func TestRefusal_FailedSave_TakesPrecedenceOverTheLog(t *testing.T) {
	var f fault
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{Fsync: Always, SavePoints: []SavePoint{{time.Hour, 1}}})
	c := connect(t, e)
	f.set(func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpWrite || op.Kind == vfs.OpCreate {
			return vfs.Fault{Err: syscall.ENOSPC}
		}
		return vfs.Fault{}
	})
	_, err := c.do("SET", "a", "1")
	wantWireError(t, err, noSpace)
	_, _ = c.do("BGSAVE")
	eventually(t, "the save fails", func() bool { return c.infoField("rdb_last_bgsave_status") == "err" })
	_, err = c.do("SET", "a", "1")
	wantWireError(t, err, misconfSave)
}

func TestBackgroundSave_ChangesDuringTheSave_StayCounted(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{})
	c := connect(t, e)
	c.must("SET", "a", "1")
	c.must("SET", "b", "1")
	f.set(func(op vfs.Op) vfs.Fault {
		if isDump(op) && op.Kind == vfs.OpSync {
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
	c.must("BGSAVE")
	eventually(t, "the cut is made", func() bool { return c.infoField("current_save_keys_processed") == "2" })
	for i := range 3 {
		c.must("SET", key(i), "v")
	}
	if n := c.infoField("rdb_changes_since_last_save"); n != "5" {
		t.Errorf("during the save: %s changes, want 5", n)
	}
	if _, err := c.do("SAVE"); err == nil {
		t.Error("SAVE beside BGSAVE")
	}
	if s := c.must("BGREWRITEAOF"); s != "Background append only file rewriting scheduled" {
		t.Error(s)
	}
	if s := c.infoField("aof_rewrite_scheduled"); s != "1" {
		t.Errorf("aof_rewrite_scheduled:%s", s)
	}
	close(gate)
	eventually(t, "the save ends", func() bool { return c.infoField("rdb_bgsave_in_progress") == "0" })
	if n := c.infoField("rdb_changes_since_last_save"); n != "3" {
		t.Errorf("after the save: %s changes, want the 3 made since the cut", n)
	}
	eventually(t, "the rewrite that was scheduled is done", func() bool { return rewrites(e) == 1 })
}

func TestBackgroundSave_Scheduled_RunsAfterTheRewrite(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	mem := vfs.NewMem()
	e := start(t, vfs.NewFaulty(mem, f.ask), Options{})
	c := connect(t, e)
	c.must("SET", "a", "1")
	f.set(func(op vfs.Op) vfs.Fault {
		if strings.HasSuffix(op.Path, ".base") && op.Kind == vfs.OpSync {
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
	c.must("BGREWRITEAOF")
	if _, err := c.do("BGSAVE"); err == nil || !strings.HasPrefix(err.Error(), "ERR Another child process is active") {
		t.Errorf("BGSAVE beside a rewrite: %v", err)
	}
	if s := c.must("BGSAVE", "SCHEDULE"); s != "Background saving scheduled" {
		t.Error(s)
	}
	close(gate)
	eventually(t, "the save is done", func() bool { return dumpKeys(t, mem) == 1 })
	if rewrites(e) != 1 {
		t.Error("the save did not wait for the rewrite")
	}
}

func TestFlushAll_WithSavePoints_LeavesTheDumpUntilTheNextOne(t *testing.T) {
	mem, now := vfs.NewMem(), fakeTime()
	e := start(t, mem, Options{Clock: now, SavePoints: []SavePoint{{time.Minute, 1}}})
	c := connect(t, e)
	c.must("SET", "a", "1")
	c.must("SAVE")
	c.must("FLUSHALL")
	wantNoSave(t, e, "just after FLUSHALL")
	if n := dumpKeys(t, mem); n != 1 {
		t.Fatalf("dump.rdb has %d keys at once after FLUSHALL, want the one that was saved", n)
	}
	now.Advance(time.Minute)
	turn(t, now, "the next save point is reached", func() bool { return dumpKeys(t, mem) == 0 })
}

func TestClose_SavesWhereThereAreSavePoints(t *testing.T) {
	points := []SavePoint{{time.Hour, 1}}
	for _, c := range []struct {
		name   string
		points []SavePoint
		last   []string
		want   int // keys in dump.rdb, -1 for no file
	}{
		{"no save points", nil, nil, -1},
		{"no save points, SHUTDOWN SAVE", nil, []string{"SHUTDOWN", "SAVE"}, 1},
		{"save points", points, nil, 1},
		{"save points, SHUTDOWN", points, []string{"SHUTDOWN"}, 1},
		{"save points, SHUTDOWN NOSAVE", points, []string{"SHUTDOWN", "NOSAVE"}, -1},
	} {
		log := vfs.NewLog(vfs.NewMem())
		e := start(t, log, Options{SavePoints: c.points})
		client := connect(t, e)
		client.must("SET", "a", "1")
		if c.last != nil {
			var b Batch
			b.Add(bytesOf(c.last))
			e.Exec(client.s, &b, newWriter())
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if n := dumpKeys(t, log); n != c.want {
			t.Errorf("%s: %d keys in dump.rdb, want %d", c.name, n, c.want)
		}
		if n := strings.Count(log.String(), "-> "+home+"/dump.rdb"); n > 1 {
			t.Errorf("%s: saved %d times", c.name, n)
		}
	}
}

func TestShutdown_SaveFails_GoesOnUnlessForced(t *testing.T) {
	var f fault
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{SavePoints: []SavePoint{{time.Hour, 1}}})
	c := connect(t, e)
	c.must("SET", "a", "1")
	f.set(failDumps)
	_, err := c.do("SHUTDOWN")
	wantWireError(t, err, errShutdown)
	c.must("SET", "a", "2") // a SAVE that fails refuses no writes
	select {
	case <-e.Done():
		t.Error("it is going down all the same")
	default:
	}
	var b Batch
	b.Add(bytesOf([]string{"SHUTDOWN", "FORCE"}))
	e.Exec(c.s, &b, newWriter())
	<-e.Done()
	if err := e.Close(); err == nil {
		t.Error("Close does not tell that the last save failed")
	}
}

// A BGSAVE whose disk hangs does not keep SHUTDOWN from saving, nor spoil it.
func TestShutdown_DuringBackgroundSave_SavesWhatIsThereNow(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	mem := vfs.NewMem()
	e := start(t, vfs.NewFaulty(mem, f.ask), Options{})
	c := connect(t, e)
	c.must("SET", "a", "1")
	f.set(func(op vfs.Op) vfs.Fault {
		if strings.HasSuffix(op.Path, "/temp-appendonly.aof.rdb") && op.Kind == vfs.OpWrite {
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
	c.must("BGSAVE")
	eventually(t, "the cut is made", func() bool { return c.infoField("current_save_keys_total") == "1" })
	c.must("SET", "b", "1")
	var b Batch
	b.Add(bytesOf([]string{"SHUTDOWN", "SAVE"}))
	e.Exec(c.s, &b, newWriter())
	<-e.Done()
	close(gate)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n := dumpKeys(t, mem); n != 2 {
		t.Errorf("dump.rdb has %d keys, want 2", n)
	}
}

// A BGSAVE that has written everything but its last bytes is past giving up: it
// must not put its dump in the place of the newer one.
func TestShutdown_WhileABackgroundSaveEnds_TheNewerDumpStays(t *testing.T) {
	for name, last := range map[string]vfs.OpKind{"sync": vfs.OpSync, "rename": vfs.OpRename} {
		t.Run(name, func(t *testing.T) {
			var f fault
			gate, reached := make(chan struct{}), make(chan struct{})
			mem := vfs.NewMem()
			e := start(t, vfs.NewFaulty(mem, f.ask), Options{NoAppendOnly: true})
			c := connect(t, e)
			c.must("SET", "a", "1")
			var once sync.Once
			f.set(func(op vfs.Op) vfs.Fault {
				if strings.HasSuffix(op.Path, "/temp-appendonly.aof.rdb") && op.Kind == last {
					once.Do(func() { close(reached) })
					return vfs.Fault{Until: gate}
				}
				return vfs.Fault{}
			})
			c.must("BGSAVE")
			<-reached
			c.must("SET", "b", "1")
			var b Batch
			b.Add(bytesOf([]string{"SHUTDOWN", "SAVE"}))
			saved := make(chan struct{})
			go func() { defer close(saved); e.Exec(c.s, &b, newWriter()) }()
			if last == vfs.OpSync { // the older one ends last
				<-e.Done()
			}
			close(gate)
			<-saved
			<-e.Done()
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if n := dumpKeys(t, mem); n != 2 {
				t.Errorf("dump.rdb has %d keys, want 2", n)
			}
			for _, left := range []string{"/temp-appendonly.aof.rdb", "/temp-appendonly.aof.save.rdb"} {
				if _, err := mem.Stat(home + left); err == nil {
					t.Errorf("%s is left", left)
				}
			}
		})
	}
}

// A BGSAVE that SHUTDOWN has given up did not fail, even when SHUTDOWN does.
func TestShutdown_SaveFailsDuringBackgroundSave_DoesNotCountAsItsFailure(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{SavePoints: []SavePoint{{time.Hour, 1}}})
	c := connect(t, e)
	c.must("SET", "a", "1")
	f.set(func(op vfs.Op) vfs.Fault {
		switch {
		case strings.HasSuffix(op.Path, ".save.rdb"):
			return failDumps(op)
		case isDump(op) && op.Kind == vfs.OpWrite:
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
	c.must("BGSAVE")
	eventually(t, "the cut is made", func() bool { return c.infoField("current_save_keys_total") == "1" })
	_, err := c.do("SHUTDOWN")
	wantWireError(t, err, errShutdown)
	close(gate)
	eventually(t, "BGSAVE ends", func() bool { return c.infoField("rdb_bgsave_in_progress") == "0" })
	c.must("SET", "a", "2")
}

// TestSavePoints_WordsAndRefusals_AreTheRealOnes asks a real server and us.
func TestSavePoints_WordsAndRefusals_AreTheRealOnes(t *testing.T) {
	real := testredis.Start(t, testredis.Options{})
	dir := t.TempDir()
	e, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	ours := connect(t, e)
	both := func(words ...string) {
		t.Helper()
		args := make([]any, len(words))
		for i, w := range words {
			args[i] = w
		}
		want, err := real.Client().Do(t.Context(), args...).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			want = err
		}
		v, _ := ours.exec(words...)
		got := any(v.Text())
		if v.Err() != nil {
			got = v.Err()
		} else if len(v.Elems) > 0 {
			list := []any{}
			for _, x := range v.Elems {
				list = append(list, x.Text())
			}
			got = list
		}
		if m, ok := want.(map[any]any); ok {
			list := []any{}
			for k, v := range m {
				list = append(list, k, v)
			}
			want = list
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: got %v, redis-server says %v", words, got, want)
		}
	}
	for _, v := range []string{"", "60 1000", "60", "60 1 x", "0 1", "60 -1", "a b", "3600 1 300 100", " 60  5 ", "60 0", "4000000000 1", "60 +5", "060 1"} {
		both("CONFIG", "SET", "save", v)
		both("CONFIG", "GET", "save")
	}
	both("CONFIG", "SET", "stop-writes-on-bgsave-error", "maybe")
	both("CONFIG", "SET", "save", "3600 1")
	both("SET", "a", "1")
	for _, d := range []string{real.Dir(), dir} {
		if err := os.Mkdir(filepath.Join(d, "dump.rdb"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	both("BGSAVE")
	eventually(t, "both have failed", func() bool {
		return ours.infoField("rdb_last_bgsave_status") == "err" && strings.Contains(fmt.Sprint(real.Do("INFO", "persistence")), "rdb_last_bgsave_status:err")
	})
	for _, words := range [][]string{{"SET", "a", "2"}, {"PING"}, {"GET", "a"}, {"DEL", "none"}, {"CONFIG", "GET", "stop-writes-on-bgsave-error"},
		{"SHUTDOWN"}, {"CONFIG", "SET", "stop-writes-on-bgsave-error", "no"}, {"SET", "a", "3"},
		{"CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"}, {"SET", "a", "4"}, {"CONFIG", "SET", "save", ""}, {"SET", "a", "5"}} {
		both(words...)
	}
}
