package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"limpet"
	"limpet/vfs"
)

// remoteAddr makes connections look as if they came from another address.
type remoteListener struct {
	net.Listener
	from net.Addr
}

type remoteConn struct {
	net.Conn
	from net.Addr
}

func (l remoteListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return remoteConn{c, l.from}, err
}

func (c remoteConn) RemoteAddr() net.Addr { return c.from }

// doorway is a server whose visitors come from an address of the test's choosing.
func doorway(t *testing.T, from net.Addr, password string, o Options) (*Server, func() string) {
	t.Helper()
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem(), Password: password})
	if err != nil {
		t.Fatal(err)
	}
	s := New(db, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(remoteListener{l, from}) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != ErrClosed {
			t.Error(err)
		}
		_ = db.Close()
	})
	return s, func() string {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, "PING\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		return strings.TrimSpace(line)
	}
}

func TestProtected_StrangersAreDenied_UntilThereIsAPassword(t *testing.T) {
	far := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}
	for _, row := range []struct {
		from     net.Addr
		password string
		on       bool
		want     string
	}{
		{far, "", true, "-DENIED Redis is running in protected mode because protected mode is enabled"},
		{far, "", false, "+PONG"},
		{far, "pw", true, "-NOAUTH"},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}, "", true, "+PONG"},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1")}, "", true, "+PONG"},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::1")}, "", true, "-DENIED"},
		{&net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, "", true, "-DENIED"},
	} {
		s, ping := doorway(t, row.from, row.password, Options{Protected: row.on})
		if got := ping(); !strings.HasPrefix(got, row.want) {
			t.Errorf("%v, password %q, protected %v: %q", row.from, row.password, row.on, got)
		}
		if !row.on {
			s.SetProtected(true)
			if got := ping(); !strings.HasPrefix(got, "-DENIED") {
				t.Errorf("after SetProtected: %q", got)
			}
		}
	}
}

func TestMaxClients_CanBeChanged(t *testing.T) {
	s, ping := doorway(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, "", Options{})
	s.SetMaxClients(0)
	if got := ping(); got != "-ERR max number of clients reached" {
		t.Error(got)
	}
	s.SetMaxClients(1)
	if got := ping(); got != "+PONG" {
		t.Error(got)
	}
}

// Both kinds of connection: those of a loop and those with a goroutine.
func TestIdleTimeout_SetLater_ClosesTheSilent(t *testing.T) {
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s := New(db, Options{})
	defer func() { _ = s.Close() }()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	_, _ = io.WriteString(c, "CLIENT INFO\r\n")
	_, _ = r.ReadString('\n')
	if info, _ := r.ReadString('\n'); !strings.Contains(info, fmt.Sprintf(" addr=%s:0 laddr=%s:0 ", path, path)) {
		t.Error(info)
	}
	inMemory, err := s.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inMemory.Close() }()
	_, _ = io.WriteString(inMemory, "PING\r\n")
	if _, err := io.ReadFull(inMemory, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	s.SetIdleTimeout(10 * time.Millisecond)
	if _, err := io.Copy(io.Discard, inMemory); err != nil {
		t.Errorf("in memory: not closed: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("not closed: %v", err)
	}
	_ = s.Close()
	if err := <-done; err != ErrClosed {
		t.Error(err)
	}
}
