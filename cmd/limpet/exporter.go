package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/metrics"
)

// exporterCmd serves metrics of what runs elsewhere.
type exporterCmd struct {
	Store string `env:"LIMPET_STORE" placeholder:"URL" help:"The server to ask: a Redis, a Valkey or Limpet's store, as in redis://:password@host:6379/0."`
	Dir   string `env:"LIMPET_DIR" type:"path" placeholder:"DIR" help:"Its data directory, whose files tell what the server does not, and tell it when the server is gone."`
	namesOfLog
	Dbfilename  string `placeholder:"NAME" help:"The server's dbfilename, unless it is dump.rdb."`
	Archive     string `env:"LIMPET_ARCHIVE" placeholder:"TARGET" help:"Its archive: a directory or a bucket."`
	Backups     string `env:"LIMPET_BACKUPS" placeholder:"TARGET" help:"Where its backups are: a directory or a bucket."`
	MetricsAddr string `name:"metrics-addr" env:"LIMPET_METRICS_ADDR" default:"127.0.0.1:9121" placeholder:"HOST:PORT" help:"Where /metrics is served (${default})."`
	logFlags
}

// Help follows the summary in `limpet exporter --help`.
func (c *exporterCmd) Help() string {
	return "It only reads. What does not answer has an \"up\" metric of 0, and the rest is served all the same. " +
		"Targets are asked once a minute at most, however often Prometheus comes. docs/metrics.md describes the metrics and the alerts that go with them."
}

// Validate checks what does not need the machine to tell.
func (c *exporterCmd) Validate() error {
	if c.Store+c.Dir+c.Archive+c.Backups == "" {
		return errors.New("want one or more of --store, --dir, --archive and --backups")
	}
	if c.Store != "" {
		if _, err := redis.ParseURL(c.Store); err != nil {
			return fmt.Errorf("--store: %s", strings.TrimPrefix(err.Error(), "redis: "))
		}
	}
	return checkMetricsAddr(c.MetricsAddr)
}

// Run serves until a signal ends it.
func (c *exporterCmd) Run(ctx context.Context, t terminal) error {
	m, err := openMetrics(c.MetricsAddr)
	if err != nil {
		return err
	}
	logger := c.logger(t.err)
	var collectors []*metrics.Collector
	o := metrics.Options{Logger: logger}
	if c.Store != "" {
		client := c.client()
		defer func() { _ = client.Close() }()
		collectors = append(collectors, metrics.NewStore(client, o))
	}
	if c.Dir != "" {
		collectors = append(collectors, metrics.NewDirectory(metrics.Directory{
			Dir: c.Dir, DirName: c.Appenddirname, FileName: c.Appendfilename, DumpName: c.Dbfilename,
		}, o))
	}
	if c.Archive != "" {
		s, err := openTarget(ctx, c.Archive)
		if err != nil {
			m.close()
			return err
		}
		defer func() { _ = s.Close() }()
		collectors = append(collectors, metrics.NewArchive(s, o))
	}
	if c.Backups != "" {
		s, err := openTarget(ctx, c.Backups)
		if err != nil {
			m.close()
			return err
		}
		defer func() { _ = s.Close() }()
		collectors = append(collectors, metrics.NewBackups(s, o))
	}
	m.serve(logger, collectors...)
	defer m.close()
	select {
	case <-ctx.Done():
		logger.Info("stopped")
		return nil
	case <-m.broken():
		return failf(exitLocal, "the door for metrics broke")
	}
}

// client asks once, and heeds the time that a scrape has.
func (c *exporterCmd) client() redis.UniversalClient {
	o, _ := redis.ParseURL(c.Store) // was checked
	o.MaxRetries, o.DialerRetries, o.PoolSize = -1, 1, 2
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 3*time.Second, 3*time.Second, 3*time.Second
	o.ContextTimeoutEnabled, o.DisableIdentity = true, true
	redis.SetLogger(silent{}) // a store that does not answer is a metric
	return redis.NewClient(o)
}
