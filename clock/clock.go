package clock

import "time"

// Clock tells the time and wakes those who wait for it.
type Clock interface {
	// Now is the current wall-clock time.
	Now() time.Time
	// After delivers the time once, d from now. It cannot be cancelled; use
	// NewTimer where the wait may end early.
	After(d time.Duration) <-chan time.Time
	NewTimer(d time.Duration) Timer
	// NewTicker panics unless d > 0, as time.NewTicker does.
	NewTicker(d time.Duration) Ticker
}

// Timer fires once. After Stop or Reset returns, C holds no value of the
// earlier setting (the rule of package time since Go 1.23).
type Timer interface {
	C() <-chan time.Time
	// Stop reports whether it kept the timer from firing.
	Stop() bool
	// Reset arms the timer anew and reports whether it was still armed.
	Reset(d time.Duration) bool
}

// Ticker fires every period. A receiver that falls behind loses ticks and
// never finds more than one waiting.
type Ticker interface {
	C() <-chan time.Time
	Stop()
	Reset(d time.Duration)
}

// Real is the machine's clock.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time                         { return time.Now() }
func (realClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
func (realClock) NewTimer(d time.Duration) Timer         { return realTimer{time.NewTimer(d)} }
func (realClock) NewTicker(d time.Duration) Ticker       { return realTicker{time.NewTicker(d)} }

type realTimer struct{ *time.Timer }

func (t realTimer) C() <-chan time.Time { return t.Timer.C }

type realTicker struct{ *time.Ticker }

func (t realTicker) C() <-chan time.Time { return t.Ticker.C }
