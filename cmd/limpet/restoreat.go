package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"limpet/internal/archive"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/vfs"
)

// momentFlags choose a moment of an archive.
type momentFlags struct {
	At            string `placeholder:"TIME" help:"As of this moment: 2026-11-23T14:03:22Z, \"2026-11-23 14:03:22\" or 14:03 in local time, -10m before now."`
	BeforeCommand uint64 `name:"before-command" placeholder:"N" help:"Just before the command of this number, as limpet history shows it."`
	BeforeFlush   bool   `name:"before-flush" help:"Just before the newest FLUSHALL, FLUSHDB or mass delete; shows them all."`
}

// check checks what does not need the archive to tell.
func (m momentFlags) check() error {
	chosen := 0
	for _, given := range []bool{m.At != "", m.BeforeCommand != 0, m.BeforeFlush} {
		if given {
			chosen++
		}
	}
	if chosen > 1 {
		return errors.New("--at, --before-command and --before-flush exclude each other")
	}
	if m.At != "" {
		if _, err := parseMoment(m.At, time.Now()); err != nil {
			return fmt.Errorf("--at %w", err)
		}
	}
	return nil
}

// fromArchive restores a moment, or tells what would be restored.
func (c *restoreCmd) fromArchive(ctx context.Context, t terminal, store *target.Store) error {
	a, release, err := openArchive(ctx, store, c.secretFlags, "restore")
	if err != nil {
		return explainArchive(err, c.From)
	}
	defer release()
	p, err := c.plan(ctx, t, a)
	if err != nil {
		return c.explainMoment(err)
	}
	if !c.DryRun {
		if err := a.Restore(ctx, p, vfs.OS(), c.To); err != nil {
			return c.explainMoment(err)
		}
	}
	return c.tellMoment(t, p)
}

// openArchive opens an archive of which nothing is pruned until release is called.
func openArchive(ctx context.Context, store *target.Store, f secretFlags, what string) (a *archive.Archive, release func(), err error) {
	keys, err := f.open(ctx, store, false)
	if err != nil {
		return nil, nil, err
	}
	return archive.OpenToRead(ctx, store, keys, archive.Reader{What: what, Holder: holderName()})
}

// mostFlushes is how many flushes are shown.
const mostFlushes = 10

func (c *restoreCmd) plan(ctx context.Context, t terminal, a *archive.Archive) (*archive.Plan, error) {
	switch {
	case c.At != "":
		at, err := parseMoment(c.At, time.Now())
		if err != nil {
			return nil, err
		}
		return a.PlanAt(ctx, at)
	case c.BeforeCommand != 0:
		return a.PlanBeforeCommand(ctx, c.BeforeCommand)
	}
	found, err := a.Flushes(ctx, mostFlushes)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		mark := "  "
		if i == 0 {
			mark = "->"
		}
		if !c.JSON {
			if err := t.print("%s command %d, %s: %s in database %d", mark, f.Command, dated(f.At()), f.What, f.DB); err != nil {
				return nil, err
			}
		}
	}
	return a.PlanBeforeCommand(ctx, found[0].Command)
}

// dated is a command's time, and how far it can be trusted.
func dated(at time.Time, stamped bool) string {
	if stamped {
		return onClock(at)
	}
	return "read at " + onClock(at)
}

// restoredTo is the outcome as --json prints it.
type restoredTo struct {
	Success  bool      `json:"success"`
	Dir      string    `json:"dir,omitempty"` // absent in a dry run
	At       time.Time `json:"at"`
	Clock    string    `json:"clock"` // server: by #TS, to the second; archiver: when it was read
	Command  uint64    `json:"command"`
	Last     string    `json:"last,omitempty"`
	Next     uint64    `json:"next,omitempty"`
	Timeline uint64    `json:"timeline"`
	Base     int64     `json:"base"`
	Segments uint64    `json:"segments"`
	Note     string    `json:"note,omitempty"`

	Turn *archive.Turn `json:"clockWentBack,omitempty"` // the moment was twice; this is the later one
}

