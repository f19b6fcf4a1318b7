package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"limpet/internal/info"
	"limpet/internal/stat"
)

// statCmd shows what a store does, again and again.
type statCmd struct {
	liveFlags
	Dir      string        `env:"LIMPET_DIR" type:"path" placeholder:"DIR" help:"Its data directory, to show the disk; a store on this machine is asked for it."`
	Archive  string        `env:"LIMPET_ARCHIVE" placeholder:"TARGET" help:"Where the store is archived to, to show how far behind that is."`
	Interval time.Duration `default:"1s" help:"How often to look (${default})."`
	Count    int           `placeholder:"N" help:"End after so many looks."`
	Explain  bool          `help:"Instead, explain INFO persistence field by field: what it means, whether it is good, what to do."`
	JSON     bool          `name:"json" help:"Print JSON, one object a line for each look, or for each field of --explain."`
}

// Help follows the summary in `limpet stat --help`.
func (c *statCmd) Help() string {
	return "On a terminal it draws a screen: q or ctrl-C ends it. Elsewhere it prints a line for each look. " +
		"It changes nothing, and goes on when the store goes away and comes back. docs/stat.md explains what is shown."
}

// Validate checks what does not need the machine to tell.
func (c *statCmd) Validate() error {
	switch {
	case c.Interval < 100*time.Millisecond:
		return fmt.Errorf("--interval %v: want 100ms or more", c.Interval)
	case c.Count < 0:
		return fmt.Errorf("--count %d: want 1 or more", c.Count)
	}
	return c.liveFlags.Validate()
}

// Run looks until it is told to end.
func (c *statCmd) Run(ctx context.Context, t terminal) error {
	if c.Explain {
		return c.explain(ctx, t)
	}
	o, err := c.observe(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	if !c.JSON && term.IsTerminal(int(t.out.Fd())) && term.IsTerminal(int(os.Stdin.Fd())) {
		err := showScreen(ctx, o, c.Interval, c.Count)
		if !errors.Is(err, errNoScreen) {
			return err
		}
	}
	return c.lines(ctx, t, o)
}

// lines prints a line for each look. The exit code says whether the last one got
// an answer.
func (c *statCmd) lines(ctx context.Context, t terminal, o *observer) error {
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	p := plainStats{t: t}
	for n := 1; ; n++ {
		v, err := o.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case c.JSON:
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			if err := t.print("%s", text); err != nil {
				return err
			}
		default:
			if err := p.show(v); err != nil {
				return err
			}
		}
		if n == c.Count {
			if err != nil {
				return c.silence(ctx, err)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// explain explains one answer to INFO.
func (c *statCmd) explain(ctx context.Context, t terminal) error {
	client := c.connect()
	defer func() { _ = client.Close() }()
	text, err := client.Info(ctx, "everything").Result()
	if err != nil {
		return c.silence(ctx, err)
	}
	i := info.Parse(text)
	fields := info.Explain(i, time.Now())
	if c.JSON {
		for _, f := range fields {
			if err := printJSON(t, f); err != nil {
				return err
			}
		}
		return nil
	}
	paint := newPaint(t)
	if err := t.print("%s, %s: INFO persistence", c.name(), i.Server()); err != nil {
		return err
	}
	for _, f := range fields {
		value := f.Value
		if f.Reads != "" && f.Reads != f.Value {
			value += " (" + f.Reads + ")"
		}
		err := t.print("%s  %s = %s\n       %s", paint.tone(toneOf(f.Verdict), fmt.Sprintf("%-5s", word(f.Verdict))), printable(f.Name), printable(value), f.Means)
		if err == nil && f.Do != "" {
			err = t.print("       do: %s", f.Do)
		}
		if err != nil {
			return err
		}
	}
	return t.print("%s", info.Summary(fields))
}

// word is a verdict in five letters or fewer.
func word(v info.Verdict) string {
	return map[info.Verdict]string{info.Fact: "", info.Unknown: "?"}[v] + map[info.Verdict]string{info.Good: "good", info.Watch: "watch", info.Bad: "BAD"}[v]
}

func toneOf(v info.Verdict) tone {
	return map[info.Verdict]tone{info.Good: toneGood, info.Watch: toneWatch, info.Bad: toneBad}[v]
}

// paint colours lines of a terminal; elsewhere, or where NO_COLOR is set, it does
// nothing.
type paint bool

func newPaint(t terminal) paint {
	return paint(term.IsTerminal(int(t.out.Fd())) && os.Getenv("NO_COLOR") == "")
}

func (p paint) tone(n tone, text string) string {
	code := map[tone]string{toneGood: "32", toneWatch: "33", toneBad: "1;31"}[n]
	if !p || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// plainStats prints looks for a log.
type plainStats struct {
	t      terminal
	silent bool // the store does not answer, and that was said
}

func (p *plainStats) show(v stat.Sample) error {
	at := v.Time.Local().Format(time.TimeOnly)
	if !v.Up {
		if p.silent {
			return nil
		}
		p.silent = true
		return p.t.print("%s  no answer from %s: %s; trying again", at, v.Store, printable(v.Error))
	}
	p.silent = false
	return p.t.print("%s  %s", at, statLine(v))
}
