package server

import (
	"net"
	"time"

	"limpet"
	"limpet/resp"
)

// Sizes of a connection's buffers, in bytes.
const (
	readSize    = 16 << 10  // room made for a read at least
	maxKept     = 256 << 10 // a buffer that grew beyond it is let go when it is empty
	maxPipeline = 1 << 20   // unparsed bytes looked at before replies are sent
)

// conn is one connection and its goroutine.
type conn struct {
	server  *Server
	net     net.Conn
	session *limpet.Session
	parser  resp.Parser
	batch   limpet.Batch
	args    [][]byte
	in      []byte // read, not yet run
	parsed  int    // bytes of in that the batch holds
	more    bool   // there are bytes in in that have not been parsed
	out     resp.Writer
}

func newConn(s *Server, c net.Conn) *conn {
	remote, local := ends(c)
	return &conn{server: s, net: c, session: s.db.Session(remote, local)}
}

// serve runs until either side ends the connection.
func (c *conn) serve() {
	defer c.session.Close()
	defer func() { _ = c.net.Close() }()
	for {
		if !c.more && !c.read() {
			return
		}
		bad := c.parse()
		if !c.run() || c.session.Closing() {
			return
		}
		if bad != nil {
			c.out.Reset()
			c.out.Error("ERR " + bad.Error())
			_, _ = c.net.Write(c.out.Buf)
			return
		}
	}
}

// read takes what has arrived.
func (c *conn) read() bool {
	room := max(readSize, min(c.parser.Missing(c.in), maxPipeline))
	if cap(c.in)-len(c.in) < room {
		grown := make([]byte, len(c.in), max(2*cap(c.in), len(c.in)+room))
		copy(grown, c.in)
		c.in = grown
	}
	if t := c.server.idle(); t > 0 {
		_ = c.net.SetReadDeadline(time.Now().Add(t))
	}
	n, err := c.net.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	return err == nil || n > 0
}

// parse moves every whole request into the batch. The batch's arguments lie in
// c.in, so what is left behind them is moved to the front only by consume.
func (c *conn) parse() error {
	c.batch.Reset()
	c.parser.Unauthenticated = !c.session.Authenticated()
	c.parsed, c.more = 0, false
	for {
		args, n, err := c.parser.Next(c.in[c.parsed:], c.args)
		if err != nil || n == 0 {
			return err
		}
		c.args = args
		c.batch.Add(args)
		c.parsed += n
		if c.parser.Unauthenticated { // the request may be AUTH, which widens the limits
			c.more = c.parsed < len(c.in)
			return nil
		}
	}
}

// run executes the batch and sends its replies when they are durable. There may
// be no request in what was parsed, only blank lines.
func (c *conn) run() bool {
	if c.batch.Len() == 0 {
		c.consume()
		return true
	}
	c.out.Reset()
	ticket := c.session.Exec(&c.batch, &c.out)
	c.consume()
	if err := c.session.Wait(ticket); err != nil {
		c.refuse(err)
		return false
	}
	_, err := c.net.Write(c.out.Buf)
	if cap(c.out.Buf) > maxKept {
		c.out.Buf = nil
	}
	return err == nil
}

// refuse answers a batch that was run but could not be made durable: an error
// for each request. The connection ends, since nobody can say what of it stays.
func (c *conn) refuse(err error) {
	c.out.Reset()
	for range c.batch.Len() {
		c.out.Error(err.Error())
	}
	_, _ = c.net.Write(c.out.Buf)
}

// consume drops the requests that have run and keeps what follows them.
func (c *conn) consume() {
	rest := c.in[c.parsed:]
	if len(rest) == 0 && cap(c.in) > maxKept {
		c.in = nil
		return
	}
	c.in = c.in[:copy(c.in, rest)]
}
