// Package tracking keeps the count of a crawl in a Redis-compatible store, so
// that it is right after any crash.
//
// One idea carries it. The hash P:u holds the state of every page of a seed and
// is the truth; everything else is an index of it. Each script moves one page,
// or one batch of pages, from one state to another together with every index
// and counter, as one atomic step:
//
//	               submit, discover, complete (new links)
//	                              │
//	                              ▼
//	retry_failed ┌──────────▶ Q queued ──── cancel ─────▶ X skipped
//	             │            │  ▲  ▲                       ▲
//	             │      claim │  │  └ fail, reap, release   │ skip
//	             │            ▼  │    (attempts left)       │
//	         F failed ◀────── L leased ─────────────────────┘
//	             fail, reap       │
//	                              ▼ complete
//	                          C crawled
//
// Hence at every instant, for every seed,
//
//	total = |u|   crawled = #C   failed = #F   skipped = #X
//	|q| + |d| = #Q   |l| = #L
//	total = crawled + failed + skipped + queued + delayed + in flight
//
// Pages are fetched at least once and counted exactly once: a page leaves L only
// with the token of the lease that holds it, and a token fits once. A call that
// is repeated after its reply was lost meets its own token and writes nothing.
//
// The package speaks through a [redis.UniversalClient] only; the embedded store,
// one Redis or Valkey and a Cluster are one code path. Keys, states and scripts
// are described for operators in docs/tracking.md.
package tracking
