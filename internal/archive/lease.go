package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"limpet/clock"
)

// ErrLeaseLost: another archiver writes here now. What this one had not shipped
// is not in the archive, and the other one will find it in the source.
var ErrLeaseLost = errors.New("archive: another archiver has taken over")

// HeldError says that another archiver is at work on a target.
type HeldError struct {
	Holder string
	Source string
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("archive: in use by %s, which archives %s", e.Holder, e.Source)
}

// leaseDoc is a lease object. Leases are numbered: whoever creates the next
// number holds it, and only the holder writes to it afterwards.
type leaseDoc struct {
	Number   uint64        `json:"lease"`
	Holder   string        `json:"holder"` // host and process
	Source   string        `json:"source"` // host and directory
	TTL      time.Duration `json:"ttlNanoseconds"`
	Released bool          `json:"released,omitempty"` // given up in good order
	Progress
}

// Progress is how far an archiver is. It is written with each renewal of its lease.
type Progress struct {
	Timeline uint64    `json:"timeline"`
	Segment  uint64    `json:"segment"`
	Commands uint64    `json:"commands"` // number of the newest command in the archive
	Until    time.Time `json:"until"`    // everything written up to then is in the archive
	Shipped  time.Time `json:"shipped"`  // when the newest segment was
	Bytes    int64     `json:"bytesBehind"`
	Files    int       `json:"filesHeld"`
	Reason   string    `json:"reason"` // why the timeline began
	Why      string    `json:"why"`
	Trouble  string    `json:"trouble,omitempty"` // what keeps the archiver from going on
	Now      time.Time `json:"now"`               // by the archiver's clock
}

// lease is a lease that is held.
type lease struct {
	store Store
	clock clock.Clock
	doc   leaseDoc

	mu      sync.Mutex // guards what follows
	renewed time.Time  // when the latest renewal that succeeded began
	lost    error
}

