package feature

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"limpet/internal/weburl"
)

// LIMPET_HTML names a directory of HTML files to measure on, such as
// /usr/share/doc/python3.11/html of Debian's python3.11-doc.
func benchPages(tb testing.TB) (pages [][]byte, total int64) {
	dir := os.Getenv("LIMPET_HTML")
	if dir == "" {
		dir = "testdata"
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		tb.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".html") {
			return err
		}
		page, err := os.ReadFile(path)
		pages = append(pages, page)
		total += int64(len(page))
		return err
	})
	if err != nil || len(pages) == 0 {
		tb.Fatalf("%s: %d pages, %v", dir, len(pages), err)
	}
	return pages, total
}

func benchInput(body []byte) Input {
	return Input{
		URL:         "https://test.com/library/page.html",
		Seed:        weburl.Seed("test.com"),
		Depth:       2,
		RequestedAt: time.Unix(1700000000, 0),
		Status:      200,
		Protocol:    "HTTP/1.1",
		ContentType: "text/html",
		Charset:     "utf-8",
		Body:        body,
		RawSize:     int64(len(body)),
		Header: http.Header{
			"Server":        {"nginx"},
			"Content-Type":  {"text/html"},
			"Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"},
			"Etag":          {`"65540000-1f40"`},
		},
	}
}

// BenchmarkExtract is what a page costs the crawler, record and links.
func BenchmarkExtract(b *testing.B) {
	pages, total := benchPages(b)
	b.SetBytes(total)
	b.ReportAllocs()
	for b.Loop() {
		for _, page := range pages {
			Extract(benchInput(page))
		}
	}
}

// BenchmarkTokens is the part of it that the tokenizer takes.
func BenchmarkTokens(b *testing.B) {
	pages, total := benchPages(b)
	b.SetBytes(total)
	b.ReportAllocs()
	for b.Loop() {
		for _, page := range pages {
			tokens := html.NewTokenizer(bytes.NewReader(page))
			for tokens.Next() != html.ErrorToken {
			}
		}
	}
}

// BenchmarkTree is what a tree would cost, before any walk over it.
func BenchmarkTree(b *testing.B) {
	pages, total := benchPages(b)
	b.SetBytes(total)
	b.ReportAllocs()
	for b.Loop() {
		for _, page := range pages {
			if _, err := html.Parse(bytes.NewReader(page)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkMarshal(b *testing.B) {
	pages, _ := benchPages(b)
	r, _ := Extract(benchInput(pages[0]))
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		packed, err := Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		size = len(packed)
	}
	b.ReportMetric(float64(size), "B/record")
}

func BenchmarkUnmarshal(b *testing.B) {
	stored, err := Marshal(shopRecord(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Unmarshal(stored); err != nil {
			b.Fatal(err)
		}
	}
}
