package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gocolly/colly/v2"
)

// withColly crawls as one would with colly: links followed, forms noted, all in
// memory.
func withColly(ctx context.Context, addr string, concurrency int) (run, error) {
	c := colly.NewCollector(
		colly.Async(true),
		colly.AllowedDomains("test.com"),
		colly.StdlibContext(ctx),
		colly.MaxBodySize(5<<20),
	)
	if err := c.Limit(&colly.LimitRule{DomainGlob: "*", Parallelism: concurrency}); err != nil {
		return run{}, err
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		MaxIdleConnsPerHost: concurrency,
	}
	defer transport.CloseIdleConnections()
	c.WithTransport(transport)

	// Distinct ones: colly 2.3 looks whether a page was visited and marks it in two
	// steps, so that now and then it visits one twice.
	var pages pageSet
	c.OnResponse(func(r *colly.Response) { pages.add(r.Request.URL.String()) })
	c.OnError(func(r *colly.Response, _ error) {
		if r.StatusCode != 0 {
			pages.add(r.Request.URL.String())
		}
	})
	visit := func(e *colly.HTMLElement, ref string) {
		url := e.Request.AbsoluteURL(ref)
		url, _, _ = strings.Cut(url, "#") // else each fragment is a page of its own
		if url != "" {
			_ = e.Request.Visit(url) // an error says that it was visited, or is elsewhere
		}
	}
	// What Limpet takes for a link, see docs/features.md.
	c.OnHTML("a[href]:not([download]), area[href]", func(e *colly.HTMLElement) { visit(e, e.Attr("href")) })
	c.OnHTML("link[rel=next], link[rel=prev], link[rel=canonical]", func(e *colly.HTMLElement) { visit(e, e.Attr("href")) })
	c.OnHTML("iframe[src], frame[src]", func(e *colly.HTMLElement) { visit(e, e.Attr("src")) })
	var forms formList
	c.OnHTML("form", forms.note)

	began := time.Now()
	if err := c.Visit("http://test.com/"); err != nil {
		return run{}, err
	}
	c.Wait()
	return run{pages.len(), time.Since(began)}, ctx.Err()
}

// pageSet is the pages that have answered.
type pageSet struct {
	mu   sync.Mutex // guards urls
	urls map[string]struct{}
}

func (s *pageSet) add(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urls == nil {
		s.urls = make(map[string]struct{})
	}
	s.urls[url] = struct{}{}
}

func (s *pageSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.urls)
}

// formList is what a crawl for forms would keep.
type formList struct {
	mu   sync.Mutex // guards list
	list []form
}

type form struct {
	page, action, method string
	fields               []string
}

func (l *formList) note(e *colly.HTMLElement) {
	f := form{page: e.Request.URL.String(), action: e.Request.AbsoluteURL(e.Attr("action")), method: e.Attr("method")}
	e.ForEach("input, select, textarea", func(_ int, field *colly.HTMLElement) {
		f.fields = append(f.fields, field.Attr("name"))
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, f)
}
