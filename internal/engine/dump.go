package engine

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"limpet/internal/keyspace"
	"limpet/vfs"
)

// dump is a snapshot on its way into a file.
//
// Keys are encoded under the engine's lock, by the walk or by the writer that is
// about to change them, into a spool in memory; the spool goes to the file
// without the lock. Writers wait when the spool is full, so memory is bounded.
type dump struct {
	e       *Engine
	file    vfs.File
	form    form
	lock    sync.Locker // e.mu, or nothing when the caller holds it all the time
	snap    *keyspace.Snapshot
	spool   []byte // guarded by e.mu
	err     error  // first failure to encode; guarded by e.mu
	aborted bool   // given up for another dump; guarded by e.mu
}

// form is how a dump is written. Its methods are called under e.mu and write to
// the dump, which is its spool.
type form interface {
	begin(d *dump) error // d.snap is cut
	entry(db int, key string, e keyspace.Entry) error
	end() error
}

// How much the walk does before it lets others run.
const (
	sliceTime  = 200 * time.Microsecond
	sliceBytes = 64 << 10
	maxSpool   = 64 << 20 // bytes in the spool before writers wait
	syncEvery  = 32 << 20 // bytes between two syncs of the file being written
)

// errStopped ends a background dump when the engine is closed.
var errStopped = errors.New("engine: closed while a snapshot was being written")

// Write takes what the encoder has encoded. It is called under the engine's lock.
func (d *dump) Write(b []byte) (int, error) {
	d.spool = append(d.spool, b...)
	d.e.dumping.set(len(d.spool))
	return len(b), nil
}

func (d *dump) save(db int, key string, e keyspace.Entry) {
	d.e.saves.keysDone++
	if d.err != nil {
		return
	}
	d.err = d.form.entry(db, key, e)
}

// noLock stands in for the engine's lock when the caller holds it all the time.
type noLock struct{}

func (noLock) Lock()   {}
func (noLock) Unlock() {}

// writeDump writes a snapshot to an empty file, syncs it and closes it. lock is
// the engine's lock, or nothing when the caller holds it. atCut is called under
// the lock at the moment of the cut. The file is removed when it could not be
// completed.
func (e *Engine) writeDump(file vfs.File, f form, lock sync.Locker, atCut func()) error {
	d := &dump{e: e, file: file, form: f, lock: lock}
	if err := d.run(atCut); err != nil {
		_ = file.Close()
		_ = e.options.FS.Remove(file.Name())
		return err
	}
	return nil
}

func (d *dump) run(atCut func()) error {
	e := d.e
	d.lock.Lock()
	began := e.clock.Now()
	if err := d.interrupted(); err != nil {
		d.lock.Unlock()
		return err
	}
	e.dump = d
	d.snap = e.ks.BeginSnapshot(d.save)
	d.err = d.form.begin(d)
	e.saves.keysDone, e.saves.keysTotal = 0, d.snap.Keys()
	if atCut != nil {
		atCut()
	}
	e.saves.lastCut = e.clock.Now().Sub(began)
	d.lock.Unlock()

	err := d.walk()

	d.lock.Lock()
	if !d.aborted {
		d.snap.End()
		e.dump = nil
	}
	if err == nil {
		err = d.interrupted()
	}
	if err == nil {
		err = errors.Join(d.err, d.form.end())
	}
	rest := d.spool
	d.spool = nil
	e.dumping.set(0)
	d.lock.Unlock()

	if err != nil {
		return err
	}
	if _, err := d.file.Write(rest); err != nil {
		return err
	}
	if err := d.file.Sync(); err != nil {
		return err
	}
	return d.file.Close()
}

// interrupted says why the dump is to be given up, nil when it is not. e.mu is
// held.
func (d *dump) interrupted() error {
	if _, foreground := d.lock.(noLock); foreground {
		return nil // nothing can have happened, and Close may have asked for it
	}
	if d.aborted {
		return errCancelled
	}
	if d.e.stopping {
		return errStopped
	}
	return d.e.rewriteGivenUp()
}

// abortDump ends the snapshot of the dump that runs in the background, if any, so
// that another can begin at once. e.mu is held.
func (e *Engine) abortDump() {
	if e.dump != nil {
		e.dump.snap.End()
		e.dump.aborted = true
		e.dump = nil
	}
}

// walk goes through the keyspace in slices and writes the spool in between.
func (d *dump) walk() error {
	var spare []byte
	unsynced := 0
	for done := false; !done; {
		d.lock.Lock()
		if err := d.interrupted(); err != nil {
			d.lock.Unlock()
			return err
		}
		began := d.e.clock.Now()
		before := len(d.spool)
		done = d.snap.Step(func() bool {
			return len(d.spool)-before > sliceBytes || d.e.clock.Now().Sub(began) > sliceTime
		})
		full, err := d.spool, d.err
		d.spool = spare[:0]
		d.e.dumping.set(0)
		d.lock.Unlock()
		d.rest()

		if err != nil {
			return err
		}
		if _, err := d.file.Write(full); err != nil {
			return err
		}
		if unsynced += len(full); unsynced > syncEvery {
			if err := d.file.Sync(); err != nil {
				return err
			}
			unsynced = 0
		}
		spare = reusable(full)
	}
	return nil
}

// rest lets others have the processor. A walk that took all it can get would have
// it taken away by the kernel in the end, in the middle of a slice, with the lock
// held. Where the lock is held all the time nobody is waiting.
func (d *dump) rest() {
	if d.lock != (noLock{}) {
		time.Sleep(sliceTime)
	}
}

// spoolGate makes writers wait while a dump's spool is full.
type spoolGate struct {
	size atomic.Int64
	peak atomic.Int64
	mu   sync.Mutex
	free *sync.Cond
}

func newSpoolGate() *spoolGate {
	g := &spoolGate{}
	g.free = sync.NewCond(&g.mu)
	return g
}

func (g *spoolGate) set(n int) {
	was := g.size.Swap(int64(n))
	if int64(n) > g.peak.Load() {
		g.peak.Store(int64(n))
	}
	if was > maxSpool && n <= maxSpool {
		g.mu.Lock()
		g.free.Broadcast()
		g.mu.Unlock()
	}
}

// throttle is called without the engine's lock.
func (g *spoolGate) throttle() {
	if g.size.Load() <= maxSpool {
		return
	}
	g.mu.Lock()
	for g.size.Load() > maxSpool {
		g.free.Wait()
	}
	g.mu.Unlock()
}
