package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"limpet"
	"limpet/clock"
	"limpet/internal/modeltest"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/vfs"
)

// recorded is an archive of a counter that was counted up once a second, with
// rewrites and new timelines.
type recorded struct {
	*source
	objects map[string]string // of the target, by key
	seconds int
	unseen  map[int]bool // seconds in which something was written that no archiver saw
}

// record records three timelines of some bases each.
func record(t *testing.T, perTimeline int) *recorded {
	t.Helper()
	s := newSource(t, limpet.Options{Timestamps: true})
	r := &recorded{source: s, unseen: map[int]bool{}}
	for timeline := range 3 {
		a := s.archiver(Options{})
		a.step()
		for n := range perTimeline {
			s.count(1)
			r.seconds++
			a.step()
			if n%7 == 5 {
				s.rewrite()
				a.step()
			}
		}
		a.end()
		if timeline < 2 { // unseen rewrites make a gap, and so a new timeline
			s.rewrite()
			s.count(1)
			r.unseen[r.seconds] = true
			r.seconds++
			s.rewrite()
		}
	}
	r.objects = objectsOf(t, s.target)
	return r
}

func objectsOf(t testing.TB, s Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	objects, err := s.List(ctx, "archive/")
	must(t, err)
	for _, o := range objects {
		body, err := s.Get(ctx, o.Key)
		must(t, err)
		text, err := io.ReadAll(body)
		must(t, errors.Join(err, body.Close()))
		all[o.Key] = string(text)
	}
	return all
}

// on puts the archive on a file system.
func (r *recorded) on(t testing.TB, fsys vfs.FS) *target.Store {
	t.Helper()
	s, err := target.OpenDir(fsys, "/target")
	must(t, err)
	for _, key := range slices.Sorted(maps.Keys(r.objects)) {
		must(t, s.Put(ctx, key, strings.NewReader(r.objects[key])))
	}
	return s
}

// wholeSince wants everything that can be found in an archive to be whole, and
// every second since a moment that an archiver saw to be there.
func (r *recorded) wholeSince(t *testing.T, s Store, since int) {
	t.Helper()
	a, err := Open(ctx, s, sealed.Keys{})
	must(t, err)
	must(t, a.History(ctx, Query{}, func(Event) error { return nil })) // every chain that is there
	known, every := 0, max(1, (r.seconds-since)/6)                     // each takes a restore
	for second := since; second < r.seconds; second += every {
		if r.unseen[second] {
			known++
			continue
		}
		p, err := a.PlanAt(ctx, secondOf(second))
		var gap *GapError
		if errors.As(err, &gap) {
			if gap.Pruned {
				t.Fatalf("second %d has been pruned", second)
			}
			continue
		}
		must(t, err)
		known++
		if have := counterAt(t, a, p); have != strconv.Itoa(second+1) {
			t.Fatalf("second %d: the counter is %s", second, have)
		}
	}
	if want := (r.seconds-since+every-1)/every - 1; known < want {
		t.Fatalf("only %d of %d seconds since %d are known", known, want, since)
	}
}

// prune keeps the seconds since a moment.
func (r *recorded) prune(s Store, since int) (*Pruned, error) {
	now := secondOf(r.seconds)
	return Prune(ctx, s, PruneOptions{Within: now.Sub(secondOf(since)), Clock: clock.NewFake(now)})
}

