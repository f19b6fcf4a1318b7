package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen. Nothing that passes
// ever waits so long.
const patience = 90 * time.Second

// await waits for a condition.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// process is a program that a test has started. It is killed when the test ends,
// and by the kernel should the test binary die.
type process struct {
	cmd    *exec.Cmd
	errors *journal      // what it has written to standard error
	exited chan struct{} // closed when it has been waited for
}

func spawn(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, errors: newJournal(), exited: make(chan struct{})}
	cmd.Stderr = p.errors
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(p.exited) }()
	t.Cleanup(p.kill)
	return p
}

// kill is kill -9. It returns when the process is gone; one that has ended before
// is left alone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// stop asks the process to end, and gives its exit code.
func (p *process) stop(t testing.TB) int {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended by itself
	return p.wait(t)
}

// wait gives the exit code of a process that ends by itself, -1 for one that was
// killed.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%s does not end:\n%s", p.cmd, p.errors)
	}
	return p.cmd.ProcessState.ExitCode()
}

// journal keeps lines, and wakes those who wait for one. It is for many
// goroutines.
type journal struct {
	mu   sync.Mutex // guards what follows
	text bytes.Buffer
	more chan struct{} // closed by the next write
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.more)
	j.more = make(chan struct{})
	return j.text.Write(b)
}

func (j *journal) String() string {
	text, _ := j.look()
	return text
}

func (j *journal) look() (text string, more <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String(), j.more
}

// awaitLines returns when the process has written n lines of an errors journal or
// has ended.
func (p *process) awaitLines(t testing.TB, n int) {
	t.Helper()
	p.awaitText(t, func(text string) bool { return strings.Count(text, "\n") >= n })
}

// awaitText reports whether the journal came to please before the process ended.
func (p *process) awaitText(t testing.TB, pleases func(string) bool) bool {
	t.Helper()
	deadline := time.After(patience)
	for {
		text, more := p.errors.look()
		if pleases(text) {
			return true
		}
		select {
		case <-more:
		case <-p.exited:
			return pleases(p.errors.String())
		case <-deadline:
			t.Fatalf("%s: not the output that was waited for:\n%s", p.cmd, text)
		}
	}
}

// result is what a program has left behind that ran to its end.
type result struct {
	code     int
	out, err string
}

func execute(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	timer := time.AfterFunc(patience, func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
		}
	})
	defer timer.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// environment is that of the test without what would change Limpet's defaults.
func environment(more ...string) []string {
	env := make([]string, 0, len(os.Environ())+len(more))
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LIMPET_") && !strings.HasPrefix(v, "MAKE") { // nor a make that runs the test
			env = append(env, v)
		}
	}
	return append(env, more...)
}
