package tracking

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"limpet/internal/weburl"
)

// Claim leases up to n pages of a seed (at most 256) to the caller for the given
// time. Having none is no error; ClaimInfo says what the seed waits for.
//
// An attempt is spent here, so that a page that kills its worker ends in the
// dead letters. When the store has been restarted since the seed was last
// looked at, the seed is audited and mended first.
func (t *Tracker) Claim(ctx context.Context, seed weburl.Seed, n int, lease time.Duration) ([]Lease, ClaimInfo, error) {
	if n <= 0 {
		return nil, ClaimInfo{}, fmt.Errorf("tracking: claim %s: %d pages asked for", seed, n)
	}
	r, run, err := t.claim(ctx, seed, min(n, maxBatch), lease)
	if err != nil {
		return nil, ClaimInfo{}, err
	}
	const head = 8
	info := ClaimInfo{
		Status:      Status(r.text(1)),
		Run:         run,
		NextReadyIn: time.Duration(r.int(6)) * time.Millisecond,
		NextLapseIn: time.Duration(r.int(7)) * time.Millisecond,
	}
	var leases []Lease
	for i := head; i+3 < len(r); i += 4 {
		l := Lease{
			Seed: seed, PageID: r.text(i), URL: r.text(i + 1),
			Depth: int(r.int(i + 2)), Attempt: int(r.int(i + 3)),
			Generation: r.int(2), Deadline: time.UnixMilli(r.int(3)), Token: r.text(4),
		}
		if l.URL == "" { // an audit that had to mend a lost URL leaves it empty
			if _, err := t.Fail(ctx, l, Failure{Err: "its URL was lost from the store"}); err != nil {
				return leases, info, err
			}
			continue
		}
		leases = append(leases, l)
	}
	if len(leases) > 0 {
		t.noteActive(ctx, seed, time.UnixMilli(r.int(5)))
	}
	return leases, info, nil
}

// Extend gives the lease the time d from now. The new deadline comes back in a
// copy of the lease.
func (t *Tracker) Extend(ctx context.Context, l Lease, d time.Duration) (Lease, error) {
	r, err := t.run(ctx, scriptExtend, l.Seed, l.Token, l.PageID, d.Milliseconds())
	if err != nil {
		return l, err
	}
	if !r.is("done") {
		return l, ErrStale
	}
	l.Deadline = time.UnixMilli(r.int(1))
	return l, nil
}

// Discover queues links of a page while it is being worked on. Complete does the
// same for the links it is given; this is for those who want them queued sooner.
// The refusals are not counted in the seed's OverLimit before the page completes.
func (t *Tracker) Discover(ctx context.Context, l Lease, children []PageRef) (Discovered, error) {
	var sum Discovered
	for chunk := range slices.Chunk(children, maxBatch) {
		args := append([]any{l.Token, len(chunk), l.PageID}, flatten(chunk)...)
		r, err := t.run(ctx, scriptDiscover, l.Seed, args...)
		if err != nil {
			return sum, err
		}
		if !r.is("done") {
			return sum, ErrStale
		}
		sum.add(r, 1)
	}
	return sum, nil
}

// Complete counts the page as crawled, keeps its record and queues its links.
func (t *Tracker) Complete(ctx context.Context, l Lease, c Completion) (Result, error) {
	last := c.Children
	var before Discovered
	if n := len(last); n > maxBatch {
		// All but the last chunk are queued while the page is still in flight, so
		// pending cannot touch 0 early. A stale lease shows again below, where a
		// repetition of the whole call is told apart from it.
		cut := (n - 1) / maxBatch * maxBatch
		var err error
		if before, err = t.Discover(ctx, l, last[:cut]); err != nil && !errors.Is(err, ErrStale) {
			return Result{}, err
		}
		last = last[cut:]
	}
	event := eventFields(l, c.Event)
	args := []any{l.Token, c.Record, before.OverLimit + c.OverLimit, len(last), len(event), l.PageID}
	args = append(args, flatten(last)...)
	r, err := t.run(ctx, scriptComplete, l.Seed, append(args, event...)...)
	if err != nil {
		return Result{}, err
	}
	result := t.result(ctx, l.Seed, r)
	result.Discovered = before
	result.Discovered.add(r, 3)
	return result, nil
}

// Skip ends a lease on a page that must not be crawled. The reason is one word,
// like "robots": at most 32 letters, digits, hyphens and underscores.
func (t *Tracker) Skip(ctx context.Context, l Lease, reason string) (Result, error) {
	if len(reason) > 32 || strings.Trim(reason, reasonBytes) != "" {
		return Result{}, fmt.Errorf("tracking: skip %s: reason %q: want at most 32 letters, digits, hyphens and underscores", l.Seed, reason)
	}
	return t.end(ctx, scriptSkip, l, nil, reason)
}

const reasonBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// Release gives a page back unworked, with the attempt it has cost.
func (t *Tracker) Release(ctx context.Context, l Lease) (Result, error) {
	return t.end(ctx, scriptRelease, l, nil)
}

// Fail ends an attempt. The page waits for the next one, or, when the failure is
// not retryable or the attempts are spent, goes to the dead letters; the
// result's State says which.
func (t *Tracker) Fail(ctx context.Context, l Lease, f Failure) (Result, error) {
	retryable := 0
	if f.Retryable {
		retryable = 1
	}
	return t.end(ctx, scriptFail, l, f.Event, cutText(f.Err, 1000), retryable, max(0, f.Delay.Milliseconds()))
}

// end runs a script that takes a page out of flight.
func (t *Tracker) end(ctx context.Context, s *script, l Lease, event map[string]string, args ...any) (Result, error) {
	all := append([]any{l.Token, l.PageID}, args...)
	r, err := t.run(ctx, s, l.Seed, append(all, eventFields(l, event)...)...)
	if err != nil {
		return Result{}, err
	}
	return t.result(ctx, l.Seed, r), nil
}

// result reads {outcome, state, finished}.
func (t *Tracker) result(ctx context.Context, seed weburl.Seed, r reply) Result {
	result := Result{Outcome: Outcome(r.text(0)), State: stateOf(r.text(1)), SeedCompleted: r.int(2) == 1}
	if result.SeedCompleted {
		t.noteIdle(ctx, seed)
	}
	return result
}

// add reads {…, new, known, refused} from element i on.
func (d *Discovered) add(r reply, i int) {
	d.New += int(r.int(i))
	d.Known += int(r.int(i + 1))
	d.OverLimit += int(r.int(i + 2))
}

// flatten lays pages out as ids, then depths, then URLs, so that a script can
// unpack the ids as they stand.
func flatten(pages []PageRef) []any {
	n := len(pages)
	args := make([]any, 3*n)
	for i, p := range pages {
		if p.ID == "" {
			p.ID = weburl.ID(p.URL)
		}
		args[i], args[n+i], args[2*n+i] = p.ID, p.Depth, p.URL
	}
	return args
}

func eventFields(l Lease, more map[string]string) []any {
	fields := make([]any, 0, 2+2*len(more))
	fields = append(fields, "url", l.URL)
	for name, value := range more {
		fields = append(fields, name, value)
	}
	return fields
}

// nonce makes tokens differ even where the store, after a fail-over, gives out
// a sequence number for the second time.
func nonce() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func stateOf(letter string) State {
	switch letter {
	case "Q":
		return StateQueued
	case "D":
		return StateDelayed
	case "L":
		return StateLeased
	case "C":
		return StateCrawled
	case "F":
		return StateFailed
	case "X":
		return StateSkipped
	}
	return ""
}

// cutText cuts at a character's border.
func cutText(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
