package trackingtest

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// Pages of the seed that damage is done to; of every state one.
var (
	crawled = weburl.ID(page(0))
	leased  = weburl.ID(page(1))
	failed  = weburl.ID(page(2))
	skipped = weburl.ID(page(3))
	delayed = weburl.ID(page(4))
	queued  = weburl.ID(page(5))
)

func (b *bench) mixedSeed() {
	b.t.Helper()
	b.mustSubmitAgain()
	b.complete(b.claimOne(), refs(1, span(1, 8)...)...)
	leases := b.claim(4)
	b.fail(leases[1], false)
	must[tracking.Result](b)(b.Skip(b.ctx, leases[2], "robots"))
	must[tracking.Result](b)(b.Fail(b.ctx, leases[3], tracking.Failure{Err: "x", Retryable: true, Delay: time.Hour}))
	b.wantProgress(tracking.Running, 8, 1, 1, 1, 3, 1, 1)
}

func auditDamage(t *testing.T, b *bench) {
	key := func(name string) string { return b.Key(seed, name) }
	c, ctx := b.client, b.ctx
	set := func(name, value string) func() { return func() { c.Set(ctx, key(name), value, 0) } }
	del := func(names ...string) func() {
		return func() {
			for _, name := range names {
				c.Del(ctx, key(name))
			}
		}
	}
	hset := func(name, id, value string) func() { return func() { c.HSet(ctx, key(name), id, value) } }
	hdel := func(name, id string) func() { return func() { c.HDel(ctx, key(name), id) } }
	zadd := func(name, id string) func() {
		return func() { c.ZAdd(ctx, key(name), redis.Z{Score: 1, Member: id}) }
	}
	zrem := func(name, id string) func() { return func() { c.ZRem(ctx, key(name), id) } }

	for name, damage := range map[string]struct {
		do   func()
		what []string // at least these are named
	}{
		"total one too many":        {set("total", "9"), []string{"total"}},
		"total lost":                {del("total"), []string{"total"}},
		"crawled counted twice":     {set("crawled", "2"), []string{"crawled"}},
		"crawled not counted":       {set("crawled", "0"), []string{"crawled"}},
		"crawled is no number":      {set("crawled", "many"), []string{"crawled"}},
		"failed lost":               {del("failed"), []string{"failed"}},
		"skipped off":               {hset("m", "skipped", "7"), []string{"skipped"}},
		"status lost":               {del("status"), []string{"status"}},
		"status unknown":            {set("status", "asleep"), []string{"status"}},
		"completed too early":       {set("status", "completed"), []string{"status"}},
		"ended too early":           {set("completed_at", "1"), []string{"completed_at"}},
		"limits and sequences lost": {del("m"), []string{"skipped", "generation", "max_attempts"}},

		"queue forgot a page":         {zrem("q", queued), []string{"q"}},
		"queue lost":                  {del("q"), []string{"q"}},
		"queue has a crawled page":    {zadd("q", crawled), []string{"q"}},
		"queue has a leased page":     {zadd("q", leased), []string{"q"}},
		"queue has an unknown page":   {zadd("q", "nobody"), []string{"q"}},
		"queued and delayed":          {zadd("d", queued), []string{"d"}},
		"delayed page forgotten":      {zrem("d", delayed), []string{"q"}},
		"delayed has an unknown page": {zadd("d", "nobody"), []string{"d"}},
		"lease forgotten":             {zrem("l", leased), []string{"l"}},
		"lease of a crawled page":     {zadd("l", crawled), []string{"l"}},
		"lease of an unknown page":    {zadd("l", "nobody"), []string{"l"}},

		"URL of a queued page lost":    {hdel("url", queued), []string{"url"}},
		"URL of a failed page lost":    {hdel("url", failed), []string{"url"}},
		"URL of a crawled page kept":   {hset("url", crawled, page(0)), []string{"url"}},
		"URLs lost":                    {del("url"), []string{"url"}},
		"dead letter lost":             {hdel("dlq", failed), []string{"dlq"}},
		"dead letter of a queued page": {hset("dlq", queued, "1 1 x"), []string{"dlq"}},
		"dead letter of nobody":        {hset("dlq", "nobody", "1 1 x"), []string{"u", "url"}},
		"record lost":                  {hdel("r", crawled), []string{"r"}},
		"record of a queued page":      {hset("r", queued, "x"), []string{"r"}},
		"record of nobody":             {hset("r", "nobody", "x"), []string{"u", "total", "crawled"}},
		"URL of nobody":                {hset("url", weburl.ID(page(99)), page(99)), []string{"u", "q", "total"}},

		"state of a crawled page lost": {hdel("u", crawled), []string{"u"}},
		"state of a queued page lost":  {hdel("u", queued), []string{"u"}},
		"state of a leased page lost":  {hdel("u", leased), []string{"u", "l"}},
		"state of a failed page lost":  {hdel("u", failed), []string{"u"}},
		"state of a skipped page lost": {hdel("u", skipped), []string{"u", "skipped"}},
		"state of a page garbled":      {hset("u", queued, "???"), []string{"u"}},
		"state of nobody garbled":      {hset("u", "nobody", "???"), []string{"u"}},
		"states lost":                  {del("u"), []string{"u"}},
		"every index lost":             {del("q", "d", "l", "dlq", "url", "m", "total", "crawled", "failed"), []string{"q", "l", "dlq", "url", "total"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{b.Tracker, t, b.ctx, b.client, b.options}
			del("m", "u", "url", "q", "d", "l", "r", "ev", "dlq", "total", "crawled", "failed", "status", "last_crawled", "completed_at")()
			b.mixedSeed()
			damage.do()

			before := b.snapshot()
			report := must[tracking.AuditReport](b)(b.Audit(ctx, seed, false))
			if report.Clean() || report.Repaired {
				t.Fatalf("audit found nothing: %+v", report)
			}
			for _, what := range damage.what {
				if !slices.ContainsFunc(report.Differences, func(d tracking.Difference) bool { return d.What == what }) {
					t.Errorf("%s is not named among %v", what, report.Differences)
				}
			}
			if after := b.snapshot(); after != before {
				t.Fatalf("an audit that was to repair nothing has written:\n%s\n%s", before, after)
			}

			mended := must[tracking.AuditReport](b)(b.Audit(ctx, seed, true))
			if mended.Clean() || !mended.Repaired {
				t.Fatalf("repair: %+v", mended)
			}
			b.wantOrder()
			if report.Total != mended.Total || report.Counts[tracking.StateCrawled] != mended.Counts[tracking.StateCrawled] {
				t.Errorf("the audit counted %v, the repair made it %v", report, mended)
			}
			b.finish()
		})
	}
}

