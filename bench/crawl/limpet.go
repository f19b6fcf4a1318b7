package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet"
	"limpet/internal/crawl"
	"limpet/internal/fetch"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
	"limpet/server"
)

const seed = weburl.Seed("test.com")

// withLimpet crawls as `limpet up` does: all features, every page tracked in the
// embedded store, synced every second.
func withLimpet(ctx context.Context, addr string, concurrency int) (r run, err error) {
	dir, err := os.MkdirTemp("", "limpet-bench-store-")
	if err != nil {
		return run{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := limpet.Open(dir, &limpet.Options{Fsync: limpet.EverySec})
	if err != nil {
		return run{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store := server.New(db, server.Options{})
	defer func() { err = errors.Join(err, store.Close()) }()
	client := redis.NewClient(&redis.Options{Addr: "embedded", Dialer: store.Dial, PoolSize: 2 * concurrency})
	defer func() { err = errors.Join(err, client.Close()) }()
	pages, err := fetcher(addr, concurrency)
	if err != nil {
		return run{}, err
	}
	defer pages.Close()
	tracker := tracking.New(client, tracking.Options{})
	return crawlOnce(ctx, tracker, crawl.New(crawl.Options{Tracker: tracker, Fetch: pages, Workers: concurrency}))
}

func fetcher(addr string, concurrency int) (*fetch.Client, error) {
	rule, err := fetch.ParseConnectTo("::" + addr)
	if err != nil {
		return nil, err
	}
	return fetch.New(fetch.Options{
		UserAgent: "limpet-bench/1.0 (+https://limpet.example/about)",
		PerHost:   concurrency,
		ConnectTo: []fetch.ConnectTo{rule},
		AllowNet:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
}

func crawlOnce(ctx context.Context, tracker *tracking.Tracker, c *crawl.Crawler) (run, error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	began := time.Now()
	_, err := tracker.Submit(ctx, crawl.SubmitURL(seed, "http://test.com/"))
	var progress tracking.Progress
	if err == nil {
		c.Wake(seed)
		progress, err = awaitEnd(ctx, tracker)
	}
	took := time.Since(began)
	cancel()
	if err := errors.Join(err, <-done); err != nil {
		return run{}, err
	}
	report, err := tracker.Audit(context.WithoutCancel(ctx), seed, false)
	if err == nil && !report.Clean() {
		err = fmt.Errorf("audit: %+v", report)
	}
	return run{int(progress.Total), took}, err
}

// awaitEnd looks every few milliseconds, which costs Limpet next to nothing and
// no more than that.
func awaitEnd(ctx context.Context, tracker *tracking.Tracker) (tracking.Progress, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		p, err := tracker.Progress(ctx, seed)
		if err != nil || p.Status == tracking.Completed {
			return p, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
}
