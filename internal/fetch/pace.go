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
// without port. It keeps nothing about a host that is idle and may be asked.
type pacer struct {
	clock    clock.Clock
	parallel int           // requests in flight to one host, at most
	delay    time.Duration // between two starts, at least
	patience time.Duration // the longest wait in acquire

	mu      sync.Mutex // guards what follows
	hosts   map[string]*hostPace
	sweepAt int // number of hosts at which idle ones are forgotten
}

type hostPace struct {
	busy    int           // requests in flight
	next    time.Time     // no request starts before
	waiting int           // goroutines in acquire
	changed chan struct{} // closed when those waiting should look again
}

func newPacer(c clock.Clock, parallel int, delay, patience time.Duration) *pacer {
	return &pacer{
		clock: c, parallel: parallel, delay: delay, patience: patience,
		hosts: make(map[string]*hostPace), sweepAt: minSweep,
	}
}

// minSweep keeps small maps from being swept all the time.
const minSweep = 1024

// acquire waits until host may be asked and takes a slot; release gives it
// back and is called once. The host's next request starts no sooner than
// minDelay, or Options.Delay if that is longer, after this one.
//
// The error is KindCancelled when ctx ends, KindDeferred when the
// wait is, or turns out, longer than Options.MaxWait.
func (p *pacer) acquire(ctx context.Context, host string, minDelay time.Duration) (release func(), err *Error) {
	p.mu.Lock()
	h := p.host(host)
	spacing := max(p.delay, minDelay)
	if p.wait(h, p.clock.Now()) == 0 {
		p.take(h, spacing)
		p.mu.Unlock()
		return func() { p.release(h) }, nil
	}
	h.waiting++
	defer func() {
		p.mu.Lock()
		h.waiting--
		p.mu.Unlock()
	}()

	deadline := p.clock.Now().Add(p.patience)
	for {
		now := p.clock.Now()
		wait := p.wait(h, now)
		switch {
		case wait == 0:
			p.take(h, spacing)
			p.mu.Unlock()
			return func() { p.release(h) }, nil
		case h.next.After(deadline) || !now.Before(deadline):
			p.mu.Unlock()
			return nil, &Error{Kind: KindDeferred, Retryable: true, RetryAfter: min(wait, MaxRetryAfter),
				Err: fmt.Errorf("host %s may not be asked for another %s", host, wait.Round(time.Millisecond))}
		}
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		changed := h.changed
		p.mu.Unlock()

		sleep := deadline.Sub(now)
		if h.next.After(now) {
			sleep = min(sleep, h.next.Sub(now))
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
		p.mu.Lock()
	}
}

// ready returns how long to leave host alone; zero means that it may be asked
// now. While all its slots are taken, the answer is when to look again.
func (p *pacer) ready(host string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[host]
	if h == nil {
		return 0
	}
	return p.wait(h, p.clock.Now())
}

// postpone lets no request to host start for the time given, counted from now.
func (p *pacer) postpone(host string, wait time.Duration) {
	if wait <= 0 {
		return
	}
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

// wait returns how long h may not be asked. It needs mu.
func (p *pacer) wait(h *hostPace, now time.Time) time.Duration {
	wait := max(h.next.Sub(now), 0)
	if h.busy >= p.parallel {
		wait = max(wait, lookAgain)
	}
	return wait
}

// take needs mu.
func (p *pacer) take(h *hostPace, spacing time.Duration) {
	h.busy++
	if spacing > 0 {
		h.next = p.clock.Now().Add(spacing)
	}
}

func (p *pacer) release(h *hostPace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.busy--
	h.wake()
}

// wake needs mu.
func (h *hostPace) wake() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// host returns the state of a host and, now and then, forgets the others that
// are idle. It needs mu.
func (p *pacer) host(name string) *hostPace {
	if h := p.hosts[name]; h != nil {
		return h
	}
	if len(p.hosts) >= p.sweepAt {
		now := p.clock.Now()
		for name, h := range p.hosts {
			if h.busy == 0 && h.waiting == 0 && !h.next.After(now) {
				delete(p.hosts, name)
			}
		}
		p.sweepAt = max(minSweep, 2*len(p.hosts))
	}
	h := new(hostPace)
	p.hosts[name] = h
	return h
}
