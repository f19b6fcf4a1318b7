package crawl

import (
	"context"
	"errors"
	"sync"
	"time"

	"limpet/internal/feature"
	"limpet/internal/fetch"
	"limpet/internal/weburl"
)

// icons remembers the hashes of the icons that the pages of one generation of a
// seed name, so that each is fetched once. An icon is no page: it is not counted,
// and without it a record just lacks the hashes.
type icons struct {
	mu sync.Mutex // guards by
	by map[string]*icon
}

type icon struct {
	done   chan struct{}   // closed when the rest is set
	hashes feature.Favicon // without hashes when the icon was not to be had
	until  time.Time       // when it may be tried again; zero never
}

const (
	// maxIcons is how many icons are fetched for a seed. A site that names a new
	// one on each page gets no second request a page for it.
	maxIcons = 64
	// iconRetry is how long an icon is left alone that could not be had just now.
	iconRetry = time.Minute
)

func newIcons() *icons { return &icons{by: make(map[string]*icon)} }

// fill adds the hashes to what the page says of its icon, if the icon can be had.
// It answers false when the icon's host wants a pause first.
func (s *icons) fill(ctx context.Context, c *Crawler, seed weburl.Seed, f *feature.Favicon) bool {
	found, step := s.get(f.URL, c.Clock.Now(), func() bool { return c.Fetch.Ready(f.URL) <= slotWait })
	switch step {
	case iconNever:
		return true
	case iconLater:
		return false
	case iconFetch:
		if !found.fetch(ctx, c, seed, f.URL) {
			s.forget(f.URL)
			return ctx.Err() != nil
		}
	}
	select {
	case <-found.done:
		f.SHA256, f.MMH3 = found.hashes.SHA256, found.hashes.MMH3
	case <-ctx.Done():
	}
	return true
}

// iconStep is what a page does about its icon.
type iconStep int

const (
	iconAwait iconStep = iota // it is known, or will be as soon as another page has fetched it
	iconFetch                 // nobody else does
	iconLater                 // nobody may, for now
	iconNever                 // there are too many
)

// get is the icon with that address and what to do about it; there is one for the
// first two steps only.
func (s *icons) get(url string, now time.Time, ready func() bool) (*icon, iconStep) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.by[url]
	switch {
	case found != nil && !found.stale(now):
		return found, iconAwait
	case url == "" || found == nil && len(s.by) >= maxIcons:
		return nil, iconNever
	case !ready():
		return nil, iconLater
	}
	found = &icon{done: make(chan struct{})}
	s.by[url] = found
	return found, iconFetch
}

func (s *icons) forget(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, url)
}

func (i *icon) stale(now time.Time) bool {
	select {
	case <-i.done:
		return !i.until.IsZero() && now.After(i.until)
	default:
		return false
	}
}

// fetch gets the icon, as politely as a page. It answers false when nothing was
// asked for.
func (i *icon) fetch(ctx context.Context, c *Crawler, seed weburl.Seed, url string) bool {
	defer close(i.done)
	r, err := c.Fetch.Fetch(ctx, fetch.Request{URL: url, Seed: seed})
	var e *fetch.Error
	switch {
	case errors.As(err, &e):
		if e.Retryable {
			i.until = c.Clock.Now().Add(iconRetry)
		}
		return e.Kind != fetch.KindDeferred && e.Kind != fetch.KindCancelled
	case r.Status == 200 && len(r.Body) > 0 && !r.Truncated && !r.IsHTML(): // some say "not found" with a page and 200
		c.counts.icons.Add(1)
		i.hashes.Fill(r.Body)
	}
	return true
}
