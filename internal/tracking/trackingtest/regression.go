package trackingtest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// site is a small site whose every page is found only through another one.
var site = map[string][]int{
	page(0): {1, 2, 3},
	page(1): {0, 4, 5},
	page(2): {1, 5, 6},
	page(3): {0, 1, 2},
	page(4): {7},
	page(7): {8, 0},
}

const sitePages = 9

// crawlSite works until the seed is done or the worker's context ends.
func crawlSite(w *bench) (done bool, err error) {
	for {
		leases, info, err := w.Claim(w.ctx, seed, 2, time.Hour)
		if err != nil {
			return false, err
		}
		if len(leases) == 0 {
			return info.Status == tracking.Completed, nil
		}
		for _, l := range leases {
			c := tracking.Completion{Record: recordOf(l), Children: refs(l.Depth+1, site[l.URL]...)}
			if _, err := w.Complete(w.ctx, l, c); err != nil {
				return false, err
			}
		}
	}
}

// killedAtEveryCall kills the worker at its n-th call, for every n there is, and
// lets another finish: theirs loses the pages whose seen-mark was set and whose
// queue entry was not.
func killedAtEveryCall(t *testing.T, b *bench) {
	for _, executed := range []bool{false, true} {
		for n := 1; ; n++ {
			b.mustSubmitAgain()
			w, ctx := b.killed(n, executed)
			done, err := crawlSite(w)
			if done && ctx.Err() == nil {
				if n < sitePages {
					t.Fatalf("a whole crawl took only %d calls", n)
				}
				break
			}
			if err == nil || n > 100 {
				t.Fatalf("call %d: killed %v, done %v, %v", n, ctx.Err() != nil, done, err)
			}
			b.wantOrder()
			b.lapseAll()
			b.reap()
			if done, err := crawlSite(b); err != nil || !done {
				t.Fatalf("call %d: the second worker: done %v, %v", n, done, err)
			}
			b.wantProgress(tracking.Completed, sitePages, sitePages, 0, 0, 0, 0, 0)
		}
	}
}

func (b *bench) mustSubmitAgain() {
	b.t.Helper()
	s := must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{Seed: seed, URLs: refs(0, 0), Recrawl: true}))
	if !s.Created {
		b.t.Fatalf("submit: %+v, want a new generation", s)
	}
}

func (b *bench) lapseAll() {
	b.t.Helper()
	s, err := Read(b.ctx, b.client, b.Tracker, seed)
	if err != nil {
		b.t.Fatal(err)
	}
	b.lapse(slices.Collect(maps.Keys(s.Scores["l"]))...)
}

func poppingIsNotLosing(t *testing.T, b *bench) {
	b.submit(span(0, 20)...)
	b.claim(15) // and the worker is killed
	b.wantProgress(tracking.Running, 20, 0, 0, 0, 5, 0, 15)
	b.lapseAll()
	if r := b.reap(); r.Requeued != 15 {
		t.Fatalf("reaped %+v, want 15 queued again", r)
	}
	if n := b.drain(); n != 20 {
		t.Fatalf("crawled %d pages, want 20", n)
	}
	b.wantProgress(tracking.Completed, 20, 20, 0, 0, 0, 0, 0)
}

func doneIsCountedOnce(t *testing.T, b *bench) {
	b.submit(0, 1)
	l := b.claimOne()
	// Two workers that believe in the same lease, each sending twice.
	var outcomes []tracking.Outcome
	for _, w := range []*bench{b, b.over(b.client), b, b.losing(1)} {
		outcomes = append(outcomes, w.complete(l, refs(1, 2, 3)...).Outcome)
	}
	want := []tracking.Outcome{tracking.Done, tracking.Dup, tracking.Dup, tracking.Dup}
	if !slices.Equal(outcomes, want) {
		t.Fatalf("outcomes %v, want %v", outcomes, want)
	}
	b.wantProgress(tracking.Running, 4, 1, 0, 0, 3, 0, 0)

	l = b.claimOne()
	if got := b.losing(1).complete(l).Outcome; got != tracking.Dup {
		t.Fatalf("complete whose reply was lost: %s, want dup: its repetition was told", got)
	}
	b.wantProgress(tracking.Running, 4, 2, 0, 0, 2, 0, 0)
}

