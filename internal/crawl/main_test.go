package crawl

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"limpet/internal/feature"
	"limpet/internal/fetch"
	"limpet/internal/testredis"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSeed = weburl.Seed("test.com")

// torture is how many times the usual rounds are run.
func torture(rounds, more int) int {
	if os.Getenv("LIMPET_TORTURE") != "" {
		return more
	}
	return rounds
}

// testSite serves test.com, and whatever else it is asked for, on loopback.
type testSite struct {
	server *httptest.Server

	mu    sync.Mutex // guards what follows
	pages map[string]http.HandlerFunc
	hits  map[string]int
}

// newTestSite starts a site without pages and without robots.txt. Its pages are
// named by path, or by host and path.
func newTestSite(t testing.TB) *testSite {
	s := &testSite{pages: make(map[string]http.HandlerFunc), hits: make(map[string]int)}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0) // https is tried first
	s.server.Start()
	t.Cleanup(s.server.Close)
	return s
}

func (s *testSite) serve(w http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	name := r.URL.RequestURI()
	if host != string(testSeed) {
		name = host + name
	}
	s.mu.Lock()
	s.hits[name]++
	handle := s.pages[name]
	s.mu.Unlock()
	if handle == nil {
		http.NotFound(w, r)
		return
	}
	handle(w, r)
}

func (s *testSite) handle(name string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[name] = h
}

// links makes an HTML page that leads to others.
func (s *testSite) links(name string, to ...string) { s.handle(name, linking(to...)) }

func linking(to ...string) http.HandlerFunc {
	var b strings.Builder
	b.WriteString("<!doctype html><title>a page</title>")
	for _, href := range to {
		fmt.Fprintf(&b, "<p><a href=%q>on</a></p>", href)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, b.String())
	}
}

// tree makes n pages, each of which leads to the front page and to its children.
func (s *testSite) tree(n, fanout int) (all []string) {
	name := func(i int) string {
		if i == 0 {
			return "/"
		}
		return "/p" + strconv.Itoa(i)
	}
	for i := range n {
		to := []string{"/"}
		for child := i*fanout + 1; child <= i*fanout+fanout && child < n; child++ {
			to = append(to, name(child))
		}
		s.links(name(i), to...)
		all = append(all, name(i))
	}
	return all
}

func (s *testSite) hit(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[name]
}

// bench is a store, a site, and crawlers between them.
type bench struct {
	*testing.T
	redis   *testredis.Server
	client  *redis.Client
	tracker *tracking.Tracker
	site    *testSite
}

func newBench(t *testing.T, args ...string) *bench {
	b := &bench{T: t, redis: testredis.Start(t, testredis.Options{Args: args}), site: newTestSite(t)}
	b.client = redis.NewClient(&redis.Options{Addr: b.redis.Addr(), DialerRetries: 1, MaxRetries: -1, DialTimeout: time.Second})
	t.Cleanup(func() { _ = b.client.Close() })
	b.tracker = newTracker(b.client)
	return b
}

func newTracker(client redis.UniversalClient) *tracking.Tracker {
	return tracking.New(client, tracking.Options{RecordURL: func(stored []byte) string {
		r, err := feature.Unmarshal(stored)
		if err != nil {
			return err.Error()
		}
		return r.URL.Href
	}})
}

func (b *bench) fetcher(change ...func(*fetch.Options)) *fetch.Client {
	rule, err := fetch.ParseConnectTo("::" + b.site.server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	o := fetch.Options{
		UserAgent: "limpet/1.0 (+https://limpet.example/about)",
		AllowNet:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		ConnectTo: []fetch.ConnectTo{rule},
	}
	for _, f := range change {
		f(&o)
	}
	client, err := fetch.New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	return client
}

// crawler has short waits, so that tests do not.
func (b *bench) crawler(change ...func(*Options)) *Crawler {
	o := Options{
		Tracker: b.tracker, Workers: 4,
		Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
		PollEvery: 20 * time.Millisecond, ReapEvery: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&o)
	}
	if o.Fetch == nil {
		o.Fetch = b.fetcher()
	}
	return New(o)
}

