package engine

import "time"

// gathering lets the log's goroutine wait a moment between two rounds, so that
// each of them takes more with it. A round costs system calls and wake-ups, which
// few processors feel, and a sync costs the disk as much for one record as for a
// hundred.
//
// Under always, those whom a sync has released come back with their next requests
// a little later than the next sync could begin; begun at once it would serve only
// the others, and everybody would wait for every second sync. So the next one
// waits until as many units have come as were seen during the last, but for no
// longer than the last took. Where they do not come in that time, syncs are fast
// against commands, and it is better to run the one during the other: waiting is
// then tried ever less often. Who is alone never waits.
//
// Otherwise nobody waits for the log, and it is written once in writePause or when
// much has come.
//
// The time is the machine's, not the store's clock: no promise depends on it, and
// under a clock that stands still the log still has to get on. All fields are
// guarded by commitLog.mu.
type gathering struct {
	active bool // the goroutine waits here
	until  time.Time
	alarm  *time.Timer

	policy   Policy
	expected uint64 // units to come before a sync is worth while
	last     uint64 // the newest unit of the last round
	before   uint64 // the newest unit of the round before
	waited   bool   // in this round
	misses   int    // rounds in a row in which waiting was in vain
	skip     int    // rounds to come that do not wait
}

const (
	writePause    = 5 * time.Millisecond // what a killed process may lose of what the kernel would have kept
	longestGather = 2 * time.Millisecond
	enoughBytes   = 256 << 10
	mostMisses    = 6 // waiting is tried every 64 rounds at least
)

// taken notes a round that begins.
func (g *gathering) taken(l *commitLog) { g.before, g.last = g.last, l.appended }

// begin says, at the end of a round, for how long the next one may wait, and for
// what. took is the time of the sync in it.
func (g *gathering) begin(l *commitLog, took time.Duration) {
	pause := writePause
	if l.always() {
		pause = min(took, longestGather)
		g.expected = l.appended - g.before
		if g.skip > 0 {
			g.skip--
			pause = 0
		}
	}
	g.waited = false
	g.until = time.Now().Add(pause)
}

// judge learns from a round under always that has waited.
func (g *gathering) judge(inVain bool) {
	switch {
	case g.policy != Always || !g.waited:
	case inVain:
		g.misses = min(g.misses+1, mostMisses)
		g.skip = 1 << g.misses
	default:
		g.misses = 0
	}
}

// enough tells whether a round is worth while before the time is over.
func (g *gathering) enough(l *commitLog) bool {
	return len(l.buf) >= enoughBytes || g.policy == Always && l.appended-g.last >= g.expected
}

// wait waits once, and tells whether it did.
func (g *gathering) wait(l *commitLog, policy Policy) bool {
	g.policy = policy
	if len(l.buf) == 0 {
		return false
	}
	if g.enough(l) {
		g.judge(false)
		return false
	}
	left := time.Until(g.until)
	if left <= 0 {
		g.judge(true)
		return false
	}
	g.waited = true
	if g.alarm == nil {
		g.alarm = time.AfterFunc(left, func() {
			l.mu.Lock()
			l.wake.Signal()
			l.mu.Unlock()
		})
	} else {
		g.alarm.Reset(left)
	}
	g.active = true
	l.wake.Wait()
	g.active = false
	g.alarm.Stop()
	return true
}
