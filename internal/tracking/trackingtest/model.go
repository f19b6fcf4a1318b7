package trackingtest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// model is what a seed should look like: plain data, no store.
type model struct {
	status     tracking.Status
	generation int64
	pages      map[string]*modelPage
	overLimit  int64
}

type modelPage struct {
	state   tracking.State
	due     bool // of a delayed page: its time has come
	attempt int
	depth   int
	token   string // of the lease that brought it where it is
}

const (
	modelMaxPages    = 40
	modelMaxDepth    = 4
	modelMaxAttempts = 3
)

// grow queues links, and counts what became of them.
func (m *model) grow(children []tracking.PageRef) (d tracking.Discovered) {
	for _, c := range children {
		switch {
		case m.pages[c.ID] != nil:
			d.Known++
		case m.status == tracking.Cancelled, c.Depth > modelMaxDepth, len(m.pages) >= modelMaxPages:
			d.OverLimit++
		default:
			d.New++
			m.pages[c.ID] = &modelPage{state: tracking.StateQueued, depth: c.Depth}
		}
	}
	return d
}

func (m *model) count(state tracking.State) (n int64) {
	for _, p := range m.pages {
		if p.state == state {
			n++
		}
	}
	return n
}

func (m *model) pending() int64 {
	return m.count(tracking.StateQueued) + m.count(tracking.StateDelayed) + m.count(tracking.StateLeased)
}

// settle ends the seed when nothing is left.
func (m *model) settle() {
	if m.pending() == 0 && m.status != tracking.Cancelled {
		m.status = tracking.Completed
	}
}

// walk is one random history: the model, the store through an honest client, and
// workers behind a client that loses calls.
type walk struct {
	*bench
	workers *bench
	model   model
	random  *rand.Rand
	lost    bool             // a call of this step has lost its reply
	leases  []tracking.Lease // all kinds: held, lapsed, done with, of old generations
	log     []string
}

func randomModel(t *testing.T, b *bench) {
	n := randomSeed(t)
	w := &walk{bench: b, random: rand.New(rand.NewPCG(n, 0))}
	w.workers = b.through(func(redis.Cmder) fate {
		switch w.random.IntN(20) {
		case 0:
			w.lost = true
			return replyLost
		case 1:
			return requestLost
		}
		return delivered
	})
	w.submit()
	for range rounds(600) {
		w.step()
		w.check()
	}
	w.end()
}

func (w *walk) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *walk) fatal(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("after\n%s\n%s", fmt.Sprint(w.log[max(0, len(w.log)-20):]), fmt.Sprintf(format, args...))
}

func (w *walk) try(err error) {
	w.t.Helper()
	if err != nil {
		w.fatal("%v", err)
	}
}

func (w *walk) step() {
	w.lost = false
	type action struct {
		weight int
		do     func()
	}
	actions := []action{
		{20, w.claimSome},
		{30, func() { w.endLease("complete") }},
		{10, func() { w.endLease("fail") }},
		{5, func() { w.endLease("fail for good") }},
		{5, func() { w.endLease("skip") }},
		{5, func() { w.endLease("release") }},
		{5, w.discoverSome},
		{5, w.extendOne},
		{8, w.lapseSome},
		{8, w.reapSome},
		{8, w.dueSome},
		{2, w.pauseOrResume},
		{1, w.cancelIt},
		{3, w.retrySome},
		{4, w.submit},
	}
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	at := w.random.IntN(total)
	for _, a := range actions {
		if at -= a.weight; at < 0 {
			a.do()
			return
		}
	}
}

func (w *walk) children(depth int) []tracking.PageRef {
	var pages []tracking.PageRef
	seen := map[int]bool{}
	for range w.random.IntN(6) {
		if n := w.random.IntN(60); !seen[n] {
			seen[n] = true
			pages = append(pages, refs(depth, n)...)
		}
	}
	return pages
}

