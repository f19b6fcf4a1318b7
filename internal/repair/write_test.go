package repair_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet"
	"limpet/aof"
	"limpet/internal/check"
	"limpet/internal/modeltest"
	"limpet/internal/repair"
	"limpet/internal/testredis"
	"limpet/vfs"
)

// torn is a directory whose first incr is torn: its end is cut and the second
// incr dropped. In place, that needs new names.
func torn(t testing.TB) *dir {
	d := newDir(t)
	d.files[firstName] = d.first.log[:d.first.ends[11]+7]
	return d
}

// writeTo and inPlace plan and carry out, as the program does.
func writeTo(fsys vfs.FS) error {
	p, err := repair.MakePlan(context.Background(), fsys, from, repair.Options{})
	if err != nil {
		return err
	}
	return p.WriteTo(context.Background(), fsys, to, now)
}

func inPlace(fsys vfs.FS) (kept string, err error) {
	release, err := repair.Guard(fsys, from, true)
	if err != nil {
		return "", err
	}
	defer release()
	if err := repair.Recover(fsys, from); err != nil {
		return "", err
	}
	p, err := repair.MakePlan(context.Background(), fsys, from, repair.Options{})
	if err != nil || p.Nothing() {
		return "", err
	}
	return p.InPlace(context.Background(), fsys, later())
}

// named is what a manifest in a directory names and whether it is whole: "" for
// nothing, else the data.
func named(t testing.TB, fsys vfs.FS, dir string) string {
	t.Helper()
	if _, err := fsys.Stat(dir + "/appendonlydir/" + manifestName); err != nil {
		return ""
	}
	r, err := check.Inspect(context.Background(), fsys, dir, check.Options{})
	must(t, err)
	if r.Verdict != check.Sound {
		return r.Verdict.String()
	}
	return openedByUs(t, fsys, dir)
}

func TestWriteTo_PowerCutAtEveryOperation_LeavesNothingNamedOrTheWhole(t *testing.T) {
	rng := modeltest.Rand(t)
	d := torn(t)
	want := d.at(12, 0).String()
	for n := 0; ; n++ {
		disk := d.disk(t, vfs.NewCrash()).(*vfs.Crash)
		disk.StopBefore(n)
		err := writeTo(disk)
		off := disk.PowerIsOff()
		if off != (err != nil) {
			t.Fatalf("operation %d: power off %v, yet %v", n, off, err)
		}
		for _, after := range []*vfs.Crash{disk.CrashImage(rng), disk.LoseUnsynced(), disk.KeepAll()} {
			if got := named(t, after, to); got != "" && got != want {
				t.Fatalf("operation %d: named is %s", n, got)
			}
			// The second try finishes what the first began, or has nothing to do.
			var full *repair.NotEmptyError
			if err := writeTo(after); err != nil && !errors.As(err, &full) {
				t.Fatalf("operation %d, again: %v", n, err)
			}
			if got := named(t, after, to); got != want {
				t.Fatalf("operation %d, again: %s", n, got)
			}
			if repair.Interrupted(after, to) {
				t.Fatalf("operation %d, again: the marker is still there", n)
			}
		}
		if !off {
			return
		}
	}
}

func TestInPlace_PowerCutAtEveryOperation_OldOrNewAndACopy(t *testing.T) {
	rng := modeltest.Rand(t)
	d := torn(t)
	want := d.at(12, 0).String()
	for n := 0; ; n++ {
		disk := d.disk(t, vfs.NewCrash()).(*vfs.Crash)
		old := contents(t, disk, from)
		disk.StopBefore(n)
		_, err := inPlace(disk)
		off := disk.PowerIsOff()
		if off != (err != nil) {
			t.Fatalf("operation %d: power off %v, yet %v", n, off, err)
		}
		for _, after := range []*vfs.Crash{disk.CrashImage(rng), disk.LoseUnsynced(), disk.KeepAll()} {
			if !repair.Interrupted(after, from) && named(t, after, from) != want {
				for name, text := range old {
					if now, err := vfs.ReadFile(after, name); err != nil || string(now) != text {
						t.Fatalf("operation %d: neither old nor new: %s: %v", n, name, err)
					}
				}
			}
			if _, err := inPlace(after); err != nil {
				t.Fatalf("operation %d, again: %v", n, err)
			}
			if got := named(t, after, from); got != want {
				t.Fatalf("operation %d, again: %s", n, cmp.Diff(want, got))
			}
			if repair.Interrupted(after, from) {
				t.Fatalf("operation %d, again: the marker is still there", n)
			}
			wantCopy(t, after, old, n)
		}
		if !off {
			return
		}
	}
}

