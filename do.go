package limpet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"limpet/internal/command"
	"limpet/resp"
)

// Do runs one command in database 0 and returns its reply once it is as durable
// as the policy promises. Arguments are strings, []byte, integers or float64. An
// error reply is returned as a [resp.ServerError]; the reply is the caller's to
// keep, in the shapes of RESP2, and has methods that give it as a Go type
// ([resp.Value.AsInt] and others).
//
// Once ctx is done Do begins nothing any more, and gives up waiting for the disk:
// the command has then run, and whether it lasts is not known.
//
// Commands that belong to a connection (SELECT, MULTI, WATCH, CLIENT …) need a
// [Session].
func (db *DB) Do(ctx context.Context, args ...any) (resp.Value, error) {
	s := db.borrow()
	defer db.giveBack(s)
	return s.one(ctx, args, db.stateless)
}

// Do runs one command in the session, as [DB.Do] does without one. Between MULTI
// and EXEC the reply is QUEUED.
func (s *Session) Do(ctx context.Context, args ...any) (resp.Value, error) {
	return s.one(ctx, args, func([]byte) error { return nil })
}

// borrow gives a session for one call, of which no one knows but the caller.
func (db *DB) borrow() *Session { return db.idle.Get().(*Session) }

func (db *DB) giveBack(s *Session) {
	if !s.Closing() { // after SHUTDOWN a session runs nothing more
		db.idle.Put(s)
	}
}

func (db *DB) newIdle() any {
	return &Session{db: db, s: command.NewSession(0, "", "", true, 0)}
}

// stateless refuses commands that need a session of one's own, and a place outside
// of transactions.
func (db *DB) stateless(name []byte) error {
	if cmd := db.e.Names(name); cmd != nil && cmd.Stateful() {
		return fmt.Errorf("limpet: %s belongs to a connection: use a Session and its Do", cmd.Name)
	}
	return nil
}

// buffers are what a session needs to run commands given as Go values.
type buffers struct {
	batch Batch
	args  [][]byte
	out   resp.Writer
}

const maxKept = 256 << 10 // bytes of replies: a buffer that grew beyond is let go

func (s *Session) one(ctx context.Context, args []any, allowed func(name []byte) error) (v resp.Value, err error) {
	if err := ctx.Err(); err != nil {
		return v, err
	}
	if s.own == nil {
		s.own = &buffers{}
	}
	own := s.own
	if own.args, err = appendArguments(own.args[:0], args); err != nil {
		return v, err
	}
	if err := allowed(own.args[0]); err != nil {
		return v, err
	}
	own.batch.Reset()
	own.batch.Add(own.args)
	own.out.Reset()
	if cap(own.out.Buf) > maxKept {
		own.out.Buf = nil
	}
	if err := s.run(ctx, &own.batch, &own.out); err != nil {
		return v, err
	}
	if v, _, err = resp.Decode(own.out.Buf); err != nil {
		return v, err
	}
	v = v.Clone()
	return v, v.Err()
}

// run runs a batch and returns when its replies may be shown.
func (s *Session) run(ctx context.Context, b *Batch, out *resp.Writer) error {
	closing := s.Closing()
	ticket := s.Exec(b, out)
	if err := s.db.e.WaitContext(ctx, ticket); err != nil {
		if errors.Is(err, ctx.Err()) {
			return fmt.Errorf("limpet: run, but not known to be durable: %w", err)
		}
		return err
	}
	switch {
	case closing:
		return fmt.Errorf("limpet: the session has ended")
	case s.Closing() && s.s.LastName == "shutdown":
		out.OK() // for a connection its end is the reply
	case len(out.Buf) == 0:
		return fmt.Errorf("limpet: no such command")
	}
	return nil
}

// appendArguments appends a command's arguments as the store takes them.
func appendArguments(to [][]byte, args []any) ([][]byte, error) {
	if len(args) == 0 {
		return to, fmt.Errorf("limpet: no command given")
	}
	for i, a := range args {
		b, err := argument(a)
		if err != nil {
			return to, fmt.Errorf("limpet: argument %d: %w", i, err)
		}
		to = append(to, b)
	}
	return to, nil
}

func argument(a any) ([]byte, error) {
	switch v := a.(type) {
	case string:
		return []byte(v), nil
	case []byte:
		return v, nil
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case uint64:
		return strconv.AppendUint(nil, v, 10), nil
	case float64:
		if math.IsNaN(v) {
			return nil, fmt.Errorf("not a number")
		}
		return strconv.AppendFloat(nil, v, 'g', -1, 64), nil // reads back as the same number
	}
	return nil, fmt.Errorf("%T is not a string, []byte, integer or float64", a)
}
