package trackingtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

func claimOrder(t *testing.T, b *bench) {
	b.submit(0)
	b.complete(b.claimOne(), slices.Concat(refs(2, 5), refs(1, 9, 3), refs(2, 4), refs(1, 7))...)
	var got []string
	for _, l := range b.claim(10) {
		got = append(got, l.URL)
	}
	want := []string{page(9), page(3), page(7), page(5), page(4)}
	if !slices.Equal(got, want) {
		t.Fatalf("claimed %v, want %v", got, want)
	}
}

func claimLostReply(t *testing.T, b *bench) {
	b.submit(span(0, 10)...)
	b.claim(2)
	leases, _, err := b.losing(2).Claim(b.ctx, seed, 5, time.Hour) // the first call greets the store
	if err != nil || len(leases) != 5 {
		t.Fatalf("claimed %d, %v", len(leases), err)
	}
	leases, _, err = b.losing(1).Claim(b.ctx, seed, 3, time.Hour)
	if err != nil || len(leases) != 3 {
		t.Fatalf("claimed %d, %v", len(leases), err)
	}
	b.wantProgress(tracking.Running, 10, 0, 0, 0, 0, 0, 10)
	for _, l := range leases {
		if l.Attempt != 1 || l.URL == "" {
			t.Fatalf("lease %+v, want the first attempt", l)
		}
		if got := b.complete(l).Outcome; got != tracking.Done {
			t.Fatalf("complete: %s", got)
		}
	}
	b.wantProgress(tracking.Running, 10, 3, 0, 0, 0, 0, 7)
}

func claimDelayed(t *testing.T, b *bench) {
	b.submit(0)
	l := b.claimOne()
	must[tracking.Result](b)(b.Fail(b.ctx, l, tracking.Failure{Err: "503", Retryable: true, Delay: time.Hour}))
	leases, info, err := b.Claim(b.ctx, seed, 1, time.Hour)
	if err != nil || len(leases) != 0 {
		t.Fatalf("claimed %d, %v", len(leases), err)
	}
	if info.NextReadyIn < 59*time.Minute || info.NextReadyIn > time.Hour || info.NextLapseIn >= 0 {
		t.Fatalf("info %+v, want the next page in an hour and no lease", info)
	}
	b.wantProgress(tracking.Running, 1, 0, 0, 0, 0, 1, 0)
	b.due(l.PageID)
	if again := b.claimOne(); again.Attempt != 2 || again.Token == l.Token {
		t.Fatalf("lease %+v, want the second attempt under a new token", again)
	}
	_, info, err = b.Claim(b.ctx, seed, 1, time.Hour)
	if err != nil || info.NextReadyIn >= 0 || info.NextLapseIn < 59*time.Minute {
		t.Fatalf("info %+v, %v: want no delayed page and a lease of an hour", info, err)
	}
}

// leaseLapses is the one test that lets real time pass.
func leaseLapses(t *testing.T, b *bench) {
	b.submit(0)
	leases, _, err := b.Claim(b.ctx, seed, 1, 20*time.Millisecond)
	if err != nil || len(leases) != 1 {
		t.Fatalf("claimed %d, %v", len(leases), err)
	}
	for start := time.Now(); ; {
		r := b.reap()
		if r.Requeued == 1 {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal("a lease of 20 ms has not lapsed in 10 s")
		}
	}
	now := b.client.Time(b.ctx).Val()
	if now.Before(leases[0].Deadline) {
		t.Fatalf("reaped at %v, before its deadline %v", now, leases[0].Deadline)
	}
}

// reapAll takes more pages than fit one call of the script.
func reapAll(t *testing.T, b *bench) {
	const pages = 300
	var leases []tracking.Lease
	for len(leases) < pages {
		numbers := make([]int, 100)
		for i := range numbers {
			numbers[i] = len(leases) + i
		}
		b.submit(numbers...)
		leases = append(leases, b.claim(len(numbers))...)
	}
	if r := b.reap(); r != (tracking.Reaped{}) {
		t.Fatalf("reaped %+v of leases that have an hour left", r)
	}
	if r, err := b.ReapAll(b.ctx, seed); err != nil || r != (tracking.Reaped{Requeued: pages}) {
		t.Fatalf("reaped %+v, %v; want %d pages queued again", r, err, pages)
	}
	if got := b.complete(leases[0]).Outcome; got != tracking.Stale {
		t.Fatalf("complete under a lease that was taken: %s", got)
	}
}

