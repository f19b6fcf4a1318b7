package target_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"limpet/internal/target"
	"limpet/vfs"
)

func read(t *testing.T, s *target.Store, key string) (text string, found bool) {
	t.Helper()
	r, err := s.Get(context.Background(), key)
	if errors.Is(err, target.ErrNotFound) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b), true
}

// The power is cut before each operation of a Put over an old object, of a
// Create and of a Delete. What is under a key is whole, and what was
// acknowledged is there.
func TestDirectory_CrashAtEveryStep_OldOrNewNeverNeither(t *testing.T) {
	const long = 100_000
	for step := range 1000 {
		fsys := vfs.NewCrash()
		s := openDir(t, fsys)
		put := func(key, text string) error { return s.Put(context.Background(), key, strings.NewReader(text)) }
		if err := put("a/old", "old"); err != nil {
			t.Fatal(err)
		}
		fsys.StopBefore(step)
		replaced := put("a/old", strings.Repeat("n", long))
		created := s.Create(context.Background(), "b/c/lease", strings.NewReader(strings.Repeat("l", long)))
		deleted := s.Delete(context.Background(), "b/c/lease")
		last := put("a/last", "last")

		rng := rand.New(rand.NewPCG(1, uint64(step)))
		images := []*vfs.Crash{fsys.LoseUnsynced(), fsys.KeepAll()}
		for range 10 {
			images = append(images, fsys.CrashImage(rng))
		}
		for _, image := range images {
			after := openDir(t, image)
			if text, found := read(t, after, "a/old"); text != "old" && text != strings.Repeat("n", long) || replaced == nil && len(text) != long || !found {
				t.Fatalf("step %d: a/old: %d bytes, found %v, after %v", step, len(text), found, replaced)
			}
			text, found := read(t, after, "b/c/lease")
			if found && len(text) != long {
				t.Fatalf("step %d: lease: half an object, %d bytes", step, len(text))
			}
			if created == nil && deleted == nil && found {
				t.Fatalf("step %d: lease: deleted, and there again", step)
			}
			if text, _ := read(t, after, "a/last"); last == nil && text != "last" {
				t.Fatalf("step %d: a/last: %q", step, text)
			}
		}
		if !fsys.PowerIsOff() {
			return
		}
	}
	t.Fatal("it never came to an end")
}

func TestDirectory_WithoutHardLinks_CreateStillHasOneWinner(t *testing.T) {
	mem := vfs.NewMem()
	fsys := vfs.NewFaulty(mem, func(op vfs.Op) (f vfs.Fault) {
		if op.Kind == vfs.OpLink {
			f.Err = syscall.EPERM
		}
		return f
	})
	s := openDir(t, fsys)
	won := make(chan int, 8)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			err := s.Create(context.Background(), "lease", strings.NewReader("x"))
			switch {
			case err == nil:
				won <- i
			case !errors.Is(err, target.ErrExists):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Errorf("%d winners", len(won))
	}
}

// A disk that is full, or fails, at any operation of a Put.
func TestDirectory_OperationFails_ObjectIsOldOrWholeNew(t *testing.T) {
	for step := range 1000 {
		mem, n := vfs.NewMem(), -1
		s := openDir(t, vfs.NewFaulty(mem, func(op vfs.Op) (f vfs.Fault) {
			if n >= 0 && op.Changes() {
				if n == 0 {
					f = vfs.Fault{Err: syscall.ENOSPC, Short: 3}
				}
				n--
			}
			return f
		}))
		if err := s.Put(context.Background(), "a/k", strings.NewReader("old")); err != nil {
			t.Fatal(err)
		}
		n = step
		err := s.Put(context.Background(), "b/new", strings.NewReader(strings.Repeat("n", 100_000)))
		over := s.Put(context.Background(), "a/k", strings.NewReader("replaced"))
		met := n < 0
		if met && err == nil && over == nil {
			t.Errorf("step %d: nobody was told", step)
		}
		n = -1
		text, _ := read(t, s, "a/k")
		if text != "replaced" && (over == nil || text != "old") {
			t.Errorf("step %d: a/k: %q after %v", step, text, over)
		}
		if text, found := read(t, s, "b/new"); found && len(text) != 100_000 || err == nil && !found {
			t.Errorf("step %d: b/new: %d bytes after %v", step, len(text), err)
		}
		if left, _ := mem.ReadDir("/t/.partial"); len(left) > 1 {
			t.Errorf("step %d: %d unfinished files left", step, len(left))
		}
		if !met {
			return
		}
	}
	t.Fatal("it never came to an end")
}

// Objects of one directory are deleted side by side: whoever empties it removes it.
func TestDir_ManyDeleteInOneDirectory_NoneFails(t *testing.T) {
	s, err := target.OpenDir(vfs.OS(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		var deleting sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			if err := s.Put(context.Background(), fmt.Sprintf("a/b/%d", i), strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
		}
		for i := range errs {
			deleting.Go(func() { errs[i] = s.Delete(context.Background(), fmt.Sprintf("a/b/%d", i)) })
		}
		deleting.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
}
