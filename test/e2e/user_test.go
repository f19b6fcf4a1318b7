package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// curl runs a line of the guide, with the service's address in place of
// http://localhost:3001.
func (s *service) curl(line string) map[string]any {
	s.t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		s.t.Fatal("curl not found: apt-get install curl")
	}
	cmd := exec.Command("bash", "-c", strings.ReplaceAll(line, "http://localhost:3001", s.api))
	r := execute(s.t, cmd)
	var answer map[string]any
	if err := json.Unmarshal([]byte(r.out), &answer); err != nil || r.code != 0 {
		s.t.Fatalf("%s: exit code %d, %v\n%s%s", line, r.code, err, r.out, r.err)
	}
	return answer
}

// The lines of the guide.
const (
	submitLine   = `curl -X POST http://localhost:3001/api/submit -H "Content-Type: application/json" -d '{"domain": "test.com"}'`
	progressLine = `curl http://localhost:3001/api/fcrawler/seed/test.com`
)

// figures are the numbers that must not change by themselves.
func (s *service) figures() map[string]any {
	s.t.Helper()
	p := s.curl(progressLine)["progress"].(map[string]any)
	return p
}

func TestUser_SubmitWatchStopStart_SameNumbers(t *testing.T) {
	dir := t.TempDir()
	args := append(reaching(serve(t, pythonDocs)), "--dir", dir)

	s := up(t, args...)
	if a := s.curl(submitLine); a["success"] != true || a["seed"] != "test.com" || a["status"] != "running" {
		t.Fatalf("submit answered %v", a)
	}
	await(t, "pages are crawled", func() bool { return s.progress().Crawled > 50 })
	s.stopped() // in the middle

	s = up(t, args...)
	before := s.awaitCompleted()
	if before.Crawled < 500 || before.Total != before.Crawled+before.Failed {
		t.Errorf("completed with %+v", before)
	}
	whole := s.account()
	whole.wantEachPageCountedOnce(t, dial(t, s.store))
	figures := fmt.Sprint(s.figures())
	s.stopped()

	s = up(t, args...)
	if again := fmt.Sprint(s.figures()); again != figures {
		t.Errorf("before the stop %v, after the start %v", figures, again)
	}
	s.account().want(t, whole)
	for key, want := range map[string]int{"total": before.Total, "crawled": before.Crawled, "failed": before.Failed} {
		text := fmt.Sprint(want)
		if got := ask(t, s.store, "GET fcrawler:seed:test.com:"+key); got != fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) {
			t.Errorf("GET of %s answers %q, want %d", key, got, want)
		}
	}
	s.stopped()
}

// Without work the crawler ends as fast as the signal is noticed elsewhere.
func TestUser_StopsAnIdleService_ExitCodeIs0(t *testing.T) {
	dir := t.TempDir()
	for range 15 {
		up(t, "--dir", dir).stopped()
	}
}
