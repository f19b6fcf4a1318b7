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

// saves is the state of BGREWRITEAOF, SAVE and BGSAVE. e.mu guards it, but for
// the spool's size. Only one of them runs at a time, as in Redis.
type saves struct {
	rewrite, save saveJob
	rewriteQueued bool
	saveQueued    bool
	failures      int       // of rewrites, one after another
	notBefore     time.Time // no automatic rewrite until then
	lastSave      time.Time
	lastCut       time.Duration // how long the engine's lock was held to cut
	keysDone      int
	keysTotal     int
	gate          *spoolGate
}

type saveJob struct {
	running bool
	began   time.Time
	took    time.Duration // of the last one; negative before the first
	done    int
	lastErr error
	peak    int64 // bytes in the spool at most
}

func newSaves(now time.Time, gate *spoolGate) saves {
	return saves{rewrite: saveJob{took: -1}, save: saveJob{took: -1}, lastSave: now, gate: gate}
}

func (s *saves) busy() bool { return s.rewrite.running || s.save.running }

func (s *saves) begin(j *saveJob, now time.Time) {
	s.gate.peak.Store(0)
	j.running, j.began = true, now
}

func (s *saves) end(j *saveJob, now time.Time, err error) {
	j.running, j.took, j.lastErr = false, now.Sub(j.began), err
	j.peak = s.gate.peak.Load()
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
	e.saves.rewriteQueued = false
	e.saves.begin(&e.saves.rewrite, e.clock.Now())
	e.background.Go(func() {
		err := e.rewriteLog()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.saves.end(&e.saves.rewrite, e.clock.Now(), err)
		if err != nil {
			e.saves.failures++
			e.saves.notBefore = e.clock.Now().Add(rewriteBackOff(e.saves.failures))
			e.logger.Error("the append-only file could not be rewritten; the old files stay in use", "error", err)
			return
		}
		e.saves.failures = 0
		e.logger.Info("the append-only file was rewritten", "base_bytes", e.baseSize, "took", e.saves.rewrite.took)
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
	if e.saves.rewriteQueued {
		return true
	}
	size := e.logSize()
	if e.options.RewritePercentage == 0 || size <= e.options.RewriteMinSize || now.Before(e.saves.notBefore) {
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
	if e.saves.busy() {
		return "ERR An AOF log rewriting in progress: can't SAVE right now. Wait until it is done"
	}
	e.saves.begin(&e.saves.save, e.clock.Now())
	changes := e.unit.Changes
	err := e.saveRDB(noLock{})
	e.endSave(changes, err)
	if err != nil {
		return "ERR " + err.Error()
	}
	return ""
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
	e.saves.begin(&e.saves.save, e.clock.Now())
	changes := e.unit.Changes
	e.background.Go(func() {
		err := e.saveRDB(&e.mu)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.endSave(changes, err)
	})
}

// endSave notes how a save went; changes is the count at its cut. e.mu is held.
func (e *Engine) endSave(changes int64, err error) {
	e.saves.end(&e.saves.save, e.clock.Now(), err)
	if err != nil {
		e.logger.Error("dump.rdb could not be written; the old one stays", "error", err)
		return
	}
	e.unit.Changes -= changes
	e.saves.lastSave = e.clock.Now()
	e.logger.Info("the database was saved", "file", e.options.DBFileName, "took", e.saves.save.took)
}

// saveRDB writes dump.rdb beside the old one and puts it in its place.
func (e *Engine) saveRDB(lock sync.Locker) error {
	temp := e.tempDump()
	file, err := vfs.Create(e.options.FS, temp)
	if err != nil {
		return err
	}
	if err := e.writeDump(file, false, lock, nil); err != nil {
		return err
	}
	if err := e.options.FS.Rename(temp, filepath.Join(e.dir, e.options.DBFileName)); err != nil {
		_ = e.options.FS.Remove(temp)
		return err
	}
	return e.options.FS.SyncDir(e.dir)
}

// tempDump is where dump.rdb is being written. The name is not Redis's, which
// another server in the same directory may be using: nobody but the holder of the
// directory's lock has this one, so that it can be removed at the next start.
func (e *Engine) tempDump() string {
	return filepath.Join(e.dir, "temp-"+e.options.AppendFileName+".rdb")
}

// tidy removes what a save left that was cut short, and names what others left.
func (e *Engine) tidy() error {
	err := e.options.FS.Remove(e.tempDump())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
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
