package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"limpet/clock"
)

// robotsSite serves robots.txt by one function and pages by nothing at all.
type robotsSite struct {
	robots atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int32 // for robots.txt
	pages  atomic.Int32
	clock  *clock.Fake
	client *Client
}

func newRobotsSite(t *testing.T, h http.HandlerFunc) *robotsSite {
	s := &robotsSite{clock: clock.NewFake(epoch)}
	s.robots.Store(&h)
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			s.asked.Add(1)
			(*s.robots.Load())(w, r)
			return
		}
		s.pages.Add(1)
	}))
	s.client = newClient(t, addr, func(o *Options) { o.Clock = s.clock })
	return s
}

func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func TestRobots_Disallowed_IsSkippedWithoutARequest(t *testing.T) {
	s := newRobotsSite(t, says(200, "User-agent: limpet\nDisallow: /private"))
	_, e := getErr(t, s.client, "http://test.com/private/x")
	if e.Kind != KindRobots || e.Retryable || !e.Disallowed() || s.pages.Load() != 0 {
		t.Errorf("%+v after %d pages", e, s.pages.Load())
	}
	get(t, s.client, "http://test.com/public")
	if s.asked.Load() != 1 {
		t.Errorf("robots.txt was asked for %d times", s.asked.Load())
	}
}

func TestRobots_Status_DecidesByRFC9309(t *testing.T) {
	for status, allowed := range map[int]bool{
		200: false, 204: true, 301: true, 400: true, 401: true, 403: true, 404: true, 410: true, 451: true,
	} {
		s := newRobotsSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			if status == 200 || status >= 400 {
				_, _ = io.WriteString(w, "User-agent: *\nDisallow: /")
			}
		})
		_, err := s.client.Fetch(t.Context(), Request{URL: "http://test.com/", Seed: "test.com"})
		if (err == nil) != allowed {
			t.Errorf("%d: %v, want the page allowed: %v", status, err, allowed)
		}
	}
	for _, status := range []int{429, 500, 502, 503, 599} {
		s := newRobotsSite(t, says(status, ""))
		_, e := getErr(t, s.client, "http://test.com/")
		if e.Kind != KindRobots || !e.Retryable || e.Disallowed() || e.RetryAfter != robotsRetry || s.pages.Load() != 0 {
			t.Errorf("%d: %+v, want it deferred", status, e)
		}
	}
}

func TestRobots_NotToBeHad_IsAskedForAgainLater(t *testing.T) {
	s := newRobotsSite(t, says(500, ""))
	_, first := getErr(t, s.client, "http://test.com/")
	s.clock.Advance(time.Second)
	_, second := getErr(t, s.client, "http://test.com/other")
	if s.asked.Load() != 1 || second.RetryAfter != first.RetryAfter-time.Second {
		t.Errorf("asked %d times; retry after %s, then %s", s.asked.Load(), first.RetryAfter, second.RetryAfter)
	}
	s.clock.Advance(second.RetryAfter)
	if _, third := getErr(t, s.client, "http://test.com/"); s.asked.Load() != 2 || third.RetryAfter != 2*robotsRetry {
		t.Errorf("asked %d times; retry after %s, want twice the first", s.asked.Load(), third.RetryAfter)
	}
	good := says(200, "User-agent: *\nDisallow: /private")
	s.robots.Store(&good)
	s.clock.Advance(2 * robotsRetry)
	get(t, s.client, "http://test.com/")
	if s.asked.Load() != 3 || s.pages.Load() != 1 {
		t.Errorf("asked %d times for %d pages", s.asked.Load(), s.pages.Load())
	}
}

func TestRobots_ServerGone_ErrorIsTheCauseAndMayFallBack(t *testing.T) {
	client := newClient(t, "127.0.0.1:1")
	_, e := getErr(t, client, "https://test.com/")
	if e.Kind != KindConnect || !e.Retryable || !e.unconnected {
		t.Errorf("%+v", e)
	}
	if _, again := getErr(t, client, "https://test.com/"); !again.unconnected || again.RetryAfter <= 0 {
		t.Errorf("from memory: %+v", again)
	}
}

func TestRobots_Fresh_AnHour_ThenAskedAgain(t *testing.T) {
	s := newRobotsSite(t, says(200, ""))
	get(t, s.client, "http://test.com/private")
	disallow := says(200, "User-agent: *\nDisallow: /private")
	s.robots.Store(&disallow)
	s.clock.Advance(robotsFresh - 1)
	get(t, s.client, "http://test.com/private")
	s.clock.Advance(1)
	if _, e := getErr(t, s.client, "http://test.com/private"); !e.Disallowed() || s.asked.Load() != 2 {
		t.Errorf("%v after asking %d times", e, s.asked.Load())
	}
}

func TestRobots_OldCopy_ServesWhileNoNewOneIsToBeHad(t *testing.T) {
	s := newRobotsSite(t, says(200, "User-agent: *\nDisallow: /private"))
	get(t, s.client, "http://test.com/")
	down := says(503, "")
	s.robots.Store(&down)
	s.clock.Advance(2 * robotsFresh)
	get(t, s.client, "http://test.com/")
	if _, e := getErr(t, s.client, "http://test.com/private"); !e.Disallowed() {
		t.Error(e)
	}
	s.clock.Advance(robotsStale)
	if _, e := getErr(t, s.client, "http://test.com/"); e.Disallowed() || e.Kind != KindRobots {
		t.Errorf("a day later: %v", e)
	}
}

