package aof

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"limpet/vfs"
)

// off is a store whose log is off: what it holds is durable in a dump.rdb.
func off(fsys vfs.FS, units ledger) *store {
	return &store{fs: fsys, units: slices.Clone(units), durable: len(units)}
}

// look opens the directory as an owner does whose log is off.
func (s *store) look() (err error) {
	s.d, err = OpenDir(s.fs, home, s.o)
	return err
}

// switchOn switches the log on; late units come while the base is being written.
func (s *store) switchOn(late int) error {
	w, err := s.d.CreateDetachedIncr()
	if err != nil {
		return err
	}
	if err = w.Append(AppendCommand(nil, "SELECT", "0")); err != nil {
		s.d.Discard(w)
		return err
	}
	temp, err := s.tempBase()
	if err != nil {
		s.d.Discard(w)
		return err
	}
	old := s.w
	s.w = w
	if err = s.append(late); err == nil {
		before := len(s.units)
		if err = s.d.Attach(temp, w); err == nil {
			s.durable = before
			return s.d.DeleteHistory()
		}
	} else {
		_ = s.fs.Remove(temp)
	}
	s.w = old
	s.d.Discard(w)
	return err
}

func (s *store) alone() error {
	temp, err := s.tempBase()
	if err != nil {
		return err
	}
	if err := s.d.CommitAlone(temp); err != nil {
		return err
	}
	s.durable = len(s.units)
	return s.d.DeleteHistory()
}

// stale is what an earlier log holds; nothing of it is in the dump.
var stale = ledger{"RPUSH stale 1", "RPUSH stale 2"}

func staleLog(t *testing.T) func(*vfs.Crash) {
	return func(disk *vfs.Crash) {
		put(t, disk, inDir+"appendonly.aof.1.base.rdb", stale[:1].rdb())
		put(t, disk, inDir+"appendonly.aof.1.incr.aof", AppendCommand(nil, "RPUSH", "stale", "2"))
		put(t, disk, manifestPath, []byte("file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"))
	}
}

// everyCutOff cuts the power before each change of a scenario that begins with
// the log off. What a start with the log on finds afterwards is the old state
// (the dump where there was no log, else the earlier log), or the new log, and
// never parts of both.
func everyCutOff(t *testing.T, prepare func(*vfs.Crash), old ledger, scenario func(*store) error) {
	rng := seeded(t)
	dump := ledger{"in", "the", "dump"}
	n := 0
	for ; ; n++ {
		disk := newDisk(t)
		prepare(disk)
		s := off(disk, dump)
		disk.StopBefore(n)
		if err := scenario(s); err != nil && !errors.Is(err, vfs.ErrPowerCut) {
			t.Fatalf("cut before change %d: %v", n, err)
		}
		images := []*vfs.Crash{disk.LoseUnsynced(), disk.KeepAll()}
		for range rounds(6) {
			images = append(images, disk.CrashImage(rng), cutAgain(disk.CrashImage(rng), dump, rng))
		}
		for i, image := range images {
			if err := s.verifyEither(image, dump, old); err != nil {
				t.Fatalf("cut before change %d, disk %d: %v", n, i, err)
			}
		}
		if !disk.PowerIsOff() {
			break
		}
	}
	if n < 10 {
		t.Errorf("the scenario makes only %d changes", n)
	}
}

func cutAgain(disk *vfs.Crash, dump ledger, rng *rand.Rand) *vfs.Crash {
	disk.StopBefore(rng.IntN(20))
	s := &store{fs: disk}
	_ = s.open(dump)
	return disk.CrashImage(rng)
}

// verifyEither is verify where the old state may be there instead, unless the
// new one has become durable.
func (s *store) verifyEither(disk *vfs.Crash, dump, old ledger) error {
	probe := &store{fs: disk.KeepAll()}
	if err := probe.open(dump); err != nil {
		return fmt.Errorf("reopen: %w", err)
	}
	if slices.Equal(probe.units, old) && !s.attached() {
		return (&store{units: old, durable: len(old)}).verify(disk, dump)
	}
	return s.verify(disk, dump)
}

