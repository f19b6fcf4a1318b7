package main

import (
	"context"
	"net/http"
	"strings"
	"time"
)

type submitCmd struct {
	Domain         string        `arg:"" help:"Domain like example.com, or the URL of the page to begin with."`
	MaxPages       *int          `placeholder:"N" help:"Most pages, 0 for no limit; the service's default without it."`
	MaxDepth       *int          `placeholder:"N" help:"Most links away from the first page, 0 for no limit."`
	Recrawl        bool          `help:"Start a new generation if it is finished; the old records are dropped."`
	IdempotencyKey string        `placeholder:"KEY" help:"The same key gets the same answer; nothing is started twice."`
	Watch          bool          `short:"w" help:"Go on as progress --watch."`
	Interval       time.Duration `default:"500ms" help:"How often --watch looks."`
	remote
}

// submission is the answer to a submit.
type submission struct {
	Seed       string
	Generation int64
	Status     string
	Joined     bool
}

func (c *submitCmd) Run(ctx context.Context, t terminal) error {
	body := map[string]any{"domain": c.Domain}
	if strings.Contains(c.Domain, "://") {
		body = map[string]any{"url": c.Domain}
	}
	if c.MaxPages != nil {
		body["max_pages"] = *c.MaxPages
	}
	if c.MaxDepth != nil {
		body["max_depth"] = *c.MaxDepth
	}
	if c.Recrawl {
		body["recrawl"] = true
	}
	q := request{method: http.MethodPost, path: "/api/submit", body: body}
	if c.IdempotencyKey != "" {
		q.header = http.Header{"Idempotency-Key": {c.IdempotencyKey}}
	}
	var s submission
	raw, err := c.call(ctx, quick, q, &s)
	if err != nil {
		return err
	}
	if err := c.tell(t, s, raw); err != nil {
		return err
	}
	if c.Watch {
		return watch(ctx, t, &c.remote, s.Seed, c.Interval)
	}
	return nil
}

func (c *submitCmd) tell(t terminal, s submission, raw []byte) error {
	if c.JSON {
		return t.print("%s", raw)
	}
	finished := s.Status == "completed" || s.Status == "cancelled"
	switch {
	case finished && c.IdempotencyKey == "":
		return t.print("%s: already %s (generation %d), nothing was started\n  again:  limpet submit %s --recrawl",
			s.Seed, s.Status, s.Generation, c.Domain)
	case finished:
		return t.print("%s: %s (generation %d)", s.Seed, s.Status, s.Generation)
	case s.Joined:
		return t.print("%s: already %s (generation %d), joined", s.Seed, s.Status, s.Generation)
	case c.Watch:
		return t.print("%s: crawl started (generation %d)", s.Seed, s.Generation)
	}
	return t.print("%s: crawl started (generation %d)\n  watch:  limpet progress %s --watch", s.Seed, s.Generation, s.Seed)
}
