package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"limpet/clock"
)

// Policy says when acknowledged writes are synced: appendfsync.
type Policy int32

const (
	EverySec Policy = iota // within a second of being acknowledged
	Always                 // before being acknowledged
	No                     // when the kernel likes
)

func (p Policy) String() string { return [...]string{"everysec", "always", "no"}[p] }

// ParsePolicy reads appendfsync's word.
func ParsePolicy(s string) (Policy, error) {
	for _, p := range []Policy{EverySec, Always, No} {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("appendfsync %q: want always, everysec or no", s)
}

// logFile is the end of an append-only file; *aof.Writer is one.
type logFile interface {
	Append(b []byte) error
	Sync() error
	Size() int64
	Close() error
}

// commitLog takes effects to disk in the order in which they were appended.
//
// Sequence numbers count the units that changed something. Three of them tell
// where everything is: synced <= written <= appended.
type commitLog struct {
	clock  clock.Clock
	logger *slog.Logger
	policy atomic.Int32 // Policy
	failed atomic.Pointer[error]

	mu       sync.Mutex // guards what follows
	wake     *sync.Cond // the goroutine has something to do
	progress *sync.Cond // written, synced, broken, or the buffer's size changed
	buf      []byte     // appended, not yet taken by the goroutine
	appended uint64
	written  uint64
	synced   uint64
	broken   error     // the first failed write or sync; sticky until replace
	cut      *rotation // where the next file begins, nil if nowhere
	syncDue  bool      // a second has passed with something unsynced
	stopping bool
	taken    int  // bytes that the goroutine is writing
	off      bool // there is no file: what is appended counts as synced at once
	draining bool // everything is to be synced now, and then the file goes
	working  bool // the goroutine is at a job, with the file in its hands

	gather gathering

	listeners map[int]func() // told of progress
	nextID    int

	lastSync time.Time
	delayed  int64 // syncs that took longer than a second

	durable atomic.Uint64 // synced, for who does not hold mu

	file logFile      // the goroutine's, from run on
	size atomic.Int64 // bytes in file
	done chan struct{}
}

// rotation is a place in the log where a new file begins.
type rotation struct {
	before []byte // what belongs to the old file, not yet written
	seq    uint64 // the newest record in it
	turn   func(old logFile) (logFile, error)
	result chan error
}

// newCommitLog is a log that goes on in a file; nil is none, see begin.
func newCommitLog(file logFile, policy Policy, c clock.Clock, logger *slog.Logger) *commitLog {
	l := &commitLog{clock: c, logger: logger, file: file, lastSync: c.Now(), done: make(chan struct{}), listeners: map[int]func(){}}
	l.policy.Store(int32(policy))
	l.wake, l.progress = sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	l.off = file == nil
	if !l.off {
		l.size.Store(file.Size())
	}
	go l.run()
	go l.tick()
	return l
}

// append adds records, already encoded, of which the newest is number seq. The
// caller holds the engine's lock, which gives the order.
func (l *commitLog) append(records []byte, seq uint64) {
	l.mu.Lock()
	if l.off {
		l.passOver(seq)
		l.mu.Unlock()
		return
	}
	l.buf = append(l.buf, records...)
	l.appended = seq
	if !l.gather.active || l.gather.enough(l) {
		l.wake.Signal()
	}
	l.mu.Unlock()
}

// maxBuffered is how much may wait for the disk before writers wait too.
const maxBuffered = 64 << 20

// throttle waits while too much is buffered. It is called without the engine's
// lock, before a batch runs.
func (l *commitLog) throttle() {
	l.mu.Lock()
	for len(l.buf)+l.taken > maxBuffered && l.broken == nil && !l.stopping {
		l.progress.Wait()
	}
	l.mu.Unlock()
}

// errClosed is why nothing is written any more once the log is closed.
var errClosed = errors.New("the store is closed")

// wait holds a reply back as long as the policy asks for, which may change
// meanwhile. It fails when the record that the reply depends on has not been
// synced and will not be by this file: the error says why the file is broken.
func (l *commitLog) wait(seq uint64) error {
	if l.durable.Load() >= seq || !l.always() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if settled, err := l.settledLocked(seq); settled {
			return err
		}
		l.progress.Wait()
	}
}