// wantCopy checks that somewhere beside the directory lies all that it held.
func wantCopy(t *testing.T, fsys vfs.FS, old map[string]string, n int) {
	t.Helper()
	entries, err := fsys.ReadDir("/")
	must(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "store.before-repair-") {
			continue
		}
		if _, err := fsys.Stat("/" + e.Name() + "/repair.unfinished"); err == nil {
			continue
		}
		whole := true
		for name, text := range old {
			copied, err := vfs.ReadFile(fsys, "/"+e.Name()+strings.TrimPrefix(name, from))
			whole = whole && err == nil && string(copied) == text
		}
		if whole {
			return
		}
	}
	t.Fatalf("operation %d: no copy of what was there", n)
}

func TestRepair_ASecondTime_ChangesNothing(t *testing.T) {
	d := torn(t)
	disk := d.disk(t, vfs.NewMem())
	must(t, writeTo(disk))
	before := contents(t, disk, "/")
	var full *repair.NotEmptyError
	if err := writeTo(disk); !errors.As(err, &full) {
		t.Errorf("into the same directory: %v", err)
	}
	_, err := inPlace(disk)
	must(t, err)
	between := contents(t, disk, "/")
	kept, err := inPlace(disk)
	if err != nil || kept != "" {
		t.Errorf("in place, again: %q, %v", kept, err)
	}
	if diff := cmp.Diff(between, contents(t, disk, "/")); diff != "" {
		t.Errorf("in place, again, has changed:\n%s", diff)
	}
	for name, text := range before {
		if now := contents(t, disk, "/"); strings.HasPrefix(name, to) && now[name] != text {
			t.Errorf("%s has changed", name)
		}
	}
}

