package engine

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"limpet/vfs"
)

const noSpace = "MISCONF Errors writing to the AOF file: No space left on device"

// heldSyncs is a disk whose syncs of incr files wait until release is called.
func heldSyncs() (fsys vfs.FS, hold, release func()) {
	var f fault
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	hold = func() {
		f.set(func(op vfs.Op) vfs.Fault {
			if op.Kind == vfs.OpSync && isIncr(op) {
				return vfs.Fault{Until: gate}
			}
			return vfs.Fault{}
		})
	}
	return vfs.NewFaulty(vfs.NewMem(), f.ask), hold, release
}

func TestEngine_Always_AReadWaitsOnlyForWhatItShows(t *testing.T) {
	fsys, hold, release := heldSyncs()
	defer release()
	e := start(t, fsys, Options{Fsync: Always})
	writer, reader := connect(t, e), connect(t, e)
	for i := range 3000 { // many buckets: a read depends on its bucket's newest change
		writer.exec("SET", key(i), "old")
	}
	writer.must("SET", key(0), "old")
	hold()
	_, written := writer.exec("SET", key(0), "new")

	if v, ticket := reader.exec("GET", key(0)); v.Text() != "new" || ticket != written {
		t.Errorf("a read of the key just written: %q, ticket %d, want %d", v.Text(), ticket, written)
	}
	free := 0
	for i := 1; i < 3000; i++ {
		if _, ticket := reader.exec("GET", key(i)); ticket < written {
			if err := e.Wait(ticket); err != nil { // never returns if it waits for the sync
				t.Fatal(err)
			}
			free++
		}
	}
	if free < 2900 {
		t.Errorf("of 2999 other keys only %d could be read while the sync was held", free)
	}
	for _, all := range [][]string{{"DBSIZE"}, {"KEYS", "*"}, {"SCAN", "0"}, {"RANDOMKEY"}} {
		if _, ticket := reader.exec(all...); ticket != written {
			t.Errorf("%s shows the whole database: ticket %d, want %d", all[0], ticket, written)
		}
	}
	release()
	if err := e.Wait(written); err != nil {
		t.Fatal(err)
	}
}

func key(i int) string { return "key:" + strconv.Itoa(i) }

func TestEngine_Always_AnAbsenceIsShownOnlyWhenItIsDurable(t *testing.T) {
	for _, deletion := range [][]string{{"DEL", "k"}, {"GETDEL", "k"}, {"RENAME", "k", "other"}, {"FLUSHALL"}, {"PEXPIREAT", "k", "1"}} {
		fsys, hold, release := heldSyncs()
		e := start(t, fsys, Options{Fsync: Always})
		c := connect(t, e)
		c.must("SET", "k", "v")
		hold()
		_, deleted := c.exec(deletion...)
		v, ticket := connect(t, e).exec("GET", "k")
		if !v.IsNull() || ticket != deleted {
			t.Errorf("after %v: %q, ticket %d, want none and %d", deletion, v.Text(), ticket, deleted)
		}
		release()
	}
}

func TestEngine_Always_ARepliesTicketCoversItsBatch(t *testing.T) {
	fsys, hold, release := heldSyncs()
	defer release()
	e := start(t, fsys, Options{Fsync: Always})
	c := connect(t, e)
	c.must("SET", "a", "1")
	hold()
	_, first := c.exec("INCR", "a")
	_, second := c.exec("EVAL", "redis.call('INCR','a') redis.call('SADD','s','m') return 1", "0")
	if first == 0 || second != first+1 {
		t.Errorf("tickets %d and %d: a script is one unit", first, second)
	}
	if _, failed := c.exec("SET", "a", "x", "NX"); failed != second {
		t.Errorf("a write that changes nothing still tells what it saw: ticket %d, want %d", failed, second)
	}
}

