package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/stat"
)

// liveFlags name a store that runs; without them it is that of `limpet up` or
// `limpet store` on this machine.
type liveFlags struct {
	Store         string `env:"LIMPET_STORE" default:"redis://127.0.0.1:6379/0" placeholder:"URL" help:"The store, or any Redis or Valkey, as in redis://:password@host:6379/0 or unix:///run/redis.sock (${default})."`
	StorePassword string `env:"LIMPET_STORE_PASSWORD" help:"Its password; better given in the environment, where other users do not see it."`
}

func (f *liveFlags) options() (*redis.Options, error) {
	o, err := redis.ParseURL(f.Store)
	if err != nil {
		return nil, fmt.Errorf("--store: %s", strings.TrimPrefix(err.Error(), "redis: "))
	}
	if o.Password == "" {
		o.Password = f.StorePassword
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 3*time.Second, 5*time.Second, 5*time.Second
	o.PoolSize, o.ClientName, o.DisableIdentity = 1, "limpet", true
	return o, nil
}

// Validate checks the URL.
func (f *liveFlags) Validate() error {
	_, err := f.options()
	return err
}

// connect makes a client that asks once and says what it met.
func (f *liveFlags) connect() *redis.Client {
	o, _ := f.options()       // was checked
	redis.SetLogger(silent{}) // that there is no answer is told by those who ask
	return redis.NewClient(o)
}

// name is the URL without the password.
func (f *liveFlags) name() string {
	u, err := url.Parse(f.Store)
	if err != nil {
		return "the store"
	}
	u.RawQuery = ""
	if u.User != nil {
		u.User = url.User(u.User.Username())
		if u.User.Username() == "" {
			u.User = nil
		}
	}
	return strings.TrimSuffix(u.String(), "/0")
}

// silence explains why a store does not answer, or does not do what was asked.
func (f *liveFlags) silence(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Canceled
	}
	text := err.Error()
	var wire redis.Error
	switch {
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"), strings.Contains(text, "invalid username-password"),
		strings.Contains(text, "without any password configured"):
		return failf(exitRefused, "%s: %s", f.name(), text).with("password:  in LIMPET_STORE_PASSWORD, or redis://:PASSWORD@host:port")
	case errors.As(err, &wire):
		return failf(exitLater, "%s: %s", f.name(), text).with("Nothing has been changed.")
	}
	return failf(exitUnreachable, "cannot reach %s: %s", f.name(), stat.Reason(err)).
		with("Is `limpet up`, `limpet store` or a redis-server running there?").
		with("start:  limpet store").
		with("else:   name the store with --store URL, or in LIMPET_STORE")
}
