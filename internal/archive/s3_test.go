package archive

import (
	"context"
	"errors"
	"testing"
	"time"

	"limpet"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/internal/target/targettest"
)

// On a real S3 server: conditional writes, times of a second's grain, listings.
func TestArchiver_OnS3_GoesOnIsFencedAndRestores(t *testing.T) {
	spec := targettest.StartS3(t).Spec(t, "archive")
	store, err := target.Open(ctx, spec)
	must(t, err)
	defer func() { must(t, store.Close()) }()
	s := newSource(t, limpet.Options{Timestamps: true})
	s.target = store
	run := func(holder string) (*Archiver, func() error) {
		a := New(store, Options{FS: s.fs, Dir: "/data", Holder: holder, Interval: 10 * time.Millisecond, TTL: 3 * time.Second})
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- a.Run(running) }()
		return a, func() error { stop(); return <-ended }
	}
	first, stopFirst := run("first")
	s.count(3)
	eventually(t, "three are shipped", func() bool { return first.Progress().Commands >= 4 })
	err = New(store, Options{FS: s.fs, Dir: "/data", Holder: "second", TTL: 3 * time.Second}).Run(ctx)
	if held := wantErr[*HeldError](t, err); held.Holder != "first" {
		t.Errorf("held by %s", held.Holder)
	}
	must(t, store.Delete(ctx, leaseKey(first.lease.doc.Number)))
	s.rewrite()
	s.count(3)
	eventually(t, "the first one sees that its lease is gone", func() bool {
		first.lease.mu.Lock()
		defer first.lease.mu.Unlock()
		return first.lease.lost != nil
	})
	if err := stopFirst(); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("the first: %v", err)
	}
	second, stopSecond := run("second")
	s.count(3)
	eventually(t, "nine are shipped", func() bool { return second.Progress().Commands >= 10 && second.Progress().Trouble == "" })
	must(t, stopSecond())
	read, err := Open(ctx, store, sealed.Keys{})
	must(t, err)
	p, err := read.PlanEnd(ctx)
	must(t, err)
	if got := counterAt(t, read, p); got != "9" {
		t.Errorf("counter %s, want 9", got)
	}
	for _, span := range read.Timelines() {
		t.Logf("timeline %d: %d segments: %s", span.Number, span.Last, span.Why)
	}
}
