package limpet

import (
	"limpet/internal/command"
	"limpet/internal/engine"
	"limpet/resp"
)

// Batch is requests to be run together; see [Session.Exec].
type Batch = engine.Batch

// Ticket stands for the newest change to the store that a batch's replies depend
// on, made by the batch or only seen by it.
type Ticket = engine.Ticket

// Session is a client's view of the store: a selected database, watched keys, a
// transaction, a protocol version. One goroutine uses it at a time.
//
// There are two ways to run commands in it. [Session.Do] and [Session.Pipeline]
// take and give Go values. [Session.Exec] and [Session.Wait] are for servers: they
// take requests as they were parsed and give replies as they are sent.
type Session struct {
	db  *DB
	s   *command.Session
	own *buffers // made by the first Do
}

// Session begins a session; addr and local are the two ends of the connection,
// for CLIENT LIST.
func (db *DB) Session(addr, local string) *Session {
	return &Session{db: db, s: db.e.NewSession(addr, local)}
}

// Exec runs the batch's requests one after another, each of them alone, and
// appends a reply for each to out. The replies must not be shown to anybody
// before [Session.Wait] has returned nil for the ticket.
func (s *Session) Exec(b *Batch, out *resp.Writer) Ticket { return s.db.e.Exec(s.s, b, out) }

// Wait holds a batch's replies back as long as the policy asks for. An error is a
// [resp.ServerError] and means that what the replies say may be lost: it is to be
// shown in their place.
func (s *Session) Wait(t Ticket) error { return s.db.e.Wait(t) }

// Settled is Wait for who cannot wait: it tells whether Wait would return at
// once, and with what; see [DB.OnProgress].
func (s *Session) Settled(t Ticket) (bool, error) { return s.db.e.Settled(t) }

// Closing tells that the client asked to be disconnected once the replies are
// sent.
func (s *Session) Closing() bool { return s.s.Closing }

// Authenticated tells whether the session may send large requests.
func (s *Session) Authenticated() bool { return s.s.Authed }

// Close ends the session.
func (s *Session) Close() { s.db.e.EndSession(s.s) }

// Run is one session's part of [DB.ExecAll].
type Run struct {
	Session *Session
	Batch   *Batch
	Out     *resp.Writer
	Ticket  Ticket // the answer
}

// ExecAll is [Session.Exec] for the batches of many sessions at once, one after
// another, with nothing of anybody else in between. It is cheaper than one call
// for each. Where a ticket is not settled then, [DB.Commit] or [DB.CommitSoon] is
// to follow.
func (db *DB) ExecAll(runs []Run) {
	db.e.Enter()
	defer db.e.LeaveUncommitted()
	for i := range runs {
		r := &runs[i]
		r.Ticket = db.e.ExecEntered(r.Session.s, r.Batch, r.Out)
	}
}

// Commit syncs what tickets of ExecAll wait for, and returns when that is done. If
// a sync is under way it returns at once, and the next one follows by itself.
func (db *DB) Commit() { db.e.Commit() }

// CommitSoon has that done by somebody else.
func (db *DB) CommitSoon() { db.e.CommitSoon() }

// OnProgress has f called whenever tickets may have become settled, until cancel
// is called. f must return at once and must not call the store.
func (db *DB) OnProgress(f func()) (cancel func()) { return db.e.OnProgress(f) }
