package crash

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"limpet"
	"limpet/clock"
	"limpet/internal/modeltest"
	"limpet/rdb"
	"limpet/resp"
	"limpet/vfs"
)

// step is what a scenario does next; what is a name below, units belong to
// write and fail.
type step struct {
	what  string
	units []unit
}

const (
	write       = "write"        // units in one batch, then wait for its ticket
	fail        = "fail"         // a write or a sync of the log fails once; wait until the store has healed
	second      = "second"       // a second passes; under everysec all is synced then
	timePass    = "time passes"  // keys expire
	beginToRewr = "rewrite"      // BGREWRITEAOF in the background of what follows
	endRewrite  = "rewrite ends" // wait for it
	save        = "save"         // SAVE
	switchOff   = "switch off"   // CONFIG SET appendonly no
	beginSwitch = "switch on"    // CONFIG SET appendonly yes in the background of what follows
	endSwitch   = "switch is on" // wait for it
)

// newScript is a scenario with every kind of step.
func newScript(rng *rand.Rand, writes int) []step {
	between := []string{second, beginToRewr, endRewrite, save, fail, timePass, second, beginToRewr, endRewrite,
		switchOff, save, beginSwitch, endSwitch, second}
	all := len(between)
	var script []step
	for i := range writes {
		script = append(script, step{write, randomUnits(rng, 1+rng.IntN(3))})
		for len(between) > 0 && i >= writes*(all-len(between))/all && rng.IntN(2) == 0 {
			s := step{what: between[0]}
			if s.what == fail {
				s.units = []unit{{{"INCR", "failures"}}} // surely writes something
			}
			script, between = append(script, s), between[1:]
		}
	}
	return script
}

// statesOf is what a store that nothing happens to shows after each unit of a
// script: statesOf[k] after k of them.
func statesOf(t *testing.T, script []step) []state {
	t.Helper()
	now := clock.NewFake(began)
	db := open(t, home, limpet.Options{FS: vfs.NewMem(), Clock: now})
	defer closeDB(t, db)
	s := session(db)
	states := []state{{}}
	for _, step := range script {
		if step.what == timePass {
			now.Advance(pass)
		}
		for _, u := range step.units {
			s.exec(t, u...)
			states = append(states, dump(t, s, databases, horizon))
		}
	}
	return states
}

// play is one run of a script on a disk that loses its power at some moment, or
// fails now and then.
type play struct {
	t      *testing.T
	disk   *vfs.Crash
	policy limpet.Policy
	now    *clock.Fake
	fault  onceFault // of the steps of kind fail
	s      *local

	noLog bool // the log is off from the start: appendonly no
	// What a test of failing disks sets: its own faults, and what to look at when
	// a request was refused or the store did not start because of them.
	faults    func(vfs.Op) vfs.Fault
	onRefusal func(p *play, why string)
	onStart   func(err error)

	executed int  // units that took effect in memory
	safe     int  // units that no power cut may take away
	off      bool // what is written goes to no log that a start would find
	atCut    int  // executed when the rewrite or the switch under way began
	rewrites string
}

// onceFault fails one operation on the log.
type onceFault struct {
	mu    sync.Mutex
	armed vfs.OpKind
}

func (f *onceFault) arm(kind vfs.OpKind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = kind
}

func (f *onceFault) ask(op vfs.Op) vfs.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op.Kind != f.armed || !strings.HasSuffix(op.Path, ".incr.aof") {
		return vfs.Fault{}
	}
	f.armed = ""
	if op.Kind == vfs.OpWrite {
		return vfs.Fault{Err: syscall.ENOSPC, Short: int(op.Size / 2)}
	}
	return vfs.Fault{Err: syscall.EIO}
}

// run plays the script until its end or the cut. It leaves the disk to whoever
// wants to see what is on it.
func (p *play) run(script []step) {
	p.now = clock.NewFake(began)
	db := p.open()
	if db == nil {
		return
	}
	p.s = session(db)
	for _, s := range script {
		if p.disk.PowerIsOff() {
			break
		}
		p.step(s)
	}
	err := db.Close()
	if err == nil && !p.off {
		p.secure(p.executed)
	} else if err != nil && !p.disk.PowerIsOff() && p.faults == nil {
		p.t.Fatalf("close: %v", err)
	}
}

