package engine

import "time"

// run is the log's goroutine: it syncs and rotates, and writes what nobody else
// does.
func (l *commitLog) run() {
	defer close(l.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.ready() {
		if l.cut != nil {
			l.rotate()
			continue
		}
		if l.pending() && !l.writing {
			l.write(&l.buf, l.appended)
		}
		if l.broken == nil && l.syncWanted() && !l.turning {
			l.sync()
		}
	}
}

// ready waits for something to do, and is false when the log is closed and all is
// done. l.mu is held.
func (l *commitLog) ready() bool {
	for {
		if l.broken != nil && l.cut != nil {
			l.cut.result <- l.broken
			l.cut = nil
			l.announce()
		}
		switch {
		case l.todo():
			return true
		case l.stopping && !l.writing && !l.turning:
			return false
		}
		l.syncDue = l.syncDue && l.synced < l.appended
		l.stalled = l.writing || l.turning
		l.wake.Wait()
		l.stalled = false
	}
}

// todo tells whether there is something to do, and nobody else at it. l.mu is held.
func (l *commitLog) todo() bool {
	switch {
	case l.broken != nil:
		return false
	case l.cut != nil:
		return !l.writing && !l.turning
	}
	return l.pending() && !l.writing || l.syncWanted() && !l.turning
}

// pending tells whether something was appended that is not written. It may have no
// bytes: not every change needs a record. l.mu is held.
func (l *commitLog) pending() bool { return l.written < l.appended }

// syncWanted tells whether something in the file is to be synced now. l.mu is
// held.
func (l *commitLog) syncWanted() bool {
	if l.stopping || l.draining {
		return l.synced < l.written
	}
	switch Policy(l.policy.Load()) {
	case Always:
		return l.synced < l.written
	case EverySec:
		return l.syncDue && l.synced < l.written
	}
	return false
}

// write takes a buffer away and writes it, the newest record in which is number
// seq. l.mu is held, and let go meanwhile.
func (l *commitLog) write(buf *[]byte, seq uint64) {
	bytes := *buf
	*buf, l.spare = l.spare[:0], nil
	l.taken, l.writing = len(bytes), true
	file := l.file
	l.mu.Unlock()
	err := file.Append(bytes)
	l.mu.Lock()
	l.taken, l.writing, l.spare = 0, false, reusable(bytes)
	if l.file == file { // else replace has left nothing of this to anybody
		l.advance(err, &l.written, seq)
		l.size.Store(file.Size())
	}
	l.announce()
}

// sync syncs what is written. l.mu is held, and let go meanwhile.
func (l *commitLog) sync() {
	seq, began := l.written, l.clock.Now()
	l.turning, l.syncDue = true, false
	file := l.file
	l.mu.Unlock()
	err := file.Sync()
	took := l.clock.Now().Sub(began)
	l.mu.Lock()
	l.turning = false
	if l.file == file {
		l.advance(err, &l.synced, seq)
	}
	if err == nil {
		l.lastSync, l.waiting = began.Add(took), time.Time{}
		if l.synced < l.appended {
			l.waiting = began
		}
	}
	if took > time.Second {
		l.delayed++
	}
	l.announce()
}

// advance notes what a write or a sync has brought. l.mu is held.
func (l *commitLog) advance(err error, reached *uint64, seq uint64) {
	if err != nil {
		l.fail(err)
		return
	}
	*reached = max(*reached, seq)
}

// rotate goes on in the next file, if the old one is sound to its end. What comes
// meanwhile waits in buf. l.mu is held, and let go meanwhile.
func (l *commitLog) rotate() {
	r := l.cut
	if l.written < r.seq {
		l.write(&r.before, r.seq)
	}
	if l.broken == nil {
		l.sync()
	}
	err := l.broken
	if err == nil {
		err = l.turn(r)
	}
	l.cut = nil
	l.announce()
	r.result <- err
}

// turn changes to the next file. l.mu is held, and let go meanwhile.
func (l *commitLog) turn(r *rotation) error {
	l.turning = true
	old := l.file
	l.mu.Unlock()
	file, err := r.turn(old)
	var fatal error
	if err != nil {
		// A turn that failed half-way may have ended the old file too. All of it is
		// synced, so this does nothing but ask.
		fatal = old.Sync()
	}
	l.mu.Lock()
	l.turning = false
	switch {
	case err == nil:
		l.file = file
		l.size.Store(file.Size())
	case fatal != nil:
		l.fail(fatal)
	}
	return err
}

// fail makes the file's first error final. l.mu is held.
func (l *commitLog) fail(err error) {
	l.broken = err
	l.failed.Store(&err)
	l.buf = nil
	l.logger.Error("the append-only file cannot be written; writes are refused until a new one could be started",
		"error", err)
}

// tick makes a sync due every second.
func (l *commitLog) tick() {
	t := l.clock.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-t.C():
		}
		l.mu.Lock()
		l.syncDue = true
		if l.waiting.IsZero() && l.synced < l.appended {
			l.waiting = l.clock.Now()
		}
		l.wake.Signal()
		l.mu.Unlock()
	}
}

// reusable keeps a buffer for the next round unless one burst made it huge.
func reusable(b []byte) []byte {
	if cap(b) > 4<<20 {
		return make([]byte, 0, 64<<10)
	}
	return b[:0]
}
