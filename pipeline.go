package limpet

import (
	"context"
	"errors"
	"fmt"

	"limpet/resp"
)

// Pipeline collects commands and runs them together: one after another with
// nothing of anybody else in between, at the price of one hand-over and, under
// [Always], of one sync for all of them. One goroutine uses it at a time.
//
// Everybody else waits while it runs, about a millisecond for a thousand
// simple commands: cut what is much larger.
type Pipeline struct {
	db      *DB
	session *Session // nil for database 0, and none of one's own
	atomic  bool
	batch   Batch
	args    [][]byte
	err     error // the first command that could not be added
}

// ErrWatched is the answer of [Session.TxPipeline] when a key that the session
// watches has changed. Nothing was run, and nothing is watched any more.
var ErrWatched = errors.New("limpet: a watched key has changed: nothing was run")

// Pipeline begins a pipeline in database 0. A crash may keep a first part of it;
// see [DB.TxPipeline].
func (db *DB) Pipeline() *Pipeline { return &Pipeline{db: db} }

// TxPipeline begins a pipeline that is a transaction, MULTI and EXEC around its
// commands: all of them are there after a crash, or none. A command that is not
// one (a wrong name or number of arguments) makes that none is run; one that fails
// when it is run does not undo the others, as in Redis.
func (db *DB) TxPipeline() *Pipeline { return &Pipeline{db: db, atomic: true} }

// Pipeline begins a pipeline in the session.
func (s *Session) Pipeline() *Pipeline { return &Pipeline{db: s.db, session: s} }

// TxPipeline begins a transaction in the session; see [DB.TxPipeline]. Where the
// session has watched keys, it is run only if they have not changed since, and
// answers [ErrWatched] otherwise.
func (s *Session) TxPipeline() *Pipeline { return &Pipeline{db: s.db, session: s, atomic: true} }

// Do adds a command; arguments are those of [DB.Do]. A []byte must not be changed
// before Exec has returned. What cannot be added is the error of Exec.
func (p *Pipeline) Do(args ...any) {
	if p.err != nil {
		return
	}
	if err := p.add(args); err != nil {
		p.err = fmt.Errorf("limpet: nothing was run: command %d: %w", p.Len(), err)
	}
}

func (p *Pipeline) add(args []any) (err error) {
	if p.args, err = appendArguments(p.args[:0], args); err != nil {
		return err
	}
	if p.session == nil || p.atomic {
		if err := p.db.stateless(p.args[0]); err != nil {
			return err
		}
	}
	if p.atomic && p.batch.Len() == 0 {
		p.batch.Add([][]byte{[]byte("MULTI")})
	}
	p.batch.Add(p.args)
	return nil
}

// Len is the number of commands added.
func (p *Pipeline) Len() int {
	if p.atomic {
		return max(0, p.batch.Len()-1) // without MULTI
	}
	return p.batch.Len()
}

// Exec runs what was added and returns the replies, one for each command in its
// order, once all of them are as durable as the policy promises. A command that
// fails has its error in its reply ([resp.Value.Err]) and does not hide the
// others. Exec's own error is one of the whole: then there are no replies. What
// ctx does, it does as for [DB.Do].
//
// The pipeline is empty afterwards and can be used again.
func (p *Pipeline) Exec(ctx context.Context) ([]resp.Value, error) {
	batch, err := p.batch, p.err
	p.batch, p.err = Batch{}, nil
	if err == nil {
		err = ctx.Err()
	}
	if err != nil || batch.Len() == 0 {
		return nil, err
	}
	s := p.session
	if s == nil {
		s = p.db.borrow()
		defer p.db.giveBack(s)
	}
	if p.atomic {
		return s.transaction(ctx, &batch)
	}
	return s.replies(ctx, &batch)
}

// replies runs a batch and takes its replies apart. They lie in a buffer of their
// own.
func (s *Session) replies(ctx context.Context, b *Batch) ([]resp.Value, error) {
	var out resp.Writer
	if err := s.run(ctx, b, &out); err != nil {
		return nil, err
	}
	all := make([]resp.Value, 0, b.Len())
	for rest := out.Buf; len(rest) > 0; {
		v, n, err := resp.Decode(rest)
		if err != nil {
			return nil, err
		}
		all, rest = append(all, v), rest[n:]
	}
	if len(all) != b.Len() {
		return nil, fmt.Errorf("limpet: command %d has ended the session: those behind it were not run", len(all))
	}
	return all, nil
}

// transaction is replies for a batch that MULTI begins and that EXEC is to end.
func (s *Session) transaction(ctx context.Context, b *Batch) ([]resp.Value, error) {
	for _, name := range [...]string{"multi", "exec"} {
		// By another name the commands between them would run one by one.
		if cmd := s.db.e.Names([]byte(name)); cmd == nil || cmd.Name != name {
			return nil, fmt.Errorf("limpet: no transactions, since Options.Renamed has %s mean something else", name)
		}
	}
	if _, open := s.s.InMulti(); open {
		return nil, fmt.Errorf("limpet: the session is between MULTI and EXEC already")
	}
	b.Add([][]byte{[]byte("EXEC")})
	all, err := s.replies(ctx, b)
	if err != nil {
		return nil, err
	}
	result := all[len(all)-1]
	switch {
	case result.IsNull():
		return nil, ErrWatched
	case result.Err() == nil:
		return result.Elems, nil
	}
	for i, queued := range all[1 : len(all)-1] {
		if err := queued.Err(); err != nil {
			return nil, fmt.Errorf("limpet: nothing was run: command %d: %w", i, err)
		}
	}
	return nil, fmt.Errorf("limpet: nothing was run: %w", result.Err())
}
