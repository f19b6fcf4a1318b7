package engine

import (
	"limpet/internal/command"
	"limpet/resp"
)

// Batch is what a connection has sent at once: requests, parsed, not yet run.
// The arguments are slices of the connection's buffer; they need to stay valid
// only until Exec returns.
type Batch struct {
	args [][]byte
	ends []int // end in args of each request
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.args, b.ends = b.args[:0], b.ends[:0] }

// Add appends a request; one of no arguments is ignored.
func (b *Batch) Add(args [][]byte) {
	if len(args) == 0 {
		return
	}
	b.args = append(b.args, args...)
	b.ends = append(b.ends, len(b.args))
}

// Len is the number of requests.
func (b *Batch) Len() int { return len(b.ends) }

// Ticket is the sequence number of the newest log record that replies depend on.
type Ticket uint64

// Exec runs a batch for a session and appends one reply for each request to out.
// The replies must not be sent before Wait(ticket) has returned nil.
//
// A session that asked to be closed (QUIT) runs nothing more; its remaining
// requests get no reply.
func (e *Engine) Exec(s *command.Session, b *Batch, out *resp.Writer) Ticket {
	e.Enter()
	defer e.Leave()
	return e.ExecEntered(s, b, out)
}

// Enter and Leave frame any number of ExecEntered, which then share one lock and
// one hand-over to the log. Nobody else runs anything in between.
func (e *Engine) Enter() {
	e.log.throttle()
	e.dumping.throttle()
	e.mu.Lock()
}

// Leave ends what Enter began.
func (e *Engine) Leave() {
	if e.leave() {
		e.log.flush()
	}
}

// LeaveUncommitted is Leave for who calls Commit or CommitSoon next. Under other
// policies than always there is nothing left to do for these.
func (e *Engine) LeaveUncommitted() {
	if e.leave() && !e.log.always() {
		e.log.flush()
	}
}

// leave tells whether there is something new in the log.
func (e *Engine) leave() bool {
	news := e.handed != e.seq
	e.flushRecords()
	e.mu.Unlock()
	return news
}

// Commit takes what was run under appendfsync always to the disk, and returns when
// that is done or somebody else is at it.
func (e *Engine) Commit() { e.log.commit() }

// CommitSoon leaves that to the log's goroutine.
func (e *Engine) CommitSoon() { e.log.flush() }

// ExecEntered is Exec between Enter and Leave.
func (e *Engine) ExecEntered(s *command.Session, b *Batch, out *resp.Writer) Ticket {
	var ticket uint64
	e.now = e.clock.Now()
	begin := 0
	for _, end := range b.ends {
		if s.Closing {
			break
		}
		ticket = max(ticket, e.runOne(s, b.args[begin:end], out))
		begin = end
	}
	return Ticket(ticket)
}

// runOne runs a request as a unit. e.mu is held.
func (e *Engine) runOne(s *command.Session, args [][]byte, out *resp.Writer) (ticket uint64) {
	e.unit.ReadOnly = e.refusal()
	e.beginUnit()
	e.unit.Process(s, args, out)
	return max(e.endUnit(), e.unit.ReadStamp())
}

// beginUnit gives the unit the time, which e.now has been set to, and the
// sequence number that its changes will have. e.mu is held.
func (e *Engine) beginUnit() {
	e.ks.Seq = e.seq + 1
	e.unit.Begin(e.now.UnixMicro())
}

// endUnit takes the unit's effects into the records of this batch and answers
// their sequence number, 0 when nothing was changed. e.mu is held.
func (e *Engine) endUnit() (seq uint64) {
	if !e.unit.Changed() {
		return 0
	}
	e.seq++
	if !e.logging {
		return e.seq
	}
	e.records = e.annotate(e.records)
	e.records, e.logDB = e.unit.Effects().AppendTo(e.records, e.logDB, e.unit.Independent())
	return e.seq
}

// flushRecords hands the batch's records to the log. e.mu is held.
func (e *Engine) flushRecords() {
	if e.handed == e.seq {
		return
	}
	e.log.append(e.records, e.seq)
	e.handed = e.seq
	e.records = reusable(e.records)
}

// Wait returns when the replies of a ticket may be sent: when the log is synced
// up to it under appendfsync always, else when the kernel has it. An error is a
// [resp.ServerError]: what the replies tell may be lost, and the error is to be
// sent in their place.
func (e *Engine) Wait(t Ticket) error { return wireError(e.log.wait(uint64(t))) }

// Settled is Wait for who cannot wait: it tells whether Wait would return at
// once, and with what.
func (e *Engine) Settled(t Ticket) (bool, error) {
	settled, err := e.log.settled(uint64(t))
	return settled, wireError(err)
}

// OnProgress has f called whenever tickets may have become settled, until cancel
// is called. f is called with a lock held: it must not block, nor call back.
func (e *Engine) OnProgress(f func()) (cancel func()) { return e.log.onProgress(f) }

func wireError(err error) error {
	if err == nil {
		return nil
	}
	return resp.ServerError(misconf(err))
}
