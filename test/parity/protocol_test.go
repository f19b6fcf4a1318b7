package parity

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"limpet"
	"limpet/internal/testredis"
	"limpet/resp"
	"limpet/server"
)

// exchange is what a server does with bytes on a connection of their own.
type exchange struct {
	replies string // to the bytes alone, when the client ends its half behind them
	after   string // to a PING that follows them: nothing if the connection was closed
}

// converse sends pieces, each once the server is through with the one before.
func converse(t *testing.T, addr string, pieces ...string) (x exchange) {
	t.Helper()
	open := func() *net.TCPConn {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(replyTimeout))
		for i, piece := range pieces {
			if i > 0 {
				breathe(t, addr)
			}
			_, _ = conn.Write([]byte(piece)) // a server may close before the last
		}
		return conn.(*net.TCPConn)
	}
	rest := func(conn *net.TCPConn) string {
		defer func() { _ = conn.Close() }()
		_ = conn.CloseWrite()
		b, _ := io.ReadAll(conn) // a reset ends it too
		return string(b)
	}
	x.replies = rest(open())
	conn := open()
	if _, err := io.ReadFull(conn, make([]byte, len(x.replies))); err != nil {
		t.Errorf("%.100q: not the same replies twice: %v", pieces, err)
	}
	_, _ = conn.Write([]byte("PING\r\n"))
	x.after = rest(conn)
	return x
}

// breathe returns when the server has had time for what it was sent before.
func breathe(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "QUIT\r\n")
	_, _ = io.ReadAll(conn)
}

// number is what differs between any two connections.
var number = regexp.MustCompile(`(\$2\r\nid\r\n:|^:)\d+`)

func sameConversation(t *testing.T, p *pair, pieces ...string) {
	t.Helper()
	real, ours := converse(t, p.real.addr(), pieces...), converse(t, p.ours.addr(), pieces...)
	for _, x := range []*exchange{&real, &ours} {
		x.replies = number.ReplaceAllString(x.replies, "${1}N")
	}
	if real != ours {
		t.Errorf("%.300q:\n  redis:  %.300q, then %q\n  limpet: %.300q, then %q",
			pieces, real.replies, real.after, ours.replies, ours.after)
	}
}

func TestProtocol_WhatIsSentAndWhatIsNot_AnsweredAndClosedAlike(t *testing.T) {
	p := startPair(t)
	long := strings.Repeat("x", 70_000)
	for _, in := range []string{
		"", "\r\n", "\n\n\n", "PING\r\n", "PING\n", "ping hello\r\n", "  PING  \r\n", "PING",
		"SET \"a b\" 'c d'\r\nGET \"a b\"\r\n", "ECHO \"\\x41\\n\\\"\"\r\n", "ECHO 'it\\'s'\r\n", "ECHO \"\"\r\n",
		"ECHO \"open\r\n", "ECHO 'open\r\n", "ECHO \"a\"b\r\n", "PING\r\nECHO \"open\r\nPING\r\n",
		"*1\r\n$4\r\nPING\r\n", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "*0\r\nPING\r\n", "*-1\r\nPING\r\n", "*-5\r\nPING\r\n", "*00\r\nPING\r\n",
		"*\r\n", "*x\r\n", "*1x\r\n", "*+1\r\n", "* 1\r\n", "*01\r\n", "*2147483647\r\n", "*2147483648\r\n", "*1073741823\r\n", "*1073741824\r\n",
		"*1048577\r\n", "*9223372036854775807\r\n", "*99999999999999999999\r\n",
		"*1\r\nPING\r\n", "*1\r\n+OK\r\n", "*1\r\n\r\n", "*2\r\n$3\r\nGET\r\nk\r\n",
		"*1\r\n$\r\n", "*1\r\n$x\r\n", "*1\r\n$-1\r\n", "*1\r\n$-2\r\n", "*1\r\n$4 \r\nPING\r\n", "*1\r\n$04\r\nPING\r\n", "*1\r\n$536870913\r\n", "*1\r\n$9223372036854775807\r\n",
		"*1\r\n$99999999999999999999999\r\n", "*1\r\n$0\r\n\r\n", "*2\r\n$0\r\n\r\n$1\r\na\r\n",
		"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", "*1\r\n$3\r\nPING\r\n",
		"*1\r\n$4\r\nPING\r\n*1\r\n$x\r\n*1\r\n$4\r\nPING\r\n",
		long, long + "\r\n", "ECHO " + long + "\r\n", "*" + strings.Repeat("1", 70_000), "*1\r\n$" + strings.Repeat("1", 70_000), "*" + long + "\r\n",
		"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a b\r\n", "Host: localhost\r\nSET a b\r\n", "*1\r\n$5\r\nhost:\r\n",
		"QUIT\r\nPING\r\n", "PING\r\nQUIT\r\nPING\r\nPING\r\n", "*1\r\n$4\r\nQUIT\r\n*1\r\n$x\r\n", "QUIT now\r\n",
		"HELLO\r\nPING\r\n", "HELLO 3\r\nGET nothing\r\nHELLO 2\r\nGET nothing\r\n", "HELLO 3 SETNAME me\r\nCLIENT GETNAME\r\n",
		"HELLO 3\r\nRESET\r\nGET nothing\r\n", "HELLO 3 AUTH default any\r\n", "HELLO 3 AUTH nobody any\r\nPING\r\n", "HELLO 3 AUTH default\r\n",
		"MULTI\r\nPING\r\nRESET\r\nEXEC\r\n", "SELECT 3\r\nRESET\r\nCLIENT GETNAME\r\n", "MULTI\r\nQUIT\r\nPING\r\n", "WATCH a\r\nRESET\r\n",
		"NOSUCH a b\r\n", "*1\r\n$3\r\n\x00ab\r\n", "NOSUCH " + strings.Repeat("a", 300) + "\r\n", strings.Repeat("N", 300) + " a\r\n",
		"NOSUCH " + strings.Repeat("abcdefghij ", 30) + "\r\n", "CLIENT ID\r\n",
	} {
		sameConversation(t, p, in)
	}
}

