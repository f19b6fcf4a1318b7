package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"limpet/internal/info"
)

// rewriteCmd has a store rewrite its log.
type rewriteCmd struct {
	liveFlags
	Watch   bool          `short:"w" help:"Stay until it is done, and show how far it is."`
	Timeout time.Duration `placeholder:"DURATION" help:"With --watch: leave after this time; the rewrite goes on. No limit without it."`
	JSON    bool          `name:"json" help:"Print the outcome as JSON."`
}

// Help follows the summary in `limpet rewrite --help`.
func (c *rewriteCmd) Help() string {
	return "A rewrite (BGREWRITEAOF) makes a new base of what is in memory and then removes the old files; until it is done these count, so that nothing is lost when it fails. " +
		"One that runs already is joined."
}

// Validate checks what does not need the machine to tell.
func (c *rewriteCmd) Validate() error {
	if c.Timeout < 0 || c.Timeout > 0 && !c.Watch {
		return errors.New("--timeout: want a duration like 10m, together with --watch")
	}
	return c.liveFlags.Validate()
}

// rewriting is one rewrite, as far as it was seen.
type rewriting struct {
	Store       string  `json:"store"`
	Outcome     string  `json:"outcome"` // started, scheduled, joined, or done
	BytesBefore int64   `json:"bytes_before"`
	BytesAfter  int64   `json:"bytes_after,omitempty"`
	Keys        int64   `json:"keys"`
	TookSeconds float64 `json:"took_seconds,omitempty"` // that we waited

	began time.Time
}

// Run triggers a rewrite, or joins the one that runs.
func (c *rewriteCmd) Run(ctx context.Context, t terminal) error {
	client := c.connect()
	defer func() { _ = client.Close() }()
	before, err := c.ask(ctx, client)
	if err != nil {
		return err
	}
	if !before.Flag("aof_enabled") {
		return failf(exitRefused, "%s keeps no log (appendonly no): there is nothing to rewrite", c.name()).
			with("Nothing has been changed.").
			with("save:   redis-cli BGSAVE writes dump.rdb").
			with("or log: redis-cli CONFIG SET appendonly yes && redis-cli CONFIG REWRITE")
	}
	r := &rewriting{Store: c.name(), BytesBefore: before.Number("aof_current_size"), began: time.Now()}
	r.Keys, _ = before.Keys()
	reply, err := client.Do(ctx, "BGREWRITEAOF").Text()
	switch {
	case err == nil && strings.Contains(reply, "scheduled"):
		r.Outcome = "scheduled"
	case err == nil:
		r.Outcome = "started"
	case strings.Contains(err.Error(), "already in progress"):
		r.Outcome = "joined"
	default:
		return c.refused(ctx, err)
	}
	if !c.Watch {
		return c.tell(t, r)
	}
	return c.watch(ctx, t, client, r)
}

func (c *rewriteCmd) ask(ctx context.Context, client *redis.Client) (info.Info, error) {
	text, err := client.Info(ctx, "everything").Result()
	if err != nil {
		return info.Info{}, c.silence(ctx, err)
	}
	return info.Parse(text), nil
}

// refused explains why a rewrite did not begin.
func (c *rewriteCmd) refused(ctx context.Context, err error) error {
	var wire redis.Error
	if !errors.As(err, &wire) {
		return c.silence(ctx, err)
	}
	return c.whatNext(failf(exitLater, "%s did not begin a rewrite: %s", c.name(), err))
}

func (c *rewriteCmd) whatNext(f *failure) *failure {
	return f.with("The old files count as before: nothing is lost.").
		with("why:    look into the server's log; then df -h, and ls -ld of its directory").
		with("more:   limpet doctor --store %s", c.name())
}

const rewritePoll = 100 * time.Millisecond