// start runs a crawler until stop is called.
func (b *bench) start(c *Crawler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				b.Error(err)
			}
		case <-time.After(30 * time.Second):
			b.Error("Run does not return")
		}
	})
	b.Cleanup(stop)
	return stop
}

func (b *bench) submit(change ...func(*tracking.SubmitRequest)) {
	b.Helper()
	q := SubmitDomain(testSeed)
	for _, f := range change {
		f(&q)
	}
	if _, err := b.tracker.Submit(b.Context(), q); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) progress() tracking.Progress {
	b.Helper()
	p, err := b.tracker.Progress(b.Context(), testSeed)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b *bench) awaitStatus(want tracking.Status) tracking.Progress {
	b.Helper()
	var p tracking.Progress
	b.await(fmt.Sprintf("status %s", want), func() bool {
		p = b.progress()
		return p.Status == want
	})
	return p
}

func (b *bench) await(what string, done func() bool) {
	b.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			p, err := b.tracker.Progress(context.Background(), testSeed)
			b.Fatalf("waited 30 s for %s: %+v, %v", what, p, err)
		case <-tick.C:
		}
	}
}

// crawlAll submits, crawls to the end, and looks whether the count is right.
func (b *bench) crawlAll(c *Crawler, change ...func(*tracking.SubmitRequest)) tracking.Progress {
	b.Helper()
	b.submit(change...)
	stop := b.start(c)
	p := b.awaitStatus(tracking.Completed)
	stop()
	b.wantExact()
	return p
}

// wantExact checks that the audit is clean and that no page was counted twice.
func (b *bench) wantExact() {
	b.Helper()
	report, err := b.tracker.Audit(b.Context(), testSeed, false)
	if err != nil || !report.Clean() {
		b.Errorf("audit: %+v, %v", report, err)
	}
	ended := make(map[string]int)
	cancelled := 0
	for after := ""; ; {
		events, err := b.tracker.Events(b.Context(), testSeed, after, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			after = e.ID
			switch e.Kind {
			case tracking.EventCrawled, tracking.EventFailed, tracking.EventSkipped:
				ended[e.Page]++
			case tracking.EventCancelled:
				n, _ := strconv.Atoi(e.Fields["pages"])
				cancelled += n
			}
		}
	}
	p := b.progress()
	if n := int64(len(ended) + cancelled); n != p.Crawled+p.Failed+p.Skipped {
		b.Errorf("%d pages have ended by their events, by the counters %+v", n, p)
	}
	for page, n := range ended {
		if n != 1 {
			b.Errorf("page %s ended %d times", page, n)
		}
	}
}

// in lists the pages in a state, as test.com has them: without scheme, and
// without the host if that is test.com.
func (b *bench) in(state tracking.State) []string {
	b.Helper()
	names := []string{}
	for cursor := ""; ; {
		pages, next, err := b.tracker.Pages(b.Context(), testSeed, state, cursor, 100)
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range pages {
			_, name, _ := strings.Cut(p.URL, "://")
			names = append(names, strings.TrimPrefix(name, string(testSeed)))
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (b *bench) wantIn(state tracking.State, want ...string) {
	b.Helper()
	want = slices.Sorted(slices.Values(append([]string{}, want...)))
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, b.in(state)); diff != "" {
		b.Errorf("pages %s (-want +got):\n%s", state, diff)
	}
}

// records are the feature records of the seed, by path.
func (b *bench) records() map[string]feature.Record {
	b.Helper()
	all := make(map[string]feature.Record)
	for cursor := ""; ; {
		records, next, err := b.tracker.Records(b.Context(), testSeed, cursor, 100)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range records {
			record, err := feature.Unmarshal(r.Bytes)
			if err != nil {
				b.Fatal(err)
			}
			_, name, _ := strings.Cut(record.URL.Href, "://")
			all[strings.TrimPrefix(name, string(testSeed))] = record
		}
		if cursor = next; cursor == "" {
			return all
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
