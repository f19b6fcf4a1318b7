package crawl

import (
	"context"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// upkeep looks after what nobody tells the scheduler: seeds that were submitted
// or resumed through another process, leases of workers that died, a list of
// active seeds that has drifted from the truth.
func (c *Crawler) upkeep(ctx context.Context) {
	poll, reap, repair := c.Clock.NewTicker(c.PollEvery), c.Clock.NewTicker(c.ReapEvery), c.Clock.NewTicker(c.RepairEvery)
	defer poll.Stop()
	defer reap.Stop()
	defer repair.Stop()
	c.repair(ctx)
	c.poll(ctx)
	c.reap(ctx)
	for {
		select {
		case <-poll.C():
			c.poll(ctx)
		case <-reap.C():
			c.reap(ctx)
		case <-repair.C():
			c.repair(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// takeOver queues again what a dead process had in flight. Nothing of this one
// may have a lease yet. Where it fails, the leases lapse in their time.
func (c *Crawler) takeOver(ctx context.Context) {
	c.repair(ctx)
	c.reapBy(ctx, c.Tracker.ReapAll, "pages were in flight when the last process ended")
}

func (c *Crawler) poll(ctx context.Context) {
	seeds, err := c.Tracker.Active(ctx)
	if c.failedUpkeep(ctx, err) {
		return
	}
	for _, seed := range seeds {
		c.woken.add(seed, false)
	}
}

func (c *Crawler) reap(ctx context.Context) {
	lapsed := func(ctx context.Context, seed weburl.Seed) (tracking.Reaped, error) {
		return c.Tracker.Reap(ctx, seed, 0)
	}
	c.reapBy(ctx, lapsed, "leases had run out")
}

func (c *Crawler) reapBy(ctx context.Context, reap func(context.Context, weburl.Seed) (tracking.Reaped, error), what string) {
	seeds, err := c.Tracker.Active(ctx)
	if c.failedUpkeep(ctx, err) {
		return
	}
	for _, seed := range seeds {
		reaped, err := reap(ctx, seed)
		if c.failedUpkeep(ctx, err) {
			return
		}
		if n := reaped.Requeued + reaped.Failed + reaped.Skipped; n > 0 {
			c.counts.reaped.Add(int64(n))
			c.Logger.Info(what, "seed", seed,
				"requeued", reaped.Requeued, "failed", reaped.Failed, "skipped", reaped.Skipped)
			c.Wake(seed)
		}
		if reaped.SeedCompleted {
			c.Logger.Info("seed completed", "seed", seed)
		}
	}
}

func (c *Crawler) repair(ctx context.Context) {
	fixed, err := c.Tracker.RepairActive(ctx)
	if !c.failedUpkeep(ctx, err) && fixed.Activated > 0 {
		c.Logger.Info("seeds with work were not listed as active", "seeds", fixed.Activated)
	}
}

// failedUpkeep notes an error; the next round tries again.
func (c *Crawler) failedUpkeep(ctx context.Context, err error) bool {
	if err != nil && ctx.Err() == nil {
		c.unanswered(err)
	}
	return err != nil
}
