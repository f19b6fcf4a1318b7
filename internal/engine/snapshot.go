package engine

import (
	"context"
	"errors"
	"io"
)

// ErrClosed is the answer of a store that is closed.
var ErrClosed = errClosed

// errAbandoned gives up a snapshot whose writer has panicked.
var errAbandoned = errors.New("engine: the snapshot's writer did not return")

// Snapshot writes everything as it is at one moment during the call to w, as an
// RDB. It is one of the walks of which only one runs at a time: it waits for the
// one that runs, and those that become due meanwhile wait for it.
//
// How long w takes is not in the engine's hands. While it takes its time, writers
// go on until as much is on its way as a dump may have, and Close, SHUTDOWN and
// the context give the snapshot up at once: hooks, memory and the turn are given
// back though w may still be writing. Only Snapshot itself waits for w then.
func (e *Engine) Snapshot(ctx context.Context, w io.Writer) error { return e.snapshot(ctx, w, nil) }

// snapshot is Snapshot; atCut is called under the lock at the moment of the cut.
func (e *Engine) snapshot(ctx context.Context, w io.Writer, atCut func()) error {
	d := &dump{e: e, to: stream{ctx, w}, form: &rdbForm{e: e}, lock: &e.mu}
	d.ended = func() { e.endSnapshot(d.aborted == nil) }
	if err := e.cutInTurn(ctx, d, atCut); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { d.giveUp(ctx.Err()) })
	defer stop()
	defer d.giveUp(errAbandoned) // nothing is left to give up unless w has panicked
	err := d.write()
	if errors.Is(err, errCancelled) {
		return ErrClosed // SHUTDOWN had to save at once
	}
	return err
}

// cutInTurn cuts when no other dump is under way.
func (e *Engine) cutInTurn(ctx context.Context, d *dump, atCut func()) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		idle, err := e.tryCut(d, atCut)
		if idle == nil {
			return err
		}
		select {
		case <-idle:
		case <-e.quit:
		case <-ctx.Done():
		}
	}
}

// tryCut cuts, or gives what is closed when it is worth while to try again.
func (e *Engine) tryCut(d *dump, atCut func()) (idle <-chan struct{}, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.stopping:
		return nil, ErrClosed
	case e.saves.busy():
		return e.saves.idle, nil
	}
	e.saves.snapshot = true
	e.saves.gate.peak.Store(0)
	if err := d.cut(atCut); err != nil {
		e.endSnapshot(false)
		return nil, err
	}
	return nil, nil
}

// endSnapshot makes way for the other dumps. Those that are due go first when the
// snapshot was completed, so that snapshots without end do not keep them waiting.
// e.mu is held.
func (e *Engine) endSnapshot(completed bool) {
	e.saves.snapshot = false
	if completed {
		e.startDue(e.clock.Now())
	}
	e.saves.tell()
}

// giveUp ends the dump if it is still under way.
func (d *dump) giveUp(why error) {
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	if d.e.dump == d {
		d.e.abortDump(why)
	}
}

// stream is a writer as a sink. It writes in small pieces, so that what was given
// up ends soon.
type stream struct {
	ctx context.Context
	w   io.Writer
}

const piece = 256 << 10 // bytes

func (s stream) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		if err = s.ctx.Err(); err != nil {
			break
		}
		part := b[n:min(len(b), n+piece)]
		var m int
		if m, err = s.w.Write(part); err == nil && m < len(part) {
			err = io.ErrShortWrite
		}
		n += m
	}
	return n, err
}

// Sync does nothing: what is durable of a stream is its owner's to say.
func (s stream) Sync() error { return nil }
