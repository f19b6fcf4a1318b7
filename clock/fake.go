package clock

import (
	"context"
	"sync"
	"time"
)

// Fake is a [Clock] whose time moves only when [Fake.Advance] moves it. It is
// safe for concurrent use.
type Fake struct {
	mu    sync.Mutex
	now   time.Time
	armed map[*alarm]struct{}
	// changed is closed and replaced whenever the set of armed alarms changes,
	// which is what AwaitWaiters waits for.
	changed chan struct{}
}

// NewFake returns a clock that stands at t.
func NewFake(t time.Time) *Fake {
	return &Fake{now: t, armed: make(map[*alarm]struct{}), changed: make(chan struct{})}
}

// Now is the time the clock stands at.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// After is Clock.After.
func (f *Fake) After(d time.Duration) <-chan time.Time { return f.NewTimer(d).C() }

// NewTimer is Clock.NewTimer. A duration of zero or less fires at once.
func (f *Fake) NewTimer(d time.Duration) Timer {
	a := &alarm{clock: f, c: make(chan time.Time, 1)}
	a.arm(d, 0)
	return fakeTimer{a}
}

// NewTicker is Clock.NewTicker.
func (f *Fake) NewTicker(d time.Duration) Ticker {
	a := &alarm{clock: f, c: make(chan time.Time, 1)}
	fakeTicker{a}.Reset(d)
	return fakeTicker{a}
}

// Advance moves the time on by d and fires, in the order of their times, all
// alarms that fall due on the way. Each sees the clock at its own moment. It
// does not wait for those woken to act.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.now.Add(d)
	for {
		a := f.earliest()
		if a == nil || a.at.After(end) {
			break
		}
		if a.at.After(f.now) {
			f.now = a.at
		}
		a.fire()
	}
	f.now = end
}

// AwaitWaiters waits until at least n timers, tickers and After channels are
// armed. A test calls it before Advance, so that the goroutine under test is
// certain to be waiting.
func (f *Fake) AwaitWaiters(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		enough, changed := len(f.armed) >= n, f.changed
		f.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// earliest needs mu.
func (f *Fake) earliest() *alarm {
	var first *alarm
	for a := range f.armed {
		if first == nil || a.at.Before(first.at) {
			first = a
		}
	}
	return first
}

// alarm is what a fake timer and a fake ticker have in common. Its fields
// belong to clock.mu.
type alarm struct {
	clock  *Fake
	c      chan time.Time
	at     time.Time
	period time.Duration // 0 for a timer
}

// arm sets the alarm to d from now and reports whether it was armed before.
func (a *alarm) arm(d, period time.Duration) bool {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	was := a.disarm()
	a.at, a.period = a.clock.now.Add(d), period
	a.clock.armed[a] = struct{}{}
	if d <= 0 {
		a.fire()
	}
	a.clock.notify()
	return was
}

func (a *alarm) stop() bool {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	was := a.disarm()
	a.clock.notify()
	return was
}

// disarm also takes back a value that nobody has received yet.
func (a *alarm) disarm() bool {
	_, was := a.clock.armed[a]
	delete(a.clock.armed, a)
	select {
	case <-a.c:
		was = true
	default:
	}
	return was
}

func (a *alarm) fire() {
	select {
	case a.c <- a.at:
	default: // a slow receiver: this tick is lost
	}
	if a.period > 0 {
		a.at = a.at.Add(a.period)
		return
	}
	delete(a.clock.armed, a)
	a.clock.notify()
}

// notify needs mu.
func (f *Fake) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

type fakeTimer struct{ a *alarm }

func (t fakeTimer) C() <-chan time.Time        { return t.a.c }
func (t fakeTimer) Stop() bool                 { return t.a.stop() }
func (t fakeTimer) Reset(d time.Duration) bool { return t.a.arm(d, 0) }

type fakeTicker struct{ a *alarm }

func (t fakeTicker) C() <-chan time.Time { return t.a.c }
func (t fakeTicker) Stop()               { t.a.stop() }
func (t fakeTicker) Reset(d time.Duration) {
	if d <= 0 {
		panic("clock: ticker period must be above zero")
	}
	t.a.arm(d, d)
}
