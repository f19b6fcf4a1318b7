package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/api"
	"limpet/internal/archive"
	"limpet/internal/crawl"
	"limpet/internal/feature"
	"limpet/internal/fetch"
	"limpet/internal/metrics"
	"limpet/internal/tracking"
)

// upCmd runs the whole service in one process.
type upCmd struct {
	storeFlags
	archiveFlags
	logFlags

	StoreURL string `name:"store" env:"LIMPET_STORE" placeholder:"URL" help:"Use a Redis or Valkey server, as in redis://host:6379/0, instead of the embedded store."`

	APIAddr  string   `name:"api-addr" env:"LIMPET_API_ADDR" default:"127.0.0.1:3001" placeholder:"HOST:PORT" help:"Where the HTTP API listens (${default})."`
	APIToken string   `name:"api-token" env:"LIMPET_API_TOKEN" help:"Token that every request but /health must carry."`
	APIHost  []string `name:"api-host" env:"LIMPET_API_HOST" placeholder:"NAME" help:"Names, beside localhost, under which the API may be asked without a token."`
	Insecure bool     `env:"LIMPET_INSECURE" help:"Listen beyond loopback without token or password. Anyone who reaches the port may do anything."`

	Workers   int            `env:"LIMPET_WORKERS" default:"16" help:"Pages fetched at the same time."`
	PerHost   int            `env:"LIMPET_PER_HOST" default:"4" help:"Of these, from one host."`
	Lease     time.Duration  `env:"LIMPET_LEASE" default:"1m" help:"How long a page stays with a worker that is not heard of any more. What is in flight when a process with the embedded store is killed goes on at its next start."`
	Delay     time.Duration  `env:"LIMPET_DELAY" default:"0s" help:"Between two requests to one host; a Crawl-delay in robots.txt counts if it is longer."`
	MaxPages  int            `env:"LIMPET_MAX_PAGES" default:"1000" help:"Most pages of a seed unless the submit says otherwise, 0 for no limit."`
	MaxDepth  int            `env:"LIMPET_MAX_DEPTH" default:"0" help:"Most links away from the first page, 0 for no limit."`
	UserAgent string         `env:"LIMPET_USER_AGENT" default:"limpet/${version}" help:"What the crawler calls itself."`
	ConnectTo []string       `env:"LIMPET_CONNECT_TO" placeholder:"HOST1:PORT1:HOST2:PORT2" help:"Connect to HOST2:PORT2 for HOST1:PORT1, as curl does."`
	AllowNet  []netip.Prefix `env:"LIMPET_ALLOW_NET" placeholder:"CIDR" help:"Private addresses that may be crawled, as in 10.0.0.0/8."`

	connectTo []fetch.ConnectTo // ConnectTo, parsed
}

// storeFlags are those of the embedded store.
type storeFlags struct {
	Dir           string `env:"LIMPET_DIR" default:"./volumes/redis" type:"path" help:"Where the store keeps its files."`
	StoreAddr     string `env:"LIMPET_STORE_ADDR" default:"127.0.0.1:6379" placeholder:"HOST:PORT" help:"Where the store listens for Redis clients (${default})."`
	StorePassword string `env:"LIMPET_STORE_PASSWORD" help:"Password that Redis clients must give (AUTH)."`
	AppendFsync   string `name:"appendfsync" env:"LIMPET_APPENDFSYNC" enum:"always,everysec,no" default:"everysec" help:"When writes are synced: always, everysec or no."`
}

// Validate checks what does not need the machine to tell.
func (c *upCmd) Validate() error {
	if err := guarded("--api-addr", c.APIAddr, c.APIToken, "--api-token", c.Insecure); err != nil {
		return err
	}
	if c.StoreURL != "" {
		if _, err := redis.ParseURL(c.StoreURL); err != nil {
			return fmt.Errorf("--store %q: want a URL like redis://localhost:6379/0: %w", c.StoreURL, err)
		}
	} else if err := c.storeFlags.check(c.Insecure); err != nil {
		return err
	}
	for _, n := range []struct {
		name  string
		value int
		least int
	}{
		{"--workers", c.Workers, 1}, {"--per-host", c.PerHost, 1},
		{"--max-pages", c.MaxPages, 0}, {"--max-depth", c.MaxDepth, 0},
	} {
		if n.value < n.least {
			return fmt.Errorf("%s %d: want %d or more", n.name, n.value, n.least)
		}
	}
	if c.Lease < time.Second {
		return fmt.Errorf("--lease %v: want 1s or more", c.Lease)
	}
	if c.Delay < 0 {
		return fmt.Errorf("--delay %v: want 0 or more", c.Delay)
	}
	c.connectTo = nil
	for _, s := range c.ConnectTo {
		rule, err := fetch.ParseConnectTo(s)
		if err != nil {
			return fmt.Errorf("--%w", err)
		}
		c.connectTo = append(c.connectTo, rule)
	}
	return nil
}

