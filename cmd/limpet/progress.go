package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

type progressCmd struct {
	Seed     string        `arg:"" help:"Seed, as in test.com."`
	Watch    bool          `short:"w" help:"Keep showing it until the crawl is completed or cancelled."`
	Interval time.Duration `default:"500ms" help:"How often --watch looks."`
	remote
}

// progress is a seed's figures; docs/api.md explains them.
type progress struct {
	Total         int64
	Crawled       int64
	Failed        int64
	Skipped       int64
	Pending       int64
	Queued        int64
	Delayed       int64
	InFlight      int64 `json:"in_flight"`
	Percentage    float64
	Status        string
	LastCrawledAt *time.Time `json:"last_crawled_at"`
	CompletedAt   *time.Time `json:"completed_at"`
}

// done is how many pages need no more work.
func (p progress) done() int64 { return p.Total - p.Pending }

func (p progress) finished() bool {
	return p.Status == "completed" || p.Status == "cancelled" && p.Pending == 0
}

func (c *progressCmd) Run(ctx context.Context, t terminal) error {
	if c.Watch {
		return watch(ctx, t, &c.remote, c.Seed, c.Interval)
	}
	p, raw, err := c.progress(ctx, c.Seed)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.print("%s", raw)
	}
	err = t.print(`%s: %s, %.2f %% done
  total    %8d
  crawled  %8d
  failed   %8d
  skipped  %8d
  pending  %8d  (%d queued, %d delayed, %d in flight)`,
		c.Seed, p.Status, p.Percentage, p.Total, p.Crawled, p.Failed, p.Skipped,
		p.Pending, p.Queued, p.Delayed, p.InFlight)
	if err == nil && p.LastCrawledAt != nil {
		err = t.print("  last page         %s", p.LastCrawledAt.Local().Format(time.DateTime))
	}
	if err == nil && p.CompletedAt != nil {
		err = t.print("  completed         %s", p.CompletedAt.Local().Format(time.DateTime))
	}
	if err == nil && p.Failed > 0 {
		err = t.print("  look:   limpet pages %s --state failed\n  mend:   limpet retry %s", c.Seed, c.Seed)
	}
	return err
}

// progress reads a seed's figures.
func (r *remote) progress(ctx context.Context, seed string) (progress, json.RawMessage, error) {
	var answer struct{ Progress progress }
	raw, err := r.call(ctx, quick, request{method: http.MethodGet, path: seedPath(seed, "")}, &answer)
	return answer.Progress, raw, err
}
