package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"limpet/clock"
	"limpet/internal/machine"
	"limpet/internal/repair"
	"limpet/vfs"
)

type repairCmd struct {
	From         string `required:"" type:"path" placeholder:"DIR" help:"Data directory, of Limpet's or of a real Redis's, or a single log or RDB; it is only read."`
	To           string `type:"path" placeholder:"NEW" help:"New directory to write, or for a single file a new file."`
	InPlace      bool   `help:"Instead, change what --from names, after copying all of it."`
	KeepAfterGap bool   `help:"Keep the files behind one that ends early or is missing, though commands are missing before them."`
	Resync       bool   `help:"Go on behind damage where it can be told where commands begin again, though some are missing."`
	SalvageBase  bool   `help:"Keep the entries before the damage of an RDB."`
	Yes          bool   `short:"y" help:"Do not ask."`
	JSON         bool   `name:"json" help:"Print the plan as JSON."`
}

// Help follows the summary in `limpet repair --help`.
func (c *repairCmd) Help() string {
	return "It shows first what would be kept and what cut, and asks. What is cut is kept in files beside the log. " +
		"Without further options a prefix is kept: a state that the store once had. docs/repair.md tells more."
}

// Validate checks that one target is named.
func (c *repairCmd) Validate() error {
	switch {
	case c.To == "" && !c.InPlace:
		return errors.New("--to NEW is missing: where what is mended is to be written")
	case c.To != "" && c.InPlace:
		return errors.New("--to and --in-place exclude each other")
	case c.To != "" && c.single():
		if c.To == c.From {
			return errors.New("--to must be a new file, not that of --from")
		}
	case c.To != "" && (inside(c.From, c.To) || inside(c.To, c.From)):
		return errors.New("--to must be a directory beside that of --from, not in it")
	}
	return nil
}

// single tells that a file is to be mended.
func (c *repairCmd) single() bool {
	info, err := vfs.OS().Stat(c.From)
	return err == nil && !info.IsDir()
}

func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// Run shows the plan and, when it is agreed to, carries it out.
func (c *repairCmd) Run(ctx context.Context, t terminal) error {
	fsys := vfs.OS()
	if _, err := fsys.Stat(c.From); err != nil {
		return failf(exitLocal, "cannot repair %s: %s", c.From, reason(err))
	}
	if err := c.alone(); err != nil {
		return err
	}
	release, err := repair.Guard(fsys, c.From, c.InPlace)
	if err != nil {
		return c.explain(err)
	}
	defer release()
	if c.InPlace {
		if err := repair.Recover(fsys, c.From); err != nil {
			return c.explain(err)
		}
	}
	bar := newBytesBar(t, "reading")
	plan, err := repair.MakePlan(ctx, fsys, c.From, repair.Options{
		KeepAfterGap: c.KeepAfterGap, Resync: c.Resync, SalvageBase: c.SalvageBase, Begin: bar.begin, Progress: bar.add,
	})
	bar.end()
	if err != nil {
		return c.explain(err)
	}
	if !c.JSON {
		if err := t.print("%s", c.planText(plan)); err != nil {
			return err
		}
	}
	if plan.Nothing() {
		return c.tell(t, plan, "nothing", "")
	}
	if !c.Yes {
		switch agreed, err := c.ask(t); {
		case err != nil:
			return err
		case !agreed:
			return c.tell(t, plan, "planned", "")
		}
	}
	kept := ""
	if c.InPlace {
		kept, err = plan.InPlace(ctx, fsys, clock.Real().Now)
	} else {
		err = plan.WriteTo(ctx, fsys, c.To, clock.Real().Now)
	}
	if err != nil {
		return c.failed(err, kept)
	}
	return c.tell(t, plan, "repaired", kept)
}

// alone refuses while a process has the files open: a real redis-server takes no lock.
func (c *repairCmd) alone() error {
	dir := c.From
	if c.single() {
		dir = filepath.Dir(dir)
	}
	for _, h := range machine.Holders(dir) {
		if dir != c.From && filepath.Base(h.File) != filepath.Base(c.From) {
			continue
		}
		return failf(exitRefused, "%s is in use: process %d (%s) has %s open", c.From, h.PID, h.Name, filepath.Base(h.File)).
			with("A store that runs is not repaired: it is sound as far as it runs. Nothing has been changed.").
			with("stop:   end it first (docker compose stop, redis-cli SHUTDOWN), then try again")
	}
	return nil
}

