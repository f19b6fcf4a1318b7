package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"limpet"
	"limpet/aof"
	"limpet/clock"
	"limpet/internal/modeltest"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/vfs"
)

var ctx = context.Background()

// count writes n commands, a second apart, and gives the state after each.
func (s *source) count(n int) {
	s.t.Helper()
	for range n {
		s.do("INCR", "n")
		s.clock.Advance(time.Second)
	}
}

// counterAt restores a plan and reads the counter.
func counterAt(t *testing.T, a *Archive, p *Plan) string {
	t.Helper()
	db := restored(t, a, p, began)
	defer func() { must(t, db.Close()) }()
	v, err := db.Do(ctx, "GET", "n")
	must(t, err)
	return v.Text()
}

func (s *source) wantCounter(at time.Time, want string) *Plan {
	s.t.Helper()
	t := s.t.(*testing.T)
	a := s.read()
	p, err := a.PlanAt(ctx, at)
	must(t, err)
	if got := counterAt(t, a, p); got != want {
		t.Errorf("at %s: counter %s, want %s", at.Format(time.TimeOnly), got, want)
	}
	return p
}

func secondOf(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }

func TestArchiver_KilledAndStartedAgain_GoesOnInTheSameTimeline(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	a := s.archiver(Options{})
	for range 5 {
		s.count(3)
		a.step()
		s.count(2) // is in the files when the archiver dies, and not in the archive
		a.die(s)
		a = s.archiver(Options{})
	}
	a.step()
	read := s.read()
	if n := len(read.Timelines()); n != 1 {
		t.Fatalf("%d timelines", n)
	}
	for _, n := range []int{1, 7, 24} {
		s.wantCounter(secondOf(n-1), fmt.Sprint(n))
	}
}

// Each change leaves a source that does not go on where the archive ends.
func TestArchiver_SourceDoesNotGoOn_NewTimelineSaysWhy(t *testing.T) {
	const incr = "/data/appendonlydir/appendonly.aof.1.incr.aof"
	for claim, c := range map[string]struct {
		change func(s *source)
		reason string
	}{
		"RewrittenTwiceUnseen": {func(s *source) { s.rewrite(); s.rewrite() }, "gap"},
		"Truncated": {func(s *source) {
			must(s.t, s.db.Close())
			f, err := s.fs.OpenFile(incr, vfs.O_RDWR, 0)
			must(s.t, err)
			r := aof.NewReader(f, incr, 0)
			_, err = r.NextUnit()
			must(s.t, err)
			must(s.t, f.Truncate(r.CutAt()))
			must(s.t, f.Close())
			s.open()
		}, "truncated"},
		"AnotherDirectory": {func(s *source) {
			must(s.t, s.db.Close())
			must(s.t, s.fs.Rename("/data", "/old"))
			s.open()
			s.count(20)
		}, "replaced"},
	} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/ArchiverRuns=%v", claim, running), func(t *testing.T) {
				s := newSource(t, limpet.Options{Timestamps: true})
				a := s.archiver(Options{})
				a.step()
				s.count(5)
				a.step()
				if !running {
					a.die(s)
				}
				s.clock.Advance(time.Minute)
				s.do("SET", "between", "1") // nobody archives this
				s.clock.Advance(time.Minute)
				c.change(s)
				if !running {
					a = s.archiver(Options{})
				}
				for len(s.read().Timelines()) < 2 {
					a.step()
				}
				s.count(1)
				a.step()
				spans := s.read().Timelines()
				second := spans[1]
				if len(spans) != 2 || second.Reason != c.reason || second.Previous == nil || second.Previous.Segment != spans[0].Last || second.First != spans[0].Commands+1 {
					t.Fatalf("%d timelines, the second: %+v", len(spans), second.Timeline)
				}
				if second.Why == "" || running == strings.Contains(second.Why, "while no archiver ran") {
					t.Errorf("it says: %s", second.Why)
				}
				s.wantCounter(began.Add(4*time.Second), "5")
				if got := a.Progress(); got.Reason != c.reason || got.Timeline != 2 {
					t.Errorf("progress %+v", got)
				}
			})
		}
	}
}

