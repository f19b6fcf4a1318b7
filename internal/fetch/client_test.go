package fetch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFetch_Page_ComesWithAllThereIsToKnow(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "Text/HTML; charset=utf-8")
		w.Header().Set("Server", "limpet-test")
		_, _ = io.WriteString(w, page)
	})
	r := get(t, client, "HTTP://Test.com:80/a/../b#fragment")
	if r.URL != "http://test.com/b" || r.Status != 200 || r.Proto != "HTTP/1.1" || r.Header.Get("Server") != "limpet-test" ||
		string(r.Body) != page || r.RawSize != int64(len(page)) || r.Truncated || r.MediaType != "text/html" || !r.IsHTML() ||
		r.Charset != "utf-8" || r.RemoteIP.String() != "127.0.0.1" || r.TLS != nil || r.TLSVerifyError != nil ||
		len(r.Hops) != 0 || r.Stop != "" || r.FallbackCause != nil || r.Sniffed {
		t.Errorf("%+v", r)
	}
	if r.Timings.TTFB <= 0 || r.Timings.Total < r.Timings.TTFB {
		t.Errorf("%+v", r.Timings)
	}
}

func TestFetch_Request_SendsNothingThatTellsOnUs(t *testing.T) {
	var mu sync.Mutex
	var requests []http.Header
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		requests = append(requests, r.Header.Clone())
		mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: "id", Value: "1"})
		if r.URL.Path == "/a" {
			http.Redirect(w, r, "/b", http.StatusFound)
		}
	})
	get(t, client, "http://test.com/a")
	get(t, client, "http://test.com/b")
	for _, header := range requests {
		for name := range header {
			switch name {
			case "User-Agent", "Accept", "Accept-Encoding":
			default:
				t.Errorf("sent %s: %s", name, header[name])
			}
		}
		if header.Get("User-Agent") != testAgent {
			t.Errorf("User-Agent was %q", header.Get("User-Agent"))
		}
	}
}

// The URL on the wire is the normalised URL to the byte; net/url must not
// rewrite what weburl has settled.
func TestFetch_URL_IsSentAsItIs(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) })
	for _, path := range []string{
		"/", "/a%20b", "/a%2Fb", "/%E3%83%84", "/a;b=c,d", "/!$&'()*+,;=:@", "/%5B%7C%5D", "/a?b=c&d=%20+", "/a?b?c/d",
		"/%25", "/~user/", "//x//", "/a?%5B%5D=1", "/?a", "/*", "/a%3Fb",
	} {
		if r := get(t, client, "http://test.com"+path); string(r.Body) != path {
			t.Errorf("%s was sent as %s", path, r.Body)
		}
	}
}

func TestRedirects_InScope_AreFollowedAndRecorded(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Host + r.URL.Path {
		case "test.com/":
			http.Redirect(w, r, "/a b", http.StatusMovedPermanently)
		case "test.com/a b":
			http.Redirect(w, r, "//www.test.com/c#top", http.StatusTemporaryRedirect)
		default:
			_, _ = io.WriteString(w, page)
		}
	})
	r := get(t, client, "http://test.com/")
	want := []Hop{
		{"http://test.com/", 301, "/a b", "http://test.com/a%20b"},
		{"http://test.com/a%20b", 307, "//www.test.com/c#top", "http://www.test.com/c"},
	}
	if len(r.Hops) != 2 || r.Hops[0] != want[0] || r.Hops[1] != want[1] || r.URL != "http://www.test.com/c" || r.Status != 200 || r.Stop != "" {
		t.Errorf("%+v", r)
	}
}

