// Package crawl is the loop: claim pages, fetch them, extract their features,
// complete them.
//
// One goroutine, the scheduler, decides what is worked on next; the workers do
// it; upkeep looks for what others left lying.
//
//	          claims                       work
//	tracking ───────▶ scheduler (site.go) ──────▶ workers (page.go)
//	   ▲                  ▲       ▲                  │      │
//	   │                  │       └──── endings ─────┘      │
//	   │                  │ Wake                            │
//	   │    upkeep.go ────┘                                 │
//	   └──────────── complete, fail, skip, release ─────────┘
//
// Where to read what:
//
//	scheduler.go  the loop, and how it ends
//	claim.go      how many pages to claim, of which seed, and when
//	site.go       the pages of one seed that are claimed and not begun
//	heartbeat.go  leases that outlast their time
//	page.go       the life of one page
//	failure.go    what is tried again, and when
//	settle.go     telling the store, also while it is away
//	known.go      links that need not be sent again
//	icons.go      each icon is fetched once
//	upkeep.go     seeds submitted elsewhere, leases of dead workers
//	submit.go     how a domain becomes a crawl
//
// What always holds:
//
//  1. A page is only ever worked on under a lease, and ends by one call that
//     carries the lease's token. The count is tracking's; nothing here can bend it.
//  2. A lease that is held is being worked on or soon will be: pages are claimed
//     in the measure in which their hosts take requests, and given back when a
//     host turns out to want long pauses.
//  3. A worker never waits for a host's pace. Pages wait for their hosts with the
//     scheduler; pages of other hosts go first.
//  4. Run returns with nothing of it running. What could not be finished in time
//     was given back; what could not be given back lapses.
//  5. No page, whatever is in it, ends the process.
package crawl