func TestPlanAt_InAGapOrBeforeTheBeginning_IsRefused(t *testing.T) {
	s := newSource(t, limpet.Options{}) // without annotations nothing reaches back
	s.clock.Advance(time.Minute)
	a := s.archiver(Options{})
	a.step()
	s.count(3)
	a.step()
	ended := s.clock.Now()
	a.die(s)
	s.clock.Advance(time.Hour)
	s.rewrite()
	s.rewrite()
	a = s.archiver(Options{})
	a.step()
	s.count(1)
	a.step()
	read := s.read()
	_, err := read.PlanAt(ctx, ended.Add(time.Minute))
	gap := wantErr[*GapError](t, err)
	if gap.Before == nil || gap.After == nil || gap.Before.Number != 1 || gap.After.Number != 2 {
		t.Errorf("gap between %+v and %+v", gap.Before, gap.After)
	}
	_, err = read.PlanAt(ctx, began)
	if gap := wantErr[*GapError](t, err); gap.Before != nil || gap.After.Number != 1 {
		t.Errorf("gap between %+v and %+v", gap.Before, gap.After)
	}
	if p, err := read.PlanAt(ctx, s.clock.Now().Add(time.Hour)); err != nil || !strings.Contains(p.Note, "nothing after") {
		t.Errorf("later than everything: %+v, %v", p, err)
	}
}

func TestArchiver_RestoredDirectory_BeginsANewTimeline(t *testing.T) {
	for claim, at := range map[string]int{"InTheMiddle": 6, "AtTheVeryEnd": 9} {
		t.Run(claim, func(t *testing.T) {
			s := newSource(t, limpet.Options{Timestamps: true})
			a := s.archiver(Options{})
			a.step()
			s.count(10)
			a.end()
			read := s.read()
			p, err := read.PlanAt(ctx, secondOf(at))
			must(t, err)
			must(t, s.db.Close())
			must(t, s.fs.Rename("/data", "/lost"))
			must(t, read.Restore(ctx, p, s.fs, "/data"))
			s.open()
			a = s.archiver(Options{})
			a.step()
			spans := s.read().Timelines()
			if len(spans) != 2 || spans[1].Reason != "replaced" && spans[1].Reason != "truncated" {
				t.Fatalf("%d timelines, the last: %+v", len(spans), spans[len(spans)-1].Timeline)
			}
			s.count(1)
			a.step()
			s.wantCounter(s.clock.Now(), fmt.Sprint(at+2))
		})
	}
}

func TestArchiver_NoLogYet_WaitsAndSaysSo(t *testing.T) {
	s := newSource(t, limpet.Options{NoAppendOnly: true})
	a := s.archiver(Options{})
	a.step()
	if p := a.Progress(); !strings.Contains(p.Trouble, "no append-only log") {
		t.Errorf("trouble: %q", p.Trouble)
	}
	s.do("CONFIG", "SET", "appendonly", "yes")
	s.do("SET", "n", "1")
	eventually(t, "the log begins", func() bool { a.step(); return a.attached })
	a.step()
	if p := a.Progress(); p.Trouble != "" || p.Timeline != 1 {
		t.Errorf("progress %+v", p)
	}
	s.wantCounter(s.clock.Now(), "1")
}

func TestArchiver_DamagedLog_WaitsForTheNextRewrite(t *testing.T) {
	s := newSource(t, limpet.Options{})
	s.rewrite()
	s.count(2)
	a := s.archiver(Options{})
	a.step()
	f, err := s.fs.OpenFile("/data/appendonlydir/appendonly.aof.2.incr.aof", vfs.O_WRONLY|vfs.O_APPEND, 0)
	must(t, err)
	_, err = f.Write([]byte("*1\r\n+no\r\n"))
	must(t, err)
	must(t, f.Close())
	for range 3 {
		a.step()
	}
	if p := a.Progress(); !strings.Contains(p.Trouble, "BGREWRITEAOF") || p.Timeline > 2 {
		t.Fatalf("progress %+v", p)
	}
	s.rewrite()
	s.count(1)
	a.step()
	a.step()
	if p := a.Progress(); p.Trouble != "" || p.Reason != "damaged" {
		t.Errorf("progress %+v", p)
	}
	s.wantCounter(s.clock.Now(), "3")
}

func TestArchiver_NoAnnotations_TimesAreThoseOfReading(t *testing.T) {
	s := newSource(t, limpet.Options{})
	a := s.archiver(Options{})
	a.step()
	s.do("SET", "n", "1")
	s.clock.Advance(700 * time.Millisecond)
	a.step()
	readAt := s.clock.Now()
	p := s.wantCounter(readAt, "1")
	if p.Stamped || !p.At.Equal(readAt) {
		t.Errorf("at %v, stamped %v", p.At, p.Stamped)
	}
	before := s.wantCounter(readAt.Add(-time.Millisecond), "")
	if before.Next == nil || before.Next.Stamped || before.Command != 0 {
		t.Errorf("before the reading: %+v", before)
	}
}

