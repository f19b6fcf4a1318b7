package command

import (
	"bytes"

	"limpet/internal/keyspace"
	"limpet/resp"
)

// LCS: the longest common subsequence of two strings, its length, or where the
// matches are. Dynamic programming over len(a) x len(b) cells of 4 bytes.

// lcsOptions are the words behind the two keys.
type lcsOptions struct {
	length, index, withLen bool
	minMatch               int64
}

func lcs(c *Ctx) {
	var o lcsOptions
	a, ok := lcsInput(c, c.Args[1])
	if !ok {
		return
	}
	b, ok := lcsInput(c, c.Args[2])
	if !ok {
		return
	}
	for i := 3; i < len(c.Args); i++ {
		switch {
		case equalFold(c.Args[i], "idx"):
			o.index = true
		case equalFold(c.Args[i], "len"):
			o.length = true
		case equalFold(c.Args[i], "withmatchlen"):
			o.withLen = true
		case equalFold(c.Args[i], "minmatchlen") && i+1 < len(c.Args):
			n, ok := c.int(i + 1)
			if !ok {
				return
			}
			o.minMatch = max(0, n)
			i++
		default:
			c.fail(errSyntax)
			return
		}
	}
	if o.index && o.length {
		c.fail("ERR If you want both the length and indexes, please just use IDX.")
		return
	}
	if uint64(len(a)+1)*uint64(len(b)+1)*4 > uint64(c.u.Limits.MaxBulk) {
		c.fail("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
		return
	}
	lcsReply(c.W, a, b, o)
}

// lcsInput copies the string out, since the next look-up may reuse its memory.
func lcsInput(c *Ctx, key []byte) ([]byte, bool) {
	o, found := c.view(key)
	if found && keyspace.TypeName(o) != "string" {
		c.fail("ERR The specified keys must contain string values")
		return nil, false
	}
	b, _, _ := stringOf(c, o, found)
	return bytes.Clone(b), true
}

type lcsMatch struct{ aLo, aHi, bLo, bHi int }

func lcsReply(w *resp.Writer, a, b []byte, o lcsOptions) {
	width := len(b) + 1
	cell := make([]uint32, (len(a)+1)*width)
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			switch {
			case a[i-1] == b[j-1]:
				cell[i*width+j] = cell[(i-1)*width+j-1] + 1
			default:
				cell[i*width+j] = max(cell[(i-1)*width+j], cell[i*width+j-1])
			}
		}
	}
	length := int(cell[len(a)*width+len(b)])
	if o.length {
		w.Int(int64(length))
		return
	}
	text, matches := lcsWalk(cell, width, a, b, length, o.minMatch)
	if !o.index {
		w.Bulk(text)
		return
	}
	w.Map(2)
	w.BulkString("matches")
	w.Array(len(matches))
	for _, m := range matches {
		if o.withLen {
			w.Array(3)
		} else {
			w.Array(2)
		}
		w.Array(2)
		w.Int(int64(m.aLo))
		w.Int(int64(m.aHi))
		w.Array(2)
		w.Int(int64(m.bLo))
		w.Int(int64(m.bHi))
		if o.withLen {
			w.Int(int64(m.aHi - m.aLo + 1))
		}
	}
	w.BulkString("len")
	w.Int(int64(length))
}

// lcsWalk goes back from the last cell. Matches come last one first, as Redis
// gives them.
func lcsWalk(cell []uint32, width int, a, b []byte, length int, minMatch int64) (text []byte, matches []lcsMatch) {
	text = make([]byte, length)
	var m lcsMatch
	open := false
	flush := func() {
		if open && int64(m.aHi-m.aLo+1) >= minMatch {
			matches = append(matches, m)
		}
		open = false
	}
	for i, j, at := len(a), len(b), length; i > 0 && j > 0; {
		switch {
		case a[i-1] == b[j-1]:
			at--
			text[at] = a[i-1]
			if open && m.aLo == i && m.bLo == j {
				m.aLo, m.bLo = i-1, j-1
			} else {
				flush()
				m, open = lcsMatch{i - 1, i - 1, j - 1, j - 1}, true
			}
			i, j = i-1, j-1
		case cell[(i-1)*width+j] > cell[i*width+j-1]:
			i--
		default:
			j--
		}
	}
	flush()
	return text, matches
}
