package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"limpet/internal/backup"
	"limpet/internal/hotcopy"
	"limpet/vfs"
)

type restoreCmd struct {
	fromFlag
	ID     string `name:"id" placeholder:"ID" help:"Which backup, or how its id begins; the newest without it."`
	To     string `required:"" placeholder:"DIR" help:"The directory to fill; missing or empty."`
	DryRun bool   `help:"Show what would be done, and do nothing."`
	JSON   bool   `help:"Print the catalogue's entry as JSON."`
	secretFlags
}

// Run restores a backup.
func (c *restoreCmd) Run(ctx context.Context, t terminal) error {
	s, err := openTarget(ctx, c.From)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	l, err := backup.Find(ctx, s, c.ID)
	if err == nil {
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
	line("%s %s into %s", done, l.ID, c.To)
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
