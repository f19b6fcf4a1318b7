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
	found, mine := s.get(f.URL, c.Clock.Now(), func() bool { return c.Fetch.Ready(f.URL) <= slotWait })
	if found == nil {
		return !mine
	}
	if mine && !found.fetch(ctx, c, seed, f.URL) {
		s.forget(f.URL)
		return ctx.Err() != nil
	}
	select {
	case <-found.done:
		f.SHA256, f.MMH3 = found.hashes.SHA256, found.hashes.MMH3
	case <-ctx.Done():
	}
	return true
}

// get is the icon with that address; mine tells the caller to fetch it. Without an
// icon, mine tells that it is to be fetched once its host is ready, and otherwise
// there are too many already.
func (s *icons) get(url string, now time.Time, ready func() bool) (found *icon, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found = s.by[url]
	switch {
	case found != nil && !found.stale(now):
		return found, false
	case url == "" || found == nil && len(s.by) >= maxIcons:
		return nil, false
	case !ready():
		return nil, true
	}
	found = &icon{done: make(chan struct{})}
	s.by[url] = found
	return found, true
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
