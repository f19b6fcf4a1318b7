package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// doors are the listeners of a store, all of them open.
type doors []door

type door struct {
	net.Listener
	name string // for people
}

// doorError is a door that does not open.
type doorError struct {
	addr string
	port int    // 0 for a Unix socket
	kind string // TCP or TLS; "" for a Unix socket
	err  error
}

func (e *doorError) Error() string { return e.addr + ": " + reason(e.err) }
func (e *doorError) Unwrap() error { return e.err }

// errNowhere is a configuration that opens no door at all.
var errNowhere = errors.New("configured to not listen anywhere")

func (d doors) listeners() []net.Listener {
	all := make([]net.Listener, len(d))
	for i, one := range d {
		all[i] = one.Listener
	}
	return all
}

func (d doors) String() string {
	names := make([]string, len(d))
	for i, one := range d {
		names[i] = one.name
	}
	return strings.Join(names, " ")
}

func (d doors) close() {
	for _, one := range d {
		_ = one.Close()
	}
}

// openDoors opens all doors of the configuration, or none. The error is a
// *doorError, errNowhere, or about certificates.
func (s *storeSettings) openDoors(logger *slog.Logger) (_ doors, err error) {
	var opened doors
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	if s.Int("port") != 0 || s.anyPort {
		for _, word := range s.List("bind") {
			l, err := s.openTCP(word, s.number("port"), "TCP", logger)
			if err != nil {
				return nil, err
			}
			if l != nil {
				opened = append(opened, door{l, l.Addr().String()})
			}
		}
	}
	if port := s.number("tls-port"); port != 0 {
		config, err := s.tlsConfig()
		if err != nil {
			return nil, err
		}
		for _, word := range s.List("bind") {
			l, err := s.openTCP(word, port, "TLS", logger)
			if err != nil {
				return nil, err
			}
			if l != nil {
				opened = append(opened, door{tlsDoor{tls.NewListener(l, config), s.Int("port") != 0}, "tls://" + l.Addr().String()})
			}
		}
	}
	if path := s.Get("unixsocket"); path != "" {
		l, err := openUnix(s.at(path), os.FileMode(s.Octal("unixsocketperm")))
		if err != nil {
			return nil, &doorError{addr: s.at(path), err: err}
		}
		opened = append(opened, door{l, l.Addr().String()})
	}
	if len(opened) == 0 {
		return nil, errNowhere
	}
	return opened, nil
}

// tlsDoor does not pass for the port that INFO shows where there is a plain one.
type tlsDoor struct {
	net.Listener
	beside bool
}

func (d tlsDoor) Addr() net.Addr {
	if d.beside {
		return tlsAddr{d.Listener.Addr()}
	}
	return d.Listener.Addr()
}

type tlsAddr struct{ net.Addr }

// openTCP opens one address of bind: * is all of IPv4, ::* all of IPv6, and a dash
// in front makes an address that is not on this machine none. The same is true of
// a kind of address that the machine does not have.
func (s *storeSettings) openTCP(word string, port int, kind string, logger *slog.Logger) (net.Listener, error) {
	host, optional := strings.CutPrefix(word, "-")
	network := "tcp4"
	switch {
	case host == "*":
		host = ""
	case host == "::*":
		network, host = "tcp6", ""
	case strings.Contains(host, ":"):
		network = "tcp6"
	}
	l, err := net.Listen(network, net.JoinHostPort(host, strconv.Itoa(port)))
	if err == nil {
		setBacklog(l, s.number("tcp-backlog"))
		return l, nil
	}
	shown := strings.TrimPrefix(word, "-")
	logger.Warn(fmt.Sprintf("Warning: Could not create server %s listening socket %s:%d: %s", kind, shown, port, bindReason(err)))
	for _, absent := range []error{syscall.ENOPROTOOPT, syscall.EPROTONOSUPPORT, syscall.ESOCKTNOSUPPORT, syscall.EPFNOSUPPORT, syscall.EAFNOSUPPORT} {
		if errors.Is(err, absent) {
			return nil, nil
		}
	}
	if optional && errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil, nil
	}
	return nil, &doorError{addr: net.JoinHostPort(shown, strconv.Itoa(port)), port: port, kind: kind, err: err}
}

// bindReason words what keeps an address from being listened on as redis-server
// does.
func bindReason(err error) string {
	var name *net.DNSError
	if errors.As(err, &name) {
		return "Name or service not known"
	}
	return "bind: " + systemReason(err)
}

// systemReason is the operating system's word for an error, spelt as in C.
func systemReason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// setBacklog is tcp-backlog: listening again changes how many connections may
// wait to be accepted.
func setBacklog(l net.Listener, n int) {
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.Listen(int(fd), n) })
}

// openUnix opens a Unix socket. One that a dead process has left is replaced, one
// that somebody listens on is not (redis-server would take it away).
func openUnix(path string, perm os.FileMode) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return nil, syscall.EADDRINUSE
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if perm != 0 {
		if err := os.Chmod(path, perm); err != nil {
			_ = l.Close()
			return nil, err
		}
	}
	return l, nil
}

// tlsVersions are the names of tls-protocols that are still worth speaking.
var tlsVersions = map[string]uint16{"tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13}

// tlsConfig is what the tls- directives say.
func (s *storeSettings) tlsConfig() (*tls.Config, error) {
	if s.Get("tls-cert-file") == "" {
		return nil, errors.New("no tls-cert-file configured")
	}
	if s.Get("tls-key-file") == "" {
		return nil, errors.New("no tls-key-file configured")
	}
	certificate, err := tls.LoadX509KeyPair(s.at(s.Get("tls-cert-file")), s.at(s.Get("tls-key-file")))
	if err != nil {
		return nil, fmt.Errorf("tls-cert-file and tls-key-file: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	if names := s.List("tls-protocols"); len(names) > 0 {
		c.MinVersion, c.MaxVersion = 0, 0
		for _, name := range names {
			v, ok := tlsVersions[strings.ToLower(name)]
			if !ok {
				return nil, fmt.Errorf("tls-protocols: %q: want TLSv1.2 or TLSv1.3", name)
			}
			if c.MinVersion == 0 || v < c.MinVersion {
				c.MinVersion = v
			}
			c.MaxVersion = max(c.MaxVersion, v)
		}
	}
	switch s.Get("tls-auth-clients") {
	case "no":
		return c, nil
	case "yes":
		c.ClientAuth = tls.RequireAndVerifyClientCert
	case "optional":
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	c.ClientCAs, err = s.authorities()
	return c, err
}

// authorities are those whose certificates clients may show.
func (s *storeSettings) authorities() (*x509.CertPool, error) {
	var files []string
	if path := s.Get("tls-ca-cert-file"); path != "" {
		files = append(files, s.at(path))
	}
	if dir := s.Get("tls-ca-cert-dir"); dir != "" {
		found, err := filepath.Glob(filepath.Join(s.at(dir), "*"))
		if err != nil {
			return nil, fmt.Errorf("tls-ca-cert-dir: %w", err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, errors.New("either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-auth-clients is not no")
	}
	pool := x509.NewCertPool()
	for _, path := range files {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) && path == s.at(s.Get("tls-ca-cert-file")) {
			return nil, fmt.Errorf("tls-ca-cert-file: %s holds no certificate", path)
		}
	}
	return pool, nil
}
