package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"limpet/internal/tracking"
)

// The progress object is a contract: these keys, no others.
func TestProgress_HasExactlyTheDocumentedKeys(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	f.crawl("test.com", 1, "https://test.com/a", "https://test.com/b")
	f.fail("test.com", "404 Not Found")
	f.claim("test.com")
	r := f.get(f.seedPath("test.com", "")).want(200)
	var got struct {
		Success   bool
		Seed      string
		Progress  map[string]any
		Timestamp time.Time
	}
	decoder := json.NewDecoder(strings.NewReader(r.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"total": 3.0, "crawled": 1.0, "failed": 1.0, "skipped": 0.0, "pending": 1.0, "queued": 0.0,
		"delayed": 0.0, "in_flight": 1.0, "percentage": 66.66, "status": "running", "completed_at": nil,
	}
	last, _ := got.Progress["last_crawled_at"].(string)
	if _, err := time.Parse(time.RFC3339, last); err != nil || !strings.HasSuffix(last, "Z") {
		t.Errorf("last_crawled_at %q: want RFC 3339 in UTC", last)
	}
	delete(got.Progress, "last_crawled_at")
	if fmt.Sprint(got.Progress) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got.Progress, want)
	}
	if time.Since(got.Timestamp).Abs() > time.Minute {
		t.Errorf("timestamp %v", got.Timestamp)
	}
}

func TestProgress_PercentageIs100OnlyWhenAllIsDone(t *testing.T) {
	for _, row := range []struct {
		done, total int64
		want        float64
	}{{0, 0, 0}, {0, 5, 0}, {1, 3, 33.33}, {29, 100, 29}, {999_999, 1_000_000, 99.99}, {7, 7, 100}} {
		if got := percentage(row.done, row.total); got != row.want {
			t.Errorf("%d of %d: %v, want %v", row.done, row.total, got, row.want)
		}
	}
}

func TestSeeds_AreListedByStatusWithACursor(t *testing.T) {
	f := start(t)
	for i := range 5 {
		f.submit(fmt.Sprintf("s%d.com", i))
	}
	f.crawl("s1.com", 1)
	f.crawl("s3.com", 1)
	f.post(f.seedPath("s4.com", "/pause"), "").want(200)

	if got := f.list("/api/fcrawler/seeds?limit=2"); !slices.Equal(got, []string{"s0.com", "s1.com", "s2.com", "s3.com", "s4.com"}) {
		t.Errorf("all: %v", got)
	}
	if got := f.list("/api/fcrawler/seeds?limit=1&status=running"); !slices.Equal(got, []string{"s0.com", "s2.com"}) {
		t.Errorf("running: %v", got)
	}
	if got := f.list("/api/fcrawler/completed?limit=1"); !slices.Equal(got, []string{"s1.com", "s3.com"}) {
		t.Errorf("completed: %v", got)
	}
	if got := f.list("/api/fcrawler/active?limit=5"); len(got) != 2 || !slices.Contains(got, "s0.com") || !slices.Contains(got, "s2.com") {
		t.Errorf("active: %v", got)
	}
	if got := f.list("/api/fcrawler/active?limit=1"); len(got) != 1 {
		t.Errorf("active, one of them: %v", got)
	}
	f.get("/api/fcrawler/stats").want(200).
		has(5.0, "stats", "seeds", "total").has(2.0, "stats", "seeds", "running").has(1.0, "stats", "seeds", "paused").
		has(2.0, "stats", "seeds", "completed").has(0.0, "stats", "seeds", "cancelled").
		has(5.0, "stats", "pages", "total").has(2.0, "stats", "pages", "crawled").has(3.0, "stats", "pages", "queued")
}

func TestSeeds_None_IsAnEmptyListNotNull(t *testing.T) {
	f := start(t)
	for _, path := range []string{"/api/fcrawler/seeds", "/api/fcrawler/active", "/api/fcrawler/completed"} {
		if r := f.get(path).want(200); !strings.Contains(r.body, `"seeds":[],"cursor":null`) {
			t.Errorf("%s: %s", path, r.body)
		}
	}
}

// The list of active seeds is a hint that may be behind.
func TestActive_StaleHint_IsPassedOver(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	f.crawl("test.com", 1)
	f.store.Do("ZADD", "fcrawler:active_seeds", "1", "test.com", "2", "never.com")
	if got := f.list("/api/fcrawler/active"); len(got) != 0 {
		t.Errorf("active: %v", got)
	}
}

// list collects the names of all seeds of a list, cursor by cursor.
func (f *fixture) list(path string) (names []string) {
	f.t.Helper()
	for next := path; ; {
		r := f.get(next).want(200)
		for _, s := range r.at("seeds").([]any) {
			names = append(names, s.(map[string]any)["seed"].(string))
		}
		cursor, _ := r.at("cursor").(string)
		if cursor == "" {
			return names
		}
		next = path + "&cursor=" + cursor
	}
}

