package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// binary is Limpet, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "limpet-e2e-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_ = os.Chmod(dir, 0o755) // another user runs it, too
	binary = filepath.Join(dir, "limpet")
	if out, err := exec.Command("go", "build", "-o", binary, "limpet/cmd/limpet").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	code = m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// randomness prints the seed with which the test can be repeated.
func randomness(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("LIMPET_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("LIMPET_SEED: %v", err)
		}
	}
	t.Logf("LIMPET_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// torture is how many rounds there are: few, or many with LIMPET_TORTURE=1.
func torture(few, many int) int {
	if os.Getenv("LIMPET_TORTURE") != "" {
		return many
	}
	return few
}

// reaching are the flags with which Limpet finds a site as test.com on loopback.
// Nobody ever listens on port 1, where https leads.
func reaching(s *site) []string {
	return []string{
		"--connect-to", "test.com:80:" + s.addr(),
		"--connect-to", "test.com:443:127.0.0.1:1",
		"--allow-net", "127.0.0.0/8",
		"--max-pages", "0",
	}
}

// service is `limpet up`.
type service struct {
	*process
	t     testing.TB
	api   string // the URL of the API
	store string // host and port of the embedded store, empty without one
}

// command is `limpet up` on ports of the system's choosing, not yet started.
func command(args ...string) *exec.Cmd {
	fixed := []string{"up", "--store-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--log-format", "json"}
	cmd := exec.Command(binary, append(fixed, args...)...)
	cmd.Env = environment()
	return cmd
}

// up starts Limpet, and returns when it is ready.
func up(t testing.TB, args ...string) *service {
	t.Helper()
	s := &service{process: spawn(t, command(args...)), t: t}
	if !s.awaitText(t, s.ready) {
		t.Fatalf("limpet up: ended at start:\n%s", s.errors)
	}
	return s
}

// ready looks for the addresses in the log. The last one to come is the API's.
func (s *service) ready(log string) bool {
	for line := range strings.Lines(log) {
		var entry struct{ Msg, API, Addr string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		switch entry.Msg {
		case "the store is ready for Redis clients":
			s.store = entry.Addr
		case "ready":
			s.api = entry.API
			return true
		}
	}
	return false
}

// get asks the API, and reads the answer into v. An error answer fails the test.
func (s *service) get(path string, v any) {
	s.t.Helper()
	response, err := http.Get(s.api + path)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.errors)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s, %v\n%s", path, response.Status, err, body)
	}
	if err := json.Unmarshal(body, v); err != nil {
		s.t.Fatalf("GET %s: %v\n%s", path, err, body)
	}
}

// progress is what the API tells of a seed, times left out.
type progress struct {
	Total, Crawled, Failed, Skipped, Pending int
	Status                                   string
}

func (s *service) progress() progress {
	s.t.Helper()
	var answer struct{ Progress progress }
	s.get("/api/fcrawler/seed/test.com", &answer)
	return answer.Progress
}

func (s *service) awaitCompleted() progress {
	s.t.Helper()
	var p progress
	await(s.t, "the crawl is completed", func() bool {
		p = s.progress()
		return p.Status == "completed"
	})
	return p
}

// run runs a client of the service: limpet seeds, limpet audit ….
func (s *service) run(args ...string) result {
	s.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = environment("LIMPET_API=" + s.api)
	return execute(s.t, cmd)
}

// must is run for what has to succeed. It gives standard output.
func (s *service) must(args ...string) string {
	s.t.Helper()
	r := s.run(args...)
	if r.code != 0 {
		s.t.Fatalf("limpet %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// crawl submits test.com and waits for the end.
func (s *service) crawl() progress {
	s.t.Helper()
	s.must("submit", "test.com")
	return s.awaitCompleted()
}

// stopped stops the service, which must end as it should.
func (s *service) stopped() {
	s.t.Helper()
	if code := s.stop(s.t); code != 0 {
		s.t.Fatalf("limpet up: exit code %d after SIGTERM\n%s", code, s.errors)
	}
}

// account is everything that can be counted of a crawl that is over.
type account struct {
	Progress progress
	Pages    map[string]string // state by path
	Records  []string          // paths of the exported records
}

// account checks that the crawl agrees with itself, and reads it.
func (s *service) account() account {
	s.t.Helper()
	a := account{Progress: s.progress(), Pages: make(map[string]string)}
	for line := range strings.Lines(s.must("pages", "test.com", "--json")) {
		var page struct{ URL, State string }
		decode(s.t, line, &page)
		a.Pages[path(s.t, page.URL)] = page.State
	}
	for line := range strings.Lines(s.must("export", "test.com")) {
		var record struct{ URL struct{ Href string } }
		decode(s.t, line, &record)
		a.Records = append(a.Records, path(s.t, record.URL.Href))
	}
	slices.Sort(a.Records)
	s.must("audit", "test.com") // fails with any difference
	a.check(s.t)
	return a
}

// check compares the figures with what they count.
func (a account) check(t testing.TB) {
	t.Helper()
	count := make(map[string]int)
	var crawled []string
	for path, state := range a.Pages {
		count[state]++
		if state == "crawled" {
			crawled = append(crawled, path)
		}
	}
	slices.Sort(crawled)
	p := a.Progress
	if p.Total != len(a.Pages) || p.Crawled != count["crawled"] || p.Failed != count["failed"] || p.Skipped != count["skipped"] ||
		p.Total != p.Crawled+p.Failed+p.Skipped+p.Pending {
		t.Errorf("the counters say %+v, the states of %d pages %v", p, len(a.Pages), count)
	}
	if diff := cmp.Diff(crawled, a.Records); diff != "" {
		t.Errorf("not one record for each crawled page (-crawled +records):\n%s", diff)
	}
}

// want compares with another account of the same site.
func (a account) want(t testing.TB, other account) {
	t.Helper()
	if diff := cmp.Diff(other, a); diff != "" {
		t.Errorf("not the crawl that was expected (-want +have):\n%s", diff)
	}
}

func (a account) paths() []string { return slices.Sorted(maps.Keys(a.Pages)) }

func decode(t testing.TB, line string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), v); err != nil {
		t.Fatalf("%v: %q", err, line)
	}
}

// path is what of a URL of test.com names the page: http and https are one.
func path(t testing.TB, url string) string {
	t.Helper()
	_, rest, _ := strings.Cut(url, "://")
	p, ok := strings.CutPrefix(rest, "test.com")
	if !ok {
		t.Fatalf("a page outside test.com: %q", url)
	}
	return p
}

// dial connects to a store, the embedded one or another.
func dial(t testing.TB, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// wantEachPageCountedOnce reads the events of the first generation: whatever was
// fetched again, each page has ended once.
func (a account) wantEachPageCountedOnce(t testing.TB, c *redis.Client) {
	t.Helper()
	events, err := c.XRange(t.Context(), "fcrawler:seed:test.com:ev", "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(map[any]int)
	completed := 0
	for _, e := range events {
		switch e.Values["kind"] {
		case "crawled", "failed", "skipped":
			ended[e.Values["page"]]++
		case "completed":
			completed++
		}
	}
	for page, n := range ended {
		if n != 1 {
			t.Errorf("page %v ended %d times by its events", page, n)
		}
	}
	if len(ended) != a.Progress.Total || completed != 1 {
		t.Errorf("by their events %d pages of %d have ended, and the crawl %d times", len(ended), a.Progress.Total, completed)
	}
}

// ask sends one command over a connection of its own, as telnet would, and gives
// the raw reply.
func ask(t testing.TB, addr, command string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, command+"\r\nQUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := strings.CutSuffix(string(reply), "+OK\r\n")
	return text
}
