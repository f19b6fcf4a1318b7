package server

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"limpet"
)

// loop serves many connections by one goroutine, which never waits for any of
// them, and a second one in reserve; see helm. One turn of it:
//
//  1. takes new connections, and asks the kernel which sockets are ready;
//  2. sends replies that have settled since;
//  3. reads and parses what each ready connection has sent;
//  4. has the store run all of it under one lock, and sends the replies that are
//     settled;
//  5. under appendfsync always, has the others' records synced: here, when there is
//     nothing else to do, and beside further turns when somebody only reads. See
//     helm for what happens when that takes long.
type loop struct {
	server *Server
	epoll  int
	bell   int // an eventfd that wakes the loop
	cancel func()

	asleep   atomic.Bool // in the kernel, or about to be
	awaiting atomic.Bool // replies are held back, or may soon be
	rung     atomic.Bool // the log has got further since settle looked

	mu       sync.Mutex // guards what follows
	arriving []arrival
	closing  bool

	// The rest belongs to whoever has the helm.
	helm    *helm
	clients map[int32]*client // by file descriptor
	ready   []*client         // may have something to read
	waiting []*client         // ran; their tickets are not settled
	turn    turn
	events  []unix.EpollEvent
	spare   [][]byte // read buffers that nobody uses
	unsaved bool     // this turn's replies need a sync
	mixed   int      // turns to come in which syncs are left to the log's goroutine
	swept   time.Time
}

// arrival is a connection on its way into the loop.
type arrival struct {
	fd            int
	remote, local string // addresses
}

// turn is what one turn runs: for each of the clients a run.
type turn struct {
	clients []*client
	runs    []limpet.Run
	batches []*limpet.Batch // made once, one for each place in runs
	args    [][]byte
}

const (
	turnClients = 128 // clients of one turn at most, so that the store's lock is let go
	maxEvents   = 256
	sweepEvery  = time.Second // how often idle connections are looked for
	mixedTurns  = 16          // with writes, for which somebody who only reads is remembered
)

// startLoop makes a loop and its goroutine, which runs until stop.
func startLoop(s *Server) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(bell)})
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &loop{server: s, epoll: epoll, bell: bell, helm: newHelm(), clients: map[int32]*client{}, events: make([]unix.EpollEvent, maxEvents)}
	l.cancel = s.db.OnProgress(l.progress)
	s.serving.Go(l.run)
	s.serving.Go(l.standBy)
	return l, nil
}

// adopt takes a connection over, which from then on is the loop's to close. It
// tells whether it could: only what has a file descriptor can be listened to.
func (l *loop) adopt(c net.Conn) bool {
	fd, err := duplicate(c)
	if err != nil {
		return false
	}
	remote, local := ends(c)
	_ = c.Close() // the duplicate stays
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arriving = append(l.arriving, arrival{fd, remote, local})
	l.wake()
	return true
}

// duplicate gives a connection's file descriptor a second number. When the first
// is closed the runtime's own poller no longer watches the socket.
func duplicate(c net.Conn) (fd int, err error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return 0, unix.ENOTSUP
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(original uintptr) {
		fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if controlErr != nil {
		return 0, controlErr
	}
	return fd, err
}

// stop has the loop close its connections and end.
func (l *loop) stop() {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock() // after wake, so that the bell is not closed before it rings
	l.closing = true
	l.wake()
}

// progress is called by the store: tickets may have become settled.
func (l *loop) progress() {
	if l.awaiting.Load() {
		l.rung.Store(true)
		l.wake()
	}
}

// wake makes the loop look around, if it is asleep.
func (l *loop) wake() {
	if l.asleep.CompareAndSwap(true, false) {
		one := [8]byte{1} // a number in the machine's order: 1 or 1<<56
		_, _ = unix.Write(l.bell, one[:])
	}
}

// look makes the loop look around now. s.mu is held, so that it has not ended.
func (l *loop) look() { l.wake() }

// run steers until the helm is lost, and then stands by.
func (l *loop) run() {
	for l.listen() {
		l.settle()
		l.read()
		l.exec()
		l.sweep()
		if !l.commit() {
			l.standBy()
			return
		}
	}
	l.end()
}

// standBy is the mate's part: it steers when the other is held up.
func (l *loop) standBy() {
	if l.helm.await() {
		l.run()
	}
}

// end closes everything.
func (l *loop) end() {
	for _, c := range l.clients {
		l.close(c)
	}
	for _, a := range l.arriving {
		_ = unix.Close(a.fd)
		l.server.left()
	}
	_ = unix.Close(l.epoll)
	_ = unix.Close(l.bell)
	l.helm.end()
}

// listen waits for something to do. It is false when the loop is to end.
func (l *loop) listen() bool {
	l.asleep.Store(true) // whatever happens from here on rings the bell
	l.mu.Lock()
	arriving, closing := l.arriving, l.closing
	if !closing {
		l.arriving = nil
	}
	l.mu.Unlock()
	if closing {
		return false
	}
	for _, a := range arriving {
		l.register(a)
	}
	n, err := unix.EpollWait(l.epoll, l.events, l.patience())
	l.asleep.Store(false)
	if err != nil && err != unix.EINTR {
		l.server.logger.Error("connections cannot be listened to any more", "error", err)
		return false
	}
	for i := range max(0, n) {
		l.note(l.events[i])
	}
	return true
}

// patience is how long listen may wait, in milliseconds, -1 for ever.
func (l *loop) patience() int {
	switch {
	case len(l.ready) > 0 || l.rung.Load():
		return 0
	case l.server.idle() > 0:
		return int(sweepEvery / time.Millisecond)
	}
	return -1
}

// edgeTriggered is EPOLLET in the type of EpollEvent.Events.
const edgeTriggered = 1 << 31

// register has the kernel tell, once for each change, what happens on a socket.
func (l *loop) register(a arrival) {
	c := &client{fd: a.fd, session: l.server.db.Session(a.remote, a.local), heard: time.Now()}
	l.clients[int32(c.fd)] = c
	err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | edgeTriggered, Fd: int32(c.fd),
	})
	if err != nil {
		l.close(c)
	}
}

