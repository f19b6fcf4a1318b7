package archive

import (
	"context"
	"time"
)

// Status is how an archive fares, as far as its target tells.
type Status struct {
	Progress
	Holder   string `json:"holder"`
	Source   string `json:"source"`
	Released bool   `json:"stopped"` // the archiver was stopped in good order
	// Lag is the time of which nothing is in the archive yet: since the latest
	// moment up to which everything is.
	Lag  time.Duration `json:"-"`
	Seen time.Time     `json:"seen"` // when the archiver was last heard of, by the target's clock
}

// ReadStatus asks a target. now is this machine's time; the archiver's own clock
// counts only as far as it has told how late it was itself.
func ReadStatus(ctx context.Context, s Store, now time.Time) (*Status, error) {
	state, err := currentLease(ctx, s)
	if err != nil {
		return nil, err
	}
	if state.doc == nil {
		return nil, ErrEmpty
	}
	d := state.doc
	st := &Status{Progress: d.Progress, Holder: d.Holder, Source: d.Source, Released: d.Released, Seen: state.modified}
	st.Lag = max(0, now.Sub(state.modified))
	if !d.Until.IsZero() {
		st.Lag += max(0, d.Now.Sub(d.Until))
	}
	return st, nil
}
