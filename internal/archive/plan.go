package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"limpet/aof"
)

// Plan is a place in the archive and how to restore it: a base, and the commands
// behind it up to the cut.
type Plan struct {
	Timeline *Span
	Base     *Base
	// The commands of segments Base.Segment to Segment are kept, and of Segment
	// those before byte Cut of its incr file; 0 is none of any.
	Segment uint64
	Cut     int64
	Command uint64    // number of the last command that is kept; Base.Command-1 is none
	At      time.Time // its time, or the base's place in time
	Stamped bool      // At is the server's #TS, not the moment of reading
	Last    [][]byte  // the command itself, nil when there is none
	Next    *Command  // the first command that is not kept, nil when there is none
	Note    string    // what whoever asked should know, "" for nothing
	// Turn is where the clock went back, when the moment that was asked for was
	// twice; the plan is for the later of the two. nil when it was once.
	Turn *Turn

	basePlace basePlace
}

// Command is one command of the archive.
type Command struct {
	Timeline uint64
	Number   uint64
	At       time.Time
	Stamped  bool // At is the server's #TS, not the moment of reading
	DB       int
	Args     [][]byte

	since time.Time // the reading before it came
}

// GapError says that a moment is in no timeline: nothing is known of it.
type GapError struct {
	At     time.Time
	Before *Span // the timeline that ends before, nil when there is none
	After  *Span // the one that begins after, nil when there is none
	Pruned bool  // somebody had seen it, and it has been pruned since
}

func (e *GapError) Error() string {
	if e.Pruned {
		return fmt.Sprintf("archive: %s has been pruned", e.At.Format(time.RFC3339))
	}
	return fmt.Sprintf("archive: %s is in no timeline", e.At.Format(time.RFC3339))
}

// ErrNoFlush: there is nothing to go back before.
var ErrNoFlush = errors.New("archive: no FLUSHALL, FLUSHDB or mass delete in it")

// PlanAt plans the state at a moment: with #TS, after every command of that
// second, which is as fine as they are; else after what had been read by then. A
// moment later than the archive knows of is its end, and the plan says so.
//
// Where the clock went back a moment was twice. The later one counts: the state
// behind the newest command, in the order of the log, that is not later.
func (a *Archive) PlanAt(ctx context.Context, at time.Time) (*Plan, error) {
	span, note, err := a.spanAt(at)
	if err != nil {
		return nil, err
	}
	where, err := a.stretchAt(ctx, span, a.firstKept(ctx, span), at)
	if err != nil {
		return nil, err
	}
	n, err := a.search(ctx, span, where.low, where.high, func(s *Segment) bool {
		first, _ := s.FirstAt()
		return first.After(at)
	}, func(s *Segment) bool {
		last, _ := s.LastAt()
		return last.After(at)
	})
	if err != nil {
		return nil, err
	}
	p := &Plan{Timeline: span, Segment: n - 1, Note: note, Turn: where.twice}
	if err := a.fill(ctx, p, func(c *Command) bool { return !c.At.After(at) }); err != nil {
		return nil, err
	}
	if next := p.Next; next != nil && !next.Stamped && next.At.Sub(next.since) > coarse {
		p.Note = fmt.Sprintf("what follows was written some time after %s and read at %s: it may have been there already",
			orUnknown(next.since), next.At.Format(time.RFC3339))
	}
	return p, nil
}

// coarse is how far apart two readings may be before a plan mentions it.
const coarse = 5 * time.Second

func orUnknown(t time.Time) string {
	if t.IsZero() {
		return "the archive began"
	}
	return t.Format(time.RFC3339)
}

// search is the first of some segments that lies behind a place, last+1 when none
// does. reaches tells whether the place is inside a segment. Where a header on the
// way is damaged, all before it are read: what is sound before damage must be found.
func (a *Archive) search(ctx context.Context, span *Span, first, last uint64, behind, reaches func(*Segment) bool) (uint64, error) {
	n, err := searchSegments(ctx, a.store, span.Number, first, last, behind)
	if err == nil || !missing(err) && !errors.Is(err, ErrDamaged) {
		return n, err
	}
	inside := false
	for n := first; n <= last; n++ {
		seg, _, err := getSegment(ctx, a.store, span.Number, n)
		switch {
		case err != nil && inside:
			return n, nil
		case missing(err):
			return 0, &ChainError{span.Number, n, "it is missing, and there are later ones"}
		case err != nil:
			return 0, err
		case behind(seg):
			return n, nil
		}
		inside = reaches(seg)
	}
	return 0, err
}

