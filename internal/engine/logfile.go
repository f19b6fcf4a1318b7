package engine

import (
	"errors"
	"time"
)

// A commitLog can be without a file, while appendonly is no. What is appended
// then counts as synced at once, so that nobody waits for it.

// errLogOff is why there is nothing to rotate.
var errLogOff = errors.New("engine: the log is off")

// passOver counts what is appended as synced. l.mu is held.
func (l *commitLog) passOver(seq uint64) {
	l.appended, l.written, l.synced, l.waiting = seq, seq, seq, time.Time{}
	l.durable.Store(seq)
	l.kernel.Store(seq)
}

// begin gives the log a file. What is appended from here on goes to it; the
// caller holds the engine's lock and has handed over everything before.
func (l *commitLog) begin(file logFile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file, l.off = file, false
	l.size.Store(file.Size())
}

// end takes the file away and answers it, nil when there is none. The goroutine
// does not touch it any more, and nobody is kept waiting for it.
//
// With drain, everything appended so far is written and synced before, and the
// error says why that could not be done; the caller holds the engine's lock, so
// that nothing is added meanwhile. Without, what is not written is dropped.
func (l *commitLog) end(drain bool) (file logFile, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draining, l.off = drain, l.off || !drain
	l.wake.Signal()
	for l.writing || l.turning || l.cut != nil || l.draining && l.broken == nil && l.synced < l.appended {
		l.progress.Wait()
	}
	file, err = l.file, l.broken
	l.file, l.off, l.draining = nil, true, false
	l.buf, l.taken, l.broken = nil, 0, nil
	l.failed.Store(nil)
	l.size.Store(0)
	l.passOver(l.appended)
	l.announce()
	return file, err
}
