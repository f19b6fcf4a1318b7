package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Resolver finds the addresses of a name; network is "ip". *net.Resolver is
// one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialer makes every connection of a Client.
type dialer struct {
	resolver       Resolver
	connectTo      []ConnectTo
	guard          guard
	tls            *tls.Config // template; the server name is set per connection
	strict         bool
	roots          *x509.CertPool
	connectTimeout time.Duration // for the lookup and the TCP handshake together
	tlsTimeout     time.Duration
}

// conn is a connection that remembers how it came to be. For https it lies
// below the *tls.Conn.
type conn struct {
	net.Conn
	remote                netip.Addr
	dns, connect, tlsTime time.Duration
	verifyError           error // what is wrong with the peer's certificate
}

// connOf finds the conn that a connection of the transport rests on.
func connOf(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

func (d *dialer) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	c, err := d.dialTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (d *dialer) dialTCP(ctx context.Context, addr string) (*conn, error) {
	ctx, cancel := withTimeout(ctx, "connect", d.connectTimeout)
	defer cancel()

	host, port := splitAddr(addr)
	host, port = redirectTo(d.connectTo, host, port)
	start := time.Now()
	addrs, err := d.lookup(ctx, host)
	if err != nil {
		return nil, classifyDNS(err)
	}
	looked := time.Now()
	tcp, err := d.dialAny(ctx, host, port, addrs)
	if err != nil {
		return nil, orTimeout(classifyConnect(err), "connect", d.connectTimeout)
	}
	c := &conn{Conn: tcp, dns: looked.Sub(start), connect: time.Since(looked)}
	if a, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = a.AddrPort().Addr().Unmap()
	}
	return c, nil
}

// orTimeout says which limit a dial has met, if that is what made it fail. Not
// for lookups: a resolver that does not answer is another matter than a host
// that does not.
func orTimeout(e *dialError, phase string, limit time.Duration) error {
	if isTimeout(e.err) {
		return &dialError{kind: KindTimeout, retryable: true, err: &timeoutError{phase, limit}}
	}
	return e
}

func (d *dialer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addrs, err
}

// headStart is how long an address is tried alone before the next one is tried
// beside it (RFC 8305 section 5).
const headStart = 250 * time.Millisecond

// dialAny connects to the first of addrs that answers.
func (d *dialer) dialAny(ctx context.Context, host, port string, addrs []netip.Addr) (net.Conn, error) {
	if len(addrs) == 1 {
		return d.dialOne(ctx, host, port, addrs[0])
	}
	ctx, cancel := context.WithCancel(ctx) // ends the losers
	defer cancel()
	type outcome struct {
		conn net.Conn
		err  error
	}
	outcomes := make(chan outcome)
	try := func(addr netip.Addr) {
		c, err := d.dialOne(ctx, host, port, addr)
		select {
		case outcomes <- outcome{c, err}:
		case <-ctx.Done():
			if err == nil {
				_ = c.Close() // answered, but second
			}
		}
	}

	var failure error
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next, pending := 0, 0; next < len(addrs) || pending > 0; {
		select {
		case <-timer.C:
			if next < len(addrs) {
				go try(addrs[next])
				next, pending = next+1, pending+1
				timer.Reset(headStart)
			}
		case o := <-outcomes:
			if o.err == nil {
				return o.conn, nil
			}
			failure = worse(failure, o.err)
			pending--
			timer.Reset(0)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, failure
}

// worse picks the failure to report: one of the network, if there is one,
// since then the host has an address that may be asked.
func worse(a, b error) error {
	var refused *RefusedError
	if a == nil || errors.As(a, &refused) {
		return b
	}
	return a
}

// dialOne connects to one address. The guard's place is the Control function:
// it sees the very address that the kernel is about to be given.
func (d *dialer) dialOne(ctx context.Context, host, port string, addr netip.Addr) (net.Conn, error) {
	nd := net.Dialer{
		KeepAlive: -1, // idle connections are closed long before probes would start
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return d.guard.check(host, target.Addr())
		},
	}
	return nd.DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), port))
}

func (d *dialer) dialTLS(ctx context.Context, _, addr string) (net.Conn, error) {
	c, err := d.dialTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := withTimeout(ctx, "tls", d.tlsTimeout)
	defer cancel()

	cfg := d.tls.Clone()
	cfg.ServerName, _ = splitAddr(addr)
	session := tls.Client(c, cfg)
	start := time.Now()
	if err := session.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, orTimeout(classifyHandshake(err), "tls", d.tlsTimeout)
	}
	c.tlsTime = time.Since(start)
	c.verifyError = d.verify(cfg.ServerName, session.ConnectionState())
	if c.verifyError != nil && d.strict {
		_ = session.Close()
		return nil, &dialError{kind: KindTLS, err: c.verifyError}
	}
	return session, nil
}

// verify is the check that crypto/tls makes, apart from the handshake.
func (d *dialer) verify(host string, state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("tls: the server sent no certificate")
	}
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName:       host,
		Roots:         d.roots,
		Intermediates: between,
	})
	return err
}

func withTimeout(ctx context.Context, phase string, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, &timeoutError{phase, limit})
}