func reSubmitStartsAfresh(t *testing.T, b *bench) {
	b.submit(span(0, 5)...)
	late := b.claimOne()
	b.fail(b.claimOne(), false)
	b.drain()
	b.complete(late)
	b.wantProgress(tracking.Completed, 5, 4, 1, 0, 0, 0, 0)

	b.mustSubmitAgain()
	b.wantProgress(tracking.Running, 1, 0, 0, 0, 1, 0, 0)
	s, err := Read(b.ctx, b.client, b.Tracker, seed)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Hashes["r"]) + len(s.Hashes["dlq"]); n != 0 {
		t.Fatalf("%d records and dead letters of the old generation are left", n)
	}
	l := b.claimOne()
	if l.Generation != 2 || l.Attempt != 1 {
		t.Fatalf("lease %+v, want generation 2, attempt 1", l)
	}
	if got := b.complete(late).Outcome; got != tracking.Stale {
		t.Fatalf("complete under a lease of the old generation: %s, want stale", got)
	}
	b.complete(l, refs(1, 1, 2, 3, 4)...)
	if n := b.drain(); n != 4 {
		t.Fatalf("crawled %d more pages, want 4", n)
	}
	b.wantProgress(tracking.Completed, 5, 5, 0, 0, 0, 0, 0)
}

func lateWorkerIsStale(t *testing.T, b *bench) {
	b.submit(0, 1)
	late := b.claimOne()
	b.lapse(late.PageID)
	b.reap()

	stale := func(when string) {
		t.Helper()
		before := b.snapshot()
		for name, call := range map[string]func() (tracking.Result, error){
			"complete": func() (tracking.Result, error) {
				return b.Complete(b.ctx, late, tracking.Completion{Children: refs(1, 7, 8)})
			},
			"fail": func() (tracking.Result, error) {
				return b.Fail(b.ctx, late, tracking.Failure{Err: "x", Retryable: true})
			},
			"skip":    func() (tracking.Result, error) { return b.Skip(b.ctx, late, "robots") },
			"release": func() (tracking.Result, error) { return b.Release(b.ctx, late) },
		} {
			if r := must[tracking.Result](b)(call()); r.Outcome != tracking.Stale {
				t.Fatalf("%s, %s: %s, want stale", name, when, r.Outcome)
			}
		}
		if _, err := b.Extend(b.ctx, late, time.Hour); err != tracking.ErrStale {
			t.Fatalf("extend, %s: %v, want ErrStale", when, err)
		}
		if _, err := b.Discover(b.ctx, late, refs(1, 9)); err != tracking.ErrStale {
			t.Fatalf("discover, %s: %v, want ErrStale", when, err)
		}
		if after := b.snapshot(); after != before {
			t.Fatalf("%s: a stale call has written:\n%s\n%s", when, before, after)
		}
	}
	stale("queued again")
	second := b.claim(2)
	stale("leased by another")
	for _, l := range second {
		b.complete(l)
	}
	stale("crawled by another")
	b.wantProgress(tracking.Completed, 2, 2, 0, 0, 0, 0, 0)
}

// snapshot is all that the seed's keys hold, as one comparable text.
func (b *bench) snapshot() string {
	b.t.Helper()
	s, err := Read(b.ctx, b.client, b.Tracker, seed)
	if err != nil {
		b.t.Fatal(err)
	}
	events, err := b.Events(b.ctx, seed, "", 1_000_000)
	if err != nil {
		b.t.Fatal(err)
	}
	delete(s.Hashes["m"], "confirmed")
	return fmt.Sprint(s, len(events))
}

func leasesOutliveWorkers(t *testing.T, b *bench) {
	b.submit(span(0, 10)...)
	first := b.claim(10)
	restarted := b.over(b.client)
	if again := restarted.claim(10); len(again) != 0 {
		t.Fatalf("a restarted worker was given %d pages that are leased", len(again))
	}
	for _, l := range first {
		if got := restarted.complete(l).Outcome; got != tracking.Done {
			t.Fatalf("complete after the restart: %s, want done", got)
		}
	}
	b.wantProgress(tracking.Completed, 10, 10, 0, 0, 0, 0, 0)
}

func spentAttemptsFail(t *testing.T, b *bench) {
	b.submit(0, 1)
	b.complete(b.claimOne())
	for attempt := 1; attempt <= 3; attempt++ {
		l := b.claimOne() // the page kills its worker
		if l.Attempt != attempt {
			t.Fatalf("attempt %d, want %d", l.Attempt, attempt)
		}
		b.lapse(l.PageID)
		r := b.reap()
		if last := attempt == 3; r.Failed == 1 != last || r.Requeued == 1 == last || r.SeedCompleted != last {
			t.Fatalf("attempt %d: reaped %+v", attempt, r)
		}
	}
	b.wantProgress(tracking.Completed, 2, 1, 1, 0, 0, 0, 0)
	pages, _, err := b.Pages(b.ctx, seed, tracking.StateFailed, "", 0)
	if err != nil || len(pages) != 1 || pages[0].Error != "lease expired 3 times" || pages[0].URL != page(1) || pages[0].ID != weburl.ID(page(1)) {
		t.Fatalf("dead letters %+v, %v", pages, err)
	}
}
