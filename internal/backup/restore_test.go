package backup

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"limpet/vfs"
)

// A server that is started on the directory finds nothing or everything. The
// next restore always succeeds.
func TestRestore_PowerCutAtEveryStep_NothingOrEverything(t *testing.T) {
	s := openDir(t, vfs.NewMem())
	e := put(t, s, copyOf(t), start)
	for step := range 10_000 {
		disk := vfs.NewCrash()
		disk.StopBefore(step)
		err := Restore(ctx, s, e, "/r", RestoreOptions{FS: disk})
		rng := rand.New(rand.NewPCG(1, uint64(step)))
		for _, image := range []*vfs.Crash{disk.LoseUnsynced(), disk.KeepAll(), disk.CrashImage(rng), disk.CrashImage(rng), disk.CrashImage(rng)} {
			got := found(t, image, "/r")
			maps.DeleteFunc(got, func(name, _ string) bool { return strings.HasPrefix(name, landingName) })
			if len(got) != 0 && fmt.Sprint(got) != fmt.Sprint(files) || err == nil && len(got) == 0 {
				t.Fatalf("step %d (%v): %q", step, err, got)
			}
			if len(got) == 0 {
				if err := Restore(ctx, s, e, "/r", RestoreOptions{FS: image}); err != nil {
					t.Fatalf("step %d: the next restore: %v", step, err)
				}
				if got := found(t, image, "/r"); fmt.Sprint(got) != fmt.Sprint(files) {
					t.Fatalf("step %d: the next restore: %q", step, got)
				}
			}
		}
		if !disk.PowerIsOff() {
			return
		}
	}
	t.Fatal("it never came to an end")
}

// Every object is cut, changed, emptied and removed in turn.
func TestRestore_DamagedObject_DirectoryStaysEmpty(t *testing.T) {
	for name, k := range map[string]RestoreOptions{"plain": {}, "encrypted": {Keys: keyPair(t)}} {
		s := openDir(t, vfs.NewMem())
		e, err := Take(ctx, s, copyOf(t), TakeOptions{Keys: k.Keys})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range e.Files {
			r, err := s.Get(ctx, f.Object)
			if err != nil {
				t.Fatal(err)
			}
			object, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				t.Fatal(err)
			}
			changed := []byte(string(object))
			changed[len(changed)*2/3] ^= 1
			for what, bytes := range map[string][]byte{"cut": object[:len(object)-5], "changed": changed, "empty": {}, "gone": nil, "doubled": append(object[:len(object):len(object)], object...)} {
				err := s.Delete(ctx, f.Object)
				if bytes != nil {
					err = s.Put(ctx, f.Object, strings.NewReader(string(bytes)))
				}
				if err != nil {
					t.Fatal(err)
				}
				mem := vfs.NewMem()
				k.FS = mem
				if err := Restore(ctx, s, e, "/r", k); !IsBad(err) {
					t.Errorf("%s: %s %s: %v", name, f.Object, what, err)
				}
				if left := found(t, mem, "/r"); len(left) != 0 {
					t.Errorf("%s: %s %s: left %v", name, f.Object, what, left)
				}
			}
			if err := s.Put(ctx, f.Object, strings.NewReader(string(object))); err != nil {
				t.Fatal(err)
			}
		}
		if whole(t, s, k.Keys) != 1 {
			t.Error("the test has not put back what it took")
		}
	}
}

func TestRestore_DirectoryInUse_IsLeftAlone(t *testing.T) {
	s := openDir(t, vfs.NewMem())
	e := put(t, s, copyOf(t), start)
	mem := vfs.NewMem()
	lay(t, mem, "/r", map[string]string{"dump.rdb": "precious"})
	var taken *OccupiedError
	if err := Restore(ctx, s, e, "/r", RestoreOptions{FS: mem}); !errors.As(err, &taken) || taken.Found != "dump.rdb" {
		t.Errorf("not empty: %v", err)
	}
	if got := found(t, mem, "/r"); fmt.Sprint(got) != "map[dump.rdb:precious]" {
		t.Errorf("it was changed: %v", got)
	}
	l, err := Land(mem, "/other")
	if err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, s, e, "/other", RestoreOptions{FS: mem}); !errors.As(err, &taken) || taken.By == nil {
		t.Errorf("another restore: %v", err)
	}
	if err := l.Abandon(); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, s, e, "/other", RestoreOptions{FS: mem}); err != nil {
		t.Error(err)
	}
}

func TestRestore_HostileNames_AreRefused(t *testing.T) {
	s := openDir(t, vfs.NewMem())
	e := put(t, s, copyOf(t), start)
	for _, name := range []string{"../x", "/etc/x", "a/../../x", "", ".", "a//b", landingName + "/lock"} {
		mem, bad := vfs.NewMem(), *e
		bad.Files = []File{e.Files[0]}
		bad.Files[0].Name = name
		if err := Restore(ctx, s, &bad, "/r", RestoreOptions{FS: mem}); err == nil {
			t.Errorf("%q was taken", name)
		}
		if got := found(t, mem, "/"); len(got) != 0 {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestFind_NoSuchBackup_IsTold(t *testing.T) {
	s := openDir(t, vfs.NewMem())
	var none *NotFoundError
	if _, err := Find(ctx, s, ""); !errors.As(err, &none) || none.ID != "" {
		t.Errorf("empty target: %v", err)
	}
	e := put(t, s, copyOf(t), start)
	if _, err := Find(ctx, s, "2025"); !errors.As(err, &none) || none.ID != "2025" {
		t.Errorf("other id: %v", err)
	}
	put(t, s, copyOf(t), start)
	if _, err := Find(ctx, s, "2026"); err == nil {
		t.Error("two backups fit, and one was taken")
	}
	if l, err := Find(ctx, s, e.ID); err != nil || l.ID != e.ID {
		t.Error(err)
	}
	if err := Restore(ctx, s, &Entry{ID: "gone"}, "/r", RestoreOptions{FS: vfs.NewMem()}); !errors.As(err, &none) {
		t.Errorf("an entry that was pruned: %v", err)
	}
}
