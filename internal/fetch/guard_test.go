package fetch

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestGuard_RefusesWhateverIsNotPublic(t *testing.T) {
	for _, c := range []struct{ addr, reason string }{
		{"127.0.0.1", "loopback"},
		{"127.255.255.254", "loopback"},
		{"::1", "loopback"},
		{"::ffff:127.0.0.1", "loopback"},
		{"::ffff:10.1.2.3", "private"},
		{"::7f00:1", "IPv4-compatible"},
		{"10.0.0.1", "private"},
		{"172.16.0.1", "private"},
		{"172.31.255.255", "private"},
		{"192.168.1.1", "private"},
		{"169.254.1.1", "link-local"},
		{"fe80::1", "link-local"},
		{"fe80::1%eth0", "link-local"},
		{"fec0::1", "site-local"},
		{"100.64.0.1", "carrier-grade NAT"},
		{"100.127.255.255", "carrier-grade NAT"},
		{"224.0.0.1", "multicast"},
		{"239.255.255.255", "multicast"},
		{"ff02::1", "multicast"},
		{"0.0.0.0", "unspecified"},
		{"0.1.2.3", "unspecified"},
		{"::", "unspecified"},
		{"255.255.255.255", "broadcast"},
		{"240.0.0.1", "reserved"},
		{"192.0.2.1", "documentation"},
		{"198.51.100.1", "documentation"},
		{"203.0.113.1", "documentation"},
		{"2001:db8::1", "documentation"},
		{"3fff::1", "documentation"},
		{"198.18.0.1", "benchmarking"},
		{"192.88.99.1", "6to4 relay"},
		{"192.0.0.1", "protocol assignments"},
		{"169.254.169.254", "cloud metadata"},
		{"::ffff:169.254.169.254", "cloud metadata"},
		{"fd00:ec2::254", "cloud metadata"},
		{"fd20:ce::254", "cloud metadata"},
		{"100.100.100.200", "cloud metadata"},
		{"168.63.129.16", "cloud metadata"},
		{"fc00::1", "unique local"},
		{"fd12:3456::1", "unique local"},
		{"100::1", "discard"},
		{"64:ff9b:1::1", "local NAT64"},
		{"64:ff9b::7f00:1", "NAT64 of 127.0.0.1, loopback"},
		{"64:ff9b::a9fe:a9fe", "NAT64 of 169.254.169.254, cloud metadata"},
		{"2002:a00:1::1", "6to4 of 10.0.0.1, private"},
		{"2002:7f00:1::", "6to4 of 127.0.0.1, loopback"},
		{"2001:0:7f00:1::1", "Teredo server of 127.0.0.1, loopback"},
		{"2001:0:102:304::f5ff:fffe", "Teredo of 10.0.0.1, private"},
		{"2600::5efe:c0a8:101", "ISATAP of 192.168.1.1, private"},
		{"2600::200:5efe:c0a8:101", "ISATAP of 192.168.1.1, private"},
	} {
		err := guard{}.check("x.test", netip.MustParseAddr(c.addr))
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Reason != c.reason {
			t.Errorf("%s: got %v, want refusal: %s", c.addr, err, c.reason)
			continue
		}
		if allowed := newGuard([]netip.Prefix{refused.Permit}); allowed.check("x.test", netip.MustParseAddr(c.addr)) != nil {
			t.Errorf("%s: --allow-net %s, as the error says, does not permit it", c.addr, refused.Permit)
		}
	}
	if err := (guard{}).check("x.test", netip.Addr{}); err == nil {
		t.Error("no address at all is permitted")
	}
}

func TestRefusedRanges_AreWrittenAsTheyAreMatched(t *testing.T) {
	for _, r := range refusedRanges {
		if r.prefix != r.prefix.Masked() {
			t.Errorf("%s matches %s", r.prefix, r.prefix.Masked())
		}
	}
}

func TestGuard_PermitsPublicAddresses(t *testing.T) {
	for _, addr := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255",
		"172.32.0.0", "192.167.255.255", "223.255.255.255", "169.253.0.1",
		"2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8",
		"2001:0:808:808::f7f7:f7f7",
	} {
		if err := (guard{}).check("x.test", netip.MustParseAddr(addr)); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestGuard_AllowNet_PermitsThatRangeOnly(t *testing.T) {
	g := newGuard([]netip.Prefix{netip.MustParsePrefix("::ffff:10.1.0.0/112"), netip.MustParsePrefix("127.0.0.1/32")})
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false,
		"127.0.0.1": true, "127.0.0.2": false, "::1": false, "64:ff9b::7f00:1": false,
	} {
		if got := g.check("x", netip.MustParseAddr(addr)) == nil; got != want {
			t.Errorf("%s permitted: %v, want %v", addr, got, want)
		}
	}
}

