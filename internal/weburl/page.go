package weburl

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// IDLen is the length of a page's ID in bytes.
const IDLen = 22

// ID returns the name under which a page is counted: the first 128 bits of the
// SHA-256 of its normalised URL without the scheme, "//host[:port]/path?query",
// in base64url without padding. Over http and https an address is one page.
func ID(normalised string) string {
	_, rest, ok := strings.Cut(normalised, ":")
	if !ok {
		rest = normalised
	}
	var buf [256]byte // keeps the common URL off the heap
	sum := sha256.Sum256(append(buf[:0], rest...))
	var id [IDLen]byte
	base64.RawURLEncoding.Encode(id[:], sum[:16])
	return string(id[:])
}

// Parts are the pieces of a normalised URL, as substrings of it.
type Parts struct {
	Scheme string // "http" or "https"
	Host   string // no port; IPv6 without its brackets
	Port   string // empty when it is the scheme's own
	Path   string // begins with a slash
	Query  string // without the question mark
}

// Split takes a normalised URL apart without allocating. What it makes of any
// other text is not defined.
func Split(normalised string) Parts {
	var p Parts
	var rest string
	p.Scheme, rest, _ = strings.Cut(normalised, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		rest, p.Path = rest[:i], rest[i:]
		p.Path, p.Query, _ = strings.Cut(p.Path, "?")
	}
	p.Host = rest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, ']') {
		p.Host, p.Port = rest[:i], rest[i+1:]
	}
	if len(p.Host) >= 2 && p.Host[0] == '[' {
		p.Host = p.Host[1 : len(p.Host)-1]
	}
	return p
}
