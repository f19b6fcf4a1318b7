package weburl

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// ErrHost says that the reference names no host, or one that DNS cannot hold.
var ErrHost = errors.New("weburl: host is missing or not a valid name")

type hostKind int

const (
	nameHost hostKind = iota
	ipHost
)

// maxHost is the longest name DNS can carry, in bytes of its text form without
// the trailing dot (RFC 1035 section 3.1).
const maxHost = 253

// lookup maps names as browsers do: underscores and any placing of hyphens are
// let through, because hosts that have them answer.
var lookup = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.Transitional(false),
	idna.StrictDomainName(false),
	idna.CheckHyphens(false),
)

// appendHost appends the normalised form of a host as it stands in a URL's
// authority, without port; brackets mark IPv6.
func appendHost(dst []byte, host string) ([]byte, hostKind, error) {
	if strings.HasPrefix(host, "[") {
		return appendIPv6(dst, host)
	}
	host, err := asciiHost(host)
	if err != nil {
		return dst, nameHost, err
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) == 0 || len(host) > maxHost {
		return dst, nameHost, ErrHost
	}
	start := len(dst)
	label := 0
	for i := range len(host) {
		c := host[i]
		switch {
		case c == '.':
			if label == 0 {
				return dst[:start], nameHost, ErrHost
			}
			label = -1
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return dst[:start], nameHost, ErrHost
		}
		if label++; label > 63 {
			return dst[:start], nameHost, ErrHost
		}
		dst = append(dst, c)
	}
	if label == 0 {
		return dst[:start], nameHost, ErrHost
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; isNumber(last) {
		return appendIPv4(dst[:start], host)
	}
	return dst, nameHost, nil
}

// asciiHost undoes percent-encoding and applies IDNA. Hosts that need neither
// come back as they are, in any case.
func asciiHost(host string) (string, error) {
	plain := true
	for i := 0; i < len(host) && plain; i++ {
		c := host[i]
		plain = c < utf8.RuneSelf && c != '%' &&
			!((c == 'x' || c == 'X') && hasACEPrefix(host[i:]))
	}
	if plain {
		return host, nil
	}
	if strings.Contains(host, "%") {
		b := make([]byte, 0, len(host))
		for i := 0; i < len(host); i++ {
			c := host[i]
			if c == '%' {
				if !isEscape(host[i:]) {
					return "", ErrHost
				}
				c = unhex(host[i+1])<<4 | unhex(host[i+2])
				i += 2
			}
			b = append(b, c)
		}
		host = string(b)
	}
	if !utf8.ValidString(host) {
		return "", ErrHost
	}
	ascii, err := lookup.ToASCII(host)
	if err != nil {
		return "", ErrHost
	}
	return ascii, nil
}

func hasACEPrefix(s string) bool {
	return len(s) >= 4 && strings.EqualFold(s[:4], "xn--")
}

func appendIPv6(dst []byte, host string) ([]byte, hostKind, error) {
	if !strings.HasSuffix(host, "]") {
		return dst, ipHost, ErrHost
	}
	addr, err := netip.ParseAddr(host[1 : len(host)-1])
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return dst, ipHost, ErrHost
	}
	dst = append(dst, '[')
	dst = addr.AppendTo(dst)
	return append(dst, ']'), ipHost, nil
}

// isNumber reports whether a last label makes the whole host an IPv4 address.
// No top-level domain is a number, and browsers read such hosts as addresses.
func isNumber(label string) bool {
	if label[0] < '0' || label[0] > '9' {
		return false
	}
	if _, ok := parseNumber(label); ok {
		return true
	}
	for i := range len(label) {
		if label[i] < '0' || label[i] > '9' {
			return false
		}
	}
	return true
}

// appendIPv4 reads the forms inet_aton knows, one to four numbers in decimal,
// octal or hexadecimal, the last filling what remains of the 32 bits.
func appendIPv4(dst []byte, host string) ([]byte, hostKind, error) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return dst, ipHost, ErrHost
	}
	var ip uint64
	for i, part := range parts {
		n, ok := parseNumber(part)
		width := 8
		if i == len(parts)-1 {
			width = 8 * (4 - i)
		}
		if !ok || n >= 1<<width {
			return dst, ipHost, ErrHost
		}
		ip = ip<<width | n
	}
	for shift := 24; shift >= 0; shift -= 8 {
		dst = strconv.AppendUint(dst, ip>>shift&0xff, 10)
		if shift > 0 {
			dst = append(dst, '.')
		}
	}
	return dst, ipHost, nil
}

func parseNumber(s string) (uint64, bool) {
	base := 10
	switch {
	case len(s) >= 2 && (s[:2] == "0x" || s[:2] == "0X"):
		s, base = s[2:], 16
		if s == "" { // inet_aton and browsers read a bare 0x as zero
			return 0, true
		}
	case len(s) >= 2 && s[0] == '0':
		s, base = s[1:], 8
	}
	if strings.ContainsAny(s, "+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}

// RegistrableDomain returns the part of a host that its owner registered, by
// the public suffix list: example.co.uk for a.b.example.co.uk. It is empty for
// IP addresses, single labels, and public suffixes themselves.
func RegistrableDomain(host string) string {
	if IsIP(host) {
		return ""
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	return domain
}

// IsIP reports whether a host, in the form Split gives it, is an IP address.
func IsIP(host string) bool {
	if host == "" {
		return false
	}
	last := host[len(host)-1]
	if !strings.Contains(host, ":") && (last < '0' || last > '9') {
		return false // the common case, without a parse
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