func extendKeeps(t *testing.T, b *bench) {
	b.submit(0)
	l := b.claimOne()
	b.lapse(l.PageID)
	longer, err := b.Extend(b.ctx, l, 2*time.Hour)
	if err != nil || !longer.Deadline.After(l.Deadline) {
		t.Fatalf("extend: %+v, %v", longer, err)
	}
	if r := b.reap(); r != (tracking.Reaped{}) {
		t.Fatalf("reaped %+v, want nothing", r)
	}
	if got := b.complete(longer).Outcome; got != tracking.Done {
		t.Fatalf("complete: %s", got)
	}
}

func limits(t *testing.T, b *bench) {
	must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{Seed: seed, URLs: refs(0, 0), MaxPages: 4, MaxDepth: 2}))
	l := b.claimOne()
	children := slices.Concat(refs(3, 10), refs(1, 1, 1, 0, 2), refs(2, 3), refs(1, 4, 5))
	d, err := b.Discover(b.ctx, l, children)
	want := tracking.Discovered{New: 3, Known: 2, OverLimit: 3}
	if err != nil || d != want {
		t.Fatalf("discovered %+v, %v: want %+v", d, err, want)
	}
	if p := b.progress(); p.OverLimit != 0 || p.Total != 4 {
		t.Fatalf("progress %+v, want total 4 and refusals not yet counted", p)
	}
	r, err := b.Complete(b.ctx, l, tracking.Completion{Record: recordOf(l), Children: refs(1, 6), OverLimit: d.OverLimit})
	if err != nil || r.Discovered.OverLimit != 1 {
		t.Fatalf("complete %+v, %v", r, err)
	}
	if p := b.progress(); p.OverLimit != 4 {
		t.Fatalf("over limit %d, want 4", p.OverLimit)
	}
	if n := b.drain(); n != 3 {
		t.Fatalf("crawled %d more, want 3", n)
	}
	b.wantProgress(tracking.Completed, 4, 4, 0, 0, 0, 0, 0)
}

func manyLinks(t *testing.T, b *bench) {
	b.submit(0)
	l := b.claimOne()
	children := refs(1, append(span(0, 1000), span(500, 1500)...)...)
	r := b.losing(3).complete(l, children...)
	if r.Outcome != tracking.Done && r.Outcome != tracking.Dup {
		t.Fatalf("complete: %+v", r)
	}
	b.wantProgress(tracking.Running, 1500, 1, 0, 0, 1499, 0, 0)
	if n := b.drain(); n != 1499 {
		t.Fatalf("crawled %d more, want 1499", n)
	}
	b.wantProgress(tracking.Completed, 1500, 1500, 0, 0, 0, 0, 0)
}

func failUntilSpent(t *testing.T, b *bench) {
	b.submit(0, 1)
	if r := b.fail(b.claimOne(), false); r.State != tracking.StateFailed || r.SeedCompleted {
		t.Fatalf("final failure: %+v", r)
	}
	for attempt := 1; attempt <= 3; attempt++ {
		l := b.claimOne()
		want := tracking.Result{Outcome: tracking.Done, State: tracking.StateDelayed}
		if attempt == 3 {
			want = tracking.Result{Outcome: tracking.Done, State: tracking.StateFailed, SeedCompleted: true}
		}
		if r := b.fail(l, true); r != want {
			t.Fatalf("attempt %d: %+v, want %+v", attempt, r, want)
		}
		want.Outcome, want.SeedCompleted = tracking.Dup, false
		if r := b.fail(l, true); r != want {
			t.Fatalf("attempt %d, sent again: %+v, want %+v", attempt, r, want)
		}
		b.wantOrder()
	}
	b.wantProgress(tracking.Completed, 2, 0, 2, 0, 0, 0, 0)
}

