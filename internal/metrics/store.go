package metrics

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Informer is what is asked of a server; a [redis.UniversalClient] is one. It
// should heed its context ([redis.Options.ContextTimeoutEnabled]) and not try
// again.
type Informer interface {
	Info(ctx context.Context, sections ...string) *redis.StringCmd
}

// NewStore tells what a server says of itself in INFO: Limpet's store, a Redis or
// a Valkey.
func NewStore(server Informer, o Options) *Collector {
	o = o.withDefaults()
	p := &probe[storeAnswer]{
		Options: o, subject: "the store", wait: patience, timeout: patience,
		ask: func(ctx context.Context) (storeAnswer, error) {
			began := o.Clock.Now()
			text, err := server.Info(ctx).Result()
			if err != nil {
				return storeAnswer{}, err
			}
			took := o.Clock.Now().Sub(began)
			// Others than Limpet answer nothing to that.
			if ours, err := server.Info(ctx, "limpet").Result(); err == nil {
				text += ours
			}
			return storeAnswer{readInfo(text), took}, nil
		},
	}
	return about(p, storeUp, storeMetrics(), func(s sink, a storeAnswer) { a.tell(s) })
}

// storeAnswer is INFO, field by field, and how long it took.
type storeAnswer struct {
	fields map[string]string
	took   time.Duration
}

// readInfo reads the lines "name:value" of INFO.
func readInfo(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok && !strings.HasPrefix(name, "#") {
			fields[name] = value
		}
	}
	return fields
}

func (a storeAnswer) tell(s sink) {
	s.put(storeAnswerTime, a.took.Seconds())
	s.put(storeInfo, 1, a.kind(), a.version(), a.fields["role"], a.fields["redis_mode"])
	for _, f := range storeFields {
		if value, ok := f.read(a.fields[f.name]); ok {
			s.put(f.metric, value)
		}
	}
	a.databases(s)
	a.syncs(s)
}

// kind is whose server it is.
func (a storeAnswer) kind() string {
	switch {
	case a.fields["redis_build_id"] == "limpet":
		return "limpet"
	case a.fields["server_name"] != "":
		return a.fields["server_name"]
	}
	return "redis"
}

// version is the server's own, where it calls itself something else than Redis.
func (a storeAnswer) version() string {
	if v := a.fields[a.kind()+"_version"]; v != "" {
		return v
	}
	return a.fields["redis_version"]
}

// databases reads lines like "db0:keys=3,expires=1,avg_ttl=0".
func (a storeAnswer) databases(s sink) {
	for name, line := range a.fields {
		number, ok := strings.CutPrefix(name, "db")
		var keys, volatile float64
		if _, err := strconv.Atoi(number); !ok || err != nil {
			continue
		}
		if n, _ := fmt.Sscanf(line, "keys=%g,expires=%g", &keys, &volatile); n == 2 {
			s.put(storeKeys, keys, number)
			s.put(storeVolatileKeys, volatile, number)
		}
	}
}

// syncs tells what only our own store knows of its syncs. Under appendfsync no
// the kernel writes out what it likes, and nobody knows what waits.
func (a storeAnswer) syncs(s sink) {
	policy := a.fields["limpet_appendfsync"]
	if policy == "" || a.fields["aof_enabled"] != "1" {
		return
	}
	s.put(storeAppendFsync, 1, policy)
	for _, f := range syncFields {
		if value, ok := f.read(a.fields[f.name]); ok && (policy != "no" || f.metric == storeLastSync) {
			s.put(f.metric, value)
		}
	}
}

// storeMetrics is every metric of a store.
func storeMetrics() []*Metric {
	all := []*Metric{storeUp, storeAnswerTime, storeInfo, storeKeys, storeVolatileKeys, storeAppendFsync}
	for _, f := range slices.Concat(storeFields, syncFields) {
		m := *f.metric
		m.Field = f.name
		all = append(all, &m)
	}
	return all
}