func TestArchiver_AnnotationsSwitchedOff_OldOnesDateNothing(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	a := s.archiver(Options{})
	a.step()
	s.do("SET", "n", "1")
	a.step()
	s.do("CONFIG", "SET", "aof-timestamp-enabled", "no")
	for range 4 {
		s.clock.Advance(time.Second)
		a.step()
	}
	s.do("SET", "n", "2")
	s.clock.Advance(time.Second)
	a.step()
	if p := s.wantCounter(secondOf(4), "1"); !p.Stamped {
		t.Errorf("stamped %v", p.Stamped)
	}
	if p := s.wantCounter(secondOf(5), "2"); p.Stamped {
		t.Errorf("stamped %v", p.Stamped)
	}
}

func TestArchiver_EncryptedToARecipient_GoesOnWithoutTheSecret(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	public, err := sealed.ParseRecipients(identity.Recipient().String())
	must(t, err)
	secret, err := sealed.ParseIdentities(identity.String())
	must(t, err)
	s := newSource(t, limpet.Options{Timestamps: true})
	s.do("SET", "a-word-to-look-for", "1")
	s.rewrite()
	for range 3 {
		a := s.archiver(Options{Keys: public})
		a.step()
		s.do("SET", "n", "a-word-to-look-for")
		s.clock.Advance(time.Second)
		a.end()
	}
	a, err := Open(ctx, s.target, secret)
	must(t, err)
	p, err := a.PlanEnd(ctx)
	must(t, err)
	if got := counterAt(t, a, p); got != "a-word-to-look-for" || len(a.Timelines()) != 1 {
		t.Errorf("%q in %d timelines", got, len(a.Timelines()))
	}
	blind := s.read()
	if _, err := blind.PlanEnd(ctx); !errors.Is(err, sealed.ErrNeedsKey) {
		t.Errorf("without the secret: %v", err)
	}
	objects, err := s.target.List(ctx, "")
	must(t, err)
	for _, o := range objects {
		r, err := s.target.Get(ctx, o.Key)
		must(t, err)
		b, err := io.ReadAll(r)
		must(t, errors.Join(err, r.Close()))
		if bytes.Contains(b, []byte("a-word-to-look-for")) {
			t.Errorf("%s shows it", o.Key)
		}
	}
}

func TestLastSegment_OverManyGroups_IsFound(t *testing.T) {
	s, err := target.OpenDir(vfs.NewMem(), "/target")
	must(t, err)
	n := uint64(0)
	for _, last := range []uint64{0, 1, 998, 999, 1000, 1001, 1999, 2000, 3500, 7999} {
		for n < last {
			if n++; n < last && n%groupSize < groupSize-2 {
				continue // only the end of a group counts
			}
			must(t, s.Create(ctx, segmentKey(1, n), strings.NewReader("")))
		}
		for _, hint := range []uint64{0, 1, last / 2, last, last + 1, 50000} {
			got, err := lastSegment(ctx, s, 1, hint)
			must(t, err)
			if got != last {
				t.Fatalf("%d segments, hint %d: %d", last, hint, got)
			}
		}
	}
}

// faulty is a target whose calls fail as a test likes.
type faulty struct {
	Store
	mu     sync.Mutex
	before func(op, key string) error // asked before each call
	after  func(op, key string) error // asked after each that succeeded: its answer is lost
}

func (f *faulty) ask(which func(op, key string) error, op, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if which == nil {
		return nil
	}
	return which(op, key)
}

func (f *faulty) Create(ctx context.Context, key string, r io.Reader) error {
	if err := f.ask(f.before, "create", key); err != nil {
		return err
	}
	if err := f.Store.Create(ctx, key, r); err != nil {
		return err
	}
	return f.ask(f.after, "create", key)
}

func (f *faulty) Put(ctx context.Context, key string, r io.Reader) error {
	if err := f.ask(f.before, "put", key); err != nil {
		return err
	}
	return f.Store.Put(ctx, key, r)
}

