package server

import (
	"time"

	"golang.org/x/sys/unix"

	"limpet"
	"limpet/resp"
)

// client is a connection of a loop.
type client struct {
	fd      int
	state   clientState
	session *limpet.Session
	parser  resp.Parser

	in       []byte // read, not yet run; nil when there is nothing
	parsed   int    // bytes of in that the running batch holds
	requests int    // of that batch
	bad      error  // the protocol error behind it
	ticket   limpet.Ticket
	out      resp.Writer
	sent     int       // bytes of out already sent
	last     bool      // to be closed once out is sent
	heard    time.Time // kept only where there is an idle timeout

	readable bool // the kernel has said "something", and not yet "nothing more"
	hungUp   bool // the peer sends no more: what is there is to be read to its end
	more     bool // there are bytes in in that have not been parsed
	queued   bool // in loop.ready
}

// clientState is what a client is about. It is read from only in the first: a
// peer that does not take its replies is held back by the socket's buffers.
type clientState uint8

const (
	reading clientState = iota
	waiting             // for its ticket
	sending
	closed
)

// fill reads once, into a buffer of the loop's, unless there is something left to
// be parsed. It is false when the connection
// has ended.
func (c *client) fill(l *loop) bool {
	if c.more {
		c.more = false
		return true
	}
	c.makeRoom(l)
	room := c.in[len(c.in):cap(c.in)]
	n, err := unix.Read(c.fd, room)
	switch {
	case err == unix.EAGAIN:
		c.readable = false
		return true
	case err == unix.EINTR:
		return true
	case err != nil || n == 0:
		return false
	}
	c.in = c.in[:len(c.in)+n]
	if n < len(room) && !c.hungUp {
		c.readable = false // the kernel tells when there is more
	}
	if l.server.idle() > 0 {
		c.heard = time.Now()
	}
	return true
}

// makeRoom gives the client a buffer, and a larger one for a large argument.
func (c *client) makeRoom(l *loop) {
	if c.in == nil {
		if n := len(l.spare); n > 0 {
			c.in, l.spare = l.spare[n-1], l.spare[:n-1]
		} else {
			c.in = make([]byte, 0, readSize)
		}
	}
	room := max(readSize/4, min(c.parser.Missing(c.in), maxPipeline))
	if cap(c.in)-len(c.in) < room {
		grown := make([]byte, len(c.in), max(2*cap(c.in), len(c.in)+room))
		copy(grown, c.in)
		c.in = grown
	}
}

// parse moves every whole request into a batch, whose arguments lie in c.in.
func (c *client) parse(batch *limpet.Batch, args [][]byte) [][]byte {
	c.parser.Unauthenticated = !c.session.Authenticated()
	c.parsed, c.bad = 0, nil
	for {
		var n int
		args, n, c.bad = c.parser.Next(c.in[c.parsed:], args)
		if c.bad != nil || n == 0 {
			return args
		}
		batch.Add(args)
		c.parsed += n
		if c.parser.Unauthenticated { // the request may be AUTH, which widens the limits
			c.more = c.parsed < len(c.in)
			return args
		}
	}
}

// consume drops the requests that have run and keeps what follows them. A buffer
// with nothing left in it goes back to the loop.
func (c *client) consume(l *loop) {
	rest := c.in[c.parsed:]
	c.parsed = 0
	if len(rest) > 0 {
		c.in = c.in[:copy(c.in, rest)]
		return
	}
	if cap(c.in) == readSize {
		l.spare = append(l.spare, c.in[:0])
	}
	c.in = nil
}

// finish completes the replies of a batch that is settled. After an error nobody
// can say what of the batch stays: each request gets the error, and the
// connection ends.
func (c *client) finish(err error) {
	switch {
	case err != nil:
		c.out.Reset()
		for range c.requests {
			c.out.Error(err.Error())
		}
		c.last = true
	case c.session.Closing(): // what follows QUIT is not looked at
		c.last = true
	case c.bad != nil:
		c.out.Error("ERR " + c.bad.Error())
		c.last = true
	}
}
