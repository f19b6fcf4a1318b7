package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/redis/go-redis/v9"

	"limpet"
	"limpet/internal/archive"
	"limpet/internal/metrics"
)

// What serves metrics beside something else: `limpet store` and `limpet archive`.
// `limpet exporter` does nothing else.

// metricsFlag opens a door for Prometheus.
type metricsFlag struct {
	MetricsAddr string `name:"metrics-addr" env:"LIMPET_METRICS_ADDR" placeholder:"HOST:PORT" help:"Serve metrics for Prometheus there, at /metrics, as in 127.0.0.1:9121. Without it there are none."`
}

// Validate checks what does not need the machine to tell.
func (f *metricsFlag) Validate() error { return checkMetricsAddr(f.MetricsAddr) }

func checkMetricsAddr(addr string) error {
	if addr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("--metrics-addr %q: want HOST:PORT, as in 127.0.0.1:9121", addr)
	}
	return nil
}

// metering is a door for Prometheus that is open. Nil is none.
type metering struct {
	listener   net.Listener
	server     *metrics.Server
	collectors []*metrics.Collector
	logger     *slog.Logger
}

// openMetrics takes the port, before anything else is touched; nil when nobody
// wants metrics.
func openMetrics(addr string) (*metering, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := listen("--metrics-addr", addr)
	if err != nil {
		return nil, err
	}
	return &metering{listener: l}, nil
}

// serve answers scrapes from here on.
func (m *metering) serve(logger *slog.Logger, collectors ...*metrics.Collector) {
	if m == nil {
		return
	}
	m.logger, m.collectors = logger, collectors
	m.server = metrics.Serve(m.listener, metrics.Handler(metrics.Registry(version, collectors...), logger), logger)
	logger.Info("metrics are served", "url", "http://"+m.listener.Addr().String()+"/metrics")
}

// broken is closed when the door has broken; never where there is none.
func (m *metering) broken() <-chan struct{} {
	if m == nil {
		return nil
	}
	return m.server.Done()
}

// close ends the scrapes under way, and what they have asked. It may be called
// without serve.
func (m *metering) close() {
	switch {
	case m == nil:
	case m.server == nil:
		_ = m.listener.Close()
	default:
		if err := m.server.Close(); err != nil {
			m.logger.Warn("the door for metrics did not close cleanly", "error", err)
		}
		closeAll(m.collectors)
	}
}

func closeAll(collectors []*metrics.Collector) {
	for _, c := range collectors {
		c.Close()
	}
}

// ownInfo asks the store of this process, without a connection.
type ownInfo struct{ db *limpet.DB }

func (o ownInfo) Info(ctx context.Context, sections ...string) *redis.StringCmd {
	args := []any{"info"}
	for _, s := range sections {
		args = append(args, s)
	}
	cmd := redis.NewStringCmd(ctx, args...)
	v, err := o.db.Do(ctx, args...)
	cmd.SetVal(v.Text())
	cmd.SetErr(err)
	return cmd
}

// metricsOf is what there is to tell of a store of this process, its files and
// its archive.
func (e *embedded) metricsOf(d metrics.Directory, logger *slog.Logger) []*metrics.Collector {
	o := metrics.Options{Logger: logger}
	all := []*metrics.Collector{metrics.NewStore(ownInfo{e.db}, o), metrics.NewDirectory(d, o)}
	if e.archiving != nil {
		all = append(all, metrics.NewArchiver(e.archiving.progress, o))
	}
	return all
}

// progress is how far the archiver is; false while it has not begun.
func (a *archiving) progress() (archive.Progress, bool) {
	if current := a.current.Load(); current != nil {
		return begun(current.Progress())
	}
	return archive.Progress{}, false
}

// begun tells an archiver that waits for its target to be free from one at work.
func begun(p archive.Progress) (archive.Progress, bool) {
	return p, p.Timeline > 0 || p.Trouble != ""
}
