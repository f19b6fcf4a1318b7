package crawl

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"limpet/internal/feature"
	"limpet/internal/fetch"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

func TestCrawl_SmallSite_ExactlyItsPages(t *testing.T) {
	b := newBench(t)
	all := b.site.tree(40, 3)
	p := b.crawlAll(b.crawler())
	b.wantIn(tracking.StateCrawled, all...)
	if p.Total != 40 || p.Crawled != 40 || p.Percentage != 100 {
		t.Errorf("got %+v", p)
	}
	records := b.records()
	if got := sortedKeys(records); !slices.Equal(got, slices.Sorted(slices.Values(all))) {
		t.Errorf("records of %v", got)
	}
	deep := records["/p39"]
	if deep.Depth != 3 || deep.HTTP.Status != 200 || deep.HTML.Title != "a page" || deep.HTTP.RemoteIP != "127.0.0.1" ||
		time.Since(deep.RequestedAt) > time.Minute {
		t.Errorf("record %+v", deep)
	}
}

func TestCrawl_Subdomains_AreTheSite_OtherHostsAreNot(t *testing.T) {
	b := newBench(t)
	b.site.links("/", "http://a.test.com/x", "http://other.org/", "http://test.com.evil.org/")
	b.site.links("a.test.com/x", "http://test.com/back")
	b.site.links("/back")
	b.crawlAll(b.crawler())
	b.wantIn(tracking.StateCrawled, "/", "a.test.com/x", "/back")
	if b.site.hit("other.org/")+b.site.hit("other.org/robots.txt") > 0 {
		t.Error("another host was asked")
	}
}

func TestCrawl_HTTPSDoesNotAnswer_HTTPDoes(t *testing.T) {
	b := newBench(t)
	b.site.links("/", "https://test.com/same?x", "/same?x")
	b.site.links("/same?x")
	b.crawlAll(b.crawler())
	r := b.records()["/"]
	if r.URL.Scheme != "https" || r.HTTP.Final != "http://test.com/" {
		t.Errorf("url %q, final %q", r.URL.Href, r.HTTP.Final)
	}
	if p := b.progress(); p.Total != 2 {
		t.Errorf("https and http of one address are %d pages", p.Total-1)
	}
}

func TestCrawl_SubmittedURL_KeepsItsScheme(t *testing.T) {
	b := newBench(t)
	b.site.links("/start")
	b.crawlAll(b.crawler(), func(q *tracking.SubmitRequest) { *q = SubmitURL(testSeed, "https://test.com/start") })
	if p := b.progress(); p.Failed != 1 {
		t.Errorf("got %+v", p)
	}
}

func TestCrawl_Redirects_TargetsInScopeArePages(t *testing.T) {
	b := newBench(t)
	to := func(target string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) }
	}
	b.site.links("/", "/in", "/out", "/loop1", "/self", "/mail")
	b.site.handle("/in", to("/step"))
	b.site.handle("/step", to("/target"))
	b.site.links("/target", "/deeper")
	b.site.links("/deeper")
	b.site.handle("/out", to("http://other.org/x"))
	b.site.handle("/loop1", to("/loop2"))
	b.site.handle("/loop2", to("/loop1"))
	b.site.handle("/self", to("/self"))
	b.site.handle("/mail", to("mailto:a@b.org"))
	b.crawlAll(b.crawler(), func(q *tracking.SubmitRequest) { q.MaxDepth = 2 })
	b.wantIn(tracking.StateCrawled, "/", "/in", "/step", "/target", "/deeper", "/out", "/loop1", "/loop2", "/mail")
	b.wantIn(tracking.StateFailed, "/self")
	records := b.records()
	if hops := records["/in"].HTTP.Hops; len(hops) != 1 || hops[0].Status != 302 || hops[0].Location != "/step" {
		t.Errorf("hops of /in: %+v", hops)
	}
	if d := records["/target"].Depth; d != 1 {
		t.Errorf("a redirect has led deeper, to %d", d)
	}
	if hops := records["/out"].HTTP.Hops; len(hops) != 1 || hops[0].Location != "http://other.org/x" {
		t.Errorf("hops of /out: %+v", hops)
	}
}

