package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"limpet"
	"limpet/resp"
	"limpet/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// door is a way in. Whatever it is, a client cannot tell it from another.
type door struct {
	name string
	// open begins to serve and gives what connects.
	open func(t *testing.T, s *Server) (dial func() (net.Conn, error))
}

var doors = []door{
	{"tcp, event loop", func(t *testing.T, s *Server) func() (net.Conn, error) {
		return serveOn(t, s, "tcp", "127.0.0.1:0", false)
	}},
	{"tcp, goroutines", func(t *testing.T, s *Server) func() (net.Conn, error) {
		return serveOn(t, s, "tcp", "127.0.0.1:0", true)
	}},
	{"unix", func(t *testing.T, s *Server) func() (net.Conn, error) {
		return serveOn(t, s, "unix", filepath.Join(t.TempDir(), "s"), false)
	}},
	{"memory", func(_ *testing.T, s *Server) func() (net.Conn, error) {
		return func() (net.Conn, error) { return s.Dial(context.Background(), "", "") }
	}},
}

func serveOn(t *testing.T, s *Server, network, address string, goroutines bool) func() (net.Conn, error) {
	t.Helper()
	was := goroutinesOnly
	goroutinesOnly = goroutines
	t.Cleanup(func() { goroutinesOnly = was })
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; !errors.Is(err, ErrClosed) {
			t.Errorf("Serve ended with %v", err)
		}
	})
	return func() (net.Conn, error) { return net.Dial(network, l.Addr().String()) }
}

// throughEach runs a test behind each door, over a store of its own.
func throughEach(t *testing.T, lo limpet.Options, so Options, test func(t *testing.T, p *place)) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			o := lo
			if o.FS == nil {
				o.FS = vfs.NewMem()
			}
			db, err := limpet.Open("/data", &o)
			if err != nil {
				t.Fatal(err)
			}
			s := New(db, so)
			t.Cleanup(func() { _ = db.Close() })
			t.Cleanup(func() { _ = s.Close() })
			test(t, &place{t: t, db: db, server: s, dial: d.open(t, s)})
		})
	}
}

// place is a server behind one door.
type place struct {
	t      *testing.T
	db     *limpet.DB
	server *Server
	dial   func() (net.Conn, error)
}

// caller is a connection whose replies are read one by one.
type caller struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (p *place) connect() *caller {
	p.t.Helper()
	c, err := p.dial()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &caller{p.t, c, bufio.NewReader(c)}
}

func (c *caller) send(raw []byte) {
	c.t.Helper()
	if _, err := c.Write(raw); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) request(words ...string) { c.t.Helper(); c.send(encode(words...)) }

func encode(words ...string) []byte {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return resp.AppendCommand(nil, args...)
}

// reply reads one reply that is a line or a bulk string.
func (c *caller) reply() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("reply: %v (have %q)", err, line)
	}
	var n int
	if _, err := fmt.Sscanf(line, "$%d\r\n", &n); err != nil || n < 0 {
		return strings.TrimSuffix(line, "\r\n")
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatal(err)
	}
	return string(b[:n])
}

func (c *caller) do(words ...string) string {
	c.t.Helper()
	c.request(words...)
	return c.reply()
}

func (c *caller) want(reply string, words ...string) {
	c.t.Helper()
	if got := c.do(words...); got != reply {
		c.t.Fatalf("%.200q: got %.200q, want %.200q", words, got, reply)
	}
}

// wantEnd checks that the server has closed the connection.
func (c *caller) wantEnd() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(b) > 0 {
		c.t.Fatalf("want the end of the connection, got %q, %v", b, err)
	}
}

func TestServer_Pipeline_RepliesComeInOrder(t *testing.T) {
	throughEach(t, limpet.Options{Fsync: limpet.Always}, Options{}, func(t *testing.T, p *place) {
		c := p.connect()
		var all []byte
		const n = 5000
		for i := range n {
			all = append(all, encode("APPEND", "k", "x")...)
			all = append(all, encode("ECHO", fmt.Sprint("echo ", i))...)
		}
		go func() { _, _ = c.Write(all) }()
		for i := range n {
			if got := c.reply(); got != fmt.Sprintf(":%d", i+1) {
				t.Fatalf("append %d: %q", i, got)
			}
			if got := c.reply(); got != fmt.Sprint("echo ", i) {
				t.Fatalf("echo %d: %q", i, got)
			}
		}
	})
}

