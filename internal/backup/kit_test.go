package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"limpet/aof"
	"limpet/clock"
	"limpet/internal/hotcopy"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/vfs"
)

var ctx = context.Background()

// files is a small data set of three files, in the order of their restoring.
var files = map[string]string{
	"appendonlydir/appendonly.aof.1.incr.aof": command("SET", "a", "1") + command("SET", "b", strings.Repeat("x", 5000)),
	"appendonlydir/appendonly.aof.2.incr.aof": command("SELECT", "3") + command("SET", "c", "3"),
	"appendonlydir/appendonly.aof.manifest":   "file appendonly.aof.1.incr.aof seq 1 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n",
}

func command(args ...string) string { return string(aof.AppendCommand(nil, args...)) }

// lay writes files into a directory of a file system.
func lay(t *testing.T, fsys vfs.FS, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := fsys.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := vfs.Create(fsys, name)
		if err == nil {
			_, err = io.WriteString(f, text)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// found reads all files below a directory.
func found(t *testing.T, fsys vfs.FS, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var walk func(name string)
	walk = func(name string) {
		entries, err := fsys.ReadDir(filepath.Join(dir, name))
		if err != nil {
			return
		}
		for _, e := range entries {
			inner := filepath.Join(name, e.Name())
			if e.IsDir() {
				walk(inner)
				continue
			}
			text, err := vfs.ReadFile(fsys, filepath.Join(dir, inner))
			if err != nil {
				t.Fatal(err)
			}
			all[inner] = string(text)
		}
	}
	walk("")
	return all
}

func copyOf(t *testing.T) *hotcopy.Copy {
	t.Helper()
	mem := vfs.NewMem()
	lay(t, mem, "/d", files)
	c, err := hotcopy.Take(ctx, hotcopy.Options{Dir: "/d", FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func openDir(t *testing.T, fsys vfs.FS) *target.Store {
	t.Helper()
	s, err := target.OpenDir(fsys, "/t")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keyPair(t *testing.T) sealed.Keys {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	k, err := sealed.ParseIdentities(identity.String())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// start is the time at which the fake clocks begin; a Monday.
var start = time.Date(2026, 11, 23, 14, 3, 22, 0, time.UTC)

// put makes a backup as of a moment.
func put(t *testing.T, s *target.Store, c *hotcopy.Copy, at time.Time) *Entry {
	t.Helper()
	as := *c
	as.Time = at
	e, err := Take(ctx, s, &as, TakeOptions{Clock: clock.NewFake(at)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// prove writes a proof for a backup.
func prove(t *testing.T, s *target.Store, e *Entry, ok bool) {
	t.Helper()
	p := Proof{Time: e.Time, OK: ok, Files: fine}
	if err := createJSON(ctx, s, catalogue+e.ID+proofPrefix+fmt.Sprint(ok)+".json", p); err != nil {
		t.Fatal(err)
	}
}

// whole fails the test unless every backup of a target comes back as it was, but
// for those that it is told have been seen.
func whole(t *testing.T, s *target.Store, k sealed.Keys, seen ...string) (n int) {
	t.Helper()
	all, err := List(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if slices.Contains(seen, l.ID) {
			continue
		}
		mem := vfs.NewMem()
		if err := Restore(ctx, s, &l.Entry, "/r", RestoreOptions{FS: mem, Keys: k}); err != nil {
			t.Fatalf("%s is listed, and: %v", l.ID, err)
		}
		if got := found(t, mem, "/r"); fmt.Sprint(got) != fmt.Sprint(files) {
			t.Fatalf("%s comes back as %q", l.ID, got)
		}
	}
	return len(all)
}
