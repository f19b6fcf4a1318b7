package metrics

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet"
	"limpet/internal/testredis"
	"limpet/server"
	"limpet/vfs"
)

var ctx = context.Background()

func storeOf(t *testing.T, client Informer) *Collector {
	c := NewStore(client, Options{})
	t.Cleanup(c.Close)
	return c
}

// metricOf is the metric of a field of INFO.
func metricOf(name string) *Metric {
	i := slices.IndexFunc(storeFields, func(f field) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return storeFields[i].metric
}

// wantAll fails unless every field of a server's INFO persistence is in a scrape;
// -1 is Redis's word for a time that there is not.
func wantAll(t *testing.T, when string, s scrape, persistence string) {
	t.Helper()
	n := 0
	for line := range strings.Lines(persistence) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		n++
		m := metricOf(name)
		if m == nil {
			t.Errorf("%s: no metric for %s", when, name)
		} else if _, there := s[m.Name]; there == (value == "-1") {
			t.Errorf("%s: %s:%s: is %s there? %v", when, name, value, m.Name, there)
		}
	}
	if n < 30 {
		t.Errorf("%s: only %d fields", when, n)
	}
}

// TestStore_RealServer_EveryFieldOfInfoPersistenceIsThere leads a redis-server
// through its life: a log under writes, a rewrite under way, a save under way, no
// log, dead.
func TestStore_RealServer_EveryFieldOfInfoPersistenceIsThere(t *testing.T) {
	real := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	c := storeOf(t, real.Client())
	look := func(when string) scrape {
		t.Helper()
		s := scraped(t, c)
		wantAll(t, when, s, fmt.Sprint(real.Do("INFO", "persistence")))
		return s
	}
	for i := range 50 {
		real.Do("SET", fmt.Sprint("k", i), "v")
	}
	real.Do("SELECT", "0")
	real.Do("PEXPIREAT", "k1", "9999999999999")
	s := look("a log")
	s.want(t, "a log", map[string]any{
		"limpet_store_up": 1, "limpet_store_aof_enabled": 1, "limpet_store_rdb_changes_since_last_save": 51,
		"limpet_store_aof_last_write_ok": 1, `limpet_store_keys{db="0"}`: 50, `limpet_store_volatile_keys{db="0"}`: 1,
		"limpet_store_clients": 1, "limpet_store_aof_current_rewrite_duration_seconds": "absent",
		"limpet_store_last_sync_timestamp_seconds": "absent", "limpet_store_unsynced_seconds": "absent", "limpet_store_unsynced_changes": "absent",
		"limpet_store_loading_size_bytes": "absent", "limpet_store_master_link_up": "absent",
	})
	if got := slices.ContainsFunc(s.names(), func(n string) bool {
		return strings.HasPrefix(n, `limpet_store_info{mode="standalone",role="master",server="redis",version="7.`)
	}); !got {
		t.Errorf("no limpet_store_info: %v", s.names())
	}
	if s["limpet_store_memory_used_bytes"] < 100_000 || s["limpet_store_aof_current_size_bytes"] < 1000 || s["limpet_store_commands_total"] < 50 {
		t.Errorf("%v", s)
	}
	real.Do("CONFIG", "SET", "rdb-key-save-delay", "100000") // µs for each key
	real.Do("BGREWRITEAOF")
	s = look("a rewrite")
	s.want(t, "a rewrite", map[string]any{"limpet_store_aof_rewrite_in_progress": 1, "limpet_store_snapshot_keys": 50})
	if _, there := s["limpet_store_aof_current_rewrite_duration_seconds"]; !there {
		t.Error("a rewrite: no duration")
	}
	real.Do("CONFIG", "SET", "appendonly", "no") // which ends the rewrite
	eventually(t, "the rewrite is gone", func() bool {
		return strings.Contains(fmt.Sprint(real.Do("INFO", "persistence")), "aof_rewrite_in_progress:0")
	})
	s = look("no log")
	s.want(t, "no log", map[string]any{"limpet_store_aof_enabled": 0, "limpet_store_aof_current_size_bytes": "absent", "limpet_store_up": 1})
	real.Do("BGSAVE")
	look("a save").want(t, "a save", map[string]any{"limpet_store_rdb_save_in_progress": 1})
	real.Kill()
	if names := scraped(t, c).names(); !slices.Equal(names, []string{"limpet_store_up"}) {
		t.Errorf("of a dead server: %v", names)
	}
	scraped(t, c).want(t, "dead", map[string]any{"limpet_store_up": 0})
}

