package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// persistence is the store's INFO persistence as an object.
func (a *api) persistence(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err; err != nil {
		return err
	}
	info, err := a.Store.Info(r.Context(), "persistence").Result()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		success
		Persistence map[string]any `json:"persistence"`
		stamp
	}{yes, readInfo(info), now()})
}

// readInfo reads the lines "name:value" of INFO. What is written like a JSON
// number becomes one, digit for digit.
func readInfo(info string) map[string]any {
	fields := make(map[string]any)
	for line := range strings.Lines(info) {
		name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		fields[name] = value
		var number json.Number
		if json.Unmarshal([]byte(value), &number) == nil && !strings.HasPrefix(value, `"`) && number != "" {
			fields[name] = number
		}
	}
	return fields
}

const healthTimeout = 2 * time.Second

// health answers 200 while the store answers and takes writes. It tells no
// details to those who have no token; the log has them.
func (a *api) health(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	if err := a.probe(ctx); err != nil {
		p := &problem{code: http.StatusServiceUnavailable, message: "the store does not answer", retryAfter: retryAfter, cause: err}
		var answered redis.Error
		if errors.As(err, &answered) {
			p.message = "the store refuses writes: " + answered.Error()
		}
		return p
	}
	return writeJSON(w, http.StatusOK, struct {
		success
		Status  string `json:"status"`
		Version string `json:"version,omitempty"`
		stamp
	}{yes, "ok", a.Version, now()})
}

// probe asks for a write that writes nothing. To set no bytes of a key that is
// not there is a write command to Redis, which it turns away when its disk is
// broken, its memory is full or it is a replica, and it changes nothing.
func (a *api) probe(ctx context.Context) error {
	return a.Store.SetRange(ctx, "fcrawler:health", 0, "").Err()
}
