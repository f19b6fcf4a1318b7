package aof

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"limpet/vfs"
)

// TestDir_EveryOperationFails_TheLogGoesOnOrHealsAndLosesNothing lets each
// change fail, alone or with those after it, and does what an engine would: go
// on while the writer is sound, heal when it is broken.
func TestDir_EveryOperationFails_TheLogGoesOnOrHealsAndLosesNothing(t *testing.T) {
	rng := seeded(t)
	dump := ledger{"dump"}
	for _, fault := range []vfs.Fault{{Err: syscall.EIO}, {Err: syscall.ENOSPC, Short: 3}} {
		for _, width := range []int{1, 4} {
			for n := 0; ; n++ {
				disk := newDisk(t)
				f := &failing{from: n, to: n + width, fault: fault}
				s := &store{fs: vfs.NewFaulty(disk, f.rule)}
				if err := livesOn(s, f, dump); err != nil {
					t.Fatalf("%v at changes %d to %d: %v", fault.Err, n, n+width-1, err)
				}
				for range rounds(3) {
					if err := s.verify(disk.CrashImage(rng), dump); err != nil {
						t.Fatalf("%v at changes %d to %d: %v", fault.Err, n, n+width-1, err)
					}
				}
				if err := s.verify(disk.LoseUnsynced(), dump); err != nil {
					t.Fatalf("%v at changes %d to %d: %v", fault.Err, n, n+width-1, err)
				}
				if f.count() <= n {
					break
				}
			}
		}
	}
}

// failing is a rule that fails some of the changes, counted from 0.
type failing struct {
	mu       sync.Mutex
	n        int
	from, to int
	fault    vfs.Fault
}

func (f *failing) rule(op vfs.Op) vfs.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !op.Changes() {
		return vfs.Fault{}
	}
	f.n++
	if f.from < f.n && f.n <= f.to {
		return f.fault
	}
	return vfs.Fault{}
}

func (f *failing) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func livesOn(s *store, f *failing, dump ledger) error {
	for tries := 0; ; tries++ {
		err := s.open(dump)
		if err == nil {
			break
		}
		if tries > 10 {
			return fmt.Errorf("cannot be opened: %w", err)
		}
	}
	for _, step := range []func() error{
		func() error { return s.append(3) }, s.sync, s.rotate,
		func() error { return s.append(2) },
		func() error { return s.rewrite(2) }, s.sync, s.heal,
		func() error { return s.append(2) },
	} {
		_ = step() // what it could not do is left undone; a broken writer is healed
		for tries := 0; s.w.Err() != nil; tries++ {
			if err := s.heal(); err != nil && tries > 10 {
				return fmt.Errorf("cannot be healed: %w", err)
			}
		}
	}
	over := f.count() >= f.to
	if err := errors.Join(s.append(1), s.sync(), s.rewrite(1), s.sync(), s.d.DeleteHistory()); err != nil && over {
		return fmt.Errorf("after the faults: %w", err)
	}
	return nil
}

func TestDir_FaultsAndHealing_LeaveNoFileBehind(t *testing.T) {
	for n := 0; ; n++ {
		disk := newDisk(t)
		f := &failing{from: n, to: n + 1, fault: vfs.Fault{Err: syscall.EIO}}
		s := &store{fs: vfs.NewFaulty(disk, f.rule)}
		must(t, livesOn(s, f, nil))
		if f.count() <= n {
			break
		}
		must(t, s.heal())
		named := make(map[string]bool)
		for _, e := range s.d.Manifest().Live() {
			named[inDir+e.Name] = true
		}
		for path := range snapshot(t, disk, home) {
			if !named[path] && path != manifestPath {
				t.Errorf("fault at change %d: %s is left behind", n, path)
			}
		}
	}
}

func openStore(t *testing.T, fsys vfs.FS) *store {
	t.Helper()
	s := &store{fs: fsys}
	must(t, s.open(nil))
	return s
}

func TestWriter_FirstError_IsFinal(t *testing.T) {
	var fail error
	disk := newDisk(t)
	s := openStore(t, vfs.NewFaulty(disk, func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpSync {
			return vfs.Fault{Err: fail}
		}
		return vfs.Fault{}
	}))
	must(t, s.append(3))
	before := s.w.Synced()
	fail = syscall.EIO
	first := s.w.Sync()
	if !errors.Is(first, syscall.EIO) {
		t.Fatal(first)
	}
	fail = nil // "success" next time would prove nothing
	for _, err := range []error{s.w.Sync(), s.append(1), s.w.Err(), func() error { _, err := s.d.Rotate(s.w); return err }()} {
		if err != first {
			t.Errorf("got %v, want the first error", err)
		}
	}
	if s.w.Synced() != before {
		t.Errorf("synced rose from %d to %d", before, s.w.Synced())
	}
	must(t, s.heal())
	must(t, s.append(1))
	must(t, s.sync())
}

