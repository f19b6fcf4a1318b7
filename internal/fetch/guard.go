package fetch

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// RefusedError says that a connection was not made because of where it would
// have gone.
type RefusedError struct {
	Host   string       // the name asked for
	Addr   netip.Addr   // what it turned out to be
	Reason string       // the kind of address, as in "loopback"
	Permit netip.Prefix // the range that would have to be permitted
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("address %s of host %s is refused: %s; pass --allow-net %s to permit",
		e.Addr, e.Host, e.Reason, e.Permit)
}

// refusedRange is a row of the IANA special-purpose address registries
// (https://www.iana.org/assignments/iana-ipv4-special-registry and
// iana-ipv6-special-registry), or a well-known metadata service.
type refusedRange struct {
	prefix netip.Prefix
	reason string
}

// refusedRanges is searched from the top, so a narrow range stands before the
// wide one it lies in.
var refusedRanges = []refusedRange{
	{netip.MustParsePrefix("169.254.169.254/32"), "cloud metadata"},
	{netip.MustParsePrefix("169.254.170.2/32"), "cloud metadata"},
	{netip.MustParsePrefix("100.100.100.200/32"), "cloud metadata"},
	{netip.MustParsePrefix("168.63.129.16/32"), "cloud metadata"},
	{netip.MustParsePrefix("192.0.0.192/32"), "cloud metadata"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "cloud metadata"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "cloud metadata"},

	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},

	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local NAT64"},
	{netip.MustParsePrefix("100::/63"), "discard"},
	{netip.MustParsePrefix("2001:2::/48"), "benchmarking"},
	{netip.MustParsePrefix("2001:10::/28"), "overlay identifiers"},
	{netip.MustParsePrefix("2001:20::/28"), "overlay identifiers"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},
	{netip.MustParsePrefix("fc00::/7"), "unique local"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
	teredo = netip.MustParsePrefix("2001::/32")
)

// guard decides which addresses may be connected to. The zero guard permits
// what is reachable for anyone on the Internet, and nothing else.
type guard struct {
	allow []netip.Prefix // unmapped and masked
}

func newGuard(allow []netip.Prefix) guard {
	g := guard{allow: make([]netip.Prefix, 0, len(allow))}
	for _, p := range allow {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		g.allow = append(g.allow, p.Masked())
	}
	return g
}

// check returns a *RefusedError when addr, found for host, must not be
// connected to.
func (g guard) check(host string, addr netip.Addr) error {
	// The kernel reaches the same machine through ::ffff:127.0.0.1 as through
	// 127.0.0.1, and through fe80::1%eth0 as through fe80::1.
	addr = addr.Unmap().WithZone("")
	for _, p := range g.allow {
		if p.Contains(addr) {
			return nil
		}
	}
	reason, permit := refusal(addr)
	if reason == "" {
		return nil
	}
	return &RefusedError{Host: host, Addr: addr, Reason: reason, Permit: permit}
}

// refusal says why an address is refused and which range it would take to
// permit it; the reason is empty for an address that is not refused.
func refusal(addr netip.Addr) (reason string, permit netip.Prefix) {
	if !addr.IsValid() {
		return "not an address", permit
	}
	for _, r := range refusedRanges {
		if r.prefix.Contains(addr) {
			return r.reason, r.prefix
		}
	}
	for _, e := range embedded(addr) {
		if inner, _ := refusal(e.addr); inner != "" {
			return fmt.Sprintf("%s of %s, %s", e.via, e.addr, inner), netip.PrefixFrom(addr, addr.BitLen())
		}
	}
	return "", permit
}

type embeddedAddr struct {
	addr netip.Addr
	via  string
}

// embedded returns the IPv4 addresses that a translator or tunnel on the way
// would take an IPv6 address for: NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo
// (RFC 4380, server and obfuscated client) and ISATAP (RFC 5214).
func embedded(addr netip.Addr) []embeddedAddr {
	if !addr.Is6() {
		return nil
	}
	b := addr.As16()
	v4 := func(at int) netip.Addr { return netip.AddrFrom4([4]byte(b[at : at+4])) }
	switch {
	case nat64.Contains(addr):
		return []embeddedAddr{{v4(12), "NAT64"}}
	case sixTo4.Contains(addr):
		return []embeddedAddr{{v4(2), "6to4"}}
	case teredo.Contains(addr):
		client := v4(12).As4()
		for i := range client {
			client[i] ^= 0xff
		}
		return []embeddedAddr{{v4(4), "Teredo server"}, {netip.AddrFrom4(client), "Teredo"}}
	}
	// The 02 bit says whether the embedded address is globally unique.
	if binary.BigEndian.Uint32(b[8:])&^0x02000000 == 0x00005efe {
		return []embeddedAddr{{v4(12), "ISATAP"}}
	}
	return nil
}