func TestPrune_AnyMoment_EverythingSinceStays_AndNothingThatIsNotNeeded(t *testing.T) {
	rng := modeltest.Rand(t)
	r := record(t, 22)
	first := r.on(t, vfs.NewMem())
	r.wholeSince(t, first, 0)
	gone := &Pruned{}
	for since := 0; since < r.seconds+30; since += 3 + rng.IntN(6) {
		s := r.on(t, vfs.NewMem())
		dry, err := Prune(ctx, s, PruneOptions{Within: secondOf(r.seconds + 30).Sub(secondOf(since)), Clock: clock.NewFake(secondOf(r.seconds + 30)), DryRun: true})
		must(t, err)
		if have := objectsOf(t, s); !maps.Equal(have, r.objects) {
			t.Fatalf("since %d: a dry run has changed something", since)
		}
		p, err := Prune(ctx, s, PruneOptions{Within: secondOf(r.seconds + 30).Sub(secondOf(since)), Clock: clock.NewFake(secondOf(r.seconds + 30))})
		must(t, err)
		if !reflect.DeepEqual(dry, p) {
			t.Errorf("since %d: done %+v, announced %+v", since, p, dry)
		}
		if since < r.seconds {
			r.wholeSince(t, s, since)
		}
		a, err := Open(ctx, s, sealed.Keys{})
		must(t, err)
		end, err := a.PlanEnd(ctx)
		must(t, err)
		if have := counterAt(t, a, end); have != strconv.Itoa(r.seconds) {
			t.Errorf("since %d: the newest state is %s", since, have)
		}
		// Nothing that is not needed: of the first timeline there is one base from
		// which the moment itself is restored.
		places, err := a.bases(ctx, a.spans[0].Number)
		must(t, err)
		if plan, err := a.PlanAt(ctx, secondOf(since)); err == nil && plan.Timeline == a.spans[0] && len(places) > 1 && plan.basePlace.segment > places[1].segment {
			t.Errorf("since %d: the base at segment %d is kept, and that at %d would do", since, places[0].segment, plan.basePlace.segment)
		}
		if places[0].segment > 2 {
			if _, _, err := getSegment(ctx, s, a.spans[0].Number, places[0].segment-2); !missing(err) {
				t.Errorf("since %d: a segment that nobody needs is there: %v", since, err)
			}
		}
		// What has gone is refused as such, and told from what nobody saw.
		if a.spans[0].Pruned {
			var gap *GapError
			if _, err := a.PlanAt(ctx, a.spans[0].From.Add(-time.Second)); !errors.As(err, &gap) || !gap.Pruned {
				t.Errorf("since %d: before the oldest: %v", since, err)
			}
			if _, err := a.PlanBeforeCommand(ctx, a.spans[0].Oldest-1); err == nil || errors.Is(err, ErrDamaged) {
				t.Errorf("since %d: before the oldest command: %v", since, err)
			}
			plan, err := a.PlanBeforeCommand(ctx, a.spans[0].Oldest)
			must(t, err)
			counterAt(t, a, plan)
		}
		again, err := Prune(ctx, s, PruneOptions{Within: secondOf(r.seconds + 30).Sub(secondOf(since)), Clock: clock.NewFake(secondOf(r.seconds + 30))})
		must(t, err)
		if again.Timelines+again.Bases+again.Segments != 0 {
			t.Errorf("since %d: once more, and gone are %+v", since, again)
		}
		gone.Timelines, gone.Bases, gone.Segments = max(gone.Timelines, p.Timelines), max(gone.Bases, p.Bases), max(gone.Segments, p.Segments)
	}
	if gone.Timelines != 2 || gone.Bases < 5 || gone.Segments < 30 {
		t.Errorf("at most %+v were pruned", gone)
	}
	if _, err := Prune(ctx, first, PruneOptions{}); err == nil {
		t.Error("pruned to nothing")
	}
}

