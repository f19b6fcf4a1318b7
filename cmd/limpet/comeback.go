package main

import (
	"context"
	"errors"
	"time"

	"limpet/internal/archive"
	"limpet/internal/backup"
	"limpet/internal/doctor"
	"limpet/internal/target"
)

// What the doctor is told of what there is to come back to.

// openTargets opens the targets that were named.
func (c *doctorCmd) openTargets(ctx context.Context, s *doctor.Subject) (closeAll func(), err error) {
	var open []*target.Store
	closeAll = func() {
		for _, store := range open {
			_ = store.Close()
		}
	}
	for _, spec := range []string{c.Backups, c.Archive} {
		var store *target.Store
		if spec != "" {
			if store, err = openTarget(ctx, spec); err != nil {
				closeAll()
				return nil, err
			}
			open = append(open, store)
		}
		switch {
		case store == nil:
		case s.Backups == nil && c.Backups != "":
			s.Backups = shelf{store, spec}
		default:
			s.Archive = record{store, spec, c.now}
		}
	}
	return closeAll, nil
}

// shelf is doctor.Backups of a target.
type shelf struct {
	store *target.Store
	typed string
}

// Target is the target as it was typed.
func (s shelf) Target() string { return s.typed }

// State reads the catalogue.
func (s shelf) State(ctx context.Context) (state doctor.BackupState, err error) {
	all, err := backup.List(ctx, s.store)
	if err != nil {
		return state, err
	}
	for _, l := range all {
		state.Last = later(state.Last, l.Time)
		switch {
		case l.Verified():
			state.Verified = later(state.Verified, l.Proof.Time)
		case l.Proof != nil:
			state.Bad = append(state.Bad, l.ID)
		}
	}
	return state, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// record is doctor.Archive of a target.
type record struct {
	store *target.Store
	typed string
	now   func() time.Time
}

// Target is the target as it was typed.
func (r record) Target() string { return r.typed }

// State asks the target alone, as limpet archive --status does.
func (r record) State(ctx context.Context) (doctor.ArchiveState, error) {
	now := r.now()
	s, err := archive.ReadStatus(ctx, r.store, now)
	switch {
	case errors.Is(err, archive.ErrEmpty):
		return doctor.ArchiveState{Empty: true}, nil
	case err != nil:
		return doctor.ArchiveState{}, err
	}
	return doctor.ArchiveState{Lag: s.Lag, Heard: max(0, now.Sub(s.Seen)), Stopped: s.Released, Holder: s.Holder, Trouble: s.Trouble}, nil
}
