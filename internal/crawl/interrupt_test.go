package crawl

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/fetch"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// gate holds requests back until it is opened.
type gate struct {
	waiting chan struct{} // one for each request that has come
	open    chan struct{}
}

func newGate(t *testing.T) *gate {
	g := &gate{make(chan struct{}, 1000), make(chan struct{})}
	t.Cleanup(g.lift)
	return g
}

func (g *gate) lift() {
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) before(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.waiting <- struct{}{}
		select {
		case <-g.open:
		case <-r.Context().Done():
		}
		h(w, r)
	}
}

// gated is a front page that leads to n pages behind a gate.
func gated(b *bench, n int) (*gate, []string) {
	g := newGate(b.T)
	all := []string{"/"}
	for i := range n {
		name := "/g" + strconv.Itoa(i)
		b.site.handle(name, g.before(linking("/")))
		all = append(all, name)
	}
	b.site.links("/", all[1:]...)
	return g, all
}

func TestPause_NothingIsClaimed_ResumeGoesOn(t *testing.T) {
	b := newBench(t)
	g, all := gated(b, 20)
	c := b.crawler()
	b.start(c)
	b.submit()
	<-g.waiting
	if _, err := b.tracker.Pause(t.Context(), testSeed); err != nil {
		t.Fatal(err)
	}
	g.lift()
	b.await("those in flight to finish", func() bool { return b.progress().InFlight == 0 })
	p := b.progress()
	if p.Status != tracking.Paused || p.Queued == 0 {
		t.Fatalf("got %+v", p)
	}
	b.await("the seed to be let go", func() bool { return c.Stats().Seeds == 0 })
	if _, err := b.tracker.Resume(t.Context(), testSeed); err != nil {
		t.Fatal(err)
	}
	c.Wake(testSeed)
	b.awaitStatus(tracking.Completed)
	b.wantIn(tracking.StateCrawled, all...)
	b.wantExact()
}

func TestCancel_InFlightFinish_TheRestIsSkipped(t *testing.T) {
	b := newBench(t)
	g, all := gated(b, 20)
	b.start(b.crawler())
	b.submit()
	<-g.waiting
	if _, err := b.tracker.Cancel(t.Context(), testSeed); err != nil {
		t.Fatal(err)
	}
	g.lift()
	b.await("the end", func() bool { p := b.progress(); return p.Pending == 0 && !p.CompletedAt.IsZero() })
	p := b.progress()
	if p.Status != tracking.Cancelled || p.Total != int64(len(all)) || p.Skipped == 0 || p.Crawled < 2 {
		t.Errorf("got %+v", p)
	}
	b.wantExact()
}

func TestStop_Graceful_FinishesWhatIsBegun_GivesBackTheRest(t *testing.T) {
	b := newBench(t)
	g, all := gated(b, 20)
	c := b.crawler()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	b.submit()
	for range 4 {
		<-g.waiting
	}
	cancel()
	b.await("the rest to be given back", func() bool { return b.progress().InFlight == 4 })
	g.lift()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p := b.progress()
	if p.InFlight != 0 || p.Crawled != 5 || p.Queued != int64(len(all))-5 {
		t.Errorf("after the stop: %+v", p)
	}
	b.crawlAll(b.crawler())
	b.wantIn(tracking.StateCrawled, all...)
	for _, name := range all {
		if n := b.site.hit(name); n != 1 {
			t.Errorf("%s was fetched %d times", name, n)
		}
	}
}

func TestStop_GraceIsOver_GivesBackWhatIsBegun(t *testing.T) {
	b := newBench(t)
	g, all := gated(b, 20)
	stop := b.start(b.crawler(func(o *Options) { o.Grace = 50 * time.Millisecond }))
	b.submit()
	<-g.waiting
	stop()
	if p := b.progress(); p.InFlight != 0 || p.Crawled != 1 {
		t.Errorf("after the stop: %+v", p)
	}
	g.lift()
	b.crawlAll(b.crawler())
	b.wantIn(tracking.StateCrawled, all...)
}