func (c *storeFlags) check(insecure bool) error {
	return guarded("--store-addr", c.StoreAddr, c.StorePassword, "--store-password", insecure)
}

// guarded refuses to open a door to the world that has no lock.
func guarded(flag, addr, secret, lock string, insecure bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s %q: want HOST:PORT, as in 127.0.0.1:3001", flag, addr)
	}
	ip, err := netip.ParseAddr(host)
	loopback := err == nil && ip.Unmap().IsLoopback() || host == "localhost"
	if loopback || secret != "" || insecure {
		return nil
	}
	return fmt.Errorf("%s %q is reachable from other machines: set %s, or say --insecure", flag, addr, lock)
}

// Run runs the service until a signal ends it.
func (c *upCmd) Run(ctx context.Context, t terminal) error {
	logger := c.logger(t.err)
	apiListener, err := listen("--api-addr", c.APIAddr)
	if err != nil {
		return err
	}
	defer func() { _ = apiListener.Close() }()
	store, client, err := c.openStore(logger)
	if err != nil {
		return err
	}
	err = c.serve(ctx, client, store, apiListener, logger)
	if closeErr := client.Close(); closeErr != nil {
		logger.Warn("the store's connections did not close cleanly", "error", closeErr)
	}
	if store != nil {
		if stopErr := store.stop(); err == nil {
			err = stopErr
		}
	}
	if err == nil {
		logger.Info("stopped; everything is on disk")
	}
	return err
}

// openStore gives the store that the crawl is kept in: the embedded one, dialled
// in memory, or with --store another, in which case embedded is nil.
func (c *upCmd) openStore(logger *slog.Logger) (*embedded, redis.UniversalClient, error) {
	if c.StoreURL != "" {
		o, err := redis.ParseURL(c.StoreURL)
		if err != nil {
			return nil, nil, failf(exitUsage, "--store: %s", err)
		}
		o.ContextTimeoutEnabled = true // else a server that hangs would hold up health and metrics
		return nil, redis.NewClient(o), nil
	}
	l, err := listen("--store-addr", c.StoreAddr)
	if err != nil {
		return nil, nil, err
	}
	store, err := c.storeFlags.start(l, logger)
	if err != nil {
		return nil, nil, err
	}
	if store.archiving, err = c.archiveFlags.start(archive.Options{Dir: c.Dir}, logger); err != nil {
		return nil, nil, errors.Join(err, store.stop())
	}
	return store, redis.NewClient(&redis.Options{Dialer: store.server.Dial, Password: c.StorePassword}), nil
}

