package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"limpet/aof"
	"limpet/clock"
	"limpet/internal/sealed"
	"limpet/internal/target"
)

// PruneOptions of Prune.
type PruneOptions struct {
	// Within is how far back every moment can still be brought back. It must be
	// more than 0.
	Within time.Duration
	DryRun bool        // decide, and change nothing
	Clock  clock.Clock // nil is the real one
}

// Pruned is what Prune has done, or would do.
type Pruned struct {
	Since     time.Time `json:"since"` // every moment from then on stays
	Oldest    time.Time `json:"oldest"`
	Timelines int       `json:"timelines"` // that have gone as a whole
	Bases     int       `json:"bases"`
	Segments  int       `json:"segments"`
	Bytes     int64     `json:"bytes"` // freed, of all of them
	// InUse is who reads: what they may have found stays until the next time.
	InUse []string `json:"inUse,omitempty"`
}

// Prune deletes what no moment needs that is to stay: timelines that ended before,
// and of the one that was recording then the bases and segments before the base
// that its moment is restored from. The newest base and all behind it stays, and
// so does the newest timeline, however old they are. No keys are needed.
//
// After a crash the next one goes on; what is there is whole at every instant.
func Prune(ctx context.Context, s Store, o PruneOptions) (*Pruned, error) {
	if o.Within <= 0 {
		return nil, errors.New("archive: prune: want more than nothing to be kept")
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	a, err := Open(ctx, s, sealed.Keys{})
	if err != nil {
		return nil, err
	}
	p := &Pruned{Since: o.Clock.Now().Add(-o.Within)}
	floor, err := a.floorFor(ctx, p.Since)
	if err != nil {
		return nil, err
	}
	if p.Oldest, err = a.oldestAbove(ctx, floor); err != nil {
		return nil, err
	}
	if !floor.higher(a.bottom()) {
		floor = a.floor // what is below it may have been left by a crash
	}
	if floor.Timeline == 0 {
		return p, nil
	}
	if !o.DryRun {
		if floor, err = floor.raise(ctx, s); err != nil {
			return nil, err
		}
		// Only now: who begins to read after this sees the floor.
		if p.InUse, err = readers(ctx, s, o.Clock); err != nil || len(p.InUse) > 0 {
			return p, err
		}
	}
	return p, p.sweep(ctx, s, floor, o.DryRun)
}

// floorFor is the highest floor below which no moment since then needs anything.
func (a *Archive) floorFor(ctx context.Context, since time.Time) (Floor, error) {
	i := 0
	for i < len(a.spans)-1 && a.spans[i].latest.Before(since) {
		i++
	}
	span := a.spans[i]
	places, err := a.bases(ctx, span.Number)
	if err != nil || len(places) == 0 {
		return a.floor, err
	}
	f := Floor{Timeline: span.Number, Segment: max(1, places[0].segment), Since: since}
	if since.Before(span.From) || span.Last == 0 {
		return f, nil
	}
	// The command that is the last at that moment is in the segment before n, and
	// those of later moments are not before it.
	first := max(1, places[0].segment)
	where, err := a.stretchAt(ctx, span, first, since)
	if err != nil {
		return f, err
	}
	n, err := searchSegments(ctx, a.store, span.Number, where.low, where.high, func(s *Segment) bool {
		at, _ := s.FirstAt()
		return at.After(since)
	})
	if err != nil {
		return f, err
	}
	for _, place := range places {
		if place.segment < n {
			f.Segment = place.segment
		}
	}
	return f, nil
}

// bottom is where an archive begins as it is.
func (a *Archive) bottom() Floor {
	return Floor{Timeline: a.spans[0].Number, Segment: max(1, a.spans[0].first)}
}

// oldestAbove is the earliest moment that can be brought back above a floor.
func (a *Archive) oldestAbove(ctx context.Context, f Floor) (time.Time, error) {
	for _, span := range a.spans {
		if span.Number != f.Timeline {
			continue
		}
		if f.Segment <= 1 || span.Last < f.Segment-1 {
			return span.From, nil
		}
		seg, _, err := getSegment(ctx, a.store, span.Number, f.Segment-1)
		at, _ := seg.LastAt()
		return at, err
	}
	return a.spans[0].From, nil
}

// sweep deletes what lies below a floor, also what a crash has left of it.
func (p *Pruned) sweep(ctx context.Context, s Store, f Floor, dry bool) error {
	timelines, err := s.List(ctx, timelinePrefix)
	if err != nil {
		return err
	}
	for _, o := range timelines {
		n, err := numberIn(o.Key)
		if err != nil {
			return err
		}
		if n >= f.Timeline {
			break
		}
		p.Timelines++
		data, err := s.List(ctx, dataPrefix(n))
		if err != nil {
			return err
		}
		for _, d := range data {
			p.count(d)
		}
		// Its name goes last, since it is by that that a crash's rest is found.
		if err := p.remove(ctx, s, append(data, o), dry); err != nil {
			return err
		}
	}
	return p.sweepFront(ctx, s, f, dry)
}

func dataPrefix(timeline uint64) string { return fmt.Sprintf("archive/data/%06d/", timeline) }

// sweepFront deletes the bases and segments of the floor's timeline below it. The
// segment before the floor's base stays: it tells what was the last before.
func (p *Pruned) sweepFront(ctx context.Context, s Store, f Floor, dry bool) error {
	objects, err := s.List(ctx, basePrefix(f.Timeline))
	if err != nil {
		return err
	}
	var old []target.Object
	for _, o := range objects {
		place, err := placeOf(o.Key)
		if err != nil {
			return err
		}
		if place.segment < f.Segment {
			p.count(o)
			old = append(old, o)
		}
	}
	if err := p.remove(ctx, s, old, dry); err != nil || f.Segment < 2 {
		return err
	}
	// Groups go from the oldest up, so that they are there without a gap: the
	// first that is empty ends what a run before has left.
	last := f.Segment - 2
	lowest := last / groupSize
	for lowest > 0 {
		n, err := lastOfGroup(ctx, s, f.Timeline, lowest-1)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		lowest--
	}
	for group := lowest; group <= last/groupSize; group++ {
		objects, err := s.List(ctx, groupPrefix(f.Timeline, group))
		if err != nil {
			return err
		}
		old = old[:0]
		for _, o := range objects {
			if n, err := numberIn(o.Key); err != nil {
				return err
			} else if n <= last {
				p.count(o)
				old = append(old, o)
			}
		}
		if err := p.remove(ctx, s, old, dry); err != nil {
			return err
		}
	}
	return nil
}

// count adds an object of a timeline.
func (p *Pruned) count(o target.Object) {
	p.Bytes += o.Size
	if strings.Contains(o.Key, "/base/") {
		p.Bases++
	} else {
		p.Segments++
	}
}

// atOnce is how many objects are deleted at a time, since each takes a round trip.
const atOnce = 16

// remove deletes objects, the last one when all others have gone.
func (p *Pruned) remove(ctx context.Context, s Store, objects []target.Object, dry bool) error {
	if dry || len(objects) == 0 {
		return nil
	}
	end := len(objects) - 1
	for some := range slices.Chunk(objects[:end], atOnce) {
		var (
			deleting sync.WaitGroup
			errs     = make([]error, len(some))
		)
		for i, o := range some {
			deleting.Go(func() { errs[i] = s.Delete(ctx, o.Key) })
		}
		deleting.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return s.Delete(ctx, objects[end].Key)
}

// placeOf is a base's place by its key.
func placeOf(key string) (basePlace, error) {
	segment, seq, _ := strings.Cut(key[strings.LastIndexByte(key, '/')+1:], "-")
	n, err := strconv.ParseUint(segment, 10, 64)
	m, err2 := strconv.ParseInt(seq, 10, 64)
	if err = errors.Join(err, err2); err != nil {
		return basePlace{}, fmt.Errorf("archive: %s: want SEGMENT-SEQ as the last part: %w", key, ErrDamaged)
	}
	return basePlace{key, n, aof.Seq(m)}, nil
}
