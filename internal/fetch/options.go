package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"time"

	"limpet/clock"
)

// Options of a Client. A zero field means its default.
type Options struct {
	// UserAgent is sent with every request, by custom
	// "name/version (+https://about)". Its name, up to the first byte that is
	// no letter, hyphen or underscore, is what robots.txt may call us. Required.
	UserAgent string

	PerHost int           // requests in flight to one host; default 4
	Delay   time.Duration // between the starts of two requests to one host; default none
	MaxWait time.Duration // how long Fetch waits for a host's pace; default 30 s

	ConnectTimeout time.Duration // lookup and TCP handshake; default 10 s
	TLSTimeout     time.Duration // TLS handshake; default 10 s
	HeaderTimeout  time.Duration // from the request to its answer's headers; default 20 s
	BodyTimeout    time.Duration // from the headers to the end of the body; default 30 s
	TotalTimeout   time.Duration // one request altogether, waits for the pace apart; default 60 s

	MaxBody int64 // bytes of a body, on the wire and decoded; default 5 MiB
	MaxHops int   // redirects followed; default 10

	ConnectTo []ConnectTo    // where to connect instead; the guard sees the result
	AllowNet  []netip.Prefix // addresses to connect to though the guard would refuse

	MinTLS    uint16         // default TLS 1.0: an old server is a finding, not an error
	RootCAs   *x509.CertPool // whom to trust; default the system's
	StrictTLS bool           // fail, with KindTLS, on a certificate that does not verify

	Resolver Resolver    // default Go's own, without search domains
	Clock    clock.Clock // for pace, Retry-After and the age of robots.txt; default the real one
}

func (o Options) withDefaults() Options {
	setDefault(&o.PerHost, 4)
	setDefault(&o.MaxWait, 30*time.Second)
	setDefault(&o.ConnectTimeout, 10*time.Second)
	setDefault(&o.TLSTimeout, 10*time.Second)
	setDefault(&o.HeaderTimeout, 20*time.Second)
	setDefault(&o.BodyTimeout, 30*time.Second)
	setDefault(&o.TotalTimeout, time.Minute)
	setDefault(&o.MaxBody, 5<<20)
	setDefault(&o.MaxHops, 10)
	setDefault(&o.MinTLS, tls.VersionTLS10)
	if o.Resolver == nil {
		o.Resolver = absoluteNames{&net.Resolver{PreferGo: true}}
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// absoluteNames keeps the search list of resolv.conf out of lookups: a name
// that does not exist must not become a name of the local network.
type absoluteNames struct{ Resolver }

func (r absoluteNames) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return r.Resolver.LookupNetIP(ctx, network, strings.TrimSuffix(host, ".")+".")
}