// open opens the store, again and again while the disk fails; nil means that the
// power is off.
func (p *play) open() *limpet.DB {
	rule := p.faults
	if rule == nil {
		rule = p.fault.ask
	}
	o := &limpet.Options{FS: vfs.NewFaulty(p.disk, rule), Clock: p.now, Fsync: p.policy, NoAppendOnly: p.noLog}
	for {
		db, err := limpet.Open(home, o)
		switch {
		case err == nil:
			return db
		case p.disk.PowerIsOff():
			return nil
		case p.onStart == nil:
			p.t.Fatalf("open: %v", err)
		}
		p.onStart(err)
	}
}

func (p *play) step(s step) {
	switch s.what {
	case write:
		p.write(s.units)
	case fail:
		kind := vfs.OpWrite
		if p.policy != limpet.No && p.executed%2 == 0 {
			kind = vfs.OpSync
		}
		rewrites := info(p.t, p.s, "aof_rewrites")
		p.fault.arm(kind)
		p.write(s.units)
		// The store heals by writing everything anew, which counts as a rewrite. (That
		// it says all is well may only mean that it has not noticed yet.)
		p.turnUntil(func() bool { return info(p.t, p.s, "aof_rewrites") != rewrites })
		p.secure(p.executed)
	case second:
		if p.policy == limpet.EverySec {
			p.turnUntil(func() bool { return info(p.t, p.s, "aof_pending_bio_fsync") == "0" })
			p.secure(p.executed)
		}
	case timePass:
		p.now.Advance(pass)
	case beginToRewr:
		p.atCut, p.rewrites = p.executed, info(p.t, p.s, "aof_rewrites")
		must(p.t, p.s, "BGREWRITEAOF")
	case endRewrite:
		p.turnUntil(func() bool { return info(p.t, p.s, "aof_rewrite_in_progress") == "0" })
		if info(p.t, p.s, "aof_rewrites") != p.rewrites {
			p.secure(p.atCut)
		}
	case save:
		if v := p.s.do(p.t, "SAVE"); v.Err() == nil && p.noLog {
			p.secure(p.executed)
		}
	case switchOff:
		if p.s.do(p.t, "CONFIG", "SET", "appendonly", "no"); p.faults == nil { // else its end may not be on disk, which only the log says
			p.secure(p.executed)
		}
		p.off = true
	case beginSwitch:
		p.atCut = p.executed
		p.turnUntil(func() bool { return p.s.do(p.t, "CONFIG", "SET", "appendonly", "yes").Err() == nil })
	case endSwitch:
		p.turnUntil(func() bool { return idle(p.t, p.s) })
		p.off = false
		p.secure(p.atCut)
		if p.policy == limpet.Always {
			p.secure(p.executed) // their replies have come when they were synced
		}
	}
}

// secure notes that so many units are durable, unless the power went off before
// that could be told.
func (p *play) secure(n int) {
	if !p.disk.PowerIsOff() {
		p.safe = max(p.safe, n)
	}
}

func (p *play) sound() bool { return info(p.t, p.s, "aof_last_write_status") == "ok" }

// turnUntil lets time pass second by second until a condition holds or the power is
// off.
func (p *play) turnUntil(holds func() bool) {
	p.t.Helper()
	eventually(p.t, "the store gets on", func() bool {
		if p.disk.PowerIsOff() || holds() {
			return true
		}
		p.now.Advance(time.Second)
		return false
	})
}

// write runs units as one batch. What is refused is sent again when the store has
// healed; what was run but not acknowledged has taken effect all the same.
func (p *play) write(units []unit) {
	for len(units) > 0 && !p.disk.PowerIsOff() {
		var batch []request
		for _, u := range units {
			batch = append(batch, u...)
		}
		replies, ticket := p.s.exec(p.t, batch...)
		ran := 0
		for _, u := range units {
			if refused(replies[:len(u)]) {
				break
			}
			replies = replies[len(u):]
			ran++
		}
		p.executed += ran
		units = units[ran:]
		err := p.s.s.Wait(ticket)
		if err == nil && p.policy == limpet.Always && !p.off {
			p.safe = p.executed // acknowledged, wherever the power is by now
		}
		if err != nil && p.onRefusal != nil {
			p.onRefusal(p, err.Error())
		}
		if len(units) > 0 {
			p.turnUntil(p.sound)
		}
	}
}

// refused tells whether a unit was refused. A script says so inside the reply of
// the EXEC that ran it: like Redis, EXEC looks for writes among its own requests.
func refused(replies []resp.Value) bool {
	for _, v := range replies {
		if strings.Contains(strings.Join(texts(v), " "), "MISCONF") {
			return true
		}
	}
	return false
}

