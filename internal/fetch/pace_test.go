package fetch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"limpet/clock"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// acquired starts acquire and returns where its outcome will come.
func acquired(ctx context.Context, p *pacer, host string, delay time.Duration) <-chan *Error {
	done := make(chan *Error, 1)
	go func() {
		release, err := p.acquire(ctx, host, delay)
		if err == nil {
			release()
		}
		done <- err
	}()
	return done
}

func await(t *testing.T, f *clock.Fake, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := f.AwaitWaiters(ctx, n); err != nil {
		t.Fatal("nobody waits:", err)
	}
}

func mustAcquire(t *testing.T, p *pacer, host string, delay time.Duration) func() {
	t.Helper()
	release, err := p.acquire(t.Context(), host, delay)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func TestPacer_Delay_SpacesStarts(t *testing.T) {
	f := clock.NewFake(epoch)
	p := newPacer(f, 4, 2*time.Second, time.Minute)
	mustAcquire(t, p, "a", 0)()
	if got := p.ready("a"); got != 2*time.Second {
		t.Errorf("ready in %s, want 2s", got)
	}
	if got := p.ready("b"); got != 0 {
		t.Errorf("another host is ready in %s", got)
	}
	done := acquired(t.Context(), p, "a", 0)
	await(t, f, 1)
	f.Advance(2*time.Second - 1)
	select {
	case err := <-done:
		t.Fatal("the second request started too early, or failed:", err)
	default:
	}
	f.Advance(1)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestPacer_CrawlDelay_CountsWhenLonger(t *testing.T) {
	f := clock.NewFake(epoch)
	p := newPacer(f, 4, 2*time.Second, time.Minute)
	mustAcquire(t, p, "a", 10*time.Second)()
	mustAcquire(t, p, "b", time.Second)()
	if a, b := p.ready("a"), p.ready("b"); a != 10*time.Second || b != 2*time.Second {
		t.Errorf("ready in %s and %s, want 10s and 2s", a, b)
	}
}

func TestPacer_Parallel_IsNeverExceeded(t *testing.T) {
	p := newPacer(clock.Real(), 3, 0, time.Minute)
	var now, most atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				release, err := p.acquire(context.Background(), "a", 0)
				if err != nil {
					t.Error(err)
					return
				}
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				now.Add(-1)
				release()
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 {
		t.Errorf("%d at once, want at most 3", most.Load())
	}
}

func TestPacer_AllSlotsTaken_IsNotReady(t *testing.T) {
	p := newPacer(clock.NewFake(epoch), 1, 0, time.Minute)
	release := mustAcquire(t, p, "a", 0)
	if p.ready("a") == 0 {
		t.Error("ready with no slot left")
	}
	release()
	if p.ready("a") != 0 {
		t.Error("not ready with a free slot")
	}
}

func TestPacer_LongWait_IsDeferredAtOnce(t *testing.T) {
	p := newPacer(clock.NewFake(epoch), 1, 0, 30*time.Second)
	p.postpone("a", time.Hour)
	_, err := p.acquire(t.Context(), "a", 0)
	if err == nil || err.Kind != KindDeferred || !err.Retryable || err.RetryAfter != time.Hour {
		t.Errorf("got %+v, want it deferred for an hour", err)
	}
}

func TestPacer_PostponedWhileWaiting_IsDeferred(t *testing.T) {
	f := clock.NewFake(epoch)
	p := newPacer(f, 1, 0, 30*time.Second)
	p.postpone("a", time.Second)
	done := acquired(t.Context(), p, "a", 0)
	await(t, f, 1)
	p.postpone("a", time.Minute)
	if err := <-done; err == nil || err.Kind != KindDeferred {
		t.Errorf("got %v", err)
	}
}

func TestPacer_HostThatHangs_DefersTheOthers(t *testing.T) {
	f := clock.NewFake(epoch)
	p := newPacer(f, 1, 0, 30*time.Second)
	release := mustAcquire(t, p, "a", 0)
	defer release()
	done := acquired(t.Context(), p, "a", 0)
	await(t, f, 1)
	f.Advance(30 * time.Second)
	if err := <-done; err == nil || err.Kind != KindDeferred {
		t.Errorf("got %v", err)
	}
}

func TestPacer_Cancelled_LeavesNoSlotTaken(t *testing.T) {
	f := clock.NewFake(epoch)
	p := newPacer(f, 1, 0, time.Minute)
	release := mustAcquire(t, p, "a", 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := acquired(ctx, p, "a", 0)
	await(t, f, 1)
	cancel()
	if err := <-done; err == nil || err.Kind != KindCancelled {
		t.Errorf("got %v", err)
	}
	release()
	if p.ready("a") != 0 {
		t.Error("a slot is lost")
	}
}

func TestPacer_IdleHosts_AreForgotten(t *testing.T) {
	f := clock.NewFake(epoch)
	p := newPacer(f, 1, time.Second, time.Minute)
	busy := mustAcquire(t, p, "busy", 0)
	p.postpone("paced", 48*time.Hour)
	for i := range 20 * minSweep {
		mustAcquire(t, p, fmt.Sprint("host", i), 0)()
		f.Advance(2 * time.Second)
	}
	if n := len(p.hosts); n > 2*minSweep {
		t.Errorf("%d hosts are kept", n)
	}
	if p.ready("paced") == 0 || p.ready("busy") == 0 {
		t.Error("a host that may not be asked was forgotten")
	}
	busy()
}
