package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"limpet/aof"
	"limpet/internal/sealed"
	"limpet/internal/tail"
)

// errForeign: the number of the next segment is taken by a segment of another
// archiver.
var errForeign = errors.New("archive: the next segment is there already, and another archiver's")

// stale is how long after an annotation was read a command without a new one
// tells that the server writes none any more: it would have had to, in the
// second after. (The archiver's clock is compared with itself only.)
const stale = 2 * time.Second

// inHand is a segment that is to be shipped. Its bytes are the same at each try,
// so that a try whose answer was lost is known again.
type inHand struct {
	seg    *Segment
	hash   Hash
	object []byte
	tsRead time.Time
}

// prepare makes a segment of a block and takes it in hand.
func (a *Archiver) prepare(b *tail.Block) error {
	seg := a.segment(b)
	if a.newest != nil {
		if err := follows(seg, a.newest, a.hash); err != nil {
			return &tail.Break{Reason: tail.Gap, File: b.Name, What: err.Error()} // never to be seen
		}
	}
	header, hash, err := encodeHeader(segmentKind, seg)
	if err != nil {
		return err
	}
	object := bytes.NewBuffer(header)
	if err := a.seal(object, bytes.NewReader(b.Data)); err != nil {
		return err
	}
	h := &inHand{seg, hash, object.Bytes(), a.tsRead}
	if !b.LastTS.IsZero() {
		h.tsRead = b.ReadAt
	}
	a.take(h)
	return nil
}

// ship ships what is in hand. It returns once that is in the archive or cannot
// be.
func (a *Archiver) ship(ctx context.Context) error {
	h := a.hand
	err := a.retry(ctx, "ship a segment", func() error {
		if err := a.held(ctx); err != nil {
			return err
		}
		err := a.store.Create(ctx, segmentKey(h.seg.Timeline, h.seg.Number), bytes.NewReader(h.object))
		if !exists(err) {
			return err
		}
		// Its own, when the answer to an earlier try was lost.
		_, there, err := getSegment(ctx, a.store, h.seg.Timeline, h.seg.Number)
		if err == nil && there != h.hash {
			return final{errForeign}
		}
		return err
	})
	if err != nil {
		return err
	}
	a.take(nil)
	a.took(h.seg, h.hash)
	a.tsRead = h.tsRead
	a.setProgress(func(p *Progress) { p.Trouble = "" })
	if a.o.Shipped != nil {
		a.o.Shipped(h.seg)
	}
	return nil
}

// segment is the header of the next segment.
func (a *Archiver) segment(b *tail.Block) *Segment {
	seg := &Segment{
		Timeline: a.timeline.Number, Number: a.number() + 1, Lease: a.lease.doc.Number, Prev: a.hash,
		Base: b.Base, BaseInode: b.BaseInode, Incr: b.Incr, Name: b.Name, Inode: b.Inode, Start: b.Start, End: b.End,
		DB: b.DB, EndDB: b.EndDB, First: a.next, Commands: b.Commands,
		Since: b.Since, ReadAt: b.ReadAt, Shipped: a.o.Clock.Now(), Sum: sha256.Sum256(b.Data), Prefix: b.Prefix,
	}
	seg.Carried = a.ts
	if b.FirstTS.IsZero() && a.ts != 0 && b.Since.Sub(a.tsRead) >= stale {
		seg.Carried = 0
	}
	seg.FirstTS, seg.LastTS = seg.Carried, seg.Carried
	if !b.FirstTS.IsZero() {
		seg.FirstTS = b.FirstTS.Unix()
	}
	if !b.LastTS.IsZero() {
		seg.LastTS = b.LastTS.Unix()
	}
	seg.Notable = a.watch.take(seg)
	if a.newest != nil {
		seg.Turned = a.newest.Turned
	}
	if seg.Turn = a.turns.take(seg, a.newest); seg.Turn != nil {
		seg.Turned = seg.Number
	}
	return seg
}

