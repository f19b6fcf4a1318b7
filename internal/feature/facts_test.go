package feature

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestURL_DescribesTheAddress(t *testing.T) {
	got := describeURL("https://a.b-c.xn--bcher-kva.co.uk:8443/Path_1/x2.tar.GZ?q=%C3%A9&&r=~")
	want := URL{
		Href:         "https://a.b-c.xn--bcher-kva.co.uk:8443/Path_1/x2.tar.GZ?q=%C3%A9&&r=~",
		Scheme:       "https",
		Host:         "a.b-c.xn--bcher-kva.co.uk",
		Port:         8443,
		Length:       69,
		HostLength:   25,
		PathLength:   17,
		QueryLength:  13,
		PathDepth:    2,
		QueryParams:  2,
		Digits:       8,
		Hyphens:      4,
		Dots:         6,
		Underscores:  1,
		Escapes:      2,
		Special:      1,
		Entropy:      got.Entropy,
		HostEntropy:  got.HostEntropy,
		LongestToken: 5,
		Extension:    "gz",
		Punycode:     true,
		Registrable:  "xn--bcher-kva.co.uk",
		Suffix:       "co.uk",
		Subdomains:   2,
	}
	want.Length = len(want.Href)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ip := describeURL("http://192.0.2.1/")
	if !ip.IPHost || ip.Registrable != "" || ip.Subdomains != 0 || ip.Port != 80 || ip.PathDepth != 0 {
		t.Errorf("%+v", ip)
	}
}

