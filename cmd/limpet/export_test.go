package main

import (
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (s *service) threePages() {
	s.t.Helper()
	s.submit()
	s.crawl("https://test.com/a", "https://test.com/b")
	s.crawl()
	s.crawl()
}

func TestExport_GoesToStandardOutputOrAFile(t *testing.T) {
	s := start(t)
	s.threePages()
	if got := s.run("export", "test.com").want(0).lines(); len(got) != 3 {
		t.Errorf("%v", got)
	}
	if rows, err := csv.NewReader(strings.NewReader(s.run("export", "test.com", "--format", "csv").want(0).out)).ReadAll(); err != nil || len(rows) != 4 {
		t.Errorf("%v, %v", rows, err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "out.CSV")
	s.run("export", "test.com", "-o", file).want(0, "test.com: 3 rows written to "+file)
	if text := read(t, file); !strings.HasPrefix(text, "v,id,") || strings.Count(text, "\n") != 4 {
		t.Errorf("%q", text)
	}
	got := s.run("export", "test.com", "-o", file, "--format", "jsonl", "--json").want(0).lines()
	if got[0]["rows"] != 3.0 || got[0]["unreadable"] != 0.0 || !strings.HasPrefix(read(t, file), "{") {
		t.Errorf("%v", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestExport_UnreadableRecords_ExitCodeIs1(t *testing.T) {
	s := start(t)
	s.threePages()
	id := s.store.Do("HRANDFIELD", "fcrawler:seed:test.com:r").(string)
	s.store.Do("HSET", "fcrawler:seed:test.com:r", id, "scrambled")
	r := s.run("export", "test.com").want(exitNo)
	if len(r.lines()) != 2 || !strings.Contains(r.err, "left out: 1;") {
		t.Errorf("%q %q", r.out, r.err)
	}
}

// A part must never replace a whole.
func TestExport_BreaksOff_TheOldFileStays(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Limpet-Rows")
		_, _ = w.Write([]byte("{}\n"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer broken.Close()
	trimmed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}\n")) }))
	defer trimmed.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "out")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for url, says := range map[string]string{broken.URL: "the export broke off", trimmed.URL: "does a proxy drop its trailers"} {
		s := &service{t: t, http: &httptest.Server{URL: url}}
		s.run("export", "test.com", "-o", file).want(exitUnreachable, says, file+" is as it was before")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || read(t, file) != "old" {
		t.Errorf("%v, %q", left, read(t, file))
	}
}

func TestExport_FileCannotBeWritten_SaysWhy(t *testing.T) {
	s := start(t)
	s.threePages()
	s.run("export", "test.com", "-o", "/nowhere/at/all").want(exitLocal, "no such file or directory")
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
