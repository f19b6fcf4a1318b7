package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bench is what all measurements share.
type bench struct {
	ctx      context.Context
	dir      string // of data and binaries, on the disk to be measured
	binary   string // limpet
	keys     int
	rounds   int
	requests int // of one unpipelined run of redis-benchmark
	began    time.Time
}

// parts are the measurements by the names that -only takes.
var parts = []struct {
	name string
	run  func(*bench) error
}{
	{"commands", (*bench).commands},
	{"do", (*bench).library},
	{"load", (*bench).loading},
	{"memory", (*bench).memory},
	{"rewrite", (*bench).rewriting},
}

func main() {
	b := &bench{began: time.Now()}
	flag.IntVar(&b.keys, "keys", fromEnv("BENCH_KEYS", 5_000_000), "small strings; a fifth as many small hashes ($BENCH_KEYS)")
	flag.IntVar(&b.rounds, "rounds", fromEnv("BENCH_ROUNDS", 5), "rounds of each server ($BENCH_ROUNDS)")
	flag.IntVar(&b.requests, "requests", fromEnv("BENCH_REQUESTS", 50_000), "requests of an unpipelined run; a pipelined one has eight times as many ($BENCH_REQUESTS)")
	flag.StringVar(&b.dir, "dir", os.TempDir(), "where to make a directory for the data")
	flag.StringVar(&b.binary, "limpet", "", "the binary to measure; empty builds it")
	limit := flag.Duration("limit", 40*time.Minute, "give up after")
	only := flag.String("only", "", "run these parts only: commands,do,load,memory,rewrite")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, *limit)
	b.ctx = ctx
	err := b.run(*only)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-store:", err)
		os.Exit(1)
	}
}

func fromEnv(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return fallback
}

func (b *bench) run(only string) error {
	dir, err := os.MkdirTemp(b.dir, "limpet-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b.dir = dir
	if b.binary == "" {
		b.binary = filepath.Join(dir, "limpet")
		build := exec.CommandContext(b.ctx, "go", "build", "-o", b.binary, "./cmd/limpet")
		build.Dir = "../.."
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build limpet: %w", err)
		}
	}
	b.machine()
	for _, p := range parts {
		if only != "" && !slices.Contains(strings.Split(only, ","), p.name) {
			continue
		}
		if err := p.run(b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	fmt.Printf("\nThe whole run took %s.\n", time.Since(b.began).Round(time.Second))
	return nil
}

// machine says what it is measured on.
func (b *bench) machine() {
	redis, _ := exec.CommandContext(b.ctx, "redis-server", "--version").Output()
	version := "?"
	for _, word := range strings.Fields(string(redis)) {
		if v, ok := strings.CutPrefix(word, "v="); ok {
			version = v
		}
	}
	fmt.Printf("%s, %d processors (%s), Linux %s, %s, redis-server %s, %d rounds, load average before: %s\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), processor(), kernel(), runtime.Version(), version, b.rounds, loadAverage())
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return "?"
	}
	return strings.Join(fields[:3], " ")
}