func TestEngine_DiskFull_WritesAreRefusedReadsGoOnAndItHeals(t *testing.T) {
	var f fault
	mem := vfs.NewMem()
	e := start(t, vfs.NewFaulty(mem, f.ask), Options{Fsync: Always})
	c := connect(t, e)
	for i := range 2000 {
		c.exec("SET", key(i), "v")
	}
	c.must("SET", "counter", "1")
	f.set(func(op vfs.Op) vfs.Fault {
		switch op.Kind {
		case vfs.OpCreate, vfs.OpWrite, vfs.OpMkdir:
			return vfs.Fault{Err: syscall.ENOSPC}
		}
		return vfs.Fault{}
	})
	_, err := c.do("INCR", "counter") // run, but could not be made durable
	wantWireError(t, err, noSpace)
	for _, refused := range [][]string{{"SET", "x", "y"}, {"FLUSHALL"}, {"PING"}, {"LPUSH", "l", "x"}} {
		_, err := c.do(refused...)
		wantWireError(t, err, noSpace)
	}
	if _, err := c.do("EVAL", "return redis.call('SET','x','y')", "0"); err == nil || !strings.Contains(err.Error(), noSpace) {
		t.Errorf("a script that writes: %v", err)
	}
	c.must("MULTI")
	_, err = c.do("SET", "x", "y")
	wantWireError(t, err, noSpace)
	_, err = c.do("EXEC")
	wantWireError(t, err, "EXECABORT Transaction discarded because of previous errors.")

	readable := 0
	for i := range 2000 {
		if v, err := c.do("GET", key(i)); err == nil && v == "v" {
			readable++
		}
	}
	if readable < 1900 { // the rest share a bucket with the write that hangs in the air
		t.Errorf("%d of 2000 keys can be read", readable)
	}
	if info := c.must("INFO", "persistence"); !strings.Contains(info, "aof_last_write_status:err") {
		t.Errorf("INFO does not tell:\n%s", info)
	}

	f.set(nil)
	eventually(t, "writes are taken again", func() bool { _, err := c.do("SET", "x", "y"); return err == nil })
	if info := c.must("INFO", "persistence"); !strings.Contains(info, "aof_last_write_status:ok") {
		t.Errorf("INFO does not tell that it is well again:\n%s", info)
	}
	if v := c.must("GET", "counter"); v != "2" {
		t.Errorf("counter %s, want 2: what was in memory is durable now", v)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	c = connect(t, start(t, mem, Options{}))
	if v, n := c.must("GET", "counter"), c.must("DBSIZE"); v != "2" || n != "2002" {
		t.Errorf("after a restart: counter %s, %s keys", v, n)
	}
}

func TestEngine_FailedSync_IsFinalForItsFile(t *testing.T) {
	var f fault
	log := vfs.NewLog(vfs.NewMem())
	e := start(t, vfs.NewFaulty(log, f.ask), Options{Fsync: Always})
	c := connect(t, e)
	c.must("SET", "a", "1")
	broken := false
	f.set(func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpSync && isIncr(op) && !broken {
			broken = true // once: a second sync of that file would "succeed"
			return vfs.Fault{Err: syscall.EIO}
		}
		return vfs.Fault{}
	})
	_, err := c.do("SET", "a", "2")
	wantWireError(t, err, "MISCONF Errors writing to the AOF file: Input/output error")
	log.Reset()
	eventually(t, "a new file is in use", func() bool { _, err := c.do("SET", "a", "3"); return err == nil })
	for _, op := range log.Ops() {
		if strings.HasSuffix(op.Path, ".1.incr.aof") && (op.Kind == vfs.OpWrite || op.Kind == vfs.OpSync) {
			t.Errorf("the broken file was used again: %v", op)
		}
	}
}

func TestEngine_EverySec_KeysExpireAndTheLogSaysSo(t *testing.T) {
	mem, now := vfs.NewMem(), fakeTime()
	e := start(t, mem, Options{Clock: now})
	c := connect(t, e)
	c.must("SET", "a", "1", "PX", "500")
	c.must("SET", "stays", "1")
	eventually(t, "the key is gone without being asked for", func() bool {
		now.Advance(cronPeriod)
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.ks.Len() == 1
	})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := vfs.ReadFile(mem, home+"/appendonlydir/appendonly.aof.1.incr.aof")
	if err != nil {
		t.Fatal(err)
	}
	if want := "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"; !strings.HasSuffix(string(text), want) {
		t.Errorf("the log ends with %q", text)
	}
}

func TestEngine_Closed_NothingIsAcknowledgedAnyMore(t *testing.T) {
	for _, p := range []Policy{EverySec, Always, No} {
		mem := vfs.NewMem()
		e := start(t, mem, Options{Fsync: p})
		c := connect(t, e)
		c.must("SET", "a", "1")
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.do("SET", "a", "2"); err == nil {
			t.Errorf("%v: a closed store acknowledged a write", p)
		}
		for _, late := range []string{"BGREWRITEAOF", "BGSAVE"} {
			if _, err := c.do(late); err == nil {
				t.Errorf("%v: %s began after Close", p, late)
			}
		}
		if v := connect(t, start(t, mem, Options{})).must("GET", "a"); v != "1" {
			t.Errorf("%v: a is %s", p, v)
		}
	}
}

// Writers go on until the moment of Close: what was acknowledged is there.
func TestEngine_CloseUnderLoad_KeepsWhatWasAcknowledged(t *testing.T) {
	for _, p := range []Policy{EverySec, Always} {
		mem := vfs.NewMem()
		e := start(t, mem, Options{Fsync: p})
		acked := make(chan map[string]string)
		for w := range 4 {
			c := connect(t, e)
			go func() {
				last := map[string]string{}
				k := fmt.Sprint("w", w)
				for {
					v, err := c.do("INCR", k)
					if err != nil {
						acked <- last
						return
					}
					last[k] = v
				}
			}()
		}
		eventually(t, "writers are under way", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.seq > 200 })
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		c := connect(t, start(t, mem, Options{}))
		for range 4 {
			for k, want := range <-acked {
				if got := c.must("GET", k); atoi(got) < atoi(want) {
					t.Errorf("%v: %s is %s, acknowledged was %s", p, k, got, want)
				}
			}
		}
	}
}