func (w *walk) submit() {
	recrawl := w.random.IntN(2) == 0
	urls := append(refs(0, 0), w.children(0)...)
	w.note("submit %d URLs, recrawl %v", len(urls), recrawl)
	s, err := w.workers.Submit(w.ctx, tracking.SubmitRequest{
		Seed: seed, URLs: urls, Recrawl: recrawl,
		MaxPages: modelMaxPages, MaxDepth: modelMaxDepth, MaxAttempts: modelMaxAttempts,
	})
	w.try(err)
	fresh := w.model.status == "" || w.model.status.Finished() && recrawl
	if s.Created != fresh {
		w.fatal("submit: %+v, want created %v", s, fresh)
	}
	if fresh {
		w.model = model{status: tracking.Running, generation: w.model.generation + 1, pages: map[string]*modelPage{}}
	}
	if !w.model.status.Finished() {
		w.model.overLimit += int64(w.model.grow(urls).OverLimit)
		w.model.settle()
	}
}

func (w *walk) claimSome() {
	n := 1 + w.random.IntN(5)
	w.note("claim %d", n)
	leases, info, err := w.workers.Claim(w.ctx, seed, n, time.Hour)
	w.try(err)
	if info.Status != w.model.status {
		w.fatal("claim: status %s, want %s", info.Status, w.model.status)
	}
	ready, shallowest := 0, 1<<30
	if w.model.status == tracking.Running {
		for _, p := range w.model.pages {
			if p.state == tracking.StateDelayed && p.due {
				p.state, p.due = tracking.StateQueued, false
			}
			if p.state == tracking.StateQueued {
				ready++
			}
		}
	}
	if len(leases) != min(n, ready) {
		w.fatal("claimed %d pages, want %d of %d ready", len(leases), min(n, ready), ready)
	}
	deepest := 0
	for _, l := range leases {
		p := w.model.pages[l.PageID]
		if p == nil || p.state != tracking.StateQueued || l.Attempt != p.attempt+1 || l.Depth != p.depth || l.URL == "" || l.Generation != w.model.generation {
			w.fatal("lease %+v of page %+v", l, p)
		}
		p.state, p.attempt, p.token = tracking.StateLeased, l.Attempt, l.Token
		deepest = max(deepest, p.depth)
	}
	for _, p := range w.model.pages {
		if p.state == tracking.StateQueued {
			shallowest = min(shallowest, p.depth)
		}
	}
	if deepest > shallowest {
		w.fatal("claimed depth %d and left depth %d", deepest, shallowest)
	}
	w.leases = append(w.leases, leases...)
	w.leases = w.leases[max(0, len(w.leases)-40):]
}

// anyLease picks one that may be held, lapsed, long done with or of an old
// generation: a worker may be that late.
func (w *walk) anyLease() (tracking.Lease, *modelPage, bool) {
	if len(w.leases) == 0 {
		return tracking.Lease{}, nil, false
	}
	l := w.leases[w.random.IntN(len(w.leases))]
	p := w.model.pages[l.PageID]
	if p == nil {
		p = &modelPage{} // of an old generation
	}
	return l, p, true
}