// serve runs the API and the crawler over a store until something ends them.
func (c *upCmd) serve(ctx context.Context, client redis.UniversalClient, store *embedded, l net.Listener, logger *slog.Logger) error {
	audits := new(api.Audits)
	tracker := tracking.New(client, tracking.Options{RecordURL: recordURL, OnAudit: onAudit(audits, logger)})
	if err := c.checkStore(ctx, tracker, logger); err != nil {
		return err
	}
	if _, err := tracker.RepairRegistry(ctx); err != nil {
		return failf(exitUnreachable, "cannot look through the store for seeds: %s", err)
	}
	fetcher, err := fetch.New(fetch.Options{
		UserAgent: c.UserAgent, PerHost: c.PerHost, Delay: c.Delay, ConnectTo: c.connectTo, AllowNet: c.AllowNet,
	})
	if err != nil {
		return failf(exitUsage, "%s", err)
	}
	defer fetcher.Close()
	crawler := crawl.New(crawl.Options{
		Tracker: tracker, Fetch: fetcher, Workers: c.Workers, Lease: c.Lease, Logger: logger,
		Alone: store != nil, // the embedded store's lock has kept everyone else out
	})
	collectors := c.collectors(client, store, logger)
	defer closeAll(collectors)
	web := api.NewServer(c.APIAddr, api.New(api.Options{
		Tracker: tracker, Store: client, Token: c.APIToken, Hosts: c.APIHost, Logger: logger, Version: version,
		Defaults: api.Defaults{MaxPages: c.MaxPages, MaxDepth: c.MaxDepth}, Notify: crawler.Wake,
		Registry: metrics.Registry(version, collectors...), Audits: audits,
	}))

	crawling, stopCrawl := context.WithCancel(ctx)
	defer stopCrawl()
	crawled, served := make(chan error, 1), make(chan error, 1)
	go func() { crawled <- crawler.Run(crawling) }()
	go func() { served <- web.Serve(l) }()
	logger.Info("ready", "api", "http://"+l.Addr().String(), "workers", c.Workers)

	select {
	case <-ctx.Done():
	case <-storeDown(store):
		logger.Warn("a client has sent SHUTDOWN to the store")
	case crawlErr := <-crawled:
		// With the signal it ends too, and without an error.
		if crawlErr == nil && ctx.Err() == nil {
			crawlErr = errors.New("nobody had asked it to")
		}
		crawled <- crawlErr
	case err = <-served:
		err = failf(exitLocal, "the API's listener broke: %s", err)
	}
	logger.Info("stopping: pages in flight are finished or given back")
	stopCrawl()
	crawlErr := <-crawled
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if shutdownErr := web.Shutdown(closing); shutdownErr != nil {
		_ = web.Close()
	}
	if err == nil && crawlErr != nil && !errors.Is(crawlErr, context.Canceled) {
		err = failf(exitLocal, "the crawler stopped: %s", crawlErr)
	}
	return err
}

// collectors tell what /metrics has of the store beside the crawl: of the embedded
// one its files and archive, too.
func (c *upCmd) collectors(client redis.UniversalClient, store *embedded, logger *slog.Logger) []*metrics.Collector {
	if store == nil {
		return []*metrics.Collector{metrics.NewStore(client, metrics.Options{Logger: logger})}
	}
	return store.metricsOf(metrics.Directory{Dir: c.Dir}, logger)
}

// onAudit counts and tells what the audits have found that are made before the
// first claim in a new run of the store.
func onAudit(audits *api.Audits, logger *slog.Logger) func(tracking.AuditReport) {
	return func(r tracking.AuditReport) {
		audits.Count(r)
		if r.Clean() {
			logger.Debug("counted anew before going on, nothing to mend", "seed", r.Seed, "pages", r.Total)
			return
		}
		logger.Warn("counted anew before going on, and mended", "seed", r.Seed, "pages", r.Total, "differences", len(r.Differences)+r.Truncated)
	}
}

// recordURL reads the URL of a crawled page out of its feature record, "" when
// the record cannot be read.
func recordURL(record []byte) string {
	r, err := feature.Unmarshal(record)
	if err != nil {
		return ""
	}
	return r.URL.Href
}

// storeDown is closed when the embedded store was told to shut down; never for
// another store.
func storeDown(store *embedded) <-chan struct{} {
	if store == nil {
		return nil
	}
	return store.db.Done()
}

// checkStore refuses a store that cannot keep the count through a crash.
func (c *upCmd) checkStore(ctx context.Context, tracker *tracking.Tracker, logger *slog.Logger) error {
	findings, err := tracker.CheckStore(ctx)
	if err != nil {
		return failf(exitUnreachable, "cannot ask the store: %s", err).
			with("look:   redis-cli -u %s ping", c.StoreURL)
	}
	for _, f := range findings {
		if !f.Fatal {
			logger.Warn(f.Message, "finding", f.Code)
		}
	}
	if err := tracking.Refusal(findings); err != nil {
		f := failf(exitLocal, "the store at %s cannot keep the count through a crash", c.StoreURL)
		for _, finding := range findings {
			if finding.Fatal {
				_ = f.with("%s (%s)", finding.Message, finding.Code)
			}
		}
		return f.with("Nothing has been changed.")
	}
	return nil
}
