package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/hotcopy"
)

// Redis is an installed server.
type Redis struct {
	program, version string
	// Sockets is a directory with a short name, since the path of a socket is 107
	// bytes at most.
	Sockets string
}

// Find finds the server that is installed, nil when there is none.
func Find(ctx context.Context) *Redis {
	for _, name := range []string{"redis-server", "valkey-server"} {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, program, "--version").Output()
		if found := regexp.MustCompile(`\bv=(\d+\.\d+\.\d+)`).FindSubmatch(out); err == nil && found != nil {
			return &Redis{program: program, version: string(found[1])}
		}
	}
	return nil
}

// Name is like "redis-server 7.0.15".
func (r *Redis) Name() string { return filepath.Base(r.program) + " " + r.version }

// Reads is the highest version of RDB that it loads.
func (r *Redis) Reads() int {
	major, rest, _ := strings.Cut(r.version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	switch {
	case strings.HasPrefix(filepath.Base(r.program), "valkey"):
		return 11
	case a >= 8 || a == 7 && b >= 4:
		return 12
	case a == 7 && b >= 2:
		return 11
	case a == 7:
		return 10
	}
	return 9
}

// Load starts the server on a directory, has it save, and ends it.
func (r *Redis) Load(ctx context.Context, dir string, l hotcopy.Layout) (dump string, err error) {
	socket := filepath.Join(r.Sockets, "drill.sock")
	args := []string{
		"--port", "0", "--unixsocket", socket, "--unixsocketperm", "700",
		"--dir", dir, "--dbfilename", l.DBFileName, "--save", "",
		"--replicaof", "127.0.0.1 1", "--databases", "1024",
		"--aof-load-truncated", "no", "--auto-aof-rewrite-percentage", "0",
		"--daemonize", "no", "--logfile", "", "--loglevel", "notice",
		"--appenddirname", l.AppendDirName, "--appendfilename", l.AppendFileName,
	}
	if l.Kind == hotcopy.AOF {
		args = append(args, "--appendonly", "yes")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.program, args...) // kills it when ctx ends
	cmd.SysProcAttr = dieWithParent()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return "", err
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	defer func() { cancel(); <-exited }()
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, DisableIdentity: true, MaxRetries: -1, ReadTimeout: -1})
	defer func() { _ = client.Close() }()
	if err := await(ctx, socket, client, exited); err != nil {
		cancel()
		<-exited
		return "", fmt.Errorf("it does not load the directory: %w%s", err, said(log.String()))
	}
	if err := client.Do(ctx, "SAVE").Err(); err != nil {
		return "", fmt.Errorf("SAVE: %w", err)
	}
	return filepath.Join(dir, l.DBFileName), nil
}

// await returns when the server has loaded its files.
func await(ctx context.Context, socket string, c *redis.Client, exited <-chan struct{}) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		// The client would complain aloud of a socket that is not there yet.
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			if c.Ping(ctx).Err() == nil {
				return nil
			}
		}
		select {
		case <-exited:
			return errors.New("it ended at start")
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// said is the last lines of a log, without the stamps before them, nor the figures
// in which a server that has found a damaged RDB ends.
func said(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "[info]") })
	lines = lines[max(0, len(lines)-4):]
	for i, line := range lines {
		if _, text, ok := strings.Cut(line, " # "); ok {
			line = text
		} else if _, text, ok := strings.Cut(line, " * "); ok {
			line = text
		}
		lines[i] = line
	}
	return ": " + strings.Join(lines, "; ")
}