// settled tells whether wait would return at once, and with what.
func (l *commitLog) settled(seq uint64) (bool, error) {
	if l.durable.Load() >= seq || !l.always() {
		return true, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settledLocked(seq)
}

func (l *commitLog) settledLocked(seq uint64) (bool, error) {
	switch {
	case l.synced >= seq || !l.always():
		return true, nil
	case l.broken != nil:
		return true, l.broken
	case l.file == nil:
		return true, errClosed
	}
	return false, nil
}

// onProgress has f called, with l.mu held, whenever something that is waited for
// may have happened.
func (l *commitLog) onProgress(f func()) (cancel func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.nextID
	l.nextID++
	l.listeners[id] = f
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.listeners, id)
	}
}

// announce tells all who wait that something has happened. l.mu is held.
func (l *commitLog) announce() {
	l.durable.Store(l.synced)
	l.progress.Broadcast()
	for _, f := range l.listeners {
		f()
	}
}

func (l *commitLog) always() bool { return Policy(l.policy.Load()) == Always }

// rotateHere makes a new file begin behind everything appended so far. turn is
// called by the log's goroutine once the old file is synced; what it answers is
// what result brings. When it fails the old file goes on. The caller holds the
// engine's lock, and begins the new file with no database selected.
func (l *commitLog) rotateHere(turn func(old logFile) (logFile, error)) (result <-chan error) {
	r := &rotation{turn: turn, result: make(chan error, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.broken != nil:
		r.result <- l.broken
	case l.off:
		r.result <- errLogOff
	case l.cut != nil || l.stopping:
		r.result <- errors.New("engine: the log is already being rotated or closed")
	default:
		r.before, r.seq, l.buf = l.buf, l.appended, nil
		l.cut = r
		l.wake.Signal()
	}
	return r.result
}

// replace puts a new file in the place of a broken one. Everything appended so
// far is durable by other means: it is in the new base.
func (l *commitLog) replace(file logFile) {
	l.mu.Lock()
	_ = l.file.Close() // it is broken: what it holds counts no more
	l.file, l.buf, l.taken, l.broken = file, nil, 0, nil
	l.written, l.synced = l.appended, l.appended
	l.size.Store(file.Size())
	l.failed.Store(nil)
	l.announce()
	l.wake.Signal()
	l.mu.Unlock()
}

// failure is why the file is broken, nil when it is not.
func (l *commitLog) failure() error {
	if p := l.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// setPolicy changes appendfsync at run time.
func (l *commitLog) setPolicy(p Policy) {
	l.policy.Store(int32(p))
	l.mu.Lock()
	l.syncDue = true
	l.wake.Signal()
	l.announce()
	l.mu.Unlock()
}

// logStats are the log's part of INFO.
type logStats struct {
	size     int64 // bytes in the file, without what is buffered
	buffered int
	delayed  int64
	pending  bool // a sync is outstanding
	lastSync time.Time
	broken   error
}

func (l *commitLog) stats() logStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return logStats{
		size: l.size.Load(), buffered: len(l.buf) + l.taken, delayed: l.delayed,
		pending: l.synced < l.appended, lastSync: l.lastSync, broken: l.broken,
	}
}

// seal makes writes refused from here on. The caller holds the engine's lock, so
// that no unit is running that was let through before.
func (l *commitLog) seal() { l.failed.Store(&errClosed) }

// close writes and syncs what is left and closes the file. Its error says that
// something acknowledged may be missing on disk. Nothing is appended any more.
func (l *commitLog) close() error {
	l.mu.Lock()
	l.stopping = true
	l.wake.Signal()
	l.announce()
	l.mu.Unlock()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.broken
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
	}
	l.file = nil
	l.announce()
	return err
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
		l.wake.Signal()
		l.mu.Unlock()
	}
}

