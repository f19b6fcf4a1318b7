package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"limpet/internal/metrics"
	"limpet/internal/tracking"
)

const (
	scrapeTimeout = 3 * time.Second
	// censusAge is how old the count over all seeds may be in a scrape: it walks
	// the registry, and two scrapers must not double the work.
	censusAge = 10 * time.Second
)

// meters are what the API tells Prometheus.
type meters struct {
	api      *api
	exporter http.Handler
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec

	mu     sync.Mutex // guards census and taken; held while a census is taken
	census *census
	taken  time.Time
}

var (
	requestsMetric = metrics.Counter("limpet_http_requests_total", "Requests answered, by route (`other` for paths that do not exist), method and status code.", "route", "method", "code")
	durationMetric = &metrics.Metric{Name: "limpet_http_request_duration_seconds", Type: "histogram", Labels: []string{"route"}, Help: "Time from a request to the end of its answer."}
)

// Metrics is every metric of this package.
func Metrics() []*metrics.Metric {
	return []*metrics.Metric{seedsMetric, pagesMetric, requestsMetric, durationMetric, auditsMetric, differencesMetric}
}

func newMeters(a *api) *meters {
	m := &meters{
		api: a,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: requestsMetric.Name, Help: requestsMetric.Help,
		}, requestsMetric.Labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: durationMetric.Name, Help: durationMetric.Help,
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, durationMetric.Labels),
	}
	registry := a.Registry
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.duration, seedCollector{m}, a.Audits,
		metrics.BuildInfo(a.Version), metrics.NewStore(a.Store, metrics.Options{Logger: a.Logger}),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			panic(err) // two metrics of one name: a mistake in the program
		}
	}
	m.exporter = promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return m
}

func (m *meters) serve(w http.ResponseWriter, r *http.Request) error {
	m.exporter.ServeHTTP(w, r)
	return nil
}

// methods are those that get a label of their own. Any other word a client may
// have sent is "other": labels must not grow with what strangers type.
var methods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true}

func (m *meters) observe(r *http.Request, code int, took time.Duration) {
	_, path, found := strings.Cut(r.Pattern, " ")
	if !found {
		path = "other"
	}
	method := r.Method
	if !methods[method] {
		method = "other"
	}
	m.requests.WithLabelValues(path, method, strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(path).Observe(took.Seconds())
}

// recentCensus is a census that is at most censusAge old.
func (m *meters) recentCensus(ctx context.Context) (*census, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.census != nil && time.Since(m.taken) < censusAge {
		return m.census, nil
	}
	c, err := m.api.takeCensus(ctx)
	if err != nil {
		return nil, err
	}
	m.census, m.taken = c, time.Now()
	return c, nil
}

// seedCollector counts seeds and the pages of running ones. While the store does
// not answer it has nothing to say: an absent series, not a zero.
type seedCollector struct{ meters *meters }

var (
	seedsMetric = metrics.Gauge("limpet_seeds", "Seeds by status; at most 10 seconds old.", "status")
	pagesMetric = metrics.Gauge("limpet_pages", "Pages of running seeds by state; at most 10 seconds old.", "state")
)

func (c seedCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- seedsMetric.Desc()
	descs <- pagesMetric.Desc()
}

func (c seedCollector) Collect(found chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	census, err := c.meters.recentCensus(ctx)
	if err != nil {
		c.meters.api.Logger.Error("seeds cannot be counted for a scrape", "err", err)
		return
	}
	for _, status := range []tracking.Status{tracking.Running, tracking.Paused, tracking.Cancelled, tracking.Completed} {
		found <- seedsMetric.At(float64(census.seeds[status]), string(status))
	}
	for state, n := range map[tracking.State]int64{
		tracking.StateQueued: census.running.Queued, tracking.StateDelayed: census.running.Delayed,
		tracking.StateLeased: census.running.InFlight, tracking.StateCrawled: census.running.Crawled,
		tracking.StateFailed: census.running.Failed, tracking.StateSkipped: census.running.Skipped,
	} {
		found <- pagesMetric.At(float64(n), string(state))
	}
}
