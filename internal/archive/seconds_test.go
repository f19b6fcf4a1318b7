package archive

import (
	"context"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"limpet"
	"limpet/internal/modeltest"
)

// model is what the store must hold: values, and the second at which keys end.
type model struct {
	values  state
	lists   map[string][]string
	expires map[string]time.Time
}

func newModel() *model {
	return &model{values: state{}, lists: map[string][]string{}, expires: map[string]time.Time{}}
}

// at is the state that a client sees at a moment.
func (m *model) at(now time.Time) state {
	s := state{}
	for k, v := range m.values {
		s[k] = v
	}
	for k, l := range m.lists {
		text := ""
		for i, item := range l {
			if i > 0 {
				text += ","
			}
			text += item
		}
		s[k] = text
	}
	for k, end := range m.expires {
		if !end.After(now) {
			delete(s, k)
		}
	}
	return s
}

func (m *model) reset(key string) {
	delete(m.values, key)
	delete(m.lists, key)
	delete(m.expires, key)
}

// act does a random thing to a store and to the model.
func (m *model) act(s *source, rng *rand.Rand, n int) {
	now := s.clock.Now()
	key := "k" + strconv.Itoa(rng.IntN(40))
	full := "0/" + key
	if end, ok := m.expires[full]; ok && !end.After(now) {
		m.reset(full) // a client no longer sees it
	}
	switch rng.IntN(8) {
	case 0, 1:
		s.do("SET", key, n)
		m.reset(full)
		m.values[full] = strconv.Itoa(n)
	case 2:
		seconds := 1 + rng.IntN(600)
		s.do("SET", key, n, "EX", seconds)
		m.reset(full)
		m.values[full] = strconv.Itoa(n)
		m.expires[full] = now.Add(time.Duration(seconds) * time.Second)
	case 3:
		s.do("DEL", key)
		m.reset(full)
	case 4:
		s.do("INCR", "counter")
		old, _ := strconv.Atoi(m.values["0/counter"])
		m.values["0/counter"] = strconv.Itoa(old + 1)
	case 5: // two keys together, in one transaction of the log
		s.do("EVAL", "redis.call('SET', KEYS[1], ARGV[1]); redis.call('SET', KEYS[2], ARGV[1])", 2, "left", "right", n)
		m.values["0/left"], m.values["0/right"] = strconv.Itoa(n), strconv.Itoa(n)
	case 6:
		s.do("RPUSH", "list", n)
		s.do("LTRIM", "list", -5, -1)
		l := append(m.lists["0/list"], strconv.Itoa(n))
		m.lists["0/list"] = l[max(0, len(l)-5):]
	case 7:
		if rng.IntN(200) == 0 {
			s.do("FLUSHALL")
			*m = *newModel()
		}
	}
}

// TestPlanAt_AnySecondOfTwoHours_IsTheModelsStateAtThatSecond records two hours
// with a clock that is turned, with rewrites, restarts of the store and of the
// archiver in between, and restores a hundred random seconds of them; of half an
// hour and thirty in the short run.
func TestPlanAt_AnySecondOfTwoHours_IsTheModelsStateAtThatSecond(t *testing.T) {
	seconds, restores := 30*60, 30
	if modeltest.Rounds(1) > 1 {
		seconds, restores = 2*60*60, 100
	}
	rng := modeltest.Rand(t)
	s := newSource(t, limpet.Options{Timestamps: true})
	wanted := map[int]state{}
	for len(wanted) < restores {
		wanted[rng.IntN(seconds)] = nil
	}
	m, a := newModel(), s.archiver(Options{})
	a.step()
	n := 0
	for second := range seconds {
		for range rng.IntN(4) {
			n++
			m.act(s, rng, n)
		}
		if _, ok := wanted[second]; ok {
			wanted[second] = maps.Clone(m.at(s.clock.Now()))
		}
		if rng.IntN(3) == 0 {
			a.step()
		}
		switch rng.IntN(seconds / 8) {
		case 0, 1:
			s.rewrite()
			a.step()
		case 2: // an archiver that is killed, and another one behind it
			a.die(s)
			a = s.archiver(Options{})
		case 3:
			must(t, s.db.Close())
			s.open()
		}
		s.clock.Advance(time.Second)
	}
	a.step()
	read := s.read()
	if spans := read.Timelines(); len(spans) != 1 {
		t.Fatalf("%d timelines: %+v", len(spans), spans[1].Timeline)
	}
	t.Logf("%d segments, %d commands", read.Timelines()[0].Last, read.Timelines()[0].Commands)
	for second, want := range wanted {
		at := began.Add(time.Duration(second) * time.Second)
		plan, err := read.PlanAt(context.Background(), at)
		must(t, err)
		db := restored(t, read, plan, at)
		if d := difference(stateOf(t, db, 1), want); d != "" {
			t.Errorf("second %d, restored to %s and command %d:\n%s", second, plan.At.Format(time.TimeOnly), plan.Command, d)
			must(t, read.History(context.Background(), Query{Since: at.Add(-3 * time.Second), Until: at.Add(3 * time.Second)}, func(e Event) error {
				if c := e.Command; c != nil {
					t.Logf("%d %v %v %q", c.Number, c.At.Format(time.TimeOnly), c.Stamped, c.Args)
				}
				return nil
			}))
		}
		if plan.At.After(at) || plan.Next != nil && !plan.Next.At.After(at) {
			t.Errorf("second %d: the last command is of %s, the next of %v", second, plan.At, plan.Next)
		}
		must(t, db.Close())
	}
}