func TestCrawl_Robots_DisallowedIsSkipped(t *testing.T) {
	b := newBench(t)
	b.site.handle("/robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("User-agent: *\nDisallow: /private\n"))
	})
	b.site.links("/", "/private/x", "/public")
	b.site.links("/public")
	b.site.links("/private/x")
	b.crawlAll(b.crawler())
	b.wantIn(tracking.StateCrawled, "/", "/public")
	b.wantIn(tracking.StateSkipped, "/private/x")
	if b.site.hit("/private/x") > 0 {
		t.Error("a disallowed page was fetched")
	}
	pages, _, err := b.tracker.Pages(t.Context(), testSeed, tracking.StateSkipped, "", 10)
	if err != nil || len(pages) != 1 || pages[0].Reason != "robots" {
		t.Errorf("skipped: %+v, %v", pages, err)
	}
}

func TestCrawl_BadAnswers_FailAtOnceOrAfterThreeAttempts(t *testing.T) {
	b := newBench(t)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	times := func(n int, bad http.HandlerFunc) http.HandlerFunc { // then good
		left := make(chan struct{}, n)
		for range n {
			left <- struct{}{}
		}
		return func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-left:
				bad(w, r)
			default:
				linking()(w, r)
			}
		}
	}
	b.site.links("/", "/404", "/410", "/403", "/500", "/500-once", "/503-twice", "/reset", "/reset-once")
	b.site.handle("/404", status(404))
	b.site.handle("/410", status(410))
	b.site.handle("/403", status(403))
	b.site.handle("/500", status(500))
	b.site.handle("/500-once", times(1, status(500)))
	b.site.handle("/503-twice", times(2, status(503)))
	b.site.handle("/reset", hangUp)
	b.site.handle("/reset-once", times(2, hangUp)) // net/http repeats the first on a connection it had used
	c := b.crawler()
	b.crawlAll(c)
	b.wantIn(tracking.StateCrawled, "/", "/500-once", "/503-twice", "/reset-once")
	b.wantIn(tracking.StateFailed, "/404", "/410", "/403", "/500", "/reset")
	for name, want := range map[string]int{"/404": 1, "/410": 1, "/403": 1, "/500": 3, "/500-once": 2, "/503-twice": 3} {
		if got := b.site.hit(name); got != want {
			t.Errorf("%s was fetched %d times, want %d", name, got, want)
		}
	}
	pages, _, err := b.tracker.Pages(t.Context(), testSeed, tracking.StateFailed, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		_, name, _ := strings.Cut(p.URL, "test.com/")
		if name != "reset" && !strings.Contains(p.Error, "status "+name) {
			t.Errorf("%s failed with %q", p.URL, p.Error)
		}
	}
	if s := c.Stats(); s.Failed != 5 || s.Crawled != 4 || s.Retried < 5 {
		t.Errorf("stats %+v", s)
	}
}

func TestCrawl_RetryAfter_IsWaitedFor(t *testing.T) {
	b := newBench(t)
	var first, second time.Time
	b.site.links("/", "/busy")
	b.site.handle("/busy", func(w http.ResponseWriter, r *http.Request) {
		if first.IsZero() {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		second = time.Now()
		linking()(w, r)
	})
	b.crawlAll(b.crawler())
	b.wantIn(tracking.StateCrawled, "/", "/busy")
	if waited := second.Sub(first); waited < time.Second {
		t.Errorf("asked again after %v", waited)
	}
}

func TestCrawl_TimeOut_IsTriedAgain(t *testing.T) {
	b := newBench(t)
	slow := make(chan struct{})
	t.Cleanup(func() { close(slow) })
	b.site.links("/", "/slow")
	b.site.handle("/slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-slow:
		case <-r.Context().Done():
		}
	})
	c := b.crawler(func(o *Options) {
		o.Attempts = 2
		o.Fetch = b.fetcher(func(o *fetch.Options) { o.HeaderTimeout = 50 * time.Millisecond })
	})
	b.crawlAll(c)
	b.wantIn(tracking.StateFailed, "/slow")
	if n := b.site.hit("/slow"); n != 2 {
		t.Errorf("tried %d times", n)
	}
}

func TestCrawl_NotHTML_IsCrawledWithoutHTMLFeatures(t *testing.T) {
	b := newBench(t)
	b.site.links("/", "/data")
	b.site.handle("/data", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pdf")
		_, _ = w.Write([]byte(`%PDF-1.4 <a href="/not-a-link">`))
	})
	b.crawlAll(b.crawler())
	b.wantIn(tracking.StateCrawled, "/", "/data")
	r := b.records()["/data"]
	if r.HTML != nil || r.Links != nil || r.HTTP.Type != "application/pdf" || r.HTTP.Size != 31 {
		t.Errorf("record %+v", r)
	}
}

