package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// handler answers a request, or returns the error that is to be the answer; in
// that case it has written nothing.
type handler func(w http.ResponseWriter, r *http.Request) error

func (a *api) adapt(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.refuse(w, r, problemOf(err))
		}
	})
}

// success begins every positive answer, stamp ends it; what was asked for is
// between them.
type (
	success struct {
		Success bool `json:"success"`
	}
	stamp struct {
		Timestamp time.Time `json:"timestamp"`
	}
)

var yes = success{true}

// now stamps an answer. Milliseconds are enough for people, and UTC spares
// programs the zones.
func now() stamp { return stamp{time.Now().UTC().Truncate(time.Millisecond)} }

// refuse answers with a problem, and logs it when it is ours.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	if p.cause != nil && r.Context().Err() == nil {
		a.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "code", p.code, "err", p.cause)
	}
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(p.retryAfter/time.Second)))
	}
	_ = writeJSON(w, p.code, struct {
		Success bool   `json:"success"`
		Error   string `json:"error"`
		Hint    string `json:"hint,omitempty"`
	}{false, p.message, p.hint})
}

// writeJSON sends v in one piece. Its error is that of encoding: nothing is
// sent then. Whether the other side received it all, no one is left to tell.
func writeJSON(w http.ResponseWriter, code int, v any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // URLs stay readable; no browser renders this as HTML
	if err := encoder.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes())
	return nil
}
