package crawl

import (
	"context"
	"time"

	"limpet/internal/weburl"
)

// scheduler decides which page is worked on next. All its state belongs to the
// goroutine of run and drain; everybody else sends what is to be done to it as a
// function in events.
type scheduler struct {
	*Crawler
	ctx      context.Context // of the work: outlives Run's context by the grace
	stopWork context.CancelFunc

	work   chan *page  // to the workers, which take a page when they are free
	events chan func() // to the scheduler
	out    int         // goroutines and pages under way that will send their last event

	sites map[weburl.Seed]*site
	ring  []*site // the same, in the order of their turns
	turn  int     // whose page is worked on next
	asker int     // who claims next
	asked int     // pages asked for by claims under way

	held   map[*page]struct{} // every page under a lease of ours
	beatAt time.Time          // when to look for leases to extend
}

func newScheduler(ctx context.Context, c *Crawler) *scheduler {
	s := &scheduler{
		Crawler: c,
		work:    make(chan *page),
		events:  make(chan func(), 4*c.Workers),
		sites:   make(map[weburl.Seed]*site),
		held:    make(map[*page]struct{}),
	}
	s.ctx, s.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// idle is the longest the scheduler sleeps. Everything it waits for wakes it; it
// only guards against a mistake in that.
const idle = 10 * time.Second

// run works until ctx ends.
func (s *scheduler) run(ctx context.Context) {
	timer := s.Clock.NewTimer(idle)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := s.Clock.Now()
		wake := now.Add(idle)
		s.beat(now, &wake)
		s.claimMore(now, &wake)
		p := s.next(now, &wake)
		var work chan<- *page // nil, which takes nothing, without a page
		if p != nil {
			work = s.work
		}
		timer.Reset(wake.Sub(now))
		select {
		case work <- p:
			s.begun(p, now)
		case do := <-s.events:
			do()
		case <-s.woken.signal:
			s.takeWoken()
		case <-timer.C():
		case <-ctx.Done():
		}
	}
}

// next is the page to be worked on, of the seeds in turn. It stays where it is
// until a worker takes it.
func (s *scheduler) next(now time.Time, wake *time.Time) *page {
	for i := range s.ring {
		site := s.ring[(s.turn+i)%len(s.ring)]
		if len(site.waiting) == 0 {
			continue
		}
		if !now.Before(site.lookAt) {
			p, wait := site.ready(s.Fetch)
			if p != nil {
				return p
			}
			site.lookAt = now.Add(wait)
			s.giveBackSlow(site, now)
		}
		sooner(wake, site.lookAt)
	}
	return nil
}

// begun notes that a worker has taken the page.
func (s *scheduler) begun(p *page, now time.Time) {
	p.site.begin(p, now)
	s.out++
	for i, site := range s.ring {
		if site == p.site {
			s.turn = i + 1
		}
	}
}

// worker works on pages until there will be no more.
func (s *scheduler) worker() {
	for p := range s.work {
		e := s.crawl(p, func() { s.events <- func() { p.site.lookAt = time.Time{} } })
		s.events <- func() { s.finished(p, e) }
	}
}

// finished takes a page back from its worker.
func (s *scheduler) finished(p *page, e ending) {
	s.out--
	site := p.site
	site.end(p)
	if e.deferred && !p.lost.Load() {
		site.postpone(p)
		return
	}
	s.drop(p)
	switch {
	case site.working+len(site.waiting) == 0: // is there more, or is it done?
		site.claimBy(s.Clock.Now())
	case e.more:
		site.claimBy(s.Clock.Now().Add(e.in))
	}
}

// drop forgets a page whose lease has ended, or soon will.
func (s *scheduler) drop(p *page) {
	p.cancel()
	delete(s.held, p)
}

// giveBack releases pages that no worker has begun.
func (s *scheduler) giveBack(pages []*page) {
	if len(pages) == 0 {
		return
	}
	s.out++
	go func() {
		for _, p := range pages {
			s.release(p)
		}
		s.events <- func() {
			s.out--
			for _, p := range pages {
				s.drop(p)
			}
		}
	}()
}

// drain ends the work: what is not begun is given back, what is begun may finish
// within the grace. No claim is begun any more; one that is under way is waited
// for, and what it brings is given back.
func (s *scheduler) drain() {
	grace := s.Clock.NewTimer(max(s.Grace, 0))
	defer grace.Stop()
	beat := s.Clock.NewTimer(s.Lease / 6)
	defer beat.Stop()
	for {
		for _, site := range s.ring {
			s.giveBack(site.waiting)
			site.waiting = nil
		}
		if s.out == 0 {
			return
		}
		select {
		case do := <-s.events:
			do()
		case <-beat.C():
			now := s.Clock.Now()
			wake := now.Add(idle)
			s.beat(now, &wake)
			beat.Reset(s.Lease / 6)
		case <-grace.C():
			s.stopWork()
		}
	}
}

// takeWoken looks at the seeds that Wake and upkeep have named.
func (s *scheduler) takeWoken() {
	for seed, urgent := range s.woken.take() {
		site := s.sites[seed]
		if site == nil {
			site = newSite(seed)
			s.sites[seed] = site
			s.ring = append(s.ring, site)
			s.counts.seeds.Store(int64(len(s.ring)))
		} else if urgent {
			site.wake()
		}
	}
}

// sooner moves the time at which the scheduler wakes forward.
func sooner(wake *time.Time, t time.Time) {
	if t.Before(*wake) {
		*wake = t
	}
}
