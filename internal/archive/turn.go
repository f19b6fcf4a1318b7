package archive

import (
	"context"
	"errors"
	"time"

	"limpet/aof"
)

// Turn is a place at which the clock went back by which commands are dated. The
// moments between To and From were twice.
type Turn struct {
	Command uint64    `json:"command"` // number of the first command behind it
	From    time.Time `json:"from"`    // the time of the last before it
	To      time.Time `json:"to"`      // and of the first behind
}

// Back is by how much.
func (t *Turn) Back() time.Duration { return t.From.Sub(t.To) }

// turns sees the clock go back within a block. Where it does so more than once,
// the moments that were more than once are those of all.
type turns struct {
	next  uint64 // number of the next command
	ts    int64  // #TS in force, 0 is none
	found *Turn
}

// begin tells the number of the first command of the next block, and the #TS in
// force there.
func (t *turns) begin(next uint64, ts int64) { *t = turns{next: next, ts: ts} }

// unit is for tail.Options.Inspect.
func (t *turns) unit(u aof.Unit, at time.Time) {
	number := t.next
	if t.next += uint64(len(u.Commands)); u.Multi {
		t.next += 2
	}
	if at.IsZero() {
		return
	}
	if t.ts != 0 && at.Unix() < t.ts {
		t.note(number, time.Unix(t.ts, 0), at)
	}
	t.ts = at.Unix()
}

func (t *turns) note(number uint64, from, to time.Time) {
	if t.found == nil {
		t.found = &Turn{Command: number, From: from, To: to}
		return
	}
	t.found.From = later(t.found.From, from)
	if to.Before(t.found.To) {
		t.found.To = to
	}
}

// take gives the turn in a segment that follows another, nil for none. That the
// first commands are dated by another clock than those before is no turn as long
// as the two agree roughly.
func (t *turns) take(seg, before *Segment) *Turn {
	if before == nil {
		return t.found
	}
	last, stampedLast := before.LastAt()
	first, stampedFirst := seg.FirstAt()
	tolerance := coarse
	if stampedFirst == stampedLast {
		tolerance = 0
	}
	// Between annotations that is seen where the annotation is.
	if back := last.Sub(first); back > tolerance && !(stampedFirst && stampedLast) {
		t.note(seg.First, last, first)
	}
	return t.found
}

// stretch is where the newest command is to be looked for that is not later than
// a moment: segments low to high, in which times rise.
type stretch struct {
	low, high uint64 // the command may also be in the segment before low, behind a turn
	twice     *Turn  // the newest turn that the moment was before and behind, nil for none
}

// stretchAt is the stretch of a moment.
func (a *Archive) stretchAt(ctx context.Context, span *Span, first uint64, at time.Time) (stretch, error) {
	s, found := stretch{low: first, high: span.Last}, false
	err := a.eachTurn(ctx, span, first, func(place uint64, t *Turn) bool {
		switch {
		case !found && !t.To.After(at):
			s.low, found = place+1, true
		case !found:
			s.high = place
		}
		if found && !at.After(t.From) {
			s.twice = t
		}
		return s.twice == nil
	})
	if missing(err) || errors.Is(err, ErrDamaged) {
		return stretch{low: first, high: span.Last}, nil // what is sound before damage must be found
	}
	return s, err
}

// eachTurn goes back over the turns of a timeline, newest first, to the segment
// first at most, while do answers true.
func (a *Archive) eachTurn(ctx context.Context, span *Span, first uint64, do func(segment uint64, t *Turn) bool) error {
	if span.Last < first || span.Last == 0 {
		return nil
	}
	seg, _, err := getSegment(ctx, a.store, span.Number, span.Last)
	for err == nil && seg.Turned >= first && seg.Turned > 0 {
		place := seg.Turned
		if seg, _, err = getSegment(ctx, a.store, span.Number, place); err != nil || seg.Turn == nil {
			break
		}
		if !do(place, seg.Turn) || place == first {
			break
		}
		seg, _, err = getSegment(ctx, a.store, span.Number, place-1)
	}
	return err
}
