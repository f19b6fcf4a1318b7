package api

import (
	"context"
	"net/http"
	"time"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// longWork is how long an answer may take that goes through all pages of a seed.
const longWork = 15 * time.Minute

func (a *api) pause(w http.ResponseWriter, r *http.Request) error {
	return a.steer(w, r, a.Tracker.Pause, tracking.Paused, "only a running seed can be paused")
}

func (a *api) resume(w http.ResponseWriter, r *http.Request) error {
	return a.steer(w, r, a.Tracker.Resume, tracking.Running, "only a paused seed can be resumed")
}

func (a *api) cancel(w http.ResponseWriter, r *http.Request) error {
	return a.steer(w, r, a.Tracker.Cancel, tracking.Cancelled, "only a running or paused seed can be cancelled")
}

// steer brings a seed into a status, in which it may be already. 409 says that
// it cannot get there from where it is.
func (a *api) steer(w http.ResponseWriter, r *http.Request, do func(context.Context, weburl.Seed) (tracking.Status, error), want tracking.Status, rule string) error {
	if err := queryOf(r).err; err != nil {
		return err
	}
	if err := readOptionalBody(w, r, &struct{}{}, "{}, or no body"); err != nil {
		return err
	}
	seed, err := seedOf(r)
	if err != nil {
		return err
	}
	if err := allow(w, longWork); err != nil {
		return err
	}
	status, err := do(r.Context(), seed)
	if err != nil {
		return err
	}
	if status != want {
		return refusef(http.StatusConflict, "the seed is %s: %s", status, rule)
	}
	if status == tracking.Running {
		a.Notify(seed)
	}
	return writeJSON(w, http.StatusOK, struct {
		success
		Seed   weburl.Seed     `json:"seed"`
		Status tracking.Status `json:"status"`
		stamp
	}{yes, seed, status, now()})
}

// retry queues failed pages again: those that are named, or all of them.
func (a *api) retry(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err; err != nil {
		return err
	}
	var body struct {
		Pages []string `json:"pages"` // nil: all of them
	}
	if err := readOptionalBody(w, r, &body, `{"pages": ["ID"]}, or no body for all failed pages`); err != nil {
		return err
	}
	if body.Pages != nil && len(body.Pages) == 0 {
		return badRequest("pages is empty: want ids of failed pages, or no body for all of them")
	}
	for _, id := range body.Pages {
		if len(id) != weburl.IDLen {
			return badRequest("page %.100q: want an id as the list of pages gives it", id)
		}
	}
	seed, err := a.knownSeed(r)
	if err != nil {
		return err
	}
	if err := allow(w, longWork); err != nil {
		return err
	}
	queued, err := a.Tracker.RetryFailed(r.Context(), seed, body.Pages...)
	if queued > 0 {
		a.Notify(seed)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		success
		Seed   weburl.Seed `json:"seed"`
		Queued int         `json:"queued"`
		stamp
	}{yes, seed, queued, now()})
}
