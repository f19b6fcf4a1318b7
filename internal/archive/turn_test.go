package archive

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"limpet"
	"limpet/clock"
	"limpet/internal/modeltest"
)

// turnBack lets the clock of the store go back; it writes so once it has been
// restarted, as Redis does, or has begun a new file.
func (s *source) turnBack(by time.Duration) {
	s.t.Helper()
	must(s.t, s.db.Close())
	s.clock = clock.NewFake(s.clock.Now().Add(-by))
	s.o.Clock = s.clock
	s.open()
}

// What happened, second by second, with a clock that went back: the state that a
// moment gives is that behind the newest command that is not later, in the order
// of the log.
func TestPlanAt_TheClockWentBack_TheLaterMomentCounts(t *testing.T) {
	rng := modeltest.Rand(t)
	for _, stamped := range []bool{true, false} {
		t.Run(fmt.Sprintf("stamped %v", stamped), func(t *testing.T) {
			s := newSource(t, limpet.Options{Timestamps: stamped})
			a := s.archiver(Options{})
			a.step()
			type write struct {
				n  int
				at time.Time
			}
			var log []write
			var wentBack []time.Duration
			n := 0
			for range 5 {
				for range 12 + rng.IntN(20) {
					if n++; rng.IntN(40) == 0 {
						a.step()
						s.rewrite()
					}
					s.do("SET", "n", n)
					log = append(log, write{n, s.clock.Now()})
					// Without stamps a command is dated by when it was read.
					if !stamped || rng.IntN(3) > 0 {
						a.step()
					}
					s.clock.Advance(time.Duration(1+rng.IntN(5)) * time.Second)
				}
				by := time.Duration(rng.IntN(150)) * time.Second
				wentBack = append(wentBack, by)
				if !stamped {
					a.die(s)
				}
				s.turnBack(by)
				if !stamped { // whose clock counts is the archiver's
					a = s.archiver(Options{})
				}
			}
			s.do("SET", "n", 0)
			log = append(log, write{0, s.clock.Now()})
			a.step()
			read := s.read()
			if spans := read.Timelines(); len(spans) != 1 {
				t.Fatalf("%d timelines: %+v", len(spans), spans[len(spans)-1].Timeline)
			}
			twice := 0
			for i, w := range log {
				if i%8 != 0 {
					continue // each takes a restore
				}
				want, later := w.n, false
				earlier := false
				for i := len(log) - 1; i >= 0; i-- {
					if !log[i].at.After(w.at) {
						want, later = log[i].n, true
						// Is there something before it that is later than the moment?
						for _, e := range log[:i] {
							earlier = earlier || e.at.After(w.at)
						}
						break
					}
				}
				p, err := read.PlanAt(ctx, w.at)
				must(t, err)
				db := restored(t, read, p, w.at)
				v, err := db.Do(ctx, "GET", "n")
				must(t, err)
				must(t, db.Close())
				if have := v.Text(); !later || have != strconv.Itoa(want) {
					t.Errorf("%s: n is %s, want %d (the clock went back by %v)", w.at.Format(time.TimeOnly), have, want, wentBack)
				}
				if earlier && (p.Turn == nil || p.Turn.Back() <= 0) {
					t.Errorf("%s was twice, and the plan does not say so", w.at.Format(time.TimeOnly))
				}
				if p.Turn == nil {
					continue
				}
				twice++
				if w.at.Before(p.Turn.To) || w.at.After(p.Turn.From) {
					t.Errorf("%s: the plan says that it was twice because of %+v", w.at, p.Turn)
				}
				// Just before the turn is the last state of the first time.
				before, err := read.PlanBeforeCommand(ctx, p.Turn.Command)
				must(t, err)
				if !before.At.Equal(p.Turn.From) && before.At.Before(p.Turn.From.Add(-time.Second)) {
					t.Errorf("before command %d it is %s, want %s", p.Turn.Command, before.At, p.Turn.From)
				}
			}
			if twice == 0 {
				t.Error("no moment was twice")
			}
			for range 10 {
				since := log[rng.IntN(len(log))].at
				until := since.Add(time.Duration(rng.IntN(100)) * time.Second)
				events, want := 0, 0
				for _, w := range log {
					if !w.at.Before(since) && !w.at.After(until) {
						want++
					}
				}
				must(t, read.History(ctx, Query{Key: []byte("n"), Since: since, Until: until}, func(e Event) error {
					if e.Command != nil {
						events++
					}
					return nil
				}))
				if events != want {
					t.Errorf("the history from %s to %s has %d writes, want %d", since.Format(time.TimeOnly), until.Format(time.TimeOnly), events, want)
				}
			}
		})
	}
}
