package testredis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options of a server. The zero value is an empty server that saves nothing.
type Options struct {
	// Dir is where the server keeps its files; empty means a new temporary one.
	Dir string
	// Args follow the arguments that Start gives by itself, so they win:
	// "--appendonly", "yes".
	Args []string
}

// Server is a running redis-server, or one that was stopped and can be started
// again in the same directory. It is for one goroutine; the client is for many.
type Server struct {
	t      testing.TB
	dir    string
	args   []string
	port   int
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for
	client *redis.Client
}

const (
	startTimeout = 20 * time.Second // two shared cores, and a large file to load
	stopTimeout  = 20 * time.Second
	startTries   = 5 // another process may take the port that was found free
)

// errPortTaken is the one reason for which another start is worth trying.
var errPortTaken = errors.New("port already taken")

// Start starts a server and returns when it answers PING, its files loaded. The
// test fails when it does not come up; use [TryStart] when that is the question.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := TryStart(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TryStart is [Start] for a server that may refuse its files. The error holds
// what the server logged.
func TryStart(t testing.TB, o Options) (*Server, error) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server not found: apt-get install redis-server")
	}
	s := &Server{t: t, dir: o.Dir, args: o.Args}
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	t.Cleanup(s.Kill)
	return s, s.start()
}

// Addr is the host and port the server listens on. Restart keeps it where it can.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port is the port of [Server.Addr].
func (s *Server) Port() int { return s.port }

// PID is the process id of the server, 0 when it does not run.
func (s *Server) PID() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Dir is the server's directory.
func (s *Server) Dir() string { return s.dir }

// Client is a client of the running server, which closes it when it stops. It
// never repeats a command by itself, so that a test sees what happened.
func (s *Server) Client() *redis.Client { return s.client }

// Do sends one command and returns its reply; an error reply fails the test. A
// missing value is nil.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	reply, err := s.client.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("redis-server: %v: %v", args, err)
	}
	return reply
}

// Log is everything the server has logged since the directory was made.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.logPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return string(b)
}

// Stop asks the server to end (SIGTERM: it syncs its log and saves where it has
// save points) and waits until it has.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server as kill -9 does and waits until it is gone.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Restart stops the server if it runs and starts it again on the same files.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "testredis.log") }

func (s *Server) start() (err error) {
	for range startTries {
		if s.port == 0 {
			if s.port, err = freePort(); err != nil {
				return err
			}
		}
		if err = s.startOnce(); !errors.Is(err, errPortTaken) {
			return err
		}
		s.port = 0
	}
	return err
}

func (s *Server) startOnce() error {
	logged := len(s.Log())
	args := append([]string{
		"--port", strconv.Itoa(s.port),
		"--bind", "127.0.0.1",
		"--dir", s.dir,
		"--logfile", s.logPath(),
		"--save", "",
		"--daemonize", "no",
		"--enable-debug-command", "yes",
	}, s.args...)
	cmd := exec.Command("redis-server", args...)
	var out bytes.Buffer // complaints about the arguments come before the log is open
	cmd.Stdout, cmd.Stderr = &out, &out
	// The server must not outlive a test binary that is killed.
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("redis-server: %w", err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	s.cmd, s.exited = cmd, exited
	s.client = redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1, DisableIdentity: true})
	if err := s.awaitReady(); err != nil {
		s.Kill()
		log := s.Log()
		log = log[min(logged, len(log)):] + out.String()
		if strings.Contains(log, "Address already in use") {
			return errPortTaken
		}
		return fmt.Errorf("redis-server in %s: %w\n%s", s.dir, err, log)
	}
	return nil
}

// awaitReady returns when the server answers PONG; while it loads its files it
// answers an error.
func (s *Server) awaitReady() error {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ping()
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("ended at start")
		case <-timeout.C:
			return fmt.Errorf("no answer within %v: %w", startTimeout, err)
		case <-tick.C:
		}
	}
}

// ping asks once, over a connection of its own, whether the server is ready. It
// checks who answers: another process may hold the port.
func (s *Server) ping() error {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, "PING\r\nINFO server\r\nQUIT\r\n"); err != nil {
		return err
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(reply, []byte("+PONG\r\n")) {
		line, _, _ := bytes.Cut(reply, []byte("\r\n"))
		return fmt.Errorf("PING answered %q", line)
	}
	if !bytes.Contains(reply, fmt.Appendf(nil, "\r\nprocess_id:%d\r\n", s.PID())) {
		return errors.New("another process answers on its port")
	}
	return nil
}

func (s *Server) end(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.client.Close()
	_ = s.cmd.Process.Signal(sig) // fails only when it has ended by itself
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.exited:
	case <-timer.C:
		s.t.Errorf("redis-server %d: still there %v after %v", s.PID(), stopTimeout, sig)
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	s.cmd = nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}