// attached tells whether the new log is known to count.
func (s *store) attached() bool {
	return s.d != nil && slices.ContainsFunc(s.d.Manifest().Live(), func(e Entry) bool {
		return s.w != nil && e.Seq == s.w.Seq() && e.Type == Incr
	})
}

func TestSwitchOn_CrashAtEveryStep_TheDumpOrTheNewLog(t *testing.T) {
	dump := ledger{"in", "the", "dump"}
	everyCutOff(t, empty, dump, func(s *store) error {
		return firstError(s.look,
			func() error { return s.switchOn(3) },
			func() error { return s.append(2) }, s.sync,
			func() error { return s.rewrite(1) })
	})
}

func TestSwitchOn_OverAnEarlierLog_CrashAtEveryStep_NeverMixesTheTwo(t *testing.T) {
	everyCutOff(t, staleLog(t), stale, func(s *store) error {
		return firstError(s.look,
			func() error { return s.switchOn(3) },
			func() error { return s.append(2) })
	})
}

func TestCommitAlone_CrashAtEveryStep_OldOrNew(t *testing.T) {
	for _, prepare := range []struct {
		disk func(*vfs.Crash)
		old  ledger
	}{{empty, ledger{"in", "the", "dump"}}, {staleLog(t), stale}} {
		everyCutOff(t, prepare.disk, prepare.old, func(s *store) error {
			return firstError(s.look, s.alone,
				func() error { return s.switchOn(2) })
		})
	}
}

func TestRewrite_OfCommands_CrashAtEveryStep_OldOrNewNeverNeither(t *testing.T) {
	everyCut(t, ledger{"the dump"}, empty, func(s *store) error {
		s.resp = true
		return firstError(
			func() error { return s.open(s.units) },
			func() error { return s.append(4) },
			func() error { return s.rewrite(3) }, s.sync,
			func() error { s.resp = false; return s.rewrite(1) },
		)
	})
}

func TestAttach_SyncsBeforeItNames(t *testing.T) {
	mem := vfs.NewMem()
	must(t, mem.Mkdir(home, 0o755))
	log := vfs.NewLog(mem)
	s := off(log, ledger{"dump"})
	must(t, s.look())
	w, err := s.d.CreateDetachedIncr()
	must(t, err)
	must(t, w.Append(AppendCommand(nil, "SELECT", "0")))
	wantOrder(t, log, "detached", "mkdir D", "syncdir /data", "create D/temp-A.incr", "sync D/temp-A.incr",
		"write D/temp-A.incr 23")
	temp, err := s.tempBase()
	must(t, err)
	log.Reset()
	must(t, s.d.Attach(temp, w))
	wantOrder(t, log, "attach", steps(
		"sync D/temp-A.incr", manifestSteps("88"), // both names, as history
		"rename D/temp-A.incr -> D/A.1.incr.aof",
		"sync D/temp-A.1.base", "rename D/temp-A.1.base -> D/A.1.base.rdb", "syncdir D",
		manifestSteps("88"),
	)...)
	if got := string(content(t, mem, manifestPath)); got != "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n" {
		t.Errorf("manifest:\n%s", got)
	}
	must(t, w.Append(AppendCommand(nil, "PING")))
	must(t, w.Close())
}

// TestAttach_AnyStepFails_LeavesTheOldStateAndCanBeRepeated lets each change
// fail; the switch is repeated until it works.
func TestAttach_AnyStepFails_LeavesTheOldStateAndCanBeRepeated(t *testing.T) {
	rng := seeded(t)
	dump := ledger{"in", "the", "dump"}
	for _, prepare := range []struct {
		disk func(*vfs.Crash)
		old  ledger
	}{{empty, dump}, {staleLog(t), stale}} {
		for n := 0; ; n++ {
			disk := newDisk(t)
			prepare.disk(disk)
			f := &failing{from: n, to: n + 1, fault: vfs.Fault{Err: syscall.EIO}}
			s := off(vfs.NewFaulty(disk, f.rule), dump)
			must(t, s.look())
			err := s.switchOn(2)
			if f.count() <= n {
				break
			}
			if err != nil {
				for _, image := range []*vfs.Crash{disk.LoseUnsynced(), disk.KeepAll(), disk.CrashImage(rng)} {
					if err := s.verifyEither(image, dump, prepare.old); err != nil {
						t.Fatalf("fault at change %d: %v", n, err)
					}
				}
				if !errors.Is(err, vfs.ErrUnsure) {
					for path := range snapshot(t, disk, home) {
						if strings.Contains(path, "temp-") {
							t.Fatalf("fault at change %d: %s is left behind", n, path)
						}
					}
				}
				must(t, s.switchOn(2))
			}
			must(t, errors.Join(s.append(2), s.sync(), s.rewrite(1)))
			if err := s.verify(disk.LoseUnsynced(), dump); err != nil {
				t.Fatalf("fault at change %d, then repeated: %v", n, err)
			}
		}
	}
}

