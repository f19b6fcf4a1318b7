package parity

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"limpet"
	"limpet/internal/testredis"
	"limpet/resp"
	"limpet/server"
)

const replyTimeout = time.Minute

// client is a raw connection: what it gets back is bytes, not values.
type client struct {
	t    testing.TB
	name string
	conn net.Conn
	r    *bufio.Reader
	sent []byte // last, for the report
}

func dial(t testing.TB, name, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, name: name, conn: conn, r: bufio.NewReader(conn)}
}

// addr is where the server listens.
func (c *client) addr() string { return c.conn.RemoteAddr().String() }

// do sends one request and gives back the bytes of its reply.
func (c *client) do(args ...[]byte) []byte {
	c.t.Helper()
	c.send(resp.AppendCommand(nil, args...))
	return c.reply()
}

// send writes requests, or anything else.
func (c *client) send(b []byte) {
	c.t.Helper()
	c.sent = b
	_ = c.conn.SetDeadline(time.Now().Add(replyTimeout))
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatalf("%s: send %.200q: %v", c.name, b, err)
	}
}

// reply reads the bytes of one reply.
func (c *client) reply() []byte {
	c.t.Helper()
	var out bytes.Buffer
	if err := copyReply(&out, c.r); err != nil {

		c.t.Fatalf("%s: after %.300q: %v; it had sent %q", c.name, c.sent, err, out.Bytes())
	}
	return out.Bytes()
}

// copyReply copies one reply of either protocol version.
func copyReply(out *bytes.Buffer, r *bufio.Reader) error {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	out.Write(line)
	n := 0
	if _, err := fmt.Sscanf(string(line[1:]), "%d", &n); err != nil || n < 0 {
		return nil
	}
	switch line[0] {
	case '$', '=':
		_, err = io.CopyN(out, r, int64(n)+2)
		return err
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		return nil
	}
	for range n {
		if err := copyReply(out, r); err != nil {
			return err
		}
	}
	return nil
}

// pair is a real server and ours.
type pair struct {
	t    testing.TB
	real *client
	ours *client
}

func startPair(t testing.TB) *pair {
	t.Helper()
	redis := testredis.Start(t, testredis.Options{})
	dir := t.TempDir()
	addr := startLimpet(t, dir, nil)
	return &pair{t: t, real: dial(t, "redis", redis.Addr()), ours: dial(t, "limpet", addr)}
}

// again opens new connections to the same servers.
func (p *pair) again(t testing.TB) *pair {
	return &pair{t: t, real: dial(t, "redis", p.real.addr()), ours: dial(t, "limpet", p.ours.addr())}
}

// redial replaces the connections by new ones.
func (p *pair) redial() {
	for _, c := range []*client{p.real, p.ours} {
		_ = c.conn.Close()
		fresh := dial(c.t, c.name, c.addr())
		c.conn, c.r = fresh.conn, fresh.r
	}
}

// startLimpet serves a directory on loopback until the test ends.
func startLimpet(t testing.TB, dir string, o *limpet.Options) (addr string) {
	t.Helper()
	db, err := limpet.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(db, server.Options{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func (p *pair) reset() {
	for _, c := range []*client{p.real, p.ours} {
		c.do([]byte("RESET"))
		c.do([]byte("FLUSHALL"))
	}
}

// both sends a request to both and gives back the replies, real first.
func (p *pair) both(args ...[]byte) (real, ours []byte) {
	p.t.Helper()
	return p.real.do(args...), p.ours.do(args...)
}

func words(t testing.TB, line string) [][]byte {
	t.Helper()
	args, ok := resp.SplitWords([]byte(line))
	if !ok {
		t.Fatalf("unbalanced quotes: %s", line)
	}
	return args
}