func TestInPlace_AnyFault_IsMendedAsInANewDirectory(t *testing.T) {
	for _, row := range damageTable() {
		if row.refused != "" || row.says == "" {
			continue
		}
		t.Run(row.fault, func(t *testing.T) {
			d := newDir(t)
			row.spoil(d)
			disk := d.disk(t, vfs.NewMem())
			p, err := repair.MakePlan(context.Background(), disk, from, row.o)
			must(t, err)
			if p.Nothing() {
				return
			}
			_, err = p.InPlace(context.Background(), disk, now)
			must(t, err)
			if p.Commands() != row.kept {
				t.Errorf("kept %d commands, want %d", p.Commands(), row.kept)
			}
			if diff := cmp.Diff(row.data(d).String(), openedByUs(t, disk, from)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRepair_SingleFileOfOldRedis_AndADumpAlone(t *testing.T) {
	h := newHistory("a", 20)
	for _, inside := range []bool{false, true} {
		d := &dir{home: map[string][]byte{"appendonly.aof": h.log[:h.ends[9]+4]}, files: map[string][]byte{}}
		disk := d.disk(t, vfs.NewMem())
		must(t, disk.Remove(from+"/appendonlydir"))
		target := to
		if inside {
			target = from
			_, err := inPlace(disk)
			must(t, err)
		} else {
			must(t, writeTo(disk))
		}
		if got, want := openedByUs(t, disk, target), (model{}).applyUnits(h.units[:10]).String(); got != want {
			t.Errorf("in place %v: %s", inside, cmp.Diff(want, got))
		}
	}
	dump := baseRDB(t, 5)
	d := &dir{home: map[string][]byte{"dump.rdb": dump[:len(dump)-20]}, files: map[string][]byte{}}
	disk := d.disk(t, vfs.NewMem())
	must(t, disk.Remove(from+"/appendonlydir"))
	var refused *repair.Refused
	if _, err := mend(t, disk, repair.Options{}); !errors.As(err, &refused) || refused.Flag != "--salvage-base" {
		t.Errorf("got %v", err)
	}
	_, err := mend(t, disk, repair.Options{SalvageBase: true})
	must(t, err)
	if got, want := openedByUs(t, disk, to), baseModel(4).String(); got != want {
		t.Errorf("a dump: %s", cmp.Diff(want, got))
	}
}

func TestRepair_WhatARealServerWrote(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--appenddirname", "logs", "--appendfilename", "my log.aof"}})
	for i := range 50 {
		s.Do("EVAL", "redis.call('RPUSH', 'pages', ARGV[1]) redis.call('INCR', 'count')", "0", i)
	}
	want := s.Do("EVAL", everything, "0").(string)
	s.Stop()
	log := filepath.Join(s.Dir(), "logs", "my log.aof.1.incr.aof")
	b, err := os.ReadFile(log)
	must(t, err)
	must(t, os.WriteFile(log, append(b, aof.AppendCommand(aof.AppendCommand(nil, "MULTI"), "RPUSH", "pages", "half")...), 0o644))
	mended := filepath.Join(t.TempDir(), "new", "mended")
	p, err := repair.MakePlan(context.Background(), vfs.OS(), s.Dir(), repair.Options{})
	must(t, err)
	if lost := p.Files[1].Cuts[0].Lost; lost.Commands != 2 || cmp.Diff(lost.Keys, []string{"pages"}) != "" {
		t.Errorf("lost are %+v", lost)
	}
	must(t, p.WriteTo(context.Background(), vfs.OS(), mended, now))
	again := testredis.Start(t, testredis.Options{Dir: mended, Args: []string{"--appendonly", "yes", "--appenddirname", "logs", "--appendfilename", "my log.aof", "--aof-load-truncated", "no"}})
	if got := again.Do("EVAL", everything, "0").(string); got != want {
		t.Error(cmp.Diff(want, got))
	}
}

func TestGuard_AStoreThatIsOpen_IsNotRepaired(t *testing.T) {
	dir, fsys := t.TempDir(), vfs.OS()
	db, err := limpet.Open(dir, nil)
	must(t, err)
	for _, change := range []bool{false, true} {
		var locked *vfs.LockedError
		if _, err := repair.Guard(fsys, dir, change); !errors.As(err, &locked) || locked.PID != os.Getpid() {
			t.Errorf("change %v: got %v", change, err)
		}
	}
	must(t, db.Close())
	release, err := repair.Guard(fsys, dir, true)
	must(t, err)
	if db, err := limpet.Open(dir, nil); err == nil {
		_ = db.Close()
		t.Error("a store opened what is being repaired")
	}
	release()
}

func TestWriteTo_SourceChangesMeanwhile_NothingIsNamed(t *testing.T) {
	disk := torn(t).disk(t, vfs.NewMem())
	p, err := repair.MakePlan(context.Background(), disk, from, repair.Options{})
	must(t, err)
	f, err := disk.OpenFile(from+"/appendonlydir/"+firstName, vfs.O_WRONLY|vfs.O_APPEND, 0)
	must(t, err)
	_, err = f.Write([]byte("more"))
	must(t, err)
	must(t, f.Close())
	err = p.WriteTo(context.Background(), disk, to, now)
	if err == nil || !strings.Contains(err.Error(), "has changed while it was copied") || named(t, disk, to) != "" {
		t.Errorf("got %v; named is %q", err, named(t, disk, to))
	}
}