func TestRedirects_WhereNotToGo_AreRecordedAndStop(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]bool{}
	client := newClient(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Host+r.URL.Path] = true
		mu.Unlock()
		switch {
		case r.URL.Path == "/robots.txt":
			_, _ = io.WriteString(w, "User-agent: *\nDisallow: /private")
		case r.URL.Query().Has("to"):
			w.Header().Set("Location", r.URL.Query().Get("to"))
			w.WriteHeader(http.StatusFound)
		}
	})))
	for _, c := range []struct {
		location, target string
		stop             Stop
		samePage         bool
	}{
		{"http://other.com/", "http://other.com/", StopScope, false},
		{"http://eviltest.com/", "http://eviltest.com/", StopScope, false},
		{"http://127.0.0.1/", "http://127.0.0.1/", StopScope, false},
		{"http://test.com.evil.com/", "http://test.com.evil.com/", StopScope, false},
		{"/private/x", "http://test.com/private/x", StopRobots, false},
		{"ftp://test.com/", "", StopTarget, false},
		{"javascript:alert(1)", "", StopTarget, false},
		{"http://user:pass@test.com/", "", StopTarget, false},
		{"http://%zz/", "", StopTarget, false},
		{"/elsewhere", "http://test.com/elsewhere", StopOtherPage, true},
	} {
		url := "http://test.com/?to=" + strings.NewReplacer("%", "%25", "&", "%26").Replace(c.location)
		r, err := client.Fetch(t.Context(), Request{URL: url, Seed: "test.com", SamePageOnly: c.samePage})
		if err != nil {
			t.Errorf("%s: %v", c.location, err)
			continue
		}
		want := Hop{r.URL, 302, c.location, c.target}
		if r.Stop != c.stop || r.Status != 302 || len(r.Hops) != 1 || r.Hops[0] != want {
			t.Errorf("%s: stopped for %q with %+v", c.location, r.Stop, r.Hops)
		}
	}
	for _, never := range []string{"other.com/", "eviltest.com/", "test.com/private/x", "test.com/elsewhere", "other.com/robots.txt"} {
		if asked[never] {
			t.Errorf("%s was asked for", never)
		}
	}
}

func TestRedirects_NoSeed_NoneIsFollowed(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/b", http.StatusFound) })
	r, err := client.Fetch(t.Context(), Request{URL: "http://test.com/a"})
	if err != nil || r.Stop != StopScope {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRedirects_WithoutLocation_AreFailures(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusFound) })
	if _, e := getErr(t, client, "http://test.com/"); e.Kind != KindStatus || e.Status != 302 || e.Retryable {
		t.Error(e)
	}
}

func TestRedirects_MaxHops_IsTheLastOneFollowed(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &n)
		if n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
		}
	})
	if r := get(t, client, "http://test.com/10"); len(r.Hops) != 10 || r.URL != "http://test.com/0" {
		t.Errorf("%d hops to %s", len(r.Hops), r.URL)
	}
	r, e := getErr(t, client, "http://test.com/11")
	if e.Kind != KindRedirects || e.Retryable || len(r.Hops) != 11 {
		t.Errorf("%v after %d hops", e, len(r.Hops))
	}
}

func TestRedirects_Circle_EndsAtOnce(t *testing.T) {
	var asked atomic.Int32
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, map[string]string{"/a": "/b", "/b": "/c", "/c": "/b#x"}[r.URL.Path], http.StatusFound)
	})
	if _, e := getErr(t, client, "http://test.com/a"); e.Kind != KindRedirects || asked.Load() != 3 {
		t.Errorf("%v after %d requests", e, asked.Load())
	}
}

func TestRedirects_LargeBodies_AreNotRead(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			http.Redirect(w, r, "/b", http.StatusFound)
			_, _ = w.Write(make([]byte, 4*maxRedirectBody))
			return
		}
		_, _ = io.WriteString(w, page)
	})
	if r := get(t, client, "http://test.com/a"); string(r.Body) != page {
		t.Errorf("got %q", r.Body)
	}
	r, err := client.Fetch(t.Context(), Request{URL: "http://test.com/a", Seed: "test.com", SamePageOnly: true})
	if err != nil || r.Stop != StopOtherPage || r.RawSize != maxRedirectBody || !r.Truncated {
		t.Errorf("%d bytes read of a redirect's body, stopped for %q: %v", r.RawSize, r.Stop, err)
	}
}