// finish lets every lease and wait pass and crawls to the end.
func (b *bench) finish() {
	b.t.Helper()
	for range 10 {
		s, err := Read(b.ctx, b.client, b.Tracker, seed)
		if err != nil {
			b.t.Fatal(err)
		}
		for id := range s.Scores["d"] {
			b.due(id)
		}
		b.lapseAll()
		b.reap()
		b.drain()
		if p := b.progress(); p.Status.Finished() && p.Pending == 0 {
			b.wantOrder()
			return
		}
	}
	b.t.Fatalf("the seed does not come to an end: %+v", b.progress())
}

// claimAudits: the seed was last audited under another run of the store, which
// came up with a count that is off, as Redis 7.0 can.
func claimAudits(t *testing.T, b *bench) {
	b.mixedSeed()
	b.client.Set(b.ctx, b.Key(seed, "crawled"), "2", 0)
	b.client.HSet(b.ctx, b.Key(seed, "m"), "run", "an earlier one")
	var reports []tracking.AuditReport
	o := b.options
	o.OnAudit = func(r tracking.AuditReport) { reports = append(reports, r) }
	b.Tracker = tracking.New(b.client, o)
	b.claimOne()
	if len(reports) != 1 || reports[0].Clean() || !reports[0].Repaired {
		t.Fatalf("audits before the claim: %+v", reports)
	}
	b.wantProgress(tracking.Running, 8, 1, 1, 1, 2, 1, 2)
	b.claimOne()
	if len(reports) != 1 {
		t.Fatalf("%d audits, want one for a run", len(reports))
	}
	// A server that has ended knows no scripts any more.
	if err := b.client.ScriptFlush(b.ctx).Err(); err != nil {
		t.Fatal(err)
	}
	b.claimOne()
	if len(reports) != 1 {
		t.Fatalf("%d audits, want none for a run that is the same", len(reports))
	}
}
