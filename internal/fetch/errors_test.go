package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

func TestStatus_EveryOne_IsPageOrRetryOrFailure(t *testing.T) {
	retry := map[int]bool{408: true, 425: true, 429: true}
	for status := 100; status <= 999; status++ {
		e := statusError("http://test.com/", status, time.Minute)
		isPage := status/100 == 2 || status == 300
		isRetry := retry[status] || status/100 == 5
		switch {
		case isPage != (e == nil):
			t.Errorf("%d is a page: %v, want %v", status, e == nil, isPage)
		case isPage:
		case e.Kind != KindStatus || e.Status != status || e.Retryable != isRetry || (e.RetryAfter > 0) != isRetry:
			t.Errorf("%d: %+v, want retryable %v", status, e, isRetry)
		}
	}
}

func TestFetch_StatusErrors_ComeWithTheAnswer(t *testing.T) {
	for _, c := range []struct {
		status    int
		retryable bool
	}{{404, false}, {410, false}, {403, false}, {401, false}, {451, false}, {429, true}, {500, true}, {502, true},
		{503, true}, {504, true}, {304, false}, {999, false}} {
		client := site(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
		})
		r, e := getErr(t, client, "http://test.com/")
		if e.Kind != KindStatus || e.Status != c.status || e.Retryable != c.retryable || r.Status != c.status || r.RemoteIP != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%d: %+v with answer %d from %s", c.status, e, r.Status, r.RemoteIP)
		}
	}
}

func TestFetch_ErrorPageThatIsDamaged_IsStillThatStatus(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\nhalf")
	})
	if _, e := getErr(t, newClient(t, addr), "http://test.com/"); e.Kind != KindStatus || e.Status != 404 {
		t.Error(e)
	}
}

func TestRetryAfter_SecondsOrDate_CappedAtAnHour(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                     0,
		"120":                  2 * time.Minute,
		" 5 ":                  5 * time.Second,
		"0":                    0,
		"-5":                   0,
		"86400":                time.Hour,
		"99999999999999999999": 0,
		"soon":                 0,
		"1.5":                  0,
		epoch.Add(time.Minute).Format(http.TimeFormat):    time.Minute,
		epoch.Add(-time.Hour).Format(http.TimeFormat):     0,
		epoch.Add(48 * time.Hour).Format(http.TimeFormat): time.Hour,
		"Fri, 02 Jan 2026 03:05:05 GMT":                   time.Minute,
		"Friday, 02-Jan-26 03:05:05 GMT":                  time.Minute,
	} {
		if got := parseRetryAfter(value, epoch); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestFetch_RetryAfter_PostponesTheHost(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, e := getErr(t, client, "http://test.com/")
	if e.RetryAfter != 2*time.Minute || !e.Retryable {
		t.Errorf("%+v", e)
	}
	if wait := client.Ready("http://test.com/other"); wait < 119*time.Second {
		t.Errorf("the host is ready in %s", wait)
	}
	if wait := client.Ready("http://www.test.com/"); wait != 0 {
		t.Errorf("another host is ready in %s", wait)
	}
	if _, e := getErr(t, client, "http://test.com/other"); e.Kind != KindDeferred || e.RetryAfter < 119*time.Second {
		t.Errorf("the next page: %+v, want it deferred", e)
	}
}

// What raw servers do, and what it is called.
func TestFetch_BrokenServers_AreClassified(t *testing.T) {
	reset := func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }
	for _, c := range []struct {
		name      string
		answer    func(c net.Conn)
		kind      Kind
		retryable bool
	}{
		{"closes at once", func(c net.Conn) {}, KindReset, true},
		{"resets at once", reset, KindReset, true},
		{"closes within the headers", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nA: b\r\n") }, KindReset, true},
		{"closes within a header", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Ty") }, KindProtocol, true},
		{"resets within the body", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
			_, _ = c.Write(make([]byte, 1000))
			awaitRead(c)
			reset(c)
		}, KindReset, true},
		{"never answers", awaitClose, KindTimeout, true},
		{"never ends its headers", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nA: b\r\n"); awaitClose(c) }, KindTimeout, true},
		{"never ends its body", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
			awaitClose(c)
		}, KindTimeout, true},
		{"speaks SSH", func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") }, KindProtocol, true},
		{"has no status", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 twohundred\r\n\r\n") }, KindProtocol, true},
		{"has a bad length", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n") }, KindProtocol, true},
		{"has endless headers", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for line := "A: " + strings.Repeat("a", 8000) + "\r\n"; ; {
				if _, err := io.WriteString(c, line); err != nil {
					return
				}
			}
		}, KindProtocol, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := serveRaw(t, func(conn net.Conn, _ string) { c.answer(conn) })
			_, e := getErr(t, newClient(t, addr, short), "http://test.com/")
			if e.Kind != c.kind || e.Retryable != c.retryable {
				t.Errorf("kind %s, retryable %v: %v", e.Kind, e.Retryable, e)
			}
			if c.kind == KindTimeout && !isTimeout(e) {
				t.Errorf("%v is no time-out by its own account", e)
			}
		})
	}
}

func awaitClose(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }

// awaitRead waits until the other side has had time to read: there is no
// condition to wait for, so it waits for the first window to be acknowledged.
func awaitRead(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, _ = c.Read(make([]byte, 1))
}

func TestFetch_DripFedBody_MeetsTheBodyTimeout(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := c.Write([]byte("a")); err != nil {
				return
			}
		}
	})
	_, e := getErr(t, newClient(t, addr, short), "http://test.com/")
	if e.Kind != KindTimeout || !errors.Is(e, os.ErrDeadlineExceeded) || !strings.Contains(e.Error(), "body took longer than 100ms") {
		t.Error(e)
	}
}

