package fetch

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ConnectTo sends connections for one place to another, as curl's
// --connect-to does. Only the connection goes elsewhere: the Host header, the
// TLS server name and the certificate check keep the original host.
type ConnectTo struct {
	host, port     string // what to match; empty matches any
	toHost, toPort string // where to go; empty keeps the original
}

// ParseConnectTo reads a rule of the form HOST1:PORT1:HOST2:PORT2. An empty
// HOST1 or PORT1 matches any, an empty HOST2 or PORT2 keeps the original. IPv6
// addresses stand in brackets.
func ParseConnectTo(s string) (ConnectTo, error) {
	rest := s
	var part [4]string
	for i := range part {
		var err error
		if part[i], rest, err = cutConnectPart(rest, i == len(part)-1); err != nil {
			return ConnectTo{}, fmt.Errorf("connect-to %q: want HOST1:PORT1:HOST2:PORT2: %w", s, err)
		}
	}
	for _, port := range []string{part[1], part[3]} {
		if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
			return ConnectTo{}, fmt.Errorf("connect-to %q: port %q is not a number from 1 to 65535", s, port)
		}
	}
	for _, host := range []string{part[0], part[2]} {
		if strings.ContainsAny(host, " \t/@[]") {
			return ConnectTo{}, fmt.Errorf("connect-to %q: %q is not a host", s, host)
		}
	}
	return ConnectTo{host: part[0], port: part[1], toHost: part[2], toPort: part[3]}, nil
}

// cutConnectPart takes one part and the colon after it off the rule.
func cutConnectPart(s string, last bool) (part, rest string, err error) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", fmt.Errorf("bracket is not closed")
		}
		part, rest = s[1:end], s[end+1:]
		if addr, err := netip.ParseAddr(part); err != nil || !addr.Is6() {
			return "", "", fmt.Errorf("%q is not an IPv6 address", part)
		}
		if rest != "" && rest[0] != ':' {
			return "", "", fmt.Errorf("%q after the bracket", rest)
		}
	} else {
		end := strings.IndexByte(s, ':')
		if end < 0 {
			end = len(s)
		}
		part, rest = s[:end], s[end:]
	}
	switch {
	case last && rest != "":
		return "", "", fmt.Errorf("more than four parts (IPv6 addresses stand in brackets)")
	case last:
		return part, "", nil
	case rest == "":
		return "", "", fmt.Errorf("fewer than four parts")
	}
	return part, rest[1:], nil
}

// String returns the rule in the form that ParseConnectTo reads.
func (r ConnectTo) String() string {
	bracketed := func(h string) string {
		if strings.Contains(h, ":") {
			return "[" + h + "]"
		}
		return h
	}
	return strings.Join([]string{bracketed(r.host), r.port, bracketed(r.toHost), r.toPort}, ":")
}

// redirectTo returns where to connect instead of host and port. The first rule
// that matches and names a target decides.
func redirectTo(rules []ConnectTo, host, port string) (string, string) {
	for _, r := range rules {
		if r.toHost == "" && r.toPort == "" ||
			r.host != "" && !sameHost(r.host, host) ||
			r.port != "" && r.port != port {
			continue
		}
		if r.toHost != "" {
			host = r.toHost
		}
		if r.toPort != "" {
			port = r.toPort
		}
		return host, port
	}
	return host, port
}

// sameHost compares names without regard to case, and addresses by value.
func sameHost(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x == y
}

// splitAddr takes "host:port" apart; net/http always hands over both.
func splitAddr(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, ""
	}
	return host, port
}
