package limpet_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"limpet"
	"limpet/resp"
	"limpet/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const home = "/data"

var ctx = context.Background()

// open opens a store that is closed with the test.
func open(t *testing.T, dir string, o limpet.Options) *limpet.DB {
	t.Helper()
	db, err := limpet.Open(dir, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func closeDB(t *testing.T, db *limpet.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// do runs a command that cannot fail.
func do(t *testing.T, db *limpet.DB, args ...any) resp.Value {
	t.Helper()
	v, err := db.Do(ctx, args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

// eventually waits for a condition.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatal("waited in vain")
		case <-tick.C:
		}
	}
}

// contents is every file below a directory with what is in it, but for locks.
func contents(t *testing.T, fsys vfs.FS, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			for name, text := range contents(t, fsys, path) {
				found[name] = text
			}
			continue
		}
		if strings.HasSuffix(path, ".lock") {
			continue
		}
		b, err := vfs.ReadFile(fsys, path)
		if err != nil {
			t.Fatal(err)
		}
		found[path] = string(b)
	}
	return found
}

// wantUnchanged compares two contents.
func wantUnchanged(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name, text := range before {
		if now, there := after[name]; !there || now != text {
			t.Errorf("%s was changed: %d bytes before, %d now, there: %v", name, len(text), len(now), there)
		}
	}
	for name := range after {
		if _, there := before[name]; !there {
			t.Errorf("%s was created", name)
		}
	}
}

func TestOpen_NilOptions_KeepsDataInARealDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	for want := int64(1); want <= 3; want++ {
		db, err := limpet.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if v := do(t, db, "INCR", "starts"); v.Int != want {
			t.Fatalf("start %d: counter %d", want, v.Int)
		}
		closeDB(t, db)
	}
}

func TestOpen_PathOfAFile_IsAClearError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if db, err := limpet.Open(path, nil); err == nil {
		_ = db.Close()
		t.Fatal("opened a file as a directory")
	} else if !strings.Contains(err.Error(), "not a directory") {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Error("the file was changed")
	}
}

func TestOpen_Twice_TheSecondIsRefusedAndChangesNothing(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, limpet.Options{Fsync: limpet.Always})
	do(t, db, "SET", "a", "1")
	before := contents(t, vfs.OS(), dir)
	second, err := limpet.Open(dir, nil)
	if err == nil {
		_ = second.Close()
		t.Fatal("two stores in one directory")
	}
	var locked *vfs.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("want a *vfs.LockedError that names this process, got %v", err)
	}
	wantUnchanged(t, before, contents(t, vfs.OS(), dir))
	do(t, db, "SET", "a", "2")
	closeDB(t, db)
	if v := do(t, open(t, dir, limpet.Options{}), "GET", "a"); v.Text() != "2" {
		t.Errorf("a is %q", v.Text())
	}
}

func TestDo_Arguments_AreStringsBytesAndNumbers(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	do(t, db, "RPUSH", "l", "text", []byte{0, 255}, 7, int64(-8), uint64(9), 1.5, 0.1, math.Inf(-1))
	var got []string
	for _, e := range do(t, db, "LRANGE", "l", 0, -1).Elems {
		got = append(got, e.Text())
	}
	if want := []string{"text", "\x00\xff", "7", "-8", "9", "1.5", "0.1", "-Inf"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range [][]any{{"SET", "k", true}, {"SET", "k", nil}, {"SET", "k", math.NaN()}, {}} {
		if _, err := db.Do(ctx, bad...); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestDo_ErrorReply_IsAServerError(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	do(t, db, "SET", "text", "x")
	_, err := db.Do(ctx, "LPUSH", "text", "y")
	var wire resp.ServerError
	if !errors.As(err, &wire) || !strings.HasPrefix(string(wire), "WRONGTYPE ") {
		t.Errorf("got %v", err)
	}
}

func TestDo_CommandsOfAConnection_NeedASession(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	for _, name := range []string{"MULTI", "exec", "WATCH", "SELECT", "HELLO", "RESET", "QUIT", "CLIENT"} {
		if _, err := db.Do(ctx, name, "1"); err == nil || !strings.Contains(err.Error(), "use a Session") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDo_CancelledContext_RunsNothing(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := db.Do(cancelled, "SET", "a", "1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if v := do(t, db, "EXISTS", "a"); v.Int != 0 {
		t.Error("it ran all the same")
	}
}

func TestDo_RepliesAreTheCallers(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	do(t, db, "SET", "a", strings.Repeat("a", 1000))
	v := do(t, db, "GET", "a")
	for range 100 {
		do(t, db, "SET", "b", strings.Repeat("b", 1000))
		do(t, db, "GET", "b")
	}
	if v.Text() != strings.Repeat("a", 1000) {
		t.Error("a later command wrote over an earlier reply")
	}
}

func TestDo_ManyGoroutines_EachUnitRunsAlone(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem(), Fsync: limpet.Always})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 200 {
				if _, err := db.Do(ctx, "EVAL", "local n = redis.call('GET', KEYS[1]) or 0; return redis.call('SET', KEYS[1], n + 1)", 1, "n"); err != nil {
					t.Error(err)
				}
				if _, err := db.Do(ctx, "HSET", "h", fmt.Sprint(g), i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if v := do(t, db, "GET", "n"); v.Text() != "1600" {
		t.Errorf("counted to %s", v.Text())
	}
}

func TestShutdown_TellsTheOwnerAndKeepsServingUntilClose(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, home, limpet.Options{FS: mem})
	do(t, db, "SHUTDOWN")
	select {
	case <-db.Done():
	case <-time.After(60 * time.Second):
		t.Fatal("Done was not closed")
	}
	for range 20 { // more than there are sessions in the pool
		do(t, db, "INCR", "a")
	}
	closeDB(t, db)
	if v := do(t, open(t, home, limpet.Options{FS: mem}), "GET", "a"); v.Text() != "20" {
		t.Errorf("a is %s", v.Text())
	}
}

func TestClose_WritesAfterIt_AreRefused(t *testing.T) {
	for _, p := range []limpet.Policy{limpet.EverySec, limpet.Always, limpet.No} {
		db := open(t, home, limpet.Options{FS: vfs.NewMem(), Fsync: p})
		closeDB(t, db)
		if _, err := db.Do(ctx, "SET", "a", "1"); err == nil || !strings.Contains(err.Error(), "the store is closed") {
			t.Errorf("%v: %v", p, err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("%v: closing twice: %v", p, err)
		}
	}
}

func TestOpen_DirectoryMadeAnew_SurvivesAPowerCut(t *testing.T) {
	disk := vfs.NewCrash()
	db := open(t, "/a/b/c", limpet.Options{FS: disk, Fsync: limpet.Always})
	do(t, db, "SET", "a", "1")
	lost := disk.LoseUnsynced()
	if _, err := lost.Stat("/a/b/c"); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the directory is gone, and with it what was acknowledged")
	}
	if v := do(t, open(t, "/a/b/c", limpet.Options{FS: lost}), "GET", "a"); v.Text() != "1" {
		t.Errorf("a is %q", v.Text())
	}
}