func (a *Archiver) seal(w io.Writer, r io.Reader) error {
	packed, err := sealed.Writer(w, a.o.Keys)
	if err != nil {
		return err
	}
	_, err = io.Copy(packed, r)
	return errors.Join(err, packed.Close())
}

// startBase ships the newest base, beside the segments, unless one is on its way.
func (a *Archiver) startBase(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.baseBusy {
		return
	}
	b := a.follow.TakeBase()
	if b == nil {
		return
	}
	if b.Seq <= a.shipped {
		_ = b.File.Close()
		return
	}
	a.baseBusy = true
	timeline, end := a.timeline.Number, place{segment: a.number() + 1, prev: a.hash, command: a.next}
	a.shipping.Go(func() {
		err := a.placeBase(ctx, timeline, b, end)
		_ = b.File.Close()
		if err != nil && ctx.Err() == nil {
			a.o.Logger.Warn("a base is not in the archive; restores begin at an older one", "base", b.Seq, "error", err)
		}
		a.mu.Lock()
		a.baseBusy = false
		a.mu.Unlock()
	})
	a.shipped = b.Seq
}

// place is where a base stands in the chain.
type place struct {
	segment uint64  // before this one
	prev    Hash    // of the header before that
	command uint64  // number of the first command behind it
	incr    aof.Seq // before this file
}

// placeBase finds the place of a base in a chain that reaches to end, the place
// where the next segment will be, and ships it.
func (a *Archiver) placeBase(ctx context.Context, timeline uint64, b *tail.Base, end place) error {
	return a.retry(ctx, "ship a base", func() error {
		at := end
		// It stands behind the newest that is there; what is before may be pruned.
		first := uint64(1)
		places, err := bases(ctx, a.store, timeline)
		if err != nil {
			return err
		}
		if len(places) > 0 {
			first = min(max(1, places[len(places)-1].segment), end.segment)
		}
		n, err := searchSegments(ctx, a.store, timeline, first, end.segment-1, func(s *Segment) bool { return s.Incr >= b.Before })
		if err == nil && n < end.segment {
			var seg *Segment
			if seg, _, err = getSegment(ctx, a.store, timeline, n); err == nil {
				at = place{segment: n, prev: seg.Prev, command: seg.First}
			}
		}
		if err != nil {
			return err
		}
		if err := a.held(ctx); err != nil {
			return err
		}
		at.incr = b.Before
		err = a.shipBase(ctx, timeline, b, at)
		if errors.Is(err, errUnfit) {
			return final{err}
		}
		return err
	})
}

// errUnfit: a base changed while it was read.
var errUnfit = errors.New("the file changed while it was read")

// shipBase ships a base, nil for none: a timeline may begin with nothing.
func (a *Archiver) shipBase(ctx context.Context, timeline uint64, b *tail.Base, at place) error {
	h := &Base{
		Timeline: timeline, Segment: at.segment, Prev: at.prev, Command: at.command, Incr: at.incr,
		Sum: sha256.Sum256(nil), Seen: a.o.Clock.Now(),
	}
	body := func() io.Reader { return bytes.NewReader(nil) }
	if b != nil {
		body = func() io.Reader { return io.NewSectionReader(b.File, 0, b.Size) }
		sum := sha256.New()
		n, err := io.Copy(sum, interruptible{ctx, body()})
		if err == nil && n != b.Size {
			err = fmt.Errorf("archive: %s: want %d bytes, have %d: %w", b.Name, b.Size, n, errUnfit)
		}
		if err != nil {
			return err
		}
		h.Seq, h.Name, h.Size = b.Seq, b.Name, b.Size
		copy(h.Sum[:], sum.Sum(nil))
	}
	header, _, err := encodeHeader(baseKind, h)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := w.Write(header)
		if err == nil {
			err = a.seal(w, body())
		}
		_ = w.CloseWithError(err)
	}()
	err = a.store.Create(ctx, baseKey(timeline, at.segment, h.Seq), r)
	_ = r.Close()
	<-done
	if exists(err) {
		return nil // by a try before whose answer was lost, or the archiver before
	}
	return err
}

// interruptible ends a reading when ctx does.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