func TestCrawl_MaxPages_IsTheTotal(t *testing.T) {
	b := newBench(t)
	b.site.tree(40, 3)
	p := b.crawlAll(b.crawler(), func(q *tracking.SubmitRequest) { q.MaxPages = 17 })
	if p.Total != 17 || p.Crawled != 17 || p.OverLimit == 0 {
		t.Errorf("got %+v", p)
	}
}

func TestCrawl_MaxDepth_NothingBelow(t *testing.T) {
	b := newBench(t)
	all := b.site.tree(40, 3)
	b.crawlAll(b.crawler(), func(q *tracking.SubmitRequest) { q.MaxDepth = 2 })
	b.wantIn(tracking.StateCrawled, all[:1+3+9]...)
}

func TestCrawl_Recrawl_FindsWhatIsThereNow(t *testing.T) {
	b := newBench(t)
	b.site.links("/", "/old", "/both")
	b.site.links("/old")
	b.site.links("/both")
	c := b.crawler()
	b.crawlAll(c)
	b.site.links("/", "/new", "/both")
	b.site.links("/new")
	b.submit(func(q *tracking.SubmitRequest) { q.Recrawl = true })
	stop := b.start(c)
	b.await("the second generation", func() bool { p := b.progress(); return p.Generation == 2 && p.Status == tracking.Completed })
	stop()
	b.wantIn(tracking.StateCrawled, "/", "/new", "/both")
}

func TestCrawl_Favicon_FetchedOnce_CountedNever(t *testing.T) {
	b := newBench(t)
	b.site.tree(20, 4)
	b.site.handle("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/x-icon")
		_, _ = w.Write([]byte("an icon"))
	})
	b.crawlAll(b.crawler())
	if n := b.site.hit("/favicon.ico"); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	sha, mmh3 := feature.FaviconHash([]byte("an icon"))
	for name, r := range b.records() {
		if r.Favicon == nil || r.Favicon.SHA256 != sha || r.Favicon.MMH3 == nil || *r.Favicon.MMH3 != mmh3 {
			t.Errorf("%s: favicon %+v", name, r.Favicon)
		}
	}
	if p := b.progress(); p.Total != 20 {
		t.Errorf("total %d", p.Total)
	}
}

func TestCrawl_NoFavicon_IsNoError(t *testing.T) {
	b := newBench(t)
	b.site.links("/", "/x")
	b.site.handle("/x", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<link rel=icon href="/soft404.png">`))
	})
	b.site.handle("/soft404.png", linking())
	b.crawlAll(b.crawler())
	b.wantIn(tracking.StateCrawled, "/", "/x")
	if r := b.records()["/x"]; r.Favicon == nil || r.Favicon.SHA256 != "" {
		t.Errorf("a page was taken for an icon: %+v", r.Favicon)
	}
}

func TestCrawl_PanicOnOnePage_FailsThatPage(t *testing.T) {
	b := newBench(t)
	all := b.site.tree(10, 3)
	c := b.crawler()
	c.extract = func(in feature.Input) (feature.Record, feature.Discovered) {
		if strings.HasSuffix(in.URL, "/p9") {
			panic("what a page")
		}
		return feature.Extract(in)
	}
	b.crawlAll(c)
	b.wantIn(tracking.StateCrawled, all[:9]...)
	b.wantIn(tracking.StateFailed, "/p9")
	if n := c.Stats().Panics; n != 1 {
		t.Errorf("%d panics", n)
	}
}

func TestCrawl_LinksTheStoreHas_AreNotSentAgain(t *testing.T) {
	b := newBench(t)
	const n = 30
	var every []string
	for i := range n {
		every = append(every, "/p"+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	b.site.links("/", every...)
	for _, name := range every {
		b.site.links(name, every...)
	}
	c := b.crawler()
	b.crawlAll(c)
	b.wantIn(tracking.StateCrawled, append(every, "/")...)
	if s := c.Stats(); s.Links < n*n || s.LinksSent > 2*n {
		t.Errorf("%d of %d links were sent", s.LinksSent, s.Links)
	}
}

func TestCrawl_UnknownSeedWoken_IsForgotten(t *testing.T) {
	b := newBench(t)
	c := b.crawler()
	b.start(c)
	c.Wake(weburl.Seed("nobody.org"))
	b.await("the claim", func() bool { return c.Stats().Seeds == 0 && len(c.woken.signal) == 0 })
}

func TestRun_Twice_IsRefused(t *testing.T) {
	b := newBench(t)
	c := b.crawler()
	b.start(c)
	b.await("the first Run", c.running.Load)
	if err := c.Run(t.Context()); err != errRunning {
		t.Errorf("got %v", err)
	}
}
