package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"limpet/internal/archive"
	"limpet/internal/metrics"
	"limpet/internal/target"
	"limpet/vfs"
)

// archiveCmd archives a directory, or tells how an archive fares.
type archiveCmd struct {
	Dir string `env:"LIMPET_DIR" default:"./volumes/redis" type:"path" help:"Data directory to archive: the store's, or that of a redis-server 7 or a Valkey."`
	namesOfLog
	To       string        `required:"" env:"LIMPET_TARGET" placeholder:"TARGET" help:"Where to: a directory, or a bucket as in s3://bucket/prefix?region=eu-central-1, gs:// or azblob://."`
	Interval time.Duration `env:"LIMPET_ARCHIVE_INTERVAL" default:"1s" help:"How long a write may wait to be shipped (${default})."`
	Status   bool          `help:"Archive nothing: tell how the archive there fares."`
	MaxLag   time.Duration `name:"max-lag" default:"30s" help:"With --status: exit code 1 when more time than that is missing (${default})."`
	JSON     bool          `name:"json" help:"With --status: print JSON."`
	sealFlags
	metricsFlag
	logFlags
}

// Validate checks what does not need the machine to tell.
func (c *archiveCmd) Validate() error {
	if c.Interval < 10*time.Millisecond {
		return fmt.Errorf("--interval %v: want 10ms or more", c.Interval)
	}
	return errors.Join(c.sealFlags.check(), c.metricsFlag.Validate())
}

// Run archives until a signal ends it.
func (c *archiveCmd) Run(ctx context.Context, t terminal) error {
	store, err := openTarget(ctx, c.To)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if c.Status {
		return c.status(ctx, t, store)
	}
	keys, err := c.seal(ctx, store)
	if err != nil {
		return err
	}
	m, err := openMetrics(c.MetricsAddr)
	if err != nil {
		return err
	}
	logger := c.logger(t.err)
	logger.Info("archiving", "dir", c.Dir, "to", store.String(), "interval", c.Interval)
	a := archive.New(store, archive.Options{
		Dir: c.Dir, DirName: c.Appenddirname, FileName: c.Appendfilename, Interval: c.Interval, Keys: keys,
		Source: sourceName(c.Dir), Holder: holderName(), Logger: logger,
	})
	o := metrics.Options{Logger: logger}
	m.serve(logger, metrics.NewArchiver(func() (archive.Progress, bool) { return begun(a.Progress()) }, o),
		metrics.NewDirectory(metrics.Directory{Dir: c.Dir, DirName: c.Appenddirname, FileName: c.Appendfilename}, o))
	defer m.close()
	if err := a.Run(ctx); err != nil {
		return explainArchiver(err, c.To)
	}
	if ctx.Err() != nil {
		logger.Info("stopped; everything that was written is in the archive", "command", a.Progress().Commands)
	}
	return nil
}

// sourceName is what an archive calls a directory: the same path on two machines
// is two sources.
func sourceName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return hostName() + ":" + dir
}

func holderName() string {
	return fmt.Sprintf("process %d on %s", os.Getpid(), hostName())
}

// explainArchiver says what ended an archiver, and what is safe.
func explainArchiver(err error, to string) error {
	var held *archive.HeldError
	switch {
	case errors.As(err, &held):
		return failf(exitLocal, "the archive at %s is in use by %s, which archives %s", to, held.Holder, held.Source).
			with("Two archivers on one target would get in each other's way. Nothing has been changed.").
			with("look:   limpet archive --status --to %s", typedPath(to))
	case errors.Is(err, archive.ErrLeaseLost):
		return failf(exitLocal, "another archiver has taken over the archive at %s", to).
			with("What this one had shipped is sound, and it has stopped. The other one goes on.").
			with("look:   limpet archive --status --to %s", typedPath(to))
	}
	return failf(exitLocal, "%s", err)
}

// archiveStatus is an archive's state as --json prints it.
type archiveStatus struct {
	Success    bool    `json:"success"`
	LagSeconds float64 `json:"lagSeconds"`
	*archive.Status
}

