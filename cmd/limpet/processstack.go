package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// processStack is limpet up on its own store, as a process of this machine.
type processStack struct {
	program      string
	data         string
	apiAt, redis string // HOST:PORT
	pages        *httptest.Server
	running      *exec.Cmd
	said         bytes.Buffer // of the process that runs, or was last; read when it has ended
	ended        chan struct{}
	withoutRoot  bool
	stopped      error
}

func newProcessStack(scratch string) (stack, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, failf(exitLocal, "%s", err)
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, failf(exitLocal, "no free port: %s", reason(err))
	}
	return &processStack{
		program: program, data: filepath.Join(scratch, "redis"), withoutRoot: os.Getuid() != 0,
		apiAt: fmt.Sprintf("127.0.0.1:%d", ports[0]), redis: fmt.Sprintf("127.0.0.1:%d", ports[1]),
		pages: httptest.NewServer(http.HandlerFunc(siteHandler().ServeHTTP)),
	}, nil
}

func (s *processStack) String() string { return "limpet up with its own store" }
func (s *processStack) dir() string    { return s.data }
func (s *processStack) store() string  { return "redis://" + s.redis }
func (s *processStack) api() string    { return "http://" + s.apiAt }
func (s *processStack) site() string   { return "site.test" }

func (s *processStack) command(ctx context.Context, program string) *exec.Cmd {
	_, port, _ := net.SplitHostPort(s.pages.Listener.Addr().String())
	c := exec.CommandContext(ctx, program, "up", "--dir", s.data, "--api-addr", s.apiAt, "--store-addr", s.redis,
		"--allow-net", "127.0.0.0/8", "--connect-to", "site.test:80:127.0.0.1:"+port, "--max-pages", "0")
	// Settings of the user's own are not what is tried here.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LIMPET_") {
			c.Env = append(c.Env, v)
		}
	}
	return c
}

func (s *processStack) up(ctx context.Context, settings ...string) error {
	if s.running == nil {
		s.said.Reset()
		c := s.command(context.WithoutCancel(ctx), s.program)
		c.Env = append(c.Env, settings...)
		c.Stdout, c.Stderr = &s.said, &s.said
		if err := c.Start(); err != nil {
			return err
		}
		s.running, s.ended = c, make(chan struct{})
		go func() { s.stopped = c.Wait(); close(s.ended) }()
	}
	return until(ctx, "limpet up to answer", func() (bool, error) {
		select {
		case <-s.ended:
			s.running = nil
			return false, fmt.Errorf("limpet up has ended: %w", s.stopped)
		default:
			return answers(ctx, s), nil
		}
	})
}

func (s *processStack) end(sig syscall.Signal) error {
	if s.running == nil {
		return nil
	}
	_ = s.running.Process.Signal(sig)
	select {
	case <-s.ended:
		s.running = nil
	case <-time.After(time.Minute):
		return errors.New("limpet up does not end")
	}
	if sig == syscall.SIGTERM {
		return s.stopped
	}
	return nil
}

// down has no volumes to take away: there are none.
func (s *processStack) down(context.Context, bool) error { return s.end(syscall.SIGTERM) }
func (s *processStack) kill(context.Context) error       { return s.end(syscall.SIGKILL) }

func (s *processStack) remove(context.Context) error {
	s.pages.Close()
	return s.end(syscall.SIGKILL)
}

// stranger runs as a user without rights, or where only root has changed that, on
// a directory without any.
func (s *processStack) stranger(ctx context.Context) (string, error) {
	c := s.command(ctx, s.program)
	if s.withoutRoot {
		if err := os.Chmod(s.data, 0o555); err != nil {
			return "", err
		}
		defer func() { _ = os.Chmod(s.data, 0o755) }()
	} else {
		c = s.command(ctx, "/proc/self/exe") // wherever it lies, it may be read
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := c.CombinedOutput()
	if err == nil {
		return string(out), errors.New("it has started")
	}
	return string(out), nil
}

func (s *processStack) complaint(context.Context) string { return s.said.String() }

// freePorts are ports that nobody had a moment ago.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