func TestFetch_Loopback_IsRefusedInPlainWords(t *testing.T) {
	addr := serve(t, http.NotFoundHandler())
	c := newClient(t, "", func(o *Options) {
		o.AllowNet = nil
		o.Resolver = resolvesTo("127.0.0.1")
	})
	_, port, _ := net.SplitHostPort(addr)
	_, e := getErr(t, c, "http://test.com:"+port+"/")
	const want = "address 127.0.0.1 of host test.com is refused: loopback; pass --allow-net 127.0.0.0/8 to permit"
	if e.Kind != KindRefused || e.Retryable || !strings.Contains(e.Error(), want) {
		t.Errorf("got %v (kind %s, retryable %v), want %q", e, e.Kind, e.Retryable, want)
	}
}

func TestFetch_AddressLiterals_MeetTheGuard(t *testing.T) {
	c := newClient(t, "", func(o *Options) { o.AllowNet = nil })
	for _, url := range []string{
		"http://127.0.0.1:1/", "http://[::1]:1/", "http://[::ffff:127.0.0.1]:1/", "http://0x7f.1:1/",
		"http://2130706433:1/", "https://127.0.0.1:1/", "http://0.0.0.0:1/", "http://[::]:1/",
	} {
		if _, e := getErr(t, c, url); e.Kind != KindRefused {
			t.Errorf("%s: %v, want it refused", url, e)
		}
	}
}

func TestFetch_ConnectTo_IsSubjectToTheGuard(t *testing.T) {
	c := newClient(t, serve(t, http.NotFoundHandler()), func(o *Options) { o.AllowNet = nil })
	if _, e := getErr(t, c, "http://test.com/"); e.Kind != KindRefused {
		t.Errorf("%v, want it refused", e)
	}
}

// A name that resolves to a public address at first and to a private one later
// gets nowhere: every connection is checked at its own address.
func TestFetch_DNSRebinding_IsRefusedAtTheSocket(t *testing.T) {
	var asked, served atomic.Int32
	addr := serve(t, withoutRobots(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		w.Header().Set("Connection", "close")
	}))
	_, port, _ := net.SplitHostPort(addr)
	c := newClient(t, "", func(o *Options) {
		// 127.0.0.2 stands for the public address, 127.0.0.1 for the private.
		o.AllowNet = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
		o.ConnectTimeout = 200e6
		o.Resolver = resolverFunc(func(string) ([]netip.Addr, error) {
			if asked.Add(1) == 1 {
				return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		})
	})
	if _, e := getErr(t, c, "http://test.com:"+port+"/"); e.Kind != KindConnect {
		t.Errorf("public address: %v, want the connection tried (nothing listens there)", e)
	}
	c.robots.origins = map[string]*origin{} // the failure is remembered otherwise
	if _, e := getErr(t, c, "http://test.com:"+port+"/"); e.Kind != KindRefused {
		t.Errorf("private address: %v, want it refused", e)
	}
	if served.Load() != 0 {
		t.Error("the private address was asked for a page")
	}
}

func TestFetch_SomeAddressesRefused_OthersAreUsed(t *testing.T) {
	addr := serve(t, withoutRobots(func(w http.ResponseWriter, r *http.Request) {}))
	_, port, _ := net.SplitHostPort(addr)
	c := newClient(t, "", func(o *Options) { o.Resolver = resolvesTo("10.0.0.1", "169.254.169.254", "127.0.0.1") })
	if r := get(t, c, "http://test.com:"+port+"/"); r.RemoteIP != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("answered by %s", r.RemoteIP)
	}
}

func TestFetch_RedirectInward_IsRefused(t *testing.T) {
	c := site(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://inside.test.com/", http.StatusFound)
	}, func(o *Options) {
		rule, _ := ParseConnectTo("inside.test.com::169.254.169.254:80")
		o.ConnectTo = append([]ConnectTo{rule}, o.ConnectTo...)
	})
	r, e := getErr(t, c, "http://test.com/")
	if e.Kind != KindRefused || len(r.Hops) != 1 {
		t.Errorf("%v after %d hops, want it refused after 1", e, len(r.Hops))
	}
}

// HTTP_PROXY would connect where the guard cannot see.
func TestFetch_ProxyOfTheEnvironment_IsNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	c := site(t, func(w http.ResponseWriter, r *http.Request) {})
	get(t, c, "http://test.com/")
	if c.transport.Proxy != nil {
		t.Error("the transport has a proxy function")
	}
}
