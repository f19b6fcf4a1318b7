package doctor

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// NewServer asks a Redis, a Valkey or Limpet's store.
func NewServer(client redis.UniversalClient) Server { return server{client} }

type server struct{ client redis.UniversalClient }

func (s server) Info(ctx context.Context) (map[string]string, error) {
	text, err := s.client.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

func (s server) Config(ctx context.Context) (map[string]string, error) {
	settings, err := s.client.ConfigGet(ctx, "*").Result()
	if err != nil {
		return nil, err
	}
	// Patterns pass this one over.
	if hidden, err := s.client.ConfigGet(ctx, "aof-disable-auto-gc").Result(); err == nil {
		for name, value := range hidden {
			settings[name] = value
		}
	}
	return settings, nil
}

func (s server) Seeds(ctx context.Context) (bool, error) {
	const looks = 20 // of a thousand keys each: enough to meet a crawl, and no load
	cursor := uint64(0)
	for range looks {
		keys, next, err := s.client.Scan(ctx, cursor, "fcrawler:*", 1000).Result()
		if err != nil || len(keys) > 0 || next == 0 {
			return len(keys) > 0, err
		}
		cursor = next
	}
	return false, nil
}
