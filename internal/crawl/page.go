package crawl

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"limpet/internal/feature"
	"limpet/internal/fetch"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// page is a lease and what goes with it.
type page struct {
	tracking.Lease
	site  *site  // the scheduler's
	known *known // of the seed, in the run of the store that gave the lease
	icons *icons
	start *start

	next   string // the URL to be fetched next: the page, then perhaps its icon
	host   string // of next
	taken  *taken // what the fetch has brought; nil before
	noIcon bool   // the scheduler's: the icon's host makes it wait too long

	ctx    context.Context // ends with the lease, and with the work
	cancel context.CancelFunc
	lost   atomic.Bool // the lease is no longer ours

	expires   atomic.Int64 // when it certainly is over, by our clock, in Unix nanoseconds
	extendAt  time.Time    // the scheduler's: when it is time for a heartbeat
	extending bool         // the scheduler's: one is under way
}

// extended notes that the lease was given, or given anew, no later than now.
func (p *page) extended(now time.Time, lease time.Duration) {
	p.expires.Store(now.Add(lease).UnixNano())
	p.extendAt = now.Add(lease / 3)
}

// taken is a page that was fetched and described.
type taken struct {
	status int
	hops   []fetch.Hop
	record feature.Record
	links  feature.Discovered
}

// ending is what a worker tells the scheduler of a page that it is done with.
type ending struct {
	deferred bool          // done for now: the host of page.next wants a pause
	more     bool          // the seed may have pages to claim,
	in       time.Duration // after this time
}

// crawl is the life of a page, or the rest of it. fetched is called when its host
// takes the next request.
func (c *Crawler) crawl(p *page, fetched func()) (e ending) {
	c.counts.working.Add(1)
	defer c.counts.working.Add(-1)
	defer func() {
		if v := recover(); v != nil {
			e = c.broken(p, v)
		}
	}()
	if p.taken == nil {
		r, err := c.Fetch.Fetch(p.ctx, fetch.Request{
			URL: p.URL, Seed: p.Seed,
			SamePageOnly:        true, // other pages on the way are pages of their own
			AllowSchemeFallback: c.mayFallBack(p),
		})
		fetched()
		if err != nil {
			return c.unfetched(p, err)
		}
		c.take(p, r)
	}
	return c.finish(p)
}

// take describes a page and finds where it leads. The body is not needed after it.
func (c *Crawler) take(p *page, r *fetch.Result) {
	c.counts.fetched.Add(1)
	c.counts.bytes.Add(r.RawSize)
	t := &taken{status: r.Status, hops: r.Hops}
	t.record, t.links = c.extract(c.input(p, r))
	p.taken = t
}

// broken fails a page that has brought a bug to light. The process lives on.
func (c *Crawler) broken(p *page, panicked any) ending {
	c.counts.panics.Add(1)
	c.Logger.Error("page failed: this is a bug in limpet", "seed", p.Seed, "url", p.URL,
		"panic", panicked, "stack", string(debug.Stack()))
	return c.fail(p, tracking.Failure{
		Err: fmt.Sprintf("panic: %v", panicked), Event: map[string]string{"cause": "panic"},
	})
}

// finish completes a page once its icon is known, or is not to be had.
func (c *Crawler) finish(p *page) ending {
	if icon := p.taken.record.Favicon; icon != nil && !p.noIcon && !p.icons.fill(p.ctx, c, p.Seed, icon) {
		p.next = icon.URL
		return ending{deferred: true}
	}
	record, err := feature.Marshal(p.taken.record)
	if err != nil {
		c.Logger.Error("record cannot be written", "seed", p.Seed, "url", p.URL, "error", err)
		return c.fail(p, tracking.Failure{Err: err.Error(), Event: map[string]string{"cause": "record"}})
	}
	return c.complete(p, record)
}

func (c *Crawler) input(p *page, r *fetch.Result) feature.Input {
	in := feature.Input{
		URL: p.URL, Final: r.URL, Seed: p.Seed, Depth: p.Depth,
		RequestedAt: c.Clock.Now().Add(-r.Timings.Total),
		Timings:     feature.Timings(r.Timings),
		RemoteIP:    r.RemoteIP,
		Status:      r.Status,
		Protocol:    r.Proto,
		Header:      r.Header,
		ContentType: r.MediaType,
		Charset:     r.Charset,
		Body:        r.Body,
		RawSize:     r.RawSize,
		Truncated:   r.Truncated,
		TLS:         r.TLS, TLSVerifyError: r.TLSVerifyError,
	}
	for _, hop := range r.Hops {
		in.Hops = append(in.Hops, feature.Hop{URL: hop.URL, Status: hop.Status, Location: hop.Location})
	}
	return in
}

