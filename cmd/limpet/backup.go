package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/adhocore/gronx"
	"github.com/redis/go-redis/v9"

	"limpet/clock"
	"limpet/internal/backup"
	"limpet/internal/digest"
	"limpet/internal/hotcopy"
	"limpet/internal/target"
)

type backupCmd struct {
	Dir string `env:"LIMPET_DIR" default:"./volumes/redis" placeholder:"DIR" help:"The server's data directory (${default})."`
	To  string `required:"" env:"LIMPET_TARGET" placeholder:"TARGET" help:"Where to: a directory, or a bucket as in s3://bucket/prefix?region=eu-central-1, gs:// or azblob://."`

	Kind  string `enum:",aof,rdb" default:"" help:"aof backs the log up, rdb the dump; without it whichever counts."`
	Store string `env:"LIMPET_STORE" placeholder:"URL" help:"The running server, as in redis://localhost:6379: it says whether its log is on, and writes a fresh dump where it is not."`
	namesFlags

	sealFlags
	Digest  string `enum:"auto,yes,no" default:"auto" help:"Load the data once to note what it comes to: yes, no, or auto, where there is memory for it (${default})."`
	Scratch string `env:"LIMPET_SCRATCH" placeholder:"DIR" help:"Where temporary files go; the system's place for them without it."`
	Gently  bool   `negatable:"" default:"true" help:"Leave processor and disk to others."`

	Every time.Duration `help:"Stay, and back up at this interval, as in 1h."`
	Cron  string        `placeholder:"EXPR" help:"Stay, and back up at these times, as in '0 3 * * *', in the machine's time zone."`
	keepFlags
	JSON bool `help:"Print the catalogue's entry as JSON."`
	logFlags
}

// namesFlags are the names of files that redis.conf may change.
type namesFlags struct {
	namesOfLog
	Dbfilename string `placeholder:"NAME" help:"The server's dbfilename, unless it is dump.rdb."`
}

type namesOfLog struct {
	Appenddirname  string `placeholder:"NAME" help:"The server's appenddirname, unless it is appendonlydir."`
	Appendfilename string `placeholder:"NAME" help:"The server's appendfilename, unless it is appendonly.aof."`
}

// Validate checks what does not need the machine to tell.
func (c *backupCmd) Validate() error {
	switch {
	case c.Every != 0 && c.Cron != "":
		return errors.New("--every and --cron: want one of them")
	case c.Every < 0 || c.Every > 0 && c.Every < time.Second:
		return fmt.Errorf("--every %s: want 1s or more", c.Every)
	case c.Cron != "" && !gronx.New().IsValid(c.Cron):
		return fmt.Errorf("--cron %q: want five fields, as in '0 3 * * *', or @daily and the like", c.Cron)
	}
	return errors.Join(c.sealFlags.check(), c.validate())
}

// Run makes one backup, or goes on making them until a signal.
func (c *backupCmd) Run(ctx context.Context, t terminal) error {
	if c.Gently {
		beGentle()
	}
	s, err := openTarget(ctx, c.To)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if c.Every != 0 || c.Cron != "" {
		return c.serve(ctx, s, c.logger(t.err))
	}
	e, err := c.once(ctx, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return explainTarget(err)
	}
	if c.JSON {
		return printJSON(t, e)
	}
	return t.print("%s\n%s", e.ID, summary(e))
}

func printJSON(t terminal, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.print("%s", text)
}

func summary(e *backup.Entry) string {
	lines := []string{fmt.Sprintf("  %d files, %s, %s at the target; as of %s", len(e.Files), bytesText(e.Size()), bytesText(e.Stored()), e.Time.Local().Format(time.DateTime))}
	if e.Data != nil {
		lines = append(lines, fmt.Sprintf("  %d keys", e.Data.Keys()))
	}
	if e.Encrypted {
		lines = append(lines, "  encrypted")
	}
	return strings.Join(lines, "\n")
}