func (w *walk) endLease(how string) {
	l, p, ok := w.anyLease()
	if !ok {
		return
	}
	w.note("%s %s under %s (state %s, token %s)", how, l.URL, l.Token, p.state, p.token)
	held := p.state == tracking.StateLeased && p.token == l.Token
	mine := p.token == l.Token && p.token != ""
	cancelled := w.model.status == tracking.Cancelled
	waiting := p.state == tracking.StateQueued || p.state == tracking.StateDelayed

	var r tracking.Result
	var err error
	var repeated bool // the page is where an earlier sending of this call took it
	var want tracking.Discovered
	switch how {
	case "complete":
		children := w.children(l.Depth + 1)
		r, err = w.workers.Complete(w.ctx, l, tracking.Completion{Record: recordOf(l), Children: children})
		repeated = mine && p.state == tracking.StateCrawled
		if held {
			p.state = tracking.StateCrawled
			want = w.model.grow(children)
			w.model.overLimit += int64(want.OverLimit)
		}
	case "fail", "fail for good":
		retryable := how == "fail"
		r, err = w.workers.Fail(w.ctx, l, tracking.Failure{Err: "503", Retryable: retryable, Delay: time.Hour})
		repeated = mine && (waiting || p.state == tracking.StateFailed || p.state == tracking.StateSkipped)
		switch again := retryable && p.attempt < modelMaxAttempts; {
		case !held:
		case again && cancelled:
			p.state = tracking.StateSkipped
		case again:
			p.state = tracking.StateDelayed
		default:
			p.state = tracking.StateFailed
		}
	case "skip":
		r, err = w.workers.Skip(w.ctx, l, "robots")
		repeated = mine && p.state == tracking.StateSkipped
		if held {
			p.state = tracking.StateSkipped
		}
	case "release":
		r, err = w.workers.Release(w.ctx, l)
		repeated = mine && (waiting || p.state == tracking.StateSkipped)
		if held {
			p.state = tracking.StateQueued
			p.attempt--
			if cancelled {
				p.state = tracking.StateSkipped
			}
		}
	}
	w.try(err)
	switch {
	case held && r.Outcome == tracking.Done:
		if r.State != p.state || r.Discovered != want {
			w.fatal("%s: %+v, want state %s, discovered %+v", how, r, p.state, want)
		}
	case held && w.lost && r.Outcome == tracking.Dup: // the repetition was told
	case repeated && r.Outcome == tracking.Dup:
	case !held && !repeated && r.Outcome == tracking.Stale:
	default:
		w.fatal("%s: %s; held %v, repeated %v", how, r.Outcome, held, repeated)
	}
	if held {
		before := w.model.status
		w.model.settle()
		if ended := w.model.pending() == 0; r.Outcome == tracking.Done && r.SeedCompleted != ended {
			w.fatal("%s: seed completed %v, want %v (status was %s)", how, r.SeedCompleted, ended, before)
		}
	}
}

func (w *walk) discoverSome() {
	l, p, ok := w.anyLease()
	if !ok {
		return
	}
	w.note("discover under %s", l.Token)
	children := append(w.children(l.Depth+1), refs(l.Depth+1, 60)...)
	got, err := w.workers.Discover(w.ctx, l, children)
	if p.state != tracking.StateLeased || p.token != l.Token {
		if !errors.Is(err, tracking.ErrStale) {
			w.fatal("discover: %v, want ErrStale", err)
		}
		return
	}
	w.try(err)
	want := w.model.grow(children)
	if w.lost { // told by the repetition, to which they were all known
		want = tracking.Discovered{Known: want.Known + want.New, OverLimit: want.OverLimit}
	}
	if got != want {
		w.fatal("discovered %+v, want %+v", got, want)
	}
}

func (w *walk) extendOne() {
	l, p, ok := w.anyLease()
	if !ok {
		return
	}
	w.note("extend %s", l.Token)
	_, err := w.workers.Extend(w.ctx, l, time.Hour)
	if held := p.state == tracking.StateLeased && p.token == l.Token; held != (err == nil) || err != nil && err != tracking.ErrStale {
		w.fatal("extend: %v, held %v", err, held)
	}
}

// lapseSome and dueSome let time pass for some pages, without the waiting.
func (w *walk) lapseSome() {
	for _, l := range w.leases {
		if p := w.model.pages[l.PageID]; p != nil && p.state == tracking.StateLeased && w.random.IntN(3) == 0 {
			w.lapse(l.PageID)
		}
	}
}

func (w *walk) dueSome() {
	for _, id := range slices.Sorted(maps.Keys(w.model.pages)) {
		p := w.model.pages[id]
		if p.state == tracking.StateDelayed && w.random.IntN(2) == 0 {
			w.due(id)
			p.due = true
		}
	}
}

func (w *walk) reapSome() {
	w.note("reap")
	s, err := Read(w.ctx, w.client, w.Tracker, seed)
	w.try(err)
	got, err := w.workers.Reap(w.ctx, seed, 100)
	w.try(err)
	var want tracking.Reaped
	for id, deadline := range s.Scores["l"] {
		if deadline > 1 {
			continue
		}
		p := w.model.pages[id]
		p.token = ""
		switch {
		case w.model.status == tracking.Cancelled:
			p.state = tracking.StateSkipped
			want.Skipped++
		case p.attempt >= modelMaxAttempts:
			p.state = tracking.StateFailed
			want.Failed++
		default:
			p.state = tracking.StateQueued
			want.Requeued++
		}
	}
	if want != (tracking.Reaped{}) {
		w.model.settle()
		want.SeedCompleted = w.model.pending() == 0
	}
	if w.lost {
		want = tracking.Reaped{}
	}
	if got != want {
		w.fatal("reaped %+v, want %+v", got, want)
	}
}