// A crash is a crawler whose store hears no more of it: neither results nor
// releases arrive.
func TestCrash_LeasesLapse_TheNextCrawlerFinishes(t *testing.T) {
	b := newBench(t)
	all := b.site.tree(200, 3)
	b.submit()
	for i := range torture(6, 60) {
		client := redis.NewClient(&redis.Options{Addr: b.redis.Addr(), MaxRetries: -1})
		stop := b.start(b.crawler(func(o *Options) {
			o.Tracker, o.Lease, o.Grace = newTracker(client), 200*time.Millisecond, -1
		}))
		before := b.progress().Crawled
		b.await("some pages", func() bool { p := b.progress(); return p.Crawled > before+int64(i) || p.Pending == 0 })
		_ = client.Close()
		stop()
	}
	p := b.crawlAll(b.crawler(func(o *Options) { o.Lease = 200 * time.Millisecond }))
	b.wantIn(tracking.StateCrawled, all...)
	if p.Total != 200 || p.Crawled != 200 {
		t.Errorf("got %+v", p)
	}
}

func TestHeartbeat_PageThatOutlastsItsLease_IsFetchedOnce(t *testing.T) {
	b := newBench(t)
	b.site.links("/", "/long")
	b.site.handle("/long", func(w http.ResponseWriter, r *http.Request) {
		select { // three leases long
		case <-time.After(900 * time.Millisecond):
		case <-r.Context().Done():
		}
		linking()(w, r)
	})
	b.crawlAll(b.crawler(func(o *Options) { o.Lease = 300 * time.Millisecond }))
	b.wantIn(tracking.StateCrawled, "/", "/long")
	if n := b.site.hit("/long"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestLease_TakenAway_WorkIsStopped(t *testing.T) {
	b := newBench(t)
	g, _ := gated(b, 1)
	c := b.crawler(func(o *Options) { o.Lease, o.ReapEvery = 300*time.Millisecond, time.Hour })
	b.start(c)
	b.submit()
	<-g.waiting
	// Another worker takes the page over, as if this one had not been heard of.
	if err := b.client.ZAdd(t.Context(), b.tracker.Key(testSeed, "l"), redis.Z{Score: 1, Member: weburl.ID("https://test.com/g0")}).Err(); err != nil {
		t.Fatal(err)
	}
	if r, err := b.tracker.Reap(t.Context(), testSeed, 0); err != nil || r.Requeued != 1 {
		t.Fatalf("reaped %+v, %v", r, err)
	}
	if _, _, err := b.tracker.Claim(t.Context(), testSeed, 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	b.await("the worker to stop", func() bool { return c.Stats().Working == 0 })
	if s := c.Stats(); s.Stale != 1 || s.Released != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestStore_KilledAndRestarted_NothingIsLost(t *testing.T) {
	seed := randomSeed(t)
	rnd := rand.New(rand.NewPCG(seed, 1))
	b := newBench(t, "--appendonly", "yes", "--appendfsync", "always")
	all := b.site.tree(250, 3)
	c := b.crawler(func(o *Options) { o.Lease = 2 * time.Second })
	b.submit()
	stop := b.start(c)
	for range torture(4, 40) {
		before := c.Stats().Crawled
		enough := before + 1 + rnd.Int64N(40)
		b.await("some pages", func() bool { n := c.Stats().Crawled; return n >= enough || n >= 250 })
		b.redis.Kill()
		b.redis.Restart()
	}
	b.awaitStatus(tracking.Completed)
	stop()
	b.wantExact()
	b.wantIn(tracking.StateCrawled, all...)
}

// A store that comes back as it was a while ago has lost pages together with the
// completions that brought them. What the crawler remembers of them must not keep
// them from being sent again.
func TestStore_FallsBackToAnEarlierState_EveryPageIsFound(t *testing.T) {
	b := newBench(t)
	all := b.site.tree(120, 2)
	c := b.crawler(func(o *Options) { o.Lease = time.Second })
	b.submit()
	stop := b.start(c)
	b.await("some pages", func() bool { return c.Stats().Crawled >= 10 })
	b.redis.Do("SAVE")
	b.await("more pages", func() bool { return c.Stats().Crawled >= 60 })
	b.redis.Kill()
	b.redis.Restart()
	b.awaitStatus(tracking.Completed)
	stop()
	b.wantIn(tracking.StateCrawled, all...)
	report, err := b.tracker.Audit(t.Context(), testSeed, false)
	if err != nil || !report.Clean() || report.Total != 120 {
		t.Errorf("audit %+v, %v", report, err)
	}
}

func TestCrawlers_TwoShareASeed_NoPageTwice(t *testing.T) {
	b := newBench(t)
	g, all := gated(b, 200)
	first, second := b.crawler(), b.crawler()
	b.submit()
	stop := b.start(first)
	stopSecond := b.start(second)
	b.await("both to be at work", func() bool { return first.Stats().Working > 0 && second.Stats().Working > 0 })
	g.lift()
	b.awaitStatus(tracking.Completed)
	stop()
	stopSecond()
	b.wantExact()
	b.wantIn(tracking.StateCrawled, all...)
	for _, name := range all {
		if n := b.site.hit(name); n != 1 {
			t.Errorf("%s was fetched %d times", name, n)
		}
	}
	if a, b := first.Stats().Crawled, second.Stats().Crawled; a == 0 || b == 0 || a+b != 201 {
		t.Errorf("%d and %d pages", a, b)
	}
}

func TestSeed_SubmittedThroughAnotherProcess_IsFound(t *testing.T) {
	b := newBench(t)
	b.site.links("/")
	b.start(b.crawler())
	b.submit() // and nobody calls Wake
	b.awaitStatus(tracking.Completed)
}

func TestPace_SlowHost_HoldsUpNoOtherSeed(t *testing.T) {
	b := newBench(t)
	quick := weburl.Seed("quick.org")
	b.site.handle("/robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("User-agent: *\nCrawl-delay: 30\n"))
	})
	b.site.tree(30, 29)
	var names []string
	for i := range 60 {
		name := "/q" + strconv.Itoa(i)
		b.site.links(string(quick)+name, "/")
		names = append(names, name)
	}
	b.site.links(string(quick)+"/", names...)
	c := b.crawler(func(o *Options) { o.Workers, o.Grace = 2, time.Millisecond })
	b.submit()
	stop := b.start(c)
	b.await("the slow site's first page", func() bool { return b.progress().Crawled == 1 })
	if _, err := b.tracker.Submit(t.Context(), SubmitDomain(quick)); err != nil {
		t.Fatal(err)
	}
	c.Wake(quick)
	b.await("the quick site", func() bool {
		p, err := b.tracker.Progress(t.Context(), quick)
		return err == nil && p.Status == tracking.Completed
	})
	p := b.progress()
	if p.Crawled != 1 || p.InFlight > 2 {
		t.Errorf("the slow site holds leases: %+v", p)
	}
	stop()
	if p := b.progress(); p.InFlight != 0 {
		t.Errorf("after the stop: %+v", p)
	}
}

func TestPace_Delay_IsKept_WorkersDoNotWait(t *testing.T) {
	b := newBench(t)
	all := b.site.tree(8, 7)
	var mu sync.Mutex
	var times []time.Time
	for _, name := range all {
		h := b.site.pages[name]
		b.site.handle(name, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			times = append(times, time.Now())
			mu.Unlock()
			h(w, r)
		})
	}
	b.crawlAll(b.crawler(func(o *Options) {
		o.Fetch = b.fetcher(func(o *fetch.Options) { o.Delay, o.MaxWait = 40*time.Millisecond, 100*time.Millisecond })
	}))
	b.wantIn(tracking.StateCrawled, all...)
	slices.SortFunc(times, time.Time.Compare)
	for i := 1; i < len(times); i++ {
		if gap := times[i].Sub(times[i-1]); gap < 30*time.Millisecond { // the clock of the other side
			t.Errorf("requests %v apart", gap)
		}
	}
}

func randomSeed(t *testing.T) uint64 {
	seed := rand.Uint64()
	if s := os.Getenv("LIMPET_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("LIMPET_SEED=%d", seed)
	return seed
}
