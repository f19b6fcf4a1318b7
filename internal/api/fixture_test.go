package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"limpet/internal/feature"
	"limpet/internal/testredis"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is an API over a real redis-server, with a hand for a crawler.
type fixture struct {
	t        *testing.T
	store    *testredis.Server
	tracker  *tracking.Tracker
	http     *httptest.Server
	notified chan weburl.Seed
	log      lockedBuffer
}

func start(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	return startOn(testredis.Start(t, testredis.Options{}), t, change...)
}

func startOn(store *testredis.Server, t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: store, notified: make(chan weburl.Seed, 100)}
	f.tracker = tracking.New(f.store.Client(), tracking.Options{Tries: 1, RecordURL: recordURL})
	o := Options{
		Tracker: f.tracker, Store: f.store.Client(), Version: "1.2.3",
		Defaults: Defaults{MaxPages: 1000},
		Logger:   slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Notify:   func(seed weburl.Seed) { f.notified <- seed },
	}
	for _, c := range change {
		c(&o)
	}
	f.http = httptest.NewUnstartedServer(nil)
	f.http.Config = NewServer("", New(o))
	f.http.Start()
	t.Cleanup(f.http.Close)
	return f
}

func recordURL(stored []byte) string {
	r, _ := feature.Unmarshal(stored)
	return r.URL.Href
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// reply is what the API has answered.
type reply struct {
	t      *testing.T
	code   int
	header http.Header
	body   string
}

// ask sends a request; headers are "Name: value".
func (f *fixture) ask(method, path, body string, headers ...string) reply {
	f.t.Helper()
	request, err := http.NewRequest(method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	response, err := f.http.Client().Do(request)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{f.t, response.StatusCode, response.Header, string(b)}
}

func (f *fixture) get(path string) reply        { f.t.Helper(); return f.ask("GET", path, "") }
func (f *fixture) post(path, body string) reply { f.t.Helper(); return f.ask("POST", path, body) }
func (f *fixture) submit(domain string) reply {
	f.t.Helper()
	return f.post("/api/submit", domainJSON(domain))
}
func domainJSON(domain string) string                { return fmt.Sprintf(`{"domain": %q}`, domain) }
func (f *fixture) seedPath(seed, rest string) string { return "/api/fcrawler/seed/" + seed + rest }

// want fails the test unless the reply has the code, and the frame that all
// replies have.
func (r reply) want(code int) reply {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("code %d, want %d: %s", r.code, code, r.body)
	}
	if r.at("success") != (code < 400) {
		r.t.Fatalf("success is not %v: %s", code < 400, r.body)
	}
	if code >= 400 && r.at("error") == nil {
		r.t.Fatalf("no error: %s", r.body)
	}
	return r
}

// at is the value at a path of names, nil where there is none. Numbers are
// float64.
func (r reply) at(path ...string) any {
	r.t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		r.t.Fatalf("not JSON: %v: %q", err, r.body)
	}
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (r reply) has(want any, path ...string) reply {
	r.t.Helper()
	if got := r.at(path...); got != want {
		r.t.Errorf("%s = %v (%T), want %v: %s", strings.Join(path, "."), got, got, want, r.body)
	}
	return r
}

// crawl claims and completes n pages of a seed, each of which links to the
// pages named.
func (f *fixture) crawl(seed string, n int, links ...string) {
	f.t.Helper()
	for range n {
		l := f.claim(seed)
		var children []tracking.PageRef
		for _, link := range links {
			children = append(children, tracking.PageRef{URL: link, Depth: l.Depth + 1})
		}
		links = nil
		if _, err := f.tracker.Complete(context.Background(), l, tracking.Completion{Record: recordOf(f.t, l), Children: children}); err != nil {
			f.t.Fatal(err)
		}
	}
}

// fail claims a page and fails it for good.
func (f *fixture) fail(seed, why string) {
	f.t.Helper()
	if _, err := f.tracker.Fail(context.Background(), f.claim(seed), tracking.Failure{Err: why}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) claim(seed string) tracking.Lease {
	f.t.Helper()
	leases, info, err := f.tracker.Claim(context.Background(), weburl.Seed(seed), 1, time.Minute)
	if err != nil || len(leases) != 1 {
		f.t.Fatalf("claim: %d pages, %+v, %v", len(leases), info, err)
	}
	return leases[0]
}

func recordOf(t *testing.T, l tracking.Lease) []byte {
	t.Helper()
	p := weburl.Split(l.URL)
	stored, err := feature.Marshal(feature.Record{
		V: feature.Version, ID: l.PageID, Seed: string(l.Seed), Depth: l.Depth,
		URL:  feature.URL{Href: l.URL, Scheme: p.Scheme, Host: p.Host},
		HTTP: feature.HTTP{Status: 200},
	})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// keys is how many keys the store holds.
func (f *fixture) keys() int64 { f.t.Helper(); return f.store.Do("DBSIZE").(int64) }

// stopWrites has the store refuse writes, as it does for want of a replica.
func (f *fixture) stopWrites() {
	f.t.Helper()
	f.store.Do("CONFIG", "SET", "min-replicas-to-write", "1")
}

func (f *fixture) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&f.log, nil)) }