func (w *walk) pauseOrResume() {
	var got tracking.Status
	var err error
	if w.random.IntN(3) == 0 {
		w.note("pause")
		got, err = w.workers.Pause(w.ctx, seed)
		if w.model.status == tracking.Running {
			w.model.status = tracking.Paused
		}
	} else {
		w.note("resume")
		got, err = w.workers.Resume(w.ctx, seed)
		if w.model.status == tracking.Paused {
			w.model.status = tracking.Running
		}
	}
	w.try(err)
	if got != w.model.status {
		w.fatal("status %s, want %s", got, w.model.status)
	}
}

func (w *walk) cancelIt() {
	w.note("cancel")
	got, err := w.workers.Cancel(w.ctx, seed)
	w.try(err)
	if w.model.status != tracking.Completed {
		w.model.status = tracking.Cancelled
		for _, p := range w.model.pages {
			if p.state == tracking.StateQueued || p.state == tracking.StateDelayed {
				p.state, p.token, p.due = tracking.StateSkipped, "", false
			}
		}
	}
	if got != w.model.status {
		w.fatal("status %s, want %s", got, w.model.status)
	}
}

func (w *walk) retrySome() {
	w.note("retry")
	n, err := w.workers.RetryFailed(w.ctx, seed)
	if w.model.status == tracking.Cancelled {
		if err != nil && !errors.Is(err, tracking.ErrCancelled) {
			w.fatal("retry: %v", err)
		}
		return
	}
	w.try(err)
	want := 0
	for _, p := range w.model.pages {
		if p.state == tracking.StateFailed {
			p.state, p.attempt, p.token = tracking.StateQueued, 0, ""
			want++
		}
	}
	if n != want && !w.lost {
		w.fatal("retried %d, want %d", n, want)
	}
	if want > 0 && w.model.status == tracking.Completed {
		w.model.status = tracking.Running
	}
}

// check compares the whole store with the model.
func (w *walk) check() {
	w.t.Helper()
	s, err := Read(w.ctx, w.client, w.Tracker, seed)
	w.try(err)
	if err := s.Check(); err != nil {
		w.fatal("%v", err)
	}
	if report, err := w.Audit(w.ctx, seed, false); err != nil || !report.Clean() {
		w.fatal("audit: %v, %v", report.Differences, err)
	}
	p, err := w.Progress(w.ctx, seed)
	w.try(err)
	m := &w.model
	got := fmt.Sprint(p.Status, p.Generation, p.Total, p.Crawled, p.Failed, p.Skipped, p.Queued, p.Delayed, p.InFlight, p.OverLimit)
	want := fmt.Sprint(m.status, m.generation, len(m.pages), m.count(tracking.StateCrawled), m.count(tracking.StateFailed),
		m.count(tracking.StateSkipped), m.count(tracking.StateQueued), m.count(tracking.StateDelayed), m.count(tracking.StateLeased), m.overLimit)
	if got != want {
		w.fatal("status generation total crawled failed skipped queued delayed leased over:\n got %s\nwant %s", got, want)
	}
	letters := map[tracking.State]byte{
		tracking.StateQueued: 'Q', tracking.StateDelayed: 'Q', tracking.StateLeased: 'L',
		tracking.StateCrawled: 'C', tracking.StateFailed: 'F', tracking.StateSkipped: 'X',
	}
	for id, value := range s.Hashes["u"] {
		p := m.pages[id]
		if p == nil {
			w.fatal("page %s in state %s, want none", id, value)
		}
		_, delayed := s.Scores["d"][id]
		start := fmt.Sprintf("%c%d,%d", letters[p.state], p.attempt, p.depth)
		if len(value) < len(start) || value[:len(start)] != start || delayed != (p.state == tracking.StateDelayed) {
			w.fatal("page %s: %s (delayed %v), want %s", id, value, delayed, start)
		}
	}
}

