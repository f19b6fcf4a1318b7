package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry holds collectors beside those of the Go runtime and the process. Two
// metrics of one name are a mistake in the program, and a panic.
func Registry(version string, all ...*Collector) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(BuildInfo(version), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, c := range all {
		r.MustRegister(c)
	}
	return r
}

// Handler answers GET /metrics.
func Handler(g prometheus.Gatherer, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError),
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><title>limpet</title><p>limpet: <a href="/metrics">metrics</a></p>`) // they have gone
	})
	return mux
}

// Server serves metrics.
type Server struct {
	http *http.Server
	done chan struct{} // closed when nobody is served any more
	err  error         // why; set before done is closed
}

// Serve serves a handler at a listener, which it closes with [Server.Close]. The error of
// that is why the listener broke, if it did.
func Serve(l net.Listener, h http.Handler, logger *slog.Logger) *Server {
	s := &Server{http: &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
	}, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = s.http.Serve(l)
	}()
	return s
}

// Done is closed when the listener has broken, or the server was closed.
func (s *Server) Done() <-chan struct{} { return s.done }

// Close ends the scrapes under way within a few seconds, and then the server.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	if !errors.Is(s.err, http.ErrServerClosed) {
		err = errors.Join(err, s.err)
	}
	return err
}
