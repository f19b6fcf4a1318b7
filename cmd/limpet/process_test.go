package main

import (
	"bufio"
	"bytes"
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

	"limpet/resp"
)

// process is a store that runs as a program of its own, in a directory of its
// own, and is gone with the test.
type process struct {
	t      *testing.T
	dir    string // short, since Unix sockets lie in it
	cmd    *exec.Cmd
	out    *output
	exited chan struct{}
}

// output is what a process writes, both streams together.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// shortDir is a temporary directory with a short path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "limpet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// asRedisServer is the program under redis-server's name.
func asRedisServer(t *testing.T) string {
	t.Helper()
	link := filepath.Join(shortDir(t), "redis-server")
	if err := os.Symlink(binary, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// prepare is a program that will run in dir.
func prepare(t *testing.T, dir, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, dir: dir, out: &output{}, exited: make(chan struct{})}
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = dieWithTest()
	return p
}

func (p *process) start() *process {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	p.t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.exited })
	return p
}

const processPatience = 30 * time.Second

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(processPatience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// says waits until the process has written something.
func (p *process) says(text string) *process {
	p.t.Helper()
	for deadline := time.Now().Add(processPatience); !strings.Contains(p.out.String(), text); {
		select {
		case <-p.exited:
			if strings.Contains(p.out.String(), text) {
				return p
			}
			p.t.Fatalf("%q: ended without saying %q:\n%s", p.cmd.Args, text, p.out)
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%q: does not say %q:\n%s", p.cmd.Args, text, p.out)
		}
	}
	return p
}

// ends waits for the end and answers the exit code.
func (p *process) ends() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(processPatience):
		p.t.Fatalf("%q: does not end:\n%s", p.cmd.Args, p.out)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends it with SIGTERM and wants code 0.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.ends(); code != 0 {
		p.t.Errorf("%q: exit code %d:\n%s", p.cmd.Args, code, p.out)
	}
}

// path is that of a file in the process's directory.
func (p *process) path(name string) string { return filepath.Join(p.dir, name) }

// talk sends requests over a connection, as lines, and gives the replies.
func talk(t *testing.T, c net.Conn, lines ...string) []resp.Value {
	t.Helper()
	replies, err := tryTalk(c, lines...)
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return replies
}

func tryTalk(c net.Conn, lines ...string) ([]resp.Value, error) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(processPatience))
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\nQUIT\r\n"); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(bufio.NewReader(c))
	if err != nil {
		return nil, err
	}
	var replies []resp.Value
	for range lines {
		v, n, err := resp.Decode(b)
		if err != nil {
			return replies, fmt.Errorf("reply %d in %q: %w", len(replies), b, err)
		}
		replies, b = append(replies, v), b[n:]
	}
	return replies, nil
}

// ask sends requests to the Unix socket s in the process's directory.
func (p *process) ask(lines ...string) []resp.Value {
	p.t.Helper()
	var c net.Conn
	eventually(p.t, "a Unix socket to listen on\n"+p.out.String(), func() (ok bool) {
		var err error
		c, err = net.Dial("unix", p.path("s"))
		return err == nil
	})
	return talk(p.t, c, lines...)
}

// settings are what CONFIG GET answers.
func (p *process) settings(pattern string) map[string]string {
	p.t.Helper()
	v := p.ask("CONFIG GET " + pattern)[0]
	all := map[string]string{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		all[v.Elems[i].Text()] = v.Elems[i+1].Text()
	}
	return all
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
