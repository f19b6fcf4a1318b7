package weburl

import (
	"errors"
	"strconv"
	"strings"
)

// MaxLen is the length in bytes of the longest normalised URL. Longer ones are
// refused rather than cut: a cut URL would name another page.
const MaxLen = 2048

// maxRef bounds the work on a single reference. A reference this long can only
// come to MaxLen by escaping what needs no escape or by dot segments.
const maxRef = 4 * MaxLen

var (
	// ErrScheme says that a reference is neither http nor https.
	ErrScheme = errors.New("weburl: scheme is not http or https")
	// ErrUserinfo says that a reference has a user name or password.
	ErrUserinfo = errors.New("weburl: user name or password in a URL")
	// ErrPort says that a port is not a number from 1 to 65535.
	ErrPort = errors.New("weburl: port is not a number from 1 to 65535")
	// ErrTooLong says that a URL has more than MaxLen bytes.
	ErrTooLong = errors.New("weburl: URL is longer than 2048 bytes")
)

// Normalize returns the normalised form of an absolute http or https URL. The
// error is one of ErrScheme, ErrHost, ErrUserinfo, ErrPort and ErrTooLong.
func Normalize(ref string) (string, error) {
	var nowhere Resolver
	return nowhere.Resolve(ref)
}

// A Resolver turns the references found on one page into normalised URLs. It
// is made once a page and safe for concurrent use. The zero Resolver has no
// base: it resolves absolute references only.
type Resolver struct {
	scheme string // "http" or "https"
	origin string // "https://host:port"
	dir    string // origin and path, to the path's last slash
	page   string // origin and path
	full   string // origin, path and query: the base itself
}

// NewResolver returns a Resolver for the references on the page at base, an
// absolute URL in any form that Normalize takes.
func NewResolver(base string) (Resolver, error) {
	return Resolver{}.WithBase(base)
}

// WithBase returns the Resolver for a page of r that states another base, as
// <base href> does; base may be relative.
func (r Resolver) WithBase(base string) (Resolver, error) {
	full, err := r.Resolve(base)
	if err != nil {
		return r, err
	}
	page, _, _ := strings.Cut(full, "?")
	scheme, rest, _ := strings.Cut(full, "://")
	return Resolver{
		scheme: scheme,
		origin: full[:len(scheme)+3+strings.IndexByte(rest, '/')],
		dir:    page[:strings.LastIndexByte(page, '/')+1],
		page:   page,
		full:   full,
	}, nil
}

// Base returns the normalised URL that relative references are relative to.
func (r *Resolver) Base() string { return r.full }

