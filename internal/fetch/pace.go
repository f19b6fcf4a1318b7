package fetch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"limpet/clock"
)

// pacer keeps the number of requests that a host has to answer at once, and
// the time between the starts of two, within what is polite. Hosts are names
// without port. It keeps nothing for long about a host that may be asked.
type pacer struct {
	clock    clock.Clock
	parallel int           // requests in flight to one host, at most
	delay    time.Duration // between two starts, at least
	patience time.Duration // the longest wait in acquire

	mu      sync.Mutex // guards what follows
	hosts   map[string]*hostPace
	sweepAt int // number of hosts at which those that are idle are forgotten
}

type hostPace struct {
	busy    int           // requests in flight
	next    time.Time     // no request starts before
	changed chan struct{} // closed when those who wait should look again; nil when nobody does
}

// minSweep keeps small maps from being swept all the time.
const minSweep = 1024

func newPacer(c clock.Clock, parallel int, delay, patience time.Duration) *pacer {
	return &pacer{
		clock: c, parallel: parallel, delay: delay, patience: patience,
		hosts: make(map[string]*hostPace), sweepAt: minSweep,
	}
}

// acquire waits until host may be asked and takes a slot; release gives it
// back and is called once. The host's next request starts no sooner than
// minDelay after this one, or Options.Delay if that is longer.
//
// The error is KindCancelled when ctx ends, and KindDeferred when the wait is,
// or turns out to be, longer than Options.MaxWait.
func (p *pacer) acquire(ctx context.Context, host string, minDelay time.Duration) (release func(), err *Error) {
	deadline := p.clock.Now().Add(p.patience)
	for {
		next, changed := p.try(host, max(p.delay, minDelay))
		if changed == nil {
			return func() { p.release(host) }, nil
		}
		left := deadline.Sub(p.clock.Now())
		if left <= 0 || next > left {
			return nil, tooLong(host, next)
		}
		sleep := left
		if next > 0 {
			sleep = min(sleep, next)
		}
		timer := p.clock.NewTimer(sleep)
		select {
		case <-timer.C():
		case <-changed:
		case <-ctx.Done():
			timer.Stop()
			return nil, &Error{Kind: KindCancelled, Retryable: true, Err: context.Cause(ctx)}
		}
		timer.Stop()
	}
}

func tooLong(host string, next time.Duration) *Error {
	e := &Error{Kind: KindDeferred, Retryable: true, RetryAfter: min(next, MaxRetryAfter)}
	if next > 0 {
		e.Err = fmt.Errorf("host %s may not be asked for another %s", host, next.Round(time.Millisecond))
	} else {
		e.Err = fmt.Errorf("host %s has not answered earlier requests yet", host)
	}
	return e
}

// try takes a slot if host may be asked. If not, changed is not nil and tells
// when to look again, and next is the least wait; zero means that only the
// slots are missing.
func (p *pacer) try(host string, spacing time.Duration) (next time.Duration, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, now := p.host(host), p.clock.Now()
	next = max(h.next.Sub(now), 0)
	if next > 0 || h.busy >= p.parallel {
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		return next, h.changed
	}
	h.busy++
	if spacing > 0 {
		h.next = now.Add(spacing)
	}
	return 0, nil
}

func (p *pacer) release(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[host] // busy, hence still there
	h.busy--
	h.wake()
}

// postpone lets no request to host start for the time given, counted from now.
func (p *pacer) postpone(host string, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.host(host)
	if until := p.clock.Now().Add(wait); until.After(h.next) {
		h.next = until
		h.wake()
	}
}

// lookAgain is the wait to report for a host whose slots are all taken: about
// as long as a page takes.
const lookAgain = 5 * time.Millisecond

// ready returns how long host may not be asked; zero means that acquire would
// not wait. While all slots are taken, the answer is when to look again.
func (p *pacer) ready(host string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[host]
	if h == nil {
		return 0
	}
	wait := max(h.next.Sub(p.clock.Now()), 0)
	if h.busy >= p.parallel {
		wait = max(wait, lookAgain)
	}
	return wait
}

// wake needs mu.
func (h *hostPace) wake() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// host returns the state of a host and, now and then, forgets those that are
// idle and may be asked. It needs mu.
func (p *pacer) host(name string) *hostPace {
	if h := p.hosts[name]; h != nil {
		return h
	}
	if len(p.hosts) >= p.sweepAt {
		now := p.clock.Now()
		for name, h := range p.hosts {
			if h.busy == 0 && !h.next.After(now) {
				h.wake()
				delete(p.hosts, name)
			}
		}
		p.sweepAt = max(minSweep, 2*len(p.hosts))
	}
	h := new(hostPace)
	p.hosts[name] = h
	return h
}
