package crawl

import (
	"math/rand/v2"
	"strconv"
	"time"

	"limpet/internal/fetch"
	"limpet/internal/tracking"
)

// failure is what tracking is told of an attempt that failed.
func (c *Crawler) failure(p *page, e *fetch.Error) tracking.Failure {
	event := map[string]string{"cause": string(e.Kind)}
	if e.Status != 0 {
		event["status"] = strconv.Itoa(e.Status)
	}
	return tracking.Failure{
		Err:       e.Error(),
		Retryable: e.Retryable && p.Attempt < c.Attempts,
		Delay:     max(e.RetryAfter, c.backoff(p.Attempt)),
		Event:     event,
	}
}

// backoff is the wait after an attempt, counted from 1. The random part keeps
// the pages of a site that was down from coming back all at once.
func (c *Crawler) backoff(attempt int) time.Duration {
	wait := c.MaxBackoff
	if shift := max(attempt-1, 0); shift < 32 && c.Backoff < c.MaxBackoff>>shift {
		wait = c.Backoff << shift
	}
	return wait - rand.N(wait/2+1)
}
