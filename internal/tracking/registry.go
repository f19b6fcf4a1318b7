package tracking

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/weburl"
)

// RegistryRepair counts what RepairRegistry mended.
type RegistryRepair struct {
	Registered  int // seeds that had keys but no entry
	Activated   int // seeds with work that were not listed as active
	Deactivated int // listed seeds without
}

// register notes the seed for ever, before its first key is written.
func (t *Tracker) register(ctx context.Context, seed weburl.Seed) error {
	err := t.repeat(ctx, func(int) error {
		return t.client.ZAddNX(ctx, keyRegistry, redis.Z{Score: float64(time.Now().Unix()), Member: string(seed)}).Err()
	})
	if err != nil {
		return explain("register", string(seed), err)
	}
	return nil
}

// pulses remembers when each seed's activity was noted, so that a claim does not
// cost a second write each time.
type pulses struct {
	mu sync.Mutex
	at map[weburl.Seed]time.Time
}

const pulseEvery = 5 * time.Second

// due reports whether the seed's activity is worth noting at now, and takes it
// as noted.
func (p *pulses) due(seed weburl.Seed, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.at[seed]) < pulseEvery {
		return false
	}
	if p.at == nil {
		p.at = make(map[weburl.Seed]time.Time)
	}
	p.at[seed] = now
	return true
}

func (p *pulses) forget(seed weburl.Seed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.at, seed)
}

// The active seeds are a hint in a slot of their own: noted beside the scripts,
// not by them, and errors are left to RepairRegistry.

func (t *Tracker) noteActive(ctx context.Context, seed weburl.Seed, now time.Time) {
	if t.active.due(seed, now) {
		_ = t.client.ZAdd(ctx, keyActive, redis.Z{Score: float64(now.Unix()), Member: string(seed)}).Err()
	}
}

func (t *Tracker) noteSubmitted(ctx context.Context, seed weburl.Seed) {
	t.active.forget(seed)
	t.noteActive(ctx, seed, time.Now())
}

func (t *Tracker) noteIdle(ctx context.Context, seed weburl.Seed) {
	t.active.forget(seed)
	t.runs.forget(seed)
	_ = t.client.ZRem(ctx, keyActive, string(seed)).Err()
}

// RepairRegistry looks through all keys for seeds that the registry does not
// know, and brings the list of active seeds up to date. It walks the whole
// keyspace with SCAN: for start-up and for operators, not for every minute; see
// [Tracker.RepairActive].
func (t *Tracker) RepairRegistry(ctx context.Context) (RegistryRepair, error) {
	var fixed RegistryRepair
	var mu sync.Mutex
	walk := func(ctx context.Context, node *redis.Client) error {
		return t.eachSeedKey(ctx, node, func(seed weburl.Seed) error {
			n, err := t.client.ZAddNX(ctx, keyRegistry, redis.Z{Score: float64(time.Now().Unix()), Member: string(seed)}).Result()
			mu.Lock()
			fixed.Registered += int(n)
			mu.Unlock()
			return err
		})
	}
	var err error
	switch c := t.client.(type) {
	case *redis.ClusterClient:
		err = c.ForEachMaster(ctx, walk)
	case *redis.Client:
		err = walk(ctx, c)
	default:
		err = fmt.Errorf("cannot list the keys of a %T", c)
	}
	if err != nil {
		return fixed, explain("repair", "registry", err)
	}
	active, err := t.RepairActive(ctx)
	fixed.Activated, fixed.Deactivated = active.Activated, active.Deactivated
	return fixed, err
}

func (t *Tracker) eachSeedKey(ctx context.Context, node *redis.Client, do func(weburl.Seed) error) error {
	const suffix = ":u" // every submitted seed has pages
	var cursor uint64
	for {
		keys, next, err := node.Scan(ctx, cursor, seedPrefix+"*"+suffix, 1000).Result()
		if err != nil {
			return err
		}
		for _, key := range keys {
			name := strings.TrimSuffix(strings.TrimPrefix(key, seedPrefix), suffix)
			seed, err := weburl.ParseSeed(strings.Trim(name, "{}"))
			if err != nil || t.Key(seed, "u") != key {
				continue // not ours, or written under the other naming
			}
			if err := do(seed); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// active reports whether workers have to look after a seed: to claim, or to take
// pages back whose leases lapse.
func (p Progress) active() bool {
	return p.Status == Running || p.InFlight > 0 || p.Status == Cancelled && p.Pending > 0
}

// RepairActive brings the list of active seeds up to date from the registry.
func (t *Tracker) RepairActive(ctx context.Context) (RegistryRepair, error) {
	var fixed RegistryRepair
	listed, err := t.Active(ctx)
	if err != nil {
		return fixed, err
	}
	stray := make(map[weburl.Seed]bool, len(listed))
	for _, seed := range listed {
		stray[seed] = true
	}
	for cursor := int64(0); ; {
		seeds, next, err := t.Seeds(ctx, SeedFilter{Cursor: cursor})
		if err != nil {
			return fixed, err
		}
		for _, p := range seeds {
			if !p.active() {
				continue
			}
			if !stray[p.Seed] {
				fixed.Activated++
				t.noteSubmitted(ctx, p.Seed)
			}
			delete(stray, p.Seed)
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	for seed := range stray {
		// Not registered, or without work when it was read. A seed that was started
		// since then keeps its entry: it is looked at once more.
		if p, err := t.Progress(ctx, seed); err == nil && p.active() {
			continue
		}
		t.noteIdle(ctx, seed)
		fixed.Deactivated++
	}
	return fixed, nil
}