// ask asks a person; where there is none the answer is no.
func (c *repairCmd) ask(t terminal) (bool, error) {
	if c.JSON || !term.IsTerminal(int(os.Stdin.Fd())) {
		return false, nil
	}
	if _, err := fmt.Fprint(t.err, "Write this? [y/N]: "); err != nil {
		return false, asLocal(err)
	}
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "y"), nil
}

// tell says how it ended.
func (c *repairCmd) tell(t terminal, plan *repair.Plan, outcome, kept string) error {
	var err error
	if c.JSON {
		var text []byte
		text, err = json.Marshal(struct {
			Outcome string `json:"outcome"`
			To      string `json:"to,omitempty"`
			Copy    string `json:"copy,omitempty"`
			*repair.Plan
		}{outcome, c.To, kept, plan})
		if err == nil {
			err = t.print("%s", text)
		}
	} else if lines := c.outcome(plan, outcome, kept); lines != "" {
		err = t.print("%s", lines)
	}
	if err == nil && outcome == "planned" {
		return &failure{code: exitNo}
	}
	return err
}

func (c *repairCmd) outcome(plan *repair.Plan, outcome, kept string) string {
	var w told
	switch outcome {
	case "nothing":
		w.linef("Nothing to mend. Nothing has been written.")
	case "planned":
		w.linef("Nothing has been written.")
		w.linef("do it:  %s --yes", c.again())
	case "repaired":
		dir := c.To
		if c.InPlace {
			dir = c.From
			w.linef("The %s as it was is in %s.", what(plan), kept)
		}
		for _, f := range append(append([]*repair.FilePlan{}, plan.Files...), plan.Dumps...) {
			for _, cut := range f.Cuts {
				w.linef("Bytes %d to %d of %s are kept in %s.", cut.From, cut.To, f.Name, cut.SavedAs)
			}
		}
		w.linef("%s is sound: %s.", dir, held(plan))
		w.linef("look:   limpet check %s", typedPath(dir))
		if owner, err := machine.OwnerOf(cmp.Or(kept, c.From)); err == nil && !c.InPlace && owner.UID != os.Geteuid() {
			w.linef("own:    chown -R %d:%d %s, as whose server it was", owner.UID, owner.GID, typedPath(dir))
		}
	}
	return strings.TrimSuffix(w.String(), "\n")
}

func what(plan *repair.Plan) string {
	if plan.Single {
		return "file"
	}
	return "directory"
}

// held is what a plan keeps.
func held(plan *repair.Plan) string {
	keys, isRDB := 0, false
	for _, f := range append(append([]*repair.FilePlan{}, plan.Files...), plan.Dumps...) {
		if strings.HasSuffix(f.Name, ".rdb") && (plan.Log == nil || !strings.HasPrefix(f.Name, "dump")) {
			keys, isRDB = keys+f.Keys, true
		}
	}
	text := count(plan.Commands(), "command")
	if isRDB {
		text = count(keys, "key") + " in an RDB, " + text
	}
	return text
}

// again is the command line that does what was planned.
func (c *repairCmd) again() string {
	line := "limpet repair --from " + typedPath(c.From)
	if c.InPlace {
		line += " --in-place"
	} else {
		line += " --to " + typedPath(c.To)
	}
	for _, option := range []struct {
		flag string
		set  bool
	}{{" --keep-after-gap", c.KeepAfterGap}, {" --resync", c.Resync}, {" --salvage-base", c.SalvageBase}} {
		if option.set {
			line += option.flag
		}
	}
	return line
}

