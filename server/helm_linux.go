package server

import (
	"sync/atomic"
	"time"
)

// helm is held by the one goroutine of two that steers a loop, which alone touches
// what belongs to it. The other one is its mate.
//
// Under appendfsync always whoever steers also syncs. To wait for another
// goroutine's sync would cost more than most syncs take: on two processors, each
// wake-up of a thread is one that requests do not get. But a disk may take long,
// and who only reads must not wait for it. So the helm is given away for the time
// of a sync, and the mate takes it if it is not soon taken back.
//
//	steering --give--> given away --takeBack--> steering      (a fast disk)
//	                        |
//	                        +----await (the mate)--> the mate steers, and who was
//	                                                 in the sync is the mate now
type helm struct {
	word    atomic.Uint64 // odd while the helm is given away, another number each time
	over    atomic.Bool   // the loop has ended
	resting atomic.Bool   // the mate waits for wake
	wake    chan struct{}
}

const (
	matePatience = time.Millisecond // for how long the helm is left alone, twice that at most
	restAfter    = 50               // looks that found no sync, until the mate waits to be woken
)

func newHelm() *helm { return &helm{wake: make(chan struct{}, 1)} }

// give gives the helm away. What it answers is for takeBack.
func (h *helm) give() (given uint64) {
	given = h.word.Add(1)
	if h.resting.Load() && h.resting.CompareAndSwap(true, false) {
		h.rouse()
	}
	return given
}

// takeBack tells whether whoever gave the helm away has it again.
func (h *helm) takeBack(given uint64) bool { return h.word.CompareAndSwap(given, given+1) }

// await is the mate's part. It returns true once the helm was given away for long
// enough, and is the mate's, and false when the loop has ended.
func (h *helm) await() bool {
	seen, quiet := h.word.Load(), 0
	for !h.over.Load() {
		if quiet == restAfter {
			h.rest(seen)
			quiet = 0
		}
		time.Sleep(matePatience)
		now := h.word.Load()
		switch {
		case now != seen:
			seen, quiet = now, 0
		case now%2 == 1 && h.word.CompareAndSwap(now, now+1):
			return true
		default:
			quiet++
		}
	}
	return false
}

// rest waits until the helm is given away.
func (h *helm) rest(seen uint64) {
	h.resting.Store(true)
	if h.word.Load() != seen || h.over.Load() {
		h.resting.Store(false)
		return
	}
	<-h.wake
}

// end sends the mate home.
func (h *helm) end() {
	h.over.Store(true)
	h.rouse()
}

func (h *helm) rouse() {
	select {
	case h.wake <- struct{}{}:
	default: // it has been told already
	}
}