func skipAndRelease(t *testing.T, b *bench) {
	b.submit(0, 1)
	l := b.claimOne()
	for _, want := range []tracking.Outcome{tracking.Done, tracking.Dup} {
		if r := must[tracking.Result](b)(b.Skip(b.ctx, l, "robots")); r.Outcome != want || r.State != tracking.StateSkipped {
			t.Fatalf("skip: %+v, want %s", r, want)
		}
	}
	for range 5 { // more often than there are attempts
		l := b.claimOne()
		if l.Attempt != 1 {
			t.Fatalf("attempt %d, want 1: releasing gives it back", l.Attempt)
		}
		for _, want := range []tracking.Outcome{tracking.Done, tracking.Dup} {
			if r := must[tracking.Result](b)(b.Release(b.ctx, l)); r.Outcome != want || r.State != tracking.StateQueued {
				t.Fatalf("release: %+v, want %s", r, want)
			}
		}
	}
	if _, err := b.Skip(b.ctx, b.claimOne(), "not one, word"); err == nil {
		t.Fatal("a reason that breaks the value of u was taken")
	}
	b.wantProgress(tracking.Running, 2, 0, 0, 1, 0, 0, 1)
}

func (b *bench) steer(call func() (tracking.Status, error), want tracking.Status) {
	b.t.Helper()
	if got := must[tracking.Status](b)(call()); got != want {
		b.t.Fatalf("status %s, want %s", got, want)
	}
	b.wantOrder()
}

func pauseResumeCancel(t *testing.T, b *bench) {
	pause := func() (tracking.Status, error) { return b.Pause(b.ctx, seed) }
	resume := func() (tracking.Status, error) { return b.Resume(b.ctx, seed) }
	cancel := func() (tracking.Status, error) { return b.Cancel(b.ctx, seed) }
	active := func(want int) {
		t.Helper()
		if seeds := must[[]weburl.Seed](b)(b.Active(b.ctx)); len(seeds) != want {
			t.Fatalf("active %v, want %d", seeds, want)
		}
	}
	b.submit(span(0, 4)...)
	l := b.claimOne()
	active(1)
	b.steer(pause, tracking.Paused)
	active(1) // a page is in flight
	if leases, info, err := b.Claim(b.ctx, seed, 1, time.Hour); err != nil || len(leases) != 0 || info.Status != tracking.Paused {
		t.Fatalf("claim while paused: %v, %+v, %v", leases, info, err)
	}
	if r := b.complete(l, refs(1, 4)...); r.Outcome != tracking.Done || r.Discovered.New != 1 {
		t.Fatalf("complete while paused: %+v", r)
	}
	b.steer(pause, tracking.Paused)
	active(0)
	b.steer(resume, tracking.Running)
	active(1)
	b.claimOne()
	b.steer(cancel, tracking.Cancelled)
	active(1)
	b.wantProgress(tracking.Cancelled, 5, 1, 0, 3, 0, 0, 1)
	b.steer(cancel, tracking.Cancelled)
	b.steer(resume, tracking.Cancelled)
	b.steer(pause, tracking.Cancelled)
	b.lapseAll()
	b.reap()
	active(0)
	if _, err := b.RetryFailed(b.ctx, seed, "x"); !errors.Is(err, tracking.ErrCancelled) {
		t.Fatalf("retry of a cancelled seed: %v, want ErrCancelled", err)
	}
	b.mustSubmitAgain()
	b.drain()
	b.steer(cancel, tracking.Completed)
	b.steer(pause, tracking.Completed)
}

