package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/archive"
	"limpet/internal/stat"
)

// observer looks at a store, its disk and its archive.
type observer struct {
	name    string
	client  *redis.Client
	sampler *stat.Sampler
	dir     string // as it was told
	local   bool   // the store is on this machine
	archive *archiveWatch
}

func (c *statCmd) observe(ctx context.Context) (*observer, error) {
	o := &observer{name: c.name(), client: c.connect(), dir: c.Dir}
	options := o.client.Options()
	host, _, _ := net.SplitHostPort(options.Addr)
	ip := net.ParseIP(host)
	o.local = options.Network == "unix" || host == "localhost" || ip != nil && ip.IsLoopback()
	o.sampler = stat.New(o.client, o.name, time.Now)
	if c.Archive != "" {
		store, err := openTarget(ctx, c.Archive)
		if err != nil {
			_ = o.client.Close()
			return nil, err
		}
		o.archive = watchArchive(store, store.Close, max(c.Interval, archiveEvery))
	}
	return o, nil
}

func (o *observer) close() {
	_ = o.client.Close()
	o.archive.close()
}

// look takes a sample. The sample says so when there was no answer.
func (o *observer) look(ctx context.Context) (stat.Sample, error) {
	v, err := o.sampler.Take(ctx)
	if err == nil {
		v.Look(o.place(), o.sampler.Config("dbfilename"))
		v.Archive = o.archive.last()
	}
	return v, err
}

// place is the store's directory, "" where this machine does not have it: the
// directory of that name on this machine may be another one, as when the store is
// in a container, so that something of the store's must lie in it.
func (o *observer) place() string {
	if o.dir != "" || !o.local {
		return o.dir
	}
	dir := o.sampler.Config("dir")
	if !filepath.IsAbs(dir) {
		return ""
	}
	for _, name := range []string{o.sampler.Config("appenddirname"), o.sampler.Config("dbfilename")} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return dir
		}
	}
	return ""
}

const (
	archiveEvery   = 2 * time.Second
	archiveTimeout = 20 * time.Second
)

// archiveWatch asks an archive in the background, so that a slow target holds
// nobody up. A nil one answers nothing.
type archiveWatch struct {
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex // guards what follows
	known stat.Archive
	asked time.Time // of the last answer
}

func watchArchive(s archive.Store, closeStore func() error, every time.Duration) *archiveWatch {
	ctx, stop := context.WithCancel(context.Background())
	w := &archiveWatch{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer func() { _ = closeStore() }()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			w.ask(ctx, s)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return w
}

func (w *archiveWatch) ask(ctx context.Context, s archive.Store) {
	ctx, cancel := context.WithTimeout(ctx, archiveTimeout)
	defer cancel()
	status, err := archive.ReadStatus(ctx, s, time.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.known.Trouble = err.Error()
		return
	}
	lag := status.Lag.Seconds()
	w.known = stat.Archive{LagSeconds: &lag, WaitingBytes: status.Bytes, Stopped: status.Released, Trouble: status.Trouble}
	w.asked = time.Now()
}

// last is the last answer, with its age. Since then the archive may have fallen
// behind by as much.
func (w *archiveWatch) last() *stat.Archive {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.known
	if !w.asked.IsZero() {
		a.AskedSeconds = time.Since(w.asked).Seconds()
	}
	return &a
}

func (w *archiveWatch) close() {
	if w != nil {
		w.stop()
		<-w.done
	}
}
