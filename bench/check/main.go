package main

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	gigabytes := flag.Float64("size", 2, "of the log, in GB")
	rounds := flag.Int("rounds", 3, "of limpet check; redis-check-aof runs once, since it takes so long")
	dir := flag.String("dir", os.TempDir(), "where to make a directory for the log")
	binary := flag.String("limpet", "", "the binary to measure; empty builds it")
	flag.Parse()
	if err := run(int64(*gigabytes*1e9), *rounds, *dir, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "bench-check:", err)
		os.Exit(1)
	}
}

func run(size int64, rounds int, dir, binary string) error {
	dir, err := os.MkdirTemp(dir, "bench-check-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binary == "" {
		binary = filepath.Join(dir, "limpet")
		if out, err := exec.Command("go", "build", "-C", "../..", "-o", binary, "./cmd/limpet").CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	log := filepath.Join(dir, "log.aof")
	if err := write(log, size); err != nil {
		return err
	}
	var ours []time.Duration
	var oursMemory int64
	for range rounds {
		took, memory, err := measure(binary, "check", log)
		if err != nil {
			return err
		}
		ours, oursMemory = append(ours, took), max(oursMemory, memory)
	}
	theirs, theirsMemory, err := measure("redis-check-aof", log)
	if err != nil {
		return err
	}
	slices.Sort(ours)
	median := ours[len(ours)/2]
	rate := func(took time.Duration) float64 { return float64(size) / 1e6 / took.Seconds() }
	fmt.Printf("a log of %.1f GB\n", float64(size)/1e9)
	fmt.Printf("redis-check-aof   %8.2f s %8.0f MB/s   %4d MB of memory\n", theirs.Seconds(), rate(theirs), theirsMemory>>20)
	fmt.Printf("limpet check      %8.2f s %8.0f MB/s   %4d MB of memory (%v to %v)\n", median.Seconds(), rate(median), oursMemory>>20, ours[0].Round(time.Millisecond), ours[len(ours)-1].Round(time.Millisecond))
	fmt.Printf("ratio             %8.1f\n", theirs.Seconds()/median.Seconds())
	return nil
}

// write makes a log as a crawl and its tracking leave it: short commands, a
// transaction now and then, some longer values.
func write(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	rng := rand.New(rand.NewPCG(1, 1))
	var written int64
	command := func(words ...string) {
		var b strings.Builder
		b.WriteString("*" + strconv.Itoa(len(words)) + "\r\n")
		for _, word := range words {
			b.WriteString("$" + strconv.Itoa(len(word)) + "\r\n" + word + "\r\n")
		}
		n, _ := w.WriteString(b.String())
		written += int64(n)
	}
	long := strings.Repeat("0123456789abcdef", 256)
	for i := 0; written < size; i++ {
		key := "key:" + strconv.Itoa(rng.IntN(5_000_000))
		switch i % 10 {
		case 0:
			command("SET", key, long[:rng.IntN(len(long))])
		case 1, 2:
			command("MULTI")
			command("HSET", key, "state", "crawled")
			command("INCR", "crawled")
			command("EXEC")
		default:
			command("SET", key, strconv.Itoa(i))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// measure runs a program, which must succeed.
func measure(program string, args ...string) (took time.Duration, memory int64, err error) {
	cmd := exec.Command(program, args...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took = time.Since(began)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	const kilobyte = 1024 // Linux counts Maxrss in these
	return took, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * kilobyte, nil
}
