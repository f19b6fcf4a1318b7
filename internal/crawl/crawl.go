package crawl

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"limpet/clock"
	"limpet/internal/feature"
	"limpet/internal/fetch"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// Options of a [Crawler]. A zero field means its default.
type Options struct {
	Tracker *tracking.Tracker // required
	Fetch   *fetch.Client     // required

	// Workers is how many pages are worked on at once; default 8. About as many
	// more are claimed ahead.
	Workers int
	// Attempts is how often a page is tried that fails in a way that may pass;
	// default 3. Leases that lapsed count as well.
	Attempts int
	// Backoff is the wait before the second attempt; it doubles with each further
	// one up to MaxBackoff, and a random part of at most half is taken off.
	// Defaults 2 seconds and 5 minutes. A longer Retry-After goes first.
	Backoff    time.Duration
	MaxBackoff time.Duration

	// Alone says that nobody else works on the store: what is in flight when Run
	// begins was left by a process that is dead, and is queued again at once
	// instead of when its leases lapse.
	Alone bool

	// Lease is how long a page stays with a worker that is not heard of any more;
	// default 1 minute. A worker is heard of each third of it.
	Lease time.Duration
	// Grace is how long Run lets pages finish when its context ends; default 10
	// seconds, negative none.
	Grace time.Duration

	// PollEvery is how often seeds are looked for that were submitted through
	// another process; default 2 seconds.
	PollEvery time.Duration
	// ReapEvery is how often leases of dead workers are looked for; default a
	// quarter of Lease.
	ReapEvery time.Duration
	// RepairEvery is how often the list of active seeds is checked against the
	// registry, which reads the progress of every seed; default 5 minutes.
	RepairEvery time.Duration

	Clock  clock.Clock  // default the machine's
	Logger *slog.Logger // default none
}

func (o Options) withDefaults() Options {
	setDefault(&o.Workers, 8)
	setDefault(&o.Attempts, 3)
	setDefault(&o.Backoff, 2*time.Second)
	setDefault(&o.MaxBackoff, 5*time.Minute)
	setDefault(&o.Lease, time.Minute)
	setDefault(&o.Grace, 10*time.Second)
	setDefault(&o.PollEvery, 2*time.Second)
	setDefault(&o.ReapEvery, max(o.Lease/4, time.Millisecond))
	setDefault(&o.RepairEvery, 5*time.Minute)
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Crawler crawls the seeds of a store. Many crawlers, in one process or in many,
// may share a store.
type Crawler struct {
	Options
	extract func(feature.Input) (feature.Record, feature.Discovered) // feature.Extract, but for tests
	counts  counters
	outage  outage
	running atomic.Bool
	woken   wakeups
}

// New makes a crawler, which does nothing before Run.
func New(o Options) *Crawler {
	return &Crawler{
		Options: o.withDefaults(),
		extract: feature.Extract,
		woken:   wakeups{signal: make(chan struct{}, 1), seeds: make(map[weburl.Seed]bool)},
	}
}

var errRunning = errors.New("crawl: it runs already")

// Run crawls until ctx ends. Then it claims nothing more, gives back what no
// worker has begun, lets the workers finish within Options.Grace, gives back the
// rest, and returns nil. The only error is that it runs already.
func (c *Crawler) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errRunning
	}
	defer c.running.Store(false)
	if c.Alone {
		c.takeOver(ctx)
	}
	s := newScheduler(ctx, c)
	defer s.stopWork()
	var all sync.WaitGroup
	for range c.Workers {
		all.Go(s.worker)
	}
	all.Go(func() { c.upkeep(ctx) })
	s.run(ctx)
	s.drain()
	close(s.work)
	all.Wait()
	return nil
}

// Wake says that a seed may have pages to claim: it was submitted, resumed, or
// its failed pages are to be tried again. It returns at once, and may be called
// whether the crawler runs or not.
func (c *Crawler) Wake(seed weburl.Seed) { c.woken.add(seed, true) }

// wakeups are the seeds that the scheduler is to look at.
type wakeups struct {
	signal chan struct{}

	mu    sync.Mutex // guards seeds
	seeds map[weburl.Seed]bool
}

// add notes a seed. One that is not urgent is of interest only to a scheduler
// that does not know it.
func (w *wakeups) add(seed weburl.Seed, urgent bool) {
	w.mu.Lock()
	w.seeds[seed] = w.seeds[seed] || urgent
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default: // the signal is still on
	}
}

func (w *wakeups) take() map[weburl.Seed]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	seeds := w.seeds
	w.seeds = make(map[weburl.Seed]bool)
	return seeds
}