func TestServer_RequestInPieces_RunsWhenItIsWhole(t *testing.T) {
	throughEach(t, limpet.Options{}, Options{}, func(t *testing.T, p *place) {
		c := p.connect()
		for _, b := range append(encode("SET", "k", "v\r\n$"), "GET k\r\n"...) { // the second one inline
			c.send([]byte{b})
		}
		if a, b := c.reply(), c.reply(); a != "+OK" || b != "v\r\n$" {
			t.Errorf("got %q and %q", a, b)
		}
	})
}

func TestServer_LargeValues_GoBothWays(t *testing.T) {
	throughEach(t, limpet.Options{}, Options{}, func(t *testing.T, p *place) {
		c := p.connect()
		for _, size := range []int{readSize - 20, readSize, readSize + 1, maxKept, 5 << 20} {
			big := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			c.want("+OK", "SET", "big", big)
			c.want(big, "GET", "big")
			c.want("+PONG", "PING")
		}
	})
}

func TestServer_ProtocolError_ComesAfterTheRepliesBeforeItAndEnds(t *testing.T) {
	throughEach(t, limpet.Options{}, Options{}, func(t *testing.T, p *place) {
		c := p.connect()
		c.send(append(encode("SET", "k", "v"), "*1\r\n+PING\r\n"...))
		if got := c.reply(); got != "+OK" {
			t.Errorf("got %q", got)
		}
		if got := c.reply(); got != "-ERR Protocol error: expected '$', got '+'" {
			t.Errorf("got %q", got)
		}
		c.wantEnd()
	})
}

func TestServer_Quit_AnswersAndEnds(t *testing.T) {
	throughEach(t, limpet.Options{}, Options{}, func(t *testing.T, p *place) {
		c := p.connect()
		c.send(append(encode("QUIT"), encode("SET", "k", "after")...))
		if got := c.reply(); got != "+OK" {
			t.Errorf("got %q", got)
		}
		c.wantEnd()
		p.connect().want(":0", "EXISTS", "k")
	})
}

func TestServer_HalfClosed_StillGetsItsReplies(t *testing.T) {
	throughEach(t, limpet.Options{Fsync: limpet.Always}, Options{}, func(t *testing.T, p *place) {
		c := p.connect()
		half, ok := c.Conn.(interface{ CloseWrite() error })
		if !ok {
			return // a connection in memory has no half
		}
		c.send(bytes.Repeat(encode("INCR", "n"), 1000))
		if err := half.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if got := c.reply(); got != fmt.Sprintf(":%d", i+1) {
				t.Fatalf("%d: %q", i, got)
			}
		}
		c.wantEnd()
	})
}

// syncGate is a file system whose syncs a test holds up.
type syncGate struct {
	*vfs.Faulty
	mu   sync.Mutex
	gate chan struct{} // closed to let held syncs go on; nil when none is held
}

func newSyncGate() *syncGate {
	g := &syncGate{}
	g.Faulty = vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) vfs.Fault {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.gate == nil || op.Kind != vfs.OpSync {
			return vfs.Fault{}
		}
		return vfs.Fault{Until: g.gate}
	})
	return g
}

func (g *syncGate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate = make(chan struct{})
}

func (g *syncGate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gate != nil {
		close(g.gate)
	}
	g.gate = nil
}