// A pruner that is killed, or loses its power, before any operation: what is
// referenced is there, and the next one finishes.
func TestPrune_PowerCutAtEveryOperation_NothingIsReferencedThatIsGone(t *testing.T) {
	rng := modeltest.Rand(t)
	r := record(t, 16)
	since := r.seconds - 10 - rng.IntN(4)
	clean := r.on(t, vfs.NewMem())
	_, err := r.prune(clean, since)
	must(t, err)
	want := slices.Sorted(maps.Keys(objectsOf(t, clean)))
	skip := 36 / modeltest.Rounds(1) // in the long run before each one
	for n := rng.IntN(1 + skip); ; n += 1 + rng.IntN(1+skip) {
		disk := vfs.NewCrash()
		s := r.on(t, disk)
		disk.StopBefore(n)
		_, err := r.prune(s, since)
		off := disk.PowerIsOff()
		if off != (err != nil) {
			t.Fatalf("operation %d: power off %v, yet %v", n, off, err)
		}
		for _, after := range []*vfs.Crash{disk.CrashImage(rng), disk.KeepAll()} {
			s, err := target.OpenDir(after, "/target")
			must(t, err)
			r.wholeSince(t, s, since)
			_, err = r.prune(s, since)
			must(t, err)
			if have := slices.Sorted(maps.Keys(objectsOf(t, s))); !slices.Equal(withoutFloors(have), withoutFloors(want)) {
				t.Fatalf("operation %d, again: %d objects, want %d:\n%v\n%v", n, len(have), len(want), have, want)
			}
		}
		if !off {
			return
		}
	}
}

func withoutFloors(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool {
		return strings.HasPrefix(k, floorPrefix) || strings.HasPrefix(k, probePrefix)
	})
}

// Someone who reads, from before the pruning, from any point of it on, or from
// after it, comes to an end, or is told that the moment has been pruned.
func TestPrune_WhileARestoreReads_NothingGoesThatItNeeds(t *testing.T) {
	rng := modeltest.Rand(t)
	r := record(t, 16)
	since := r.seconds - 10
	skip := 12 / modeltest.Rounds(1) // in the long run at each one
	for step := rng.IntN(1 + skip); ; step += 1 + rng.IntN(1+skip) {
		mem := vfs.NewMem()
		plain := r.on(t, mem)
		var mu sync.Mutex // objects are deleted side by side
		began, n := false, step
		var reader error
		s, err := target.OpenDir(vfs.NewFaulty(mem, func(vfs.Op) vfs.Fault {
			mu.Lock()
			defer mu.Unlock()
			if n--; n == -1 {
				began = true
				reader = func() error {
					a, release, err := OpenToRead(ctx, plain, sealed.Keys{}, Reader{What: "restore", Holder: "test"})
					if err != nil {
						return err
					}
					defer release()
					// Others prune meanwhile, as much as they like.
					if _, err := r.prune(plain, r.seconds-1); err != nil {
						return err
					}
					p, err := a.PlanAt(ctx, secondOf(3))
					if err != nil {
						return err
					}
					return a.Restore(ctx, p, vfs.NewMem(), "/restored")
				}()
			}
			return vfs.Fault{}
		}), "/target")
		must(t, err)
		p, err := r.prune(s, since)
		must(t, err)
		if len(p.InUse) > 0 {
			t.Fatalf("step %d: nobody reads any more, and in use is %v", step, p.InUse)
		}
		var gap *GapError
		if reader != nil && (!errors.As(reader, &gap) || !gap.Pruned) {
			t.Fatalf("step %d: the reader: %v", step, reader)
		}
		r.wholeSince(t, plain, r.seconds-1)
		if !began {
			return
		}
	}
}

func TestPrune_AReader_IsNamed_AndGoesStaleByTheTargetsClock(t *testing.T) {
	r := record(t, 16)
	mem := vfs.NewMem()
	s := r.on(t, mem)
	_, release, err := OpenToRead(ctx, s, sealed.Keys{}, Reader{What: "restore", Holder: "process 7 on there"})
	must(t, err)
	p, err := r.prune(s, r.seconds-5)
	must(t, err)
	if len(p.InUse) != 1 || p.InUse[0] != "restore by process 7 on there" || p.Segments+p.Bases+p.Timelines != 0 {
		t.Errorf("%+v", p)
	}
	release()
	p, err = r.prune(s, r.seconds-5)
	must(t, err)
	if len(p.InUse) != 0 || p.Timelines != 2 {
		t.Errorf("%+v", p)
	}
	// One whose holder has died.
	old := &dated{Store: s, by: -readingTTL - time.Minute}
	must(t, s.Put(ctx, readingPrefix+"dead", strings.NewReader("{}")))
	if now, err := readers(ctx, s, clock.Real()); err != nil || len(now) != 1 {
		t.Errorf("fresh: %v %v", now, err)
	}
	if now, err := readers(ctx, old, clock.Real()); err != nil || len(now) != 0 {
		t.Errorf("stale: %v %v", now, err)
	}
}

