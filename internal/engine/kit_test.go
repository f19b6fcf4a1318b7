package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"limpet/clock"
	"limpet/internal/command"
	"limpet/resp"
	"limpet/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const home = "/data"

// patience is how long a test waits for what must happen, on a machine that is
// busy with other things. Nothing that passes ever waits so long.
const patience = 30 * time.Second

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// fakeTime is a clock that stands still, at a moment that keys may outlive.
func fakeTime() *clock.Fake { return clock.NewFake(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)) }

// awaitWaiters waits until n timers of a fake clock are armed.
func awaitWaiters(t *testing.T, c *clock.Fake, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.AwaitWaiters(ctx, n); err != nil {
		t.Fatalf("%d timers: %v", n, err)
	}
}

// start opens an engine that is closed with the test, whatever became of its log.
func start(t *testing.T, fsys vfs.FS, o Options) *Engine {
	t.Helper()
	o.FS = fsys
	e, err := Open(home, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// client runs requests as a connection does.
type client struct {
	t *testing.T
	e *Engine
	s *command.Session
}

func connect(t *testing.T, e *Engine) *client {
	s := e.NewSession("test:1", "test:2")
	t.Cleanup(func() { e.EndSession(s) })
	return &client{t, e, s}
}

// exec runs one request without waiting for its ticket.
func (c *client) exec(words ...string) (resp.Value, Ticket) {
	c.t.Helper()
	var b Batch
	var out resp.Writer
	b.Add(bytesOf(words))
	ticket := c.e.Exec(c.s, &b, &out)
	v, _, err := resp.Decode(out.Buf)
	if err != nil {
		c.t.Fatalf("%v: reply %q: %v", words, out.Buf, err)
	}
	return v, ticket
}

// do runs one request; the error is a wire error, of the reply or in its place.
func (c *client) do(words ...string) (string, error) {
	c.t.Helper()
	v, ticket := c.exec(words...)
	if err := c.e.Wait(ticket); err != nil {
		return "", err
	}
	return v.Text(), v.Err()
}

// must is do for requests that cannot fail.
func (c *client) must(words ...string) string {
	c.t.Helper()
	text, err := c.do(words...)
	if err != nil {
		c.t.Fatalf("%v: %v", words, err)
	}
	return text
}

func bytesOf(words []string) [][]byte {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return args
}

// fault is a rule for a file system that can be changed while it is in use.
type fault struct {
	mu   sync.Mutex
	rule func(vfs.Op) vfs.Fault
}

func (f *fault) set(rule func(vfs.Op) vfs.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = rule
}

func (f *fault) ask(op vfs.Op) vfs.Fault {
	f.mu.Lock()
	rule := f.rule
	f.mu.Unlock()
	if rule == nil {
		return vfs.Fault{}
	}
	return rule(op)
}

func isIncr(op vfs.Op) bool { return strings.HasSuffix(op.Path, ".incr.aof") }

// wantWireError checks the text of an error reply.
func wantWireError(t *testing.T, err error, text string) {
	t.Helper()
	var wire resp.ServerError
	if !errors.As(err, &wire) || string(wire) != text {
		t.Fatalf("want the wire error %q, got %v", text, err)
	}
}

// newWriter takes replies that nobody reads.
func newWriter() *resp.Writer { return new(resp.Writer) }
