package trackingtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"limpet/internal/tracking"
)

func submitSameKey(t *testing.T, b *bench) {
	request := tracking.SubmitRequest{Seed: seed, URLs: refs(0, 0), IdempotencyKey: "order 66"}
	first := must[tracking.Submission](b)(b.Submit(b.ctx, request))
	if !first.Created || first.Added != 1 || first.Repeated || first.Generation != 1 {
		t.Fatalf("first: %+v", first)
	}
	before := b.snapshot()
	request.URLs = refs(0, 0, 1)
	for range 2 {
		again := must[tracking.Submission](b)(b.Submit(b.ctx, request))
		if !again.Created || !again.Repeated || again.Generation != 1 || again.Added != 0 {
			t.Fatalf("again: %+v", again)
		}
	}
	if after := b.snapshot(); after != before {
		t.Fatalf("a repeated submit has written:\n%s\n%s", before, after)
	}
	b.drain()
	request.Recrawl = true
	if again := must[tracking.Submission](b)(b.Submit(b.ctx, request)); !again.Repeated || again.Generation != 1 || again.Status != tracking.Completed {
		t.Fatalf("again, when it is completed: %+v, want no new generation", again)
	}
	request.IdempotencyKey = "order 67"
	if other := must[tracking.Submission](b)(b.Submit(b.ctx, request)); !other.Created || other.Generation != 2 {
		t.Fatalf("another key: %+v", other)
	}
}

func submitKeysAreBounded(t *testing.T, b *bench) {
	submit := func(key string) tracking.Submission {
		return must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{Seed: seed, URLs: refs(0, 0), IdempotencyKey: key}))
	}
	for i := range 101 {
		if s := submit(fmt.Sprint("key ", i)); s.Repeated {
			t.Fatalf("key %d: %+v", i, s)
		}
	}
	if s := submit("key 1"); !s.Repeated {
		t.Fatal("the hundredth last key is forgotten")
	}
	if s := submit("key 0"); s.Repeated {
		t.Fatal("the hundred and first last key is remembered")
	}
	keys := b.client.HGet(b.ctx, b.Key(seed, "m"), "keys").Val()
	if n := strings.Count(keys, ";"); n != 100 {
		t.Fatalf("%d keys are kept, want 100", n)
	}
}

func submitJoins(t *testing.T, b *bench) {
	b.submit(0)
	s := must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{Seed: seed, URLs: refs(0, 0, 1), MaxPages: 1, Recrawl: true}))
	if !s.Joined || s.Created || s.Added != 1 || s.Generation != 1 || s.Status != tracking.Running {
		t.Fatalf("joining a running seed: %+v", s)
	}
	must[tracking.Status](b)(b.Pause(b.ctx, seed))
	if s := b.submit(0); !s.Joined || s.Status != tracking.Paused {
		t.Fatalf("joining a paused seed: %+v", s)
	}
	b.wantProgress(tracking.Paused, 2, 0, 0, 0, 2, 0, 0)
	config, err := b.Config(b.ctx, seed)
	if err != nil || config.MaxPages != 0 || config.MaxAttempts != 3 {
		t.Fatalf("config %+v, %v: want the first submit's", config, err)
	}
}

func submitFinished(t *testing.T, b *bench) {
	b.submit(0)
	b.drain()
	before := b.snapshot()
	if s := b.submit(0, 1); s.Created || s.Joined || s.Added != 0 || s.Status != tracking.Completed {
		t.Fatalf("submitting a completed seed: %+v", s)
	}
	if after := b.snapshot(); after != before {
		t.Fatalf("it has written:\n%s\n%s", before, after)
	}
}

// submitLostReply: without a key of its own, a call whose reply is lost would
// start one generation, and its repetition, were the first done quickly, another.
func submitLostReply(t *testing.T, b *bench) {
	s := b.losing(1).submit(0)
	if !s.Created || !s.Repeated || s.Generation != 1 {
		t.Fatalf("submit: %+v, want the first sending's answer", s)
	}
	b.drain()
	request := tracking.SubmitRequest{Seed: seed, URLs: refs(0, 0), Recrawl: true}
	s = must[tracking.Submission](b)(b.losing(1).Submit(b.ctx, request))
	if !s.Created || s.Generation != 2 {
		t.Fatalf("recrawl: %+v, want generation 2", s)
	}
	b.wantProgress(tracking.Running, 1, 0, 0, 0, 1, 0, 0)
}

func submitBadRequest(t *testing.T, b *bench) {
	for name, q := range map[string]tracking.SubmitRequest{
		"no seed":         {URLs: refs(0, 0)},
		"no URL":          {Seed: seed},
		"empty URL":       {Seed: seed, URLs: []tracking.PageRef{{}}},
		"too many URLs":   {Seed: seed, URLs: refs(0, span(0, 257)...)},
		"negative limits": {Seed: seed, URLs: refs(0, 0), MaxPages: -1},
	} {
		if s, err := b.Submit(b.ctx, q); err == nil {
			t.Errorf("%s: %+v, want an error", name, s)
		}
	}
	if keys := b.client.Keys(b.ctx, "*").Val(); len(keys) != 0 {
		t.Fatalf("keys %v were written", keys)
	}
}

func submitAllRefused(t *testing.T, b *bench) {
	s := must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{Seed: seed, URLs: refs(3, 0), MaxDepth: 2}))
	if !s.Created || s.Added != 0 || s.Status != tracking.Completed {
		t.Fatalf("submit: %+v", s)
	}
	b.wantProgress(tracking.Completed, 0, 0, 0, 0, 0, 0, 0)
}

func unknownSeed(t *testing.T, b *bench) {
	l := tracking.Lease{Seed: seed, PageID: "x", Token: "1.x"}
	for name, call := range map[string]func() error{
		"claim":    func() error { _, _, err := b.Claim(b.ctx, seed, 1, 1e9); return err },
		"progress": func() error { _, err := b.Progress(b.ctx, seed); return err },
		"config":   func() error { _, err := b.Config(b.ctx, seed); return err },
		"pause":    func() error { _, err := b.Pause(b.ctx, seed); return err },
		"resume":   func() error { _, err := b.Resume(b.ctx, seed); return err },
		"cancel":   func() error { _, err := b.Cancel(b.ctx, seed); return err },
		"reap":     func() error { _, err := b.Reap(b.ctx, seed, 1); return err },
		"retry":    func() error { _, err := b.RetryFailed(b.ctx, seed); return err },
		"retry x":  func() error { _, err := b.RetryFailed(b.ctx, seed, "x"); return err },
		"audit":    func() error { _, err := b.Audit(b.ctx, seed, true); return err },
	} {
		if err := call(); !errors.Is(err, tracking.ErrUnknownSeed) {
			t.Errorf("%s: %v, want ErrUnknownSeed", name, err)
		}
	}
	if r := b.complete(l); r.Outcome != tracking.Stale {
		t.Errorf("complete: %s, want stale", r.Outcome)
	}
	if keys := b.client.Keys(b.ctx, "*").Val(); len(keys) != 0 {
		t.Fatalf("keys %v were written", keys)
	}
}