// loading70 is what INFO persistence of 7.0.15 has besides while it loads.
const loading70 = "loading:1\r\nloading_start_time:1764082800\r\nloading_total_bytes:2000\r\nloading_rdb_used_mem:900\r\n" +
	"loading_loaded_bytes:500\r\nloading_loaded_perc:25.00\r\nloading_eta_seconds:3\r\n"

func TestStore_ServerThatLoads_TellsHowFarItIs(t *testing.T) {
	c := storeOf(t, asked(func(sections []string) (string, error) {
		if len(sections) > 0 {
			return "", nil
		}
		return "# Persistence\r\n" + loading70 + "# Server\r\nserver_name:valkey\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\n" +
			"# Replication\r\nrole:slave\r\nmaster_link_status:down\r\n", nil
	}))
	scraped(t, c).want(t, "loading", map[string]any{
		"limpet_store_loading": 1, "limpet_store_loading_start_timestamp_seconds": 1764082800.0, "limpet_store_loading_size_bytes": 2000,
		"limpet_store_loading_rdb_memory_bytes": 900, "limpet_store_loading_loaded_bytes": 500, "limpet_store_loading_progress_ratio": 0.25,
		"limpet_store_loading_eta_seconds": 3, "limpet_store_master_link_up": 0,
		`limpet_store_info{mode="",role="slave",server="valkey",version="8.1.0"}`: 1,
	})
}

// asked answers INFO.
type asked func(sections []string) (string, error)

func (a asked) Info(ctx context.Context, sections ...string) *redis.StringCmd {
	cmd := redis.NewStringCmd(ctx, "info")
	text, err := a(sections)
	cmd.SetVal(text)
	cmd.SetErr(err)
	return cmd
}

// TestStore_Ours_TellsItsSyncs: our own store has every field, too, and knows what
// Redis does not tell.
func TestStore_Ours_TellsItsSyncs(t *testing.T) {
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem(), Fsync: limpet.Always})
	must(t, err)
	srv := server.New(db, server.Options{})
	client := redis.NewClient(&redis.Options{Dialer: srv.Dial})
	t.Cleanup(func() { _, _, _ = client.Close(), srv.Close(), db.Close() })
	c := storeOf(t, client)
	must(t, client.Set(ctx, "k", "v", 0).Err())
	s := scraped(t, c)
	wantAll(t, "always", s, client.Info(ctx, "persistence").Val())
	s.want(t, "always", map[string]any{
		"limpet_store_up": 1, "limpet_store_unsynced_seconds": 0, "limpet_store_unsynced_changes": 0,
		`limpet_store_appendfsync_info{appendfsync="always"}`: 1, `limpet_store_keys{db="0"}`: 1,
	})
	if age := float64(time.Now().UnixMilli())/1000 - s["limpet_store_last_sync_timestamp_seconds"]; age < 0 || age > 60 {
		t.Errorf("the last sync was %g s ago", age)
	}
	must(t, client.ConfigSet(ctx, "appendfsync", "no").Err())
	scraped(t, c).want(t, "no", map[string]any{
		"limpet_store_unsynced_seconds": "absent", "limpet_store_unsynced_changes": "absent", `limpet_store_appendfsync_info{appendfsync="no"}`: 1,
	})
	must(t, client.ConfigSet(ctx, "appendonly", "no").Err())
	scraped(t, c).want(t, "off", map[string]any{
		"limpet_store_aof_enabled": 0, "limpet_store_last_sync_timestamp_seconds": "absent", `limpet_store_appendfsync_info{appendfsync="no"}`: "absent",
	})
}