func cancelInFlight(t *testing.T, b *bench) {
	b.submit(span(0, 9)...)
	leases := b.claim(6)
	must[tracking.Status](b)(b.Cancel(b.ctx, seed))
	if r := b.complete(leases[0], refs(1, 50, 51)...); r.Outcome != tracking.Done || r.Discovered.OverLimit != 2 {
		t.Fatalf("complete: %+v, want it counted and its links refused", r)
	}
	if r := b.fail(leases[1], true); r.State != tracking.StateSkipped {
		t.Fatalf("retryable failure: %+v, want skipped", r)
	}
	if r := b.fail(leases[2], false); r.State != tracking.StateFailed {
		t.Fatalf("final failure: %+v", r)
	}
	if r := must[tracking.Result](b)(b.Release(b.ctx, leases[3])); r.State != tracking.StateSkipped {
		t.Fatalf("release: %+v, want skipped", r)
	}
	b.wantProgress(tracking.Cancelled, 9, 1, 1, 5, 0, 0, 2)
	b.lapse(leases[4].PageID, leases[5].PageID)
	if r := b.reap(); r.Skipped != 2 || !r.SeedCompleted {
		t.Fatalf("reaped %+v, want 2 skipped and the end", r)
	}
	b.wantProgress(tracking.Cancelled, 9, 1, 1, 7, 0, 0, 0)

	// A cancel that broke off after the status is finished by reap.
	b.mustSubmitAgain()
	b.complete(b.claimOne(), refs(1, span(1, 600)...)...)
	w, _ := b.killed(2, false)
	if _, err := w.Cancel(w.ctx, seed); err == nil {
		t.Fatal("the cancel was not broken off")
	}
	if len(b.claim(5)) != 0 {
		t.Fatal("pages of a cancelled seed were claimed")
	}
	b.reap()
	b.wantProgress(tracking.Cancelled, 600, 1, 0, 599, 0, 0, 0)
}

func retryFailed(t *testing.T, b *bench) {
	b.submit(span(0, 256)...)
	for leases := b.claim(256); len(leases) > 0; leases = b.claim(256) {
		for _, l := range leases {
			b.fail(l, false)
		}
	}
	b.wantProgress(tracking.Completed, 256, 0, 256, 0, 0, 0, 0)
	one := weburl.ID(page(7))
	if n := must[int](b)(b.RetryFailed(b.ctx, seed, one, one, "nobody")); n != 1 {
		t.Fatalf("retried %d, want 1", n)
	}
	b.wantProgress(tracking.Running, 256, 0, 255, 0, 1, 0, 0)
	if l := b.claimOne(); l.PageID != one || l.Attempt != 1 {
		t.Fatalf("lease %+v, want %s with all its attempts", l, one)
	}
	if n := must[int](b)(b.RetryFailed(b.ctx, seed)); n != 255 {
		t.Fatalf("retried %d, want 255", n)
	}
	b.lapse(one)
	b.reap()
	b.drain()
	b.wantProgress(tracking.Completed, 256, 256, 0, 0, 0, 0, 0)
	if n := must[int](b)(b.RetryFailed(b.ctx, seed)); n != 0 {
		t.Fatalf("retried %d, want 0", n)
	}
}

func completedOnce(t *testing.T, b *bench) {
	end := map[string]func(tracking.Lease) bool{
		"complete": func(l tracking.Lease) bool { return b.complete(l).SeedCompleted },
		"fail":     func(l tracking.Lease) bool { return b.fail(l, false).SeedCompleted },
		"skip": func(l tracking.Lease) bool {
			return must[tracking.Result](b)(b.Skip(b.ctx, l, "robots")).SeedCompleted
		},
		"reap": func(l tracking.Lease) bool { b.lapse(l.PageID); return b.reap().SeedCompleted },
		"cancel": func(l tracking.Lease) bool {
			must[tracking.Result](b)(b.Release(b.ctx, l))
			must[tracking.Status](b)(b.Cancel(b.ctx, seed))
			return true
		},
	}
	for name, last := range end {
		after := must[string](b)(b.LastEvent(b.ctx, seed))
		must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{
			Seed: seed, URLs: refs(0, 0, 1), Recrawl: true, MaxAttempts: 1,
		}))
		if b.complete(b.claimOne()).SeedCompleted {
			t.Fatalf("%s: completed with a page left", name)
		}
		l := b.claimOne()
		if !last(l) {
			t.Fatalf("%s: the last call was not told", name)
		}
		b.reap()
		b.complete(l)
		must[tracking.Status](b)(b.Cancel(b.ctx, seed))
		if !b.progress().Status.Finished() || b.progress().CompletedAt.IsZero() {
			t.Fatalf("%s: %+v", name, b.progress())
		}
		n := 0
		for _, e := range must[[]tracking.Event](b)(b.Events(b.ctx, seed, after, 100)) {
			if e.Kind == tracking.EventCompleted {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%s: %d events of completion, want 1", name, n)
		}
		b.wantOrder()
	}
}

