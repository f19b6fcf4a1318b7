package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"limpet"
)

// Options of a server. The zero value is the default of redis.conf.
type Options struct {
	// MaxClients is how many connections are served at a time; 0 means 10,000.
	// One more is told so and closed.
	MaxClients int
	// IdleTimeout closes a connection that has been silent for so long; 0 means
	// never.
	IdleTimeout time.Duration
	// Logger is told what goes wrong; nil discards.
	Logger *slog.Logger
}

// Server serves one store on any number of listeners.
type Server struct {
	db      *limpet.DB
	options Options
	logger  *slog.Logger

	mu        sync.Mutex // guards what follows
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
	serving   sync.WaitGroup
}

// New makes a server for a store, which stays the caller's to close.
func New(db *limpet.DB, o Options) *Server {
	if o.MaxClients <= 0 {
		o.MaxClients = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{db: db, options: o, logger: o.Logger,
		listeners: map[net.Listener]struct{}{}, conns: map[net.Conn]struct{}{}}
}

// ErrClosed is Serve's answer after Close.
var ErrClosed = errors.New("server: closed")

// Serve accepts connections until the server is closed or the listener breaks.
// It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = l.Close()
		return ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		s.db.SetPort(tcp.Port)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.isClosed() {
				return ErrClosed
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.logger.Warn("a connection could not be accepted", "error", err)
			time.Sleep(acceptPause)
			continue
		}
		s.start(conn)
	}
}

// acceptPause keeps a process that has run out of file descriptors from spinning.
const acceptPause = 10 * time.Millisecond

// Dial opens a connection in memory. Its signature is that of a dialer, so that
// a client library takes it in the place of one; network and address are ignored.
func (s *Server) Dial(_ context.Context, _, _ string) (net.Conn, error) {
	client, server := pipe()
	if !s.start(server) {
		return nil, ErrClosed
	}
	return client, nil
}

// start serves a connection in the background. It tells whether it will.
func (s *Server) start(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		_ = c.Close()
		return false
	case len(s.conns) >= s.options.MaxClients:
		s.db.Rejected()
		s.serving.Go(func() {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = c.Write([]byte("-ERR max number of clients reached\r\n"))
			_ = c.Close()
		})
		return false
	}
	s.conns[c] = struct{}{}
	s.serving.Go(func() {
		newConn(s, c).serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
	return true
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close stops listening, closes every connection and waits for what they were
// running. Replies not yet sent are lost; what they acknowledge is not.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
	return nil
}
