package main

import (
	"context"
	"net/http"
)

type retryCmd struct {
	Seed  string   `arg:"" help:"Seed, as in test.com."`
	Pages []string `arg:"" optional:"" name:"page" help:"Ids of failed pages (limpet pages SEED --state failed --json shows them); all failed ones without it."`
	remote
}

func (c *retryCmd) Run(ctx context.Context, t terminal) error {
	q := request{method: http.MethodPost, path: seedPath(c.Seed, "/retry")}
	if len(c.Pages) > 0 {
		q.body = map[string]any{"pages": c.Pages}
	}
	var answer struct {
		Seed   string
		Queued int
	}
	raw, err := c.call(ctx, long, q, &answer)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return t.print("%s", raw)
	case answer.Queued == 0:
		return t.print("%s: no failed pages to retry", answer.Seed)
	}
	return t.print("%s: %d queued again\n  watch:  limpet progress %s --watch", answer.Seed, answer.Queued, answer.Seed)
}