func (f *faulty) List(ctx context.Context, prefix string) ([]target.Object, error) {
	if err := f.ask(f.before, "list", prefix); err != nil {
		return nil, err
	}
	return f.Store.List(ctx, prefix)
}

func TestArchiver_LostAnswers_NothingIsShippedTwiceOrLeftOut(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	flaky := &faulty{Store: s.target}
	n := 0
	flaky.before = func(op, key string) error {
		if n++; n%3 == 0 && op == "create" {
			return errors.New("refused")
		}
		return nil
	}
	flaky.after = func(op, key string) error {
		if n++; n%2 == 0 && strings.Contains(key, "/data/") {
			return errors.New("the answer was lost")
		}
		return nil
	}
	o := Options{FS: s.fs, Dir: "/data", Clock: clock.Real(), Holder: "test", Interval: time.Millisecond}
	a := &stepper{t: t, Archiver: New(flaky, o)}
	must(t, a.takeLease(ctx))
	defer a.end()
	for i := range 30 {
		s.count(1)
		a.step()
		if i%10 == 5 {
			s.rewrite()
			a.step()
		}
	}
	read := s.read()
	if spans := read.Timelines(); len(spans) != 1 || spans[0].Last != 30 {
		t.Fatalf("%d timelines, the first with %d segments", len(spans), spans[0].Last)
	}
	for _, n := range []int{1, 10, 30} {
		s.wantCounter(secondOf(n-1), fmt.Sprint(n))
	}
}

func TestArchiver_TargetGone_NothingIsMarkedDone_AndNothingIsMissingOnceItIsBack(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	down, gate := errors.New("no route to host"), make(chan struct{})
	flaky := &faulty{Store: s.target}
	a := New(flaky, Options{FS: s.fs, Dir: "/data", Holder: "test", Interval: time.Millisecond, TTL: time.Hour})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	s.count(3)
	eventually(t, "three are shipped", func() bool { return a.Progress().Commands >= 4 }) // with a SELECT
	flaky.mu.Lock()
	flaky.before = func(string, string) error {
		select {
		case <-gate:
			return nil
		default:
			return down
		}
	}
	flaky.mu.Unlock()
	s.count(3)
	s.rewrite()
	s.count(3)
	eventually(t, "the trouble is told", func() bool { return strings.Contains(a.Progress().Trouble, down.Error()) })
	if p := a.Progress(); p.Commands != 4 || p.Bytes == 0 && p.Files == 0 {
		t.Errorf("progress %+v", p)
	}
	if got := s.read().Timelines()[0].Commands; got != 4 {
		t.Errorf("%d commands in the archive, want 4", got)
	}
	close(gate)
	eventually(t, "the rest is shipped", func() bool { return a.Progress().Commands >= 11 && a.Progress().Trouble == "" })
	stop()
	must(t, <-ended)
	if n := len(s.read().Timelines()); n != 1 {
		t.Errorf("%d timelines", n)
	}
	s.wantCounter(secondOf(8), "9")
}

func TestArchiver_StoppedWhileASegmentIsOnItsWay_ItIsShippedAtTheEnd(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	flaky := &faulty{Store: s.target}
	running, stop := context.WithCancel(ctx)
	tried := 0
	flaky.before = func(op, key string) error {
		if strings.Contains(key, "/segment/") && op == "create" && running.Err() == nil {
			if tried++; tried == 3 {
				stop()
			}
			return errors.New("refused")
		}
		return nil
	}
	a := New(flaky, Options{FS: s.fs, Dir: "/data", Holder: "test", Interval: time.Millisecond})
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	s.count(3)
	must(t, <-ended)
	s.wantCounter(secondOf(2), "3")
}

// A target on a disk that fails in the middle of what is written: whatever is
// under a key is whole.
func TestArchiver_DiskOfTheTargetFails_WhatIsThereIsWhole(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	disk, rng := vfs.NewMem(), modeltest.Rand(t)
	var mu sync.Mutex
	failing := vfs.NewFaulty(disk, func(op vfs.Op) vfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		if op.Changes() && rng.IntN(20) == 0 {
			return vfs.Fault{Err: errors.New("input/output error"), Short: 100}
		}
		return vfs.Fault{}
	})
	store, err := target.OpenDir(failing, "/target")
	must(t, err)
	s.target, err = target.OpenDir(disk, "/target")
	must(t, err)
	a := &stepper{t: t, Archiver: New(store, Options{FS: s.fs, Dir: "/data", Holder: "test", Interval: time.Millisecond})}
	must(t, a.takeLease(ctx))
	for range 25 {
		s.count(1)
		a.step()
		read := s.read()
		p, err := read.PlanEnd(ctx)
		must(t, err)
		if p.Command != a.Progress().Commands {
			t.Fatalf("the archive ends at command %d, marked done is %d", p.Command, a.Progress().Commands)
		}
	}
	a.shipping.Wait()
	a.follow.Close()
	s.wantCounter(s.clock.Now(), "25")
}

