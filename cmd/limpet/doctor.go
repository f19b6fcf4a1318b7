package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/clock"
	"limpet/internal/doctor"
	"limpet/vfs"
)

type doctorCmd struct {
	Dir     string `env:"LIMPET_DIR" type:"path" placeholder:"DIR" help:"Data directory, of Limpet's or of a real Redis's. Without any flag it is ./volumes/redis."`
	Store   string `env:"LIMPET_STORE" placeholder:"URL" help:"A store that runs, as in redis://:password@host:6379/0."`
	Compose string `type:"path" placeholder:"FILE" help:"A docker-compose file."`
	Backups string `env:"LIMPET_BACKUPS" placeholder:"TARGET" help:"Where backups are: a directory, or a bucket as in s3://bucket/prefix?region=eu-central-1, gs:// or azblob://."`
	Archive string `env:"LIMPET_ARCHIVE" placeholder:"TARGET" help:"Where an archive is, likewise."`
	JSON    bool   `name:"json" help:"Print JSON, one finding a line."`

	now func() time.Time // nil is this machine's clock
}

// Help follows the summary in `limpet doctor --help`.
func (c *doctorCmd) Help() string {
	return "It only reads, but for one thing: to learn how long a sync takes it writes a small file into the directory, and removes it. " +
		"Exit code 0: nothing worse than something worth knowing; 10: warnings; 11: something critical. docs/doctor.md explains the findings."
}

// Validate checks the URL.
func (c *doctorCmd) Validate() error {
	if c.Store == "" {
		return nil
	}
	_, err := redis.ParseURL(c.Store)
	if err != nil {
		return fmt.Errorf("--store: %s", strings.TrimPrefix(err.Error(), "redis: "))
	}
	return nil
}

// Run tells what was found; the exit code is the worst of it.
func (c *doctorCmd) Run(ctx context.Context, t terminal) error {
	if c.Dir+c.Store+c.Compose+c.Backups+c.Archive == "" {
		c.Dir = "volumes/redis"
	}
	if c.now == nil {
		c.now = clock.Real().Now
	}
	bar := newBytesBar(t, "reading")
	s := doctor.Subject{
		FS: vfs.OS(), Dir: c.Dir, Compose: c.Compose, Machine: doctor.ThisMachine(), Now: c.now,
		Begin: bar.begin, Progress: bar.add,
	}
	if c.Store != "" {
		o, _ := redis.ParseURL(c.Store) // was checked
		o.MaxRetries, o.DialerRetries, o.DialTimeout = 1, 1, 5*time.Second
		redis.SetLogger(silent{}) // a store that does not answer is a finding
		client := redis.NewClient(o)
		defer func() { _ = client.Close() }()
		s.Server = doctor.NewServer(client)
	}
	closeTargets, err := c.openTargets(ctx, &s)
	if err != nil {
		return err
	}
	defer closeTargets()
	found, err := doctor.Examine(ctx, s)
	bar.end()
	if err != nil {
		return err
	}
	if err := c.print(t, found); err != nil {
		return err
	}
	if worst, _ := doctor.Worst(found); worst > doctor.Info {
		return &failure{code: map[doctor.Severity]int{doctor.Warning: exitMild, doctor.Critical: exitSevere}[worst]}
	}
	return nil
}

func (c *doctorCmd) print(t terminal, found []doctor.Finding) error {
	if c.JSON {
		for _, f := range found {
			text, err := json.Marshal(f)
			if err != nil {
				return err
			}
			if err := t.print("%s", text); err != nil {
				return err
			}
		}
		return nil
	}
	var w told
	for _, f := range found {
		w.linef("%s (%s): %s", f.Severity, f.Code, f.Text)
		w.linef("  seen:   %s", f.Evidence)
		w.linef("  do:     %s", f.Do)
	}
	if len(found) == 0 {
		w.linef("Nothing found.")
	}
	return t.print("%s", strings.TrimSuffix(w.String(), "\n"))
}

// silent is a log that nobody reads.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