// planText shows what is kept and what is cut.
func (c *repairCmd) planText(plan *repair.Plan) string {
	var w told
	w.linef("%s: %s", plan.From, plan.Report.Verdict)
	if plan.Rebuilt != "" {
		w.linef("  the manifest is made anew, from %s", plan.Rebuilt)
	}
	for _, f := range append(append([]*repair.FilePlan{}, plan.Files...), plan.Dumps...) {
		switch {
		case f.Dropped && f.Source.Size == 0:
			w.linef("  %s: missing, and not named any more", f.Name)
		case len(f.Cuts) == 0 && len(f.Keep) == 0 && f.Source.Size > 0, len(f.Keep) == 0 && f.Commands == 0 && len(f.Cuts) > 0 && f.Cuts[0].From == 0:
			w.linef("  %s: nothing of it is kept", f.Name)
		case f.Salvage:
			w.linef("  %s: %s before the damage, written anew", f.Name, count(f.Keys, "key"))
		case len(f.Cuts) == 0:
			w.linef("  %s: kept, %s", f.Name, contents(f))
		default:
			w.linef("  %s: kept are %s in %s", f.Name, contents(f), ranges(f.Keep))
		}
		for _, cut := range f.Cuts {
			w.linef("    cut: bytes %d to %d, %s: %s", cut.From, cut.To, lostText(cut.Lost), cut.Why)
		}
	}
	for _, note := range plan.Notes {
		w.linef("  note: %s", note)
	}
	return strings.TrimSuffix(w.String(), "\n")
}

func contents(f *repair.FilePlan) string {
	if strings.HasSuffix(f.Name, ".rdb") && f.Commands == 0 {
		return count(f.Keys, "key")
	}
	return count(f.Commands, "command")
}

func ranges(pieces []repair.Piece) string {
	var parts []string
	for _, p := range pieces {
		if p.Literal == "" {
			parts = append(parts, fmt.Sprintf("bytes %d to %d", p.From, p.To))
		}
	}
	return strings.Join(parts, " and ")
}

func lostText(l repair.Lost) string {
	const most = 10
	text := "no whole command"
	if l.Commands > 0 {
		text = count(l.Commands, "command")
	}
	keys := slices.Clone(l.Keys)
	if len(keys) == 0 {
		return text
	}
	more := ""
	if len(keys) > most || l.MoreKeys {
		keys, more = keys[:min(most, len(keys))], " and more"
	}
	for i, key := range keys {
		keys[i] = fmt.Sprintf("%.80q", key)
	}
	return text + ", keys " + strings.Join(keys, " ") + more
}

// explain says why there is no plan, what is safe and what to type.
func (c *repairCmd) explain(err error) error {
	const unchanged = "Nothing has been changed."
	var refused *repair.Refused
	var locked *vfs.LockedError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &locked):
		return failf(exitRefused, "%s is in use: %s", c.From, locked).
			with("A store that runs is not repaired. %s", unchanged).
			with("who:    ps -p %d", locked.PID)
	case errors.As(err, &refused):
		f := failf(exitRefused, "cannot repair %s: %s", c.From, refused.Why).with(unchanged)
		if refused.Flag != "" {
			f = f.with("else:   %s %s", c.again(), refused.Flag)
		}
		if refused.From != "" {
			f = f.with("else:   limpet repair --from %s --to %s", typedPath(refused.From), typedPath(strings.TrimRight(refused.From, "/")+".mended"))
		}
		return f.with("look:   limpet check %s", typedPath(c.From))
	}
	return failf(exitLocal, "cannot repair %s: %s", c.From, reason(err)).with(unchanged)
}

// failed says what is left after a repair that did not get to its end.
func (c *repairCmd) failed(err error, kept string) error {
	var full *repair.NotEmptyError
	var there *repair.ExistsError
	if errors.As(err, &full) || errors.As(err, &there) {
		return failf(exitLocal, "%s", err).with("Nothing has been changed.").with("else:   name another with --to")
	}
	f := failf(exitLocal, "the repair was not finished: %s", err)
	if c.InPlace {
		if kept == "" {
			return f.with("Nothing has been changed.").with("again:  %s", c.again())
		}
		return f.with("What it was is in %s.", kept).with("again:  %s", c.again())
	}
	if c.single() {
		return f.with("%s has not been changed, and %s has not been written.", c.From, c.To).with("again:  %s", c.again())
	}
	return f.with("%s has not been changed. %s is of no use yet.", c.From, c.To).with("again:  %s", c.again())
}
