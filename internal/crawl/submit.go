package crawl

import (
	"encoding/json"
	"strings"
	"sync"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// claimsPerPage is how often a page is claimed before it goes to the dead
// letters. [Options.Attempts] decides about pages that answer badly; this one is
// for pages whose workers die. It is higher, because most workers die of other
// things than the page at hand, and being killed often must not cost pages.
const claimsPerPage = 12

// seedOptions is what a submit leaves with the seed for the crawler.
type seedOptions struct {
	// ExactScheme keeps pages from being tried over http when https does not
	// answer.
	ExactScheme bool `json:"exact_scheme,omitempty"`
}

// SubmitDomain is the request that starts the crawl of a site at its front page,
// over https or, where that does not answer, http. The caller adds limits.
func SubmitDomain(seed weburl.Seed) tracking.SubmitRequest {
	return submit(seed, seed.Root("https"), seedOptions{})
}

// SubmitURL is the request that starts the crawl of a site at one of its pages,
// named by its normalised URL.
func SubmitURL(seed weburl.Seed, url string) tracking.SubmitRequest {
	return submit(seed, url, seedOptions{ExactScheme: true})
}

func submit(seed weburl.Seed, url string, o seedOptions) tracking.SubmitRequest {
	options, err := json.Marshal(o)
	if err != nil {
		panic(err) // a struct of plain fields
	}
	return tracking.SubmitRequest{
		Seed: seed, URLs: []tracking.PageRef{{URL: url}},
		MaxAttempts: claimsPerPage, Options: options,
	}
}

// start remembers how a generation was submitted.
type start struct {
	mu      sync.Mutex // guards what follows
	known   bool
	options seedOptions
}

// mayFallBack reports whether a page may be fetched over http when https does not
// answer. That holds for every page of a site that was submitted by its name: over
// both it is the same page, and the first link to it chose the spelling.
func (c *Crawler) mayFallBack(p *page) bool {
	if !strings.HasPrefix(p.URL, "https:") {
		return false
	}
	p.start.mu.Lock()
	defer p.start.mu.Unlock()
	if !p.start.known {
		config, err := c.Tracker.Config(p.ctx, p.Seed)
		if err != nil {
			return true // the default; the store is asked again for the next page
		}
		// Options that others have left there mean nothing here.
		_ = json.Unmarshal(config.Options, &p.start.options)
		p.start.known = true
	}
	return !p.start.options.ExactScheme
}
