package api

import (
	"context"
	"net/http"

	"limpet/internal/tracking"
)

// pageCounts are pages by state.
type pageCounts struct {
	Total    int64 `json:"total"`
	Crawled  int64 `json:"crawled"`
	Failed   int64 `json:"failed"`
	Skipped  int64 `json:"skipped"`
	Queued   int64 `json:"queued"`
	Delayed  int64 `json:"delayed"`
	InFlight int64 `json:"in_flight"`
}

func (c *pageCounts) add(p tracking.Progress) {
	c.Total += p.Total
	c.Crawled += p.Crawled
	c.Failed += p.Failed
	c.Skipped += p.Skipped
	c.Queued += p.Queued
	c.Delayed += p.Delayed
	c.InFlight += p.InFlight
}

// census is a count over all seeds. Each seed's figures are of one moment; those
// of two seeds are not.
type census struct {
	seeds   map[tracking.Status]int
	pages   pageCounts // of all seeds
	running pageCounts // of running seeds
}

func (c *census) total() (n int) {
	for _, seeds := range c.seeds {
		n += seeds
	}
	return n
}

func (a *api) takeCensus(ctx context.Context) (*census, error) {
	c := &census{seeds: make(map[tracking.Status]int)}
	for cursor := int64(0); ; {
		found, next, err := a.Tracker.Seeds(ctx, tracking.SeedFilter{Cursor: cursor, N: 500})
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			c.seeds[p.Status]++
			c.pages.add(p)
			if p.Status == tracking.Running {
				c.running.add(p)
			}
		}
		if cursor = next; cursor == 0 {
			return c, nil
		}
	}
}

func (a *api) stats(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err; err != nil {
		return err
	}
	c, err := a.takeCensus(r.Context())
	if err != nil {
		return err
	}
	type seedCounts struct {
		Total     int `json:"total"`
		Running   int `json:"running"`
		Paused    int `json:"paused"`
		Cancelled int `json:"cancelled"`
		Completed int `json:"completed"`
	}
	type stats struct {
		Seeds seedCounts `json:"seeds"`
		Pages pageCounts `json:"pages"`
	}
	return writeJSON(w, http.StatusOK, struct {
		success
		Stats stats `json:"stats"`
		stamp
	}{yes, stats{
		Seeds: seedCounts{
			Total: c.total(), Running: c.seeds[tracking.Running], Paused: c.seeds[tracking.Paused],
			Cancelled: c.seeds[tracking.Cancelled], Completed: c.seeds[tracking.Completed],
		},
		Pages: c.pages,
	}, now()})
}
