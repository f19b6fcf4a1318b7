package engine

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"limpet/clock"
	"limpet/internal/modeltest"
	"limpet/vfs"
)

const inDir = home + "/appendonlydir"

// logFiles are the names in the append-only directory.
func logFiles(t *testing.T, fsys vfs.FS) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir(inDir)
	if err != nil && !errors.Is(err, syscall.ENOENT) && !strings.Contains(err.Error(), "not exist") {
		t.Fatal(err)
	}
	for _, x := range entries {
		names = append(names, x.Name())
	}
	return names
}

// switchedOn waits until the log is on.
func switchedOn(t *testing.T, c *client) {
	t.Helper()
	eventually(t, "the log is on", func() bool { return c.e.stateOfLog() == logOn })
}

func (e *Engine) stateOfLog() logState {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.logState
}

func TestNoAppendOnly_LoadsTheDumpAlone_AndTouchesNoLog(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{})
	c := connect(t, e)
	c.must("SET", "a", "in the dump")
	c.must("SAVE")
	c.must("SET", "a", "in the log")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	before := logFiles(t, mem)
	var said bytes.Buffer
	log := vfs.NewLog(mem)
	e = start(t, log, Options{NoAppendOnly: true, Fsync: Always, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	c = connect(t, e)
	if v := c.must("GET", "a"); v != "in the dump" {
		t.Errorf("a is %q", v)
	}
	if !strings.Contains(said.String(), "appendonly is no, but there is an append-only file") {
		t.Errorf("the old log is not reported:\n%s", said.String())
	}
	c.must("SET", "b", "1") // would wait for ever if it waited for a log
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, op := range log.Ops() {
		if op.Changes() && strings.HasPrefix(op.Path, inDir) {
			t.Errorf("the log was touched: %v", op)
		}
	}
	if after := logFiles(t, mem); !slices.Equal(before, after) {
		t.Errorf("files %q became %q", before, after)
	}
}

func TestNoAppendOnly_MissingDumpIsEmpty_DamagedOneIsFatal(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{NoAppendOnly: true})
	c := connect(t, e)
	if n := c.must("DBSIZE"); n != "0" {
		t.Errorf("%s keys", n)
	}
	c.must("SET", "a", "1")
	c.must("SAVE")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := vfs.ReadFile(mem, home+"/dump.rdb")
	if err != nil {
		t.Fatal(err)
	}
	f, err := vfs.Create(mem, home+"/dump.rdb")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(text[:len(text)-9]); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if e, err := Open(home, Options{FS: mem, NoAppendOnly: true}); err == nil {
		_ = e.Close()
		t.Fatal("a damaged dump was loaded")
	} else if !strings.Contains(err.Error(), "dump.rdb") {
		t.Errorf("the error does not name the file: %v", err)
	}
}

func TestSwitchOn_EverythingIsInTheNewLog_AndNothingOfTheOldOne(t *testing.T) {
	for _, resp := range []bool{false, true} {
		mem := vfs.NewMem()
		e := start(t, mem, Options{})
		connect(t, e).must("SET", "stale", "1")
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = start(t, mem, Options{NoAppendOnly: true, RESPBase: resp})
		c := connect(t, e)
		c.must("SET", "before", "1")
		c.must("CONFIG", "SET", "appendonly", "yes")
		c.must("SET", "meanwhile", "1")
		if v, _ := c.exec("CONFIG", "GET", "appendonly"); v.Elems[1].Text() != "yes" {
			t.Errorf("appendonly is %q", v.Elems[1].Text())
		}
		switchedOn(t, c)
		c.must("SET", "after", "1")
		eventually(t, "the old log is deleted", func() bool { return len(logFiles(t, mem)) == 3 })
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		c = connect(t, start(t, mem, Options{}))
		for k, want := range map[string]string{"before": "1", "meanwhile": "1", "after": "1", "stale": "0"} {
			if v := c.must("EXISTS", k); v != want {
				t.Errorf("%s: %s, want %s", k, v, want)
			}
		}
	}
}

