package repair

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"limpet/aof"
	"limpet/internal/check"
	"limpet/vfs"
)

// Lost is what a cut holds, as far as it can be read.
type Lost struct {
	Commands int      `json:"commands"` // whole ones, MULTI and EXEC included
	Keys     []string `json:"keys,omitempty"`
	MoreKeys bool     `json:"more_keys,omitempty"`
	Flush    bool     `json:"flush,omitempty"` // one of them is a FLUSHALL
}

// mostKeys is how many are told.
const mostKeys = 100

// lostIn reads a cut. Of the bytes that no Reader takes it looks for the next
// place where one could go on: here a wrong guess costs nothing.
func lostIn(fsys vfs.FS, f *check.File, c *Cut) (Lost, error) {
	if f.RDB > 0 && c.From < f.RDB || strings.HasSuffix(f.Name, ".rdb") && f.RDB == 0 {
		return Lost{}, nil
	}
	file, err := vfs.Open(fsys, f.Path)
	if err != nil {
		return Lost{}, err
	}
	defer func() { _ = file.Close() }()
	src := io.NewSectionReader(file, 0, c.To)
	lost, keys := Lost{}, map[string]bool{}
	note := func(args [][]byte) {
		for _, key := range keysOf(args) {
			if len(keys) < mostKeys || keys[string(key)] {
				keys[string(key)] = true
			} else {
				lost.MoreKeys = true
			}
		}
	}
	for at := c.From; at >= 0 && at < c.To; {
		r := aof.NewReader(src, f.Name, at)
		for err = nil; err == nil; {
			var command aof.Command
			if command, err = r.Next(); err == nil {
				lost.Commands++
				lost.Flush = lost.Flush || strings.EqualFold(string(command.Args[0]), "flushall")
				note(command.Args)
			}
		}
		var bad *aof.FormatError
		if !errors.As(err, &bad) {
			note(beginning(src, r.Offset(), c.To))
			break
		}
		if strings.HasPrefix(bad.What, "EXEC without") || strings.HasPrefix(bad.What, "MULTI inside") {
			lost.Commands++
		} else {
			note(beginning(src, r.Offset(), c.To))
		}
		if at, err = nextFrame(src, max(bad.Offset, at)+1, c.To); err != nil {
			return Lost{}, err
		}
	}
	lost.Keys = slices.Sorted(maps.Keys(keys))
	return lost, nil
}

// beginning is the arguments of an unfinished command, as far as they are whole.
func beginning(src io.ReaderAt, from, to int64) (args [][]byte) {
	const enough = 64 << 10
	b := make([]byte, min(to-from, enough))
	n, _ := src.ReadAt(b, from)
	w := words{b: b[:n]}
	for count, ok := w.number('*'); ok && count > 0; count-- {
		var arg []byte
		if arg, ok = w.bulk(); ok {
			args = append(args, arg)
		}
	}
	return args
}

// nextFrame finds the next place from an offset on where a line begins like a
// command; -1 when there is none.
func nextFrame(src io.ReaderAt, from, to int64) (int64, error) {
	const piece = 256 << 10
	b := make([]byte, piece+64)
	for at := max(0, from-2); at < to; at += piece {
		n, err := src.ReadAt(b[:min(int64(len(b)), to-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := 0; ; i++ {
			next := bytes.Index(b[i:n], []byte("\r\n*"))
			if next < 0 {
				break
			}
			i += next
			w := words{b: b[i+2 : n]}
			if count, ok := w.number('*'); ok && count > 0 && len(w.b) > 0 && w.b[0] == '$' {
				return at + int64(i) + 2, nil
			}
		}
	}
	return -1, nil
}

// words takes a command apart, as far as it goes.
type words struct{ b []byte }

// number reads a line of a kind byte and a number.
func (w *words) number(kind byte) (n int, ok bool) {
	const digits = 10
	if len(w.b) == 0 || w.b[0] != kind {
		return 0, false
	}
	i := 1
	for ; i < len(w.b) && i <= digits && w.b[i] >= '0' && w.b[i] <= '9'; i++ {
		n = n*10 + int(w.b[i]-'0')
	}
	if i == 1 || !bytes.HasPrefix(w.b[i:], []byte("\r\n")) {
		return 0, false
	}
	w.b = w.b[i+2:]
	return n, true
}

func (w *words) bulk() (arg []byte, ok bool) {
	before := w.b
	n, ok := w.number('$')
	if !ok || len(w.b) < n+2 || string(w.b[n:n+2]) != "\r\n" {
		w.b = before
		return nil, false
	}
	arg, w.b = w.b[:n], w.b[n+2:]
	return arg, true
}
