package engine

import (
	"errors"
	"fmt"

	"limpet/aof"
	"limpet/internal/command"
	"limpet/resp"
)

// logState is what appendonly stands at.
type logState int

const (
	logOn logState = iota
	logOff
	// logStarting: the log was switched on and its first base is being written, or
	// waits to be. Until that is in place the log on disk, if any, is an old one.
	logStarting
)

// errCancelled ends a rewrite whose log was switched off, and a dump that SHUTDOWN
// has no more use for. It is not a failure.
var errCancelled = errors.New("engine: given up, since it is not wanted any more")

// errSwitch is Redis's word for a log that could not be switched on.
const errSwitch = resp.ServerError("Unable to turn on AOF. Check server logs.")

// setAppendOnly is CONFIG SET appendonly. "yes" answers at once, and from then on
// it is tried until it is done; "no" answers when everything is synced.
func setAppendOnly(e *Engine, v string) error {
	var want bool
	if err := boolSetting(func(*Engine) *bool { return &want })(e, v); err != nil {
		return err
	}
	switch {
	case e.stopping:
		return errClosed
	case want && e.logState == logOff:
		return e.switchOn()
	case !want && e.logState != logOff:
		e.switchOff()
	}
	return nil
}

// switchOn begins to write a first base, or leaves that to cron when something
// else is being written. e.mu is held.
func (e *Engine) switchOn() error {
	if e.saves.busy() {
		e.logState, e.saves.rewriteQueued = logStarting, true
		return nil
	}
	incr, err := e.files.CreateDetachedIncr()
	if err != nil {
		e.logger.Error("the append-only file could not be switched on", "error", err)
		return errSwitch
	}
	e.logState = logStarting
	e.runRewrite(func() error { return e.startLog(incr) })
	return nil
}

// switchOff syncs and closes the log, and gives up a rewrite. What it could not
// sync is only said: from here on nothing is promised. Everything waits meanwhile,
// so that the answer means what it says. e.mu is held.
func (e *Engine) switchOff() {
	e.flushRecords()
	was := e.logState
	e.logState, e.saves.rewriteQueued = logOff, false
	e.saves.rewrite.cancelled = e.saves.rewrite.running
	if was == logOn {
		e.endLog()
	} // else the rewrite under way ends what it has begun
}

// endLog syncs and closes the log's file. e.mu is held.
func (e *Engine) endLog() {
	e.logging, e.logDB = false, command.NoDB
	file, err := e.log.end(true)
	if file != nil {
		err = errors.Join(err, file.Close())
	}
	e.baseSize, e.oldSize = 0, 0
	if err != nil {
		e.logger.Error("the append-only file was switched off, but its end is not on disk", "error", err)
	}
}

// startLog writes the base of a log that is being switched on. From its cut on,
// effects go to a detached incr; when both are whole they become the log in one
// step. Whatever fails leaves things as they were, to be tried again.
func (e *Engine) startLog(incr *aof.Writer) (err error) {
	if incr == nil {
		incr, err = e.files.CreateDetachedIncr()
	}
	if err == nil {
		if err = e.attachLog(incr); err != nil {
			_, _ = e.log.end(false)
			e.files.Discard(incr)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err != nil:
		e.logging = false
		e.saves.rewriteQueued = e.logState == logStarting && !e.stopping
	case e.saves.rewrite.cancelled: // too late: it is a log, and is left as one
		e.endLog()
		return errCancelled
	default:
		e.logState = logOn
		e.logger.Info("the append-only file is switched on")
	}
	return err
}

func (e *Engine) attachLog(incr *aof.Writer) error {
	base, form, err := e.createBase()
	if err != nil {
		return err
	}
	err = e.writeDump(base, form, &e.mu, func() {
		e.logging, e.logDB = true, command.NoDB
		e.log.begin(incr)
	})
	if err != nil {
		return err
	}
	return e.files.Attach(base.Name(), incr)
}

// rewriteGivenUp says why a rewrite under way is of no more use. e.mu is held.
func (e *Engine) rewriteGivenUp() error {
	switch {
	case e.saves.rewrite.cancelled:
		return errCancelled
	case e.logState == logStarting:
		return e.log.failure() // the detached file is broken, and nothing else is
	}
	return nil
}

// rewriteAlone is BGREWRITEAOF while the log is off: a base and nothing behind it,
// as in Redis. It is what a start with the log on finds.
func (e *Engine) rewriteAlone() error {
	base, form, err := e.createBase()
	if err != nil {
		return err
	}
	if err := e.writeDump(base, form, &e.mu, nil); err != nil {
		return err
	}
	return e.files.CommitAlone(base.Name())
}

// loadWithoutLog loads dump.rdb alone. Files of a log are neither created nor
// touched, but for what a switch to appendonly yes has left unfinished.
func (e *Engine) loadWithoutLog() error {
	e.logState = logOff
	dormant, err := e.files.Dormant()
	if err != nil {
		return err
	}
	if len(dormant) > 0 {
		e.logger.Warn("appendonly is no, but there is an append-only file; it is not loaded now, and would be, in the place of the dump, by a start with appendonly yes",
			"files", dormant)
	}
	if err := e.loadDump(); err != nil {
		return err
	}
	if _, err := e.files.RemoveTemps(); err != nil {
		return fmt.Errorf("unfinished files of an append-only file: %w", err)
	}
	return e.tidy()
}