func TestFetch_TotalTimeout_BoundsOneExchange(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn, _ string) { awaitClose(c) })
	client := newClient(t, addr, func(o *Options) { o.TotalTimeout = 50 * time.Millisecond })
	if _, e := getErr(t, client, "http://test.com/"); e.Kind != KindTimeout || !strings.Contains(e.Error(), "exchange took longer") {
		t.Error(e)
	}
}

func TestFetch_Cancelled_SaysSoAndMayBeRetried(t *testing.T) {
	asked := make(chan struct{})
	addr := serveRaw(t, func(c net.Conn, _ string) { close(asked); awaitClose(c) })
	client := newClient(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := client.Fetch(ctx, Request{URL: "http://test.com/", Seed: "test.com"})
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindCancelled || !e.Retryable || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFetch_NobodyListens_IsAConnectError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if _, e := getErr(t, newClient(t, l.Addr().String()), "http://test.com/"); e.Kind != KindConnect || !e.Retryable {
		t.Error(e)
	}
}

func TestFetch_SilentAddress_IsAConnectTimeout(t *testing.T) {
	// A listener whose queue is full lets further connections hang.
	fd := fullListener(t)
	if _, e := getErr(t, newClient(t, fd, short), "http://test.com/"); e.Kind != KindTimeout || !strings.Contains(e.Error(), "connect took longer") {
		t.Error(e)
	}
}

func TestFetch_DNSFailures_RetryUnlessTheNameDoesNotExist(t *testing.T) {
	for _, c := range []struct {
		err       error
		retryable bool
	}{
		{&net.DNSError{Err: "no such host", Name: "test.com", IsNotFound: true}, false},
		{&net.DNSError{Err: "server misbehaving", Name: "test.com", IsTemporary: true}, true},
		{&net.DNSError{Err: "i/o timeout", Name: "test.com", IsTimeout: true}, true},
		{nil, false}, // an empty answer
	} {
		client := newClient(t, "", func(o *Options) {
			o.Resolver = resolverFunc(func(string) ([]netip.Addr, error) { return nil, c.err })
		})
		if _, e := getErr(t, client, "http://test.com/"); e.Kind != KindDNS || e.Retryable != c.retryable {
			t.Errorf("%v: kind %s, retryable %v", c.err, e.Kind, e.Retryable)
		}
	}
}

func TestFetch_NoPageURL_IsAnErrorWithoutARequest(t *testing.T) {
	client := newClient(t, "")
	for _, url := range []string{"", "test.com", "ftp://test.com/", "http://", "http://user:secret@test.com/", "mailto:a@test.com", "http://a b/"} {
		if _, e := getErr(t, client, url); e.Kind != KindProtocol || e.Retryable {
			t.Errorf("%q: %v", url, e)
		}
	}
}

func TestResolver_IsAskedForAbsoluteNames(t *testing.T) {
	var asked string
	r := absoluteNames{resolverFunc(func(host string) ([]netip.Addr, error) { asked = host; return nil, nil })}
	for _, host := range []string{"test.com", "test.com."} {
		_, _ = r.LookupNetIP(t.Context(), "ip", host)
		if asked != "test.com." {
			t.Errorf("%s: asked for %s", host, asked)
		}
	}
}

func TestError_Text_NamesURLKindAndCause(t *testing.T) {
	for want, e := range map[string]*Error{
		"fetch http://a/: status 503":        {Kind: KindStatus, URL: "http://a/", Status: 503},
		"fetch http://a/: connect: no route": {Kind: KindConnect, URL: "http://a/", Err: fmt.Errorf("no route")},
	} {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e, want)
		}
	}
}

func TestNew_OptionsThatMakeNoSense_AreErrors(t *testing.T) {
	for _, o := range []Options{
		{}, {UserAgent: "1"}, {UserAgent: "a\r\nCookie: b"}, {UserAgent: "a", PerHost: -1}, {UserAgent: "a", Delay: -1},
		{UserAgent: "a", MaxBody: -1}, {UserAgent: "a", MaxHops: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
