package engine

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"limpet/internal/keyspace"
	"limpet/vfs"
)

// dump is a snapshot on its way out, into a file mostly.
//
// Keys are encoded under the engine's lock, by the walk or by the writer that is
// about to change them, into a spool in memory; the spool goes out without the
// lock. Writers wait when too much is on its way, so memory is bounded.
//
// A dump is under way from cut to detach: from there on it touches nothing of the
// engine any more, however long its last write takes.
type dump struct {
	e       *Engine
	to      sink
	form    form
	lock    sync.Locker // e.mu, or nothing when the caller holds it all the time
	snap    *keyspace.Snapshot
	ended   func() // called by detach, under e.mu; nil for nothing
	spool   []byte // guarded by e.mu
	leaving int    // bytes that have left the spool and are being written; guarded by e.mu
	err     error  // first failure to encode; guarded by e.mu
	aborted error  // why it was given up, nil when it was not; guarded by e.mu
}

// sink is where a dump goes. A vfs.File is one.
type sink interface {
	io.Writer
	Sync() error
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
	maxSpool   = 64 << 20 // bytes on their way out before writers wait
	syncEvery  = 32 << 20 // bytes between two syncs of what is being written
)

// errStopped ends a background dump when the engine is closed.
var errStopped = errors.New("engine: closed while a snapshot was being written")

// Write takes what the encoder has encoded. It is called under the engine's lock.
func (d *dump) Write(b []byte) (int, error) {
	d.spool = append(d.spool, b...)
	d.measure()
	return len(b), nil
}

// measure tells the writers how much is on its way out. e.mu is held.
func (d *dump) measure() { d.e.dumping.set(len(d.spool) + d.leaving) }

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
	d := &dump{e: e, to: file, form: f, lock: lock}
	lock.Lock()
	err := d.cut(atCut)
	lock.Unlock()
	if err == nil {
		err = d.write()
	}
	if err == nil {
		err = file.Close()
	} else {
		_ = file.Close()
	}
	if err != nil {
		_ = e.options.FS.Remove(file.Name())
	}
	return err
}

// cut makes the dump one of everything as it is now. The lock is held.
func (d *dump) cut(atCut func()) error {
	e := d.e
	began := e.clock.Now()
	if err := d.interrupted(); err != nil {
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
	return nil
}

// write writes what was cut, and returns once it is synced.
func (d *dump) write() error {
	rest, err := d.finish(d.walk())
	if err != nil {
		return err
	}
	if _, err := d.to.Write(rest); err != nil {
		return err
	}
	return d.to.Sync()
}

// finish ends the walk, which has ended with an error or not, and gives what is
// still to be written.
func (d *dump) finish(err error) (rest []byte, _ error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if why := d.interrupted(); why != nil && !errors.Is(err, why) {
		err = errors.Join(why, err)
	}
	if err == nil {
		err = errors.Join(d.err, d.form.end())
	}
	rest = d.spool
	d.detach()
	return rest, err
}

// detach ends the snapshot, unless that has happened already. e.mu is held.
func (d *dump) detach() {
	if d.e.dump != d {
		return
	}
	d.snap.End()
	d.e.dump = nil
	d.spool, d.leaving = nil, 0
	d.measure()
	if d.ended != nil {
		d.ended()
	}
}

// interrupted says why the dump is to be given up, nil when it is not. e.mu is
// held.
func (d *dump) interrupted() error {
	if _, foreground := d.lock.(noLock); foreground {
		return nil // nothing can have happened, and Close may have asked for it
	}
	if d.aborted != nil {
		return d.aborted
	}
	if d.e.stopping {
		return errStopped
	}
	return d.e.rewriteGivenUp()
}

// abortDump gives up the dump that is under way in the background, if any, so
// that another can begin at once. Who writes it may be held up for long; it notices
// when it is not. e.mu is held.
func (e *Engine) abortDump(why error) {
	if e.dump != nil {
		e.dump.aborted = why
		e.dump.detach()
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
		d.leaving = 0
		began := d.e.clock.Now()
		before := len(d.spool)
		done = d.snap.Step(func() bool {
			return len(d.spool)-before > sliceBytes || d.e.clock.Now().Sub(began) > sliceTime
		})
		full, err := d.spool, d.err
		d.spool, d.leaving = spare[:0], len(full)
		d.measure()
		d.lock.Unlock()
		d.rest()

		if err != nil {
			return err
		}
		if _, err := d.to.Write(full); err != nil {
			return err
		}
		if unsynced += len(full); unsynced > syncEvery {
			if err := d.to.Sync(); err != nil {
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

// spoolGate makes writers wait while too much of a dump is on its way out.
type spoolGate struct {
	limit int64 // maxSpool, but for tests
	size  atomic.Int64
	peak  atomic.Int64
	mu    sync.Mutex
	free  *sync.Cond
}

func newSpoolGate() *spoolGate {
	g := &spoolGate{limit: maxSpool}
	g.free = sync.NewCond(&g.mu)
	return g
}

func (g *spoolGate) set(n int) {
	was := g.size.Swap(int64(n))
	if int64(n) > g.peak.Load() {
		g.peak.Store(int64(n))
	}
	if was > g.limit && int64(n) <= g.limit {
		g.mu.Lock()
		g.free.Broadcast()
		g.mu.Unlock()
	}
}

// throttle is called without the engine's lock.
func (g *spoolGate) throttle() {
	if g.size.Load() <= g.limit {
		return
	}
	g.mu.Lock()
	for g.size.Load() > g.limit {
		g.free.Wait()
	}
	g.mu.Unlock()
}