// run is the log's goroutine, the only one that touches the file.
func (l *commitLog) run() {
	defer close(l.done)
	spare := make([]byte, 0, 64<<10)
	for {
		job, ok := l.next(spare)
		if !ok {
			return
		}
		l.do(job)
		spare = reusable(job.bytes)
	}
}

// job is one round of the goroutine: write, sync or not, rotate or not.
type job struct {
	bytes []byte
	seq   uint64
	sync  bool
	cut   *rotation
}

// next waits for something to do. ok is false when the log is closed and all is
// done.
func (l *commitLog) next(spare []byte) (j job, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		policy := Policy(l.policy.Load())
		if !l.stopping && l.cut == nil && l.broken == nil && l.gather.wait(l, policy) {
			continue
		}
		behind := l.synced < l.appended
		due := behind && (policy == Always || policy == EverySec && l.syncDue || l.stopping || l.draining)
		idle := l.broken != nil || l.cut == nil && len(l.buf) == 0 && !due
		if l.broken != nil && l.cut != nil {
			l.cut.result <- l.broken
			l.cut = nil
			l.announce()
		}
		switch {
		case idle && l.stopping:
			return j, false
		case idle:
			l.syncDue = l.syncDue && behind
			l.wake.Wait()
			continue
		}
		if l.cut != nil {
			j = job{bytes: l.cut.before, seq: l.cut.seq, sync: true, cut: l.cut}
			l.taken, l.working = len(j.bytes), true
			return j, true
		}
		j = job{bytes: l.buf, seq: l.appended, sync: due}
		l.gather.taken(l)
		l.buf, l.taken, l.working = spare[:0], len(j.bytes), true
		if due {
			l.syncDue = false
		}
		return j, true
	}
}

// do works one job off.
func (l *commitLog) do(j job) {
	var err error
	if len(j.bytes) > 0 {
		err = l.file.Append(j.bytes)
	}
	began := l.clock.Now()
	if err == nil && j.sync {
		err = l.file.Sync()
	}
	took := l.clock.Now().Sub(began)

	l.mu.Lock()
	l.taken, l.working = 0, j.cut != nil
	l.gather.begin(l, took)
	switch {
	case err != nil:
		l.fail(err)
	default:
		l.written = max(l.written, j.seq)
		if j.sync {
			l.synced = max(l.synced, j.seq)
			l.lastSync = began.Add(took)
			if took > time.Second {
				l.delayed++
			}
		}
	}
	l.size.Store(l.file.Size())
	l.announce()
	l.mu.Unlock()

	if j.cut != nil {
		l.turn(j.cut, err)
	}
}

// turn changes to the next file, if the old one is sound to its end.
func (l *commitLog) turn(r *rotation, err error) {
	var file logFile
	var fatal error
	if err == nil {
		if file, err = r.turn(l.file); err != nil {
			// A turn that failed half-way may have ended the old file too. All of
			// it is synced, so this does nothing but ask.
			fatal = l.file.Sync()
		}
	}
	l.mu.Lock()
	switch {
	case err == nil:
		l.file = file
		l.size.Store(file.Size())
	case fatal != nil:
		l.fail(fatal)
	}
	l.cut, l.working = nil, false
	l.announce()
	l.mu.Unlock()
	r.result <- err
}

// fail makes the file's first error final. l.mu is held.
func (l *commitLog) fail(err error) {
	l.broken = err
	l.failed.Store(&err)
	l.buf = nil
	l.logger.Error("the append-only file cannot be written; writes are refused until a new one could be started",
		"error", err)
}

// reusable keeps a buffer for the next round unless one burst made it huge.
func reusable(b []byte) []byte {
	if cap(b) > 4<<20 {
		return make([]byte, 0, 64<<10)
	}
	return b[:0]
}
