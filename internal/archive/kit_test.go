package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"limpet"
	"limpet/clock"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/resp"
	"limpet/vfs"
)

func TestMain(m *testing.M) {
	becomeVictim()
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience is how long a test waits for what must happen. Nothing that passes
// ever waits so long.
const patience = 30 * time.Second

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// source is a store in memory whose clock stands until it is moved, and the
// target beside it.
type source struct {
	t      testing.TB
	clock  *clock.Fake
	fs     *vfs.Mem
	db     *limpet.DB
	target *target.Store
	o      limpet.Options
}

var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newSource(t testing.TB, o limpet.Options) *source {
	s := &source{t: t, clock: clock.NewFake(began), fs: vfs.NewMem()}
	var err error
	s.target, err = target.OpenDir(vfs.NewMem(), "/target")
	must(t, err)
	s.o = o
	s.o.Fsync, s.o.FS, s.o.Clock = limpet.Always, s.fs, s.clock // Always: what Do has answered is in the file
	s.open()
	t.Cleanup(func() { _ = s.db.Close() })
	return s
}

func (s *source) open() {
	s.t.Helper()
	var err error
	s.db, err = limpet.Open("/data", &s.o)
	must(s.t, err)
}

func (s *source) do(args ...any) resp.Value {
	s.t.Helper()
	v, err := s.db.Do(context.Background(), args...)
	must(s.t, err)
	return v
}

// rewrite runs BGREWRITEAOF to its end.
func (s *source) rewrite() {
	s.t.Helper()
	s.do("BGREWRITEAOF")
	eventually(s.t, "the rewrite ends", func() bool {
		return strings.Contains(s.do("INFO", "persistence").Text(), "aof_rewrite_in_progress:0")
	})
}

// archiver gives an archiver that holds the lease and is run pass by pass.
func (s *source) archiver(o Options) *stepper {
	s.t.Helper()
	if o.FS == nil {
		o.FS = s.fs
	}
	o.Dir, o.Clock, o.Holder = "/data", s.clock, "test"
	a := &stepper{t: s.t, Archiver: New(s.target, o)}
	must(s.t, a.takeLease(context.Background()))
	s.t.Cleanup(a.end)
	return a
}

// stepper runs an archiver one pass at a time.
type stepper struct {
	t testing.TB
	*Archiver
	attached bool
	ended    bool
}

// step is a pass, with the bases that it begins to ship.
func (a *stepper) step() {
	a.t.Helper()
	must(a.t, a.pass(context.Background(), &a.attached))
	a.shipping.Wait()
}

// end stops in good order.
func (a *stepper) end() {
	if a.ended {
		return
	}
	a.ended = true
	must(a.t, a.drain(context.Background()))
	a.shipping.Wait()
	a.follow.Close()
}

// die ends without a word, as kill -9 does, and lets the lease run out.
func (a *stepper) die(s *source) {
	a.t.Helper()
	a.ended = true
	a.follow.Close()
	must(a.t, s.target.Delete(context.Background(), leaseKey(a.lease.doc.Number)))
}

func (s *source) read() *Archive {
	s.t.Helper()
	a, err := Open(context.Background(), s.target, sealed.Keys{})
	must(s.t, err)
	return a
}

// restored restores a plan in memory and opens it with the clock at a moment, at
// which keys live or are gone.
func restored(t testing.TB, a *Archive, p *Plan, at time.Time) *limpet.DB {
	t.Helper()
	fsys := vfs.NewMem()
	must(t, a.Restore(context.Background(), p, fsys, "/restored"))
	db, err := limpet.Open("/restored", &limpet.Options{FS: fsys, Clock: clock.NewFake(at)})
	must(t, err)
	return db
}

// state is what a store holds, by "database/key".
type state map[string]string

// stateOf asks a store for everything.
func stateOf(t testing.TB, db *limpet.DB, databases int) state {
	t.Helper()
	s := state{}
	session := db.Session("", "")
	defer session.Close()
	do := func(words ...string) resp.Value {
		var b limpet.Batch
		var out resp.Writer
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		b.Add(args)
		must(t, session.Wait(session.Exec(&b, &out)))
		v, _, err := resp.Decode(out.Buf)
		must(t, err)
		must(t, v.Err())
		return v.Clone()
	}
	for n := range databases {
		do("SELECT", strconv.Itoa(n))
		for _, k := range do("KEYS", "*").Elems {
			key := k.Text()
			var value resp.Value
			switch kind := do("TYPE", key).Text(); kind {
			case "string":
				value = do("GET", key)
			case "list":
				value = do("LRANGE", key, "0", "-1")
			case "hash":
				value = do("HGETALL", key)
			default:
				t.Fatalf("%s: type %s", key, kind)
			}
			text := value.Text()
			if value.Kind == resp.ArrayReply {
				items := []string{}
				for _, e := range value.Elems {
					items = append(items, e.Text())
				}
				text = strings.Join(items, ",")
			}
			s[fmt.Sprintf("%d/%s", n, key)] = text
		}
	}
	return s
}

// difference tells two states apart in words, "" when they are the same.
func difference(got, want state) string {
	if maps.Equal(got, want) {
		return ""
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[k]; !ok || g != want[k] {
			lines = append(lines, fmt.Sprintf("%s: got %q (%v), want %q", k, g, ok, want[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			lines = append(lines, fmt.Sprintf("%s: got %q, want none", k, got[k]))
		}
	}
	return strings.Join(lines[:min(len(lines), 10)], "\n")
}

func wantErr[E error](t testing.TB, err error) (e E) {
	t.Helper()
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a %T", err, e)
	}
	return e
}
