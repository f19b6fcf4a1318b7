package crawl

import (
	"errors"
	"slices"
	"time"

	"limpet/internal/tracking"
)

// beat extends the leases that have used up a third of their time. Few pages
// live that long.
func (s *scheduler) beat(now time.Time, wake *time.Time) {
	if len(s.held) == 0 {
		return
	}
	if now.Before(s.beatAt) {
		sooner(wake, s.beatAt)
		return
	}
	s.beatAt = now.Add(s.Lease / 6)
	sooner(wake, s.beatAt)
	var due []*page
	for p := range s.held {
		if !p.extending && !p.lost.Load() && !now.Before(p.extendAt) {
			p.extending = true
			due = append(due, p)
		}
	}
	if len(due) == 0 {
		return
	}
	s.out++
	go func() {
		for _, p := range due {
			_, err := s.Tracker.Extend(s.ctx, p.Lease, s.Lease)
			s.events <- func() { s.extended(p, err) }
		}
		s.events <- func() { s.out-- }
	}()
}

// extended notes how the extension of a lease went.
func (s *scheduler) extended(p *page, err error) {
	p.extending = false
	switch {
	case err == nil:
		p.extended(s.Clock.Now(), s.Lease)
	case errors.Is(err, tracking.ErrStale):
		s.lose(p)
	default: // tried again at the next beat
		s.unanswered(err)
	}
}

// lose gives up a page whose lease is no longer ours.
func (s *scheduler) lose(p *page) {
	p.lost.Store(true)
	p.cancel() // whoever works on it stops
	if i := slices.Index(p.site.waiting, p); i >= 0 {
		p.site.waiting = slices.Delete(p.site.waiting, i, i+1)
		s.counts.stale.Add(1)
		s.drop(p)
	}
}
