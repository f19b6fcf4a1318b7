package api

import (
	"net/http"
	"strconv"
	"time"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// page is one page of a seed; what does not apply to its state is left out.
type page struct {
	ID       string         `json:"id"`
	URL      string         `json:"url,omitempty"`
	State    tracking.State `json:"state"`
	Depth    int            `json:"depth"`
	Attempts int            `json:"attempts"`
	Error    string         `json:"error,omitempty"`
	FailedAt *time.Time     `json:"failed_at,omitempty"`
	Reason   string         `json:"reason,omitempty"`
}

// pages lists a seed's pages. As the store scans, a list may be short or empty
// and still have a cursor.
func (a *api) pages(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "state", "cursor", "limit")
	state := q.oneOf("state", "",
		string(tracking.StateQueued), string(tracking.StateDelayed), string(tracking.StateLeased),
		string(tracking.StateCrawled), string(tracking.StateFailed), string(tracking.StateSkipped))
	cursor, limit := strconv.FormatUint(q.cursor(), 10), q.limit()
	if q.err != nil {
		return q.err
	}
	seed, err := a.knownSeed(r)
	if err != nil {
		return err
	}
	found, next, err := a.Tracker.Pages(r.Context(), seed, tracking.State(state), cursor, limit)
	if err != nil {
		return err
	}
	pages := make([]page, len(found))
	for i, p := range found {
		pages[i] = page{
			ID: p.ID, URL: p.URL, State: p.State, Depth: p.Depth, Attempts: p.Attempts,
			Error: p.Error, FailedAt: orNull(p.FailedAt), Reason: p.Reason,
		}
	}
	var goOn *string
	if next != "" {
		goOn = &next
	}
	return writeJSON(w, http.StatusOK, struct {
		success
		Seed   weburl.Seed `json:"seed"`
		Pages  []page      `json:"pages"`
		Cursor *string     `json:"cursor"`
		stamp
	}{yes, seed, pages, goOn, now()})
}

// knownSeed is the seed of the path, if it was ever submitted.
func (a *api) knownSeed(r *http.Request) (weburl.Seed, error) {
	seed, err := seedOf(r)
	if err != nil {
		return "", err
	}
	_, err = a.Tracker.Progress(r.Context(), seed)
	return seed, err
}