func TestServer_Always_AReplyComesAfterItsSyncAndOthersDoNotWait(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			fsys := newSyncGate()
			db, err := limpet.Open("/data", &limpet.Options{FS: fsys, Fsync: limpet.Always})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			s := New(db, Options{})
			defer func() { _ = s.Close() }()
			defer fsys.release() // before Close, which waits for the sync
			p := &place{t: t, db: db, server: s, dial: d.open(t, s)}
			writer, reader := p.connect(), p.connect()
			reader.want("+OK", "SELECT", "1")
			reader.want("+OK", "SET", "settled", "1")
			for round := 1; round <= 4; round++ {
				for range 20 { // writes alone, so that the loop itself syncs
					writer.want("+OK", "SET", "w", "1")
				}
				fsys.hold()
				writer.request("INCR", "n")
				for range 100 { // the loop goes on while the writer waits
					reader.want("1", "GET", "settled")
				}
				_ = writer.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				if b, err := writer.r.Peek(1); err == nil {
					t.Fatalf("round %d: a reply before the sync: %q", round, b)
				}
				_ = writer.SetReadDeadline(time.Now().Add(patience))
				writer.r.Reset(writer.Conn)
				fsys.release()
				if got, want := writer.reply(), fmt.Sprintf(":%d", round); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
		})
	}
}

func TestServer_FailingDisk_EveryRequestOfTheBatchIsRefusedAndTheConnectionEnds(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			var mu sync.Mutex
			full := false
			fsys := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) vfs.Fault {
				mu.Lock()
				defer mu.Unlock()
				if full && (op.Kind == vfs.OpWrite || op.Kind == vfs.OpCreate) {
					return vfs.Fault{Err: syscall.ENOSPC}
				}
				return vfs.Fault{}
			})
			set := func(v bool) { mu.Lock(); full = v; mu.Unlock() }
			db, err := limpet.Open("/data", &limpet.Options{FS: fsys, Fsync: limpet.Always})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			s := New(db, Options{})
			defer func() { _ = s.Close() }()
			p := &place{t: t, db: db, server: s, dial: d.open(t, s)}
			c := p.connect()
			c.want("+OK", "SET", "before", "1")
			set(true)
			const refused = "-MISCONF Errors writing to the AOF file: No space left on device"
			c.send(append(encode("INCR", "n"), encode("INCR", "n")...))
			if a, b := c.reply(), c.reply(); a != refused || b != refused {
				t.Errorf("got %q and %q", a, b)
			}
			c.wantEnd()
			other := p.connect()
			other.want(refused, "SET", "x", "y") // refused before it ran: the connection stays
			other.want(refused, "PING")
			other.want("+OK", "SELECT", "5")
			other.want("$-1", "GET", "anything")
			set(false)
			deadline := time.Now().Add(patience)
			for other.do("SET", "x", "y") != "+OK" {
				if time.Now().After(deadline) {
					t.Fatal("it does not heal")
				}
			}
		})
	}
}

func TestServer_MaxClients_OneMoreIsToldSo(t *testing.T) {
	throughEach(t, limpet.Options{}, Options{MaxClients: 2}, func(t *testing.T, p *place) {
		a, b := p.connect(), p.connect()
		a.want("+PONG", "PING")
		b.want("+PONG", "PING")
		const refused = "ERR max number of clients reached"
		extra, err := p.dial()
		if err != nil { // a dial in memory says it at once
			if wire := resp.ServerError(""); !errors.As(err, &wire) || wire != refused {
				t.Errorf("got %v", err)
			}
		} else {
			_ = extra.SetDeadline(time.Now().Add(patience))
			got, _ := io.ReadAll(extra)
			_ = extra.Close()
			if string(got) != "-"+refused+"\r\n" {
				t.Errorf("got %q", got)
			}
		}
		if stats := a.do("INFO", "stats"); !strings.Contains(stats, "rejected_connections:1\r\n") {
			t.Errorf("INFO does not count it:\n%s", stats)
		}
		_ = b.Close()
		deadline := time.Now().Add(patience)
		for { // its place is free as soon as the server has noticed
			if c, err := p.dial(); err == nil {
				_ = c.SetDeadline(time.Now().Add(patience))
				_, _ = c.Write(encode("PING"))
				line, _ := bufio.NewReader(c).ReadString('\n')
				_ = c.Close()
				if line == "+PONG\r\n" {
					return
				}
			}
			if time.Now().After(deadline) {
				t.Fatal("the place was not given away again")
			}
		}
	})
}

func TestServer_IdleTimeout_ClosesTheSilentOnly(t *testing.T) {
	throughEach(t, limpet.Options{}, Options{IdleTimeout: 100 * time.Millisecond}, func(t *testing.T, p *place) {
		c := p.connect()
		c.want("+PONG", "PING")
		c.wantEnd()
	})
}

