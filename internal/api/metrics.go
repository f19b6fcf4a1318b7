package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"limpet/internal/tracking"
)

const (
	scrapeTimeout = 5 * time.Second
	// censusAge is how old the count over all seeds may be in a scrape: it walks
	// the registry, and two scrapers must not double the work.
	censusAge = 10 * time.Second
)

// metrics are what the API tells Prometheus.
type metrics struct {
	api      *api
	exporter http.Handler
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec

	mu     sync.Mutex // guards census and taken; held while a census is taken
	census *census
	taken  time.Time
}

func newMetrics(a *api) *metrics {
	m := &metrics{
		api: a,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "limpet_http_requests_total", Help: "Requests answered, by route, method and status code.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "limpet_http_request_duration_seconds", Help: "Time from a request to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
	}
	registry := a.Registry
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "limpet_build_info", Help: "Always 1; the labels tell what runs.",
		ConstLabels: prometheus.Labels{"version": a.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	for _, c := range []prometheus.Collector{
		m.requests, m.duration, build, seedCollector{m}, storeCollector{a},
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

func (m *metrics) serve(w http.ResponseWriter, r *http.Request) error {
	m.exporter.ServeHTTP(w, r)
	return nil
}

// methods are those that get a label of their own. Any other word a client may
// have sent is "other": labels must not grow with what strangers type.
var methods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true}

func (m *metrics) observe(r *http.Request, code int, took time.Duration) {
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
func (m *metrics) recentCensus(ctx context.Context) (*census, error) {
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
type seedCollector struct{ metrics *metrics }

var (
	seedsDesc = prometheus.NewDesc("limpet_seeds", "Seeds by status.", []string{"status"}, nil)
	pagesDesc = prometheus.NewDesc("limpet_pages", "Pages of running seeds by state.", []string{"state"}, nil)
)

func (c seedCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- seedsDesc
	descs <- pagesDesc
}

func (c seedCollector) Collect(found chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	census, err := c.metrics.recentCensus(ctx)
	if err != nil {
		c.metrics.api.Logger.Error("seeds cannot be counted for a scrape", "err", err)
		return
	}
	for _, status := range []tracking.Status{tracking.Running, tracking.Paused, tracking.Cancelled, tracking.Completed} {
		found <- prometheus.MustNewConstMetric(seedsDesc, prometheus.GaugeValue, float64(census.seeds[status]), string(status))
	}
	for state, n := range map[tracking.State]int64{
		tracking.StateQueued: census.running.Queued, tracking.StateDelayed: census.running.Delayed,
		tracking.StateLeased: census.running.InFlight, tracking.StateCrawled: census.running.Crawled,
		tracking.StateFailed: census.running.Failed, tracking.StateSkipped: census.running.Skipped,
	} {
		found <- prometheus.MustNewConstMetric(pagesDesc, prometheus.GaugeValue, float64(n), string(state))
	}
}

// storeCollector tells how the store's persistence is.
type storeCollector struct{ api *api }

// storeField is a field of INFO persistence and the metric that shows it.
type storeField struct {
	field string
	desc  *prometheus.Desc
	kind  prometheus.ValueType
}

var upDesc = prometheus.NewDesc("limpet_store_up", "1 while the store answers.", nil, nil)

func storeGauge(field, metric, help string) storeField {
	return storeField{field, prometheus.NewDesc("limpet_store_"+metric, help, nil, nil), prometheus.GaugeValue}
}

func storeCounter(field, metric, help string) storeField {
	return storeField{field, prometheus.NewDesc("limpet_store_"+metric, help, nil, nil), prometheus.CounterValue}
}

var storeFields = []storeField{
	storeGauge("loading", "loading", "1 while the store reads its files at start."),
	storeGauge("aof_enabled", "aof_enabled", "1 while the store keeps an append-only log."),
	storeGauge("aof_current_size", "aof_current_size_bytes", "Size of the append-only log."),
	storeGauge("aof_base_size", "aof_base_size_bytes", "Size of the log when it was last rewritten or opened."),
	storeGauge("aof_buffer_length", "aof_buffer_bytes", "Size of what waits to be written to the log."),
	storeGauge("aof_last_write_status", "aof_last_write_ok", "1 when the last write to the log succeeded."),
	storeGauge("aof_last_bgrewrite_status", "aof_last_rewrite_ok", "1 when the last rewrite of the log succeeded."),
	storeGauge("aof_rewrite_in_progress", "aof_rewrite_in_progress", "1 while the log is rewritten."),
	storeCounter("aof_rewrites", "aof_rewrites_total", "Rewrites of the log since the store was started."),
	storeCounter("aof_delayed_fsync", "aof_delayed_fsyncs_total", "Syncs that made writers wait since the store was started."),
	storeGauge("rdb_changes_since_last_save", "rdb_changes_since_last_save", "Changes since the last snapshot."),
	storeGauge("rdb_bgsave_in_progress", "rdb_save_in_progress", "1 while a snapshot is saved."),
	storeGauge("rdb_last_bgsave_status", "rdb_last_save_ok", "1 when the last snapshot was saved."),
	storeGauge("rdb_last_save_time", "rdb_last_save_timestamp_seconds", "When the last snapshot was saved, in Unix time."),
}

func (c storeCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- upDesc
	for _, f := range storeFields {
		descs <- f.desc
	}
}

func (c storeCollector) Collect(found chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	info, err := c.api.Store.Info(ctx, "persistence").Result()
	if err != nil {
		found <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, 0)
		return
	}
	found <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, 1)
	fields := readInfo(info)
	for _, f := range storeFields {
		if value, ok := asMetric(fields[f.field]); ok {
			found <- prometheus.MustNewConstMetric(f.desc, f.kind, value)
		}
	}
}

// asMetric reads a field that is a number, or one that is "ok" or not.
func asMetric(field any) (float64, bool) {
	switch v := field.(type) {
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	case string:
		if v == "ok" {
			return 1, true
		}
		return 0, v == "err"
	}
	return 0, false
}