// dated is a target on which leases are older than they are.
type dated struct {
	Store
	by time.Duration
}

func (d *dated) List(c context.Context, prefix string) ([]target.Object, error) {
	objects, err := d.Store.List(c, prefix)
	for i := range objects {
		if strings.HasPrefix(objects[i].Key, readingPrefix) {
			objects[i].ModTime = objects[i].ModTime.Add(d.by)
		}
	}
	return objects, err
}

// After a pruning the archiver goes on where the archive ends, and ships bases
// into what is left of the chain.
func TestPrune_TheArchiverGoesOn(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	a := s.archiver(Options{})
	a.step()
	n := 0
	for range 8 {
		for range 5 {
			s.count(1)
			n++
			a.step()
		}
		s.rewrite()
		s.count(1)
		n++
		a.step()
		_, err := Prune(ctx, s.target, PruneOptions{Within: time.Second, Clock: s.clock})
		must(t, err)
		a.end()
		a = s.archiver(Options{})
	}
	a.step()
	read := s.read()
	spans := read.Timelines()
	if len(spans) != 1 || !spans[0].Pruned || spans[0].Commands < uint64(n) {
		t.Fatalf("%+v", spans)
	}
	if _, _, err := getSegment(ctx, s.target, 1, 1); !missing(err) {
		t.Errorf("the first segment is still there: %v", err)
	}
	s.wantCounter(s.clock.Now(), strconv.Itoa(n))
}

// A floor never falls, however many raise it.
func TestFloor_RaisedByMany_TheHighestCounts(t *testing.T) {
	rng := modeltest.Rand(t)
	s, err := target.OpenDir(vfs.NewMem(), "/target")
	must(t, err)
	highest := Floor{}
	var raising sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		f := Floor{Timeline: uint64(1 + rng.IntN(3)), Segment: uint64(1 + rng.IntN(50))}
		if f.higher(highest) {
			highest = f
		}
		raising.Go(func() {
			got, err := f.raise(ctx, s)
			if err == nil && f.higher(got) {
				err = fmt.Errorf("raised to %+v, and %+v counts", f, got)
			}
			errs[i] = err
		})
	}
	raising.Wait()
	must(t, errors.Join(errs...))
	if now, err := currentFloor(ctx, s); err != nil || now.higher(highest) || highest.higher(now) {
		t.Errorf("the floor is %+v, want %+v: %v", now, highest, err)
	}
}

func TestLastSegment_TheFirstGroupsPruned_IsFound(t *testing.T) {
	s, err := target.OpenDir(vfs.NewMem(), "/target")
	must(t, err)
	for n := uint64(2999); n <= 4100; n++ {
		must(t, s.Create(ctx, segmentKey(1, n), strings.NewReader("")))
	}
	for _, places := range [][]basePlace{{{segment: 3000}}, {{segment: 3000}, {segment: 4000}}, {{segment: 4101}}} {
		for _, hint := range []uint64{0, 17, 2999, 4100, 99999} {
			if got, err := lastSegment(ctx, s, 1, append([]uint64{hint}, hintsOf(places)...)...); err != nil || got != 4100 {
				t.Errorf("hint %d, bases %v: %d, %v", hint, places, got, err)
			}
		}
	}
}
