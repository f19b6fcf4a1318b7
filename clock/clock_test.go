package clock

import (
	"context"
	"errors"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func received(c <-chan time.Time) (time.Time, bool) {
	select {
	case t := <-c:
		return t, true
	default:
		return time.Time{}, false
	}
}

func TestFake_StandsStillUntilAdvanced(t *testing.T) {
	f := NewFake(start)
	timer := f.NewTimer(time.Second)
	f.Advance(time.Second - 1)
	if _, ok := received(timer.C()); ok {
		t.Fatal("timer fired a nanosecond early")
	}
	f.Advance(1)
	if at, ok := received(timer.C()); !ok || !at.Equal(start.Add(time.Second)) {
		t.Fatalf("timer fired: %v at %v", ok, at)
	}
	if !f.Now().Equal(start.Add(time.Second)) {
		t.Fatalf("now is %v", f.Now())
	}
}

func TestFake_AlarmsFireAtTheirOwnMoments(t *testing.T) {
	f := NewFake(start)
	late, early := f.After(3*time.Second), f.After(time.Second)
	f.Advance(time.Minute)
	if at, _ := received(early); !at.Equal(start.Add(time.Second)) {
		t.Errorf("early fired at %v", at)
	}
	if at, _ := received(late); !at.Equal(start.Add(3 * time.Second)) {
		t.Errorf("late fired at %v", at)
	}
}

func TestFake_StopAndReset_LeaveNoStaleValue(t *testing.T) {
	f := NewFake(start)
	timer := f.NewTimer(time.Second)
	f.Advance(time.Second)
	if !timer.Reset(time.Second) {
		t.Error("a value that nobody received counts as armed")
	}
	if _, ok := received(timer.C()); ok {
		t.Error("stale value after Reset")
	}
	if !timer.Stop() || timer.Stop() {
		t.Error("Stop must report true once")
	}
	f.Advance(time.Hour)
	if _, ok := received(timer.C()); ok {
		t.Error("a stopped timer fired")
	}
}

func TestFake_Ticker_KeepsItsPeriodAndDropsMissedTicks(t *testing.T) {
	f := NewFake(start)
	ticker := f.NewTicker(time.Second)
	f.Advance(3500 * time.Millisecond)
	if at, ok := received(ticker.C()); !ok || !at.Equal(start.Add(time.Second)) {
		t.Errorf("first tick: %v %v", at, ok)
	}
	if _, ok := received(ticker.C()); ok {
		t.Error("more than one tick waited")
	}
	f.Advance(500 * time.Millisecond)
	if at, ok := received(ticker.C()); !ok || !at.Equal(start.Add(4*time.Second)) {
		t.Errorf("the period drifted: %v %v", at, ok)
	}
	ticker.Stop()
	f.Advance(time.Hour)
	if _, ok := received(ticker.C()); ok {
		t.Error("a stopped ticker ticked")
	}
}

func TestFake_ZeroTimer_FiresAtOnce(t *testing.T) {
	if _, ok := received(NewFake(start).After(0)); !ok {
		t.Error("After(0) did not fire")
	}
}

func TestFake_AwaitWaiters_SeesAGoroutineArrive(t *testing.T) {
	f := NewFake(start)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	woken := make(chan time.Time)
	go func() { woken <- <-f.After(time.Second) }()
	if err := f.AwaitWaiters(ctx, 1); err != nil {
		t.Fatal(err)
	}
	f.Advance(time.Second)
	if at := <-woken; !at.Equal(start.Add(time.Second)) {
		t.Errorf("woken at %v", at)
	}
	gone, stop := context.WithCancel(ctx)
	stop()
	if err := f.AwaitWaiters(gone, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more, got %v", err)
	}
}

func TestReal_TimersAndTickersFire(t *testing.T) {
	c := Real()
	before := c.Now()
	<-c.After(time.Millisecond)
	timer, ticker := c.NewTimer(time.Millisecond), c.NewTicker(time.Millisecond)
	defer ticker.Stop()
	<-timer.C()
	<-ticker.C()
	if timer.Stop() {
		t.Error("a timer that has fired cannot be stopped")
	}
	if c.Now().Sub(before) < 2*time.Millisecond {
		t.Error("time did not pass")
	}
}

func TestEvery_CallsEachPeriod_AndStopWaitsForTheCall(t *testing.T) {
	c := NewFake(time.Unix(0, 0))
	calls, n, ended := make(chan struct{}), 0, false // n and ended are read when stop has returned
	stop := Every(t.Context(), c, time.Minute, func(ctx context.Context) {
		calls <- struct{}{}
		if n++; n == 4 {
			<-ctx.Done()
			ended = true
		}
	})
	for range 3 {
		select {
		case <-calls:
			t.Fatal("called before the time")
		default:
		}
		c.Advance(time.Minute)
		<-calls
	}
	c.Advance(time.Minute)
	<-calls
	stop()
	if n != 4 || !ended {
		t.Errorf("stop did not wait for call %d", n)
	}
	c.Advance(time.Hour)
	select {
	case <-calls:
		t.Error("called after stop")
	default:
	}
}
