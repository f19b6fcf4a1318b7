package crawl

import (
	"context"
	"errors"
	"slices"
	"time"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// claimMore keeps about as many pages ready as there are workers, claimed of the
// seeds in turn.
func (s *scheduler) claimMore(now time.Time, wake *time.Time) {
	s.forgetUnused()
	want := 2*s.Workers - s.asked
	for _, site := range s.ring {
		if !now.Before(site.lookAt) {
			want -= len(site.waiting)
		}
	}
	n := len(s.ring)
	first := s.asker
	for i := range n {
		site := s.ring[(first+i)%n]
		if site.ended || site.claiming || len(site.waiting) > site.batch/2 {
			continue
		}
		if now.Before(site.claimAt) {
			sooner(wake, site.claimAt)
			continue
		}
		// A claim of a few pages costs the store as much as one of many.
		if want < min(site.batch, s.Workers) {
			return
		}
		want -= site.batch
		s.asker = first + i + 1
		s.claim(site, site.batch)
	}
}

func (s *scheduler) forgetUnused() {
	before := len(s.ring)
	s.ring = slices.DeleteFunc(s.ring, func(site *site) bool {
		if site.unused() {
			delete(s.sites, site.seed)
			return true
		}
		return false
	})
	if len(s.ring) != before {
		s.counts.seeds.Store(int64(len(s.ring)))
	}
}

// claim asks the store for pages, beside the loop.
func (s *scheduler) claim(site *site, n int) {
	site.claiming, site.again = true, false
	s.asked += n
	s.out++
	go func() {
		leases, info, err := s.Tracker.Claim(s.ctx, site.seed, n, s.Lease)
		s.events <- func() {
			s.out--
			s.asked -= n
			site.claiming = false
			s.claimed(site, n, leases, info, err)
		}
	}()
}

// claimed takes what a claim has brought, and decides about the next.
func (s *scheduler) claimed(site *site, n int, leases []tracking.Lease, info tracking.ClaimInfo, err error) {
	now := s.Clock.Now()
	s.counts.claimed.Add(int64(len(leases)))
	for _, l := range leases {
		s.hold(site, l, info.Run, now)
	}
	switch {
	case errors.Is(err, tracking.ErrUnknownSeed):
		site.ended = true
	case s.ctx.Err() != nil: // the end of the work broke it off
	case err != nil:
		s.unanswered(err)
		site.claimAt = now.Add(storeWait(site.failed))
		site.failed++
	default:
		s.answered()
		site.failed = 0
		site.pace(now, n, len(leases), s.Workers)
		site.ended = info.Status != tracking.Running
		site.claimAt = now
		if len(leases) < n {
			site.claimAt = now.Add(site.patience(info, len(leases)))
		}
		if site.again {
			site.wake()
		}
	}
	if len(leases) > 0 {
		site.lookAt = time.Time{}
	}
}

// hold makes a page of a lease.
func (s *scheduler) hold(site *site, l tracking.Lease, run string, now time.Time) {
	site.remember(l.Generation, run)
	site.known.add(l.PageID)
	p := &page{
		Lease: l, site: site, next: l.URL, host: weburl.Split(l.URL).Host,
		known: site.known, icons: site.icons, start: site.start,
	}
	p.ctx, p.cancel = context.WithCancel(s.ctx)
	p.extended(now, s.Lease)
	s.held[p] = struct{}{}
	site.waiting = append(site.waiting, p)
}

// remember gives the seed a new memory when the old one may not hold any more.
func (site *site) remember(generation int64, run string) {
	if site.icons == nil || site.generation != generation {
		site.icons, site.start, site.known = newIcons(), new(start), nil
	}
	if site.known == nil || site.run != run {
		site.known = newKnown(run)
	}
	site.generation, site.run = generation, run
}

// A seed is given as many pages at once as it gets through in about this time, so
// that a crash costs few pages an attempt, and a slow site holds none for long.
const (
	briskly  = 100 * time.Millisecond
	leisured = 250 * time.Millisecond
)

// pace adapts the batch to how fast the seed got through the last one.
func (site *site) pace(now time.Time, asked, got, most int) {
	since := now.Sub(site.claimedAt)
	site.claimedAt = now
	switch {
	case got < asked:
	case since < briskly:
		site.batch = min(2*site.batch, most)
	case since > leisured:
		site.batch = max(site.batch/2, 1)
	}
}

// Waits between claims of a seed that has nothing ready. Pages that end here call
// for a claim by themselves; what the workers of others find can only be asked for.
const (
	firstPoll = 50 * time.Millisecond
	lastPoll  = 2 * time.Second
)

// patience is how long to wait after a claim that brought less than it asked for.
func (site *site) patience(info tracking.ClaimInfo, got int) time.Duration {
	wait := idle
	if info.NextReadyIn >= 0 {
		wait = min(wait, info.NextReadyIn+time.Millisecond)
	}
	switch {
	case got > 0 || site.working+len(site.waiting) > 0:
		site.dry = 0
		wait = min(wait, lastPoll)
	case info.NextLapseIn >= 0: // others have pages
		wait = min(wait, lastPoll, firstPoll<<min(site.dry, 10))
		site.dry++
	}
	return wait
}

// giveBackSlow releases the pages of hosts that want to be left alone for long,
// so that no lease is held idle.
func (s *scheduler) giveBackSlow(site *site, now time.Time) {
	var slow []*page
	var wait time.Duration
	site.waiting = slices.DeleteFunc(site.waiting, func(p *page) bool {
		w := s.Fetch.Ready(p.next)
		if w <= s.Lease/3 {
			return false
		}
		if p.taken != nil { // all but its icon is there
			p.noIcon, site.lookAt = true, time.Time{}
			return false
		}
		slow, wait = append(slow, p), max(wait, w)
		return true
	})
	if len(slow) > 0 {
		s.giveBack(slow)
		// Pages of the seed's other hosts may be behind them in the queue.
		site.claimAt = now.Add(min(wait, s.Lease/2))
		site.batch = 1
	}
}
