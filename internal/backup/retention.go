package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"limpet/clock"
	"limpet/internal/target"
)

// Policy says which backups to keep: those that any of its numbers keeps.
type Policy struct {
	Last int // the newest
	// Of so many hours, days, ISO weeks, months (in UTC) that have backups, the
	// newest of each.
	Hourly, Daily, Weekly, Monthly int
}

// Empty tells that a policy would keep nothing.
func (p Policy) Empty() bool { return p == Policy{} }

// Decision is what a policy makes of a backup.
type Decision struct {
	Listed
	Keep bool
	Why  []string // what keeps it, for people
}

// Decide applies a policy to backups, oldest first. The newest verified backup is
// kept whatever the policy says, and so is the newest of all while none is
// verified.
func (p Policy) Decide(all []Listed) []Decision {
	decided := make([]Decision, len(all))
	for i, l := range all {
		decided[i].Listed = l
	}
	keep := func(i int, why string) {
		decided[i].Keep = true
		decided[i].Why = append(decided[i].Why, why)
	}
	for i := max(0, len(all)-p.Last); i < len(all); i++ {
		keep(i, "last")
	}
	for _, rule := range []struct {
		name   string
		n      int
		period func(time.Time) string
	}{
		{"hourly", p.Hourly, func(t time.Time) string { return t.Format("2006010215") }},
		{"daily", p.Daily, func(t time.Time) string { return t.Format("20060102") }},
		{"weekly", p.Weekly, func(t time.Time) string { year, week := t.ISOWeek(); return fmt.Sprint(year, " ", week) }},
		{"monthly", p.Monthly, func(t time.Time) string { return t.Format("200601") }},
	} {
		seen := map[string]bool{}
		for i := len(all) - 1; i >= 0 && len(seen) < rule.n; i-- {
			if period := rule.period(all[i].Time.UTC()); !seen[period] {
				seen[period] = true
				keep(i, rule.name)
			}
		}
	}
	if len(all) > 0 {
		safe, why := len(all)-1, "newest, and none is verified"
		for i := range all {
			if all[i].Verified() {
				safe, why = i, "newest verified"
			}
		}
		if !decided[safe].Keep {
			keep(safe, why)
		}
	}
	return decided
}

// Pruned is what Prune has done, or would do.
type Pruned struct {
	Decided  []Decision
	InUse    []string // ids that were to go, and are being read
	Leftover int      // objects of backups that were broken off or half deleted
	Freed    int64    // bytes
}

// leftoverAge is how old an object without an entry must be to be a leftover of
// a backup whose lease could not even be written.
const leftoverAge = 24 * time.Hour

// Prune deletes what a policy does not keep, and what broken backups have left
// behind. With dry it only says what it would do.
func Prune(ctx context.Context, s *target.Store, p Policy, clk clock.Clock, dry bool) (*Pruned, error) {
	if p.Empty() {
		return nil, errors.New("prune: the policy keeps nothing")
	}
	if clk == nil {
		clk = clock.Real()
	}
	all, err := List(ctx, s)
	if err != nil {
		return nil, err
	}
	done := &Pruned{Decided: p.Decide(all)}
	held, err := leased(ctx, s, clk)
	if err != nil {
		return nil, err
	}
	for i := range done.Decided {
		d := &done.Decided[i]
		if d.Keep {
			continue
		}
		if l, inUse := held[d.ID]; inUse {
			d.Keep, d.Why = true, []string{"in use: " + l.What}
			done.InUse = append(done.InUse, d.ID)
			continue
		}
		if dry {
			done.Freed += d.Stored()
		} else if err := s.Delete(ctx, entryKey(d.ID)); err != nil {
			return done, err
		}
	}
	// Rule 3: the leases are looked for once more now that the entries have gone.
	return done, done.sweep(ctx, s, clk, dry)
}

// sweep deletes the objects and proofs that have no entry.
func (p *Pruned) sweep(ctx context.Context, s *target.Store, clk clock.Clock, dry bool) error {
	held, err := leased(ctx, s, clk)
	if err != nil {
		return err
	}
	entries, err := s.List(ctx, catalogue)
	if err != nil {
		return err
	}
	// Listed before the objects, so that a backup whose entry comes in between is
	// held by its lease or has its entry in here.
	files, err := s.List(ctx, objects)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, o := range entries {
		if id, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, catalogue), entryName); ok {
			there[id] = true
		}
	}
	gone := map[string]bool{}
	for _, d := range p.Decided {
		if !d.Keep && !dry {
			gone[d.ID] = true
		}
	}
	for _, o := range slices.Concat(entries, files) {
		id, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(o.Key, catalogue), objects), "/")
		_, inUse := held[id]
		young := clk.Now().Sub(o.ModTime) < leftoverAge
		if there[id] || inUse || young && !gone[id] {
			continue
		}
		p.Freed += o.Size
		if !gone[id] {
			p.Leftover++
		}
		if dry {
			continue
		}
		if err := s.Delete(ctx, o.Key); err != nil {
			return err
		}
	}
	return nil
}
