package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/redis/go-redis/v9"
)

func TestPersistence_IsInfoWithNumbersAsNumbers(t *testing.T) {
	f := start(t)
	f.store.Do("SET", "k", "v")
	r := f.get("/api/persistence").want(200).
		has(1.0, "persistence", "rdb_changes_since_last_save").
		has(0.0, "persistence", "aof_enabled").
		has("ok", "persistence", "aof_last_write_status").
		has(-1.0, "persistence", "rdb_last_bgsave_time_sec")
	if !strings.Contains(r.body, `"current_fork_perc":0.00`) {
		t.Errorf("digits are lost: %s", r.body)
	}
}

func TestReadInfo_OnlyJSONNumbersBecomeNumbers(t *testing.T) {
	got := readInfo("# Persistence\r\na:1\r\nb:-1\r\nc:0.50\r\nd:ok\r\ne:\r\nf:01\r\ng:\"5\"\r\nh:null\r\ni:1:2\r\nj:0x10\r\n\r\nnonsense\r\n")
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"a":1,"b":-1,"c":0.50,"d":"ok","e":"","f":"01","g":"\"5\"","h":"null","i":"1:2","j":"0x10"}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestHealth_TellsWhetherTheStoreTakesWrites(t *testing.T) {
	f := start(t)
	f.get("/health").want(200).has("ok", "status").has("1.2.3", "version")
	if f.keys() != 0 {
		t.Error("the probe has written something")
	}
	f.stopWrites()
	r := f.get("/health").want(503)
	if !strings.Contains(r.body, "NOREPLICAS") || r.header.Get("Retry-After") == "" {
		t.Errorf("%v %s", r.header, r.body)
	}
	f.store.Do("CONFIG", "SET", "min-replicas-to-write", "0", "maxmemory", "1")
	if r = f.get("/health").want(503); !strings.Contains(r.body, "OOM") {
		t.Error(r.body)
	}
	f.store.Kill()
	if r = f.get("/health").want(503); !strings.Contains(r.body, "does not answer") || strings.Contains(r.body, f.store.Addr()) {
		t.Error(r.body)
	}
}

func TestStoreRefusesWrites_Is503AndReadsGoOn(t *testing.T) {
	f := start(t)
	f.submit("test.com").want(202)
	f.stopWrites()
	for _, request := range [][2]string{
		{"/api/submit", `{"domain":"test.org"}`}, {f.seedPath("test.com", "/pause"), ""}, {f.seedPath("test.com", "/cancel"), ""},
	} {
		r := f.post(request[0], request[1]).want(503)
		if r.header.Get("Retry-After") != "5" || !strings.Contains(r.body, "NOREPLICAS") || strings.Contains(r.body, "user_script") {
			t.Errorf("%s: %v %s", request[0], r.header, r.body)
		}
	}
	f.get(f.seedPath("test.com", "")).want(200).has("running", "progress", "status")
	f.get(f.seedPath("test.org", "")).want(404)
}

func TestStoreIsGone_Is503(t *testing.T) {
	f := start(t)
	f.store.Kill()
	for _, path := range []string{f.seedPath("test.com", ""), "/api/fcrawler/seeds", "/api/fcrawler/active", "/api/fcrawler/stats", "/api/persistence"} {
		if r := f.get(path).want(503); r.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	f.submit("test.com").want(503)
	if r := f.get("/metrics"); r.code != 200 || !strings.Contains(r.body, "\nlimpet_store_up 0\n") {
		t.Errorf("metrics: %d", r.code)
	}
}

func TestMetrics_CountSeedsPagesRequestsAndTheStore(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	f.crawl("test.com", 1, "https://test.com/a", "https://test.com/b")
	f.submit("test.org")
	f.crawl("test.org", 1)
	f.post(f.seedPath("test.org", "/audit"), "").want(200).has(true, "clean")
	f.store.Do("SET", "fcrawler:seed:test.com:crawled", "7")
	f.post(f.seedPath("test.com", "/audit?repair=true"), "").want(200).has(false, "clean")
	f.get("/api/nothing")
	f.ask("BREW", "/api/nothing", "")
	f.get(f.seedPath("no.such", ""))
	r := f.get("/metrics")
	if !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		t.Errorf("type %q", r.header.Get("Content-Type"))
	}
	for _, line := range []string{
		`limpet_seeds{status="running"} 1`, `limpet_seeds{status="completed"} 1`, `limpet_seeds{status="paused"} 0`,
		`limpet_pages{state="queued"} 2`, `limpet_pages{state="crawled"} 1`, `limpet_pages{state="in_flight"} 0`,
		`limpet_http_requests_total{code="202",method="POST",route="/api/submit"} 2`,
		`limpet_http_requests_total{code="404",method="GET",route="other"} 1`,
		`limpet_http_requests_total{code="404",method="other",route="other"} 1`,
		`limpet_http_requests_total{code="404",method="GET",route="/api/fcrawler/seed/{seed}"} 1`,
		`limpet_http_request_duration_seconds_count{route="/api/submit"} 2`,
		`limpet_audits_total{result="clean"} 1`, `limpet_audits_total{result="differing"} 1`, `limpet_audit_differences_total 1`,
		`limpet_store_up 1`, `limpet_store_aof_enabled 0`, `limpet_store_aof_last_write_ok 1`, `limpet_store_loading 0`,
	} {
		if !strings.Contains(r.body, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, name := range []string{"limpet_build_info{", "go_goroutines ", "process_start_time_seconds ", "limpet_store_rdb_last_save_timestamp_seconds "} {
		if !strings.Contains(r.body, "\n"+name) {
			t.Errorf("no metric %s", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(r.body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestNew_SharedRegistry_MayHaveTheGoCollectorsAlready(t *testing.T) {
	registry := prometheus.NewRegistry()
	start(t, func(o *Options) { o.Registry = registry })
	New(Options{Registry: registry}) // would panic
}

func TestPanic_Is500AndLogged(t *testing.T) {
	f := start(t, func(o *Options) { o.Store = panicky{o.Store} })
	r := f.get("/api/persistence").want(500)
	if strings.Contains(r.body, "ouch") {
		t.Error("the answer tells what only the log should")
	}
	if log := f.log.String(); !strings.Contains(log, "ouch") || !strings.Contains(log, "store_test.go") {
		t.Errorf("log: %s", log)
	}
	f.get("/health").want(200)
}

type panicky struct{ Store }

func (panicky) Info(context.Context, ...string) *redis.StringCmd { panic("ouch") }

func TestRequests_AreLoggedAtDebugLevel(t *testing.T) {
	f := start(t)
	f.get("/api/nothing")
	if log := f.log.String(); !strings.Contains(log, "level=DEBUG msg=request method=GET path=/api/nothing code=404") {
		t.Errorf("log: %s", log)
	}
}

func TestProblemOf_UnknownError_TellsNoDetails(t *testing.T) {
	p := problemOf(errors.New("secret detail"))
	if p.code != 500 || strings.Contains(p.message, "secret") || p.cause == nil {
		t.Errorf("%+v", p)
	}
}

// A handler that cannot answer in one piece must not look as if it had.
func TestPanic_AfterTheHeader_CutsTheConnection(t *testing.T) {
	f := start(t)
	a := &api{Options: Options{Logger: f.logger()}}
	a.meters = newMeters(a)
	server := httptest.NewServer(a.observe(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		panic("late")
	})))
	defer server.Close()
	if response, err := http.Get(server.URL); err == nil {
		_ = response.Body.Close()
		t.Error("got an answer")
	}
}
