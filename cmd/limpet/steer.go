package main

import (
	"context"
	"net/http"
)

type (
	pauseCmd  struct{ steering }
	resumeCmd struct{ steering }
	cancelCmd struct{ steering }
)

func (c *pauseCmd) Run(ctx context.Context, t terminal) error  { return c.steer(ctx, t, "pause") }
func (c *resumeCmd) Run(ctx context.Context, t terminal) error { return c.steer(ctx, t, "resume") }
func (c *cancelCmd) Run(ctx context.Context, t terminal) error { return c.steer(ctx, t, "cancel") }

// steering is what pause, resume and cancel have in common.
type steering struct {
	Seed string `arg:"" help:"Seed, as in test.com."`
	remote
}

func (c *steering) steer(ctx context.Context, t terminal, verb string) error {
	var answer struct{ Seed, Status string }
	raw, err := c.call(ctx, long, request{method: http.MethodPost, path: seedPath(c.Seed, "/"+verb)}, &answer)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.print("%s", raw)
	}
	return t.print("%s: %s", answer.Seed, answer.Status)
}
