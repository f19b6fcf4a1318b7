package crash

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ourProgram is ours by the name of redis-server.
var ourProgram string

// buildOurs builds the program, for all tests of this package. remove takes it
// away again.
func buildOurs() (remove func(), err error) {
	dir, err := os.MkdirTemp("", "limpet-crash-")
	if err != nil {
		return nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	binary := filepath.Join(dir, "limpet")
	ourProgram = filepath.Join(dir, "redis-server")
	if out, err := exec.Command("go", "build", "-o", binary, "limpet/cmd/limpet").CombinedOutput(); err != nil {
		remove()
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := os.Symlink(binary, ourProgram); err != nil {
		remove()
		return nil, err
	}
	return remove, os.Chmod(dir, 0o755) // for nobody, too
}

// theirProgram is the real redis-server.
func theirProgram(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server not found: apt-get install redis-server")
	}
	return path
}

// launch says how a server is started.
type launch struct {
	program string // theirProgram or ourProgram
	dir     string
	args    []string // behind those that every start here has
	nobody  bool     // as a user that owns nothing
}

func (l launch) String() string { return l.program + " " + strings.Join(l.args, " ") }

// running is a server at work, and a connection to it.
type running struct {
	*remote
	cmd    *exec.Cmd
	log    *lines
	exited chan struct{} // closed when it has been waited for
	socket string
}

// start starts a server and waits until it serves, or has ended: then running is
// nil, and refused is what it has said.
func (l launch) start(t *testing.T) (r *running, refused string) {
	t.Helper()
	home, err := os.MkdirTemp("", "limpet-") // short, since a Unix socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o777); err != nil {
		t.Fatal(err)
	}
	r = &running{log: newLines(), exited: make(chan struct{}), socket: filepath.Join(home, "s")}
	r.cmd = exec.Command(l.program, append([]string{"--port", "0", "--unixsocket", r.socket, "--dir", l.dir, "--save", ""}, l.args...)...)
	r.cmd.Dir = home
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if user := os.Getuid(); l.nobody && user == 0 {
		r.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.cmd.Wait(); close(r.exited) }()
	t.Cleanup(r.kill)
	if !r.log.await(t, "eady to accept connections", r.exited) {
		return nil, r.log.String()
	}
	r.remote = r.dial(t)
	return r, ""
}

// dial opens another connection.
func (r *running) dial(t *testing.T) *remote {
	t.Helper()
	conn, err := net.Dial("unix", r.socket)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.log)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &remote{conn, bufio.NewReader(conn)}
}

// kill is kill -9.
func (r *running) kill() {
	_ = r.cmd.Process.Kill()
	<-r.exited
}

// stop sends SHUTDOWN. The server must end well.
func (r *running) stop(t *testing.T) {
	t.Helper()
	_, _ = io.WriteString(r.conn, "SHUTDOWN\r\n")
	select {
	case <-r.exited:
	case <-time.After(patience):
		t.Fatalf("SHUTDOWN does not end it:\n%s", r.log)
	}
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("SHUTDOWN ended it with code %d:\n%s", code, r.log)
	}
	_ = r.conn.Close()
}

// lines is what a program writes.
type lines struct {
	mu   sync.Mutex // guards what follows
	text strings.Builder
	more chan struct{} // closed by the next write
}

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.text.Write(b)
}

func (l *lines) String() string {
	text, _ := l.look()
	return text
}

func (l *lines) look() (text string, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.more
}

// await tells whether a text came before the program ended.
func (l *lines) await(t *testing.T, want string, exited <-chan struct{}) bool {
	t.Helper()
	deadline := time.After(patience)
	for {
		text, more := l.look()
		if strings.Contains(text, want) {
			return true
		}
		select {
		case <-more:
		case <-exited:
			return strings.Contains(l.String(), want)
		case <-deadline:
			t.Fatalf("no %q in:\n%s", want, l)
		}
	}
}