// serve makes backups by the clock. One that fails is logged, and the next is
// made all the same.
func (c *backupCmd) serve(ctx context.Context, s *target.Store, logger *slog.Logger) error {
	clk := clock.Real()
	logger.Info("backups are made by the clock", "dir", c.Dir, "to", s.String(), "every", c.Every.String(), "cron", c.Cron)
	for {
		next, err := c.next(clk.Now())
		if err != nil {
			return failf(exitUsage, "--cron %q: %s", c.Cron, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-clk.After(next.Sub(clk.Now())):
		}
		e, err := c.once(ctx, s, logger)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			logger.Error("no backup", "error", err)
		default:
			logger.Info("backed up", "id", e.ID, "bytes", e.Size(), "stored", e.Stored(), "took", e.Ended.Sub(e.Began).String())
		}
	}
}

// next is when the next backup is due. Intervals are counted from midnight UTC,
// so that a service which is restarted keeps its times.
func (c *backupCmd) next(now time.Time) (time.Time, error) {
	if c.Cron == "" {
		return now.Truncate(c.Every).Add(c.Every), nil
	}
	return gronx.NextTickAfter(c.Cron, now, false)
}

// once makes a backup and then prunes, if it was told what to keep.
func (c *backupCmd) once(ctx context.Context, s *target.Store, logger *slog.Logger) (*backup.Entry, error) {
	keys, err := c.seal(ctx, s)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	kind, err := c.askServer(ctx)
	if err != nil {
		return nil, err
	}
	copied, err := hotcopy.Take(ctx, hotcopy.Options{
		Dir: c.Dir, Kind: kind, AppendDirName: c.Appenddirname, AppendFileName: c.Appendfilename, DBFileName: c.Dbfilename,
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = copied.Close() }()
	data, err := c.measure(ctx, copied, logger)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		dir = c.Dir
	}
	e, err := backup.Take(ctx, s, copied, backup.TakeOptions{
		Keys: keys, Source: backup.Source{Host: hostName(), Dir: dir}, Tool: toolName(), Began: began, Data: data,
	})
	if err != nil || c.policy().Empty() {
		return e, err
	}
	if _, err := backup.Prune(ctx, s, c.policy(), nil, false); err != nil {
		// The backup is made; that others take room is no reason to call it failed.
		logger.Warn("old backups could not be pruned", "error", err)
	}
	return e, nil
}

// askServer has the running server, if we know it, say what counts, and write it
// down where that is a dump.
func (c *backupCmd) askServer(ctx context.Context) (hotcopy.Kind, error) {
	if c.Store == "" {
		return hotcopy.Kind(c.Kind), nil
	}
	o, err := redis.ParseURL(c.Store)
	if err != nil {
		return "", failf(exitUsage, "--store: want a URL like redis://localhost:6379/0")
	}
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	server, err := hotcopy.Ask(ctx, client)
	if err != nil {
		return "", failf(exitUnreachable, "the store does not answer: %s", err).
			with("Without --store the backup is made from the files alone.")
	}
	kind := hotcopy.Kind(c.Kind)
	if kind == hotcopy.Auto {
		kind = hotcopy.RDB
		if server.Log {
			kind = hotcopy.AOF
		}
	}
	if kind == hotcopy.RDB {
		if err := hotcopy.Save(ctx, client, clock.Real()); err != nil {
			return "", failf(exitLater, "the store has not written its dump: %s", err)
		}
	}
	return kind, nil
}

// measure loads a log to note what it comes to. A dump is summed up as it is
// read, without loading it.
func (c *backupCmd) measure(ctx context.Context, copied *hotcopy.Copy, logger *slog.Logger) (*digest.Sum, error) {
	if copied.Kind == hotcopy.RDB || c.Digest == "no" {
		return nil, nil
	}
	// A data set takes up to four times the memory of its files.
	if need := 4 * copied.Size(); c.Digest == "auto" && need > freeMemory()/2 {
		logger.Info("the data is not summed up: it might take more memory than is free; limpet verify will", "files", bytesText(copied.Size()))
		return nil, nil
	}
	dir, remove, err := scratch(c.Scratch)
	if err != nil {
		return nil, err
	}
	defer remove()
	sum, err := backup.Measure(ctx, copied, ownStore{}, backup.VerifyOptions{Scratch: dir})
	var cannot *backup.CannotError
	if errors.As(err, &cannot) && c.Digest == "auto" {
		logger.Info("the data is not summed up", "why", cannot.What)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the copy: %w", err)
	}
	return sum, nil
}
