package cli

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"limpet/resp"
)

// conn is a connection to a server. Commands are gathered until a reply is asked
// for, so that a pipeline is one write.
type conn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
	// push takes RESP3's out-of-band messages; they are replies when it is nil.
	push func(resp.Value)
}

type tlsOptions struct {
	on, insecure      bool
	serverName        string
	caFile, caDir     string
	certFile, keyFile string
}

// keepAlive lets a dead server be noticed under a long command.
const keepAlive = 15 * time.Second

func dial(o *options) (*conn, error) {
	d := net.Dialer{KeepAlive: keepAlive}
	network, addr := "tcp", net.JoinHostPort(o.host, strconv.Itoa(o.port))
	if o.socket != "" {
		network, addr = "unix", o.socket
	}
	c, err := d.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	if o.tls.on {
		config, err := o.tls.config(o.host)
		if err == nil {
			secure := tls.Client(c, config)
			err = secure.Handshake()
			c = secure
		}
		if err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
	}
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 64<<10), w: bufio.NewWriterSize(c, 64<<10)}, nil
}

func (t tlsOptions) config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, InsecureSkipVerify: t.insecure, MinVersion: tls.VersionTLS12}
	if t.serverName != "" {
		c.ServerName = t.serverName
	}
	files := []string{}
	if t.caFile != "" {
		files = append(files, t.caFile)
	}
	if t.caDir != "" {
		found, err := filepath.Glob(filepath.Join(t.caDir, "*"))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if c.RootCAs == nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) && file == t.caFile {
			return nil, fmt.Errorf("%s: no certificate", file)
		}
	}
	if t.certFile != "" || t.keyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.certFile, t.keyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (c *conn) send(args ...string) {
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	// An error stays in the writer, and the reply that never comes tells it.
	_, _ = c.w.Write(resp.AppendCommand(nil, words...))
}

// receive gives the next reply. It keeps no part of any earlier one.
func (c *conn) receive() (resp.Value, error) {
	if err := c.w.Flush(); err != nil {
		return resp.Value{}, err
	}
	for {
		v, err := readReply(c.r)
		if err != nil || v.Kind != resp.PushReply || c.push == nil {
			return v, err
		}
		c.push(v)
	}
}

func (c *conn) do(args ...string) (resp.Value, error) {
	c.send(args...)
	return c.receive()
}

// errClosed is what the other side's going away is called.
var errClosed = complaint("Server closed the connection")

// reason is an error in the words of C's library.
func reason(err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errClosed.Error()
	case errors.As(err, &errno):
		text := errno.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	case errors.As(err, &dns) && dns.IsNotFound:
		return "Name or service not known"
	}
	return err.Error()
}

// lost tells that a connection has ended, other than by what was sent over it.
func lost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
