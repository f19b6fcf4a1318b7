package metrics

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"limpet/clock"
)

var start = time.Date(2026, 11, 23, 14, 3, 22, 0, time.UTC)

// question is a probe whose answers a test gives by hand.
type question struct {
	*probe[int]
	now   *clock.Fake
	asked atomic.Int32
	reply chan any // an int or an error
	log   bytes.Buffer
}

func newQuestion(t *testing.T, fresh time.Duration) *question {
	q := &question{now: clock.NewFake(start), reply: make(chan any)}
	q.probe = &probe[int]{
		Options: Options{q.now, slog.New(slog.NewTextHandler(&q.log, nil))}, subject: "the sea", fresh: fresh, wait: 3 * time.Second, timeout: time.Hour,
		ask: func(ctx context.Context) (int, error) {
			q.asked.Add(1)
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case r := <-q.reply:
				if err, bad := r.(error); bad {
					return 0, err
				}
				return r.(int), nil
			}
		},
	}
	t.Cleanup(q.close)
	return q
}

// getting asks in the background.
func (q *question) getting() (result func() (int, error)) {
	var n int
	var err error
	var done sync.WaitGroup
	done.Go(func() { n, err = q.get() })
	return func() (int, error) { done.Wait(); return n, err }
}

func (q *question) want(t *testing.T, n, asked int) {
	t.Helper()
	if got, err := q.get(); got != n || err != nil || int(q.asked.Load()) != asked {
		t.Errorf("%d, %v after %d questions, want %d after %d", got, err, q.asked.Load(), n, asked)
	}
}

// settled waits until nothing is being asked.
func (q *question) settled(t *testing.T) {
	t.Helper()
	eventually(t, "the answer is there", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.running == nil })
}

// However many scrapers there are, and however often they come, a target is asked
// once a minute, and the answer is refreshed beside the scrapes.
func TestProbe_IsAskedOnceAMinute_AndRefreshesBesideTheScrapes(t *testing.T) {
	q := newQuestion(t, time.Minute)
	first, second := q.getting(), q.getting()
	q.reply <- 1
	for _, result := range []func() (int, error){first, second} {
		if n, err := result(); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	for range 100 {
		q.want(t, 1, 1)
	}
	q.now.Advance(time.Minute)
	if n, err := q.get(); n != 1 || err != nil { // begins to ask, and does not wait for it
		t.Errorf("%d, %v", n, err)
	}
	eventually(t, "it is asked again", func() bool { return q.asked.Load() == 2 })
	q.want(t, 1, 2)
	q.reply <- 2
	q.settled(t)
	q.want(t, 2, 2)
}

// An answer that nobody has asked for in an hour is not given as that of now.
func TestProbe_OldAnswer_IsWaitedFor(t *testing.T) {
	q := newQuestion(t, time.Minute)
	result := q.getting()
	q.reply <- 1
	_, _ = result()
	q.now.Advance(time.Hour)
	result = q.getting()
	q.reply <- 2
	if n, err := result(); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// What hangs does not hang the scrape, and is not asked a second time meanwhile;
// the log says so once, and once more when it answers again.
func TestProbe_NoAnswer_TheScrapeEndsAndTheLogSaysSoOnce(t *testing.T) {
	q := newQuestion(t, 0)
	for range 3 {
		result := q.getting()
		eventually(t, "it is asked", func() bool { return q.asked.Load() > 0 })
		must(t, q.now.AwaitWaiters(context.Background(), 1))
		q.now.Advance(3 * time.Second)
		if _, err := result(); err == nil || !strings.Contains(err.Error(), "no answer within 3s") {
			t.Errorf("error %v", err)
		}
	}
	if q.asked.Load() != 1 {
		t.Errorf("asked %d times", q.asked.Load())
	}
	q.reply <- 1
	q.settled(t)
	result := q.getting()
	q.reply <- 2
	if n, err := result(); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if log := q.log.String(); strings.Count(log, "no metrics of the sea") != 1 || strings.Count(log, "metrics again of the sea") != 1 {
		t.Errorf("log: %s", log)
	}
}

func TestProbe_Error_IsTriedAgainAfterAMinute(t *testing.T) {
	q := newQuestion(t, time.Hour)
	result := q.getting()
	q.reply <- errors.New("storm")
	if _, err := result(); err == nil {
		t.Error("no error")
	}
	if _, err := q.get(); err == nil || q.asked.Load() != 1 {
		t.Errorf("asked %d times, %v", q.asked.Load(), err)
	}
	q.now.Advance(time.Minute)
	result = q.getting()
	q.reply <- 5
	if n, err := result(); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestProbe_Closed_AsksNoMore(t *testing.T) {
	q := newQuestion(t, 0)
	result := q.getting()
	eventually(t, "it is asked", func() bool { return q.asked.Load() == 1 })
	q.close()
	if _, err := result(); !errors.Is(err, errClosed) {
		t.Errorf("error %v", err)
	}
	if _, err := q.get(); !errors.Is(err, errClosed) || q.asked.Load() != 1 {
		t.Errorf("asked %d times, error %v", q.asked.Load(), err)
	}
	unused := newQuestion(t, 0)
	unused.close()
	if _, err := unused.get(); !errors.Is(err, errClosed) || unused.asked.Load() != 0 {
		t.Errorf("asked %d times, error %v", unused.asked.Load(), err)
	}
}