func TestSwitchOff_EverythingSoFarIsInTheLog_AndNothingMore(t *testing.T) {
	for _, p := range []Policy{EverySec, Always, No} {
		disk := vfs.NewCrash()
		e := start(t, disk, Options{Fsync: p})
		c := connect(t, e)
		for i := range 100 {
			c.exec("SET", key(i), "v")
		}
		c.must("CONFIG", "SET", "appendonly", "no")
		image := disk.LoseUnsynced() // "OK" means that all of it is on disk
		c.must("SET", "later", "1")
		c.must("CONFIG", "SET", "appendonly", "no")
		if s := c.infoField("aof_enabled"); s != "0" {
			t.Errorf("aof_enabled:%s", s)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		for _, fsys := range []vfs.FS{image, disk.KeepAll()} {
			again := connect(t, start(t, fsys, Options{}))
			if n := again.must("DBSIZE"); n != "100" {
				t.Errorf("%v: %s keys in the log, want 100", p, n)
			}
		}
	}
}

func TestSwitchOff_InTheMiddleOfABatch_CutsTheLogThere(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{Fsync: Always})
	c := connect(t, e)
	var b Batch
	for _, words := range [][]string{{"SET", "before", "1"}, {"CONFIG", "SET", "appendonly", "no"}, {"SET", "after", "1"}} {
		b.Add(bytesOf(words))
	}
	if err := e.Wait(e.Exec(c.s, &b, newWriter())); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	c = connect(t, start(t, mem, Options{}))
	if before, after := c.must("EXISTS", "before"), c.must("EXISTS", "after"); before+after != "10" {
		t.Errorf("before: %s, after: %s", before, after)
	}
}

func TestSwitchOff_WithABrokenLog_TakesWritesAgain(t *testing.T) {
	var f fault
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{Fsync: Always})
	c := connect(t, e)
	f.set(func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpWrite || op.Kind == vfs.OpCreate {
			return vfs.Fault{Err: syscall.ENOSPC}
		}
		return vfs.Fault{}
	})
	_, err := c.do("SET", "a", "1")
	wantWireError(t, err, noSpace)
	c.must("CONFIG", "SET", "appendonly", "no")
	c.must("SET", "a", "2")
	f.set(nil)
	c.must("CONFIG", "SET", "appendonly", "yes")
	switchedOn(t, c)
	c.must("SET", "a", "3")
}

