package crawl

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/tracking"
)

// logBuffer is a log that a test may read while it is written.
type logBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// impatient repeats no call, so that an outage reaches the crawler at once.
func (b *bench) impatient() *tracking.Tracker {
	return tracking.New(b.client, tracking.Options{Tries: 1})
}

func TestOutage_ShorterThanTheLease_ResultIsKept_LoggedOnce(t *testing.T) {
	b := newBench(t, "--appendonly", "yes", "--appendfsync", "always")
	g, all := gated(b, 3)
	var log logBuffer
	c := b.crawler(func(o *Options) {
		o.Tracker, o.Logger = b.impatient(), slog.New(slog.NewTextHandler(&log, nil))
	})
	b.submit()
	stop := b.start(c)
	for range 3 {
		<-g.waiting
	}
	b.redis.Kill()
	g.lift()
	b.awaitOutage(c, 5)
	b.redis.Restart()
	b.awaitStatus(tracking.Completed)
	stop()
	b.wantIn(tracking.StateCrawled, all...)
	b.wantExact()
	for _, name := range all {
		if n := b.site.hit(name); n != 1 {
			t.Errorf("%s was fetched %d times", name, n)
		}
	}
	if log.count("does not answer") != 1 || log.count("answers again") != 1 {
		t.Errorf("log:\n%s", log.b.String())
	}
}

// awaitOutage waits for calls that the store has not answered as it should.
func (b *bench) awaitOutage(c *Crawler, calls int64) {
	b.Helper()
	b.awaitStats(c, func(s Stats) bool { return s.StoreErrors >= calls })
}

// awaitStats is await without the store.
func (b *bench) awaitStats(c *Crawler, done func(Stats) bool) {
	b.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done(c.Stats()) {
		select {
		case <-deadline:
			b.Fatalf("waited 20 s; stats %+v", c.Stats())
		case <-tick.C:
		}
	}
}

func TestOutage_LongerThanTheLease_ResultIsGivenUp(t *testing.T) {
	b := newBench(t, "--appendonly", "yes", "--appendfsync", "always")
	g, all := gated(b, 1)
	c := b.crawler(func(o *Options) { o.Tracker, o.Lease = b.impatient(), 300*time.Millisecond })
	b.submit()
	stop := b.start(c)
	<-g.waiting
	b.redis.Kill()
	g.lift()
	b.awaitStats(c, func(s Stats) bool { return s.Abandoned > 0 })
	b.redis.Restart()
	b.awaitStatus(tracking.Completed)
	stop()
	b.wantIn(tracking.StateCrawled, all...)
	b.wantExact()
}

func TestOutage_StoreRefusesWrites_CrawlWaits(t *testing.T) {
	b := newBench(t)
	g, all := gated(b, 5)
	b.submit()
	c := b.crawler()
	stop := b.start(c)
	<-g.waiting
	b.redis.Do("config", "set", "maxmemory", "1")
	g.lift()
	b.awaitOutage(c, 5)
	b.redis.Do("config", "set", "maxmemory", "0")
	b.awaitStatus(tracking.Completed)
	stop()
	b.wantIn(tracking.StateCrawled, all...)
	b.wantExact()
}

func TestAlone_WhatADeadProcessHadInFlight_GoesOnAtOnce(t *testing.T) {
	b := newBench(t)
	all := b.site.tree(20, 4)
	b.submit()
	client := redis.NewClient(&redis.Options{Addr: b.redis.Addr(), MaxRetries: -1})
	if leases, _, err := newTracker(client).Claim(t.Context(), testSeed, 10, time.Hour); err != nil || len(leases) != 1 {
		t.Fatal(leases, err)
	}
	_ = client.Close()
	b.crawlAll(b.crawler(func(o *Options) { o.Alone = true }))
	b.wantIn(tracking.StateCrawled, all...)
}