// watch waits for the end. A rewrite has ended when none runs and none waits; the
// server then says whether the last one went well.
func (c *rewriteCmd) watch(ctx context.Context, t terminal, client *redis.Client, r *rewriting) error {
	show := newRewriteBar(t, r.Outcome, c.JSON)
	defer show.end()
	var deadline <-chan time.Time
	if c.Timeout > 0 {
		timer := time.NewTimer(c.Timeout)
		defer timer.Stop()
		deadline = timer.C
	}
	tick := time.NewTicker(rewritePoll)
	defer tick.Stop()
	for {
		i, err := c.ask(ctx, client)
		if err != nil {
			return c.lost(err)
		}
		running := i.Flag("aof_rewrite_in_progress")
		waiting := i.Flag("aof_rewrite_scheduled")
		switch {
		case running:
			show.at(i)
		case waiting && i.Ours() && i.Text("aof_last_write_status") == "err":
			// It begins as soon as the disk allows, and not before.
			return c.whatNext(failf(exitLater, "the rewrite waits: the store cannot write to its disk"))
		case !waiting:
			show.end()
			return c.ended(t, r, i)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return failf(exitLater, "the rewrite is not done after %s", c.Timeout).
				with("It goes on; nothing has been stopped.").
				with("join:   limpet rewrite --watch --store %s", c.name())
		case <-tick.C:
		}
	}
}

// lost adds what became of the rewrite when its server has gone.
func (c *rewriteCmd) lost(err error) error {
	var f *failure
	if errors.As(err, &f) && f.code == exitUnreachable {
		return failf(exitUnreachable, "%s, in the middle of the rewrite", f.text).
			with("The old files count as before: nothing is lost. A rewrite that was broken off may have left a temp file; limpet check names it.")
	}
	return err
}

func (c *rewriteCmd) ended(t terminal, r *rewriting, i info.Info) error {
	if i.Text("aof_last_bgrewrite_status") == "err" {
		return c.whatNext(failf(exitLater, "the rewrite failed"))
	}
	r.Outcome, r.BytesAfter, r.TookSeconds = "done", i.Number("aof_current_size"), time.Since(r.began).Seconds()
	r.Keys, _ = i.Keys()
	return c.tell(t, r)
}

func (c *rewriteCmd) tell(t terminal, r *rewriting) error {
	if c.JSON {
		return printJSON(t, r)
	}
	watch := fmt.Sprintf("  watch:  limpet rewrite --watch --store %s", c.name())
	switch r.Outcome {
	case "started":
		return t.print("the rewrite has begun; the log takes %s\n%s", bytesText(r.BytesBefore), watch)
	case "scheduled":
		return t.print("a rewrite is scheduled, for when the save that runs has ended; the log takes %s\n%s", bytesText(r.BytesBefore), watch)
	case "joined":
		return t.print("a rewrite is under way already; the log takes %s\n%s", bytesText(r.BytesBefore), watch)
	}
	less := ""
	if saved := r.BytesBefore - r.BytesAfter; saved > 0 {
		less = fmt.Sprintf(", %s less", bytesText(saved))
	}
	return t.print("rewritten: the log took %s, and takes %s%s; %d keys", bytesText(r.BytesBefore), bytesText(r.BytesAfter), less, r.Keys)
}

// rewriteBar shows how far a rewrite is: a bar on a terminal, lines elsewhere,
// both on standard error.
type rewriteBar struct {
	t     terminal
	all   *mpb.Progress
	bar   *mpb.Bar
	lines bool
	said  time.Time
}

func newRewriteBar(t terminal, outcome string, asJSON bool) *rewriteBar {
	b := &rewriteBar{t: t}
	if !term.IsTerminal(int(t.err.Fd())) {
		b.lines = !asJSON
		return b
	}
	what := map[bool]string{false: "rewriting ", true: "joined, rewriting "}[outcome == "joined"]
	b.all = mpb.New(mpb.WithOutput(t.err), mpb.WithAutoRefresh())
	b.bar = b.all.New(0,
		mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.PrependDecorators(decor.Name(what)),
		mpb.AppendDecorators(decor.Percentage(), decor.CountersNoUnit(", %d of %d keys"), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 5})),
		mpb.BarFillerTrim(),
		mpb.BarRemoveOnComplete(),
	)
	return b
}

// at shows what the server says. A key may be large, so that the share of the
// keys is an estimate of the share of the work.
func (b *rewriteBar) at(i info.Info) {
	done, total := i.Number("current_save_keys_processed"), i.Number("current_save_keys_total")
	switch {
	case b.bar != nil:
		b.bar.SetTotal(total, false)
		b.bar.SetCurrent(done)
	case b.lines && time.Since(b.said) >= plainEvery:
		b.said = time.Now()
		_, _ = fmt.Fprintf(b.t.err, "rewriting, %d of %d keys (about %.0f %%)\n", done, total, 100*float64(done)/float64(max(1, total)))
	}
}

func (b *rewriteBar) end() {
	if b.bar != nil {
		b.bar.Abort(true)
		b.all.Wait()
		b.bar = nil
	}
}