// note takes down what the kernel says of one descriptor.
func (l *loop) note(ev unix.EpollEvent) {
	if ev.Fd == int32(l.bell) {
		var count [8]byte
		_, _ = unix.Read(l.bell, count[:])
		return
	}
	c := l.clients[ev.Fd]
	if c == nil {
		return
	}
	if ev.Events&^unix.EPOLLOUT != 0 {
		c.readable = true
		c.hungUp = c.hungUp || ev.Events&^(unix.EPOLLOUT|unix.EPOLLIN) != 0
		l.queue(c)
	}
	if ev.Events&unix.EPOLLOUT != 0 && c.state == sending {
		l.send(c)
	}
}

// queue has the client read from, when that is possible.
func (l *loop) queue(c *client) {
	if c.state == reading && (c.readable || c.more) && !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
	}
}

// settle sends the replies that have been held back and no longer are.
func (l *loop) settle() {
	if !l.rung.Swap(false) {
		return
	}
	still := l.waiting[:0]
	for _, c := range l.waiting {
		if c.state != waiting {
			continue // closed
		}
		if !l.reply(c) {
			still = append(still, c)
		}
	}
	clear(l.waiting[len(still):])
	l.waiting = still
	l.awaiting.Store(len(still) > 0)
}

// read reads and parses what the clients of this turn have sent.
func (l *loop) read() {
	n := min(len(l.ready), turnClients)
	for _, c := range l.ready[:n] {
		c.queued = false
		if c.state != reading {
			continue
		}
		if !c.fill(l) {
			l.close(c)
			continue
		}
		l.parse(c)
	}
	rest := copy(l.ready, l.ready[n:])
	clear(l.ready[rest:])
	l.ready = l.ready[:rest]
}

// parse moves a client's whole requests into the turn.
func (l *loop) parse(c *client) {
	place := len(l.turn.runs)
	if place == len(l.turn.batches) {
		l.turn.batches = append(l.turn.batches, &limpet.Batch{})
	}
	batch := l.turn.batches[place]
	batch.Reset()
	l.turn.args = c.parse(batch, l.turn.args)
	if batch.Len() == 0 && c.bad == nil {
		c.consume(l)
		l.queue(c)
		return
	}
	c.out.Reset()
	c.sent, c.requests = 0, batch.Len()
	l.turn.clients = append(l.turn.clients, c)
	l.turn.runs = append(l.turn.runs, limpet.Run{Session: c.session, Batch: batch, Out: &c.out})
}

// exec runs the turn and sends what is settled.
func (l *loop) exec() {
	if len(l.turn.runs) == 0 {
		return
	}
	l.awaiting.Store(true) // before asking what is settled, so that no news is missed
	l.server.db.ExecAll(l.turn.runs)
	before := len(l.waiting)
	for i, c := range l.turn.clients {
		c.consume(l)
		c.ticket, c.state = l.turn.runs[i].Ticket, waiting
		if !l.reply(c) {
			l.waiting = append(l.waiting, c)
		}
	}
	held := len(l.waiting) - before
	l.unsaved = held > 0
	if held < len(l.turn.clients) {
		l.mixed = mixedTurns
	}
	l.awaiting.Store(len(l.waiting) > 0)
	clear(l.turn.clients)
	clear(l.turn.runs)
	l.turn.clients, l.turn.runs = l.turn.clients[:0], l.turn.runs[:0]
}

// commit has this turn's records synced. It is false when the helm was lost
// meanwhile.
func (l *loop) commit() bool {
	if !l.unsaved {
		return true
	}
	l.unsaved = false
	if l.mixed > 0 {
		l.mixed--
		l.server.db.CommitSoon()
		return true
	}
	given := l.helm.give()
	l.server.db.Commit()
	if !l.helm.takeBack(given) {
		return false
	}
	l.settle() // before the next turn, so that it finds more
	return true
}

// reply begins to send a client's replies if they are settled, and tells whether
// they are.
func (l *loop) reply(c *client) bool {
	settled, err := c.session.Settled(c.ticket)
	if !settled {
		return false
	}
	c.finish(err)
	c.state = sending
	l.send(c)
	return true
}

// send sends as much as the socket takes, and has the client read from again when
// that was all.
func (l *loop) send(c *client) {
	for c.sent < len(c.out.Buf) {
		n, err := unix.Write(c.fd, c.out.Buf[c.sent:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return // the kernel tells when there is room
		case err != nil:
			l.close(c)
			return
		default:
			c.sent += n
		}
	}
	if c.last {
		l.close(c)
		return
	}
	if cap(c.out.Buf) > readSize {
		c.out.Buf = nil
	}
	c.state = reading
	l.queue(c)
}

// sweep closes connections that have been silent too long.
func (l *loop) sweep() {
	limit := l.server.idle()
	if limit <= 0 {
		return
	}
	now := time.Now()
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	for _, c := range l.clients {
		if c.state == reading && l.server.silence(now, c.heard) > limit {
			l.close(c)
		}
	}
}

// close ends a connection. It may still stand in ready or waiting, which pass
// over it.
func (l *loop) close(c *client) {
	if c.state == closed {
		return
	}
	c.state = closed
	delete(l.clients, int32(c.fd))
	_ = unix.Close(c.fd)
	c.in, c.out.Buf = nil, nil
	c.session.Close()
	l.server.left()
}