func TestRestore_DamagedArchive_GivesAnErrorAndNoDirectory(t *testing.T) {
	for claim, damage := range map[string]func(t *testing.T, s *source){
		"Missing": func(t *testing.T, s *source) { must(t, s.target.Delete(ctx, segmentKey(1, 3))) },
		"Replaced": func(t *testing.T, s *source) {
			r, err := s.target.Get(ctx, segmentKey(1, 4))
			must(t, err)
			must(t, s.target.Put(ctx, segmentKey(1, 3), r))
			must(t, r.Close())
		},
		"BodyChanged":   func(t *testing.T, s *source) { s.edit(segmentKey(1, 3), "INCR", "DECR") },
		"HeaderChanged": func(t *testing.T, s *source) { s.edit(segmentKey(1, 3), `"commands":2`, `"commands":1`) },
		"Base":          func(t *testing.T, s *source) { s.edit(baseKey(1, 1, 2), `"size":`, `"size":1`) },
	} {
		t.Run(claim, func(t *testing.T) {
			s := newSource(t, limpet.Options{Timestamps: true})
			s.rewrite()
			a := s.archiver(Options{})
			for range 5 {
				s.count(2)
				a.step()
			}
			a.end()
			damage(t, s)
			read := s.read()
			p, err := read.PlanEnd(ctx)
			must(t, err)
			fsys := vfs.NewMem()
			must(t, fsys.MkdirAll("/r", 0o755))
			if err := read.Restore(ctx, p, fsys, "/r"); err == nil {
				t.Fatal("restored")
			}
			if names, err := fsys.ReadDir("/r"); err != nil || len(names) > 0 {
				t.Errorf("left behind: %v %v", names, err)
			}
			if claim == "Base" {
				return
			}
			early, err := read.PlanAt(ctx, secondOf(2))
			must(t, err)
			if got := counterAt(t, read, early); got != "3" {
				t.Errorf("before the damage: counter %s, want 3", got)
			}
		})
	}
}

// edit changes an object. What is sealed is found by its header alone, so a body
// is changed by cutting its last byte.
func (s *source) edit(key, old, text string) {
	s.t.Helper()
	r, err := s.target.Get(ctx, key)
	must(s.t, err)
	b, err := io.ReadAll(r)
	must(s.t, errors.Join(err, r.Close()))
	changed := strings.Replace(string(b), old, text, 1)
	if changed == string(b) {
		changed = string(b[:len(b)-1])
	}
	must(s.t, s.target.Put(ctx, key, strings.NewReader(changed)))
}

func TestRestore_DirectoryInUse_IsLeftAlone(t *testing.T) {
	s := newSource(t, limpet.Options{})
	a := s.archiver(Options{})
	s.count(1)
	a.step()
	read := s.read()
	p, err := read.PlanEnd(ctx)
	must(t, err)
	if err := read.Restore(ctx, p, s.fs, "/data"); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("got %v", err)
	}
	// What a restore leaves that was killed is no data of anybody's.
	fsys := vfs.NewMem()
	must(t, fsys.MkdirAll("/r/appendonlydir.partial", 0o755))
	f, err := vfs.Create(fsys, filepath.Join("/r/appendonlydir.partial", "appendonly.aof.1.incr.aof"))
	must(t, err)
	must(t, f.Close())
	must(t, read.Restore(ctx, p, fsys, "/r"))
}

