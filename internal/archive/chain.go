package archive

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"limpet/internal/target"
)

// newest is the timeline with the highest number, 0 when there is none.
func newest(ctx context.Context, s Store) (uint64, error) {
	objects, err := s.List(ctx, timelinePrefix)
	if err != nil || len(objects) == 0 {
		return 0, err
	}
	return numberIn(objects[len(objects)-1].Key)
}

// getTimeline reads how a timeline began.
func getTimeline(ctx context.Context, s Store, n uint64) (*Timeline, Hash, error) {
	t := new(Timeline)
	hash, err := getHeader(ctx, s, timelineKey(n), timelineKind, t)
	if err == nil && t.Number != n {
		err = fmt.Errorf("archive: %s: it calls itself timeline %d: %w", timelineKey(n), t.Number, ErrDamaged)
	}
	return t, hash, err
}

// getSegment reads the header of a segment.
func getSegment(ctx context.Context, s Store, timeline, n uint64) (*Segment, Hash, error) {
	seg := new(Segment)
	hash, err := getHeader(ctx, s, segmentKey(timeline, n), segmentKind, seg)
	if err == nil && (seg.Timeline != timeline || seg.Number != n) {
		err = fmt.Errorf("archive: %s: it calls itself segment %d of timeline %d: %w", segmentKey(timeline, n), seg.Number, seg.Timeline, ErrDamaged)
	}
	return seg, hash, err
}

// lastSegment is the number of a timeline's newest segment, 0 when it has none.
// hints are segments that are likely to be near it; wrong ones cost time only, but
// one must be in a group that has not been pruned. Segments are numbered without
// gaps, so that a few listings find the end.
func lastSegment(ctx context.Context, s Store, timeline uint64, hints ...uint64) (n uint64, err error) {
	group := uint64(0)
	for _, hint := range append(hints, 0) {
		group = hint / groupSize
		if n, err = lastOfGroup(ctx, s, timeline, group); err != nil {
			return 0, err
		}
		if n > 0 {
			break
		}
	}
	if n == 0 || n%groupSize != groupSize-1 {
		return n, nil
	}
	// This group is full. The first that is not lies further on: double the steps
	// until one is passed, then halve the rest.
	low, step := group, uint64(1)
	for {
		m, err := lastOfGroup(ctx, s, timeline, low+step)
		if err != nil {
			return 0, err
		}
		if m == 0 {
			break
		}
		low, n, step = low+step, m, 2*step
	}
	var failed error
	between := sort.Search(int(step)-1, func(i int) bool {
		m, err := lastOfGroup(ctx, s, timeline, low+1+uint64(i))
		failed = errors.Join(failed, err)
		n = max(n, m)
		return m == 0
	})
	_ = between // n is what was looked for
	return n, failed
}

// hintsOf are segments that are certain not to have been pruned, given the bases
// of a timeline: the newest of them stays, and so does the segment before it.
func hintsOf(places []basePlace) []uint64 {
	if len(places) == 0 {
		return nil
	}
	newest := places[len(places)-1].segment
	return []uint64{newest, max(1, newest) - 1}
}

// lastOfGroup is the newest segment in a group, 0 when it is empty.
func lastOfGroup(ctx context.Context, s Store, timeline, group uint64) (uint64, error) {
	objects, err := s.List(ctx, groupPrefix(timeline, group))
	if err != nil || len(objects) == 0 {
		return 0, err
	}
	return numberIn(objects[len(objects)-1].Key)
}

// searchSegments is the first segment from low to high of which is is true,
// high+1 when there is none. is must be false up to some segment and true from
// there on.
func searchSegments(ctx context.Context, s Store, timeline, low, high uint64, is func(*Segment) bool) (uint64, error) {
	var failed error
	i := sort.Search(int(high+1-low), func(i int) bool {
		if failed != nil {
			return true
		}
		seg, _, err := getSegment(ctx, s, timeline, low+uint64(i))
		failed = err
		return err != nil || is(seg)
	})
	return low + uint64(i), failed
}

// exists tells an error of Create that means that the key is taken.
func exists(err error) bool { return errors.Is(err, target.ErrExists) }

// missing tells an error of Get that means that there is no such object.
func missing(err error) bool { return errors.Is(err, target.ErrNotFound) }
