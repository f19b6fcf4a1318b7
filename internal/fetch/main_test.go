package fetch

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testAgent = "limpet/1.0 (+https://limpet.example/about)"

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// newClient returns a client that takes every host for the server at addr.
func newClient(t testing.TB, addr string, change ...func(*Options)) *Client {
	t.Helper()
	opts := Options{UserAgent: testAgent, AllowNet: loopback, PerHost: 16}
	if addr != "" {
		rule, err := ParseConnectTo("::" + addr)
		if err != nil {
			t.Fatal(err)
		}
		opts.ConnectTo = []ConnectTo{rule}
	}
	for _, f := range change {
		f(&opts)
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve starts a site that answers every host.
func serve(t testing.TB, h http.Handler) (addr string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// site is serve and newClient for a site that has no robots.txt.
func site(t testing.TB, h http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	return newClient(t, serve(t, withoutRobots(h)), change...)
}

func withoutRobots(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	}
}

// serveRaw starts a server that speaks TCP: robots.txt is not found, and any
// other request is left to answer, which gets the connection.
func serveRaw(t testing.TB, answer func(c net.Conn, path string)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	conns := make(chan struct{}, 1024)
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- struct{}{}
			go func() {
				defer func() { _ = c.Close(); <-conns }()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if req.URL.Path != "/robots.txt" {
						answer(c, req.URL.Path)
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func get(t testing.TB, c *Client, url string) *Result {
	t.Helper()
	r, err := c.Fetch(t.Context(), Request{URL: url, Seed: "test.com"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// getErr fetches what must fail.
func getErr(t testing.TB, c *Client, url string) (*Result, *Error) {
	t.Helper()
	r, err := c.Fetch(t.Context(), Request{URL: url, Seed: "test.com"})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is not an *Error", err)
	}
	return r, e
}

// resolverFunc is a Resolver.
type resolverFunc func(host string) ([]netip.Addr, error)

func (f resolverFunc) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return f(host)
}

func resolvesTo(addrs ...string) resolverFunc {
	return func(string) ([]netip.Addr, error) {
		var out []netip.Addr
		for _, a := range addrs {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}
}

func short(o *Options) {
	o.ConnectTimeout, o.TLSTimeout = 100*time.Millisecond, 100*time.Millisecond
	o.HeaderTimeout, o.BodyTimeout = 100*time.Millisecond, 100*time.Millisecond
}

// quiet is for servers whose clients fail on purpose.
var quiet = log.New(io.Discard, "", 0)
