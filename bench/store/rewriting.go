package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// rewritten is what one rewrite under write load cost.
type rewritten struct {
	seconds float64
	pause   float64 // longest answer to a PING meanwhile, ms
	before  float64 // the same for as long without a rewrite, ms
	memory  float64 // most memory taken beyond what was resident, per cent of that
}

// rewriting measures BGREWRITEAOF while 50 connections overwrite random keys as
// fast as they can.
func (b *bench) rewriting() error {
	title(fmt.Sprintf("### Rewrite of %d small strings while %d connections overwrite them", b.keys, connections),
		"figure", "redis", "limpet", "ratio (rounds)")
	results := map[string][]rewritten{}
	for _, name := range names {
		p, err := b.start(name, filepath.Join(b.dir, "rewrite-"+name), "everysec")
		if err != nil {
			return err
		}
		defer p.stop()
		if err := p.fill(smallStrings, b.keys); err != nil {
			return err
		}
		for range b.rounds {
			r, err := b.rewriteOnce(p)
			if err != nil {
				return err
			}
			results[name] = append(results[name], r)
		}
	}
	pick := func(f func(rewritten) float64) (p pair) {
		for name, rounds := range results {
			for _, r := range rounds {
				p.add(name, f(r))
			}
		}
		return p
	}
	row("time, s", pick(func(r rewritten) float64 { return r.seconds }), "%.2f")
	row("longest pause, ms", pick(func(r rewritten) float64 { return r.pause }), "%.1f")
	row("longest pause without a rewrite, ms", pick(func(r rewritten) float64 { return r.before }), "%.1f")
	row("extra memory, %", pick(func(r rewritten) float64 { return r.memory }), "%.1f")
	return nil
}

// calm is how long the load runs before the rewrite, for comparison.
const calm = 3 * time.Second

func (b *bench) rewriteOnce(p *process) (r rewritten, err error) {
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	writers := exec.CommandContext(ctx, "redis-benchmark", "-p", strconv.Itoa(p.port), "-c", strconv.Itoa(connections),
		"-n", "2000000000", "-r", strconv.Itoa(b.keys), "-q", "SET", "key:__rand_int__", "value-__rand_int__")
	if err := writers.Start(); err != nil {
		return r, err
	}
	defer func() { stop(); _ = writers.Wait() }()
	time.Sleep(time.Second) // until all are connected

	worst := make(chan float64)
	probing, halt := context.WithTimeout(ctx, calm)
	go func() { worst <- p.probe(probing) }()
	r.before = <-worst
	halt()

	resident := p.status("VmRSS")
	p.forgetPeak()
	probing, halt = context.WithCancel(ctx)
	defer halt()
	go func() { worst <- p.probe(probing) }()
	took, err := p.rewrite(b)
	halt()
	r.pause, r.seconds = <-worst, took.Seconds()
	if err != nil {
		return r, err
	}
	extra := max(0, p.status("VmHWM")-resident)
	if p.name == "redis" { // its child's copies are not in its own memory
		cow, err := p.info("aof_last_cow_size")
		if err != nil {
			return r, err
		}
		extra += float64(cow)
	}
	r.memory = 100 * extra / resident
	return r, nil
}
