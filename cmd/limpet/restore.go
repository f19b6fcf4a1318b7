package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"limpet/internal/backup"
	"limpet/internal/hotcopy"
	"limpet/vfs"
)

type restoreCmd struct {
	fromFlag
	ID string `name:"id" placeholder:"ID" help:"Which backup, or how its id begins; the newest without it."`
	momentFlags
	To     string `placeholder:"DIR" help:"The directory to fill; missing or empty. Needed but for --dry-run."`
	DryRun bool   `help:"Show what would be done, and do nothing."`
	JSON   bool   `help:"Print the catalogue's entry, or the place in the archive, as JSON."`
	secretFlags
}

// Validate checks what does not need the target to tell.
func (c *restoreCmd) Validate() error {
	switch {
	case c.To == "" && !c.DryRun:
		return errors.New("--to DIR says which directory is to be filled; --dry-run only tells what would be")
	case c.ID != "" && c.momentFlags != momentFlags{}:
		return errors.New("--id chooses a backup; --at, --before-command and --before-flush a moment of an archive: want one of them")
	}
	return c.momentFlags.check()
}

// Run restores a backup, or a moment of an archive.
func (c *restoreCmd) Run(ctx context.Context, t terminal) error {
	s, err := openTarget(ctx, c.From)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if c.momentFlags != (momentFlags{}) {
		return c.fromArchive(ctx, t, s)
	}
	l, err := backup.Find(ctx, s, c.ID)
	if err == nil && c.To != "" {
		err = backup.Vacant(vfs.OS(), c.To)
	}
	if err != nil {
		return explainTarget(err)
	}
	if !c.DryRun {
		keys, err := c.secretFlags.open(ctx, s, false)
		if err != nil {
			return err
		}
		if err := backup.Restore(ctx, s, &l.Entry, c.To, backup.RestoreOptions{Keys: keys, Host: hostName()}); err != nil {
			return explainTarget(err)
		}
	}
	if c.JSON {
		return printJSON(t, l.Entry)
	}
	return t.print("%s", c.tell(l))
}

// tell says what was restored, or would be, and how to go on.
func (c *restoreCmd) tell(l *backup.Listed) string {
	var text strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) }
	done := "restored"
	if c.DryRun {
		done = "would restore"
	}
	where := ""
	if c.To != "" {
		where = " into " + c.To
	}
	line("%s %s%s", done, l.ID, where)
	line("  state as of %s%s", l.Time.Local().Format(time.DateTime), endText(&l.Entry))
	if l.Data != nil {
		line("  %d keys", l.Data.Keys())
	}
	if l.Proof != nil && !l.Proof.OK {
		line("  its last verification has found it bad: %s", l.Proof.Failed())
	}
	for _, f := range l.Files {
		line("  %s, %s", f.Name, bytesText(f.Size))
	}
	if !c.DryRun {
		log := "yes"
		if l.Kind == hotcopy.RDB {
			log = "no"
		}
		line("start:  limpet store --dir %s --appendonly %s", c.To, log)
		line("or:     redis-server --dir %s --appendonly %s, after a chown to its user", c.To, log)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func endText(e *backup.Entry) string {
	if e.End == nil || e.End.Incr == 0 {
		return ""
	}
	return fmt.Sprintf(", after command %d of the log (incr %d, byte %d)", e.End.Commands, e.End.Incr, e.End.Offset)
}
