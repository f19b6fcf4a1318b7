package server

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Who is let in, and for how long: what CONFIG SET may change while connections
// are served.

// SetMaxClients is CONFIG SET maxclients. Connections there are stay.
func (s *Server) SetMaxClients(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.MaxClients = n
}

// SetProtected is CONFIG SET protected-mode. Connections there are stay.
func (s *Server) SetProtected(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Protected = on
}

// SetKeepAlive is CONFIG SET tcp-keepalive, for connections to come.
func (s *Server) SetKeepAlive(every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.KeepAlive = every
}

// SetIdleTimeout is CONFIG SET timeout. Silence counts from now on.
func (s *Server) SetIdleTimeout(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idleSince.Store(time.Now().UnixNano())
	s.idleLimit.Store(int64(d))
	for _, l := range s.loops {
		l.look()
	}
	var deadline time.Time
	if d > 0 {
		deadline = time.Now().Add(d)
	}
	for c := range s.conns { // may be reading for ever
		_ = c.SetReadDeadline(deadline)
	}
}

// idle is how long a connection may be silent, 0 for ever.
func (s *Server) idle() time.Duration { return time.Duration(s.idleLimit.Load()) }

// silence is how long a connection has been silent since it was last heard of.
func (s *Server) silence(now, heard time.Time) time.Duration {
	if since := time.Unix(0, s.idleSince.Load()); heard.Before(since) {
		heard = since
	}
	return now.Sub(heard)
}

// tune sets the socket of a connection. s.mu is held.
func (s *Server) tune(c net.Conn) {
	if wrapped, ok := c.(*tls.Conn); ok {
		c = wrapped.NetConn()
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	every := s.options.KeepAlive
	// As redis-server does it: three probes, a third of the time apart.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: every > 0, Idle: every, Interval: max(every/3, time.Second), Count: 3,
	})
}

// denied is what protected mode says, in redis-server's words where a program
// may look for them.
const denied = "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. " +
	"In this mode connections are only accepted from the loopback interface. " +
	"If you want to connect from external computers, set a password (requirepass), " +
	"or say CONFIG SET protected-mode no from this machine, or --protected-mode no when starting: " +
	"then whoever reaches the port may do anything."

// turnedAway says why a connection is not let in, "" when it is. s.mu is held.
func (s *Server) turnedAway(c net.Conn) string {
	switch {
	case len(s.conns)+s.inLoops >= s.options.MaxClients:
		return "ERR max number of clients reached"
	case s.options.Protected && !local(c.RemoteAddr()) && !s.db.AsksPassword():
		return denied
	}
	return ""
}

// local tells whether a peer is on this machine for sure.
func local(peer net.Addr) bool {
	if tcp, ok := peer.(*net.TCPAddr); ok {
		ip, _ := netip.AddrFromSlice(tcp.IP)
		return ip.Unmap().IsLoopback()
	}
	switch peer.Network() {
	case "unix", "memory":
		return true
	}
	return false
}

// ends are the names of a connection's two ends for CLIENT LIST. Unix sockets
// have the socket's path for both, as in redis-server.
func ends(c net.Conn) (remote, local string) {
	if c.LocalAddr().Network() == "unix" {
		path := c.LocalAddr().String() + ":0"
		return path, path
	}
	return c.RemoteAddr().String(), c.LocalAddr().String()
}
