package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"limpet/aof"
	"limpet/clock"
	"limpet/internal/sealed"
	"limpet/internal/tail"
	"limpet/vfs"
)

// Options of an Archiver.
type Options struct {
	FS       vfs.FS // nil is the machine's
	Dir      string // data directory of the source
	DirName  string // appenddirname; "" is appendonlydir
	FileName string // appendfilename; "" is appendonly.aof
	// Interval is how long a write may wait to be shipped; 0 means 1 s. It bounds
	// what is lost with the machine.
	Interval time.Duration
	// TTL is how long the target stays taken after an archiver has died; 0 means 10 s.
	TTL    time.Duration
	Keys   sealed.Keys // to encrypt with; the zero value encrypts nothing
	Source string      // what the archive calls the source; "" is Dir
	Holder string      // what this archiver calls itself
	Clock  clock.Clock
	Logger *slog.Logger // nil discards
	// Shipped, unless nil, is told of each segment once it is in the archive.
	Shipped func(*Segment)
}

// Archiver ships one source to one target.
type Archiver struct {
	store  Store
	o      Options
	follow *tail.Follower
	lease  *lease
	watch  notables
	turns  turns

	timeline *Timeline
	newest   *Segment // nil while the timeline has none
	hash     Hash     // of newest's header, or of the timeline's
	next     uint64   // number of the next command
	ts       int64    // #TS in force at the end of what was read; 0 is none
	tsRead   time.Time
	shipped  aof.Seq        // newest base that is in the archive, or on its way
	based    bool           // the timeline's first base is in the archive
	shipping sync.WaitGroup // of a base, beside the segments
	avoid    aof.Seq        // base of a log that cannot be read on; 0 is none
	blocked  bool           // there is such a log
	because  *cause         // why the next timeline begins, while there is no source to begin it with
	hand     *inHand        // what was read and is not shipped yet; nil when nothing is

	mu       sync.Mutex // guards what follows
	progress Progress
	handSize int64 // bytes of what is in hand
	baseBusy bool
}

// cause is why a timeline begins.
type cause struct{ reason, why string }

