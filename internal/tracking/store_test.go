package tracking_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"limpet/internal/testredis"
	"limpet/internal/tracking"
)

func TestCheckStore_NamesWhatBreaksThePromise(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	tracker := tracking.New(server.Client(), tracking.Options{})
	check := func(fatal bool, want ...string) {
		t.Helper()
		findings, err := tracker.CheckStore(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var codes []string
		for _, f := range findings {
			codes = append(codes, f.Code)
		}
		if !slices.Equal(codes, want) {
			t.Fatalf("findings %v, want %v", findings, want)
		}
		var unfit *tracking.UnfitError
		if got := errors.As(tracking.Refusal(findings), &unfit); got != fatal {
			t.Fatalf("refusal %v, want one: %v", tracking.Refusal(findings), fatal)
		}
	}
	check(true, "appendonly-off")
	server.Do("config", "set", "appendonly", "yes")
	check(false)
	server.Do("config", "set", "appendfsync", "no")
	check(false, "appendfsync-no")
	server.Do("config", "set", "appendfsync", "everysec")
	server.Do("config", "set", "maxmemory-policy", "allkeys-lru")
	check(false, "eviction")
	server.Do("config", "set", "maxmemory", "100mb")
	check(true, "eviction")
	server.Do("config", "set", "maxmemory", "0", "maxmemory-policy", "noeviction")
	server.Do("replicaof", "127.0.0.1", "1")
	check(true, "replica")
}

func TestStoreThatRefusesWrites_TypedErrorAndNothingChanged(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	client := server.Client()
	tracker := tracking.New(client, tracking.Options{})
	submit(t, tracker, 3)
	leases, _, err := tracker.Claim(t.Context(), seed, 1, 1e12)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(how string, set, unset []any) {
		t.Helper()
		server.Do(set...)
		defer server.Do(unset...)
		_, err := tracker.Complete(t.Context(), leases[0], tracking.Completion{Children: pages(1, 10, 20)})
		if !errors.Is(err, tracking.ErrStoreRefuses) {
			t.Fatalf("%s: %v, want ErrStoreRefuses", how, err)
		}
		if _, err := tracker.Submit(t.Context(), tracking.SubmitRequest{Seed: "other.test", URLs: pages(0, 0, 1)}); !errors.Is(err, tracking.ErrStoreRefuses) {
			t.Fatalf("%s: submit: %v, want ErrStoreRefuses", how, err)
		}
		p, err := tracker.Progress(t.Context(), seed)
		if err != nil || p.Total != 3 || p.InFlight != 1 {
			t.Fatalf("%s: progress %+v, %v", how, p, err)
		}
	}
	refuse("memory is short", []any{"config", "set", "maxmemory", "1"}, []any{"config", "set", "maxmemory", "0"})
	refuse("too few replicas", []any{"config", "set", "min-replicas-to-write", "1"}, []any{"config", "set", "min-replicas-to-write", "0"})
	if r, err := tracker.Complete(t.Context(), leases[0], tracking.Completion{}); err != nil || r.Outcome != tracking.Done {
		t.Fatalf("afterwards: %+v, %v", r, err)
	}
}

// waitAOF answers WAITAOF, which this server does not have, in its place.
type waitAOF struct {
	asked int
	local int64
}

func (*waitAOF) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*waitAOF) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (w *waitAOF) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if last, ok := cmds[len(cmds)-1].(*redis.Cmd); ok && last.Name() == "waitaof" {
			w.asked++
			last.SetVal([]any{w.local, int64(0)})
			return next(ctx, cmds[:len(cmds)-1])
		}
		return next(ctx, cmds)
	}
}

func TestSubmit_StoreWithWaitAOF_SaysWhetherItIsOnDisk(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	client := server.Client()
	tracker := tracking.New(client, tracking.Options{})
	ask := func(name string) bool {
		t.Helper()
		s, err := tracker.Submit(t.Context(), tracking.SubmitRequest{Seed: seed, URLs: pages(0, 0, 1), IdempotencyKey: name})
		if err != nil {
			t.Fatal(err)
		}
		return s.Synced
	}
	if ask("without") {
		t.Error("Redis 7.0 has no WAITAOF and cannot confirm")
	}
	hook := &waitAOF{local: 1}
	client.AddHook(hook)
	if ask("asked no more"); hook.asked != 0 {
		t.Error("a store that does not know WAITAOF was asked again")
	}
	tracker = tracking.New(client, tracking.Options{})
	if !ask("on disk") {
		t.Error("confirmed by the store, and not said so")
	}
	hook.local = 0
	if ask("not on disk in time") {
		t.Error("not confirmed by the store, and said to be")
	}
}

func TestLostConnection_IsReportedOnceTheTriesAreSpent(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), DialerRetries: 1})
	defer func() { _ = client.Close() }()
	tracker := tracking.New(client, tracking.Options{Tries: 2})
	server.Kill()
	if _, err := tracker.Progress(t.Context(), seed); err == nil || errors.Is(err, tracking.ErrStoreRefuses) {
		t.Fatalf("%v, want the connection's error", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the program ends"))
	if _, err := tracker.Progress(ctx, seed); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want the context's error", err)
	}
}
