package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// progress is a seed's figures, all of one moment:
// total = crawled + failed + skipped + pending,
// pending = queued + delayed + in_flight.
type progress struct {
	Total      int64           `json:"total"`
	Crawled    int64           `json:"crawled"`
	Failed     int64           `json:"failed"`
	Skipped    int64           `json:"skipped"`
	Pending    int64           `json:"pending"`
	Queued     int64           `json:"queued"`
	Delayed    int64           `json:"delayed"`
	InFlight   int64           `json:"in_flight"`
	Percentage float64         `json:"percentage"`
	Status     tracking.Status `json:"status"`
	LastCrawl  *time.Time      `json:"last_crawled_at"`
	Completed  *time.Time      `json:"completed_at"`
}

func progressOf(p tracking.Progress) progress {
	return progress{
		Total: p.Total, Crawled: p.Crawled, Failed: p.Failed, Skipped: p.Skipped,
		Pending: p.Pending, Queued: p.Queued, Delayed: p.Delayed, InFlight: p.InFlight,
		Percentage: percentage(p.Total-p.Pending, p.Total), Status: p.Status,
		LastCrawl: orNull(p.LastCrawledAt), Completed: orNull(p.CompletedAt),
	}
}

// percentage is cut, not rounded, to two digits: 100 means done.
func percentage(done, total int64) float64 {
	if total <= 0 {
		return 0
	}
	return float64(done*10_000/total) / 100
}

// orNull makes null of a time that is not there.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func progressPath(seed weburl.Seed) string { return "/api/fcrawler/seed/" + string(seed) }

// listed is one seed of a list.
type listed struct {
	Seed     weburl.Seed `json:"seed"`
	Progress progress    `json:"progress"`
}

func (a *api) progress(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err; err != nil {
		return err
	}
	seed, err := seedOf(r)
	if err != nil {
		return err
	}
	p, err := a.Tracker.Progress(r.Context(), seed)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		success
		listed
		stamp
	}{yes, listed{seed, progressOf(p)}, now()})
}

// seeds lists seeds in the order of their first submission.
func (a *api) seeds(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "status", "cursor", "limit")
	status := q.oneOf("status", "", string(tracking.Running), string(tracking.Paused), string(tracking.Cancelled), string(tracking.Completed))
	return a.list(w, r, q, tracking.Status(status))
}

func (a *api) completed(w http.ResponseWriter, r *http.Request) error {
	return a.list(w, r, queryOf(r, "cursor", "limit"), tracking.Completed)
}

func (a *api) list(w http.ResponseWriter, r *http.Request, q *query, status tracking.Status) error {
	filter := tracking.SeedFilter{Status: status, Cursor: int64(q.cursor()), N: q.limit()}
	if filter.Cursor < 0 {
		q.fail("cursor %.100q: want the one that the last answer gave", q.values.Get("cursor"))
	}
	if q.err != nil {
		return q.err
	}
	found, next, err := a.Tracker.Seeds(r.Context(), filter)
	if err != nil {
		return err
	}
	seeds := make([]listed, len(found))
	for i, p := range found {
		seeds[i] = listed{p.Seed, progressOf(p)}
	}
	return writeSeeds(w, seeds, cursorAt(uint64(next)))
}

// active lists the running seeds, those that were worked on last first. The
// store's list of them is a hint; each one's own status decides.
func (a *api) active(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "limit")
	limit := q.limit()
	if q.err != nil {
		return q.err
	}
	names, err := a.Tracker.Active(r.Context())
	if err != nil {
		return err
	}
	seeds := make([]listed, 0, min(limit, len(names)))
	for _, seed := range names {
		if len(seeds) == limit {
			break
		}
		p, err := a.Tracker.Progress(r.Context(), seed)
		switch {
		case errors.Is(err, tracking.ErrUnknownSeed):
		case err != nil:
			return err
		case p.Status == tracking.Running:
			seeds = append(seeds, listed{seed, progressOf(p)})
		}
	}
	return writeSeeds(w, seeds, nil)
}

// cursorAt is null at the end of a list.
func cursorAt(next uint64) *string {
	if next == 0 {
		return nil
	}
	text := strconv.FormatUint(next, 10)
	return &text
}

func writeSeeds(w http.ResponseWriter, seeds []listed, cursor *string) error {
	return writeJSON(w, http.StatusOK, struct {
		success
		Seeds  []listed `json:"seeds"`
		Cursor *string  `json:"cursor"`
		stamp
	}{yes, seeds, cursor, now()})
}
