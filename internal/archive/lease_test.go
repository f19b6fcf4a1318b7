package archive

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"limpet"
	"limpet/clock"
	"limpet/internal/target"
	"limpet/vfs"
)

const shortTTL = 150 * time.Millisecond

func docOf(holder string) leaseDoc {
	return leaseDoc{Holder: holder, Source: "host:/data", TTL: shortTTL}
}

func newTarget(t *testing.T) *target.Store {
	t.Helper()
	s, err := target.OpenDir(vfs.NewMem(), "/target")
	must(t, err)
	return s
}

func TestLease_HolderLives_TheSecondIsToldByWhom(t *testing.T) {
	s := newTarget(t)
	l, _, err := acquire(ctx, s, clock.Real(), docOf("first"))
	must(t, err)
	keeping, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		l.keep(keeping, func() Progress { return Progress{} }, func(err error) { t.Error(err) })
		close(done)
	}()
	_, _, err = acquire(ctx, s, clock.Real(), docOf("second"))
	if held := wantErr[*HeldError](t, err); held.Holder != "first" || held.Source != "host:/data" {
		t.Errorf("held by %+v", held)
	}
	stop()
	<-done
	must(t, l.release(ctx, Progress{Segment: 7}))
	next, before, err := acquire(ctx, s, clock.Real(), docOf("second"))
	must(t, err)
	if next.doc.Number != 2 || before.Segment != 7 || before.Holder != "first" {
		t.Errorf("lease %+v after %+v", next.doc, before)
	}
}

// The holder's own clock may say anything: expiry is told by the target's.
func TestLease_HolderDied_IsTakenOnceItHasRunOutByTheTargetsClock(t *testing.T) {
	for _, skew := range []time.Duration{0, -time.Hour, time.Hour} {
		t.Run(fmt.Sprint(skew), func(t *testing.T) {
			s := newTarget(t)
			wrong := clock.NewFake(time.Now().Add(skew))
			_, _, err := acquire(ctx, s, wrong, docOf("dead"))
			must(t, err)
			died := time.Now()
			_, _, err = acquire(ctx, s, clock.Real(), docOf("next"))
			must(t, err)
			if waited := time.Since(died); waited < shortTTL/2 {
				t.Errorf("taken after %v, it ran for %v", waited, shortTTL)
			}
		})
	}
}

func TestLease_TakenOver_TheOldHolderStopsShipping(t *testing.T) {
	s := newTarget(t)
	slow := clock.NewFake(time.Now())
	old, _, err := acquire(ctx, s, slow, docOf("asleep"))
	must(t, err)
	_, _, err = acquire(ctx, s, clock.Real(), docOf("awake"))
	must(t, err)
	must(t, old.held(ctx, Progress{})) // it does not know yet, and by its clock it need not
	slow.Advance(shortTTL)
	for range 2 {
		if err := old.held(ctx, Progress{}); !errors.Is(err, ErrLeaseLost) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestLease_ManyAtOnce_OneWins(t *testing.T) {
	s := newTarget(t)
	const many = 10
	trying, giveUp := context.WithCancel(ctx)
	results := make(chan error, many)
	for i := range many {
		go func() {
			doc := docOf(fmt.Sprint("archiver ", i))
			doc.TTL = time.Hour // the others would wait for an eighth of it
			l, _, err := acquire(trying, s, clock.Real(), doc)
			if err == nil && l.doc.Number != 1 {
				err = fmt.Errorf("lease %d", l.doc.Number)
			}
			results <- err
		}()
	}
	must(t, <-results)
	giveUp()
	for range many - 1 {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("another one: %v", err)
		}
	}
}

// Two archivers of one source that both believe to hold the lease: the chain has
// no fork, and the one that has lost it stops.
func TestArchiver_FencedByTheChain_TheSleeperFindsItsNumberTaken(t *testing.T) {
	s := newSource(t, limpet.Options{Timestamps: true})
	old := s.archiver(Options{TTL: shortTTL})
	old.step()
	s.count(2)
	old.step()
	old.ended = true
	defer old.follow.Close()
	old.lease.clock = clock.NewFake(old.lease.renewed) // it sleeps, and its clock with it
	fresh := &stepper{t: t, Archiver: New(s.target, Options{FS: s.fs, Dir: "/data", Holder: "fresh", TTL: time.Hour})}
	must(t, fresh.takeLease(ctx))
	defer fresh.end()
	s.count(1)
	fresh.step()
	s.count(1)
	if err := old.pass(ctx, &old.attached); !errors.Is(err, ErrLeaseLost) {
		t.Fatalf("the sleeper: %v", err)
	}
	fresh.step()
	if spans := s.read().Timelines(); len(spans) != 1 || spans[0].Last != 3 {
		t.Fatalf("%d timelines, %d segments", len(spans), spans[0].Last)
	}
	s.wantCounter(secondOf(3), "4")
}