// firstKept is the first segment that is there: older ones may have been pruned
// with their bases.
func (a *Archive) firstKept(ctx context.Context, span *Span) uint64 {
	places, err := a.bases(ctx, span.Number)
	if err != nil || len(places) == 0 {
		return 1
	}
	return max(1, places[0].segment)
}

// spanAt is the timeline that was being recorded at a moment, or else one whose
// #TS reach back to it.
func (a *Archive) spanAt(at time.Time) (span *Span, note string, err error) {
	gap := &GapError{At: at}
	for i, s := range a.spans {
		last := i == len(a.spans)-1
		// What is before the first timeline, or before its oldest base.
		gone := s.Pruned && at.Before(s.From) || i == 0 && a.floor.Number > 0 && at.Before(s.Started) && at.Before(s.From)
		switch {
		case gone && span == nil:
			gap.After, gap.Pruned = s, true
		case at.Before(s.Started) && span == nil && gap.After == nil:
			gap.After = s
			if !at.Before(s.From) {
				return s, "", nil
			}
		case at.Before(s.Started):
		case last && at.After(s.latest):
			return s, fmt.Sprintf("the archive knows everything up to %s and nothing after", s.Until.Format(time.RFC3339)), nil
		case !at.After(s.latest):
			span = s // a later one is better: it was recording then
		default:
			gap.Before = s
		}
	}
	if span != nil {
		return span, "", nil
	}
	return nil, "", gap
}

// PlanBeforeCommand plans the state just before a command, by its number.
func (a *Archive) PlanBeforeCommand(ctx context.Context, number uint64) (*Plan, error) {
	for _, span := range a.spans {
		if number < span.Oldest || number > span.Commands {
			continue
		}
		n, err := a.search(ctx, span, a.firstKept(ctx, span), span.Last,
			func(s *Segment) bool { return s.First >= number },
			func(s *Segment) bool { return s.last() >= number })
		if err != nil {
			return nil, err
		}
		p := &Plan{Timeline: span, Segment: n - 1}
		return p, a.fill(ctx, p, func(c *Command) bool { return c.Number < number })
	}
	first, last := a.spans[0].Oldest, a.spans[len(a.spans)-1].Commands
	return nil, fmt.Errorf("archive: there is no command %d: it holds %d to %d", number, first, last)
}

// PlanEnd plans the newest state that is known.
func (a *Archive) PlanEnd(ctx context.Context) (*Plan, error) {
	span := a.spans[len(a.spans)-1]
	p := &Plan{Timeline: span, Segment: span.Last}
	return p, a.fill(ctx, p, func(*Command) bool { return true })
}

// Flushes finds what emptied a database, newest first: each FLUSHALL and FLUSHDB,
// and each run of a thousand deletions or more with no other write between. It
// stops after so many.
func (a *Archive) Flushes(ctx context.Context, most int) ([]Notable, error) {
	var found []Notable
	for i := len(a.spans) - 1; i >= 0; i-- {
		span := a.spans[i]
		first := a.firstKept(ctx, span)
		for high := span.Last; high >= first && high > 0 && len(found) <= most; {
			low := first
			if high-first >= fetchAhead {
				low = high - fetchAhead + 1
			}
			headers, err := a.headers(ctx, span.Number, low, high)
			if err != nil {
				return nil, err
			}
			for _, seg := range slices.Backward(headers) {
				for _, f := range slices.Backward(seg.Notable) {
					// A long run is noted again and again while it grows.
					if len(found) == 0 || found[len(found)-1].Command != f.Command {
						found = append(found, f)
					}
				}
			}
			high = low - 1
		}
	}
	if len(found) == 0 {
		return nil, ErrNoFlush
	}
	return found[:min(most, len(found))], nil
}

// headers reads the headers of segments low to high at the same time.
func (a *Archive) headers(ctx context.Context, timeline, low, high uint64) ([]*Segment, error) {
	segs, errs := make([]*Segment, high-low+1), make([]error, high-low+1)
	var reading sync.WaitGroup
	for i := range segs {
		reading.Go(func() { segs[i], _, errs[i] = getSegment(ctx, a.store, timeline, low+uint64(i)) })
	}
	reading.Wait()
	return segs, errors.Join(errs...)
}

