package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"limpet/aof"
	"limpet/internal/sealed"
)

// Archive is an archive to read. It sees what was there when it was opened.
type Archive struct {
	store Store
	keys  sealed.Keys
	spans []*Span // by number, ascending
	lease *leaseDoc
	floor Floor // nothing below is looked at
}

// Span is a timeline and what is in it.
type Span struct {
	Timeline
	Last     uint64    // its newest segment, 0 when it has none
	Commands uint64    // number of its newest command; First-1 when it has none
	From     time.Time // the earliest moment that can be brought back
	Until    time.Time // everything written up to then is in it
	Pruned   bool      // its beginning was
	Oldest   uint64    // number of the first command that can be gone back before
	hash     Hash      // of the timeline's header
	// latest is Until, or the latest moment that a clock showed before it went back.
	latest time.Time
	first  uint64 // the segment before which its oldest base stands
}

// ErrEmpty: there is no archive on a target, or nothing in it yet.
var ErrEmpty = errors.New("archive: nothing has been archived there")

// Open reads what an archive holds. What is encrypted needs keys.
func Open(ctx context.Context, s Store, k sealed.Keys) (*Archive, error) {
	for {
		floor, err := currentFloor(ctx, s)
		if err != nil {
			return nil, err
		}
		a, err := open(ctx, s, k, floor)
		if err == nil || errors.Is(err, ErrEmpty) {
			return a, err
		}
		// It may have been pruned meanwhile.
		if now, err2 := currentFloor(ctx, s); err2 != nil || now == floor {
			return nil, err
		}
	}
}

func open(ctx context.Context, s Store, k sealed.Keys, floor Floor) (*Archive, error) {
	a := &Archive{store: s, keys: k, floor: floor}
	objects, err := s.List(ctx, timelinePrefix)
	if err != nil {
		return nil, err
	}
	state, err := currentLease(ctx, s)
	if err != nil {
		return nil, err
	}
	a.lease = state.doc
	for _, o := range objects {
		n, err := numberIn(o.Key)
		if err != nil {
			return nil, err
		}
		if n < floor.Timeline {
			continue
		}
		span, err := a.span(ctx, n)
		if err != nil {
			return nil, err
		}
		if span != nil {
			a.spans = append(a.spans, span)
		}
	}
	if len(a.spans) == 0 {
		return nil, ErrEmpty
	}
	a.close()
	return a, nil
}

// span reads a timeline's ends. One without a base cannot be restored and is
// passed over.
func (a *Archive) span(ctx context.Context, n uint64) (*Span, error) {
	t, hash, err := getTimeline(ctx, a.store, n)
	if err != nil {
		return nil, err
	}
	places, err := a.bases(ctx, n)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	s := &Span{Timeline: *t, hash: hash, Commands: t.First - 1, From: t.Started, Until: t.Started, Oldest: t.First, first: places[0].segment}
	hints := hintsOf(places)
	if a.lease != nil && a.lease.Timeline == n {
		hints = append([]uint64{a.lease.Segment}, hints...)
		s.Until = later(s.Until, a.lease.Until)
	}
	if s.Last, err = lastSegment(ctx, a.store, n, hints...); err != nil || s.Last == 0 {
		return s, err
	}
	if err := a.beginning(ctx, s, places[0]); err != nil {
		return nil, err
	}
	last, _, err := getSegment(ctx, a.store, n, s.Last)
	if err != nil {
		return nil, err
	}
	s.Commands, s.Until = last.last(), later(s.Until, last.ReadAt)
	if last.Turned == 0 {
		return s, nil
	}
	err = a.eachTurn(ctx, s, max(1, places[0].segment), func(_ uint64, t *Turn) bool {
		if t.To.Before(s.From) {
			s.From = t.To
		}
		s.latest = later(s.latest, t.From)
		return true
	})
	if errors.Is(err, ErrDamaged) || missing(err) {
		err = nil // the timeline is read as far as it is sound
	}
	return s, err
}