func TestEntropy_IsShannons(t *testing.T) {
	for s, want := range map[string]float64{"": 0, "aaaa": 0, "abab": 1, "abcd": 2, "aab": 0.918} {
		if got := entropy(s); got != want {
			t.Errorf("entropy(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestHTTP_DescribesTheExchange(t *testing.T) {
	in := pageInput("<p>")
	in.Header = http.Header{
		"Server":                    {"nginx"},
		"X-Powered-By":              {"PHP/8.2", "Limpet"},
		"Strict-Transport-Security": {"max-age=1"},
		"Content-Security-Policy":   {strings.Repeat("é", MaxText)},
		"Set-Cookie": {
			"a=secret; Secure; HttpOnly; SameSite=Lax; Max-Age=10",
			"b=secret; SameSite=None; Expires=Thu, 01 Jan 2037 00:00:00 GMT",
			"c=secret; SameSite=Strict",
			"d=secret; Max-Age=0",
			"=; nonsense",
		},
	}
	in.RemoteIP = netip.MustParseAddr("::ffff:192.0.2.1")
	in.Timings = Timings{DNS: 1500 * time.Microsecond, Total: time.Second}
	in.Hops = []Hop{{"http://me:secret@test.com/", 301, "https://me:secret@www.test.com/shop/?page=1"}}
	got := describeHTTP(&in)

	if got.Server != "nginx" || got.PoweredBy != "PHP/8.2, Limpet" || got.Security.HSTS != "max-age=1" || got.HeaderCount != 5 {
		t.Errorf("headers: %+v", got)
	}
	if csp := got.Security.CSP; len(csp) != MaxText || !utf8.ValidString(csp) {
		t.Errorf("a long header must be cut between characters: %d bytes", len(csp))
	}
	wantCookies := Cookies{Count: 4, Names: []string{"a", "b", "c", "d"}, Secure: 1, HTTPOnly: 1, Persistent: 2, Lax: 1, Strict: 1, None: 1}
	if diff := cmp.Diff(wantCookies, got.Cookies); diff != "" {
		t.Errorf("cookies (-want +got):\n%s", diff)
	}
	if got.RemoteIP != "192.0.2.1" || got.Timings != (Millis{DNS: 1.5, Total: 1000}) {
		t.Errorf("%s, %+v", got.RemoteIP, got.Timings)
	}
	wantHops := []HopRec{{"http://test.com/", 301, "https://www.test.com/shop/?page=1"}}
	if got.HopCount != 1 || !slices.Equal(got.Hops, wantHops) {
		t.Errorf("%+v", got.Hops)
	}
	if stored, _ := Marshal(Record{V: Version, HTTP: got}); func() bool {
		line, _ := StoredJSON(stored)
		return strings.Contains(string(line), "secret")
	}() {
		t.Error("a secret reached the record")
	}
}

func TestHTTP_ListsAreCappedAndCountsExact(t *testing.T) {
	in := pageInput("")
	in.Hops = make([]Hop, MaxHops+5)
	in.Header = http.Header{}
	for i := range MaxCookies + 5 {
		in.Header.Add("Set-Cookie", fmt.Sprintf("c%d=1", i))
	}
	got := describeHTTP(&in)
	if got.HopCount != MaxHops+5 || len(got.Hops) != MaxHops {
		t.Errorf("%d hops, %d kept", got.HopCount, len(got.Hops))
	}
	if got.Cookies.Count != MaxCookies+5 || len(got.Cookies.Names) != MaxCookies {
		t.Errorf("%d cookies, %d kept", got.Cookies.Count, len(got.Cookies.Names))
	}
}

var (
	issued  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	expires = issued.AddDate(0, 0, 90)
)

// certificate makes one for the names, signed by parent or by itself.
func certificate(t *testing.T, subject string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, names ...string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: subject},
		NotBefore:             issued,
		NotAfter:              expires,
		DNSNames:              names,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestTLS_DescribesTheCertificate(t *testing.T) {
	root, rootKey := certificate(t, "Root", nil, nil)
	names := []string{"*.test.com"}
	for i := range MaxNames + 5 {
		names = append(names, fmt.Sprintf("n%d.example", i))
	}
	leaf, _ := certificate(t, "Leaf", root, rootKey, names...)
	in := pageInput("")
	in.RequestedAt = issued.Add(36 * time.Hour)
	in.TLSVerifyError = errors.New("x509: unknown authority")
	in.TLS = &tls.ConnectionState{
		Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, NegotiatedProtocol: "h2",
		PeerCertificates: []*x509.Certificate{leaf, root},
	}
	sum := sha256.Sum256(leaf.Raw)
	want := &TLS{
		Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ALPN: "h2", ChainLength: 2,
		Subject: "CN=Leaf", Issuer: "CN=Root", NameCount: len(names), Names: names[:MaxNames], Wildcard: true,
		NotBefore: issued, NotAfter: expires, ValidDays: 90, DaysLeft: 88,
		HostMatch: true, VerifyError: "x509: unknown authority", KeyType: "ECDSA P-256", Signature: "ECDSA-SHA256",
		Fingerprint: hex.EncodeToString(sum[:]),
	}
	if diff := cmp.Diff(want, describeTLS(&in)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	in.TLS.PeerCertificates = []*x509.Certificate{root}
	in.RequestedAt = expires.Add(time.Second)
	got := describeTLS(&in)
	if !got.SelfSigned || got.HostMatch || !got.Expired || got.DaysLeft != -1 {
		t.Errorf("a self-signed, expired certificate for nobody: %+v", got)
	}
	namesake, _ := certificate(t, "Root", root, rootKey)
	in.TLS.PeerCertificates = []*x509.Certificate{namesake}
	if got := describeTLS(&in); got.SelfSigned {
		t.Error("a certificate that another key of the same name signed is not self-signed")
	}
	in.TLS.PeerCertificates = nil
	if got := describeTLS(&in); got.Version != "TLS 1.3" || got.Fingerprint != "" {
		t.Errorf("%+v", got)
	}
	in.TLS = nil
	if got := describeTLS(&in); got != nil {
		t.Errorf("%+v", got)
	}
}

// The numbers come from an independent implementation in Python of MurmurHash3
// over base64.encodebytes, of the bytes (7 i) mod 256.
func TestFaviconHash_IsShodans(t *testing.T) {
	for n, want := range map[int]int32{
		0: 0, 1: -1253000196, 57: -1822938491, 58: 1114872637, 114: -871731837, 1406: -1214179638,
	} {
		icon := make([]byte, n)
		for i := range icon {
			icon[i] = byte(7 * i)
		}
		var f Favicon
		f.Fill(icon)
		sum := sha256.Sum256(icon)
		if *f.MMH3 != want || f.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%d bytes: mmh3 %d, want %d", n, *f.MMH3, want)
		}
	}
}

func TestClip_CutsBetweenCharacters(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"aé", 2, "a"},
		{"ééé", 4, "éé"},
		{"a😀b", 4, "a"},
		{"a😀b", 5, "a😀"},
		{"a\xffb", 5, "a\uFFFDb"},
		{"\xffa\xffa", 5, "\uFFFDa"},
		{strings.Repeat("\x80", 100), 3, "\uFFFD"},
		{"貝", 0, ""},
	} {
		if got := clipTo(c.s, c.n); got != c.want {
			t.Errorf("clipTo(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}
