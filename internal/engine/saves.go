package engine

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"sync"
	"time"

	"limpet/internal/command"
	"limpet/vfs"
)

// saves is the state of BGREWRITEAOF, SAVE, BGSAVE and Snapshot. e.mu guards it,
// but for the spool's size. Only one of them runs at a time, as in Redis.
type saves struct {
	rewrite, save saveJob
	snapshot      bool          // runs
	idle          chan struct{} // closed, and replaced, when one of them has ended
	rewriteQueued bool
	saveQueued    bool
	failures      int       // of rewrites, one after another
	notBefore     time.Time // no automatic rewrite until then
	lastSave      time.Time
	lastTry       time.Time     // of a save in the background
	savedSeq      uint64        // newest unit that dump.rdb has
	lastCut       time.Duration // how long the engine's lock was held to cut
	keysDone      int
	keysTotal     int
	gate          *spoolGate
}

type saveJob struct {
	running   bool
	cancelled bool // what it writes is not wanted any more
	began     time.Time
	took      time.Duration // of the last one; negative before the first
	done      int
	lastErr   error
	peak      int64 // bytes in the spool at most
}

func newSaves(now time.Time, gate *spoolGate) saves {
	return saves{rewrite: saveJob{took: -1}, save: saveJob{took: -1}, lastSave: now, gate: gate, idle: make(chan struct{})}
}

func (s *saves) busy() bool { return s.rewrite.running || s.save.running || s.snapshot }

// tell wakes those who wait for their turn.
func (s *saves) tell() {
	close(s.idle)
	s.idle = make(chan struct{})
}

func (s *saves) begin(j *saveJob, now time.Time) {
	s.gate.peak.Store(0)
	j.running, j.cancelled, j.began = true, false, now
}

func (s *saves) end(j *saveJob, now time.Time, err error) {
	j.running, j.cancelled, j.took = false, false, now.Sub(j.began)
	j.peak = s.gate.peak.Load()
	s.tell()
	if errors.Is(err, errCancelled) {
		return // neither well nor badly done
	}
	j.lastErr = err
	if err == nil {
		j.done++
	}
}

// saveReport is what INFO tells of the saves.
type saveReport struct {
	rewrite, save       jobReport
	inFlight, peak      int64
	inFlightAge         int64
	keysDone, keysTotal int
}

type jobReport struct {
	running                     bool
	lastSeconds, currentSeconds int64 // -1 for none
	done                        int
	lastErr                     error
	lastPeak                    int64
}

func (s *saves) report(now time.Time) saveReport {
	r := saveReport{rewrite: s.rewrite.report(now), save: s.save.report(now)}
	if s.busy() {
		r.inFlight, r.peak = s.gate.size.Load(), s.gate.peak.Load()
		r.keysDone, r.keysTotal = s.keysDone, s.keysTotal
	}
	return r
}

func (j *saveJob) report(now time.Time) jobReport {
	r := jobReport{running: j.running, lastSeconds: -1, currentSeconds: -1, done: j.done, lastErr: j.lastErr, lastPeak: j.peak}
	if j.took >= 0 {
		r.lastSeconds = int64(j.took.Seconds())
	}
	if j.running {
		r.currentSeconds = int64(now.Sub(j.began).Seconds())
	}
	return r
}

// errStopping refuses what would begin in the background while Close waits for it
// to end.
const errStopping = "ERR the store is being closed"

// Rewrite is BGREWRITEAOF. e.mu is held.
func (e *Engine) Rewrite() (status, wireError string) {
	switch {
	case e.stopping:
		return "", errStopping
	case e.saves.rewrite.running:
		return "", "ERR Background append only file rewriting already in progress"
	}
	e.saves.notBefore = time.Time{}
	if e.saves.busy() || e.log.failure() != nil {
		e.saves.rewriteQueued = true
		return "Background append only file rewriting scheduled", ""
	}
	e.startRewrite()
	return "Background append only file rewriting started", ""
}

// startRewrite begins a rewrite in the background. e.mu is held; nothing else is
// being saved.
func (e *Engine) startRewrite() {
	switch e.logState {
	case logOn:
		e.runRewrite(e.rewriteLog)
	case logOff:
		e.runRewrite(e.rewriteAlone)
	case logStarting:
		e.runRewrite(func() error { return e.startLog(nil) })
	}
}