// Resolve returns the normalised URL that ref means on the base's page (RFC
// 3986 section 5.2). The error is as with Normalize.
func (r *Resolver) Resolve(ref string) (string, error) {
	var buf [256]byte
	b, err := r.Append(buf[:0], ref)
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// Append is Resolve into a caller's buffer: it appends the normalised URL to
// dst, and on error returns dst unchanged. It allocates for nothing but rare
// hosts and a dst that is too small.
func (r *Resolver) Append(dst []byte, ref string) ([]byte, error) {
	if r.full != "" {
		if n, ok := plainPrefix(ref); ok {
			base := r.dir
			if ref[0] == '/' {
				base = r.origin
			}
			if len(base)+n > MaxLen {
				return dst, ErrTooLong
			}
			return append(append(dst, base...), ref[:n]...), nil
		}
	}
	start := len(dst)
	dst, err := r.appendAny(dst, ref)
	if err == nil && len(dst)-start > MaxLen {
		err = ErrTooLong
	}
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

// plainPrefix recognises the references that most links are: a path whose
// every byte is unreserved, without dot segments, perhaps with a fragment. It
// returns the length of the path, which is normal as it stands.
func plainPrefix(ref string) (int, bool) {
	n := 0
	before := byte('/') // so that a leading dot counts as the start of a segment
	for n < len(ref) {
		c := ref[n]
		if c == '#' {
			break
		}
		switch {
		case c == '.' && before == '/':
			return 0, false
		case c == '/':
			if n == 1 && before == '/' {
				return 0, false
			}
		case classes[c]&unreserved == 0:
			return 0, false
		}
		before = c
		n++
	}
	return n, n > 0
}

func (r *Resolver) appendAny(dst []byte, ref string) ([]byte, error) {
	ref, err := tidy(ref)
	if err != nil {
		return dst, err
	}
	ref, _, _ = strings.Cut(ref, "#")
	scheme := r.scheme
	if s, rest, ok := cutScheme(ref); ok {
		switch {
		case strings.EqualFold(s, "http"):
			scheme = "http"
		case strings.EqualFold(s, "https"):
			scheme = "https"
		default:
			return dst, ErrScheme
		}
		if !hasAuthority(rest) && scheme != r.scheme {
			return dst, ErrHost
		}
		ref = rest
	}
	if hasAuthority(ref) && scheme != "" {
		return appendAbsolute(dst, scheme, ref[2:])
	}
	if r.full == "" {
		return dst, ErrScheme
	}
	return r.appendRelative(dst, ref)
}

// appendRelative appends what a reference without scheme and authority means.
func (r *Resolver) appendRelative(dst []byte, ref string) ([]byte, error) {
	if ref == "" {
		return append(dst, r.full...), nil
	}
	pathStart := len(dst) + len(r.origin)
	path, query, _ := strings.Cut(ref, "?")
	switch {
	case path == "":
		dst = append(dst, r.page...)
		return appendQuery(dst, query), nil
	case isSlash(path[0]):
		dst = append(dst, r.origin...)
	default:
		dst = append(dst, r.dir...)
	}
	dst = appendEscaped(dst, path, inPath)
	return appendQuery(removeDots(dst, pathStart), query), nil
}

// appendAbsolute appends a URL from its scheme and what follows the two
// slashes.
func appendAbsolute(dst []byte, scheme, rest string) ([]byte, error) {
	end := strings.IndexAny(rest, `/\?`)
	if end < 0 {
		end = len(rest)
	}
	dst = append(append(dst, scheme...), "://"...)
	dst, err := appendAuthority(dst, scheme, rest[:end])
	if err != nil {
		return dst, err
	}
	path, query, _ := strings.Cut(rest[end:], "?")
	pathStart := len(dst)
	if path == "" {
		path = "/"
	}
	dst = appendEscaped(dst, path, inPath)
	return appendQuery(removeDots(dst, pathStart), query), nil
}

func appendAuthority(dst []byte, scheme, authority string) ([]byte, error) {
	if strings.Contains(authority, "@") {
		return dst, ErrUserinfo
	}
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
	}
	dst, _, err := appendHost(dst, host)
	if err != nil || port == "" {
		return dst, err
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return dst, ErrPort
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return dst, ErrPort
	}
	if scheme == "http" && n == 80 || scheme == "https" && n == 443 {
		return dst, nil
	}
	return strconv.AppendUint(append(dst, ':'), n, 10), nil
}

func appendQuery(dst []byte, query string) []byte {
	if query == "" {
		return dst
	}
	return appendEscaped(append(dst, '?'), query, inQuery)
}

var withoutBreaks = strings.NewReplacer("\t", "", "\r", "", "\n", "")

// tidy cuts what browsers cut from a reference: spaces and control characters
// around it, tabs and line ends within it.
func tidy(ref string) (string, error) {
	for ref != "" && ref[0] <= ' ' {
		ref = ref[1:]
	}
	for ref != "" && ref[len(ref)-1] <= ' ' {
		ref = ref[:len(ref)-1]
	}
	if len(ref) > maxRef {
		return "", ErrTooLong
	}
	if strings.ContainsAny(ref, "\t\r\n") {
		ref = withoutBreaks.Replace(ref)
	}
	return ref, nil
}

// cutScheme splits a reference at its scheme's colon. A colon after any other
// byte than a scheme may hold belongs to the path.
func cutScheme(ref string) (scheme, rest string, ok bool) {
	for i := range len(ref) {
		switch c := ref[i]; {
		case c == ':' && i > 0:
			return ref[:i], ref[i+1:], true
		case classes[c]&schemeByte == 0, i == 0 && (c|0x20 < 'a' || c|0x20 > 'z'):
			return "", ref, false
		}
	}
	return "", ref, false
}

func hasAuthority(ref string) bool {
	return len(ref) >= 2 && isSlash(ref[0]) && isSlash(ref[1])
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }
