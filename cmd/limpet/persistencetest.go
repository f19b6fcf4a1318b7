package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// persistenceTestCmd tries what docs/persistence.md promises, on this machine.
type persistenceTestCmd struct {
	Compose  string `type:"path" placeholder:"FILE" help:"Try the set-up of this docker-compose file, in a project, a directory and on ports of the test's own."`
	Service  string `enum:"redis,embedded" default:"redis" help:"With --compose: which of its stores, redis or embedded (${default})."`
	Embedded bool   `help:"Try limpet up with its own store, without Docker. This is what happens without --compose, too."`
	Image    string `name:"site-image" placeholder:"IMAGE" help:"With --compose: a web server on port 80 to crawl, instead of pages that limpet makes up."`
	Scratch  string `type:"path" placeholder:"DIR" help:"Where the test keeps its data; a temporary directory."`
	Keep     bool   `help:"Leave the data of the test there."`
	JSON     bool   `name:"json" help:"Print JSON, one step a line."`

	ServeSite string `hidden:"" help:"Serve the pages that the test crawls."`
}

// Help follows the summary in `limpet persistence-test --help`.
func (c *persistenceTestCmd) Help() string {
	return "It submits a crawl, ends and kills the service in the middle of it, takes containers and volumes away, tears the log, backs up, wipes and restores, and looks each time whether everything is there. " +
		"It works on data of its own and never touches yours. Exit code 0: all holds; 1: something does not. docs/persistence.md explains the steps."
}

// Validate checks that one set-up is named.
func (c *persistenceTestCmd) Validate() error {
	switch {
	case c.Compose != "" && c.Embedded:
		return errors.New("--compose and --embedded exclude each other")
	case c.Compose == "" && (c.Service != "redis" || c.Image != ""):
		return errors.New("--service and --site-image go with --compose")
	}
	return nil
}

// stepResult is a step of the test as --json prints it.
type stepResult struct {
	Step    string  `json:"step"`
	OK      bool    `json:"ok"`
	Detail  string  `json:"detail"`
	Seconds float64 `json:"seconds"`
}

// testPatience is how long the whole test may take.
const testPatience = 30 * time.Minute

// Run takes one step after the other; a step that fails does not keep the others
// from being tried.
func (c *persistenceTestCmd) Run(ctx context.Context, t terminal) (err error) {
	if c.ServeSite != "" {
		return serveSite(ctx, c.ServeSite)
	}
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	scratch, err := c.scratch()
	if err != nil {
		return failf(exitLocal, "cannot make a directory for the test: %s", reason(err))
	}
	if !c.Keep {
		defer func() { _ = os.RemoveAll(scratch) }()
	}
	s, err := c.stack(ctx, scratch)
	if err != nil {
		return err
	}
	defer func() {
		// Whatever happened, nothing of the test is left running.
		last, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer done()
		err = errors.Join(err, s.remove(last))
	}()
	if err := c.say(t, "trying %s, with data in %s", s, scratch); err != nil {
		return err
	}
	failed := 0
	tr := &trial{stack: s, scratch: scratch}
	for _, step := range trialSteps {
		begun := time.Now()
		detail, err := step.try(tr, ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", step.name, ctx.Err())
		}
		r := stepResult{Step: step.name, OK: err == nil, Detail: detail, Seconds: time.Since(begun).Seconds()}
		if err != nil {
			r.Detail = err.Error()
			failed++
		}
		if err := c.tell(t, r); err != nil {
			return err
		}
	}
	if failed > 0 {
		return failf(exitNo, "%d of %d steps failed", failed, len(trialSteps)).
			with("look:   limpet persistence-test … --keep leaves the data there")
	}
	return c.say(t, "all %d steps hold", len(trialSteps))
}

func (c *persistenceTestCmd) say(t terminal, format string, args ...any) error {
	if c.JSON {
		return nil
	}
	return t.print(format, args...)
}

func (c *persistenceTestCmd) tell(t terminal, r stepResult) error {
	if c.JSON {
		return printJSON(t, r)
	}
	mark := "ok    "
	if !r.OK {
		mark = "FAILED"
	}
	return t.print("%s  %-52s %5.1fs  %s", mark, r.Step, r.Seconds, printable(r.Detail))
}

// scratch is a new directory that containers can get into.
func (c *persistenceTestCmd) scratch() (string, error) {
	if c.Scratch != "" {
		if err := os.MkdirAll(c.Scratch, 0o755); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(c.Scratch, "limpet-persistence-test-")
	if err != nil {
		return "", err
	}
	return dir, errors.Join(os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "redis"), 0o755))
}

func (c *persistenceTestCmd) stack(ctx context.Context, scratch string) (stack, error) {
	if c.Compose != "" {
		return newComposeStack(ctx, c, scratch)
	}
	return newProcessStack(scratch)
}

// stack is a set-up under test: a store and a crawler over a data directory.
type stack interface {
	fmt.Stringer
	// up starts it, with settings as in the environment of limpet up, and returns
	// when it answers.
	up(ctx context.Context, settings ...string) error
	// down ends it as its user would, and with volumes as one who is careless.
	down(ctx context.Context, volumes bool) error
	// kill ends all of it as kill -9 does.
	kill(ctx context.Context) error
	// remove leaves nothing of it, but for the data.
	remove(ctx context.Context) error
	// stranger has a user start it who must not write to the data directory, and
	// gives what is said.
	stranger(ctx context.Context) (said string, err error)
	// complaint is what it has said last.
	complaint(ctx context.Context) string
	dir() string   // the data directory on this machine
	store() string // the store's URL
	api() string   // the API's URL
	site() string  // the seed to crawl
}
