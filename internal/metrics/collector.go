package metrics

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"limpet/clock"
)

// Options of a Collector; the zero value will do.
type Options struct {
	Clock  clock.Clock  // nil is the real one
	Logger *slog.Logger // told when an answer stops coming, and when it comes again; nil discards
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Collector answers scrapes about one subject. It is safe for concurrent use.
type Collector struct {
	metrics []*Metric
	collect func(sink)
	close   func()
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		descs <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(found chan<- prometheus.Metric) { c.collect(found) }

// Close ends what is being asked, and waits for that a few seconds at most.
func (c *Collector) Close() { c.close() }

// about is a collector of what a probe finds.
func about[T any](p *probe[T], up *Metric, metrics []*Metric, tell func(s sink, found T)) *Collector {
	return &Collector{metrics, func(s sink) {
		found, err := p.get()
		s.flag(up, err == nil)
		if err == nil {
			tell(s, found)
		}
	}, p.close}
}