// Where the real server drops the replies that are on their way, ours come; and
// it takes a zero byte for the end of what has arrived, and waits.
func TestProtocol_Differences_TheConnectionEndsAllTheSame(t *testing.T) {
	p := startPair(t)
	for in, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nFLUSHALL\r\n": "-ERR wrong number of arguments for 'get' command\r\n",
		"*1\r\n\x00\r\n": "-ERR Protocol error: expected '$', got '\x00'\r\n",
	} {
		real, ours := converse(t, p.real.addr(), in), converse(t, p.ours.addr(), in)
		if real != (exchange{}) || ours != (exchange{replies: want}) {
			t.Errorf("%q:\n  redis:  %q\n  limpet: %q", in, real, ours)
		}
	}
}

func TestProtocol_InMemory_BlankLinesThenARequestInPieces(t *testing.T) {
	db, err := limpet.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(db, server.Options{})
	t.Cleanup(func() {
		_ = s.Close()
		_ = db.Close()
	})
	conn, err := s.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, name: "limpet", conn: conn, r: bufio.NewReader(conn)}
	for _, piece := range []string{"PING\r\n", "\r\n", "\r\n*2\r\n$4\r\nEC"} {
		c.send([]byte(piece))
	}
	if got := c.reply(); string(got) != "+PONG\r\n" {
		t.Errorf("%q", got)
	}
	c.send([]byte("HO\r\n$2\r\nhi\r\n"))
	if got := c.reply(); string(got) != "$2\r\nhi\r\n" {
		t.Errorf("%q", got)
	}
}

func TestProtocol_HundredsOfRequestsInOneWrite_AllAnsweredInOrder(t *testing.T) {
	p := startPair(t)
	var b strings.Builder
	for i := range 700 {
		fmt.Fprintf(&b, "*3\r\n$3\r\nSET\r\n$%d\r\nk%d\r\n$1\r\nv\r\n", len(fmt.Sprint("k", i)), i)
		fmt.Fprintf(&b, "INCR n\r\nLPUSH k%d x\r\n", i)
	}
	b.WriteString("GET n\r\nFLUSHALL\r\n")
	sameConversation(t, p, b.String())
}

func TestProtocol_SplitAtEveryByte_SameReplies(t *testing.T) {
	p := startPair(t)
	in := "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\nGET \"k\"\r\n\r\n*0\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\nMULTI\r\n*2\r\n$6\r\nAPPEND\r\n*1\r\n"
	for i := 1; i < len(in); i++ {
		sameConversation(t, p, in[:i], in[i:])
	}
	p.both([]byte("DEL"), []byte("k"))
	in = in[:strings.Index(in, "MULTI")]
	sameConversation(t, p, strings.SplitAfter(in, "")...)
	sameConversation(t, p, "\r\n", "*2\r\n$4\r\nEC", "HO\r\n$2\r\nhi\r\n") // a blank line alone, then a request in two
}

