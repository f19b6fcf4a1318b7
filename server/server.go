package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"limpet"
	"limpet/resp"
)

// Options of a server. The zero value is the default of redis.conf.
type Options struct {
	// MaxClients is how many connections are served at a time, those in memory
	// included (maxclients); 0 means 10,000. One more is told so and closed. Each
	// costs its buffers: 16 KiB, and what one pipeline of requests and replies takes.
	MaxClients int
	// IdleTimeout closes a connection that has been silent for so long (timeout); 0
	// means never.
	IdleTimeout time.Duration
	// KeepAlive is after how long of silence the peer's machine is asked whether it
	// is still there (tcp-keepalive); 0 means 5 minutes, negative never.
	KeepAlive time.Duration
	// Protected turns away who connects from another machine as long as the store
	// asks for no password (protected-mode). Not by default: then whoever reaches a
	// listener without a password may do anything.
	Protected bool
	// Logger is told what goes wrong, never of a request; nil discards.
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
	conns     map[net.Conn]struct{} // those with a goroutine
	inLoops   int                   // those without
	loops     []*loop               // started with the first connection that can have one
	turn      int                   // whose turn it is to get a connection
	serving   sync.WaitGroup

	idleLimit atomic.Int64 // time.Duration
	idleSince atomic.Int64 // Unix ns: when idleLimit was last set
}

// New makes a server for a store, which stays the caller's to close.
func New(db *limpet.DB, o Options) *Server {
	if o.MaxClients <= 0 {
		o.MaxClients = 10_000
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 5 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	db.SetMaxClients(o.MaxClients)
	s := &Server{db: db, options: o, logger: o.Logger,
		listeners: map[net.Listener]struct{}{}, conns: map[net.Conn]struct{}{}}
	s.idleLimit.Store(int64(o.IdleTimeout))
	return s
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
		_ = s.start(conn) // who is not served is told so
	}
}

// Serve serves a store with default options on a listener, which it closes, until
// ctx is done or a client sends SHUTDOWN; both are no error. Connections are closed
// when it returns. The store stays the caller's to close.
func Serve(ctx context.Context, db *limpet.DB, l net.Listener) error {
	s := New(db, Options{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case <-ctx.Done():
	case <-db.Done():
	case err := <-served: // the listener broke
		_ = s.Close()
		return err
	}
	_ = s.Close()
	if err := <-served; !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

// acceptPause keeps a process that has run out of file descriptors from spinning.
const acceptPause = 10 * time.Millisecond

// Dial opens a connection in memory: no port, no socket, no system call. Network
// and address are ignored. It is what go-redis and others take as a dialer:
//
//	redis.NewClient(&redis.Options{Dialer: s.Dial})
//
// It fails with [ErrClosed], with the error of ctx, or with the [resp.ServerError]
// that a connection over a network would read: too many clients.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := pipe()
	if err := s.start(server); err != nil {
		return nil, err
	}
	return client, nil
}

// start serves a connection in the background, or says why not.
func (s *Server) start(c net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return ErrClosed
	}
	if why := s.turnedAway(c); why != "" {
		s.db.Rejected()
		s.serving.Go(func() {
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, _ = c.Write([]byte("-" + why + "\r\n"))
			_ = c.Close()
		})
		return resp.ServerError(why)
	}
	s.tune(c)
	if l := s.pickLoop(c); l != nil && l.adopt(c) {
		s.inLoops++
		return nil
	}
	s.conns[c] = struct{}{}
	s.serving.Go(func() {
		newConn(s, c).serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
	return nil
}

// pickLoop chooses the loop for a connection, nil when it gets a goroutine: that
// is what TLS, connections in memory and other systems than Linux have. s.mu is
// held.
func (s *Server) pickLoop(c net.Conn) *loop {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil
	}
	if goroutinesOnly {
		return nil
	}
	if s.loops == nil {
		for range loopCount() {
			l, err := startLoop(s)
			if err != nil {
				break
			}
			s.loops = append(s.loops, l)
		}
	}
	if len(s.loops) == 0 {
		return nil
	}
	s.turn++
	return s.loops[s.turn%len(s.loops)]
}

// goroutinesOnly gives each connection a goroutine even where there are loops: to
// measure and to test the one beside the other.
var goroutinesOnly = os.Getenv("LIMPET_SERVER") == "goroutines"

// loopCount leaves half of the processors to the log, the collector and whoever
// else is there. Commands run one after another anyway; more loops only read and
// write more sockets at a time.
func loopCount() int { return min(max(1, runtime.GOMAXPROCS(0)/2), 8) }

// left counts out a connection of a loop.
func (s *Server) left() {
	s.mu.Lock()
	s.inLoops--
	s.mu.Unlock()
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
	for _, l := range s.loops {
		l.stop()
	}
	s.loops = nil
	s.mu.Unlock()
	s.serving.Wait()
	return nil
}
