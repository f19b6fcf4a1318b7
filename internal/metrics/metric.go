package metrics

import (
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is a metric that is exported.
type Metric struct {
	Name   string
	Type   string // counter or gauge
	Labels []string
	Help   string
	Field  string // of INFO that it shows; "" for what comes from elsewhere

	desc *prometheus.Desc
	kind prometheus.ValueType
}

// Gauge is a metric that may go up and down.
func Gauge(name, help string, labels ...string) *Metric {
	return newMetric(name, help, labels, "gauge", prometheus.GaugeValue)
}

// Counter is a metric that only rises, until what it counts is started anew.
func Counter(name, help string, labels ...string) *Metric {
	return newMetric(name, help, labels, "counter", prometheus.CounterValue)
}

func newMetric(name, help string, labels []string, kind string, value prometheus.ValueType) *Metric {
	return &Metric{Name: name, Type: kind, Labels: labels, Help: help, desc: prometheus.NewDesc(name, help, labels, nil), kind: value}
}

// Desc is what registries know the metric by.
func (m *Metric) Desc() *prometheus.Desc { return m.desc }

// At is the metric with a value, and values for its labels in their order.
func (m *Metric) At(value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

// All is every metric of this package.
func All() []*Metric {
	return slices.Concat([]*Metric{buildInfo}, storeMetrics(), directoryMetrics, archiveMetrics, backupMetrics)
}

// sink takes the metrics of a scrape.
type sink chan<- prometheus.Metric

func (s sink) put(m *Metric, value float64, labels ...string) { s <- m.At(value, labels...) }

func (s sink) flag(m *Metric, yes bool) {
	value := 0.0
	if yes {
		value = 1
	}
	s.put(m, value)
}

// moment sends a time, unless there was none.
func (s sink) moment(m *Metric, at time.Time) {
	if !at.IsZero() {
		s.put(m, float64(at.UnixMilli())/1000)
	}
}

var buildInfo = Gauge("limpet_build_info", "Always 1; the labels tell what runs.", "version", "goversion")

// BuildInfo tells the version of the program.
func BuildInfo(version string) prometheus.Collector {
	return &Collector{[]*Metric{buildInfo}, func(s sink) { s.put(buildInfo, 1, version, runtime.Version()) }, func() {}}
}