// errCut ends the reading at the cut.
var errCut = errors.New("cut")

// fill finds the cut, before the first unit that is not to be kept, which is in
// p.Segment or the first of the next; then the newest base that is not behind it.
func (a *Archive) fill(ctx context.Context, p *Plan, keep func(*Command) bool) error {
	cutInside, err := a.cut(ctx, p, keep)
	if err != nil {
		return err
	}
	newest := p.Segment
	if !cutInside {
		newest++ // all of p.Segment is kept, so what stands behind it will do
		if err := a.fillNext(ctx, p, newest); err != nil {
			return err
		}
	}
	places, err := a.bases(ctx, p.Timeline.Number)
	if err != nil {
		return err
	}
	found := false
	for _, place := range places {
		if place.segment <= newest {
			p.basePlace, found = place, true
		}
	}
	if !found {
		return fmt.Errorf("archive: timeline %d: no base before segment %d: %w", p.Timeline.Number, newest, ErrDamaged)
	}
	b, body, err := a.base(ctx, p.basePlace)
	if err != nil {
		return err
	}
	p.Base = b
	return body.Close()
}

// cut finds the cut in p.Segment, behind the last unit that is to be kept, and
// tells whether there is more of the segment behind it.
func (a *Archive) cut(ctx context.Context, p *Plan, keep func(*Command) bool) (inside bool, err error) {
	p.Command, p.At = p.Timeline.First-1, p.Timeline.From
	if p.Segment == 0 {
		return false, nil
	}
	f := a.fetch(ctx, p.Timeline.Number, p.Segment)
	if f.err != nil {
		return false, f.err
	}
	// Should the cut be at its very beginning, the last command is the one before.
	p.Cut, p.Command = f.seg.Start, f.seg.First-1
	p.At, p.Stamped = moment(f.seg.Carried, f.seg.Since)
	err = units(f.seg, f.data, func(u aof.Unit, at time.Time, stamped bool, number uint64, db int) error {
		c := &Command{Timeline: p.Timeline.Number, Number: number, At: at, Stamped: stamped, DB: db, since: f.seg.Since}
		if u.Multi { // kept whole or not at all, so it counts as its EXEC
			c.Number += uint64(len(u.Commands)) + 1
		}
		if len(u.Commands) > 0 {
			c.Args = clone(u.Commands[len(u.Commands)-1].Args)
		}
		switch {
		case keep(c):
			p.Cut, p.Command, p.At, p.Stamped, p.Last, p.Next = u.End, c.Number, at, stamped, c.Args, nil
		case p.Next == nil:
			p.Next = c
			p.Next.Number = number
		}
		if p.Next != nil && f.seg.Turn == nil {
			return errCut // nothing behind it is to be kept
		}
		return nil
	})
	if errors.Is(err, errCut) {
		err = nil
	}
	return p.Next != nil, err
}

// fillNext looks what the first command is that is not kept. That it cannot be
// read is worth a note: what is kept lies before.
func (a *Archive) fillNext(ctx context.Context, p *Plan, segment uint64) error {
	if segment > p.Timeline.Last {
		return nil
	}
	f := a.fetch(ctx, p.Timeline.Number, segment)
	if f.err != nil && ctx.Err() == nil {
		p.Note = fmt.Sprintf("what follows cannot be read: %v", f.err)
		return nil
	}
	if f.err != nil {
		return f.err
	}
	err := units(f.seg, f.data, func(u aof.Unit, at time.Time, stamped bool, number uint64, db int) error {
		p.Next = &Command{Timeline: p.Timeline.Number, Number: number, At: at, Stamped: stamped, DB: db, since: f.seg.Since}
		if len(u.Commands) > 0 {
			p.Next.Args = clone(u.Commands[0].Args)
		}
		return errCut
	})
	if errors.Is(err, errCut) {
		return nil
	}
	return err
}

func clone(args [][]byte) [][]byte {
	c := make([][]byte, len(args))
	for i, a := range args {
		c[i] = append([]byte(nil), a...)
	}
	return c
}