// status fails with exitNo when too much is missing.
func (c *archiveCmd) status(ctx context.Context, t terminal, store *target.Store) error {
	s, err := archive.ReadStatus(ctx, store, time.Now())
	if err != nil {
		return explainArchive(err, c.To)
	}
	late := s.Lag > c.MaxLag
	if c.JSON {
		if err := printJSON(t, archiveStatus{!late, s.Lag.Seconds(), s}); err != nil || !late {
			return err
		}
		return &failure{code: exitNo}
	}
	lines := []string{
		fmt.Sprintf("source    %s", s.Source),
		fmt.Sprintf("archiver  %s, heard of %s ago", s.Holder, roughly(time.Since(s.Seen))),
		fmt.Sprintf("lag       %s; %d bytes in %d files wait", roughly(s.Lag), s.Bytes, s.Files),
		fmt.Sprintf("newest    command %d, shipped %s", s.Commands, onClock(s.Shipped)),
		fmt.Sprintf("timeline  %d, segment %d; it began because: %s: %s", s.Timeline, s.Segment, s.Reason, s.Why),
	}
	if s.Released {
		lines[1] = fmt.Sprintf("archiver  stopped in good order %s ago", roughly(time.Since(s.Seen)))
	}
	if s.Trouble != "" {
		lines = append(lines, "trouble   "+s.Trouble)
	}
	for _, line := range lines {
		if err := t.print("%s", line); err != nil {
			return err
		}
	}
	if late {
		return failf(exitNo, "the archive is %s behind, more than --max-lag %s allows", roughly(s.Lag), c.MaxLag)
	}
	return nil
}

// onClock is a moment as it is printed everywhere: in UTC, to the second.
func onClock(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format("2006-01-02 15:04:05 UTC")
}

// archiveFlags make `limpet up` and `limpet store` archive what their own store
// writes.
type archiveFlags struct {
	Archive         string        `env:"LIMPET_ARCHIVE" placeholder:"TARGET" help:"Archive the store continuously to a directory or a bucket, so that any second can be brought back."`
	ArchiveInterval time.Duration `name:"archive-interval" env:"LIMPET_ARCHIVE_INTERVAL" default:"1s" help:"How long a write may wait to be archived (${default})."`
	sealFlags
}

// archiving is an archiver beside the store of this process. Its troubles never
// stop the store.
type archiving struct {
	stop    context.CancelFunc
	done    chan struct{}
	current atomic.Pointer[archive.Archiver] // that is at work, or was last
}

// archiveTries is how long an archiver waits that finds another one at work.
const archiveTries = 10 * time.Second

// start archives a directory in the background; nil when that is not wanted.
func (c *archiveFlags) start(o archive.Options, logger *slog.Logger) (*archiving, error) {
	if c.Archive == "" {
		return nil, nil
	}
	if err := c.sealFlags.check(); err != nil {
		return nil, failf(exitUsage, "%s", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	store, err := openTarget(ctx, c.Archive)
	if err != nil {
		stop()
		return nil, err
	}
	keys, err := c.seal(ctx, store)
	if err != nil {
		stop()
		return nil, err
	}
	o.FS, o.Interval, o.Keys, o.Logger = vfs.OS(), c.ArchiveInterval, keys, logger
	o.Source, o.Holder = sourceName(o.Dir), holderName()
	a := &archiving{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer func() { _ = store.Close() }()
		logger.Info("archiving", "to", store.String(), "interval", o.Interval)
		for {
			archiver := archive.New(store, o)
			a.current.Store(archiver)
			err := archiver.Run(ctx)
			if err == nil || ctx.Err() != nil {
				if err != nil {
					logger.Warn("the archive was left before everything was in it; the next start ships the rest", "error", err)
				}
				return
			}
			logger.Error("nothing is being archived", "error", err, "again", archiveTries)
			select {
			case <-ctx.Done():
			case <-time.After(archiveTries):
			}
		}
	}()
	return a, nil
}

// end ships what the store has written, which must be closed, and stops.
func (a *archiving) end() {
	if a != nil {
		a.stop()
		<-a.done
	}
}