func TestSwitchOff_DuringARewrite_GivesItUp(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	mem := vfs.NewMem()
	e := start(t, vfs.NewFaulty(mem, f.ask), Options{})
	c := connect(t, e)
	for i := range 20000 {
		c.exec("SET", key(i), strings.Repeat("v", 50))
	}
	f.set(func(op vfs.Op) vfs.Fault {
		if strings.HasSuffix(op.Path, ".base") && op.Kind == vfs.OpWrite {
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
	c.must("BGREWRITEAOF")
	eventually(t, "the cut is made", func() bool { return c.infoField("current_save_keys_total") == "20000" })
	c.must("CONFIG", "SET", "appendonly", "no")
	close(gate)
	eventually(t, "the rewrite ends", func() bool { return c.infoField("aof_rewrite_in_progress") == "0" })
	if s := c.infoField("aof_last_bgrewrite_status") + c.infoField("aof_rewrites") + c.infoField("aof_rewrites_consecutive_failures"); s != "ok00" {
		t.Errorf("a rewrite that was given up counts: %s", s)
	}
	for _, name := range logFiles(t, mem) {
		if strings.HasPrefix(name, "temp-") {
			t.Errorf("%s is left behind", name)
		}
	}
}

// A rewrite that was given up is over: it does not give up the saves after it,
// which are all there is once the log is off.
func TestSwitchOff_DuringARewrite_SavesAfterItAreWritten(t *testing.T) {
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
	c.must("CONFIG", "SET", "appendonly", "no")
	close(gate)
	eventually(t, "the rewrite is given up", func() bool { return c.infoField("aof_rewrite_in_progress") == "0" })
	c.must("BGSAVE")
	eventually(t, "the save ends", func() bool { return c.infoField("rdb_bgsave_in_progress") == "0" })
	if n := dumpKeys(t, mem); n != 1 {
		t.Errorf("dump.rdb has %d keys, want 1 (-1 is no file)", n)
	}
}

func TestSwitchOn_Fails_StaysOffAndIsTriedAgain(t *testing.T) {
	for _, at := range []struct {
		name string
		hits func(vfs.Op) bool
	}{
		{"the base", func(op vfs.Op) bool { return strings.HasSuffix(op.Path, ".base") && op.Kind == vfs.OpWrite }},
		{"the manifest", func(op vfs.Op) bool { return strings.HasSuffix(op.Path, ".manifest") && op.Kind == vfs.OpWrite }},
	} {
		var f fault
		mem, now := vfs.NewMem(), fakeTime()
		e := start(t, vfs.NewFaulty(mem, f.ask), Options{NoAppendOnly: true, Fsync: Always, Clock: now})
		c := connect(t, e)
		c.must("SET", "a", "1")
		f.set(func(op vfs.Op) vfs.Fault {
			if at.hits(op) {
				return vfs.Fault{Err: syscall.EIO}
			}
			return vfs.Fault{}
		})
		c.must("CONFIG", "SET", "appendonly", "yes")
		eventually(t, "it fails: "+at.name, func() bool { return c.infoField("aof_last_bgrewrite_status") == "err" })
		eventually(t, "writes are taken: "+at.name, func() bool { _, err := c.do("SET", "a", "2"); return err == nil })
		if s := c.infoField("aof_enabled"); s != "1" {
			t.Errorf("%s: aof_enabled:%s: it was asked for", at.name, s)
		}
		for _, name := range logFiles(t, mem) {
			if name != "appendonly.aof.manifest" {
				t.Errorf("%s fails: %s is left behind", at.name, name)
			}
		}
		f.set(nil)
		turn(t, now, "it is tried again: "+at.name, func() bool { return e.stateOfLog() == logOn })
		c.must("SET", "a", "3")
		_ = e.Close()
		if v := connect(t, start(t, mem, Options{})).must("GET", "a"); v != "3" {
			t.Errorf("%s failed once: a is %s", at.name, v)
		}
	}
}

// On a full disk the base cannot be written the first time, and later not even the
// incr can be created. As long as it was not taken back the switch is tried again.
func TestSwitchOn_NoFileCanBeCreatedForTheNextTry_IsTriedAgain(t *testing.T) {
	var f fault
	mem, now := vfs.NewMem(), fakeTime()
	e := start(t, vfs.NewFaulty(mem, f.ask), Options{NoAppendOnly: true, Clock: now})
	c := connect(t, e)
	c.must("SET", "a", "1")
	switched := false
	f.set(func(op vfs.Op) vfs.Fault {
		isIncr := strings.HasSuffix(op.Path, "temp-appendonly.aof.incr")
		if op.Kind == vfs.OpCreate && isIncr && !switched {
			switched = true // CONFIG SET itself is not refused
			return vfs.Fault{}
		}
		if op.Kind == vfs.OpCreate && (isIncr || strings.HasSuffix(op.Path, ".base")) {
			return vfs.Fault{Err: syscall.ENOSPC}
		}
		return vfs.Fault{}
	})
	c.must("CONFIG", "SET", "appendonly", "yes")
	turn(t, now, "it fails time and again", func() bool {
		n, _ := strconv.Atoi(c.infoField("aof_rewrites_consecutive_failures"))
		return n >= 3
	})
	f.set(nil)
	turn(t, now, "the log is on", func() bool { return e.stateOfLog() == logOn })
	c.must("SET", "a", "2")
	_ = e.Close()
	if v := connect(t, start(t, mem, Options{})).must("GET", "a"); v != "2" {
		t.Errorf("a is %s", v)
	}
}

// While the log is being switched on, a failure of its files refuses writes only
// until it is given up.
func TestSwitchOn_DetachedFileFails_WritesAreTakenAgain(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	mem, now := vfs.NewMem(), fakeTime()
	e := start(t, vfs.NewFaulty(mem, f.ask), Options{NoAppendOnly: true, Fsync: Always, Clock: now})
	c := connect(t, e)
	c.must("SET", "a", "1")
	f.set(func(op vfs.Op) vfs.Fault {
		switch {
		case strings.HasSuffix(op.Path, ".base") && op.Kind == vfs.OpWrite:
			return vfs.Fault{Until: gate}
		case strings.HasSuffix(op.Path, ".incr") && op.Kind == vfs.OpWrite:
			return vfs.Fault{Err: syscall.ENOSPC, Short: 3}
		}
		return vfs.Fault{}
	})
	c.must("CONFIG", "SET", "appendonly", "yes")
	eventually(t, "a write goes to the detached file", func() bool { _, err := c.do("SET", "a", "2"); return err != nil })
	close(gate)
	eventually(t, "writes are taken", func() bool { _, err := c.do("SET", "a", "2"); return err == nil })
	f.set(nil)
	turn(t, now, "the log is on", func() bool { return e.stateOfLog() == logOn })
	c.must("SET", "a", "3")
	_ = e.Close()
	if v := connect(t, start(t, mem, Options{})).must("GET", "a"); v != "3" {
		t.Errorf("a is %s", v)
	}
}

func TestSwitchOn_NoFileCanBeCreated_IsRefused(t *testing.T) {
	var f fault
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{NoAppendOnly: true})
	c := connect(t, e)
	f.set(func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpCreate {
			return vfs.Fault{Err: syscall.ENOSPC}
		}
		return vfs.Fault{}
	})
	_, err := c.do("CONFIG", "SET", "appendonly", "yes")
	wantWireError(t, err, "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.")
	if s := c.infoField("aof_enabled"); s != "0" {
		t.Errorf("aof_enabled:%s", s)
	}
}

func TestSwitchOn_DuringASave_WaitsForIt(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{NoAppendOnly: true})
	c := connect(t, e)
	f.set(func(op vfs.Op) vfs.Fault {
		if isDump(op) && op.Kind == vfs.OpSync {
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
	c.must("BGSAVE")
	c.must("CONFIG", "SET", "appendonly", "yes")
	if s := c.infoField("aof_enabled") + c.infoField("aof_rewrite_scheduled"); s != "11" {
		t.Errorf("aof_enabled and aof_rewrite_scheduled are %s", s)
	}
	close(gate)
	switchedOn(t, c)
}

func TestShutdown_WhileTheLogIsSwitchedOn_IsRefusedUnlessForced(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{NoAppendOnly: true})
	c := connect(t, e)
	f.set(func(op vfs.Op) vfs.Fault {
		if strings.HasSuffix(op.Path, ".base") && op.Kind == vfs.OpSync {
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
	c.must("CONFIG", "SET", "appendonly", "yes")
	_, err := c.do("SHUTDOWN")
	wantWireError(t, err, errShutdown)
	var b Batch
	b.Add(bytesOf([]string{"SHUTDOWN", "FORCE"}))
	e.Exec(c.s, &b, newWriter())
	<-e.Done()
	close(gate)
}

func TestRewrite_WhileOff_WritesABaseAlone_InThePlaceOfAnOldLog(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{})
	connect(t, e).must("SET", "stale", "1")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = start(t, mem, Options{NoAppendOnly: true})
	c := connect(t, e)
	c.must("SET", "a", "1")
	rewriteNow(t, c)
	if text, err := vfs.ReadFile(mem, inDir+"/appendonly.aof.manifest"); err != nil || string(text) != "file appendonly.aof.2.base.rdb seq 2 type b\n" {
		t.Errorf("manifest %q, %v", text, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	c = connect(t, start(t, mem, Options{}))
	if a, stale := c.must("EXISTS", "a"), c.must("EXISTS", "stale"); a+stale != "10" {
		t.Errorf("a: %s, stale: %s", a, stale)
	}
}

// TestSwitch_ToAndFroUnderLoad_EveryLogIsAPrefixAndTheLastHasAll lets four
// clients count while the log is switched. Each counter in a log is one that was
// reached, and with the log on at the end nothing is missing.
func TestSwitch_ToAndFroUnderLoad_TheLastLogHasAll(t *testing.T) {
	rng := modeltest.Rand(t)
	for round := range modeltest.Rounds(2) {
		policy := Policy(round % 3)
		mem := vfs.NewMem()
		e := start(t, mem, Options{NoAppendOnly: true, Fsync: policy, RESPBase: round%2 == 1})
		boss := connect(t, e)
		for i := range 2000 {
			boss.exec("SET", key(i), "v")
		}
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for w := range 4 {
			c := connect(t, e)
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						_, _ = c.do("INCR", fmt.Sprint("w", w))
						_, _ = c.do("EVAL", "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])", "2", fmt.Sprint("x", w), fmt.Sprint("y", w))
					}
				}
			})
		}
		for range 20 {
			boss.must("CONFIG", "SET", "appendonly", [...]string{"yes", "no"}[rng.IntN(2)])
			if rng.IntN(3) == 0 {
				_, _ = boss.do("BGREWRITEAOF")
			}
			for range rng.IntN(300) {
				boss.exec("PING")
			}
		}
		boss.must("CONFIG", "SET", "appendonly", "yes")
		switchedOn(t, boss)
		close(stop)
		clients.Wait()
		want := counters(boss)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		again := connect(t, start(t, mem, Options{}))
		if got := counters(again); !slices.Equal(got, want) {
			t.Errorf("round %d: the log has %q, want %q", round, got, want)
		}
		if n := again.must("DBSIZE"); n != "2012" {
			t.Errorf("round %d: %s keys", round, n)
		}
	}
}

func counters(c *client) (values []string) {
	for w := range 4 {
		for _, name := range []string{"w", "x", "y"} {
			values = append(values, c.must("GET", fmt.Sprint(name, w)))
		}
	}
	return values
}

// TestSwitchOn_CrashAtEveryStep_OldStateOrNewLogNeverAMixture cuts the power
// before each change to the disk of: a log, switched off, changed, saved, switched
// on again, changed.
func TestSwitchOn_CrashAtEveryStep_OldStateOrNewLogNeverAMixture(t *testing.T) {
	rng := modeltest.Rand(t)
	for n := 0; ; n++ {
		disk := vfs.NewCrash()
		disk.StopBefore(n)
		p := switching{disk: disk, now: fakeTime()}
		p.run(t)
		images := []*vfs.Crash{disk.LoseUnsynced(), disk.KeepAll(), disk.CrashImage(rng), disk.CrashImage(rng)}
		for i, image := range images {
			p.check(t, fmt.Sprintf("cut before change %d, disk %d", n, i), image, rng)
		}
		if !disk.PowerIsOff() {
			if !p.attached || p.logged != 12 {
				t.Fatalf("the scenario did not get to its end: %+v", p)
			}
			t.Logf("%d changes", n)
			return
		}
	}
}

// switching counts in two keys, which always change together.
type switching struct {
	disk     *vfs.Crash
	now      *clock.Fake
	counted  int  // units that took effect
	logged   int  // units that a start with the log on has to find
	saving   int  // units that SAVE was asked for
	saved    int  // units that it has acknowledged
	attached bool // the second log is known to count
}

func (p *switching) run(t *testing.T) {
	e, err := Open(home, Options{FS: p.disk, Fsync: Always, Clock: p.now})
	if err != nil {
		return
	}
	defer func() { _ = e.Close() }()
	c := connect(t, e)
	p.logged = p.count(c, 3)
	_, _ = c.do("CONFIG", "SET", "appendonly", "no")
	p.count(c, 3)
	p.saving = p.counted
	if _, err := c.do("SAVE"); err == nil {
		p.saved = p.saving
	}
	p.count(c, 2)
	if _, err := c.do("CONFIG", "SET", "appendonly", "yes"); err != nil {
		return
	}
	meanwhile := p.count(c, 2)
	eventually(t, "the log is on, or the power off", func() bool { return p.disk.PowerIsOff() || e.stateOfLog() == logOn })
	if p.attached = e.stateOfLog() == logOn; p.attached {
		p.logged = max(p.logged, meanwhile, p.count(c, 2))
	}
}

// count makes n units and answers the last that was acknowledged.
func (p *switching) count(c *client, n int) (acknowledged int) {
	for range n {
		v, ticket := c.exec("EVAL", "redis.call('INCR', 'a') return redis.call('INCR', 'b')", "0")
		if v.Err() != nil {
			continue // refused
		}
		if p.counted++; c.e.Wait(ticket) == nil {
			acknowledged = p.counted
		}
	}
	return acknowledged
}

// check opens what is left, with the log on and with it off.
func (p *switching) check(t *testing.T, what string, image *vfs.Crash, rng *rand.Rand) {
	t.Helper()
	state := func(fsys *vfs.Crash, o Options) int {
		o.FS = fsys
		e, err := Open(home, o)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer func() { _ = e.Close() }()
		c := connect(t, e)
		a, b := atoi(c.must("GET", "a")), atoi(c.must("GET", "b"))
		if a != b {
			t.Fatalf("%s: a is %d, b is %d", what, a, b)
		}
		return a
	}
	if n := state(image.KeepAll(), Options{NoAppendOnly: true}); n != p.saved && n != p.saving {
		t.Fatalf("%s: %d units in dump.rdb, saved were %d", what, n, p.saved)
	}
	again := image.CrashImage(rng)
	again.StopBefore(rng.IntN(15)) // cut once more, while it is being opened
	if e, err := Open(home, Options{FS: again}); err == nil {
		_ = e.Close()
	}
	for _, disk := range []*vfs.Crash{image, again.LoseUnsynced()} {
		if n := state(disk, Options{}); n < p.logged || n > p.counted {
			t.Fatalf("%s: %d units in the log, durable were %d, counted %d", what, n, p.logged, p.counted)
		}
	}
}
