package e2e

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Three count the pages of a site: Limpet, wget, and a walk written here in the
// plainest way. What is a page is docs/features.md's, "Which pages a page leads
// to"; wget is told to follow the same elements. One difference is by rule: wget
// takes the targets of links with download for pages. The walk keeps these apart.
func TestCrawl_SetOfPagesEqualsIndependentCount(t *testing.T) {
	for _, d := range []docs{pythonDocs, postgresDocs} {
		t.Run(d.deb, func(t *testing.T) {
			s := serve(t, d)
			pages, downloads := walk(t, s)
			if len(pages) < 500 {
				t.Fatalf("the walk finds %d pages only", len(pages))
			}

			if diff := cmp.Diff(slices.Sorted(slices.Values(append(downloads, pages...))), wget(t, s)); diff != "" {
				t.Errorf("wget has other pages than the walk (-walk +wget):\n%s", diff)
			}

			service := up(t, append(reaching(s), "--dir", t.TempDir())...)
			seen := len(s.requests(t))
			p := service.crawl()
			a := service.account()
			if diff := cmp.Diff(pages, a.paths()); diff != "" {
				t.Errorf("limpet has other pages than the walk (-walk +limpet):\n%s", diff)
			}
			if p.Total != len(pages) || p.Skipped+p.Pending != 0 {
				t.Errorf("%+v of %d pages", p, len(pages))
			}
			wantStates(t, a, s.requests(t)[seen:])
			service.stopped()
		})
	}
}

// wantStates compares what became of the pages with what nginx has answered.
// Nothing is fetched that is no page, but for robots.txt and icons.
func wantStates(t *testing.T, a account, requests []request) {
	t.Helper()
	fetched := make(map[string]int)
	for _, r := range requests {
		state, page := a.Pages[r.uri]
		if !page {
			if r.uri != "/robots.txt" && !strings.HasSuffix(r.uri, ".ico") && !strings.HasSuffix(r.uri, ".svg") {
				t.Errorf("fetched %s, which is no page", r.uri)
			}
			continue
		}
		fetched[r.uri]++
		if want := map[string]string{"200": "crawled", "404": "failed"}[r.status]; state != want {
			t.Errorf("%s was answered %s and is %s", r.uri, r.status, state)
		}
	}
	for page := range a.Pages {
		if fetched[page] != 1 {
			t.Errorf("%s was fetched %d times", page, fetched[page])
		}
	}
}

// walk finds the pages of a site breadth first, one at a time, over whole parse
// trees. The downloads are what only links with download lead to.
func walk(t *testing.T, s *site) (pages, downloads []string) {
	t.Helper()
	root, err := url.Parse("http://" + s.addr() + "/")
	if err != nil {
		t.Fatal(err)
	}
	found, offered := map[string]bool{"/": true}, make(map[string]bool)
	for queue := []*url.URL{root}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for node := range tree(t, at).Descendants() {
			ref, download := leadsTo(node)
			target, err := at.Parse(strings.TrimSpace(ref))
			if ref == "" || err != nil || target.Scheme != root.Scheme || target.Host != root.Host {
				continue
			}
			target.Fragment = ""
			switch name := target.RequestURI(); {
			case download:
				offered[name] = true
			case !found[name]:
				found[name] = true
				queue = append(queue, target)
			}
		}
	}
	maps.DeleteFunc(offered, func(name string, _ bool) bool { return found[name] })
	return slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(offered))
}

// tree is the page as a parse tree, an empty one for what is not there or not HTML.
func tree(t *testing.T, u *url.URL) *html.Node {
	t.Helper()
	response, err := http.Get(u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		return &html.Node{Type: html.DocumentNode}
	}
	node, err := html.Parse(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func leadsTo(n *html.Node) (ref string, download bool) {
	if n.Type != html.ElementNode {
		return "", false
	}
	attributes := make(map[string]string)
	for _, a := range n.Attr {
		attributes[a.Key] = a.Val
	}
	_, download = attributes["download"]
	switch n.DataAtom {
	case atom.A, atom.Area:
		return attributes["href"], download
	case atom.Frame, atom.Iframe:
		return attributes["src"], false
	case atom.Link:
		for _, rel := range strings.Fields(strings.ToLower(attributes["rel"])) {
			switch rel {
			case "next", "prev", "canonical", "alternate": // neither site has feeds or base
				return attributes["href"], false
			}
		}
	}
	return "", false
}

// wget mirrors the site, and gives what it asked nginx for.
func wget(t *testing.T, s *site) []string {
	t.Helper()
	if _, err := exec.LookPath("wget"); err != nil {
		t.Fatal("wget not found: apt-get install wget")
	}
	seen := len(s.requests(t))
	cmd := exec.Command("wget", "--mirror", "--quiet", "--no-proxy", "-e", "robots=off",
		"--follow-tags=a,area,frame,iframe", "http://"+s.addr()+"/")
	cmd.Dir = t.TempDir()
	const serverError = 8 // a page was not found
	if r := execute(t, cmd); r.code != 0 && r.code != serverError {
		t.Fatalf("wget: exit code %d\n%s", r.code, r.err)
	}
	asked := make(map[string]bool)
	for _, r := range s.requests(t)[seen:] {
		asked[r.uri] = true
	}
	return slices.Sorted(maps.Keys(asked))
}