func TestFlushes_FindsThemWithTheMomentBefore(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	a := s.archiver(Options{})
	a.step()
	if _, err := s.read().Flushes(ctx, 1); !errors.Is(err, ErrNoFlush) {
		t.Errorf("without one: %v", err)
	}
	s.count(3)
	s.do("FLUSHALL")
	a.step()
	s.clock.Advance(time.Minute)
	keys := []any{"DEL"}
	for i := range 700 {
		s.do("SET", fmt.Sprint("a", i), "1")
		s.do("SET", fmt.Sprint("b", i), "1")
		keys = append(keys, fmt.Sprint("a", i))
	}
	s.do("SET", "n", "before the deletion")
	a.step()
	s.clock.Advance(time.Minute)
	deletedAt := s.clock.Now()
	s.do(keys...)
	a.step()
	for i := range 650 {
		s.do("DEL", fmt.Sprint("b", i))
		if i%200 == 0 {
			a.step()
		}
	}
	s.do("SET", "after", "1")
	a.step()
	read := s.read()
	found, err := read.Flushes(ctx, 10)
	must(t, err)
	if len(found) != 2 || found[0].Keys != 1350 || found[1].What != "FLUSHALL" {
		t.Fatalf("found %+v", found)
	}
	if at, stamped := found[0].At(); !stamped || !at.Equal(deletedAt) {
		t.Errorf("at %v, stamped %v", at, stamped)
	}
	for i, want := range []string{"before the deletion", "3"} {
		p, err := read.PlanBeforeCommand(ctx, found[i].Command)
		must(t, err)
		if got := counterAt(t, read, p); got != want {
			t.Errorf("before %s: %q, want %q", found[i].What, got, want)
		}
		if p.Next == nil || p.Next.Number != found[i].Command {
			t.Errorf("before %s: next is %+v", found[i].What, p.Next)
		}
	}
}

func TestPlanBeforeCommand_AnyNumber_CutsThereOrBeforeTheTransaction(t *testing.T) {
	s := newSource(t, limpet.Options{})
	a := s.archiver(Options{})
	a.step()
	for i := range 6 {
		s.do("EVAL", "redis.call('INCR', KEYS[1]); redis.call('INCR', KEYS[2])", 2, "n", "m")
		if i%2 == 1 {
			a.step()
		}
	}
	read := s.read()
	last := read.Timelines()[0].Commands
	if last != 1+6*4 { // SELECT, and MULTI INCR INCR EXEC
		t.Fatalf("%d commands", last)
	}
	for number := uint64(1); number <= last; number++ {
		p, err := read.PlanBeforeCommand(ctx, number)
		must(t, err)
		db := restored(t, read, p, began)
		got := stateOf(t, db, 1)
		must(t, db.Close())
		want := state{}
		if whole := max(0, int(number)-2) / 4; whole > 0 {
			want["0/n"], want["0/m"] = fmt.Sprint(whole), fmt.Sprint(whole)
		}
		if d := difference(got, want); d != "" {
			t.Fatalf("before command %d:\n%s", number, d)
		}
	}
	for _, number := range []uint64{0, last + 1} {
		if _, err := read.PlanBeforeCommand(ctx, number); err == nil || !strings.Contains(err.Error(), "1 to 25") {
			t.Errorf("command %d: %v", number, err)
		}
	}
}

func TestHistory_OfAKey_IsEveryCommandThatTouchedIt(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	a := s.archiver(Options{})
	a.step()
	for _, c := range [][]any{
		{"SET", "k", "1"}, {"SET", "other", "k"}, {"RENAME", "k", "moved"}, {"MSET", "x", "k", "k", "2"},
		{"DEL", "a", "b"}, {"DEL", "other", "k"}, {"EVAL", "redis.call('SET', 'k', 3); redis.call('SET', 'y', 3)", 0}, {"FLUSHALL"},
	} {
		s.do(c...)
		s.clock.Advance(time.Second)
		a.step()
	}
	var got []string
	read := s.read()
	gather := func(e Event) error {
		if c := e.Command; c != nil {
			got = append(got, fmt.Sprintf("%s %s", c.At.Sub(began), bytes.Join(c.Args[:min(2, len(c.Args))], []byte(" "))))
		}
		return nil
	}
	must(t, read.History(ctx, Query{Key: []byte("k")}, gather))
	want := "0s SET k, 2s RENAME k, 3s MSET x, 5s DEL k, 6s SET k, 7s FLUSHALL"
	if have := strings.Join(got, ", "); have != want && have != strings.Replace(want, "DEL k", "DEL other", 1) {
		t.Errorf("got  %s\nwant %s", have, want)
	}
	got = nil
	must(t, read.History(ctx, Query{Since: secondOf(2), Until: secondOf(3)}, gather))
	if have := strings.Join(got, ", "); have != "2s RENAME k, 3s MSET x" {
		t.Errorf("from 2s to 3s: %s", have)
	}
}