// certificate makes a self-signed one.
func certificate(t testing.TB, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "limpet test"},
		DNSNames:     []string{"test.com", "*.test.com"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serveTLS starts a site over https; quiet drops the server's log of failed
// handshakes.
func serveTLS(t testing.TB, h http.HandlerFunc, cert tls.Certificate, change ...func(*httptest.Server)) (addr string) {
	t.Helper()
	server := httptest.NewUnstartedServer(withoutRobots(h))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet
	for _, f := range change {
		f(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func trusting(certs ...tls.Certificate) func(*Options) {
	return func(o *Options) {
		o.RootCAs = x509.NewCertPool()
		for _, c := range certs {
			o.RootCAs.AddCert(c.Leaf)
		}
	}
}

func TestTLS_ValidCertificate_HTTP2_IsRecorded(t *testing.T) {
	cert := certificate(t, nil)
	client := newClient(t, serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+r.TLS.ServerName)
	}, cert), trusting(cert))
	for i := range 3 {
		r := get(t, client, "https://www.test.com/")
		if r.Proto != "HTTP/2.0" || string(r.Body) != "HTTP/2.0 www.test.com" || r.TLSVerifyError != nil ||
			r.TLS == nil || r.TLS.PeerCertificates[0].Subject.CommonName != "limpet test" || r.RemoteIP.String() != "127.0.0.1" {
			t.Errorf("request %d: %+v", i, r)
		}
		// The connection is made for robots.txt, so no page has a handshake.
		if r.Timings.TLS != 0 {
			t.Errorf("request %d: handshake of %s on a connection used before", i, r.Timings.TLS)
		}
	}
}

func TestTLS_InvalidCertificates_ArePagesWithAFinding(t *testing.T) {
	valid := certificate(t, nil)
	for _, c := range []struct {
		name   string
		cert   tls.Certificate
		trust  bool
		host   string
		target any
	}{
		{"self-signed", valid, false, "test.com", new(x509.UnknownAuthorityError)},
		{"of another host", valid, true, "a.b.test.com", new(x509.HostnameError)},
		{"expired", certificate(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), true, "test.com", new(x509.CertificateInvalidError)},
		{"not yet valid", certificate(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), true, "test.com", new(x509.CertificateInvalidError)},
	} {
		addr := serveTLS(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, page) }, c.cert)
		trust := trusting()
		if c.trust {
			trust = trusting(c.cert)
		}
		client := newClient(t, addr, trust)
		for range 2 { // on a fresh and on a used connection
			r := get(t, client, "https://"+c.host+"/")
			if string(r.Body) != page || !errors.As(r.TLSVerifyError, c.target) {
				t.Errorf("%s: %v", c.name, r.TLSVerifyError)
			}
		}
		client.Close() // the next session is resumed, and the finding with it
		if r := get(t, client, "https://"+c.host+"/x"); r.TLSVerifyError == nil {
			t.Errorf("%s: no finding after a resumed handshake", c.name)
		}
		strict := newClient(t, addr, trust, func(o *Options) { o.StrictTLS = true })
		if _, e := getErr(t, strict, "https://"+c.host+"/"); e.Kind != KindTLS || e.Retryable {
			t.Errorf("%s, strict: %v", c.name, e)
		}
	}
}

func TestTLS_VersionTooOld_IsATLSError(t *testing.T) {
	addr := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {}, certificate(t, nil), func(s *httptest.Server) {
		s.EnableHTTP2 = false // HTTP/2 needs TLS 1.2
		s.TLS.MinVersion, s.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	})
	if r := get(t, newClient(t, addr), "https://test.com/"); r.TLS.Version != tls.VersionTLS11 {
		t.Errorf("by default: version %x", r.TLS.Version)
	}
	modern := newClient(t, addr, func(o *Options) { o.MinTLS = tls.VersionTLS12 })
	if _, e := getErr(t, modern, "https://test.com/"); e.Kind != KindTLS || e.Retryable {
		t.Errorf("with MinTLS 1.2: kind %s: %v", e.Kind, e)
	}
}

func TestTLS_SilentServer_IsATimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel connects, nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, e := getErr(t, newClient(t, l.Addr().String(), short), "https://test.com/")
	if e.Kind != KindTimeout || !e.Retryable || !e.unconnected || !strings.Contains(e.Error(), "tls took longer than 100ms") {
		t.Errorf("kind %s: %v", e.Kind, e)
	}
}

// fallbackClient reaches https and http of test.com at different servers.
func fallbackClient(t *testing.T, https, http string) *Client {
	return newClient(t, "", func(o *Options) {
		for _, s := range []string{":443:" + https, ":80:" + http} {
			rule, err := ParseConnectTo(s)
			if err != nil {
				t.Fatal(err)
			}
			o.ConnectTo = append(o.ConnectTo, rule)
		}
		o.TLSTimeout = 100 * time.Millisecond
	})
}

