package metrics

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"limpet/aof"
	"limpet/clock"
	"limpet/internal/archive"
	"limpet/internal/backup"
	"limpet/internal/hotcopy"
	"limpet/internal/target"
	"limpet/internal/testredis"
	"limpet/vfs"
)

// counted is a target that counts what is asked of it, and refuses to answer when
// told.
type counted struct {
	*target.Store
	requests atomic.Int32
	down     atomic.Bool
}

var errDown = errors.New("connection refused")

func (c *counted) List(ctx context.Context, prefix string) ([]target.Object, error) {
	c.requests.Add(1)
	if c.down.Load() {
		return nil, errDown
	}
	return c.Store.List(ctx, prefix)
}

func (c *counted) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	c.requests.Add(1)
	return c.Store.Get(ctx, key)
}

func targetInMemory(t *testing.T) *target.Store {
	t.Helper()
	s, err := target.OpenDir(vfs.NewMem(), "/t")
	must(t, err)
	return s
}

// TestArchive_OfARealServer_LagAndSilence: an archiver ships a redis-server's log;
// the lag is small while it does. Once it is gone its heartbeat stays where it was.
// Scrapes between cost the target nothing.
func TestArchive_OfARealServer_LagAndSilence(t *testing.T) {
	real := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	store := &counted{Store: targetInMemory(t)}
	now := clock.NewFake(time.Now())
	c := NewArchive(store, Options{Clock: now})
	t.Cleanup(c.Close)
	scraped(t, c).want(t, "nothing", map[string]any{"limpet_archive_up": 1, "limpet_archive_present": 0, "limpet_archive_lag_seconds": "absent"})

	archiver := archive.New(store.Store, archive.Options{Dir: real.Dir(), Interval: 10 * time.Millisecond, TTL: 300 * time.Millisecond, Holder: "me"})
	inProcess := NewArchiver(func() (archive.Progress, bool) { return archiver.Progress(), true }, Options{})
	t.Cleanup(inProcess.Close)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- archiver.Run(running) }()
	t.Cleanup(func() { stop() })
	real.Do("SET", "k", "v")
	eventually(t, "it is shipped", func() bool { return archiver.Progress().Commands >= 2 && !archiver.Progress().Until.IsZero() })
	eventually(t, "and told", func() bool {
		status, err := archive.ReadStatus(ctx, store.Store, time.Now())
		return err == nil && status.Commands >= 2 && !status.Until.IsZero()
	})
	s := scraped(t, inProcess)
	s.want(t, "in process", map[string]any{"limpet_archive_up": 1, "limpet_archive_present": 1, "limpet_archive_trouble": 0, "limpet_archive_timeline": 1, "limpet_archive_commands_total": 2})
	if s["limpet_archive_lag_seconds"] > 10 {
		t.Errorf("lag %g s", s["limpet_archive_lag_seconds"])
	}
	asked := store.requests.Load()
	now.Advance(3 * time.Minute) // what was told before is too old
	s = scraped(t, c)
	s.want(t, "beside", map[string]any{
		"limpet_archive_up": 1, "limpet_archive_present": 1, "limpet_archive_commands_total": 2, "limpet_archive_stopped": 0, "limpet_archive_trouble": 0, "limpet_archive_pending_bytes": 0,
	})
	if lag := s["limpet_archive_lag_seconds"]; lag < 170 || lag > 200 { // by the clock that was put forward
		t.Errorf("lag %g s", lag)
	}
	for range 20 {
		scraped(t, c)
	}
	if n := store.requests.Load() - asked; n != 2 {
		t.Errorf("21 scrapes were %d requests, want a listing and an object", n)
	}
	stop()
	must(t, <-ended)
	now.Advance(3 * time.Minute)
	scraped(t, c).want(t, "stopped", map[string]any{"limpet_archive_up": 1, "limpet_archive_stopped": 1})
	store.down.Store(true)
	now.Advance(3 * time.Minute)
	if s := scraped(t, c); len(s) != 1 || s["limpet_archive_up"] != 0 {
		t.Errorf("of a target that is down: %v", s)
	}
}

func TestArchiver_NotBegun_IsUpAndAbsent(t *testing.T) {
	c := NewArchiver(func() (archive.Progress, bool) { return archive.Progress{}, false }, Options{})
	t.Cleanup(c.Close)
	scraped(t, c).want(t, "not begun", map[string]any{"limpet_archive_up": 1, "limpet_archive_present": 0, "limpet_archive_lag_seconds": "absent"})
}

func TestBackups_TellTheNewestAndTheNewestDrill(t *testing.T) {
	store := targetInMemory(t)
	now := clock.NewFake(start)
	c := NewBackups(store, Options{Clock: now})
	t.Cleanup(c.Close)
	scraped(t, c).want(t, "none", map[string]any{
		"limpet_backups_up": 1, "limpet_backups": 0, "limpet_backup_last_timestamp_seconds": "absent",
		"limpet_backup_last_verified_timestamp_seconds": "absent", "limpet_backup_last_verification_ok": "absent",
	})
	mem := vfs.NewMem()
	lay(t, mem, "/d", map[string]string{
		"appendonlydir/appendonly.aof.manifest":   "file appendonly.aof.1.incr.aof seq 1 type i\n",
		"appendonlydir/appendonly.aof.1.incr.aof": string(aof.AppendCommand(nil, "SET", "a", "1")),
	})
	copied, err := hotcopy.Take(ctx, hotcopy.Options{Dir: "/d", FS: mem})
	must(t, err)
	t.Cleanup(func() { _ = copied.Close() })
	entry, err := backup.Take(ctx, store, copied, backup.TakeOptions{Clock: now})
	must(t, err)
	now.Advance(time.Hour)
	listed, err := backup.Find(ctx, store, entry.ID)
	must(t, err)
	proof, err := backup.Verify(ctx, store, listed, backup.VerifyOptions{RestoreOptions: backup.RestoreOptions{FS: mem, Clock: now}, Scratch: "/scratch"})
	must(t, err)
	if !proof.OK {
		t.Fatal(proof.Failed())
	}
	s := scraped(t, c)
	s.want(t, "one", map[string]any{
		"limpet_backups_up": 1, "limpet_backups": 1, "limpet_backup_last_timestamp_seconds": float64(entry.Time.UnixMilli()) / 1000,
		"limpet_backup_last_verified_timestamp_seconds":     float64(start.Add(time.Hour).Unix()),
		"limpet_backup_last_verification_timestamp_seconds": float64(start.Add(time.Hour).Unix()),
		"limpet_backup_last_verification_ok":                1,
		"limpet_backup_last_size_bytes":                     float64(entry.Size()), "limpet_backup_last_stored_bytes": float64(entry.Stored()),
	})
}
