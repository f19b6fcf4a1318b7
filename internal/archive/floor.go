package archive

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// Floor is where an archive begins: what lies below it was pruned, or is about to
// be, and nobody plans on it. It rises and never falls. Floors are numbered, and
// the newest counts: of two that are written at the same time one comes first.
//
// Pruning follows from it. The floor is raised; then, when nobody reads who may
// have begun before, what is below is deleted, in any order: nothing that is
// referenced is ever gone.
type Floor struct {
	Number   uint64 `json:"floor"`
	Timeline uint64 `json:"timeline"` // those before are gone as a whole
	// Segment: of that timeline, bases that stand before an earlier segment are
	// gone, and so are the segments but for one before it, where the chain ends.
	Segment uint64    `json:"segment"`
	Since   time.Time `json:"since"` // the moment from which on everything was to stay
}

const (
	floorPrefix = "archive/floor/"
	floorKind   = "floor"
)

func floorKey(n uint64) string { return fmt.Sprintf("%s%06d", floorPrefix, n) }

// above tells whether a place is not below the floor.
func (f Floor) above(timeline, segment uint64) bool {
	return timeline > f.Timeline || timeline == f.Timeline && segment >= f.Segment
}

// higher tells whether a floor is higher than another.
func (f Floor) higher(than Floor) bool {
	return f.Timeline > than.Timeline || f.Timeline == than.Timeline && f.Segment > than.Segment
}

// currentFloor is the newest floor of a target, zero when there is none.
func currentFloor(ctx context.Context, s Store) (f Floor, err error) {
	for {
		objects, err := s.List(ctx, floorPrefix)
		if err != nil || len(objects) == 0 {
			return Floor{}, err
		}
		f := Floor{}
		_, err = getHeader(ctx, s, objects[len(objects)-1].Key, floorKind, &f)
		if !missing(err) {
			return f, err
		}
		// Swept since: there is a newer one.
	}
}

// raise makes a floor the newest, unless that one is higher already, and gives the
// one that counts.
func (f Floor) raise(ctx context.Context, s Store) (Floor, error) {
	for {
		current, err := currentFloor(ctx, s)
		if err != nil || !f.higher(current) {
			return current, err
		}
		f.Number = current.Number + 1
		text, _, err := encodeHeader(floorKind, f)
		if err != nil {
			return f, err
		}
		err = s.Create(ctx, floorKey(f.Number), bytes.NewReader(text))
		switch {
		case exists(err):
			continue // another one was faster: see how high that is
		case err != nil:
			return f, err
		}
		// Who slept since looking may have taken a number that was swept, and then
		// this floor is none.
		if now, err := currentFloor(ctx, s); err != nil || now.Number != f.Number {
			continue
		}
		sweepBelow(ctx, s, floorPrefix, f.Number)
		return f, nil
	}
}

// sweepBelow removes numbered objects that newer ones have replaced. That it
// cannot does no harm.
func sweepBelow(ctx context.Context, s Store, prefix string, number uint64) {
	objects, err := s.List(ctx, prefix)
	if err != nil {
		return
	}
	for _, o := range objects {
		if n, err := numberIn(o.Key); err == nil && n < number {
			_ = s.Delete(ctx, o.Key)
		}
	}
}
