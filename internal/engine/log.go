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
// where everything is: synced <= written <= appended. A reply waits until what it
// depends on is synced under always, and until it is written otherwise: a killed
// process takes nothing back that it has acknowledged, a power cut only what the
// policy leaves to the kernel.
//
// There are two ways to get there. Whoever appends writes, and under always may
// sync too (flush, commit); or the log's goroutine does, which also syncs once a
// second and rotates (logturn.go). One writes at a time and one syncs at a time,
// but the one goes on beside the other.
type commitLog struct {
	clock  clock.Clock
	logger *slog.Logger
	policy atomic.Int32 // Policy
	failed atomic.Pointer[error]

	mu       sync.Mutex // guards what follows
	wake     *sync.Cond // the goroutine has something to do
	progress *sync.Cond // written, synced, broken, or the buffer's size changed
	buf      []byte     // appended, not yet taken to be written
	spare    []byte     // an empty buffer for when buf is taken
	appended uint64
	written  uint64
	synced   uint64
	broken   error     // the first failed write or sync; sticky until replace
	cut      *rotation // where the next file begins, nil if nowhere
	syncDue  bool      // a second has passed with something unsynced
	stopping bool
	off      bool // there is no file: what is appended counts as synced at once
	draining bool // everything is to be synced now, and then the file goes
	taken    int  // bytes that are being written
	writing  bool // somebody writes to file
	turning  bool // somebody syncs file, or turns to another one
	stalled  bool // the goroutine waits for somebody else to end writing or turning

	listeners map[int]func() // told of progress
	nextID    int

	lastSync time.Time
	waiting  time.Time // since when something waits for a sync, to the second; zero: nothing, or not for long
	delayed  int64     // syncs that took longer than a second

	durable atomic.Uint64 // synced, for who does not hold mu
	kernel  atomic.Uint64 // written, for who does not hold mu

	file logFile      // changes only while neither writing nor turning
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
// caller holds the engine's lock, which gives the order, and calls flush or commit
// once it has let it go.
func (l *commitLog) append(records []byte, seq uint64) {
	l.mu.Lock()
	if l.off {
		l.passOver(seq)
		l.mu.Unlock()
		return
	}
	l.buf = append(l.buf, records...)
	l.appended = seq
	l.mu.Unlock()
}

// flush sees to it that what was appended gets where replies wait for it. Under
// always that is left to the goroutine. Otherwise it is written here, unless
// somebody else is at it or the log is being rotated.
func (l *commitLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.pending():
	case l.always() || !l.free():
		l.wake.Signal()
	default:
		l.write(&l.buf, l.appended)
		l.passOn()
	}
}

// commit is flush for who would have nothing to do but wait for the sync, and does
// it here: being woken by somebody else's takes longer than many a sync. It does
// not wait for a sync that is under way.
func (l *commitLog) commit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.synced == l.appended || !l.always():
	case !l.free() || l.turning:
		l.wake.Signal()
	default:
		l.write(&l.buf, l.appended)
		if l.broken == nil {
			l.sync()
		}
		l.passOn()
	}
}

// free tells whether what was appended may be written to file now. l.mu is held.
func (l *commitLog) free() bool {
	return !l.writing && l.cut == nil && l.broken == nil && l.file != nil
}

// passOn has the goroutine go on with what came while the file was in our hands.
// l.mu is held.
func (l *commitLog) passOn() {
	if l.stalled || l.pending() {
		l.wake.Signal()
	}
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
// meanwhile. It fails when the record that the reply depends on will not get there
// by this file: the error says why the file is broken.
func (l *commitLog) wait(seq uint64) error {
	if l.reached(seq) {
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
	if l.reached(seq) {
		return true, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settledLocked(seq)
}

// reached tells whether a record is where the policy wants it.
func (l *commitLog) reached(seq uint64) bool {
	return l.durable.Load() >= seq || !l.always() && l.kernel.Load() >= seq
}

func (l *commitLog) settledLocked(seq uint64) (bool, error) {
	switch {
	case l.synced >= seq || !l.always() && l.written >= seq:
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
	l.kernel.Store(l.written)
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
	l.written, l.synced, l.waiting = l.appended, l.appended, time.Time{}
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
	l.flush() // which under always was left to the goroutine
}

// logStats are the log's part of INFO.
type logStats struct {
	size     int64 // bytes in the file, without what is buffered
	buffered int
	delayed  int64
	pending  bool // a sync is outstanding
	lastSync time.Time
	waiting  time.Time // since when something waits for a sync; zero: nothing does
	broken   error
}

func (l *commitLog) stats() logStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := logStats{
		size: l.size.Load(), buffered: len(l.buf) + l.taken, delayed: l.delayed,
		pending: l.synced < l.appended, lastSync: l.lastSync, broken: l.broken,
	}
	if s.pending {
		if s.waiting = l.waiting; s.waiting.IsZero() {
			s.waiting = l.clock.Now() // since the last tick
		}
	}
	return s
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
