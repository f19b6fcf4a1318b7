package feature

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"limpet/internal/weburl"
)

var update = flag.Bool("update", false, "rewrite the golden records in testdata")

func pageInput(body string) Input {
	return Input{
		URL:         "https://www.test.com/shop/?page=1",
		Seed:        "test.com",
		Depth:       1,
		Status:      200,
		ContentType: "text/html",
		Body:        []byte(body),
	}
}

func discoveredURLs(d Discovered) []string {
	urls := []string{}
	for _, page := range d {
		urls = append(urls, page.URL)
	}
	return urls
}

// The golden files hold the record and what was discovered, as a person would
// check them against the page beside them.
func TestExtract_Golden(t *testing.T) {
	pages, err := filepath.Glob("testdata/*.html")
	if err != nil || len(pages) == 0 {
		t.Fatal(err, "no pages in testdata")
	}
	for _, name := range pages {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, found := Extract(pageInput(string(body)))
		got, err := json.MarshalIndent(map[string]any{"record": r, "discovered": discoveredURLs(found)}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden := strings.TrimSuffix(name, ".html") + ".golden.json"
		if *update {
			if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
			t.Errorf("%s: record differs (-want +got), see -update:\n%s", name, diff)
		}
	}
}

func TestDiscovered_IsWhatLeadsToPagesOfTheSite(t *testing.T) {
	for html, want := range map[string]string{
		`<a href=/a>`:                  "https://www.test.com/a",
		`<area href=a>`:                "https://www.test.com/shop/a",
		`<iframe src=/a></iframe>`:     "https://www.test.com/a",
		`<frame src=/a>`:               "https://www.test.com/a",
		`<link rel=next href=/a>`:      "https://www.test.com/a",
		`<link rel="x PREV" href=/a>`:  "https://www.test.com/a",
		`<link rel=canonical href=/a>`: "https://www.test.com/a",
		`<link rel=alternate href=/a>`: "https://www.test.com/a",
		`<link rel=alternate type="text/html; charset=utf-8" href=/a>`:      "https://www.test.com/a",
		`<meta http-equiv=Refresh content="0;url=/a">`:                      "https://www.test.com/a",
		`<meta http-equiv=refresh content="1.5 , 'a'">`:                     "https://www.test.com/shop/a",
		`<a rel=nofollow href=/a>`:                                          "https://www.test.com/a",
		`<noscript><a href=/a></noscript>`:                                  "https://www.test.com/a",
		`<svg><a href=/a /></svg>`:                                          "https://www.test.com/a",
		`<svg><style/><a href=/a /></svg>`:                                  "https://www.test.com/a",
		`<a href=//other.test.com>`:                                         "https://other.test.com/",
		`<a href=/a><a href=http://www.test.com/a>`:                         "https://www.test.com/a",
		`<a href=http://www.test.com/a><a href=/a#x>`:                       "http://www.test.com/a",
		`<a href=/b><a href=/a><a href=/b>`:                                 "https://www.test.com/b https://www.test.com/a",
		`<a href=?page=2>`:                                                  "https://www.test.com/shop/?page=2",
		`<a href=a><base href=/b/><base href=/c/>`:                          "https://www.test.com/b/a",
		`<base href=/b/><a href=#x>`:                                        "https://www.test.com/b/",
		`<base href=javascript:1><a href=a>`:                                "https://www.test.com/shop/a",
		`<a href="&#x2f;a&amp;b">`:                                          "https://www.test.com/a&b",
		`<A HREF='/a'`:                                                      "", // never closed
		`<a href=#x><a href=""><a href=http://www.test.com/shop/?page=1>`:   "",
		`<link rel=alternate type=application/atom+xml href=/a>`:            "",
		`<link rel="alternate stylesheet" href=/a>`:                         "",
		`<link rel=stylesheet href=/a><script src=/b></script><img src=/c>`: "",
		`<a download href=/a>`:                                              "",
		`<form action=/a><input></form>`:                                    "",
		`<a href=mailto:a@test.com><a href=javascript:1>`:                   "",
		`<a href=https://test.com.evil.example/>`:                           "",
		`<a href=https://u:p@test.com/>`:                                    "",
		`<!-- <a href=/a> --><script>"<a href=/a>"</script><style><a href=/a></style><textarea><a href=/a></textarea>`: "",
		`<meta http-equiv=refresh content=30>`:       "",
		`<meta http-equiv=refresh content="url=/a">`: "", // needs its number
	} {
		_, found := Extract(pageInput(html))
		if got := strings.Join(discoveredURLs(found), " "); got != want {
			t.Errorf("%s\n got %q\nwant %q", html, got, want)
		}
		for _, page := range found {
			if page.ID != weburl.ID(page.URL) {
				t.Errorf("%s: ID of %s is %s", html, page.URL, page.ID)
			}
		}
	}
}

func TestExtract_LinksAreRelativeToWhereTheAnswerCameFrom(t *testing.T) {
	in := pageInput(`<a href=a>a</a><a href=/shop/?page=1>back</a>`)
	in.Final = "https://www.test.com/new/place"
	r, found := Extract(in)
	if got := discoveredURLs(found); !slices.Equal(got, []string{"https://www.test.com/new/a"}) {
		t.Errorf("discovered %q", got)
	}
	if r.HTTP.Final != in.Final || r.URL.Href != in.URL {
		t.Errorf("final %q, href %q", r.HTTP.Final, r.URL.Href)
	}
}

func TestExtract_BaseMovesLinks_ButNotEmptyActionsAndTheSitesIcon(t *testing.T) {
	r, _ := Extract(pageInput(`<base href="//other.example/b/"><form></form><form action="x"></form>`))
	if got := r.Forms.Items[0]; got.Action != "https://www.test.com/shop/?page=1" || got.Foreign {
		t.Errorf("%+v", got)
	}
	if got := r.Forms.Items[1]; got.Action != "https://other.example/b/x" || !got.Foreign {
		t.Errorf("%+v", got)
	}
	if r.Favicon.URL != "https://www.test.com/favicon.ico" || r.HTML.Base != "https://other.example/b/" {
		t.Errorf("%+v, base %s", r.Favicon, r.HTML.Base)
	}
}

func TestExtract_NotHTML_HasNoHTMLSections(t *testing.T) {
	in := pageInput("<a href=/a>")
	in.ContentType = "text/plain"
	r, found := Extract(in)
	if r.HTML != nil || r.Forms != nil || r.Links != nil || r.Text != nil || r.Favicon != nil || found != nil {
		t.Errorf("%+v, %v", r, found)
	}
	if r.HTTP.Type != "text/plain" || r.HTTP.Size != 11 {
		t.Errorf("%+v", r.HTTP)
	}
	in.ContentType = ""
	in.Body = []byte("<!DOCTYPE html><a href=/a>")
	if r, found = Extract(in); r.HTML == nil || len(found) != 1 {
		t.Error("a body without a type that begins like HTML is HTML")
	}
}

func TestExtract_EmptyBody(t *testing.T) {
	r, found := Extract(pageInput(""))
	if r.HTML == nil || r.HTML.Elements != 0 || r.Text.Words != 0 || len(found) != 0 {
		t.Errorf("%+v, %v", r.HTML, found)
	}
	const ofNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if r.Text.SHA256 != ofNothing || r.Text.SimHash != "0000000000000000" {
		t.Errorf("%+v", r.Text)
	}
	if r.Favicon.URL != "https://www.test.com/favicon.ico" || r.Favicon.Declared {
		t.Errorf("%+v", r.Favicon)
	}
}

func TestExtract_DepthKnowsOptionalEndTags(t *testing.T) {
	for html, want := range map[string]int{
		"<html><body><div>":                                        3,
		"<p>a<p>b<p>c":                                             1,
		"<ul><li>a<li>b<li>c</ul>":                                 2,
		"<ul><li>a<ul><li>b</ul><li>c</ul>":                        4,
		"<dl><dt>a<dd>b<dt>c</dl>":                                 2,
		"<table><tr><td>a<td>b<tr><td>c</table>":                   3,
		"<table><thead><tr><th>a<tbody><tr><td>b<tr><td>c</table>": 4,
		"<table><tr><td><table><tr><td>a</table><td>b</table>":     6,
		"<table><tr><td></div></table>":                            3,
		"<select><option>a<option>b</select>":                      2,
		"<br><img><input><hr><br>":                                 0,
		"<b></i></i><b></b>":                                       2,
		"<div/><div/>":                                             2,
		"<svg><path/><path/></svg>":                                1,
		"<p><b><i>a<div>b":                                         3,
		"<x-a><x-b></x-b></x-a><x-c>":                              2,
	} {
		if r, _ := Extract(pageInput(html)); r.HTML.MaxDepth != want {
			t.Errorf("%s: depth %d, want %d", html, r.HTML.MaxDepth, want)
		}
	}
}

// hostilePages are what would blow up a parser that builds trees, recurses or
// backtracks, each of some n pieces.
func hostilePages(n int) map[string]string {
	numbered := func(format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	return map[string]string{
		"nested":            strings.Repeat("<div>", n) + strings.Repeat("</div>", n),
		"nested, unclosed":  strings.Repeat("<div><p><b>", n),
		"nested, wrong end": strings.Repeat("<b>", n) + strings.Repeat("</i></p></x>", n),
		"implied ends":      strings.Repeat("<ul><li>", n) + strings.Repeat("<span>", n) + strings.Repeat("<b><li></b>", n),
		"tables":            strings.Repeat("<table><tr><td>", n),
		"null bytes":        strings.Repeat("<a\x00 href\x00=\x00/\x00>\x00</a>", n),
		"only nulls":        strings.Repeat("\x00", n),
		"huge attribute":    "<a href=/" + strings.Repeat("a", 5*n) + ">" + "<a href=/b>",
		"huge tag name":     "<" + strings.Repeat("a", 5*n) + ">",
		"many attributes":   "<a " + numbered("a%d ") + "href=/b>" + strings.Repeat("<b a>", n),
		"many on a script":  "<script " + numbered("a%d ") + ">x</script>" + strings.Repeat("<b a>", n),
		"many forms":        strings.Repeat("<form><input name=a></form>", n),
		"many fields":       "<form>" + strings.Repeat("<input type=password>", n),
		"many hosts":        numbered("<a href=http://h%d.example/>"),
		"many links":        numbered("<a href=/%d>"),
		"unclosed comment":  "<!--" + strings.Repeat("<!-- -", n),
		"unclosed script":   strings.Repeat("<script>", n),
		"open angles":       strings.Repeat("<", 5*n),
		"entities":          strings.Repeat("&amp;&#x110000;&bogus;&", n),
		"not UTF-8":         strings.Repeat("\xff\xfe<a href=\xff>\xff</a>", n),
		"one word":          strings.Repeat("a", 10*n),
	}
}

func TestExtract_HostilePages_CostTheirLength(t *testing.T) {
	const growth = 8
	n := 50_000
	if os.Getenv("LIMPET_TORTURE") != "" {
		n *= 10
	}
	small := hostilePages(n / growth)
	for name, body := range hostilePages(n) {
		start := time.Now()
		Extract(pageInput(small[name]))
		before := time.Since(start)

		start = time.Now()
		r, found := Extract(pageInput(body))
		// Twice what linear work would take (quadratic: eight times), and a
		// second for whatever else this machine is doing.
		if took := time.Since(start); took > 2*growth*before+time.Second {
			t.Errorf("%s: %d bytes took %v, an eighth of them %v", name, len(body), took, before)
		}
		stored, err := Marshal(r)
		if err != nil || len(stored) > 8<<10 {
			t.Errorf("%s: %d bytes stored, %v", name, len(stored), err)
		}
		switch name {
		case "nested":
			if r.HTML.MaxDepth != n || r.HTML.Elements != n {
				t.Errorf("%s: %+v", name, r.HTML)
			}
		case "huge attribute":
			if len(found) != 1 || r.Links.Invalid != 1 {
				t.Errorf("%s: %v", name, found)
			}
		case "many attributes":
			if r.HTML.Elements != n+1 || len(found) != 1 {
				t.Errorf("%s: %d elements, %v", name, r.HTML.Elements, found)
			}
		case "many forms":
			if r.Forms.Count != n || len(r.Forms.Items) != MaxForms || r.Forms.Items[MaxForms-1].FieldCount != 1 {
				t.Errorf("%s: %+v", name, r.Forms)
			}
		case "many fields":
			f := r.Forms.Items[0]
			if f.FieldCount != n || len(f.Fields) != MaxFields || r.Forms.Password != n {
				t.Errorf("%s: %+v", name, r.Forms)
			}
		case "many hosts":
			if r.Links.HostCount != n || len(r.Links.Hosts) != MaxHosts || r.Links.External != n {
				t.Errorf("%s: %+v", name, r.Links)
			}
		case "many links":
			if len(found) != n || r.Links.Discovered != n {
				t.Errorf("%s: %d found", name, len(found))
			}
		}
	}
}

// checkRecord fails when a record breaks what every record promises.
func checkRecord(t interface{ Fatalf(string, ...any) }, in Input, r Record, found Discovered) {
	seen := map[string]bool{weburl.ID(in.URL): true}
	for _, page := range found {
		if again, err := weburl.Normalize(page.URL); err != nil || again != page.URL {
			t.Fatalf("%q is not normalised: %q, %v", page.URL, again, err)
		}
		if !in.Seed.ContainsURL(page.URL) || seen[page.ID] || page.ID != weburl.ID(page.URL) {
			t.Fatalf("%q: out of scope, named twice or with a wrong ID", page.URL)
		}
		seen[page.ID] = true
	}
	if l := r.Links; l != nil {
		if l.Total != l.Internal+l.External+l.Fragment+l.Mailto+l.Tel+l.Javascript+l.Other+l.Invalid {
			t.Fatalf("links do not add up: %+v", l)
		}
		if l.HostCount < len(l.Hosts) || l.Discovered != len(found) {
			t.Fatalf("%+v, %d discovered", l, len(found))
		}
	}
	stored, err := Marshal(r)
	if err != nil {
		t.Fatalf("Marshal: %v", err)
	}
	back, err := Unmarshal(stored)
	if err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Fatalf("the record changed in the store (-was +is):\n%s", diff)
	}
	if len(CSVRow(r)) != len(CSVHeader()) {
		t.Fatalf("CSV row and header differ in length")
	}
}

func TestExtract_AnyPage_MakesAWholeRecord(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"<a href=", "<a href='/x'>", "<base href=", "<form action=", "<input type=password>", "</form>",
		"<meta http-equiv=refresh content='0;url=/r'>", "<title>", "</title>", "<script>", "</script>",
		"<svg>", "</svg>", "<p>", "</p>", "<table>", "<td>", "<li>", "<b>", "</b>", "<!--", "-->", ">", "<", "/",
		"'", "\"", " ", "text", "\x00", "\xff", "é", "貝", "&amp;", "//test.com/y", "http://evil.example/", "#", "?q",
		"<iframe src=/f>", "</iframe>", "<noscript>", "<textarea>", "<link rel=icon href=/i>", "mailto:",
	})
	rapid.Check(t, func(t *rapid.T) {
		body := strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "pieces"), "")
		in := pageInput(body)
		r, found := Extract(in)
		checkRecord(t, in, r, found)
	})
}

func FuzzExtract_NeverPanics(f *testing.F) {
	pages, err := filepath.Glob("testdata/*.html")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range pages {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in := pageInput("")
		in.Body = bytes.Clone(body)
		r, found := Extract(in)
		if !bytes.Equal(in.Body, body) {
			t.Fatal("Extract changed the body")
		}
		checkRecord(t, in, r, found)
	})
}
