package api

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"limpet/internal/metrics"
	"limpet/internal/tracking"
)

// Audits counts what audits find. The zero value is ready, and safe for
// concurrent use.
type Audits struct {
	clean, differing, differences atomic.Int64
}

var (
	auditsMetric      = metrics.Counter("limpet_audits_total", "Audits by what they found (clean, differing): those asked for, and those made before a crawl goes on after a restart of the store.", "result")
	differencesMetric = metrics.Counter("limpet_audit_differences_total", "Differences between the pages of a seed and what was counted that audits have found.")
)

// Count counts an audit.
func (a *Audits) Count(r tracking.AuditReport) {
	if r.Clean() {
		a.clean.Add(1)
		return
	}
	a.differing.Add(1)
	a.differences.Add(int64(len(r.Differences) + r.Truncated))
}

// Describe implements [prometheus.Collector].
func (a *Audits) Describe(descs chan<- *prometheus.Desc) {
	descs <- auditsMetric.Desc()
	descs <- differencesMetric.Desc()
}

// Collect implements [prometheus.Collector].
func (a *Audits) Collect(found chan<- prometheus.Metric) {
	found <- auditsMetric.At(float64(a.clean.Load()), "clean")
	found <- auditsMetric.At(float64(a.differing.Load()), "differing")
	found <- differencesMetric.At(float64(a.differences.Load()))
}
