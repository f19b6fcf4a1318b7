package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"limpet/internal/backup"
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
	DryRun bool `help:"Show what would go, and delete nothing."`
	JSON   bool `help:"Print JSON, one line for each backup."`
}

// Validate checks what does not need the target to tell.
func (c *pruneCmd) Validate() error {
	if c.policy().Empty() {
		return errors.New("want at least one of --keep-last, --keep-hourly, --keep-daily, --keep-weekly, --keep-monthly")
	}
	return c.validate()
}

// Run deletes what the policy does not keep.
func (c *pruneCmd) Run(ctx context.Context, t terminal) error {
	s, err := openTarget(ctx, c.From)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
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