// beginning finds the earliest moment of a timeline: that of its first command, if
// that is before it was begun, or of the last before its oldest base where what
// was before has been pruned.
func (a *Archive) beginning(ctx context.Context, s *Span, oldest basePlace) error {
	if oldest.segment > 1 {
		before, _, err := getSegment(ctx, a.store, s.Number, oldest.segment-1)
		if err != nil {
			return err
		}
		s.Pruned, s.Oldest = true, before.last()+1
		s.From, _ = before.LastAt()
		return nil
	}
	first, _, err := getSegment(ctx, a.store, s.Number, 1)
	if err != nil {
		return err
	}
	if at, _ := first.FirstAt(); at.Before(s.From) {
		s.From = at
	}
	return nil
}

// bases lists the bases of a timeline above the floor, by place ascending.
func (a *Archive) bases(ctx context.Context, timeline uint64) ([]basePlace, error) {
	places, err := bases(ctx, a.store, timeline)
	return slices.DeleteFunc(places, func(p basePlace) bool { return !a.floor.above(timeline, p.segment) }), err
}

// close lets each timeline end where its successor says that it did.
func (a *Archive) close() {
	for i, s := range a.spans[:len(a.spans)-1] {
		if p := a.spans[i+1].Previous; p != nil && p.Timeline == s.Number {
			s.Until = later(s.Until, p.Until)
		}
	}
	for _, s := range a.spans {
		s.latest = later(s.latest, s.Until)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Timelines are the timelines that can be restored, oldest first.
func (a *Archive) Timelines() []*Span { return a.spans }

// fetched is a segment with its commands, on its way.
type fetched struct {
	seg  *Segment
	hash Hash
	data []byte
	err  error
}

// fetchAhead is how many segments are fetched at the same time: an object store
// takes its time for each, and many a time at once.
const fetchAhead = 16

// segments fetches segments first to last in order and hands each to do, its
// chain checked: prev is the hash of the header before the first.
func (a *Archive) segments(ctx context.Context, timeline, first, last uint64, prev Hash, do func(*Segment, []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	coming := make(chan chan fetched, fetchAhead)
	go func() {
		defer close(coming)
		for n := first; n <= last; n++ {
			one := make(chan fetched, 1)
			select {
			case coming <- one:
			case <-ctx.Done():
				return
			}
			go func() { one <- a.fetch(ctx, timeline, n) }()
		}
	}()
	var before *Segment
	for one := range coming {
		f := <-one
		if f.err == nil {
			f.err = follows(f.seg, before, prev)
		}
		if f.err == nil {
			f.err = do(f.seg, f.data)
		}
		if f.err != nil {
			cancel()
			for one := range coming {
				<-one // no goroutine is left behind
			}
			return f.err
		}
		before, prev = f.seg, f.hash
	}
	return ctx.Err()
}

// ChainError says where the chain of segments is broken: something between was
// lost, replaced or damaged. What lies before is sound.
type ChainError struct {
	Timeline, Segment uint64
	What              string
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("archive: timeline %d: segment %d: %s: %v", e.Timeline, e.Segment, e.What, ErrDamaged)
}

func (e *ChainError) Unwrap() error { return ErrDamaged }

// follows checks that a segment is the one behind another; before is nil for the
// first that is read.
func follows(s, before *Segment, prev Hash) error {
	what := ""
	switch {
	case s.Prev != prev:
		what = fmt.Sprintf("it follows a header %.8s, before it stands %.8s", s.Prev, prev)
	case before == nil:
	case s.First != before.First+uint64(before.Commands):
		what = fmt.Sprintf("it begins with command %d, the one before ends with %d", s.First, before.last())
	case s.Incr == before.Incr && s.Start != before.End:
		what = fmt.Sprintf("it begins at byte %d of incr %d, the one before ends at %d", s.Start, s.Incr, before.End)
	case s.Incr != before.Incr && (s.Incr < before.Incr || s.Start != 0):
		what = fmt.Sprintf("it begins at byte %d of incr %d, after incr %d", s.Start, s.Incr, before.Incr)
	}
	if what == "" {
		return nil
	}
	return &ChainError{s.Timeline, s.Number, what}
}

// fetch reads a segment and checks it against its own header.
func (a *Archive) fetch(ctx context.Context, timeline, n uint64) fetched {
	f := fetched{seg: new(Segment)}
	broken := func(what string) fetched {
		f.err = &ChainError{timeline, n, what}
		return f
	}
	o, err := get(ctx, a.store, segmentKey(timeline, n), segmentKind, f.seg)
	switch {
	case missing(err):
		return broken("it is missing, and there are later ones")
	case err != nil:
		f.err = err
		return f
	}
	defer func() { _ = o.Close() }()
	f.hash = o.hash
	if f.seg.Timeline != timeline || f.seg.Number != n {
		return broken(fmt.Sprintf("it calls itself segment %d of timeline %d", f.seg.Number, f.seg.Timeline))
	}
	open, err := sealed.Reader(o.body, a.keys)
	if err != nil {
		f.err = fmt.Errorf("archive: %s: %w", segmentKey(timeline, n), err)
		return f
	}
	f.data, err = io.ReadAll(open)
	_ = open.Close()
	switch {
	case err != nil:
		f.err = fmt.Errorf("archive: %s: %w", segmentKey(timeline, n), err)
	case int64(len(f.data)) != f.seg.End-f.seg.Start || sha256.Sum256(f.data) != f.seg.Sum:
		return broken(fmt.Sprintf("want %d bytes of SHA-256 %.8s, have %d others", f.seg.End-f.seg.Start, f.seg.Sum, len(f.data)))
	}
	return f
}

// base opens a base. Reading to the end checks it.
func (a *Archive) base(ctx context.Context, p basePlace) (*Base, io.ReadCloser, error) {
	b := new(Base)
	o, err := get(ctx, a.store, p.key, baseKind, b)
	if err != nil {
		return nil, nil, err
	}
	if b.Segment != p.segment || b.Seq != p.seq {
		_ = o.Close()
		return nil, nil, fmt.Errorf("archive: %s: it calls itself base %d before segment %d: %w", p.key, b.Seq, b.Segment, ErrDamaged)
	}
	open, err := sealed.Reader(o.body, a.keys)
	if err != nil {
		_ = o.Close()
		return nil, nil, fmt.Errorf("archive: %s: %w", p.key, err)
	}
	return b, &checked{key: p.key, r: open, under: o, want: b, sum: sha256.New()}, nil
}

// checked reads a base and compares it with its header at the end.
type checked struct {
	key   string
	r     io.ReadCloser
	under io.Closer
	want  *Base
	sum   hash.Hash
	n     int64
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	_, _ = c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && (c.n != c.want.Size || Hash(c.sum.Sum(nil)) != c.want.Sum) {
		return n, fmt.Errorf("archive: %s: want %d bytes of SHA-256 %.8s, have %d others: %w", c.key, c.want.Size, c.want.Sum, c.n, ErrDamaged)
	}
	return n, err
}

func (c *checked) Close() error { return errors.Join(c.r.Close(), c.under.Close()) }

// units reads the commands of a segment, with the time of each unit and the
// number of its first command.
func units(s *Segment, data []byte, do func(u aof.Unit, at time.Time, stamped bool, number uint64, db int) error) error {
	r := aof.NewReader(offsetReader{data, s.Start}, s.Name, s.Start)
	var carried time.Time
	if s.Carried != 0 {
		carried = time.Unix(s.Carried, 0)
	}
	r.Continue(s.DB, carried)
	number := s.First
	for {
		db := r.DB()
		u, err := r.NextUnit()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("archive: timeline %d: segment %d: %w", s.Timeline, s.Number, err)
		}
		at, stamped := s.ReadAt, false
		if !r.Time().IsZero() {
			at, stamped = r.Time(), true
		}
		if err := do(u, at, stamped, number, db); err != nil {
			return err
		}
		number += uint64(len(u.Commands))
		if u.Multi {
			number += 2
		}
	}
}

// offsetReader is bytes that begin at an offset of a file.
type offsetReader struct {
	data []byte
	at   int64
}

func (o offsetReader) ReadAt(p []byte, off int64) (int, error) {
	off -= o.at
	if off < 0 || off >= int64(len(o.data)) {
		return 0, io.EOF
	}
	n := copy(p, o.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
