package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// Options of the API. Tracker and Store are required.
type Options struct {
	Tracker *tracking.Tracker
	// Store is asked about itself: persistence, health, metrics.
	Store Store
	// Token, when set, must come with every request but /health, as
	// "Authorization: Bearer TOKEN". Without one, only requests whose Host is an
	// IP address, localhost or one of Hosts are answered.
	Token string
	// Hosts are names, without port, under which the API may be asked without a
	// token; see [Options.Token].
	Hosts []string
	// Logger gets requests at debug level and failures at error level; nil is
	// silence.
	Logger *slog.Logger
	// Defaults apply to a submit that does not say otherwise.
	Defaults Defaults
	// Version is what the program calls itself in /health and /metrics.
	Version string
	// Notify is told of every seed that may have work now, so that the crawler
	// need not poll. It must not block. Nil tells no one.
	Notify func(weburl.Seed)
	// Registry is where the metrics are registered, beside those that are there
	// already; nil makes one.
	Registry *prometheus.Registry
	// Audits counts what audits find, those of the API and those that others tell
	// it of; nil makes one.
	Audits *Audits
}

// Defaults of a submit.
type Defaults struct {
	MaxPages int // 0: no limit
	MaxDepth int // 0: no limit
}

// Store is what the API asks of the store itself; a [redis.UniversalClient] is
// one.
type Store interface {
	Info(ctx context.Context, sections ...string) *redis.StringCmd
	SetRange(ctx context.Context, key string, offset int64, value string) *redis.IntCmd
}

type api struct {
	Options
	mux    *http.ServeMux
	meters *meters
}

// route is one line of the API: a pattern of [http.ServeMux] and who answers it.
type route struct {
	pattern string
	handle  handler
}

func (a *api) routes() []route {
	return []route{
		{"POST /api/submit", a.submit},
		{"GET /api/fcrawler/seed/{seed}", a.progress},
		{"GET /api/fcrawler/seed/{seed}/pages", a.pages},
		{"GET /api/fcrawler/seed/{seed}/features", a.features},
		{"POST /api/fcrawler/seed/{seed}/pause", a.pause},
		{"POST /api/fcrawler/seed/{seed}/resume", a.resume},
		{"POST /api/fcrawler/seed/{seed}/cancel", a.cancel},
		{"POST /api/fcrawler/seed/{seed}/retry", a.retry},
		{"POST /api/fcrawler/seed/{seed}/audit", a.audit},
		{"GET /api/fcrawler/seeds", a.seeds},
		{"GET /api/fcrawler/active", a.active},
		{"GET /api/fcrawler/completed", a.completed},
		{"GET /api/fcrawler/stats", a.stats},
		{"GET /api/persistence", a.persistence},
		{"GET " + healthPath, a.health},
		{"GET /metrics", a.meters.serve},
	}
}

// New makes the API.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Notify == nil {
		o.Notify = func(weburl.Seed) {}
	}
	if o.Audits == nil {
		o.Audits = new(Audits)
	}
	o.Hosts = slices.Clone(o.Hosts)
	a := &api{Options: o, mux: http.NewServeMux()}
	a.meters = newMeters(a)
	for _, r := range a.routes() {
		a.mux.Handle(r.pattern, a.adapt(r.handle))
	}
	return a.observe(a.guard(http.HandlerFunc(a.route)))
}

// route hands the request to its handler. What the mux would refuse in plain
// text is refused in JSON.
func (a *api) route(w http.ResponseWriter, r *http.Request) {
	refusal, pattern := a.mux.Handler(r)
	if pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	asked := headerOnly{header: make(http.Header)}
	refusal.ServeHTTP(&asked, r)
	if asked.code == http.StatusMethodNotAllowed {
		allow := asked.header.Get("Allow")
		w.Header().Set("Allow", allow)
		a.refuse(w, r, refusef(http.StatusMethodNotAllowed, "method %s is not allowed here: want %s", r.Method, allow))
		return
	}
	a.refuse(w, r, refusef(http.StatusNotFound, "no such path: %.200q", r.URL.Path).
		withHint("POST /api/submit starts a crawl, GET /api/fcrawler/seeds lists them; docs/api.md has the rest"))
}

// headerOnly notes what a handler answers, without the body.
type headerOnly struct {
	header http.Header
	code   int
}

func (h *headerOnly) Header() http.Header         { return h.header }
func (h *headerOnly) WriteHeader(code int)        { h.code = code }
func (h *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
