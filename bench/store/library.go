package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"limpet"
)

// library measures DB.Do beside redis-server behind its socket: what a Go program
// gets that has its store inside instead of next to it.
func (b *bench) library() error {
	title(fmt.Sprintf("### `DB.Do` by %d goroutines, beside redis-server unpipelined", connections),
		"command, policy", "redis, 1/s", "DB.Do, 1/s", "ratio (rounds)")
	for _, policy := range []string{"everysec", "always"} {
		for _, command := range []string{"SET", "GET"} {
			var rates pair
			for range b.rounds {
				if err := b.doOnce(command, policy, &rates); err != nil {
					return err
				}
			}
			row(command+", "+policy, rates, "%.0f")
		}
	}
	return nil
}

func (b *bench) doOnce(command, policy string, rates *pair) error {
	p, err := b.start("redis", filepath.Join(b.dir, "do-redis-"+policy), policy)
	if err != nil {
		return err
	}
	args := []string{command, "key:__rand_int__", "value-__rand_int__"}
	if command == "GET" {
		args = args[:2]
	}
	f, err := b.load(p, args, 1)
	p.stop()
	if err != nil {
		return err
	}
	rates.add(p.name, f.rate)

	fsync, err := limpet.ParsePolicy(policy)
	if err != nil {
		return err
	}
	db, err := limpet.Open(filepath.Join(b.dir, "do-limpet-"+policy), &limpet.Options{Fsync: fsync})
	if err != nil {
		return err
	}
	rate, err := doAll(b.ctx, db, command, 4*b.requests)
	rates.add("limpet", rate)
	return firstError(err, db.Close())
}

// doAll runs requests from as many goroutines as redis-benchmark has connections.
func doAll(ctx context.Context, db *limpet.DB, command string, requests int) (rate float64, err error) {
	var wg sync.WaitGroup
	errs := make(chan error, connections)
	began := time.Now()
	for g := range connections {
		wg.Go(func() {
			for i := range requests / connections {
				n := uint32(g*7919+i) * 2654435761 % randomKeys // Knuth's multiplicative hash
				args := []any{command, fmt.Sprintf("key:%012d", n), fmt.Sprintf("value-%012d", i)}
				if command == "GET" {
					args = args[:2]
				}
				if _, err := db.Do(ctx, args...); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(requests) / time.Since(began).Seconds(), nil
	}
}