func TestWriter_ShortWrite_IsCountedAndCutAtTheNextStart(t *testing.T) {
	disk := newDisk(t)
	short := false
	s := openStore(t, vfs.NewFaulty(disk, func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpWrite && short {
			return vfs.Fault{Short: 5, Err: syscall.ENOSPC}
		}
		return vfs.Fault{}
	}))
	must(t, s.append(4))
	size := s.w.Size()
	short = true
	if err := s.append(1); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if s.w.Size() != size+5 {
		t.Errorf("size %d, want %d", s.w.Size(), size+5)
	}
	again := openStore(t, disk.KeepAll())
	if len(again.units) != 4 || again.done.Cut == nil || again.done.Cut.Bytes != 5 {
		t.Errorf("reopened to %q, cut %+v", again.units, again.done.Cut)
	}
}

func TestWriter_AppendGoesOnWhileASyncIsUnderWay(t *testing.T) {
	disk := newDisk(t)
	reached, release := make(chan struct{}), make(chan struct{})
	slow := false
	s := openStore(t, vfs.NewFaulty(disk, func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpSync && slow {
			close(reached)
			return vfs.Fault{Until: release}
		}
		return vfs.Fault{}
	}))
	must(t, s.append(1))
	atSync := s.w.Size()
	slow = true
	done := make(chan error)
	go func() { done <- s.w.Sync() }()
	<-reached
	must(t, s.append(1))
	if s.w.Synced() >= atSync {
		t.Error("counted as synced before the sync was done")
	}
	close(release)
	must(t, <-done)
	if s.w.Synced() != atSync || s.w.Size() <= atSync {
		t.Errorf("synced %d, want %d: what was appended meanwhile is not covered", s.w.Synced(), atSync)
	}
	must(t, s.w.Close())
}

func TestRotate_MaybePublished_BreaksTheOldWriter(t *testing.T) {
	disk := newDisk(t)
	fail := false
	s := openStore(t, vfs.NewFaulty(disk, func(op vfs.Op) vfs.Fault {
		if fail && op.Kind == vfs.OpSyncDir {
			if _, err := disk.Stat(inDir + "temp-appendonly.aof.manifest"); err != nil {
				if b, _ := vfs.ReadFile(disk, manifestPath); len(b) > 100 { // the rename is done
					return vfs.Fault{Err: syscall.EIO}
				}
			}
		}
		return vfs.Fault{}
	}))
	must(t, s.append(3))
	old := s.w
	fail = true
	if err := s.rotate(); !errors.Is(err, vfs.ErrUnsure) {
		t.Fatalf("got %v", err)
	}
	if err := old.Append([]byte("x")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("a file that may have a successor was appended to: %v", err)
	}
	fail = false
	must(t, s.heal())
	if seq := s.w.Seq(); seq != 3 {
		t.Errorf("the new incr is number %d; 2 may be named on the disk", seq)
	}
	must(t, errors.Join(s.append(2), s.sync()))
	must(t, s.verify(disk.LoseUnsynced(), nil))
}

func TestCommitBase_AfterTheLogWasReplaced_IsRefused(t *testing.T) {
	disk := newDisk(t)
	s := openStore(t, disk)
	must(t, s.append(3))
	must(t, s.rotate())
	first := s.w.Seq()
	temp, err := s.tempBase()
	must(t, err)
	must(t, s.append(2))
	must(t, s.heal())
	if err := s.d.CommitBase(temp, first); !errors.Is(err, ErrSuperseded) {
		t.Fatalf("an old base was accepted: %v", err)
	}
	if _, err := disk.Stat(temp); err == nil {
		t.Error("the refused base is still there")
	}
	must(t, s.verify(disk.LoseUnsynced(), nil))
}

func TestCommitBase_OfSomethingElseThanAnRDB_IsRefused(t *testing.T) {
	disk := newDisk(t)
	s := openStore(t, disk)
	must(t, s.append(3))
	must(t, s.rotate())
	f, err := s.d.CreateTempBase()
	must(t, err)
	must(t, f.Close())
	if err := s.d.CommitBase(f.Name(), s.w.Seq()); err == nil {
		t.Fatal("an empty base was accepted")
	}
	must(t, s.verify(disk.LoseUnsynced(), nil))
}

func TestCreateWithBase_BaseNotInPlace_FailsAndLeavesAnEmptyLog(t *testing.T) {
	disk := newDisk(t)
	fail := true
	s := &store{fs: vfs.NewFaulty(disk, func(op vfs.Op) vfs.Fault {
		if fail && op.Kind == vfs.OpRename && op.To == inDir+"appendonly.aof.1.base.rdb" {
			return vfs.Fault{Err: syscall.EIO}
		}
		return vfs.Fault{}
	})}
	dump := ledger{"from the dump"}
	if err := s.open(dump); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	fail = false
	must(t, s.open(dump))
	if !s.plan.Empty() || len(s.units) != 1 {
		t.Errorf("empty: %v, units %q", s.plan.Empty(), s.units)
	}
	must(t, s.verify(disk.LoseUnsynced(), dump))
}