// complete counts the page and queues where it leads.
func (c *Crawler) complete(p *page, record []byte) ending {
	children, ids := p.children(p.taken.hops, p.taken.links)
	c.counts.links.Add(int64(len(p.taken.links)))
	c.counts.sent.Add(int64(len(children)))
	result, ok := c.settle(p, func(ctx context.Context) (tracking.Result, error) {
		return c.Tracker.Complete(ctx, p.Lease, tracking.Completion{
			Record: record, Children: children,
			Event: map[string]string{"status": strconv.Itoa(p.taken.status)},
		})
	})
	if !ok || result.Outcome == tracking.Stale {
		return c.unsettled(p, ok)
	}
	c.counts.crawled.Add(1)
	// Which ones were refused is not said, and a refused page is not known: it may
	// turn up again less deep.
	if result.Outcome == tracking.Done && result.Discovered.OverLimit == 0 {
		p.known.add(ids...)
	}
	c.note(p, result)
	return ending{more: result.Discovered.New > 0 || result.Outcome == tracking.Dup}
}

// children are the pages that the store may not have yet: the targets of
// redirects, which are no deeper than the page, and the links.
func (p *page) children(hops []fetch.Hop, links feature.Discovered) (children []tracking.PageRef, ids []string) {
	keep := func(id, url string, depth int) {
		children = append(children, tracking.PageRef{ID: id, URL: url, Depth: depth})
		ids = append(ids, id)
	}
	for _, hop := range hops {
		if hop.Target == "" || !p.Seed.ContainsURL(hop.Target) {
			continue
		}
		if id := weburl.ID(hop.Target); id != p.PageID {
			keep(id, hop.Target, p.Depth)
		}
	}
	depth := min(p.Depth+1, tracking.MaxDepth+1) // above it, the store refuses and counts
	p.known.unknown(len(links),
		func(i int) string { return links[i].ID },
		func(i int) { keep(links[i].ID, links[i].URL, depth) })
	return children, ids
}

// unfetched decides about a page that could not be had.
func (c *Crawler) unfetched(p *page, err error) ending {
	var e *fetch.Error
	if !errors.As(err, &e) {
		e = &fetch.Error{Kind: fetch.KindProtocol, URL: p.URL, Err: err} // Fetch promises otherwise
	}
	switch {
	case e.Kind == fetch.KindDeferred:
		return ending{deferred: true}
	case e.Kind == fetch.KindCancelled || p.ctx.Err() != nil:
		return c.release(p)
	case e.Disallowed():
		return c.skip(p, "robots")
	}
	return c.fail(p, c.failure(p, e))
}

// fail ends an attempt.
func (c *Crawler) fail(p *page, f tracking.Failure) ending {
	result, ok := c.settle(p, func(ctx context.Context) (tracking.Result, error) {
		return c.Tracker.Fail(ctx, p.Lease, f)
	})
	if !ok || result.Outcome == tracking.Stale {
		return c.unsettled(p, ok)
	}
	c.note(p, result)
	if result.State == tracking.StateDelayed {
		c.counts.retried.Add(1)
		return ending{more: true, in: f.Delay + time.Millisecond}
	}
	c.counts.failed.Add(1)
	c.Logger.Debug("page failed", "seed", p.Seed, "url", p.URL, "attempt", p.Attempt, "error", f.Err)
	return ending{}
}

// skip ends a page that must not be crawled.
func (c *Crawler) skip(p *page, reason string) ending {
	result, ok := c.settle(p, func(ctx context.Context) (tracking.Result, error) {
		return c.Tracker.Skip(ctx, p.Lease, reason)
	})
	if !ok || result.Outcome == tracking.Stale {
		return c.unsettled(p, ok)
	}
	c.counts.skipped.Add(1)
	c.note(p, result)
	return ending{}
}

// note tells the log when a page was a seed's last.
func (c *Crawler) note(p *page, result tracking.Result) {
	if result.SeedCompleted {
		c.Logger.Info("seed completed", "seed", p.Seed, "generation", p.Generation)
	}
}

// unsettled ends a page of which the store was told nothing, or nothing that
// counts.
func (c *Crawler) unsettled(p *page, told bool) ending {
	if told {
		c.counts.stale.Add(1)
		return ending{}
	}
	if p.ctx.Err() != nil {
		return c.release(p)
	}
	return ending{}
}

// releaseTimeout is how long giving back one page may take, also when the work
// is over.
const releaseTimeout = 5 * time.Second

// release gives a page back unworked. It is the one call that is made after the
// end of the work. If the store cannot be reached the lease lapses.
func (c *Crawler) release(p *page) ending {
	if p.lost.Load() {
		c.counts.stale.Add(1)
		return ending{}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), releaseTimeout)
	defer cancel()
	result, err := c.Tracker.Release(ctx, p.Lease)
	if err != nil {
		c.Logger.Debug("page not given back", "seed", p.Seed, "url", p.URL, "error", err)
		return ending{}
	}
	if result.Outcome != tracking.Stale {
		c.counts.released.Add(1)
	}
	c.note(p, result)
	return ending{more: true, in: time.Second}
}
