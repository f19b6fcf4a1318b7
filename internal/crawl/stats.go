package crawl

import "sync/atomic"

// Stats counts what a crawler has done since it was made. Counts of pages are of
// what this crawler did, not of what a seed has: that is tracking's Progress.
type Stats struct {
	Seeds   int64 // now: seeds that have, or may have, work
	Working int64 // now: pages with a worker

	Claimed   int64 // leases given to it
	Fetched   int64 // pages that answered
	Bytes     int64 // of their bodies, on the wire
	Icons     int64 // favicons fetched
	Crawled   int64
	Failed    int64 // for good
	Retried   int64 // attempts that failed and will be repeated
	Skipped   int64
	Released  int64 // pages given back
	Stale     int64 // results thrown away: the lease was no longer held
	Abandoned int64 // results that the store did not take before the lease was over
	Reaped    int64 // pages taken from dead workers
	Panics    int64 // pages that broke the extraction

	Links       int64 // links within the site
	LinksSent   int64 // of those and of redirects, pages that the store was not known to have
	StoreErrors int64 // calls that the store did not answer as it should
}

// counters are Stats in the making.
type counters struct {
	seeds, working atomic.Int64

	claimed, fetched, bytes, icons             atomic.Int64
	crawled, failed, retried, skipped          atomic.Int64
	released, stale, abandoned, reaped, panics atomic.Int64
	links, sent, storeErrors                   atomic.Int64
}

// Stats returns the counts as they are now.
func (c *Crawler) Stats() Stats {
	n := &c.counts
	return Stats{
		Seeds: n.seeds.Load(), Working: n.working.Load(),
		Claimed: n.claimed.Load(), Fetched: n.fetched.Load(), Bytes: n.bytes.Load(), Icons: n.icons.Load(),
		Crawled: n.crawled.Load(), Failed: n.failed.Load(), Retried: n.retried.Load(), Skipped: n.skipped.Load(),
		Released: n.released.Load(), Stale: n.stale.Load(), Abandoned: n.abandoned.Load(), Reaped: n.reaped.Load(),
		Panics: n.panics.Load(), Links: n.links.Load(), LinksSent: n.sent.Load(), StoreErrors: n.storeErrors.Load(),
	}
}