// runRewrite runs one kind of rewrite in the background. e.mu is held.
func (e *Engine) runRewrite(work func() error) {
	e.saves.rewriteQueued = false
	e.saves.begin(&e.saves.rewrite, e.clock.Now())
	e.background.Go(func() {
		err := work()
		e.remeasure()
		if err == nil {
			e.deleteHistory()
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.saves.end(&e.saves.rewrite, e.clock.Now(), err)
		switch {
		case errors.Is(err, errCancelled):
		case err != nil:
			e.saves.failures++
			e.saves.notBefore = e.clock.Now().Add(rewriteBackOff(e.saves.failures))
			e.logger.Error("the append-only file could not be rewritten; what there was before counts", "error", err)
		default:
			e.saves.failures = 0
			e.rewriteBase = e.logSize()
			e.logger.Info("the append-only file was rewritten", "base_bytes", e.baseSize, "took", e.saves.rewrite.took)
		}
	})
}

// rewriteBackOff is how long automatic rewrites wait after so many failures:
// nothing before the third, then 1, 2, 4, … minutes, an hour at most (as Redis).
func rewriteBackOff(failures int) time.Duration {
	if failures < 3 {
		return 0
	}
	minutes := math.Pow(2, float64(min(failures-3, 6)))
	return min(time.Duration(minutes)*time.Minute, time.Hour)
}

// rewriteDue is the growth rule: the log has grown by so many per cent over its
// size after the last rewrite, and is larger than a floor. e.mu is held.
func (e *Engine) rewriteDue(now time.Time) bool {
	size := e.logSize()
	if e.logState != logOn || e.options.RewritePercentage == 0 || size <= e.options.RewriteMinSize || now.Before(e.saves.notBefore) {
		return false
	}
	base := max(1, e.rewriteBase)
	return size*100/base-100 >= int64(e.options.RewritePercentage)
}

// Save is SAVE: everything waits. e.mu is held.
func (e *Engine) Save() (wireError string) {
	if e.saves.save.running {
		return "ERR Background save already in progress"
	}
	if e.saves.snapshot {
		return "ERR A snapshot is being written: can't SAVE right now. Wait until it is done"
	}
	if e.saves.busy() {
		return "ERR An AOF log rewriting in progress: can't SAVE right now. Wait until it is done"
	}
	if err := e.saveNow(); err != nil {
		return "ERR " + err.Error()
	}
	return ""
}

// saveNow writes dump.rdb while everything waits. Its failure is the caller's to
// tell: only saves in the background make INFO say err and writes be refused, but
// any that goes well takes that back. e.mu is held.
func (e *Engine) saveNow() error {
	began := e.clock.Now()
	cut, err := e.saveRDB(noLock{})
	if err != nil {
		e.logger.Error("dump.rdb could not be written; the old one stays", "error", err)
		return err
	}
	e.saves.save.done++
	e.saves.save.lastErr = nil
	e.saved(cut, e.clock.Now().Sub(began))
	return nil
}

// BackgroundSave is BGSAVE. e.mu is held.
func (e *Engine) BackgroundSave(schedule bool) (status, wireError string) {
	switch {
	case e.stopping:
		return "", errStopping
	case e.saves.save.running:
		return "", "ERR Background save already in progress"
	case e.saves.busy() && schedule:
		e.saves.saveQueued = true
		return "Background saving scheduled", ""
	case e.saves.busy():
		return "", "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."
	}
	e.startSave()
	return "Background saving started", ""
}

func (e *Engine) startSave() {
	e.saves.saveQueued = false
	e.saves.lastTry = e.clock.Now()
	e.saves.begin(&e.saves.save, e.saves.lastTry)
	e.background.Go(func() {
		cut, err := e.saveRDB(&e.mu)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.saves.end(&e.saves.save, e.clock.Now(), err)
		if errors.Is(err, errCancelled) {
			return
		}
		if err != nil {
			e.logger.Error("dump.rdb could not be written; the old one stays", "error", err)
			return
		}
		e.saved(cut, e.saves.save.took)
	})
}

// saveCut is what a save has of what has happened.
type saveCut struct {
	changes int64  // since the save before
	seq     uint64 // newest unit
}

// saved notes that dump.rdb was written. e.mu is held.
func (e *Engine) saved(cut saveCut, took time.Duration) {
	e.unit.Changes -= cut.changes
	e.saves.lastSave, e.saves.savedSeq = e.clock.Now(), cut.seq
	e.logger.Info("the database was saved", "file", e.options.DBFileName, "took", took)
}

// saveRDB writes dump.rdb beside the old one and puts it in its place.
func (e *Engine) saveRDB(lock sync.Locker) (cut saveCut, err error) {
	temp := e.tempDump(lock)
	file, err := vfs.Create(e.options.FS, temp)
	if err != nil {
		return cut, err
	}
	err = e.writeDump(file, &rdbForm{e: e}, lock, func() { cut = saveCut{e.unit.Changes, e.seq} })
	if err != nil {
		return cut, err
	}
	if err := e.nameDump(temp, cut); err != nil {
		_ = e.options.FS.Remove(temp)
		return cut, err
	}
	return cut, e.options.FS.SyncDir(e.dir)
}

// nameDump puts a dump in the place of the old one, unless that is newer: SHUTDOWN
// does not wait for a save in the background, which may be in its last write then
// and end behind the save that SHUTDOWN made.
func (e *Engine) nameDump(temp string, cut saveCut) error {
	e.naming.Lock()
	defer e.naming.Unlock()
	if cut.seq < e.namedSeq {
		return errCancelled
	}
	if err := e.options.FS.Rename(temp, filepath.Join(e.dir, e.options.DBFileName)); err != nil {
		return err
	}
	e.namedSeq = cut.seq
	return nil
}

// tempDump is where dump.rdb is being written. The name is not Redis's, which
// another server in the same directory may be using: nobody but the holder of the
// directory's lock has this one, so that it can be removed at the next start.
// One that is written while everything waits has another name: the writer of an
// aborted one may still be at work.
func (e *Engine) tempDump(lock sync.Locker) string {
	if _, foreground := lock.(noLock); foreground {
		return filepath.Join(e.dir, "temp-"+e.options.AppendFileName+".save.rdb")
	}
	return filepath.Join(e.dir, "temp-"+e.options.AppendFileName+".rdb")
}

// tidy removes what a save left that was cut short, and names what others left.
func (e *Engine) tidy() error {
	for _, lock := range []sync.Locker{noLock{}, &e.mu} {
		err := e.options.FS.Remove(e.tempDump(lock))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	entries, err := e.options.FS.ReadDir(e.dir)
	if err != nil {
		return err
	}
	for _, x := range entries {
		if ok, _ := filepath.Match("temp-*.rdb", x.Name()); ok {
			e.logger.Warn("an unfinished dump of another server was left alone", "file", filepath.Join(e.dir, x.Name()))
		}
	}
	return nil
}

// LastSave is LASTSAVE, in Unix seconds. e.mu is held.
func (e *Engine) LastSave() int64 { return e.saves.lastSave.Unix() }

var _ command.Host = (*Engine)(nil)
