package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/fetch"
)

// upCmd runs the whole service in one process.
type upCmd struct {
	storeFlags
	logFlags

	StoreURL string `name:"store" env:"LIMPET_STORE" placeholder:"URL" help:"Use a Redis or Valkey server, as in redis://host:6379/0, instead of the embedded store."`

	APIAddr  string   `name:"api-addr" env:"LIMPET_API_ADDR" default:"127.0.0.1:3001" placeholder:"HOST:PORT" help:"Where the HTTP API listens (${default})."`
	APIToken string   `name:"api-token" env:"LIMPET_API_TOKEN" help:"Token that every request but /health must carry."`
	APIHost  []string `name:"api-host" env:"LIMPET_API_HOST" placeholder:"NAME" help:"Names, beside localhost, under which the API may be asked without a token."`
	Insecure bool     `env:"LIMPET_INSECURE" help:"Listen beyond loopback without token or password. Anyone who reaches the port may do anything."`

	Workers   int            `env:"LIMPET_WORKERS" default:"16" help:"Pages fetched at the same time."`
	PerHost   int            `env:"LIMPET_PER_HOST" default:"4" help:"Of these, from one host."`
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
func (c *upCmd) Run(context.Context, terminal) error {
	return errors.New("limpet up is not wired yet")
}
