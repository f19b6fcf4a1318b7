package trackingtest

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/tracking"
)

// Benchmark measures what tracking costs a page: claimed in batches of 16,
// completed with 100 links of which 90 are known and 10 are new, and a record of
// 2,000 bytes. The store is to be empty.
func Benchmark(b *testing.B, client redis.UniversalClient) {
	w := newBench(b, client)
	w.submit(span(0, 100)...)
	record := make([]byte, 2000)
	known := refs(1, span(0, 90)...)
	next := 100
	var leases []tracking.Lease
	b.ReportAllocs()
	for done := 0; b.Loop(); done++ {
		if done%16 == 0 {
			leases = w.claim(16)
		}
		l := leases[done%16]
		children := append(known[:90:90], refs(1, span(next, next+10)...)...)
		next += 10
		r, err := w.Complete(w.ctx, l, tracking.Completion{Record: record, Children: children})
		if err != nil || r.Outcome != tracking.Done || r.Discovered.Known < 90 {
			b.Fatalf("complete: %+v, %v", r, err)
		}
	}
}

// Crawl submits the test seed with a number of pages and crawls all of them,
// for those who want a finished seed to look at.
func Crawl(t testing.TB, client redis.UniversalClient, pages int) (*tracking.Tracker, tracking.Progress) {
	b := newBench(t, client)
	b.submit(0)
	b.complete(b.claimOne(), refs(1, span(1, pages)...)...)
	for {
		leases, _, err := b.Claim(b.ctx, seed, 256, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if len(leases) == 0 {
			return b.Tracker, b.progress()
		}
		for _, l := range leases {
			b.complete(l)
		}
	}
}
