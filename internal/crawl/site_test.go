package crawl

import (
	"errors"
	"strconv"
	"testing"
	"testing/quick"
	"time"

	"limpet/internal/fetch"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

func TestPace_BriskSite_GetsMoreAtOnce_SlowSiteLess(t *testing.T) {
	now := time.Now()
	site := newSite(testSeed)
	for range 5 {
		now = now.Add(10 * time.Millisecond)
		site.pace(now, site.batch, site.batch, 8)
	}
	if site.batch != 8 {
		t.Errorf("a brisk site gets %d pages at once", site.batch)
	}
	now = now.Add(time.Second)
	site.pace(now, 8, 3, 8)
	if site.batch != 8 {
		t.Error("a claim that found few pages says nothing of the site's pace")
	}
	for range 5 {
		now = now.Add(time.Second)
		site.pace(now, site.batch, site.batch, 8)
	}
	if site.batch != 1 {
		t.Errorf("a slow site gets %d pages at once", site.batch)
	}
}

func TestPatience_WaitsForWhatIsNext(t *testing.T) {
	const never = -1
	for _, c := range []struct {
		name string
		info tracking.ClaimInfo
		got  int
		dry  int
		want time.Duration
	}{
		{"a delayed page", tracking.ClaimInfo{NextReadyIn: 300 * time.Millisecond, NextLapseIn: never}, 0, 0, 301 * time.Millisecond},
		{"pages that others have", tracking.ClaimInfo{NextReadyIn: never, NextLapseIn: time.Minute}, 0, 0, firstPoll},
		{"pages that others have, again and again", tracking.ClaimInfo{NextReadyIn: never, NextLapseIn: time.Minute}, 0, 99, lastPoll},
		{"own pages", tracking.ClaimInfo{NextReadyIn: never, NextLapseIn: time.Minute}, 2, 0, lastPoll},
		{"nothing", tracking.ClaimInfo{NextReadyIn: never, NextLapseIn: never}, 0, 0, idle},
		{"a page delayed for long", tracking.ClaimInfo{NextReadyIn: time.Hour, NextLapseIn: never}, 0, 0, idle},
	} {
		site := newSite(testSeed)
		site.dry = c.dry
		if got := site.patience(c.info, c.got); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFirstContact_OnePageAHost(t *testing.T) {
	f, err := fetch.New(fetch.Options{UserAgent: "limpet/1.0"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	site := newSite(testSeed)
	for _, url := range []string{"http://a.test.com/1", "http://a.test.com/2", "http://b.test.com/"} {
		site.waiting = append(site.waiting, &page{site: site, next: url, host: weburl.Split(url).Host})
	}
	now := time.Now()
	take := func() string {
		p, _ := site.ready(f)
		if p == nil {
			return ""
		}
		site.begin(p, now)
		defer func() { site.waiting = append(site.waiting, p) }()
		return p.next
	}
	first, second := take(), take()
	if first != "http://a.test.com/1" || second != "http://b.test.com/" {
		t.Errorf("began %s, %s", first, second)
	}
	if third := take(); third != "" {
		t.Errorf("began %s while its host had not answered yet", third)
	}
	site.end(site.waiting[1])
	if p, _ := site.ready(f); p == nil {
		t.Error("no page is ready though its host has answered")
	}
}

func TestKnown_AnotherRunOrGeneration_KnowsNothing(t *testing.T) {
	site := newSite(testSeed)
	id := weburl.ID("http://test.com/")
	unknown := func() bool {
		found := false
		site.known.unknown(1, func(int) string { return id }, func(int) { found = true })
		return found
	}
	site.remember(1, "run a")
	site.known.add(id)
	site.remember(1, "run a")
	if unknown() {
		t.Error("forgotten too early")
	}
	for _, next := range []struct {
		generation int64
		run        string
	}{{1, "run b"}, {2, "run b"}, {2, ""}, {2, "run b"}} {
		site.remember(next.generation, next.run)
		if !unknown() {
			t.Errorf("remembered in generation %d, run %q", next.generation, next.run)
		}
		site.known.add(id)
	}
}

func TestKnown_NoRun_EverythingIsSent(t *testing.T) {
	var k *known
	k.add("x")
	n := 0
	k.unknown(3, strconv.Itoa, func(int) { n++ })
	if n != 3 {
		t.Errorf("kept %d of 3", n)
	}
}

func TestKnown_IsBounded(t *testing.T) {
	k := newKnown("a run")
	ids := make([]string, 1000)
	for i := range 2 * maxKnown / len(ids) {
		for j := range ids {
			ids[j] = weburl.ID("http://test.com/" + strconv.Itoa(i*len(ids)+j))
		}
		k.add(ids...)
		if len(k.ids) > maxKnown {
			t.Fatalf("%d pages", len(k.ids))
		}
	}
}

func TestBackoff_DoublesUpToItsLimit_HalfOfItRandom(t *testing.T) {
	c := New(Options{Backoff: time.Second, MaxBackoff: time.Minute})
	err := quick.Check(func(attempt uint8) bool {
		want := min(time.Second<<min(max(int(attempt), 1)-1, 20), time.Minute)
		got := c.backoff(int(attempt))
		return got >= want/2 && got <= want
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

func TestFailure_RetryAfter_GoesBeforeTheBackoff(t *testing.T) {
	c := New(Options{Attempts: 2})
	p := &page{Lease: tracking.Lease{Attempt: 1}}
	e := &fetch.Error{Kind: fetch.KindStatus, URL: "u", Status: 503, Retryable: true, RetryAfter: time.Minute}
	if f := c.failure(p, e); !f.Retryable || f.Delay != time.Minute || f.Event["status"] != "503" {
		t.Errorf("got %+v", f)
	}
	p.Attempt = 2
	if f := c.failure(p, e); f.Retryable {
		t.Error("a third attempt of two")
	}
	e = &fetch.Error{Kind: fetch.KindDNS, URL: "u", Err: errors.New("no such host")}
	p.Attempt = 1
	if f := c.failure(p, e); f.Retryable || f.Event["cause"] != "dns" || f.Event["status"] != "" {
		t.Errorf("got %+v", f)
	}
}

func TestSubmitDomain_HTTPSFirst_SubmitURL_AsGiven(t *testing.T) {
	q := SubmitDomain(testSeed)
	if q.URLs[0].URL != "https://test.com/" || string(q.Options) != "{}" || q.MaxAttempts != claimsPerPage {
		t.Errorf("got %+v", q)
	}
	q = SubmitURL(testSeed, "https://www.test.com/x")
	if q.Seed != testSeed || q.URLs[0].URL != "https://www.test.com/x" || string(q.Options) != `{"exact_scheme":true}` {
		t.Errorf("got %+v", q)
	}
}
