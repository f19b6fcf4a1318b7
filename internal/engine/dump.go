package engine

import (
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"limpet/internal/command"
	"limpet/internal/keyspace"
	"limpet/rdb"
	"limpet/vfs"
)

// dump is a snapshot on its way into an RDB file.
//
// Keys are encoded under the engine's lock, by the walk or by the writer that is
// about to change them, into a spool in memory; the spool goes to the file
// without the lock. Writers wait when the spool is full, so memory is bounded.
type dump struct {
	e       *Engine
	file    vfs.File
	snap    *keyspace.Snapshot
	enc     *rdb.Encoder
	spool   []byte // guarded by e.mu
	err     error  // first failure to encode; guarded by e.mu
	aborted bool   // given up for another dump; guarded by e.mu
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
	d.err = d.enc.Entry(rdb.Entry{DB: db, Key: []byte(key), ExpireAtMs: e.Deadline, Value: keyspace.ToRDB(e.Object)})
}

// noLock stands in for the engine's lock when the caller holds it all the time.
type noLock struct{}

func (noLock) Lock()   {}
func (noLock) Unlock() {}

// writeDump writes a snapshot to an empty file, syncs it and closes it. lock is
// the engine's lock, or nothing when the caller holds it. atCut is called under
// the lock at the moment of the cut. The file is removed when it could not be
// completed.
func (e *Engine) writeDump(file vfs.File, isBase bool, lock sync.Locker, atCut func()) error {
	d := &dump{e: e, file: file}
	if err := d.run(isBase, lock, atCut); err != nil {
		_ = file.Close()
		_ = e.options.FS.Remove(file.Name())
		return err
	}
	return nil
}

func (d *dump) run(isBase bool, lock sync.Locker, atCut func()) error {
	e := d.e
	lock.Lock()
	began := e.clock.Now()
	if err := d.interrupted(lock); err != nil {
		lock.Unlock()
		return err
	}
	e.dump = d
	d.enc = rdb.NewEncoder(d, rdb.EncoderOptions{})
	d.err = d.header(isBase)
	d.snap = e.ks.BeginSnapshot(d.save)
	d.snap.DBSizes(func(db, keys, volatile int) {
		d.err = errors.Join(d.err, d.enc.SelectDB(db), d.enc.ResizeDB(keys, volatile))
	})
	e.saves.keysDone, e.saves.keysTotal = 0, d.snap.Keys()
	if atCut != nil {
		atCut()
	}
	e.saves.lastCut = e.clock.Now().Sub(began)
	lock.Unlock()

	err := d.walk(lock)

	lock.Lock()
	if !d.aborted {
		d.snap.End()
		e.dump = nil
	}
	if err == nil {
		err = d.interrupted(lock)
	}
	if err == nil {
		err = errors.Join(d.err, d.enc.Close())
	}
	rest := d.spool
	d.spool = nil
	e.dumping.set(0)
	lock.Unlock()

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
func (d *dump) interrupted(lock sync.Locker) error {
	_, foreground := lock.(noLock) // then Close waits for it, or is what asked for it
	if d.aborted || d.e.stopping && !foreground {
		return errStopped
	}
	return nil
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
func (d *dump) walk(lock sync.Locker) error {
	var spare []byte
	unsynced := 0
	for done := false; !done; {
		lock.Lock()
		if err := d.interrupted(lock); err != nil {
			lock.Unlock()
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
		lock.Unlock()

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
		runtime.Gosched()
	}
	return nil
}

// header writes the facts that Redis writes. isBase marks the base of a log: in
// it, keys past their deadline are kept, since the log says when they go.
func (d *dump) header(isBase bool) error {
	base := "0"
	if isBase {
		base = "1"
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return errors.Join(
		d.enc.Aux("redis-ver", command.RedisVersion),
		d.enc.Aux("redis-bits", "64"),
		d.enc.Aux("ctime", strconv.FormatInt(d.e.clock.Now().Unix(), 10)),
		d.enc.Aux("used-mem", strconv.FormatUint(m.HeapAlloc, 10)),
		d.enc.Aux("aof-base", base),
		d.functions(),
	)
}

// functions carries the function libraries of the files that were loaded. They
// cannot be called here, but a real Redis that takes over finds them again.
func (d *dump) functions() error {
	for _, source := range d.e.functions {
		if err := d.enc.Function(source); err != nil {
			return err
		}
	}
	return nil
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
