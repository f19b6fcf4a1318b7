package api

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// observe counts and logs each request, and answers for handlers that panic.
func (a *api) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		seen := &witness{ResponseWriter: w}
		defer func() {
			thrown := recover()
			aborted := thrown == http.ErrAbortHandler
			if thrown != nil && !aborted {
				a.Logger.Error("handler panicked", "method", r.Method, "path", r.URL.Path,
					"panic", thrown, "stack", string(debug.Stack()))
				if seen.code == 0 {
					a.refuse(seen, r, &problem{code: http.StatusInternalServerError, message: "internal error; the log has the details"})
				} else {
					aborted = true // half an answer must not look like a whole one
				}
			}
			took := time.Since(start)
			a.meters.observe(r, seen.code, took)
			a.Logger.LogAttrs(r.Context(), slog.LevelDebug, "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("code", seen.code),
				slog.Int64("bytes", seen.bytes), slog.Duration("took", took), slog.String("remote", r.RemoteAddr))
			if aborted {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// witness notes what is answered.
type witness struct {
	http.ResponseWriter
	code  int // 0 until the header is sent
	bytes int64
}

func (w *witness) WriteHeader(code int) {
	if w.code == 0 && code >= 200 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *witness) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// connectionOf is the server's own writer, which net/http must see to hang up
// on a client that sends too much.
func connectionOf(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}

// allow gives the rest of an answer the time d from now, whatever the server's
// own limit: for work whose length depends on the size of a seed.
func allow(w http.ResponseWriter, d time.Duration) error {
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
	if errors.Is(err, http.ErrNotSupported) {
		return nil // nothing there that could time out
	}
	return err
}