// end runs the seed dry.
func (w *walk) end() {
	must[tracking.Status](w.bench)(w.Resume(w.ctx, seed))
	w.finish()
	p := w.progress()
	if p.Total != p.Crawled+p.Failed+p.Skipped {
		w.fatal("at the end %+v", p)
	}
}

// crowd lets many workers loose on one seed, with lost calls, deaths, lapsing
// leases, failures and audits all the while. What is left is exact.
func crowd(t *testing.T, b *bench) {
	const workers, pages = 20, 2000
	links := func(l tracking.Lease) []tracking.PageRef {
		var n int
		if _, err := fmt.Sscanf(l.URL, "https://test.com/%d", &n); err != nil {
			t.Error(err)
		}
		// Two ways ahead, so that every page is found, and eight links at random.
		next := []int{(2*n + 1) % pages, (2*n + 2) % pages}
		random := rand.New(rand.NewPCG(uint64(n), 1))
		for range 8 {
			next = append(next, random.IntN(pages))
		}
		return refs(min(l.Depth+1, 20), next...)
	}
	random := rand.New(rand.NewPCG(randomSeed(t), 2))
	must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{Seed: seed, URLs: refs(0, 0), MaxAttempts: 1000}))

	var wg sync.WaitGroup
	var mu sync.Mutex
	told := map[string]int{} // by page, how many calls were told that they completed it
	ended := make(chan struct{})
	for range workers {
		random := rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
		var lock sync.Mutex
		w := b.through(func(redis.Cmder) fate {
			lock.Lock()
			defer lock.Unlock()
			return map[int]fate{0: replyLost, 1: requestLost}[random.IntN(200)]
		})
		wg.Go(func() {
			for {
				leases, info, err := w.Claim(w.ctx, seed, 1+random.IntN(8), 200*time.Millisecond)
				if err != nil {
					t.Error(err)
					return
				}
				if info.Status == tracking.Completed {
					return
				}
				for _, l := range leases {
					switch random.IntN(20) {
					case 0: // dies, and another takes its place
					case 1:
						_, err = w.Fail(w.ctx, l, tracking.Failure{Err: "x", Retryable: true})
					case 2:
						_, err = w.Release(w.ctx, l)
					default:
						var r tracking.Result
						r, err = w.Complete(w.ctx, l, tracking.Completion{Record: recordOf(l), Children: links(l)})
						mu.Lock()
						if r.Outcome == tracking.Done {
							told[l.PageID]++
						}
						mu.Unlock()
					}
					if err != nil {
						t.Error(err)
					}
				}
				if len(leases) == 0 { // what is left has to lapse first
					if _, err := w.Reap(w.ctx, seed, 0); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	var audits int
	watcher := sync.WaitGroup{}
	watcher.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			report, err := b.Audit(b.ctx, seed, false)
			if err != nil || !report.Clean() {
				t.Errorf("audit while it is crawled: %v, %v", report.Differences, err)
				return
			}
			audits++
		}
	})
	wg.Wait()
	close(ended)
	watcher.Wait()

	b.wantProgress(tracking.Completed, pages, pages, 0, 0, 0, 0, 0)
	for id, n := range told {
		if n > 1 {
			t.Errorf("page %s: %d calls were told that they completed it", id, n)
		}
	}
	seen := map[string]int{}
	completed := 0
	for after := ""; ; {
		events := must[[]tracking.Event](b)(b.Events(b.ctx, seed, after, 1000))
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			after = e.ID
			switch e.Kind {
			case tracking.EventCrawled:
				seen[e.Page]++
			case tracking.EventCompleted:
				completed++
			}
		}
	}
	if len(seen) != pages || completed != 1 {
		t.Fatalf("events of %d pages and of %d completions, want %d and 1", len(seen), completed, pages)
	}
	for i := range pages {
		if n := seen[weburl.ID(page(i))]; n != 1 {
			t.Errorf("page %d: %d events of its being crawled, want 1", i, n)
		}
	}
	t.Logf("%d audits of the running seed, all clean", audits)
}
