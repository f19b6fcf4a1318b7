package engine

import (
	"errors"
	"time"

	"limpet/aof"
	"limpet/internal/command"
)

// rewriteLog replaces the log by a new base of what is in memory and a new incr
// file of what comes after it. The cut and the turn to the new incr are one
// place in the order of writes.
func (e *Engine) rewriteLog() error {
	base, form, err := e.createBase()
	if err != nil {
		return err
	}
	var first aof.Seq // the incr that begins at the cut
	var rotated <-chan error
	err = e.writeDump(base, form, &e.mu, func() {
		e.logDB = command.NoDB
		rotated = e.log.rotateHere(func(old logFile) (logFile, error) {
			w, err := e.files.Rotate(old.(*aof.Writer))
			if err != nil {
				return nil, err
			}
			first = w.Seq()
			return w, nil
		})
	})
	if rotated != nil {
		if turnErr := <-rotated; turnErr != nil && err == nil {
			_ = e.options.FS.Remove(base.Name())
			err = turnErr
		}
	}
	if err != nil {
		return err
	}
	return e.files.CommitBase(base.Name(), first)
}

// remeasure takes the sizes of the files anew. A failure leaves the old ones,
// which only the growth rule and INFO use.
func (e *Engine) remeasure() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.logState != logOn {
		return
	}
	if err := e.measure(e.log.size.Load()); err != nil {
		e.logger.Warn("the log's files could not be measured", "error", err)
	}
}

func (e *Engine) deleteHistory() {
	if err := e.files.DeleteHistory(); err != nil {
		e.logger.Warn("files that a rewrite has replaced could not be deleted yet", "error", err)
	}
}

// healer gets a broken log going again.
type healer struct {
	e    *Engine
	next time.Time
	wait time.Duration
}

// How often healing is tried: soon at first, since most full disks are full for
// a moment, then ever less.
const (
	healFirst = 500 * time.Millisecond
	healMost  = 10 * time.Second
)

func (h *healer) try() {
	now := h.e.clock.Now()
	if now.Before(h.next) {
		return
	}
	err := h.e.heal()
	if err == nil {
		*h = healer{e: h.e}
		return
	}
	h.wait = min(max(2*h.wait, healFirst), healMost)
	h.next = h.e.clock.Now().Add(h.wait)
	h.e.logger.Error("the append-only file is still broken; reads go on, writes are refused",
		"error", err, "next_try_in", h.wait)
}

// heal writes everything in memory to a new base, which together with an empty
// incr becomes the whole log in one step. Nothing changes meanwhile, since writes
// are refused.
func (e *Engine) heal() error {
	e.mu.Lock()
	if e.saves.busy() || e.stopping || e.logState != logOn {
		e.mu.Unlock()
		return nil // the job that runs will fail or end; then it is our turn
	}
	e.saves.begin(&e.saves.rewrite, e.clock.Now())
	e.mu.Unlock()

	writer, err := e.replaceLog()

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.saves.rewrite.cancelled && err == nil {
		err = errors.Join(errCancelled, writer.Close())
	}
	e.saves.end(&e.saves.rewrite, e.clock.Now(), err)
	if errors.Is(err, errCancelled) {
		return nil // there is no log any more to be healed
	}
	if err != nil {
		return err
	}
	e.logDB = command.NoDB
	e.log.replace(writer)
	if err := e.measure(writer.Size()); err != nil {
		e.logger.Warn("the log's files could not be measured", "error", err)
	}
	e.rewriteBase = e.logSize()
	e.logger.Warn("the append-only file was broken and has been replaced by a new one with everything in it; writes are taken again")
	return nil
}

func (e *Engine) replaceLog() (*aof.Writer, error) {
	base, form, err := e.createBase()
	if err != nil {
		return nil, err
	}
	if err := e.writeDump(base, form, &e.mu, nil); err != nil {
		return nil, err
	}
	writer, err := e.files.ReplaceAll(base.Name())
	if err != nil {
		return nil, err
	}
	e.deleteHistory()
	return writer, nil
}