func TestPowerCut_BeforeEveryOperation_Always(t *testing.T) { cutEverywhere(t, limpet.Always) }

func TestPowerCut_BeforeEveryOperation_EverySec(t *testing.T) { cutEverywhere(t, limpet.EverySec) }

func TestPowerCut_BeforeEveryOperation_No(t *testing.T) { cutEverywhere(t, limpet.No) }

// cutEverywhere cuts the power in a life with every kind of step.
func cutEverywhere(t *testing.T, policy limpet.Policy) {
	rng := modeltest.Rand(t)
	for range modeltest.Rounds(1) {
		script := newScript(rng, 30)
		cutInEach(t, rng, script, statesOf(t, script), func() *play {
			return &play{t: t, disk: vfs.NewCrash(), policy: policy}
		})
	}
}

// cutInEach plays a script again and again and cuts the power before the first,
// second, third … operation that changes the disk, and looks at several of the
// disks that may leave.
func cutInEach(t *testing.T, rng *rand.Rand, script []step, states []state, begin func() *play) {
	t.Helper()
	for n := 0; !t.Failed(); n++ {
		p := begin()
		p.disk.StopBefore(n)
		p.run(script)
		for name, image := range map[string]*vfs.Crash{
			"all unsynced lost": p.disk.LoseUnsynced(), "nothing lost": p.disk.KeepAll(),
			"some lost": p.disk.CrashImage(rng), "some lost, once more": p.disk.CrashImage(rng),
		} {
			where := fmt.Sprintf("power cut before operation %d, %s", n, name)
			if p.noLog {
				wantDumpLoaded(t, where, image.KeepAll(), states, p.safe, p.executed)
			}
			if rng.IntN(4) == 0 {
				image = cutWhileStarting(image, rng)
			}
			wantPrefix(t, where, image, states, p.safe, p.executed)
		}
		if !p.disk.PowerIsOff() {
			t.Logf("%v: %d units, power cut before each of %d operations", p.policy, len(states)-1, n)
			return
		}
	}
}

// Taking over the single file of a Redis before 7, which may begin with an RDB,
// and the first rewrite, which deletes it.
func TestPowerCut_DuringAnUpgrade_KeepsTheSingleFile(t *testing.T) {
	rng := modeltest.Rand(t)
	for _, policy := range []limpet.Policy{limpet.Always, limpet.EverySec, limpet.No} {
		for _, preamble := range []bool{false, true} {
			script := []step{{write, randomUnits(rng, 10)}, {write, randomUnits(rng, 10)}}
			text := singleFile(t, script, preamble)
			old := 0
			for _, s := range script {
				old += len(s.units)
			}
			after := []step{{write, randomUnits(rng, 2)}, {what: second}, {what: beginToRewr}, {write, randomUnits(rng, 2)}, {what: endRewrite}, {write, randomUnits(rng, 1)}}
			cutInEach(t, rng, after, statesOf(t, append(script, after...)), func() *play {
				disk := vfs.NewCrash()
				if err := disk.Mkdir(home, 0o755); err != nil {
					t.Fatal(err)
				}
				put(t, disk, filepath.Join(home, "appendonly.aof"), text)
				return &play{t: t, disk: disk.KeepAll(), policy: policy, executed: old, safe: old}
			})
		}
	}
}

// singleFile is what a script leaves in one file: commands, or an RDB with commands
// behind it.
func singleFile(t *testing.T, script []step, preamble bool) []byte {
	t.Helper()
	mem := vfs.NewMem()
	db := open(t, home, limpet.Options{FS: mem, Clock: clock.NewFake(began)})
	s := session(db)
	for i, step := range script {
		for _, u := range step.units {
			s.exec(t, u...)
		}
		if i == 0 && preamble {
			rewrite(t, s)
		}
	}
	closeDB(t, db)
	in := filepath.Join(home, "appendonlydir")
	n, text := 1, []byte(nil)
	if preamble {
		n, text = 2, read(t, mem, filepath.Join(in, "appendonly.aof.2.base.rdb"))
	}
	return append(text, read(t, mem, filepath.Join(in, fmt.Sprintf("appendonly.aof.%d.incr.aof", n)))...)
}

// Without a log a store is as old as its last save, and no save makes it older or
// a mixture. It is the same store for a start with a log, whose first base the dump
// becomes.
func TestPowerCut_WithoutALog_KeepsTheLastSave(t *testing.T) {
	rng := modeltest.Rand(t)
	var script []step
	for range 4 {
		script = append(script, step{write, randomUnits(rng, 4)}, step{what: save})
	}
	script = append(script, step{write, randomUnits(rng, 2)})
	cutInEach(t, rng, script, statesOf(t, script), func() *play {
		return &play{t: t, disk: vfs.NewCrash(), policy: limpet.EverySec, noLog: true, off: true}
	})
}

