package tracking

import (
	"context"
	"fmt"

	"limpet/internal/weburl"
)

// maxDifferences is how many differences a report lists.
const maxDifferences = 1000

// Audit recounts a seed from the states of its pages, compares every index and
// counter with the recount and names each difference; with repair it mends them.
//
// It works on a seed of any size that is being crawled: pages are looked at in
// chunks, and whatever one chunk compares is compared in one step, page for page.
// What remains, the counters, then follows from the sizes of the keys, which are
// read in one step, too.
//
// Repair follows the states. Where even those are missing, what else is known of
// the page decides: one with a record was crawled, one with a dead letter has
// failed, one with a URL is queued again. Nothing is counted as crawled that has
// no record.
func (t *Tracker) Audit(ctx context.Context, seed weburl.Seed, repair bool) (AuditReport, error) {
	return t.audit(ctx, seed, repair, "")
}

// audit notes, when run is given, that the seed is in order under that run of
// the store.
func (t *Tracker) audit(ctx context.Context, seed weburl.Seed, repair bool, run string) (AuditReport, error) {
	a := audit{
		tracker: t, seed: seed, repair: repair,
		report: AuditReport{Seed: seed, Counts: make(map[State]int64)},
		seen:   make(map[Difference]bool),
		off:    make(map[string]int64),
	}
	// The truth first: it settles which entries of the others are strays.
	for _, index := range []string{"u", "url", "q", "d", "l", "dlq", "r"} {
		if err := a.walk(ctx, index); err != nil {
			return a.report, err
		}
	}
	if err := a.counters(ctx, run); err != nil {
		return a.report, err
	}
	a.report.Repaired = repair && !a.report.Clean()
	return a.report, nil
}

type audit struct {
	tracker *Tracker
	seed    weburl.Seed
	repair  bool
	report  AuditReport
	// seen are the differences reported so far: a stray page shows up in several
	// indexes, and a scan may meet a page twice.
	seen map[Difference]bool
	// off is by how much the size of an index falls short of the number of pages
	// that belong in it.
	off map[string]int64
}

const absent = "absent"

// walk compares the pages that are in one of the indexes with all of them.
func (a *audit) walk(ctx context.Context, index string) error {
	for cursor := "0"; ; {
		r, err := a.tracker.run(ctx, scriptAuditPages, a.seed, index, cursor, maxBatch, flag(a.repair))
		if err != nil {
			return err
		}
		a.differences(r, 2)
		if cursor = r.text(1); cursor == "0" {
			return nil
		}
	}
}

// differences reads quadruples {what, page, want, have} from element i on.
func (a *audit) differences(r reply, i int) {
	for ; i+3 < len(r); i += 4 {
		d := Difference{What: r.text(i), Page: r.text(i + 1), Want: r.text(i + 2), Have: r.text(i + 3)}
		key := Difference{What: d.What, Page: d.Page}
		if a.seen[key] {
			continue
		}
		a.seen[key] = true
		switch {
		case a.repair: // mended already
		case d.Have == absent:
			a.off[d.What]++
		case d.Want == absent:
			a.off[d.What]--
		}
		if len(a.report.Differences) < maxDifferences {
			a.report.Differences = append(a.report.Differences, d)
		} else {
			a.report.Truncated++
		}
	}
}

func (a *audit) counters(ctx context.Context, run string) error {
	r, err := a.tracker.run(ctx, scriptAuditCounters, a.seed, flag(a.repair), run,
		a.off["u"], a.off["q"], a.off["d"], a.off["l"], a.off["dlq"], a.off["r"])
	if err != nil {
		return err
	}
	if r.is("unknown") {
		return fmt.Errorf("%w: audit %s", ErrUnknownSeed, a.seed)
	}
	a.report.Generation, a.report.Total = r.int(1), r.int(2)
	for i, state := range []State{StateQueued, StateDelayed, StateLeased, StateCrawled, StateFailed, StateSkipped} {
		a.report.Counts[state] = r.int(3 + i)
	}
	if a.repair && Status(r.text(9)) == Running {
		a.tracker.noteSubmitted(ctx, a.seed)
	}
	a.differences(r, 10)
	return nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
