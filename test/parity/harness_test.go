package parity

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"sort"
	"strings"
	"testing"
	"time"

	"limpet"
	"limpet/internal/testredis"
	"limpet/resp"
	"limpet/server"
)

// client is a raw connection: what it gets back is bytes, not values.
type client struct {
	t    testing.TB
	name string
	conn net.Conn
	r    *bufio.Reader
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

// do sends one request and gives back the bytes of its reply.
func (c *client) do(args ...[]byte) []byte {
	c.t.Helper()
	return c.raw(resp.AppendCommand(nil, args...))
}

func (c *client) raw(request []byte) []byte {
	c.t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.conn.Write(request); err != nil {
		c.t.Fatalf("%s: send %q: %v", c.name, request, err)
	}
	return c.reply(request)
}

func (c *client) reply(request []byte) []byte {
	c.t.Helper()
	var out bytes.Buffer
	if err := copyReply(&out, c.r); err != nil {
		c.t.Fatalf("%s: reply to %.200q: %v", c.name, request, err)
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
	dir  string // ours
}

func startPair(t testing.TB) *pair {
	t.Helper()
	redis := testredis.Start(t, testredis.Options{})
	dir := t.TempDir()
	addr := startLimpet(t, dir, nil)
	return &pair{t: t, real: dial(t, "redis", redis.Addr()), ours: dial(t, "limpet", addr), dir: dir}
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

// sameSet compares two aggregates without regard to order, one level deep.
func sameSet(a, b []byte) bool {
	va, _, errA := resp.Decode(a)
	vb, _, errB := resp.Decode(b)
	if errA != nil || errB != nil || va.Kind != vb.Kind || len(va.Elems) != len(vb.Elems) {
		return false
	}
	sorted := func(v resp.Value) string {
		var all []string
		for _, e := range flatten(v) {
			all = append(all, fmt.Sprintf("%c%q", e.Kind, e.Text()))
		}
		sort.Strings(all)
		return strings.Join(all, " ")
	}
	return sorted(va) == sorted(vb)
}

func flatten(v resp.Value) []resp.Value {
	if v.Elems == nil {
		return []resp.Value{v}
	}
	var all []resp.Value
	for _, e := range v.Elems {
		all = append(all, flatten(e)...)
	}
	return all
}
