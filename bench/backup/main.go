package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	rounds     = 5
	valueBytes = 1000
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// server is the redis-server that is backed up.
type server struct{ dir, port string }

func run() error {
	mb := 256
	if text := os.Getenv("BACKUP_MB"); text != "" {
		if n, err := strconv.Atoi(text); err == nil {
			mb = n
		}
	}
	dir, err := os.MkdirTemp("", "limpet-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	limpet := filepath.Join(dir, "limpet")
	build := exec.Command("go", "build", "-o", limpet, "./cmd/limpet")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	s, stop, err := start(dir)
	if err != nil {
		return err
	}
	defer stop()
	if err := s.fill(mb); err != nil {
		return err
	}
	fmt.Printf("redis-server with %d MB in its base, appendfsync everysec; redis-benchmark SET, 50 clients, pipeline 1 and 16; %d rounds in turn\n\n", mb, rounds)
	fmt.Println("| | requests/s alone | while backups run | ratio | of the rounds | a backup takes |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, row := range []struct {
		name     string
		pipeline int
		flags    []string
	}{
		{"gently, pipeline 1", 1, []string{"--digest", "no"}},
		{"gently, pipeline 16", 16, []string{"--digest", "no"}},
		{"gently with digest, pipeline 1", 1, []string{"--digest", "yes"}},
		{"--gently=false, pipeline 1", 1, []string{"--digest", "no", "--gently=false"}},
	} {
		if err := s.compare(row.name, row.pipeline, limpet, row.flags); err != nil {
			return err
		}
	}
	return nil
}

func start(dir string) (*server, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	s := &server{dir: filepath.Join(dir, "data"), port: port}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return nil, nil, err
	}
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "yes",
		"--auto-aof-rewrite-percentage", "0", "--enable-debug-command", "yes", "--logfile", filepath.Join(dir, "log"))
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() }
	for range 500 {
		if out, _ := s.cli("PING"); strings.TrimSpace(out) == "PONG" {
			return s, stop, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return nil, nil, fmt.Errorf("redis-server does not answer")
}

func (s *server) cli(args ...string) (string, error) {
	out, err := exec.Command("redis-cli", append([]string{"-p", s.port}, args...)...).CombinedOutput()
	return string(out), err
}

// fill puts the data into the base.
func (s *server) fill(mb int) error {
	if out, err := s.cli("DEBUG", "POPULATE", strconv.Itoa(mb<<20/valueBytes), "key", strconv.Itoa(valueBytes)); err != nil {
		return fmt.Errorf("populate: %s", out)
	}
	return s.rewrite()
}

// rewrite keeps the incr short, so that every round finds the same.
func (s *server) rewrite() error {
	if out, err := s.cli("BGREWRITEAOF"); err != nil {
		return fmt.Errorf("rewrite: %s", out)
	}
	for {
		time.Sleep(50 * time.Millisecond)
		if out, _ := s.cli("INFO", "persistence"); strings.Contains(out, "aof_rewrite_in_progress:0") && strings.Contains(out, "aof_rewrite_scheduled:0") {
			return nil
		}
	}
}

var perSecond = regexp.MustCompile(`([0-9.]+) requests per second`)

// benchmark gives the requests that were answered in a second.
func (s *server) benchmark(pipeline int) (float64, error) {
	requests := 300_000 * min(pipeline, 8)
	out, err := exec.Command("redis-benchmark", "-p", s.port, "-t", "set", "-n", strconv.Itoa(requests), "-r", "10000", "-d", "100",
		"-P", strconv.Itoa(pipeline), "-q").CombinedOutput()
	found := perSecond.FindAllSubmatch(out, -1)
	if err != nil || len(found) == 0 {
		return 0, fmt.Errorf("redis-benchmark: %w\n%s", err, out)
	}
	return strconv.ParseFloat(string(found[len(found)-1][1]), 64)
}

func (s *server) compare(name string, pipeline int, limpet string, flags []string) error {
	var alone, during, ratios []float64
	var took []float64
	for range rounds {
		if err := s.rewrite(); err != nil {
			return err
		}
		a, err := s.benchmark(pipeline)
		if err != nil {
			return err
		}
		if err := s.rewrite(); err != nil {
			return err
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan []float64)
		go func() { done <- s.backups(ctx, limpet, flags) }()
		d, err := s.benchmark(pipeline)
		stop()
		took = append(took, <-done...)
		if err != nil {
			return err
		}
		alone, during, ratios = append(alone, a), append(during, d), append(ratios, d/a)
	}
	backup := "longer than a round"
	if len(took) > 0 {
		backup = fmt.Sprintf("%.2f s (%d made)", median(took), len(took))
	}
	fmt.Printf("| %s | %.0f | %.0f | %.3f | %.2f to %.2f | %s |\n", name, median(alone), median(during), median(during)/median(alone),
		slices.Min(ratios), slices.Max(ratios), backup)
	return nil
}

// backups makes one backup after the other until ctx ends, and gives the seconds
// that the whole ones took.
func (s *server) backups(ctx context.Context, limpet string, flags []string) (took []float64) {
	for ctx.Err() == nil {
		to, err := os.MkdirTemp(filepath.Dir(s.dir), "backups-")
		if err != nil {
			return took
		}
		began := time.Now()
		cmd := exec.CommandContext(ctx, limpet, append([]string{"backup", "--dir", s.dir, "--to", to}, flags...)...)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it leaves nothing behind
		if out, err := cmd.CombinedOutput(); err == nil {
			took = append(took, time.Since(began).Seconds())
		} else if ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "limpet backup: %v\n%s", err, out)
		}
		_ = os.RemoveAll(to)
	}
	return took
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
