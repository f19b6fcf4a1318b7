package metrics

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// probe asks one question for all scrapes. One asking is under way at a time, in a
// goroutine of its own, so that whatever hangs, a server, a bucket or a disk, does
// not hang the scrape.
type probe[T any] struct {
	Options
	subject string // as the log names it
	ask     func(context.Context) (T, error)
	// fresh is how old an answer may be before the question is asked again; the
	// answer itself serves for twice as long, while that is under way. 0 asks at
	// each scrape.
	fresh   time.Duration
	wait    time.Duration // that a scrape waits for an answer
	timeout time.Duration // that an asking may take

	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	last    *answer[T]
	running chan struct{} // closed at the end of the asking under way; nil when there is none
	silent  bool          // the log knows that there is no answer
}

type answer[T any] struct {
	found T
	err   error
	at    time.Time
}

// patience is what a scrape waits, which Prometheus gives up after ten seconds
// unless told otherwise.
const patience = 3 * time.Second

// retryAfter is when a question that could not be answered is asked again, unless
// answers are wanted more often than that.
const retryAfter = time.Minute

// closeTimeout is how long the end of an asking is waited for that does not heed
// its context, as one of a disk that hangs.
const closeTimeout = 5 * time.Second

var errClosed = errors.New("metrics: closed")

func (p *probe[T]) start() { p.ctx, p.cancel = context.WithCancel(context.Background()) }

// get gives the answer that there is, or waits for one.
func (p *probe[T]) get() (found T, err error) {
	p.once.Do(p.start)
	p.mu.Lock()
	now := p.Clock.Now()
	if p.running == nil && p.due(now) {
		p.running = make(chan struct{})
		go p.run(p.running)
	}
	running, last := p.running, p.last
	p.mu.Unlock()
	if running == nil || last != nil && last.err == nil && now.Sub(last.at) < 2*p.fresh {
		return last.found, last.err
	}
	timer := p.Clock.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case <-running:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.last.found, p.last.err
	case <-timer.C():
		err = fmt.Errorf("no answer within %v", p.wait)
		p.tell(err)
		return found, err
	}
}

// due tells whether it is time to ask again. p.mu is held.
func (p *probe[T]) due(now time.Time) bool {
	if p.last == nil {
		return true
	}
	if errors.Is(p.last.err, errClosed) {
		return false
	}
	wanted := p.fresh
	if p.last.err != nil {
		wanted = min(wanted, retryAfter)
	}
	return now.Sub(p.last.at) >= wanted
}

func (p *probe[T]) run(done chan struct{}) {
	ctx, cancel := context.WithTimeout(p.ctx, p.timeout)
	found, err := p.ask(ctx)
	cancel()
	if p.ctx.Err() != nil {
		err = errClosed
	} else {
		p.tell(err)
	}
	p.mu.Lock()
	p.last, p.running = &answer[T]{found, err, p.Clock.Now()}, nil
	p.mu.Unlock()
	close(done)
}

// tell logs what has changed.
func (p *probe[T]) tell(err error) {
	p.mu.Lock()
	before := p.silent
	p.silent = err != nil
	p.mu.Unlock()
	switch {
	case err != nil && !before:
		p.Logger.Warn("no metrics of "+p.subject, "error", err)
	case err == nil && before:
		p.Logger.Info("metrics again of " + p.subject)
	}
}

// close ends the asking under way. There is no other after it.
func (p *probe[T]) close() {
	p.once.Do(p.start)
	p.cancel()
	p.mu.Lock()
	running := p.running
	if running == nil {
		var none T
		p.last = &answer[T]{none, errClosed, p.Clock.Now()}
	}
	p.mu.Unlock()
	if running == nil {
		return
	}
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-running:
	case <-timer.C:
	}
}