// New returns an Archiver. It touches nothing before [Archiver.Run].
func New(s Store, o Options) *Archiver {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.TTL <= 0 {
		o.TTL = 10 * time.Second
	}
	if o.Source == "" {
		o.Source = o.Dir
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Archiver{store: s, o: o}
	a.follow = tail.New(o.FS, o.Dir, tail.Options{
		DirName: o.DirName, FileName: o.FileName, MaxBlock: 8 << 20, Clock: o.Clock,
		Inspect: func(u aof.Unit, at time.Time) { a.watch.unit(u, at); a.turns.unit(u, at) },
	})
	return a
}

// drainTime is how long a stop waits for the target to take what is left.
const drainTime = 10 * time.Second

// Run ships until ctx ends, then ships what is there and gives the lease up. It
// returns early with a *HeldError or [ErrLeaseLost], never for an error that may
// pass: those it tells the log and [Archiver.Progress], and tries again.
func (a *Archiver) Run(ctx context.Context) error {
	defer a.follow.Close()
	if err := a.takeLease(ctx); err != nil {
		return err
	}
	holding, lose := context.WithCancelCause(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { a.lease.keep(holding, a.Progress, lose) })
	helpers.Go(func() { a.follow.Watch(holding) })

	working, stop := context.WithCancel(holding)
	unhook := context.AfterFunc(ctx, stop)
	err := a.work(working)
	unhook()
	stop()
	if lost := context.Cause(holding); errors.Is(lost, ErrLeaseLost) {
		err = lost
	} else if ctx.Err() != nil && !errors.Is(err, ErrLeaseLost) {
		err = a.drain(holding)
	}
	lose(nil)
	a.shipping.Wait()
	helpers.Wait()
	return err
}

// takeLease waits for the lease, and knows from the one before how far the
// archive goes.
func (a *Archiver) takeLease(ctx context.Context) error {
	return a.retry(ctx, "take the lease", func() error {
		l, before, err := acquire(ctx, a.store, a.o.Clock, leaseDoc{Holder: a.o.Holder, Source: a.o.Source, TTL: a.o.TTL})
		var held *HeldError
		if errors.As(err, &held) {
			return final{err}
		}
		if err != nil {
			return err
		}
		a.lease = l
		if before != nil {
			a.setProgress(func(p *Progress) { *p = before.Progress; p.Trouble = "" })
		}
		return nil
	})
}

// work attaches to the source and ships a pass at each interval.
func (a *Archiver) work(ctx context.Context) error {
	attached := false
	for {
		next := a.o.Clock.Now().Add(a.o.Interval)
		if err := a.pass(ctx, &attached); err != nil {
			return err
		}
		if err := sleep(ctx, a.o.Clock, next.Sub(a.o.Clock.Now())); err != nil {
			return err
		}
	}
}

// pass ships everything that is there. Where the source cannot be joined to the
// archive, or there is none yet, the next pass begins anew.
func (a *Archiver) pass(ctx context.Context, attached *bool) error {
	if !*attached {
		err := a.retry(ctx, "find where the archive ends", func() error { return a.attach(ctx) })
		if err != nil {
			return err
		}
		*attached = a.timeline != nil
		if !*attached {
			return nil
		}
	}
	for {
		err := a.shipNext(ctx)
		var broken *tail.Break
		switch {
		case err == io.EOF:
			a.caughtUp()
			a.startBase(ctx)
			return nil
		case errors.Is(err, errForeign):
			// Somebody wrote here at the same time: go by what is there.
			*attached = false
			return a.checkLease(ctx)
		case errors.As(err, &broken):
			if err := a.beginAfter(ctx, broken); err != nil {
				return err
			}
			if *attached = a.timeline != nil; !*attached {
				return nil
			}
		case errors.Is(err, errLater):
			return nil
		case err != nil:
			return err
		default:
			a.startBase(ctx)
		}
	}
}

// shipNext ships the next block, or the one that is in hand because its shipping
// was broken off. An error of the source that may pass is told, and is errLater.
func (a *Archiver) shipNext(ctx context.Context) error {
	if a.hand == nil {
		a.watch.begin(a.next)
		a.turns.begin(a.next, a.ts)
		b, err := a.follow.Next()
		var broken *tail.Break
		if err == io.EOF || errors.As(err, &broken) {
			return err
		}
		if err != nil {
			a.trouble("read the source", err)
			return errLater
		}
		if err := a.prepare(b); err != nil {
			return err
		}
	}
	return a.ship(ctx)
}

// errLater ends a pass that has not come to the end.
var errLater = errors.New("later")

// beginAfter begins a new timeline where the source does not go on.
func (a *Archiver) beginAfter(ctx context.Context, broken *tail.Break) error {
	a.o.Logger.Warn("the source does not go on where the archive ends: a new timeline begins", "reason", broken.Reason, "file", broken.File, "what", broken.What)
	a.blocked = broken.Reason == tail.Damaged || broken.Reason == tail.Torn
	a.avoid = a.timeline.Base
	return a.retry(ctx, "begin a new timeline", func() error { return a.begin(ctx, string(broken.Reason), broken.Error()) })
}

// checkLease is nil when this archiver holds the lease all the same.
func (a *Archiver) checkLease(ctx context.Context) error {
	return a.retry(ctx, "renew the lease", func() error { return a.lease.renew(ctx, a.Progress()) })
}

// drain ships what is there once more and releases the lease.
func (a *Archiver) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	attached := a.timeline != nil
	var err error
	if attached {
		err = a.pass(ctx, &attached)
	}
	if err == nil {
		err = a.lease.release(ctx, a.Progress())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("archive: stopped before everything was shipped: %s", a.Progress().Trouble)
	}
	return err
}

