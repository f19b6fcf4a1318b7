package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"limpet/internal/feature"
	"limpet/internal/tracking"
)

// export reads the whole stream and its trailers.
func (f *fixture) export(format string) (body string, response *http.Response) {
	f.t.Helper()
	response, err := f.http.Client().Get(f.http.URL + f.seedPath("test.com", "/features"+format))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b), response
}

// manyPages crawls n pages beside the first one.
func (f *fixture) manyPages(n int) {
	f.t.Helper()
	f.submit("test.com")
	l := f.claim("test.com")
	var children []tracking.PageRef
	for i := range n {
		children = append(children, tracking.PageRef{URL: fmt.Sprintf("https://test.com/%d", i), Depth: 1})
	}
	ctx := context.Background()
	if _, err := f.tracker.Complete(ctx, l, tracking.Completion{Record: recordOf(f.t, l), Children: children}); err != nil {
		f.t.Fatal(err)
	}
	f.crawl("test.com", n)
}

func TestFeatures_OneRowForEachCrawledPage(t *testing.T) {
	f := start(t)
	const n = 450 // more than one batch
	f.manyPages(n)

	body, response := f.export("")
	if got := response.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("type %q", got)
	}
	if got := response.Header.Get("Content-Disposition"); got != `attachment; filename="test.com-features.jsonl"` {
		t.Errorf("disposition %q", got)
	}
	urls := make(map[string]bool)
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		var r feature.Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		urls[r.URL.Href] = true
	}
	if len(urls) != n+1 || response.Trailer.Get("Limpet-Rows") != fmt.Sprint(n+1) || response.Trailer.Get("Limpet-Unreadable") != "0" {
		t.Errorf("%d pages, trailers %v", len(urls), response.Trailer)
	}

	body, response = f.export("?format=csv")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != n+2 || !slices.Equal(rows[0], feature.CSVHeader()) {
		t.Errorf("%d rows, the first %v", len(rows), rows[0])
	}
	if got := response.Header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
		t.Errorf("type %q", got)
	}
}

func TestFeatures_NothingCrawled_IsEmptyButACSVHasItsHeader(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	if body, response := f.export(""); body != "" || response.Trailer.Get("Limpet-Rows") != "0" {
		t.Errorf("%q, %v", body, response.Trailer)
	}
	if body, _ := f.export("?format=csv"); strings.Count(body, "\n") != 1 || !strings.HasPrefix(body, "v,id,") {
		t.Errorf("%q", body)
	}
}

func TestFeatures_UnreadableRecords_AreLeftOutAndCounted(t *testing.T) {
	f := start(t)
	f.manyPages(3)
	id := f.store.Do("HRANDFIELD", "fcrawler:seed:test.com:r").(string)
	f.store.Do("HSET", "fcrawler:seed:test.com:r", id, "scrambled")
	for _, format := range []string{"", "?format=csv"} {
		_, response := f.export(format)
		if response.Trailer.Get("Limpet-Rows") != "3" || response.Trailer.Get("Limpet-Unreadable") != "1" {
			t.Errorf("trailers %v", response.Trailer)
		}
	}
	if !strings.Contains(f.log.String(), id) {
		t.Error("the log does not name the page")
	}
}

// A part must never look like the whole.
func TestFeatures_StoreDiesOnTheWay_TheConnectionIsCut(t *testing.T) {
	f := start(t)
	const n = 60_000
	f.submit("test.com")
	stored := recordOf(t, f.claim("test.com"))
	pipe := f.store.Client().Pipeline()
	for i := range n {
		pipe.HSet(context.Background(), "fcrawler:seed:test.com:r", fmt.Sprintf("%022d", i), stored)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
	response, err := f.http.Client().Get(f.http.URL + f.seedPath("test.com", "/features"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := response.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	f.store.Kill() // the rest does not fit into the buffers between us
	if _, err := io.Copy(io.Discard, response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reading to the end: %v", err)
	}
}

func TestFeatures_ReaderGoesAway_TheExportEnds(t *testing.T) {
	f := start(t)
	f.manyPages(300)
	ctx, cancel := context.WithCancel(context.Background())
	request, _ := http.NewRequestWithContext(ctx, "GET", f.http.URL+f.seedPath("test.com", "/features"), nil)
	response, err := f.http.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = response.Body.Close()
	f.http.Close() // waits for the handler
}
