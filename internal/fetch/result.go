package fetch

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"limpet/internal/weburl"
)

// Request asks for a page.
type Request struct {
	URL string // absolute; it is normalised first

	// Seed is the site that redirects may lead around in. The zero Seed lets
	// none be followed.
	Seed weburl.Seed

	// SamePageOnly follows a redirect only to the same page under the other
	// scheme, which is what weburl.ID takes for the same page. Any other target
	// is recorded, to become a page of its own.
	SamePageOnly bool

	// AllowSchemeFallback tries http where https gets no connection or no TLS
	// session. It has no effect on a URL with a port of its own.
	AllowSchemeFallback bool
}

// Result is what became of a Request: the last answer, and the way to it.
type Result struct {
	Response
	Hops []Hop // every redirect that was answered, followed or not, in order
	Stop Stop  // why the last of Hops was not followed; empty when it was

	// FallbackCause is why https did not do and the page came over http. It is
	// nil otherwise.
	FallbackCause error
}

// Hop is one answer that points elsewhere.
type Hop struct {
	URL      string
	Status   int
	Location string // as the server wrote it
	Target   string // what it means, normalised; empty when it means no page
}

// Stop says why a redirect was not followed. The Response is then the redirect
// itself.
type Stop string

const (
	StopScope     Stop = "out-of-scope"
	StopRobots    Stop = "robots"
	StopOtherPage Stop = "other-page" // with Request.SamePageOnly
	StopTarget    Stop = "no-page"    // another scheme, or nonsense
)

// Response is one answer, decoded.
type Response struct {
	URL    string // where it came from: the final URL
	Status int
	Proto  string // "HTTP/1.1", "HTTP/2.0"
	Header http.Header

	Body      []byte // content codings undone; UTF-8 when Charset is set
	RawSize   int64  // bytes of the body on the wire, as far as read
	Truncated bool   // Body was cut at Options.MaxBody
	MediaType string // lower case, without parameters; sniffed if Sniffed
	Sniffed   bool   // the server named no type
	Charset   string // what the text was in, lower case; empty when it is no text

	RemoteIP       netip.Addr
	TLS            *tls.ConnectionState // nil for http
	TLSVerifyError error                // why the certificate should not be trusted
	Timings        Timings
	RetryAfter     time.Duration // at most MaxRetryAfter; zero when not given
}

// IsHTML reports whether the body is to be parsed as HTML.
func (r *Response) IsHTML() bool {
	return r.MediaType == "text/html" || r.MediaType == "application/xhtml+xml"
}

// location returns the Location of an answer that is a redirect.
func (r *Response) location() (string, bool) {
	switch r.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		location := strings.TrimSpace(r.Header.Get("Location"))
		return location, location != ""
	}
	return "", false
}

// Timings of one exchange. DNS, Connect and TLS are zero when the connection
// had been used before.
type Timings struct {
	DNS     time.Duration // the lookup
	Connect time.Duration // the TCP handshake
	TLS     time.Duration // the TLS handshake
	TTFB    time.Duration // from the request until its answer's headers were in
	Total   time.Duration // from the beginning to the last byte of the body
}