func atoi(s string) int { n, _ := strconv.Atoi(s); return n }

func TestEngine_DisableAutoGC_KeepsAndThenDeletesReplacedFiles(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{})
	c := connect(t, e)
	c.must("CONFIG", "SET", "aof-disable-auto-gc", "yes")
	c.must("SET", "a", "1")
	rewriteNow(t, c)
	old := home + "/appendonlydir/appendonly.aof.1.base.rdb"
	if _, err := mem.Stat(old); err != nil {
		t.Errorf("the replaced base should have been kept: %v", err)
	}
	c.must("CONFIG", "SET", "aof-disable-auto-gc", "no")
	eventually(t, "the replaced base is deleted", func() bool { _, err := mem.Stat(old); return err != nil })
}

// rewriteNow runs BGREWRITEAOF to its end and checks that it went well.
func rewriteNow(t *testing.T, c *client) {
	t.Helper()
	c.must("BGREWRITEAOF")
	var info string
	eventually(t, "the rewrite ends", func() bool {
		info = c.must("INFO", "persistence")
		return strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0")
	})
	if !strings.Contains(info, "aof_last_bgrewrite_status:ok") {
		t.Fatalf("the rewrite failed:\n%s", info)
	}
}

func TestEngine_LogOfMoreDatabases_IsRefusedNotMixedUp(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{})
	c := connect(t, e)
	c.must("SET", "a", "in 0")
	c.must("SELECT", "9")
	c.must("SET", "a", "in 9")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	o := Options{FS: mem}
	o.Limits.Databases = 4
	if small, err := Open(home, o); err == nil {
		_ = small.Close()
		t.Fatal("opened: database 9 has been poured into another")
	} else if !strings.Contains(err.Error(), `SELECT "9", but only 4 databases are configured`) {
		t.Fatal(err)
	}
	if v := connect(t, start(t, mem, Options{})).must("GET", "a"); v != "in 0" {
		t.Errorf("a is %q", v)
	}
}

func TestEngine_SelectedDatabase_IsWrittenAgainInEachFile(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{})
	c := connect(t, e)
	c.must("SELECT", "3")
	c.must("SET", "a", "1")
	rewriteNow(t, c)
	c.must("SET", "b", "1") // the first record of the new file
	for range 3 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = start(t, mem, Options{})
		c = connect(t, e)
		c.must("SELECT", "3")
		if n := c.must("DBSIZE"); n != "2" {
			t.Fatalf("database 3 has %s keys, want 2", n)
		}
		c.must("SET", "b", "again") // the first record after a start
	}
}

func TestEngine_UnfinishedDump_IsRemovedAtTheNextStart(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{})
	temp := e.tempDump(noLock{})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	foreign := home + "/temp-4711.rdb" // a redis-server's in the same directory
	for _, name := range []string{temp, foreign} {
		f, err := vfs.Create(mem, name)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	start(t, mem, Options{})
	if _, err := mem.Stat(temp); err == nil {
		t.Error("our own is still there")
	}
	if _, err := mem.Stat(foreign); err != nil {
		t.Errorf("another's was touched: %v", err)
	}
}

func TestEngine_GrowthRule_RewritesByItself(t *testing.T) {
	mem, now := vfs.NewMem(), fakeTime()
	e := start(t, mem, Options{Clock: now, RewriteMinSize: 4 << 10})
	c := connect(t, e)
	eventually(t, "the log is rewritten", func() bool {
		c.must("SET", "a", strings.Repeat("x", 100))
		now.Advance(cronPeriod)
		return strings.Contains(c.must("INFO", "persistence"), "aof_base_size:") && rewrites(e) > 0
	})
	e.mu.Lock()
	size := e.logSize()
	e.mu.Unlock()
	if size > 64<<10 {
		t.Errorf("the log has %d bytes after a rewrite of one key", size)
	}
}

func rewrites(e *Engine) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.saves.rewrite.done
}

func TestRewriteBackOff_DoublesFromTheThirdFailureToAnHour(t *testing.T) {
	want := map[int]time.Duration{0: 0, 2: 0, 3: time.Minute, 4: 2 * time.Minute, 8: 32 * time.Minute, 9: time.Hour, 100: time.Hour}
	for failures, d := range want {
		if got := rewriteBackOff(failures); got != d {
			t.Errorf("after %d failures: %v, want %v", failures, got, d)
		}
	}
}
