package crawl

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"limpet/internal/tracking"
)

// settle tells the store how a page ended, again and again while it does not
// answer, since the work of the page would be lost: until the lease is certainly
// over, or the work is. Tracking repeats a call by itself for some seconds, and
// each repetition finds out whether an earlier one was executed.
func (c *Crawler) settle(p *page, tell func(context.Context) (tracking.Result, error)) (tracking.Result, bool) {
	// Heartbeats that succeed where this call does not must not keep it going for
	// ever.
	latest := c.Clock.Now().Add(2 * c.Lease)
	for try := 0; ; try++ {
		result, err := tell(p.ctx)
		if err == nil {
			c.answered()
			return result, true
		}
		if p.ctx.Err() != nil {
			return result, false
		}
		c.unanswered(err)
		now := c.Clock.Now()
		if now.UnixNano() > p.expires.Load() || now.After(latest) {
			c.counts.abandoned.Add(1)
			c.Logger.Warn("page given up, it will be crawled again: the store did not take its result in time",
				"seed", p.Seed, "url", p.URL, "error", err)
			return result, false
		}
		c.sleep(p.ctx, storeWait(try))
	}
}

// storeWait is how long to wait before the store is asked again that did not
// answer n times before.
func storeWait(n int) time.Duration {
	return min(100*time.Millisecond<<min(n, 10), 5*time.Second)
}

func (c *Crawler) sleep(ctx context.Context, d time.Duration) {
	timer := c.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}

// outage is the time in which the store does not answer, or takes no writes. It
// is logged once at its beginning and once at its end.
type outage struct {
	mu    sync.Mutex // guards since
	since time.Time  // zero while there is none
}

func (o *outage) begin(now time.Time) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		return false
	}
	o.since = now
	return true
}

func (o *outage) end(now time.Time) (lasted time.Duration, was bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return 0, false
	}
	lasted, o.since = now.Sub(o.since), time.Time{}
	return lasted, true
}

func (c *Crawler) unanswered(err error) {
	c.counts.storeErrors.Add(1)
	if c.outage.begin(c.Clock.Now()) {
		c.Logger.Warn("the store does not answer as it should; what is done is kept, and tried again", "error", err)
	}
}

func (c *Crawler) answered() {
	if lasted, was := c.outage.end(c.Clock.Now()); was {
		c.Logger.Info("the store answers again", slog.Duration("after", lasted.Round(time.Millisecond)))
	}
}
