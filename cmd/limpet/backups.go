package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"limpet/internal/backup"
)

type backupsCmd struct {
	fromFlag
	JSON bool `help:"Print JSON, one line for each backup."`
}

// Run lists the backups, oldest first.
func (c *backupsCmd) Run(ctx context.Context, t terminal) error {
	s, err := openTarget(ctx, c.From)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	all, err := backup.List(ctx, s)
	if err != nil {
		return explainTarget(err)
	}
	if c.JSON {
		for _, l := range all {
			if err := printJSON(t, l); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "id\tkind\tas of\tsize\tstored\tkeys\tverified\tfrom") // Flush tells the error
	for _, l := range all {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s:%s\n", l.ID, l.Kind, l.Time.Local().Format(time.DateTime),
			bytesText(l.Size()), bytesText(l.Stored()), keysText(&l), verifiedText(&l), l.Source.Host, l.Source.Dir)
	}
	return asLocal(table.Flush())
}

func keysText(l *backup.Listed) string {
	switch {
	case l.Data != nil:
		return fmt.Sprint(l.Data.Keys())
	case l.Verified() && l.Proof.Data != nil:
		return fmt.Sprint(l.Proof.Data.Keys())
	}
	return "?"
}

func verifiedText(l *backup.Listed) string {
	switch {
	case l.Proof == nil:
		return "never"
	case !l.Proof.OK:
		return "BAD " + l.Proof.Time.Local().Format(time.DateTime)
	}
	return l.Proof.Time.Local().Format(time.DateTime)
}