func TestCreateDetachedIncr_OverFilesNobodyNames_IsRefused(t *testing.T) {
	disk := newDisk(t)
	put(t, disk, inDir+"appendonly.aof.1.incr.aof", []byte("*1\r\n$4\r\nPING\r\n"))
	s := off(disk, nil)
	must(t, s.look())
	before := snapshot(t, disk, home)
	var orphans *OrphanError
	if err := s.switchOn(1); !errors.As(err, &orphans) {
		t.Fatalf("got %v", err)
	}
	if after := snapshot(t, disk, home); len(after) != len(before) {
		t.Errorf("something was changed: %v", after)
	}
}

func TestDormant_TellsWhatALaterStartWouldLoad(t *testing.T) {
	single := func(disk *vfs.Crash) { put(t, disk, home+"/appendonly.aof", []byte("*1\r\n$4\r\nPING\r\n")) }
	for _, c := range []struct {
		name    string
		prepare func(*vfs.Crash)
		want    []string
	}{
		{"nothing", empty, nil},
		{"an earlier log", staleLog(t), []string{inDir + "appendonly.aof.1.base.rdb", inDir + "appendonly.aof.1.incr.aof"}},
		{"a single file", single, []string{home + "/appendonly.aof"}},
	} {
		disk := newDisk(t)
		c.prepare(disk)
		log := vfs.NewLog(disk)
		s := off(log, nil)
		must(t, s.look())
		got, err := s.d.Dormant()
		must(t, err)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if ops := log.String(); ops != "" {
			t.Errorf("%s: looking changed something:\n%s", c.name, ops)
		}
	}
}

func TestRemoveTemps_RemovesWhatASwitchLeftAndNothingElse(t *testing.T) {
	disk := newDisk(t)
	staleLog(t)(disk)
	put(t, disk, inDir+"temp-appendonly.aof.incr", []byte("x"))
	put(t, disk, inDir+"temp-appendonly.aof.3.base.aof", []byte("x"))
	s := off(disk, nil)
	must(t, s.look())
	removed, err := s.d.RemoveTemps()
	must(t, err)
	if len(removed) != 2 || len(snapshot(t, disk, home)) != 3 {
		t.Errorf("removed %q, left %v", removed, snapshot(t, disk, home))
	}
}

func TestPlan_BaseOfNoCommands_IsALogAndNotAnInvitationToLoadTheDump(t *testing.T) {
	disk := newDisk(t)
	put(t, disk, inDir+"appendonly.aof.2.base.aof", nil)
	put(t, disk, inDir+"appendonly.aof.2.incr.aof", nil)
	put(t, disk, manifestPath, []byte("file appendonly.aof.2.base.aof seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n"))
	s := &store{fs: disk}
	must(t, s.open(ledger{"flushed before the rewrite"}))
	if len(s.units) != 0 {
		t.Errorf("the dump is back: %q", s.units)
	}
	must(t, errors.Join(s.append(2), s.sync()))
	must(t, s.verify(disk.LoseUnsynced(), ledger{"dump"}))
}

func TestCommitBase_OfNoCommands_IsRefused(t *testing.T) {
	s := openStore(t, newDisk(t))
	must(t, s.rotate())
	f, err := s.d.CreateTempRESPBase()
	must(t, err)
	must(t, f.Close())
	if err := s.d.CommitBase(f.Name(), s.w.Seq()); err == nil {
		t.Fatal("an empty base was accepted")
	}
}
