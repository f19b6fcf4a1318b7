package archive

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"limpet/aof"
)

// Query says what of the history is wanted.
type Query struct {
	Key          []byte    // only commands that may have changed it; nil is all
	Since, Until time.Time // zero is no bound
}

// Event is a command, or the beginning of a timeline.
type Event struct {
	Command *Command
	Begins  *Span
}

// History hands the commands of the archive to do, in order. Where a timeline
// begins it says so first: between it and the one before may be a gap. The
// arguments share memory that is used again.
func (a *Archive) History(ctx context.Context, q Query, do func(Event) error) error {
	for _, span := range a.spans {
		if !q.Since.IsZero() && span.latest.Before(q.Since) || !q.Until.IsZero() && span.From.After(q.Until) {
			continue
		}
		if err := do(Event{Begins: span}); err != nil {
			return err
		}
		if err := a.historyOf(ctx, span, q, do); err != nil {
			return err
		}
	}
	return nil
}

func (a *Archive) historyOf(ctx context.Context, span *Span, q Query, do func(Event) error) error {
	first, last := a.firstKept(ctx, span), span.Last
	if last < first {
		return nil
	}
	end, _, err := getSegment(ctx, a.store, span.Number, last)
	if err != nil {
		return err
	}
	// Where the clock went back, times do not rise, and all is read.
	rising := end.Turned < first || end.Turned == 0
	if rising && !q.Since.IsZero() {
		n, err := searchSegments(ctx, a.store, span.Number, first, last, func(s *Segment) bool {
			at, _ := s.LastAt()
			return !at.Before(q.Since)
		})
		if err != nil || n > last {
			return err
		}
		first = n
	}
	if rising && !q.Until.IsZero() {
		n, err := searchSegments(ctx, a.store, span.Number, first, last, func(s *Segment) bool {
			at, _ := s.FirstAt()
			return at.After(q.Until)
		})
		if err != nil || n == first {
			return err
		}
		last = n - 1
	}
	seg, _, err := getSegment(ctx, a.store, span.Number, first)
	if err != nil {
		return err
	}
	return a.segments(ctx, span.Number, first, last, seg.Prev, func(s *Segment, data []byte) error {
		return units(s, data, func(u aof.Unit, at time.Time, stamped bool, number uint64, db int) error {
			if !q.Since.IsZero() && at.Before(q.Since) || !q.Until.IsZero() && at.After(q.Until) {
				return nil
			}
			if u.Multi {
				number++
			}
			for i, c := range u.Commands {
				if isWord(c.Args[0], "SELECT") && len(c.Args) == 2 {
					db, _ = strconv.Atoi(string(c.Args[1]))
					continue
				}
				if q.Key != nil && !touches(c.Args, q.Key) {
					continue
				}
				event := Event{Command: &Command{Timeline: span.Number, Number: number + uint64(i), At: at, Stamped: stamped, DB: db, Args: c.Args}}
				if err := do(event); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func isWord(arg []byte, word string) bool { return strings.EqualFold(string(arg), word) }

// Where the keys are that a command of a log changes: in a log stand the
// commands that changed something, with nothing left to chance or to the clock.
// Most have one, as their first argument.
var (
	everyKey = words("FLUSHALL FLUSHDB SWAPDB")
	noKey    = words("SELECT MULTI EXEC FUNCTION SCRIPT PUBLISH SPUBLISH EVAL EVALSHA FCALL")
	allKeys  = words("DEL UNLINK")
	pairKeys = words("MSET MSETNX")
	twoKeys  = words("RENAME RENAMENX COPY SMOVE RPOPLPUSH LMOVE BRPOPLPUSH BLMOVE")
	second   = words("BITOP XGROUP")
	// With STORE they change the key behind the word, too.
	storing = words("SORT GEORADIUS GEORADIUSBYMEMBER")
)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// touches tells whether a command may have changed a key.
func touches(args [][]byte, key []byte) bool {
	name := strings.ToUpper(string(args[0]))
	is := func(i int) bool { return i < len(args) && string(args[i]) == string(key) }
	switch {
	case everyKey[name]:
		return true
	case noKey[name]:
		return false
	case allKeys[name]:
		return slices.ContainsFunc(args[1:], func(a []byte) bool { return string(a) == string(key) })
	case pairKeys[name]:
		for i := 1; i < len(args); i += 2 {
			if is(i) {
				return true
			}
		}
		return false
	case twoKeys[name]:
		return is(1) || is(2)
	case second[name]:
		return is(2)
	case storing[name]:
		for i := 2; i+1 < len(args); i++ {
			if (isWord(args[i], "STORE") || isWord(args[i], "STOREDIST")) && is(i+1) {
				return true
			}
		}
		return false
	}
	return is(1)
}