func TestRobots_ManyWorkers_AskOnce(t *testing.T) {
	s := newRobotsSite(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond) // long enough for all to find it being asked
		_, _ = io.WriteString(w, "User-agent: *\nDisallow: /x")
	})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := s.client.Fetch(context.Background(), Request{URL: fmt.Sprintf("http://test.com/%d", i), Seed: "test.com"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.asked.Load() != 1 || s.pages.Load() != 16 {
		t.Errorf("asked %d times for %d pages", s.asked.Load(), s.pages.Load())
	}
}

func TestRobots_AskerGivesUp_AnotherAsks(t *testing.T) {
	arrived, proceed := make(chan struct{}, 2), make(chan struct{})
	s := newRobotsSite(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-proceed:
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := s.client.Robots(ctx, "http://test.com/")
		first <- err
	}()
	<-arrived
	second := make(chan error, 1)
	go func() {
		_, err := s.client.Robots(t.Context(), "http://test.com/")
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	<-arrived
	close(proceed)
	if err := <-second; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestRobots_Redirects_FiveAreFollowedAcrossHosts(t *testing.T) {
	for hops, allowed := range map[int]bool{1: false, 5: false, 6: true} {
		var asked []string
		client := newClient(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var n int
			switch {
			case r.URL.Path == "/robots.txt":
				http.Redirect(w, r, fmt.Sprintf("http://other.com/%d", hops-1), http.StatusFound)
			case r.Host == "other.com":
				asked = append(asked, r.URL.Path)
				_, _ = fmt.Sscanf(r.URL.Path, "/%d", &n)
				if n > 0 {
					http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
					return
				}
				_, _ = io.WriteString(w, "User-agent: *\nDisallow: /")
			}
		})))
		_, err := client.Fetch(t.Context(), Request{URL: "http://test.com/", Seed: "test.com"})
		if (err == nil) != allowed {
			t.Errorf("%d hops: %v after %q", hops, err, asked)
		}
	}
}

func TestRobots_RedirectInward_IsRefused(t *testing.T) {
	s := newRobotsSite(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
	})
	s.client = newClient(t, "", func(o *Options) { // only test.com is sent to the server
		rule, err := ParseConnectTo("test.com::" + s.client.opts.ConnectTo[0].toHost + ":" + s.client.opts.ConnectTo[0].toPort)
		if err != nil {
			t.Fatal(err)
		}
		o.ConnectTo = []ConnectTo{rule}
	})
	if _, e := getErr(t, s.client, "http://test.com/"); e.Kind != KindRefused || s.pages.Load() != 0 {
		t.Error(e)
	}
}

func TestRobots_Huge_IsReadToItsLimitByWholeLines(t *testing.T) {
	// The limit falls behind "Disallow: /" of the last line.
	head := "User-agent: *\nDisallow: /private\n"
	last := "Disallow: /"
	filler := strings.Repeat("#", maxRobots-len(head)-1-len(last)) + "\n"
	s := newRobotsSite(t, says(200, head+filler+last+"only-this\n"))
	get(t, s.client, "http://test.com/")
	if _, e := getErr(t, s.client, "http://test.com/private"); !e.Disallowed() {
		t.Error(e)
	}
}

func TestRobots_CrawlDelay_SpacesPages(t *testing.T) {
	s := newRobotsSite(t, says(200, "User-agent: *\nCrawl-delay: 7"))
	get(t, s.client, "http://test.com/")
	if wait := s.client.Ready("http://test.com/next"); wait != 7*time.Second {
		t.Errorf("ready in %s, want 7s", wait)
	}
}

func TestRobots_OfAnotherPortOrScheme_AreOthers(t *testing.T) {
	s := newRobotsSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "test.com:8080" {
			_, _ = io.WriteString(w, "User-agent: *\nDisallow: /")
		}
	})
	get(t, s.client, "http://test.com/")
	if _, e := getErr(t, s.client, "http://test.com:8080/"); !e.Disallowed() {
		t.Error(e)
	}
}

func TestRobots_Sitemaps_AreExposed(t *testing.T) {
	s := newRobotsSite(t, says(200, "Sitemap: http://test.com/sitemap.xml"))
	rules, err := s.client.Robots(t.Context(), "http://test.com/any/page")
	if err != nil || !slices.Equal(rules.Sitemaps, []string{"http://test.com/sitemap.xml"}) {
		t.Errorf("%v, %v", rules, err)
	}
}

func TestRobots_ManyOrigins_AreBounded(t *testing.T) {
	c := newClient(t, "", func(o *Options) { o.Clock = clock.NewFake(epoch) })
	for i := range 3 * maxRobotsOrigins {
		c.robots.mu.Lock()
		o := c.robots.origin(fmt.Sprint("http://host", i))
		c.robots.note(o, new(Rules), nil)
		c.robots.mu.Unlock()
	}
	if n := len(c.robots.origins); n > maxRobotsOrigins {
		t.Errorf("%d origins are kept", n)
	}
}
