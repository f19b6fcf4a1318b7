package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"limpet/internal/archive"
	"limpet/internal/backup"
	"limpet/internal/target"
)

// keepFlags say which backups stay.
type keepFlags struct {
	KeepLast    int `placeholder:"N" help:"Keep the N newest backups."`
	KeepHourly  int `placeholder:"N" help:"Keep the newest of each of N hours that have any."`
	KeepDaily   int `placeholder:"N" help:"Likewise of days, in UTC."`
	KeepWeekly  int `placeholder:"N" help:"Likewise of weeks."`
	KeepMonthly int `placeholder:"N" help:"Likewise of months."`
}

func (f keepFlags) policy() backup.Policy {
	return backup.Policy{Last: f.KeepLast, Hourly: f.KeepHourly, Daily: f.KeepDaily, Weekly: f.KeepWeekly, Monthly: f.KeepMonthly}
}

func (f keepFlags) validate() error {
	if min(f.KeepLast, f.KeepHourly, f.KeepDaily, f.KeepWeekly, f.KeepMonthly) < 0 {
		return errors.New("--keep-…: want 0 or more")
	}
	return nil
}

type pruneCmd struct {
	fromFlag
	keepFlags
	KeepWithin days `placeholder:"TIME" help:"Of the archive there, keep what brings back every second of so long: 30d, 12h."`
	DryRun     bool `help:"Show what would go, and delete nothing."`
	JSON       bool `help:"Print JSON, one line for each backup, and one for the archive."`
}

// days is a duration for which people also write 30d.
type days time.Duration

// UnmarshalText reads what time.ParseDuration does, and days.
func (d *days) UnmarshalText(text []byte) error {
	if n, ok := strings.CutSuffix(string(text), "d"); ok {
		whole, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return fmt.Errorf("want a time as in 30d or 12h, have %q", text)
		}
		*d = days(time.Duration(whole) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("want a time as in 30d or 12h, have %q", text)
	}
	*d = days(v)
	return nil
}

// Validate checks what does not need the target to tell.
func (c *pruneCmd) Validate() error {
	if c.policy().Empty() && c.KeepWithin == 0 {
		return errors.New("want at least one of --keep-last, --keep-hourly, --keep-daily, --keep-weekly, --keep-monthly for backups, or --keep-within for an archive")
	}
	return c.validate()
}

// Run deletes what the policies do not keep.
func (c *pruneCmd) Run(ctx context.Context, t terminal) error {
	s, err := openTarget(ctx, c.From)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if !c.policy().Empty() {
		if err := c.backups(ctx, t, s); err != nil {
			return err
		}
	}
	if c.KeepWithin == 0 {
		return nil
	}
	return c.archive(ctx, t, s)
}

// archive deletes what is older than the archive is to reach back.
func (c *pruneCmd) archive(ctx context.Context, t terminal, s *target.Store) error {
	done, err := archive.Prune(ctx, s, archive.PruneOptions{Within: time.Duration(c.KeepWithin), DryRun: c.DryRun})
	if err != nil && done != nil && ctx.Err() == nil {
		return failf(exitLocal, "%s", err).with("What is left can be restored, and the next prune goes on.")
	}
	if err != nil {
		return explainArchive(err, c.From)
	}
	if c.JSON {
		return printJSON(t, done)
	}
	if len(done.InUse) > 0 {
		return t.print("deleted nothing: in use for a %s; the next prune deletes it", strings.Join(done.InUse, ", "))
	}
	deleted := "deleted"
	if c.DryRun {
		deleted = "would delete"
	}
	return t.print("%s %d timelines, %d bases, %d segments, %s\nevery second since %s can be brought back, as far as it was archived",
		deleted, done.Timelines, done.Bases, done.Segments, bytesText(done.Bytes), onClock(done.Oldest))
}

func (c *pruneCmd) backups(ctx context.Context, t terminal, s *target.Store) error {
	done, err := backup.Prune(ctx, s, c.policy(), nil, c.DryRun)
	if err != nil {
		return explainTarget(err)
	}
	deleted := "deleted"
	if c.DryRun {
		deleted = "would delete"
	}
	gone := 0
	for _, d := range done.Decided {
		if !d.Keep {
			gone++
		}
		if err := c.tell(t, d, deleted); err != nil {
			return err
		}
	}
	if c.JSON {
		return nil
	}
	text := fmt.Sprintf("%s %d of %d backups, %s", deleted, gone, len(done.Decided), bytesText(done.Freed))
	if done.Leftover > 0 {
		text += fmt.Sprintf(", with %d files of backups that were broken off", done.Leftover)
	}
	return t.print("%s", text)
}

func (c *pruneCmd) tell(t terminal, d backup.Decision, deleted string) error {
	switch {
	case c.JSON:
		return printJSON(t, struct {
			ID   string   `json:"id"`
			Keep bool     `json:"keep"`
			Why  []string `json:"why,omitempty"`
		}{d.ID, d.Keep, d.Why})
	case d.Keep:
		return t.print("keep    %s  %s  %s", d.ID, d.Time.Local().Format(time.DateTime), strings.Join(d.Why, ", "))
	}
	return t.print("%s  %s  %s", deleted, d.ID, d.Time.Local().Format(time.DateTime))
}