func eventsFollow(t *testing.T, b *bench) {
	b.submit(span(0, 4)...)
	leases := b.claim(4)
	must[tracking.Result](b)(b.Complete(b.ctx, leases[0], tracking.Completion{Event: map[string]string{"status": "200"}}))
	b.fail(leases[1], true)
	b.fail(leases[2], false)
	must[tracking.Result](b)(b.Skip(b.ctx, leases[3], "robots"))
	must[tracking.Status](b)(b.Pause(b.ctx, seed))
	must[tracking.Status](b)(b.Resume(b.ctx, seed))
	b.due(leases[1].PageID)
	must[tracking.Result](b)(b.Release(b.ctx, b.claimOne()))
	must[tracking.Status](b)(b.Cancel(b.ctx, seed))

	var got []string
	after := ""
	for {
		events := must[[]tracking.Event](b)(b.Events(b.ctx, seed, after, 3))
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			after = e.ID
			got = append(got, e.Kind+" "+e.Fields["url"])
			if e.Generation != 1 || e.At.IsZero() {
				t.Fatalf("event %+v", e)
			}
			if e.Kind == tracking.EventCrawled && (e.Fields["status"] != "200" || e.Page != leases[0].PageID) {
				t.Fatalf("event %+v", e)
			}
		}
	}
	want := []string{
		"started ", "crawled " + page(0), "delayed " + page(1), "failed " + page(2), "skipped " + page(3),
		"paused ", "resumed ", "requeued " + page(1), "cancelled ", "completed ",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("events\n got %v\nwant %v", got, want)
	}
	if last := must[string](b)(b.LastEvent(b.ctx, seed)); last != after {
		t.Fatalf("last event %s, want %s", last, after)
	}
}

func pagesList(t *testing.T, b *bench) {
	b.submit(0)
	b.complete(b.claimOne(), refs(1, span(1, 40)...)...)
	leases := b.claim(30)
	want := map[tracking.State]int{tracking.StateQueued: 9, tracking.StateCrawled: 1}
	for i, l := range leases {
		switch i % 5 {
		case 0:
			b.complete(l)
			want[tracking.StateCrawled]++
		case 1:
			b.fail(l, false)
			want[tracking.StateFailed]++
		case 2:
			must[tracking.Result](b)(b.Fail(b.ctx, l, tracking.Failure{Err: "x", Retryable: true, Delay: time.Hour}))
			want[tracking.StateDelayed]++
		case 3:
			must[tracking.Result](b)(b.Skip(b.ctx, l, "robots"))
			want[tracking.StateSkipped]++
		case 4:
			want[tracking.StateLeased]++
		}
	}
	list := func(state tracking.State) map[string]tracking.PageInfo {
		found := map[string]tracking.PageInfo{}
		for cursor := ""; ; {
			pages, next, err := b.Pages(b.ctx, seed, state, cursor, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pages {
				found[p.ID] = p
			}
			if cursor = next; cursor == "" {
				return found
			}
		}
	}
	all := list("")
	if len(all) != 40 {
		t.Fatalf("%d pages, want 40", len(all))
	}
	for state, n := range want {
		found := list(state)
		if len(found) != n {
			t.Errorf("%s: %d pages, want %d", state, len(found), n)
		}
		for id, p := range found {
			if p != all[id] || p.State != state || weburl.ID(p.URL) != id {
				t.Errorf("%s: %+v, among all pages %+v", state, p, all[id])
			}
			if state == tracking.StateFailed && (p.Error != "503" || p.FailedAt.IsZero() || p.Attempts != 1) ||
				state == tracking.StateSkipped && p.Reason != "robots" {
				t.Errorf("%s: %+v", state, p)
			}
		}
	}
	if _, _, err := b.Pages(b.ctx, seed, "gone", "", 1); err == nil {
		t.Error("an unknown state was taken")
	}
	if _, _, err := b.Pages(b.ctx, seed, "", "x", 1); err == nil {
		t.Error("a bad cursor was taken")
	}
}

func recordsList(t *testing.T, b *bench) {
	b.submit(span(0, 200)...)
	b.drain()
	got := map[string]string{}
	for cursor := ""; ; {
		records, next, err := b.Records(b.ctx, seed, cursor, 20)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			got[r.ID] = string(r.Bytes)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if len(got) != 200 {
		t.Fatalf("%d records, want 200", len(got))
	}
	for id, url := range got {
		if weburl.ID(url) != id {
			t.Fatalf("record of %s is %q", id, url)
		}
	}
	if r, ok, err := b.Record(b.ctx, seed, weburl.ID(page(5))); err != nil || !ok || string(r) != page(5) {
		t.Fatalf("record %q, %v, %v", r, ok, err)
	}
	if _, ok, err := b.Record(b.ctx, seed, "nobody"); err != nil || ok {
		t.Fatalf("record of nobody: %v, %v", ok, err)
	}
}

func (b *bench) submitNamed(name string) {
	b.t.Helper()
	must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{Seed: weburl.Seed(name), URLs: refs(0, 0)}))
}