func (c *restoreCmd) tellMoment(t terminal, p *archive.Plan) error {
	r := restoredTo{
		Success: true, At: p.At, Clock: "archiver", Command: p.Command, Timeline: p.Timeline.Number, Base: int64(p.Base.Seq), Note: p.Note, Turn: p.Turn,
	}
	if p.Stamped {
		r.Clock = "server"
	}
	if p.Last != nil {
		r.Last = shown(p.Last)
	}
	if p.Next != nil {
		r.Next = p.Next.Number
	}
	if p.Segment >= p.Base.Segment {
		r.Segments = p.Segment - p.Base.Segment + 1
	}
	if !c.DryRun {
		r.Dir = c.To
	}
	if c.JSON {
		return printJSON(t, r)
	}
	verb := "restored to"
	if c.DryRun {
		verb = "would restore to"
	}
	lines := []string{fmt.Sprintf("%s %s, after command %d", verb, onClock(p.At), p.Command)}
	if r.Last != "" {
		lines[0] += ": " + r.Last
	}
	if p.Stamped {
		lines = append(lines, "  by the server's own clock (#TS), to the second")
	} else {
		lines = append(lines, "  by the moment of reading: the server writes no #TS (aof-timestamp-enabled)")
	}
	if p.Next != nil {
		lines = append(lines, fmt.Sprintf("  the next is command %d, %s: %s", p.Next.Number, dated(p.Next.At, p.Next.Stamped), shown(p.Next.Args)))
	}
	if p.Turn != nil {
		lines = append(lines, fmt.Sprintf("  the clock went back %s at %s, before command %d, so that this moment was twice: it is the later one", roughly(p.Turn.Back()), onClock(p.Turn.From), p.Turn.Command),
			fmt.Sprintf("  the earlier one is before that: limpet restore --from %s --before-command N --to NEW, with N up to %d; limpet history shows the numbers", typedPath(c.From), p.Turn.Command))
	}
	if p.Note != "" {
		lines = append(lines, "  note: "+p.Note)
	}
	lines = append(lines, fmt.Sprintf("  from timeline %d: base %d and %d segments, their chain of hashes checked", r.Timeline, r.Base, r.Segments))
	if !c.DryRun {
		lines = append(lines, fmt.Sprintf("start:  limpet store --dir %s", c.To))
	} else {
		lines[len(lines)-1] = strings.Replace(lines[len(lines)-1], ", their chain of hashes checked", "", 1)
	}
	for _, line := range lines {
		if err := t.print("%s", line); err != nil {
			return err
		}
	}
	return nil
}

// explainMoment says why nothing was restored, and what can be.
func (c *restoreCmd) explainMoment(err error) error {
	var gap *archive.GapError
	switch {
	case errors.As(err, &gap):
		f := failf(exitNo, "nothing is known of %s: no archiver saw it", onClock(gap.At))
		if gap.Pruned {
			f = failf(exitNo, "nothing is known any more of %s: it has been pruned", onClock(gap.At))
		}
		if gap.Before != nil {
			_ = f.with("before: timeline %d ends; limpet restore --from %s --at %s", gap.Before.Number, c.From, gap.Before.Until.UTC().Format(time.RFC3339Nano))
		}
		if gap.After != nil {
			began := gap.After.Why
			if gap.Pruned {
				began = "as far as it is kept"
			}
			_ = f.with("after:  timeline %d begins (%s); limpet restore --from %s --at %s", gap.After.Number, began, c.From, gap.After.From.UTC().Format(time.RFC3339Nano))
		}
		return f.with("Nothing has been written.")
	case errors.Is(err, archive.ErrNoFlush):
		return failf(exitNo, "the archive has no FLUSHALL, FLUSHDB or mass delete in it").
			with("look:   limpet history --from %s", c.From)
	case errors.Is(err, archive.ErrNotEmpty):
		return failf(exitLocal, "%s is not empty", c.To).
			with("A restore never writes over data. Nothing has been changed.").
			with("else:   choose another directory with --to")
	}
	return explainArchive(err, c.From)
}

// explainArchive says what is wrong with an archive that is read.
func explainArchive(err error, from string) error {
	var f *failure
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, archive.ErrEmpty):
		return failf(exitNotFound, "nothing has been archived at %s", from).
			with("begin:  limpet archive --dir DIR --to %s", from)
	case errors.Is(err, sealed.ErrNeedsKey):
		return failf(exitRefused, "the archive is encrypted").
			with("open:   --passphrase-file FILE or --identity FILE")
	case errors.Is(err, sealed.ErrWrongKey):
		return failf(exitRefused, "the archive is encrypted for another key").with("Nothing has been written.")
	case errors.Is(err, archive.ErrDamaged) || errors.Is(err, sealed.ErrDamaged) || errors.Is(err, sealed.ErrTruncated):
		return failf(exitLocal, "%s", err).
			with("What lies before it can be restored: choose an earlier moment with --at. Nothing has been written.")
	}
	return failf(exitLocal, "%s", err).with("Nothing has been written.")
}

// mostShown is how many bytes of an argument, and how many arguments, are shown.
const mostShown = 64

// shown is a command as a person would type it into redis-cli, shortened.
func shown(args [][]byte) string {
	words := make([]string, 0, len(args))
	for i, arg := range args {
		if i == mostShown {
			words = append(words, fmt.Sprintf("… (%d more)", len(args)-i))
			break
		}
		if len(arg) > mostShown {
			words = append(words, quoted(arg[:mostShown])+fmt.Sprintf("… (%d bytes)", len(arg)))
			continue
		}
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

// quoted is an argument bare where that is unmistakable, else as redis-cli shows
// it.
func quoted(arg []byte) string {
	bare := len(arg) > 0
	for _, b := range arg {
		bare = bare && b > ' ' && b < 0x7f && b != '"' && b != '\\' && b != '\''
	}
	if bare {
		return string(arg)
	}
	out := []byte{'"'}
	for _, b := range arg {
		switch {
		case b == '"' || b == '\\':
			out = append(out, '\\', b)
		case b == '\n':
			out = append(out, `\n`...)
		case b == '\r':
			out = append(out, `\r`...)
		case b == '\t':
			out = append(out, `\t`...)
		case b < ' ' || b >= 0x7f:
			out = fmt.Appendf(out, `\x%02x`, b)
		default:
			out = append(out, b)
		}
	}
	return string(append(out, '"'))
}
