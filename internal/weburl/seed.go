package weburl

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Seed names the site a crawl stays within: a domain name of two or more
// labels in lower case, A-labels for what is not ASCII, no trailing dot. It
// holds only letters, digits, hyphens and dots, so it can stand in a Redis key
// or a Cluster hash tag as it is.
type Seed string

// SeedError says why a text does not name a site.
type SeedError struct {
	Input string // the text as given
	Found string // what is wrong with it, as in "is an IP address"
	Want  string // what was expected instead
}

func (e *SeedError) Error() string {
	return fmt.Sprintf("domain %.100q %s: want %s", e.Input, e.Found, e.Want)
}

const (
	wantDomain = "a domain like example.com"
	wantBare   = "a domain like example.com (use url for a full URL)"
	wantLabel  = "labels of 1 to 63 letters, digits or hyphens, with no hyphen first or last"
)

// ParseSeed reads a domain name as a person would type it. The error is always
// a *SeedError.
//
// Underscores are refused, as RFC 1123 does for host names; a host that has
// one is still reached through the domain above it.
func ParseSeed(s string) (Seed, error) {
	refuse := func(found, want string) (Seed, error) {
		return "", &SeedError{Input: s, Found: found, Want: want}
	}
	if found, want := notADomain(s); found != "" {
		return refuse(found, want)
	}
	b, kind, err := appendHost(nil, s)
	switch {
	case err != nil:
		return refuse("is not a valid host name", wantLabel)
	case kind == ipHost:
		return refuse("is an IP address", wantDomain)
	}
	host := string(b)
	if !strings.Contains(host, ".") {
		return refuse("is a single label", wantDomain)
	}
	for label := range strings.SplitSeq(host, ".") {
		if strings.Contains(label, "_") {
			return refuse("has an underscore", wantLabel)
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return refuse("has a label that starts or ends with a hyphen", wantLabel)
		}
	}
	return Seed(host), nil
}

// notADomain recognises by their punctuation the things people paste where a
// domain belongs. It answers found == "" when s may be a domain.
func notADomain(s string) (found, want string) {
	if s == "" {
		return "is empty", wantDomain
	}
	if !utf8.ValidString(s) {
		return "is not valid UTF-8", wantDomain
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return "is an IP address", wantDomain
	}
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			return "contains a space", wantDomain
		case unicode.IsControl(r):
			return "contains a control character", wantDomain
		}
	}
	switch {
	case strings.Contains(s, "://"):
		return "is a URL", wantBare
	case strings.ContainsAny(s, `/\?#`):
		return "has a path", wantBare
	case strings.Contains(s, "@"):
		return "has a user name", wantBare
	case strings.HasPrefix(s, "["):
		return "is an IP address", wantDomain
	case strings.Contains(s, ":"):
		return "has a port", wantBare
	case strings.ContainsAny(s, "{}"):
		return "contains a brace", wantDomain
	case strings.Contains(s, "%"):
		return "has a percent sign", wantDomain
	}
	return "", ""
}

// Contains reports whether host, in the form Split gives it, is the seed
// itself or one of its subdomains.
func (s Seed) Contains(host string) bool {
	cut := len(host) - len(s)
	if s == "" || cut < 0 || host[cut:] != string(s) {
		return false
	}
	return cut == 0 || host[cut-1] == '.'
}

// ContainsURL reports whether the page a normalised URL names is on the site.
func (s Seed) ContainsURL(normalised string) bool {
	return s.Contains(Split(normalised).Host)
}

// Root returns the normalised URL of the site's front page under the scheme,
// "http" or "https".
func (s Seed) Root(scheme string) string {
	return scheme + "://" + string(s) + "/"
}
