package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"limpet/internal/api"
	"limpet/internal/feature"
	"limpet/internal/testredis"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "limpet-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "limpet")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// service is the real API over a real redis-server, with a hand for a crawler.
type service struct {
	t       *testing.T
	store   *testredis.Server
	tracker *tracking.Tracker
	handler http.Handler
	http    *httptest.Server
}

func start(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, store: testredis.Start(t, testredis.Options{})}
	s.tracker = tracking.New(s.store.Client(), tracking.Options{Tries: 1})
	s.handler = api.New(api.Options{Tracker: s.tracker, Store: s.store.Client(), Defaults: api.Defaults{MaxPages: 1000}})
	s.http = httptest.NewServer(s.handler)
	t.Cleanup(func() { s.http.Close() })
	return s
}

// claim leases the next page of test.com.
func (s *service) claim() tracking.Lease {
	s.t.Helper()
	leases, info, err := s.tracker.Claim(context.Background(), "test.com", 1, time.Minute)
	if err != nil || len(leases) != 1 {
		s.t.Fatalf("claim: %d pages, %+v, %v", len(leases), info, err)
	}
	return leases[0]
}

// crawl completes the next page of test.com, which links to others.
func (s *service) crawl(links ...string) {
	s.t.Helper()
	l := s.claim()
	var children []tracking.PageRef
	for _, link := range links {
		children = append(children, tracking.PageRef{URL: link, Depth: l.Depth + 1})
	}
	record, err := feature.Marshal(feature.Record{V: feature.Version, ID: l.PageID, URL: feature.URL{Href: l.URL}})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.tracker.Complete(context.Background(), l, tracking.Completion{Record: record, Children: children}); err != nil {
		s.t.Fatal(err)
	}
}

// fail fails the next page of test.com for good.
func (s *service) fail(why string) {
	s.t.Helper()
	if _, err := s.tracker.Fail(context.Background(), s.claim(), tracking.Failure{Err: why}); err != nil {
		s.t.Fatal(err)
	}
}

// submit starts the crawl of test.com.
func (s *service) submit() {
	s.t.Helper()
	_, err := s.tracker.Submit(context.Background(), tracking.SubmitRequest{
		Seed: "test.com", URLs: []tracking.PageRef{{URL: weburl.Seed("test.com").Root("https")}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// result is what a run of the program has left behind.
type result struct {
	t        *testing.T
	args     string
	code     int
	out, err string
}

// command prepares a run against the service.
func (s *service) command(args ...string) *exec.Cmd {
	c := exec.Command(binary, args...)
	c.Env = append(os.Environ(), "LIMPET_API="+s.http.URL, "LIMPET_API_TOKEN=")
	return c
}

func (s *service) run(args ...string) result {
	s.t.Helper()
	return execute(s.t, s.command(args...))
}

func execute(t *testing.T, c *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	return result{t, strings.Join(c.Args[1:], " "), exitCode(t, c.Run()), out.String(), errs.String()}
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

// want fails the test unless the code fits and the output has all the parts:
// standard output for success and exitNo, standard error for others.
func (r result) want(code int, parts ...string) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("limpet %s: exit code %d, want %d\n%s%s", r.args, r.code, code, r.out, r.err)
	}
	text := r.out
	if code > exitNo {
		text = r.err
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			r.t.Errorf("limpet %s: no %q in\n%s", r.args, part, text)
		}
	}
	if code == 0 && r.err != "" {
		r.t.Errorf("limpet %s: success, yet standard error has\n%s", r.args, r.err)
	}
	return r
}

// lines reads the output as JSON, one value a line.
func (r result) lines() (values []map[string]any) {
	r.t.Helper()
	for line := range strings.Lines(r.out) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			r.t.Fatalf("limpet %s: not JSON: %v: %q", r.args, err, line)
		}
		values = append(values, v)
	}
	return values
}

func TestSubmit_TellsWhatHappenedAndWhatToTypeNext(t *testing.T) {
	s := start(t)
	s.run("submit", "TEST.com", "--max-pages", "7", "--max-depth=3").want(0, "test.com: crawl started (generation 1)", "limpet progress test.com --watch")
	if got := s.store.Do("HMGET", "fcrawler:seed:test.com:m", "max_pages", "max_depth"); fmt.Sprint(got) != "[7 3]" {
		t.Errorf("limits %v", got)
	}
	s.run("submit", "https://test.com/x").want(0, "already running (generation 1), joined")
	s.crawl()
	s.crawl() // the other URL has become a page, too
	s.run("submit", "test.com").want(0, "already completed (generation 1), nothing was started", "limpet submit test.com --recrawl")
	for range 2 {
		s.run("submit", "test.com", "--recrawl", "--idempotency-key", "k").want(0, "generation 2")
	}
	if got := s.run("submit", "test.com", "--json").want(0).lines(); len(got) != 1 || got[0]["seed"] != "test.com" || got[0]["joined"] != true {
		t.Errorf("JSON %v", got)
	}
}

func TestProgress_ShowsAllFigures(t *testing.T) {
	s := start(t)
	s.submit()
	s.crawl("https://test.com/a", "https://test.com/b")
	s.fail("gone")
	s.run("progress", "test.com").want(0, "test.com: running, 66.66 % done", "total           3", "crawled         1", "failed          1",
		"(1 queued, 0 delayed, 0 in flight)", "limpet retry test.com")
	if got := s.run("progress", "test.com", "--json").want(0).lines(); len(got) != 1 || got[0]["progress"].(map[string]any)["total"] != 3.0 {
		t.Errorf("JSON %v", got)
	}
}

func TestSeedsAndPages_AreTablesOrJSONLines(t *testing.T) {
	s := start(t)
	s.run("seeds").want(0, "seed")
	s.submit()
	s.crawl("https://test.com/a", "https://test.com/b")
	s.fail("bad header \x1b[2J\u009b") // must not reach a terminal
	s.run("submit", "other.com").want(0)
	s.run("seeds").want(0, "test.com", "other.com", "66.66 %")
	if got := s.run("seeds", "--json").want(0).lines(); len(got) != 2 {
		t.Errorf("JSON %v", got)
	}
	if got := s.run("seeds", "--status", "completed", "--json").want(0).lines(); len(got) != 0 {
		t.Errorf("JSON %v", got)
	}
	s.run("pages", "test.com", "--state", "failed").want(0, "https://test.com/a  (bad header ·[2J·)")
	if got := s.run("pages", "test.com", "--json").want(0).lines(); len(got) != 3 {
		t.Errorf("JSON %v", got)
	}
}

func TestSteering_PrintsTheStatus(t *testing.T) {
	s := start(t)
	s.submit()
	s.run("pause", "test.com").want(0, "test.com: paused")
	s.run("resume", "test.com").want(0, "test.com: running")
	s.crawl("https://test.com/a", "https://test.com/b")
	s.fail("gone")
	s.run("retry", "test.com").want(0, "test.com: 1 queued again")
	s.run("retry", "test.com").want(0, "no failed pages")
	if got := s.run("cancel", "test.com", "--json").want(0).lines(); got[0]["status"] != "cancelled" {
		t.Errorf("JSON %v", got)
	}
	s.run("resume", "test.com").want(exitRefused, "the seed is cancelled")
}

func TestRetry_NamedPagesOnly(t *testing.T) {
	s := start(t)
	s.submit()
	s.crawl("https://test.com/a", "https://test.com/b")
	s.fail("gone")
	s.fail("gone")
	id := s.run("pages", "test.com", "--state=failed", "--json").want(0).lines()[0]["id"].(string)
	s.run("retry", "test.com", id).want(0, "1 queued")
	s.run("retry", "test.com", "x").want(exitRefused, "want an id")
}

func TestAudit_ExitCodeIs1WhenSomethingDiffers(t *testing.T) {
	s := start(t)
	s.submit()
	s.crawl("https://test.com/a")
	s.run("audit", "test.com").want(0, "test.com: clean; total 2: 1 crawled, 0 failed, 0 skipped, 1 queued")
	s.store.Do("SET", "fcrawler:seed:test.com:crawled", "7")
	r := s.run("audit", "test.com").want(exitNo, "test.com: 1 difference;", "crawled", "Nothing has been changed", "limpet audit test.com --repair")
	if r.err != "" {
		t.Errorf("standard error: %s", r.err)
	}
	if got := s.run("audit", "test.com", "--json").want(exitNo).lines(); got[0]["clean"] != false {
		t.Errorf("JSON %v", got)
	}
	s.run("audit", "test.com", "--repair").want(0, "All are mended")
	s.run("audit", "test.com").want(0, "clean")
}

// Exit codes are a contract; so is that an error says what to type.
func TestExitCodes(t *testing.T) {
	s := start(t)
	s.submit()
	guarded := httptest.NewServer(api.New(api.Options{Tracker: s.tracker, Store: s.store.Client(), Token: "s3cret"}))
	defer guarded.Close()
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<p>hello"))
	}))
	defer html.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, row := range []struct {
		name string
		args string
		code int
		says string
	}{
		{"unknown command", "sumbit test.com", exitUsage, "limpet --help"},
		{"missing seed", "progress", exitUsage, "limpet progress --help"},
		{"unknown flag", "seeds --all", exitUsage, "unknown flag --all"},
		{"not a number", "submit test.com --max-pages many", exitUsage, "--max-pages"},
		{"unknown status", "seeds --status done", exitUsage, `--status must be one of "running","paused","cancelled","completed" but got "done"`},
		{"address is no URL", "seeds --api ftp://x", exitUsage, "want a URL like http://127.0.0.1:3001"},
		{"interval is 0", "progress test.com --watch --interval 0s", exitUsage, "want 10ms or more"},
		{"nobody listens", "progress test.com --api " + closed.URL, exitUnreachable, "cannot reach " + closed.URL + ": connection refused\n  Is `limpet up` running?"},
		{"nobody listens, watching", "progress test.com --watch --api " + closed.URL, exitUnreachable, "start:  limpet up"},
		{"address without scheme", "seeds --api " + strings.TrimPrefix(closed.URL, "http://"), exitUnreachable, "connection refused"},
		{"no such host", "seeds --api http://nothing.invalid", exitUnreachable, "cannot reach http://nothing.invalid: "},
		{"someone else answers", "seeds --api " + html.URL, exitUnreachable, "not as Limpet does: 200 OK, text/html"},
		{"bad domain", "submit 127.0.0.1", exitRefused, "is an IP address"},
		{"bad URL", "submit ftp://test.com", exitRefused, "ftp"},
		{"negative limit", "submit test.com --max-pages=-1", exitRefused, `field "max_pages"`},
		{"no token", "seeds --api " + guarded.URL, exitRefused, "LIMPET_API_TOKEN"},
		{"right token", "seeds --token s3cret --api " + guarded.URL, 0, ""},
		{"unknown seed", "progress nobody.com", exitNotFound, "limpet submit DOMAIN"},
		{"unknown seed, watching", "progress nobody.com --watch", exitNotFound, "unknown seed"},
		{"seed that is no name", "pages a/b", exitNotFound, "unknown seed"},
		{"unknown seed's export", "export nobody.com", exitNotFound, "unknown seed"},
		{"version", "--version", 0, "dev"},
		{"help", "--help", 0, "Clients of a running service"},
		{"nothing at all", "", 0, "Usage: limpet"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := execute(t, s.command(strings.Fields(row.args)...)).want(row.code, row.says)
			if row.code != 0 && r.out != "" {
				t.Errorf("standard output: %s", r.out)
			}
		})
	}
}

func TestStoreRefusesWrites_ExitCodeIs6(t *testing.T) {
	s := start(t)
	s.store.Do("CONFIG", "SET", "min-replicas-to-write", "1")
	s.run("submit", "test.com").want(exitLater, "NOREPLICAS")
}

func TestJSON_ErrorsAreJSONToo(t *testing.T) {
	s := start(t)
	r := s.run("progress", "nobody.com", "--json").want(exitNotFound)
	var e struct {
		Success     *bool
		Error, Hint string
	}
	if err := json.Unmarshal([]byte(r.err), &e); err != nil || e.Success == nil || *e.Success || e.Error != "unknown seed" || e.Hint == "" || r.out != "" {
		t.Errorf("%v: %q %q", err, r.err, r.out)
	}
}

func TestUp_BadSettings_AreRefusedBeforeAnythingHappens(t *testing.T) {
	for _, row := range []struct{ args, says string }{
		{"up --api-addr 0.0.0.0:3001", "set --api-token, or say --insecure"},
		{"up --api-addr :3001", "reachable from other machines"},
		{"up --api-addr 3001", "want HOST:PORT"},
		{"up --store-addr [::]:6379", "set --store-password, or say --insecure"},
		{"store --store-addr 192.0.2.1:6379", "set --store-password, or say --insecure"},
		{"up --store http://x", "want a URL like redis://localhost:6379/0"},
		{"up --workers 0", "--workers 0: want 1 or more"},
		{"up --delay=-1s", "--delay -1s: want 0 or more"},
		{"up --connect-to test.com:443", "want HOST1:PORT1:HOST2:PORT2"},
		{"up --allow-net 10.0.0.0", "--allow-net"},
		{"up --appendfsync sometimes", "--appendfsync must be one of"},
	} {
		dir := t.TempDir()
		c := exec.Command(binary, strings.Fields(row.args)...)
		c.Dir = dir
		execute(t, c).want(exitUsage, row.says)
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("limpet %s: left %v, %v", row.args, left, err)
		}
	}
	for _, good := range []string{"--api-addr [::1]:3001", "--api-addr localhost:3001", "--api-addr :3001 --api-token x", "--api-addr :3001 --insecure", "--store redis://:pw@h:1/2 --store-addr :1"} {
		var c commands
		parser, err := newParser(&c, terminal{os.Stdout, os.Stderr})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Fields("up " + good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}