// final is an error that no repetition mends.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// retry repeats what the target may refuse for a while.
func (a *Archiver) retry(ctx context.Context, what string, do func() error) error {
	wait := min(a.o.Interval, 100*time.Millisecond)
	for {
		err := do()
		var last final
		switch {
		case err == nil:
			return nil
		case errors.As(err, &last):
			return last.error
		case errors.Is(err, ErrLeaseLost):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		a.trouble(what, err)
		if err := sleep(ctx, a.o.Clock, wait); err != nil {
			return err
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// trouble tells what keeps the archiver from going on; the log only when it is new.
func (a *Archiver) trouble(what string, err error) {
	text := fmt.Sprintf("cannot %s: %v", what, err)
	if a.Progress().Trouble != text {
		a.o.Logger.Warn("the archive stands still, trying again", "error", text)
	}
	a.setProgress(func(p *Progress) {
		p.Trouble = text
		p.Bytes, p.Files = a.follow.Behind()
		p.Bytes += a.handSize
	})
}

// attach goes on where the archive ends, or else begins a new timeline. With no
// error and no timeline, there is no source yet.
func (a *Archiver) attach(ctx context.Context) error {
	a.timeline, a.newest = nil, nil
	a.take(nil)
	if c := a.because; c != nil {
		return a.begin(ctx, c.reason, c.why)
	}
	n, err := newest(ctx, a.store)
	if err != nil {
		return err
	}
	if n == 0 {
		a.next = 1
		return a.begin(ctx, "first", "the archive was empty")
	}
	timeline, hash, err := getTimeline(ctx, a.store, n)
	if err != nil {
		return err
	}
	point, err := a.readEnd(ctx, timeline, hash)
	if err != nil {
		return err
	}
	if !a.based {
		return a.begin(ctx, "lost", fmt.Sprintf("the first base of timeline %d had not been shipped whole", n))
	}
	err = a.follow.Resume(point)
	var broken *tail.Break
	switch {
	case errors.Is(err, tail.ErrNoLog):
		a.timeline = nil
		a.trouble("read the source", err)
		return nil
	case errors.As(err, &broken):
		return a.begin(ctx, string(broken.Reason), "while no archiver ran: "+broken.Error())
	case err != nil:
		return err
	}
	a.setProgress(func(p *Progress) { p.Trouble = "" })
	a.o.Logger.Info("the archive goes on", "timeline", n, "segment", a.number(), "incr", point.Incr, "offset", point.Offset)
	return nil
}

// readEnd takes from the target where a timeline ends.
func (a *Archiver) readEnd(ctx context.Context, t *Timeline, hash Hash) (tail.Point, error) {
	hint := uint64(0)
	if p := a.Progress(); p.Timeline == t.Number {
		hint = p.Segment
	}
	places, err := bases(ctx, a.store, t.Number)
	if err != nil {
		return tail.Point{}, err
	}
	last, err := lastSegment(ctx, a.store, t.Number, append([]uint64{hint}, hintsOf(places)...)...)
	if err != nil {
		return tail.Point{}, err
	}
	a.shipped, a.based = 0, len(places) > 0
	for _, p := range places {
		a.shipped = max(a.shipped, p.seq)
	}
	a.timeline, a.newest, a.hash, a.next = t, nil, hash, t.First
	a.ts, a.tsRead = 0, time.Time{}
	point := tail.Point{Base: t.Base, BaseInode: t.BaseInode, Incr: t.Incr, Inode: t.Inode, Prefix: sha256.Sum256(nil)}
	if last == 0 {
		return point, nil
	}
	seg, hash, err := getSegment(ctx, a.store, t.Number, last)
	if err != nil {
		return tail.Point{}, err
	}
	a.took(seg, hash)
	a.tsRead = seg.ReadAt // or earlier: what it carries may have been read before
	return tail.Point{
		Base: seg.Base, BaseInode: seg.BaseInode, Incr: seg.Incr, Inode: seg.Inode,
		Offset: seg.End, Prefix: seg.Prefix, DB: seg.EndDB,
	}, nil
}

// took makes a segment the newest.
func (a *Archiver) took(seg *Segment, hash Hash) {
	a.newest, a.hash, a.next = seg, hash, seg.First+uint64(seg.Commands)
	a.ts = seg.LastTS
	a.setProgress(func(p *Progress) {
		p.Timeline, p.Segment, p.Commands, p.Shipped = seg.Timeline, seg.Number, seg.last(), seg.Shipped
		p.Reason, p.Why = a.timeline.Reason, a.timeline.Why
	})
}

// number is that of the newest segment, 0 when there is none.
func (a *Archiver) number() uint64 {
	if a.newest == nil {
		return 0
	}
	return a.newest.Number
}

// begin begins a new timeline at what the source holds now.
func (a *Archiver) begin(ctx context.Context, reason, why string) error {
	a.because = &cause{reason, why}
	err := a.follow.Start()
	if errors.Is(err, tail.ErrNoLog) {
		a.timeline = nil
		a.trouble("read the source", err)
		return nil
	}
	if err != nil {
		return err
	}
	incr, inode, _ := a.follow.At()
	base := a.follow.TakeBase()
	if base != nil {
		defer func() { _ = base.File.Close() }()
	}
	if a.blocked && (base == nil && a.avoid == 0 || base != nil && base.Seq == a.avoid) {
		a.timeline = nil
		a.trouble("read the source", fmt.Errorf("%s; the next rewrite of the log (BGREWRITEAOF) ends that", why))
		return nil
	}
	last, err := newest(ctx, a.store)
	if err != nil {
		return err
	}
	t := &Timeline{
		Number: last + 1, Started: a.o.Clock.Now(), Reason: reason, Why: why, Source: a.o.Source, Lease: a.lease.doc.Number,
		DirName: a.o.DirName, FileName: a.o.FileName, First: a.next, Incr: incr, Inode: inode,
	}
	if base != nil {
		t.Base, t.BaseInode = base.Seq, base.Inode
	}
	if last > 0 {
		if t.Previous, err = a.previous(ctx, last); err != nil {
			return err
		}
		t.First = max(t.First, a.next)
	}
	text, hash, err := encodeHeader(timelineKind, t)
	if err != nil {
		return err
	}
	if err := a.held(ctx); err != nil {
		return err
	}
	if err := a.store.Create(ctx, timelineKey(t.Number), bytes.NewReader(text)); err != nil {
		return err // taken, by a try before whose answer was lost perhaps: the next try takes the next number
	}
	a.timeline, a.newest, a.hash, a.next = t, nil, hash, t.First
	a.ts, a.tsRead, a.shipped, a.blocked = 0, time.Time{}, t.Base, false
	a.watch = notables{}
	err = a.retry(ctx, "ship a base", func() error {
		if err := a.held(ctx); err != nil {
			return err
		}
		return a.shipBase(ctx, t.Number, base, place{segment: 1, prev: hash, command: t.First, incr: incr})
	})
	if err != nil {
		return err
	}
	a.because = nil
	a.setProgress(func(p *Progress) {
		p.Timeline, p.Segment, p.Reason, p.Why, p.Trouble = t.Number, 0, reason, why, ""
	})
	a.o.Logger.Info("a timeline begins", "timeline", t.Number, "reason", reason, "why", why, "base", t.Base, "incr", incr)
	return nil
}

// previous is where the newest timeline ends, and makes a.next follow it.
func (a *Archiver) previous(ctx context.Context, n uint64) (*Previous, error) {
	timeline, hash, err := getTimeline(ctx, a.store, n)
	if err != nil {
		return nil, err
	}
	p := &Previous{Timeline: n, Hash: hash, Until: timeline.Started}
	a.next = max(a.next, timeline.First)
	progress, hint := a.Progress(), uint64(0)
	if progress.Timeline == n {
		hint = progress.Segment
	}
	places, err := bases(ctx, a.store, n)
	if err != nil {
		return nil, err
	}
	if p.Segment, err = lastSegment(ctx, a.store, n, append([]uint64{hint}, hintsOf(places)...)...); err != nil {
		return nil, err
	}
	if p.Segment > 0 {
		seg, hash, err := getSegment(ctx, a.store, n, p.Segment)
		if err != nil {
			return nil, err
		}
		a.next = max(a.next, seg.last()+1)
		p.Hash, p.Until = hash, seg.ReadAt
	}
	if progress.Timeline == n && progress.Until.After(p.Until) {
		p.Until = progress.Until
	}
	return p, nil
}

// held is nil while this archiver may write.
func (a *Archiver) held(ctx context.Context) error {
	return a.lease.held(ctx, a.Progress())
}

// caughtUp notes that everything written is in the archive.
func (a *Archiver) caughtUp() {
	a.setProgress(func(p *Progress) {
		p.Until, p.Trouble = a.follow.CaughtUp(), ""
		p.Bytes, p.Files = a.follow.Behind()
	})
}

// Progress is how far the archive is.
func (a *Archiver) Progress() Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.progress
}

func (a *Archiver) take(h *inHand) {
	a.hand = h
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.handSize = 0; h != nil {
		a.handSize = h.seg.End - h.seg.Start
	}
}

func (a *Archiver) setProgress(change func(*Progress)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.progress)
}