func TestFallback_HTTPSDoesNotAnswer_HTTPDoes(t *testing.T) {
	plain := serve(t, withoutRobots(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, page) }))
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	oldTLS := serveTLS(t, nil, certificate(t, nil), func(s *httptest.Server) {
		s.TLS.CipherSuites = []uint16{tls.TLS_RSA_WITH_RC4_128_SHA} // agreed with no one
		s.TLS.MaxVersion = tls.VersionTLS12
	})
	for name, c := range map[string]struct {
		https string
		kind  Kind
	}{
		"nobody listens": {nobody.Addr().String(), KindConnect},
		"no TLS there":   {plain, KindTLS},
		"no common TLS":  {oldTLS, KindTLS},
		"queue is full":  {fullListener(t), KindTimeout},
	} {
		client := fallbackClient(t, c.https, plain)
		client.transport.DialTLSContext = withShortConnect(client)
		req := Request{URL: "https://test.com/", Seed: "test.com", AllowSchemeFallback: true}
		r, err := client.Fetch(t.Context(), req)
		var cause *Error
		if err != nil || r.URL != "http://test.com/" || string(r.Body) != page || !errors.As(r.FallbackCause, &cause) || cause.Kind != c.kind {
			t.Errorf("%s: %+v because %v: %v", name, r.URL, r.FallbackCause, err)
		}
		req.AllowSchemeFallback = false
		if _, err := client.Fetch(t.Context(), req); err == nil {
			t.Errorf("%s: fell back without leave", name)
		}
	}
}

func withShortConnect(c *Client) func(context.Context, string, string) (net.Conn, error) {
	d := &dialer{resolver: c.opts.Resolver, connectTo: c.opts.ConnectTo, guard: newGuard(c.opts.AllowNet),
		tls:            &tls.Config{InsecureSkipVerify: true},
		connectTimeout: 100 * time.Millisecond, tlsTimeout: 100 * time.Millisecond}
	return d.dialTLS
}

func TestFallback_HTTPSAnswersBadly_StaysHTTPS(t *testing.T) {
	plain := serve(t, withoutRobots(func(w http.ResponseWriter, r *http.Request) { t.Error("http was asked") }))
	secure := serveTLS(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, certificate(t, nil))
	client := fallbackClient(t, secure, plain)
	_, err := client.Fetch(t.Context(), Request{URL: "https://test.com/", Seed: "test.com", AllowSchemeFallback: true})
	var e *Error
	if !errors.As(err, &e) || e.Status != 500 || !strings.HasPrefix(e.URL, "https:") {
		t.Error(err)
	}
}

func TestFallback_NeitherAnswers_TheHTTPSErrorCounts(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	client := newClient(t, nobody.Addr().String())
	_, err = client.Fetch(t.Context(), Request{URL: "https://test.com/", Seed: "test.com", AllowSchemeFallback: true})
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindConnect || !strings.HasPrefix(e.URL, "https:") {
		t.Error(err)
	}
}

func TestTimings_FreshConnection_HasItsHandshakes(t *testing.T) {
	addr := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {}, certificate(t, nil))
	_, port, _ := net.SplitHostPort(addr)
	client := newClient(t, "", func(o *Options) { o.Resolver = resolvesTo("127.0.0.1") })
	answer, err := client.exchange(t.Context(), "https://test.com:"+port+"/", 1000)
	if err != nil {
		t.Fatal(err)
	}
	if tm := answer.Timings; tm.DNS <= 0 || tm.Connect <= 0 || tm.TLS <= 0 || tm.TTFB <= 0 || tm.Total < tm.Connect+tm.TLS+tm.TTFB {
		t.Errorf("%+v", tm)
	}
}

func TestDial_SlowAddress_IsOvertaken(t *testing.T) {
	addr := fullListener(t) // 127.0.0.1 only
	_, port, _ := net.SplitHostPort(addr)
	l, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	d := &dialer{guard: newGuard(loopback)}
	addrs, _ := resolvesTo("127.0.0.1", "127.0.0.2")("")
	c, err := d.dialAny(t.Context(), "test.com", port, addrs)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if got := c.RemoteAddr().String(); got != l.Addr().String() {
		t.Errorf("connected to %s", got)
	}
}