func TestProtocol_RequirePass_BeforeAuthLittleIsAllowed(t *testing.T) {
	p := startPair(t)
	p.both(words(t, "CONFIG SET requirepass secret")...)
	for _, in := range []string{
		"PING\r\n", "GET k\r\n", "NOSUCH a\r\n", "GET\r\n", "CLIENT FOO\r\n", "MULTI\r\n", "EXEC\r\n", "COMMAND\r\n", "CLIENT ID\r\n", "WATCH\r\n",
		"AUTH wrong\r\nPING\r\n", "AUTH secret\r\nPING\r\n", "AUTH default secret\r\nPING\r\n", "AUTH default wrong\r\n", "AUTH nobody secret\r\n", "AUTH\r\n", "AUTH a b c\r\n",
		"AUTH secret\r\nAUTH wrong\r\nPING\r\n", "AUTH secret\r\nRESET\r\nPING\r\n", "AUTH secret\r\nMULTI\r\nAUTH secret\r\nPING\r\nEXEC\r\n",
		"HELLO\r\n", "HELLO 3\r\nPING\r\n", "HELLO 3 AUTH default secret\r\nPING\r\n", "HELLO 3 AUTH default wrong\r\nPING\r\n", "HELLO 4 AUTH default secret\r\nPING\r\n",
		"HELLO 3 SETNAME a\r\n", "HELLO 3 SETNAME a AUTH default secret\r\nCLIENT GETNAME\r\n", "HELLO 3 AUTH default secret SETNAME \"a b\"\r\nPING\r\n", "HELLO 3 FOO\r\n",
		"QUIT\r\nPING\r\n", "RESET\r\n",
		"*10\r\n", "*11\r\n", "*10\r\n" + strings.Repeat("$1\r\na\r\n", 10), "*1\r\n$16384\r\n", "*1\r\n$16385\r\n",
		"AUTH secret\r\n*11\r\n" + strings.Repeat("$1\r\na\r\n", 11), "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*12\r\n$3\r\nDEL\r\n" + strings.Repeat("$1\r\na\r\n", 11),
		"*1\r\n$4\r\nPING\r\n*11\r\n",
	} {
		sameConversation(t, p, in)
	}
	sameConversation(t, p, "AUTH secret\r\n", "*12\r\n$3\r\nDEL\r\n"+strings.Repeat("$1\r\na\r\n", 11))
}

func TestProtocol_MaxClients_OneMoreIsToldAndClosed(t *testing.T) {
	redis := testredis.Start(t, testredis.Options{Args: []string{"--maxclients", "3"}})
	db, err := limpet.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(db, server.Options{MaxClients: 3})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		_ = db.Close()
	})
	var refusals []string
	for _, addr := range []string{redis.Addr(), l.Addr().String()} {
		var held []net.Conn
		for len(held) < 3 {
			if conn, first := admitted(t, addr); first == "+PONG\r\n" {
				held = append(held, conn)
			} else {
				_ = conn.Close() // the one of a test before is still being closed
			}
		}
		conn, first := admitted(t, addr)
		more, _ := io.ReadAll(conn)
		refusals = append(refusals, first+string(more))
		_ = conn.Close()
		for _, conn := range held {
			_ = conn.Close()
		}
		for first = ""; first != "+PONG\r\n"; _ = conn.Close() { // there is room again, soon
			conn, first = admitted(t, addr)
		}
	}
	if refusals[0] != refusals[1] || refusals[0] == "" {
		t.Errorf("redis %q, limpet %q", refusals[0], refusals[1])
	}
}

// admitted dials, pings, and gives the first line that comes back.
func admitted(t *testing.T, addr string) (net.Conn, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(replyTimeout))
	_, _ = io.WriteString(conn, "PING\r\n")
	var line []byte
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); {
		if _, err := conn.Read(b); err != nil {
			break
		}
		line = append(line, b[0])
	}
	return conn, string(line)
}

func TestProtocol_LargeValuesAndManyArguments(t *testing.T) {
	p := startPair(t)
	same := func(name string, args ...[]byte) {
		t.Helper()
		real, ours := p.both(args...)
		if sha256.Sum256(real) != sha256.Sum256(ours) {
			t.Errorf("%s: %d bytes %.40q, real %d bytes %.40q", name, len(ours), ours, len(real), real)
		}
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 4<<20) // 64 MiB
	key, large := []byte("key"), []byte("large")
	same("SET of 64 MiB", []byte("SET"), large, big)
	same("GET of 64 MiB", []byte("GET"), large)
	same("APPEND", []byte("APPEND"), large, []byte("tail"))
	same("GETRANGE", []byte("GETRANGE"), large, []byte("-20"), []byte("-1"))
	same("DEL", []byte("DEL"), large)
	args := [][]byte{[]byte("RPUSH"), key}
	for i := range 100_000 {
		args = append(args, fmt.Append(nil, i*7919%100_003))
	}
	same("RPUSH of 100,000", args...)
	same("LRANGE", []byte("LRANGE"), key, []byte("0"), []byte("-1"))
	args[0], args[1] = []byte("SADD"), []byte("set")
	same("SADD of 100,000", args...)
	args[0] = []byte("DEL")
	same("DEL of 100,000", args...)
}

// A client that asks and does not read keeps nobody else waiting, and finds all
// its replies when it does read.
func TestProtocol_ClientThatDoesNotRead_OthersAreServed(t *testing.T) {
	p := startPair(t)
	value := bytes.Repeat([]byte("v"), 1<<20)
	p.ours.do([]byte("SET"), []byte("k"), value)
	const n = 48 // more than the kernel's buffers hold
	slow := dial(t, "slow", p.ours.addr())
	slow.send(bytes.Repeat(resp.AppendCommand(nil, []byte("GET"), []byte("k")), n))
	for range 20 {
		if got := p.again(t).ours.do([]byte("PING")); string(got) != "+PONG\r\n" {
			t.Fatalf("%q", got)
		}
	}
	for i := range n {
		if got := slow.reply(); len(got) != len(value)+len("$1048576\r\n\r\n") {
			t.Fatalf("reply %d has %d bytes", i, len(got))
		}
	}
}
