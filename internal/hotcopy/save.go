package hotcopy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/clock"
)

// Server is what a running server says about its files.
type Server struct {
	Version string
	Log     bool // the log is on, so that it is what counts
	Keys    int64
}

// Ask asks a running server.
func Ask(ctx context.Context, c redis.UniversalClient) (Server, error) {
	text, err := c.Info(ctx, "everything").Result()
	if err != nil {
		return Server{}, fmt.Errorf("INFO: %w", err)
	}
	info := fields(text)
	s := Server{Version: info["redis_version"], Log: info["aof_enabled"] == "1"}
	for name, value := range info {
		if !strings.HasPrefix(name, "db") {
			continue
		}
		if keys, ok := strings.CutPrefix(value, "keys="); ok {
			keys, _, _ = strings.Cut(keys, ",")
			n, _ := strconv.ParseInt(keys, 10, 64)
			s.Keys += n
		}
	}
	return s, nil
}

// Save has a server write its dump (BGSAVE) and waits until it has: one that was
// begun after Save was called, and succeeded.
func Save(ctx context.Context, c redis.UniversalClient, clk clock.Clock) error {
	const poll = 50 * time.Millisecond
	asked := false
	for {
		text, err := c.Info(ctx, "persistence").Result()
		if err != nil {
			return fmt.Errorf("INFO persistence: %w", err)
		}
		info := fields(text)
		saving, rewriting := info["rdb_bgsave_in_progress"] == "1", info["aof_rewrite_in_progress"] == "1"
		switch {
		case asked && !saving && info["rdb_last_bgsave_status"] == "ok":
			return nil
		case asked && !saving:
			return fmt.Errorf("BGSAVE: the server reports rdb_last_bgsave_status:%s", info["rdb_last_bgsave_status"])
		case !asked && !saving && !rewriting:
			err := c.BgSave(ctx).Err()
			if err != nil && !strings.Contains(err.Error(), "in progress") { // else another was faster
				return fmt.Errorf("BGSAVE: %w", err)
			}
			asked = err == nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clk.After(poll):
		}
	}
}

// fields are the lines of INFO.
func fields(info string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[name] = value
		}
	}
	return all
}
