package api

import (
	"net/http"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// difference is one disagreement between the pages and an index or a counter.
type difference struct {
	What string `json:"what"`
	Page string `json:"page,omitempty"`
	Want string `json:"want"`
	Have string `json:"have"`
}

// audit recounts a seed from its pages. Differences are an answer, not an error:
// the code is 200 either way.
func (a *api) audit(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "repair")
	repair := q.oneOf("repair", "false", "true") == "true"
	if q.err != nil {
		return q.err
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
	report, err := a.Tracker.Audit(r.Context(), seed, repair)
	if err != nil {
		return err
	}
	a.Audits.Count(report)
	if report.Repaired {
		a.Notify(seed)
	}
	differences := make([]difference, len(report.Differences))
	for i, d := range report.Differences {
		differences[i] = difference(d)
	}
	return writeJSON(w, http.StatusOK, struct {
		success
		Seed        weburl.Seed              `json:"seed"`
		Generation  int64                    `json:"generation"`
		Clean       bool                     `json:"clean"`
		Repaired    bool                     `json:"repaired"`
		Total       int64                    `json:"total"`
		Counts      map[tracking.State]int64 `json:"counts"`
		Differences []difference             `json:"differences"`
		Truncated   int                      `json:"truncated"`
		stamp
	}{yes, seed, report.Generation, report.Clean(), report.Repaired, report.Total, report.Counts, differences, report.Truncated, now()})
}
