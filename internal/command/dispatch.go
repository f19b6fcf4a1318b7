package command

import (
	"strings"

	"limpet/resp"
)

// Process runs one request of a session and writes one reply to out.
// Refusals (unknown command, wrong arity, no authentication, writes denied,
// queueing in MULTI) are decided here, in Redis's order.
func (u *Unit) Process(s *Session, args [][]byte, out *resp.Writer) {
	out.Proto = s.Proto
	s.LastSeen = u.now
	if isHTTP(args[0]) {
		s.Closing = true
		return
	}
	cmd := u.lookup(args)
	if cmd == nil {
		u.refuse(s, nil, out, errUnknown(args))
		return
	}
	cmd, text := resolve(cmd, args)
	if text != "" {
		u.refuse(s, cmd, out, text)
		return
	}
	s.LastName = cmd.Name
	if !s.Authed && !cmd.Is(NoAuth) {
		u.refuse(s, cmd, out, errNoAuth)
		return
	}
	if u.ReadOnly != "" && (cmd.Is(Write) || cmd.Name == "ping") {
		u.refuse(s, cmd, out, u.ReadOnly)
		return
	}
	if s.tx.open && !endsQueueing(cmd.Name) {
		if cmd.Is(NoMulti) {
			u.refuse(s, cmd, out, "ERR Command not allowed inside a transaction")
			return
		}
		s.tx.queue = append(s.tx.queue, cloneArgs(args))
		out.Simple("QUEUED")
		return
	}
	u.call(s, cmd, args, out)
}

// isHTTP tells a line of an HTTP request, which a browser was tricked into
// sending here. It gets no reply, the one case of that, and the connection ends
// before the body, which may hold commands.
func isHTTP(name []byte) bool { return equalFold(name, "post") || equalFold(name, "host:") }

// lookup finds the command that a request names. If rename-command has given the
// command that name, its own takes the place in args, so that the log and
// transactions have it.
func (u *Unit) lookup(args [][]byte) *Command {
	if len(u.Limits.Renamed) > 0 {
		name, renamed := u.Limits.Renamed[strings.ToLower(string(args[0]))]
		switch {
		case renamed && name == "":
			return nil
		case renamed:
			args[0] = []byte(name)
		}
	}
	return Lookup(args[0])
}

// Names tells which command clients mean by a name, nil when none.
func (u *Unit) Names(name []byte) *Command { return u.lookup([][]byte{name}) }

// resolve goes from a container to its subcommand and checks the arity. text is
// the error, "" when all is well.
func resolve(cmd *Command, args [][]byte) (_ *Command, text string) {
	if cmd.Subs != nil && len(args) > 1 {
		sub := cmd.sub(args[1])
		if sub == nil {
			return nil, errUnknownSub(cmd.Name, args[1])
		}
		cmd = sub
	}
	if !cmd.arityFits(len(args)) {
		return cmd, errArity(cmd.Name)
	}
	return cmd, ""
}

// refuse answers with an error; a transaction that was being queued is lost, and
// one whose EXEC is refused is over.
func (u *Unit) refuse(s *Session, cmd *Command, out *resp.Writer, text string) {
	if cmd != nil && cmd.Name == "exec" {
		u.endTransaction(s)
		text = "EXECABORT Transaction discarded because of: " + strings.TrimPrefix(text, "ERR ")
	}
	if s.tx.open {
		s.tx.failed = true
	}
	out.Error(text)
}

// call runs a command that was let through.
func (u *Unit) call(s *Session, cmd *Command, args [][]byte, out *resp.Writer) {
	c := u.push()
	*c = Ctx{u: u, Cmd: cmd, Args: args, W: out, DB: u.ks.DB(s.DB), Session: s}
	cmd.Handler(c)
	u.pop()
	u.ks.Stats.Commands++
	u.calls[cmd.id]++
}

// Replay runs a command of the log, never a MULTI or an EXEC: the log's reader
// hands transactions over whole. An unknown command or a wrong number of
// arguments is an error: the log holds only what some server once accepted.
func (u *Unit) Replay(s *Session, args [][]byte, out *resp.Writer) error {
	cmd := Lookup(args[0])
	if cmd == nil {
		cmd = u.lookup(args) // redis-server logs the names that clients have typed
	}
	if cmd == nil {
		return UnknownCommandError{Name: string(clip(args[0], 128))}
	}
	cmd, text := resolve(cmd, args)
	if text != "" {
		return resp.ServerError(text)
	}
	u.call(s, cmd, args, out)
	return nil
}

// UnknownCommandError says that the log holds a command that is not in the
// table, so that replaying it would leave the data different from what it was.
type UnknownCommandError struct{ Name string }

func (e UnknownCommandError) Error() string { return "unknown command '" + e.Name + "'" }

func endsQueueing(name string) bool {
	switch name {
	case "exec", "discard", "multi", "watch", "quit", "reset":
		return true
	}
	return false
}

func cloneArgs(args [][]byte) [][]byte {
	size := 0
	for _, a := range args {
		size += len(a)
	}
	flat := make([]byte, 0, size)
	out := make([][]byte, len(args))
	for i, a := range args {
		flat = append(flat, a...)
		out[i] = flat[len(flat)-len(a) : len(flat) : len(flat)]
	}
	return out
}