func TestPages_AreListedByState(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	f.crawl("test.com", 1, "https://test.com/a", "https://test.com/b", "https://test.com/c")
	f.fail("test.com", "404 Not Found")
	f.claim("test.com")
	pages := func(state string) (list []any) {
		for cursor := ""; ; {
			r := f.get(f.seedPath("test.com", "/pages?limit=1&state="+state+"&cursor="+cursor)).want(200).has("test.com", "seed")
			list = append(list, r.at("pages").([]any)...)
			if cursor, _ = r.at("cursor").(string); cursor == "" {
				return list
			}
		}
	}
	failed := pages("failed")
	if len(failed) != 1 {
		t.Fatalf("failed: %v", failed)
	}
	p := failed[0].(map[string]any)
	if p["url"] != "https://test.com/a" || p["state"] != "failed" || p["error"] != "404 Not Found" ||
		p["attempts"] != 1.0 || p["depth"] != 1.0 || p["failed_at"] == nil {
		t.Errorf("failed page: %v", p)
	}
	crawled := pages("crawled")
	if len(crawled) != 1 || crawled[0].(map[string]any)["url"] != "https://test.com/" {
		t.Errorf("crawled: %v", crawled)
	}
	for state, want := range map[string]int{"in_flight": 1, "queued": 1, "delayed": 0, "skipped": 0} {
		if got := pages(state); len(got) != want {
			t.Errorf("%s: %v", state, got)
		}
	}
	if r := f.get(f.seedPath("test.com", "/pages")).want(200); len(r.at("pages").([]any)) != 4 {
		t.Errorf("all: %s", r.body)
	}
	if r := f.get(f.seedPath("test.com", "/pages?state=skipped")); !strings.Contains(r.body, `"pages":[],"cursor":null`) {
		t.Errorf("an empty list: %s", r.body)
	}
}

func TestSteering_ChangesTheStatusOrSaysWhyNot(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	<-f.notified
	f.crawl("test.com", 1, "https://test.com/a", "https://test.com/b")
	f.fail("test.com", "gone")
	steer := func(verb string) reply { return f.post(f.seedPath("test.com", "/"+verb), "") }
	steer("resume").want(200).has("running", "status") // it runs already
	<-f.notified
	steer("pause").want(200).has("paused", "status").has("test.com", "seed")
	steer("pause").want(200).has("paused", "status")
	f.submit("test.com").want(200).has("paused", "status").has(true, "joined")
	<-f.notified
	if len(f.notified) != 0 {
		t.Error("the crawler was told of a pause")
	}
	steer("resume").want(200).has("running", "status")
	<-f.notified
	f.post(f.seedPath("test.com", "/cancel"), "{}").want(200).has("cancelled", "status")
	steer("cancel").want(200).has("cancelled", "status")
	steer("pause").want(409)
	steer("resume").want(409)
	steer("retry").want(409) // the failed page stays failed
	f.get(f.seedPath("test.com", "")).has("cancelled", "progress", "status").has(1.0, "progress", "skipped")

	f.submit("test.org")
	f.crawl("test.org", 1)
	if r := f.post(f.seedPath("test.org", "/cancel"), "").want(409); !strings.Contains(r.body, "the seed is completed") {
		t.Error(r.body)
	}
}

func TestRetry_QueuesFailedPagesAgain(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	f.crawl("test.com", 1, "https://test.com/a", "https://test.com/b", "https://test.com/c")
	for range 3 {
		f.fail("test.com", "gone")
	}
	f.get(f.seedPath("test.com", "")).has("completed", "progress", "status").has(3.0, "progress", "failed")
	id := f.get(f.seedPath("test.com", "/pages?state=failed")).at("pages").([]any)[0].(map[string]any)["id"].(string)

	<-f.notified // of the submit
	f.post(f.seedPath("test.com", "/retry"), `{"pages":["`+id+`"]}`).want(200).has(1.0, "queued")
	<-f.notified
	f.get(f.seedPath("test.com", "")).has("running", "progress", "status").has(2.0, "progress", "failed").has(1.0, "progress", "queued")
	f.post(f.seedPath("test.com", "/retry"), "").want(200).has(2.0, "queued")
	f.post(f.seedPath("test.com", "/retry"), "{}").want(200).has(0.0, "queued")
}

func TestAudit_NamesDifferencesAndMendsThemWhenAsked(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	f.crawl("test.com", 1, "https://test.com/a")
	audit := func(query string) reply { return f.post(f.seedPath("test.com", "/audit"+query), "").want(200) }
	audit("").has(true, "clean").has(false, "repaired").has(2.0, "total").has(1.0, "counts", string(tracking.StateCrawled))
	f.store.Do("SET", "fcrawler:seed:test.com:crawled", "7")
	r := audit("?repair=false").has(false, "clean").has(false, "repaired")
	if got := fmt.Sprint(r.at("differences")); got != "[map[have:7 want:1 what:crawled]]" {
		t.Errorf("differences %s", got)
	}
	audit("?repair=true").has(false, "clean").has(true, "repaired")
	audit("").has(true, "clean")
}

func TestHead_IsGetWithoutTheBody(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	for _, path := range []string{f.seedPath("test.com", ""), f.seedPath("test.com", "/features"), "/health"} {
		if r := f.ask(http.MethodHead, path, ""); r.code != 200 || r.body != "" || r.header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %q", path, r.code, r.body)
		}
	}
}
