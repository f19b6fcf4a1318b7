package feature

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"time"

	"limpet/internal/weburl"
)

// Input is what is known about one page when its fetch is over. Only URL must
// be set.
type Input struct {
	URL   string      // normalised, the page's name (package weburl)
	Final string      // normalised URL that answered; empty means URL
	Seed  weburl.Seed // the crawl's scope; links outside it are external
	Depth int         // links followed from the seed's front page to here

	RequestedAt time.Time // when the request for Final was sent
	Timings     Timings
	RemoteIP    netip.Addr
	Hops        []Hop // every redirect that was answered, followed or not, in order

	Status      int
	Protocol    string // as in "HTTP/2.0"
	Header      http.Header
	ContentType string // media type without parameters, lower case; empty: sniffed
	Charset     string // what the body was decoded from, as in "windows-1252"
	Body        []byte // decoded to UTF-8; not modified, not kept
	RawSize     int64  // bytes of body on the wire, still compressed
	Truncated   bool   // the body was cut at the crawler's cap

	TLS            *tls.ConnectionState // nil over plain HTTP
	TLSVerifyError error                // why the certificate should not be trusted
}

// Hop is one answer that points elsewhere.
type Hop struct {
	URL      string // that was asked
	Status   int
	Location string // the header, as sent
}

// Timings are how long the parts of a fetch took; zero means not measured, as
// with the first three on a connection that was used before.
type Timings struct {
	DNS     time.Duration // name resolution
	Connect time.Duration // TCP handshake
	TLS     time.Duration // TLS handshake
	TTFB    time.Duration // from the request sent to the first byte of the answer
	Total   time.Duration // from the start to the last byte of the body
}

func (in *Input) final() string {
	if in.Final != "" {
		return in.Final
	}
	return in.URL
}
