package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"limpet"
	"limpet/vfs"
)

// What a program relies on that has a server inside.

func openMemory(t *testing.T) *limpet.DB {
	t.Helper()
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestDial_ContextDoneOrServerClosed_IsItsError(t *testing.T) {
	s := New(openMemory(t), Options{})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Dial(cancelled, "", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	_ = s.Close()
	if _, err := s.Dial(t.Context(), "", ""); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// In whatever order store, server and client are closed, under load, nothing stays.
func TestClose_InAnyOrderUnderLoad_NoGoroutineStays(t *testing.T) {
	for _, order := range [][3]string{
		{"client", "server", "store"}, {"server", "store", "client"}, {"store", "client", "server"},
		{"store", "server", "client"}, {"client", "store", "server"}, {"server", "client", "store"},
	} {
		before := goleak.IgnoreCurrent()
		db := openMemory(t)
		s := New(db, Options{})
		client := redis.NewClient(&redis.Options{Dialer: s.Dial, MaxRetries: -1, DialerRetries: 1})
		if err := client.Set(t.Context(), "n", 0, 0).Err(); err != nil {
			t.Fatal(err)
		}
		var load sync.WaitGroup
		for range 4 {
			load.Go(func() {
				for client.Incr(context.Background(), "n").Err() == nil {
				}
			})
		}
		for _, what := range order {
			switch what {
			case "client":
				_ = client.Close()
			case "server":
				_ = s.Close()
			case "store":
				if err := db.Close(); err != nil {
					t.Errorf("%v: %v", order, err)
				}
			}
		}
		load.Wait()
		goleak.VerifyNone(t, before)
	}
}

func TestServe_EndsWithTheContextOrShutdownOrTheListener_AndNothingStays(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(cancel context.CancelFunc, client *redis.Client, l net.Listener)
		fine bool
	}{
		"context": {func(cancel context.CancelFunc, _ *redis.Client, _ net.Listener) { cancel() }, true},
		"SHUTDOWN": {func(_ context.CancelFunc, client *redis.Client, _ net.Listener) {
			client.Shutdown(context.Background())
		}, true},
		"listener": {func(_ context.CancelFunc, _ *redis.Client, l net.Listener) { _ = l.Close() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			db := openMemory(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			served := make(chan error, 1)
			go func() { served <- Serve(ctx, db, l) }()
			client := redis.NewClient(&redis.Options{Addr: l.Addr().String(), MaxRetries: -1})
			if err := client.Set(t.Context(), "a", "1", 0).Err(); err != nil {
				t.Fatal(err)
			}
			c.end(cancel, client, l)
			select {
			case err = <-served:
			case <-time.After(patience):
				t.Fatal("it does not end")
			}
			if c.fine != (err == nil) {
				t.Errorf("Serve: %v", err)
			}
			if v, err := db.Do(t.Context(), "GET", "a"); err != nil || v.Text() != "1" {
				t.Errorf("the store is not the caller's any more: %v, %v", v, err)
			}
			_ = client.Close()
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			goleak.VerifyNone(t, before)
		})
	}
}