func TestServer_Password_IsAskedForAtEveryDoor(t *testing.T) {
	throughEach(t, limpet.Options{Password: "secret"}, Options{}, func(t *testing.T, p *place) {
		c := p.connect()
		c.want("-NOAUTH Authentication required.", "GET", "k")
		c.want("-WRONGPASS invalid username-password pair or user is disabled.", "AUTH", "wrong")
		c.want("+OK", "AUTH", "secret")
		c.want("$-1", "GET", "k")
	})
}

func TestServer_SlowReader_HoldsUpNobodyElse(t *testing.T) {
	throughEach(t, limpet.Options{}, Options{}, func(t *testing.T, p *place) {
		slow, other := p.connect(), p.connect()
		other.want("+OK", "SET", "big", strings.Repeat("x", 1<<20))
		const n = 64
		slow.send(bytes.Repeat(encode("GET", "big"), n)) // 64 MiB of replies that nobody takes yet
		for range 200 {
			other.want("+PONG", "PING")
		}
		for range n {
			if got := len(slow.reply()); got != 1<<20 {
				t.Fatalf("a reply of %d bytes", got)
			}
		}
	})
}

func TestServer_ManyClients_CountExactly(t *testing.T) {
	for _, policy := range []limpet.Policy{limpet.EverySec, limpet.Always} {
		throughEach(t, limpet.Options{Fsync: policy}, Options{}, func(t *testing.T, p *place) {
			var all sync.WaitGroup
			for range 50 {
				c := p.connect()
				all.Go(func() {
					for range 40 {
						_, _ = c.Write(append(encode("INCR", "n"), encode("GET", "n")...))
						c.reply()
						c.reply()
					}
				})
			}
			all.Wait()
			p.connect().want("2000", "GET", "n")
		})
	}
}

func TestServer_GoRedis_IsAtHome(t *testing.T) {
	throughEach(t, limpet.Options{}, Options{}, func(t *testing.T, p *place) {
		ctx := context.Background()
		for _, protocol := range []int{2, 3} {
			r := redis.NewClient(&redis.Options{
				Protocol: protocol, Dialer: func(context.Context, string, string) (net.Conn, error) { return p.dial() },
			})
			tx, err := r.TxPipelined(ctx, func(tx redis.Pipeliner) error {
				tx.HSet(ctx, "h", "a", "1", "b", "2")
				tx.Expire(ctx, "h", time.Hour)
				return nil
			})
			if err != nil || len(tx) != 2 {
				t.Fatalf("RESP%d: %v %v", protocol, tx, err)
			}
			if h, err := r.HGetAll(ctx, "h").Result(); err != nil || h["a"] != "1" || h["b"] != "2" {
				t.Errorf("RESP%d: %v %v", protocol, h, err)
			}
			script := redis.NewScript("return redis.call('INCR', KEYS[1])")
			if n, err := script.Run(ctx, r, []string{fmt.Sprint("n", protocol)}).Int(); err != nil || n != 1 {
				t.Errorf("RESP%d: %d %v", protocol, n, err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestServer_Close_EndsConnectionsAndRefusesNewOnes(t *testing.T) {
	throughEach(t, limpet.Options{Fsync: limpet.Always}, Options{}, func(t *testing.T, p *place) {
		idle, busy := p.connect(), p.connect()
		idle.want("+PONG", "PING")
		busy.want(":1", "INCR", "n")
		go func() {
			for {
				if _, err := busy.Write(encode("INCR", "n")); err != nil {
					return
				}
			}
		}()
		if err := p.server.Close(); err != nil {
			t.Fatal(err)
		}
		idle.wantEnd()
		if _, err := p.server.Dial(context.Background(), "", ""); !errors.Is(err, ErrClosed) {
			t.Errorf("Dial after Close: %v", err)
		}
		if err := p.server.Serve(nopListener{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Serve after Close: %v", err)
		}
		if err := p.server.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
	})
}

type nopListener struct{}

func (nopListener) Accept() (net.Conn, error) { return nil, io.EOF }
func (nopListener) Close() error              { return nil }
func (nopListener) Addr() net.Addr            { return memoryAddr{} }