// acquire takes the next lease once the one before is released or has run out by
// the target's own clock. A holder that is seen to live is a *HeldError.
func acquire(ctx context.Context, s Store, c clock.Clock, doc leaseDoc) (*lease, *leaseDoc, error) {
	var watched *leaseState
	for {
		began := c.Now()
		current, err := currentLease(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		free, err := current.free(ctx, s, c)
		switch {
		case err != nil:
			return nil, nil, err
		case !free && watched != nil && (current.doc.Number != watched.doc.Number || !current.modified.Equal(watched.modified)):
			return nil, nil, &HeldError{current.doc.Holder, current.doc.Source}
		case !free:
			watched = current
			if err := sleep(ctx, c, current.doc.TTL/8); err != nil {
				return nil, nil, err
			}
			continue
		}
		doc.Number = current.number + 1
		l := &lease{store: s, clock: c, doc: doc, renewed: began}
		if won, err := l.create(ctx); err != nil {
			return nil, nil, err
		} else if won {
			l.sweep(ctx, current.number)
			return l, current.doc, nil
		}
		watched = nil // another one was faster; see whether it lives
	}
}

// leaseState is the newest lease on a target.
type leaseState struct {
	number   uint64
	doc      *leaseDoc // nil when there was none yet
	modified time.Time // by the target's clock
}

func currentLease(ctx context.Context, s Store) (*leaseState, error) {
	for {
		objects, err := s.List(ctx, leasePrefix)
		if err != nil {
			return nil, err
		}
		if len(objects) == 0 {
			return &leaseState{}, nil
		}
		last := objects[len(objects)-1]
		n, err := numberIn(last.Key)
		if err != nil {
			return nil, err
		}
		doc := new(leaseDoc)
		_, err = getHeader(ctx, s, last.Key, leaseKind, doc)
		if missing(err) {
			continue // swept since: there is a newer one
		}
		if err != nil {
			return nil, err
		}
		return &leaseState{n, doc, last.ModTime}, nil
	}
}

// free tells whether a lease may be succeeded. Both times that are compared are
// the target's: that of the lease, and that of an object written just now.
func (l *leaseState) free(ctx context.Context, s Store, c clock.Clock) (bool, error) {
	if l.doc == nil || l.doc.Released {
		return true, nil
	}
	now, err := targetNow(ctx, s, c)
	return now.Sub(l.modified) > l.doc.TTL, err
}

// targetNow is the time by the target's clock.
func targetNow(ctx context.Context, s Store, c clock.Clock) (time.Time, error) {
	key := fmt.Sprintf("%s%d", probePrefix, c.Now().UnixNano())
	if err := s.Put(ctx, key, bytes.NewReader([]byte("what time is it?\n"))); err != nil {
		return time.Time{}, err
	}
	objects, err := s.List(ctx, key)
	if err == nil && len(objects) == 0 {
		err = fmt.Errorf("archive: %s: written, and not there", key)
	}
	if err = errors.Join(err, s.Delete(ctx, key)); err != nil {
		return time.Time{}, err
	}
	return objects[0].ModTime, nil
}

// create takes the lease's number, unless another one was faster.
func (l *lease) create(ctx context.Context) (won bool, err error) {
	text, err := l.encode()
	if err != nil {
		return false, err
	}
	err = l.store.Create(ctx, leaseKey(l.doc.Number), bytes.NewReader(text))
	if exists(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Who slept since looking may have taken a number that was swept.
	current, err := currentLease(ctx, l.store)
	if err == nil && current.number != l.doc.Number {
		return false, l.store.Delete(ctx, leaseKey(l.doc.Number))
	}
	return err == nil, err
}

// sweep removes the leases before. That it cannot does no harm.
func (l *lease) sweep(ctx context.Context, upTo uint64) {
	objects, err := l.store.List(ctx, leasePrefix)
	if err != nil {
		return
	}
	for _, o := range objects {
		if n, err := numberIn(o.Key); err == nil && n <= upTo {
			_ = l.store.Delete(ctx, o.Key)
		}
	}
}

func (l *lease) encode() ([]byte, error) {
	l.doc.Now = l.clock.Now()
	text, _, err := encodeHeader(leaseKind, l.doc)
	return text, err
}

// renew writes the lease again, and sees whether it is still the newest.
func (l *lease) renew(ctx context.Context, p Progress) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil {
		return l.lost
	}
	began := l.clock.Now()
	objects, err := l.store.List(ctx, leasePrefix)
	if err != nil {
		return err
	}
	if len(objects) == 0 || objects[len(objects)-1].Key != leaseKey(l.doc.Number) {
		l.lost = ErrLeaseLost
		return l.lost
	}
	l.doc.Progress = p
	text, err := l.encode()
	if err != nil {
		return err
	}
	if err := l.store.Put(ctx, leaseKey(l.doc.Number), bytes.NewReader(text)); err != nil {
		return err
	}
	l.renewed = began
	return nil
}

// held is nil while nobody else can have taken over. Once the lease has not been
// renewed for so long that somebody might have, it renews it first.
func (l *lease) held(ctx context.Context, p Progress) error {
	l.mu.Lock()
	lost, age := l.lost, l.clock.Now().Sub(l.renewed)
	l.mu.Unlock()
	if lost != nil {
		return lost
	}
	if age < l.doc.TTL*2/3 && age >= 0 {
		return nil
	}
	return l.renew(ctx, p)
}

// release gives the lease up, so that the next archiver need not wait.
func (l *lease) release(ctx context.Context, p Progress) error {
	l.mu.Lock()
	l.doc.Released = true
	l.mu.Unlock()
	return l.renew(ctx, p)
}

// keep renews the lease until ctx ends, and calls lost when it is.
func (l *lease) keep(ctx context.Context, progress func() Progress, lost func(error)) {
	tick := l.clock.NewTicker(l.doc.TTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
			// An error that passes may pass; held looks before anything is shipped.
			if err := l.renew(ctx, progress()); errors.Is(err, ErrLeaseLost) {
				lost(err)
				return
			}
		}
	}
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, c clock.Clock, d time.Duration) error {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}