func seedsList(t *testing.T, b *bench) {
	for i := range 25 {
		b.submitNamed(fmt.Sprintf("s%02d.test", i))
		if i%5 == 0 {
			must[tracking.Status](b)(b.Pause(b.ctx, weburl.Seed(fmt.Sprintf("s%02d.test", i))))
		}
	}
	// Registered, and the crash came before the submit.
	b.client.ZAdd(b.ctx, "fcrawler:registry", zAt(5, "ghost.test"))
	for status, want := range map[tracking.Status]int{"": 25, tracking.Paused: 5, tracking.Running: 20, tracking.Completed: 0} {
		found := map[weburl.Seed]bool{}
		for cursor := int64(0); ; {
			list, next, err := b.Seeds(b.ctx, tracking.SeedFilter{Status: status, Cursor: cursor, N: 4})
			if err != nil || len(list) > 4 {
				t.Fatalf("%d seeds, %v", len(list), err)
			}
			for _, p := range list {
				if found[p.Seed] || p.Total != 1 || status != "" && p.Status != status {
					t.Fatalf("seed %+v, listed before: %v", p, found[p.Seed])
				}
				found[p.Seed] = true
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
		if len(found) != want {
			t.Fatalf("status %q: %d seeds, want %d", status, len(found), want)
		}
	}
}

func registryRepair(t *testing.T, b *bench) {
	for _, name := range []string{"a.test", "b.test", "c.test"} {
		b.submitNamed(name)
	}
	must[tracking.Status](b)(b.Pause(b.ctx, "c.test"))
	b.client.Del(b.ctx, "fcrawler:registry")
	b.client.Del(b.ctx, "fcrawler:active_seeds")
	b.client.ZAdd(b.ctx, "fcrawler:active_seeds", zAt(1, "c.test"), zAt(2, "ghost.test"))
	want := tracking.RegistryRepair{Registered: 3, Activated: 2, Deactivated: 2}
	if fixed := must[tracking.RegistryRepair](b)(b.RepairRegistry(b.ctx)); fixed != want {
		t.Fatalf("repaired %+v, want %+v", fixed, want)
	}
	if fixed := must[tracking.RegistryRepair](b)(b.RepairRegistry(b.ctx)); fixed != (tracking.RegistryRepair{}) {
		t.Fatalf("repaired again %+v, want nothing", fixed)
	}
	active := must[[]weburl.Seed](b)(b.Active(b.ctx))
	slices.Sort(active)
	if !slices.Equal(active, []weburl.Seed{"a.test", "b.test"}) {
		t.Fatalf("active %v", active)
	}
}

func hashTags(t *testing.T, b *bench) {
	o := b.options
	o.HashTags = true
	b.Tracker = tracking.New(b.client, o)
	b.submit(span(0, 5)...)
	b.drain()
	b.wantProgress(tracking.Completed, 5, 5, 0, 0, 0, 0, 0)
	if got := b.client.Get(b.ctx, "fcrawler:seed:{test.com}:crawled").Val(); got != "5" {
		t.Fatalf("crawled %q, want 5", got)
	}
	b.client.Del(b.ctx, "fcrawler:registry")
	if fixed := must[tracking.RegistryRepair](b)(b.RepairRegistry(b.ctx)); fixed.Registered != 1 {
		t.Fatalf("repaired %+v, want one seed found again", fixed)
	}
}
