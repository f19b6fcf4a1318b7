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
func (s *icons) fill(ctx context.Context, c *Crawler, seed weburl.Seed, f *feature.Favicon) {
	found, mine := s.get(f.URL, c.Clock.Now())
	if found == nil {
		return
	}
	if mine {
		found.fetch(ctx, c, seed, f.URL)
	}
	select {
	case <-found.done:
		f.SHA256, f.MMH3 = found.hashes.SHA256, found.hashes.MMH3
	case <-ctx.Done():
	}
}

// get is the icon with that address, nil when there are too many; mine tells the
// caller to fetch it.
func (s *icons) get(url string, now time.Time) (found *icon, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found = s.by[url]; found != nil && !found.stale(now) {
		return found, false
	}
	if url == "" || found == nil && len(s.by) >= maxIcons {
		return nil, false
	}
	found = &icon{done: make(chan struct{})}
	s.by[url] = found
	return found, true
}

func (i *icon) stale(now time.Time) bool {
	select {
	case <-i.done:
		return !i.until.IsZero() && now.After(i.until)
	default:
		return false
	}
}

// fetch gets the icon, as politely as a page.
func (i *icon) fetch(ctx context.Context, c *Crawler, seed weburl.Seed, url string) {
	defer close(i.done)
	r, err := c.Fetch.Fetch(ctx, fetch.Request{URL: url, Seed: seed})
	if err != nil {
		var e *fetch.Error
		if errors.As(err, &e) && e.Retryable {
			i.until = c.Clock.Now().Add(iconRetry)
		}
		return
	}
	// A page that says "not found" with status 200 is no icon.
	if r.Status == 200 && len(r.Body) > 0 && !r.Truncated && !r.IsHTML() {
		c.counts.icons.Add(1)
		i.hashes.Fill(r.Body)
	}
}