// wantDumpLoaded opens what a cut left without a log.
func wantDumpLoaded(t *testing.T, where string, disk *vfs.Crash, states []state, safe, executed int) {
	t.Helper()
	db := open(t, home, limpet.Options{FS: disk, Clock: clock.NewFake(time.UnixMilli(horizon)), NoAppendOnly: true})
	defer closeDB(t, db)
	got := dump(t, session(db), databases, horizon)
	if !slices.ContainsFunc(states[safe:executed+1], func(s state) bool { return difference(got, s) == "" }) {
		t.Errorf("%s: opened without a log it is none of the states %d to %d", where, safe, executed)
	}
}

// cutWhileStarting lets a start be cut off as well.
func cutWhileStarting(disk *vfs.Crash, rng *rand.Rand) *vfs.Crash {
	disk.StopBefore(rng.IntN(20))
	if db, err := limpet.Open(home, &limpet.Options{FS: disk, Clock: clock.NewFake(began)}); err == nil {
		_ = db.Close()
	}
	return disk.CrashImage(rng)
}

// wantPrefix opens what a cut left. It must show what the first so many units
// made, with so many between safe and executed. Then it writes, cuts the power
// again, and opens again.
func wantPrefix(t *testing.T, where string, disk *vfs.Crash, states []state, safe, executed int) {
	t.Helper()
	wantSoundDump(t, where, disk)
	db := open(t, home, limpet.Options{FS: disk, Clock: clock.NewFake(time.UnixMilli(horizon)), Fsync: limpet.Always})
	s := session(db)
	got := dump(t, s, databases, horizon)
	found := false
	for k := safe; k <= executed && !found; k++ {
		found = difference(got, states[k]) == ""
	}
	if !found {
		for k := range states {
			if difference(got, states[k]) == "" {
				t.Errorf("%s: %d units are there, want %d to %d", where, k, safe, executed)
				return
			}
		}
		t.Errorf("%s: what is there is no prefix; against all %d units:\n%s", where, executed, difference(got, states[executed]))
	}
	for _, u := range []unit{{{"INCR", "number:0"}}, {{"MULTI"}, {"INCR", "a"}, {"SELECT", "1"}, {"INCR", "b"}, {"SELECT", "0"}, {"EXEC"}}, {{"DEL", "text:0"}}} {
		_, ticket := s.exec(t, u...)
		if err := s.s.Wait(ticket); err != nil {
			t.Fatalf("%s: a write after the restart: %v", where, err)
		}
	}
	want := dump(t, s, databases, horizon)
	again := disk.LoseUnsynced()
	closeDB(t, db)
	db = open(t, home, limpet.Options{FS: again, Clock: clock.NewFake(time.UnixMilli(horizon))})
	if diff := difference(dump(t, session(db), databases, horizon), want); diff != "" {
		t.Errorf("%s: after the second restart:\n%s", where, diff)
	}
	closeDB(t, db)
}

// wantSoundDump checks that dump.rdb is a whole one if it is there.
func wantSoundDump(t *testing.T, where string, disk vfs.FS) {
	t.Helper()
	f, err := vfs.Open(disk, filepath.Join(home, "dump.rdb"))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for d := rdb.NewDecoder(f, rdb.DecoderOptions{}); err == nil; {
		_, err = d.Next()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("%s: dump.rdb: %v", where, err)
	}
}

// A directory may have come here by cp, or from a process that was killed, a moment
// ago, and be in the kernel's memory alone. What is acknowledged on top of it is
// not lost with it.
func TestPowerCut_SoonAfterACopy_KeepsTheCopyAndWhatWasBuiltOnIt(t *testing.T) {
	dir, log, _ := tenPages(t)
	disk := vfs.NewCrash()
	copyTorn(t, disk, home, dir, log)
	db := open(t, home, limpet.Options{FS: disk, Fsync: limpet.Always})
	complete(t, session(db), 10)
	after := disk.LoseUnsynced()
	closeDB(t, db)
	db = open(t, home, limpet.Options{FS: after})
	if counter, pages, states := counted(t, session(db)); counter != 11 || pages != 11 || states != 11 {
		t.Errorf("counter %d, %d pages, %d states, want 11 of each", counter, pages, states)
	}
	closeDB(t, db)
}
