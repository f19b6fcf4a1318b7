package zset

import (
	"bytes"
	"cmp"
	"iter"
	"math"
	"strconv"

	"limpet/internal/listpack"
)

// packed is the listpack of a small set: each member followed by its score,
// in ascending order. nil is empty.
type packed listpack.List

func (p packed) list() listpack.List { return listpack.List(p) }

func (p packed) first() int {
	if p == nil {
		return -1
	}
	return p.list().First()
}

func (p packed) len() int {
	if p == nil {
		return 0
	}
	return p.list().Len() / 2
}

// find is the offset of member, or -1.
func (p packed) find(member []byte) int { return p.list().Find(p.first(), member, 1) }

// next is the offset of the member after the one at off, -1 at the end.
func (p packed) next(off int) int { return p.list().Next(p.list().Next(off)) }

// score is the score of the member at off.
func (p packed) score(off int) float64 {
	text, n, isInt := p.list().At(p.list().Next(off))
	if isInt {
		return float64(n)
	}
	f, _ := strconv.ParseFloat(string(text), 64) // written by insert or by Redis
	return f
}

// insert puts a member that is not there into its place.
func (p packed) insert(member []byte, score float64) packed {
	if p == nil {
		p = packed(listpack.New())
	}
	l, off := p.list(), p.first()
	var scratch [20]byte
	for ; off >= 0; off = p.next(off) {
		at := p.score(off)
		if at > score || at == score && bytes.Compare(l.Get(off, scratch[:]), member) > 0 {
			break
		}
	}
	var text [40]byte
	l = l.Insert(off, appendPacked(text[:0], score))
	if off < 0 {
		off = l.Last()
	}
	return packed(l.Insert(off, member))
}

// appendPacked appends the text that a score has in a listpack: an integer up
// to half of what an int64 holds, -0 included, which thereby loses its sign
// (double2ll in Redis's util.c); otherwise the text that replies have.
func appendPacked(dst []byte, score float64) []byte {
	if -1<<62 <= score && score <= 1<<62 && score == math.Trunc(score) {
		return strconv.AppendInt(dst, int64(score), 10)
	}
	return FormatScore(dst, score)
}

func (p packed) remove(off int) packed {
	p = packed(p.list().Delete(off, 2))
	if p.len() == 0 {
		return nil
	}
	return p
}

// rank is the number of members before this one, -1 when it is not there.
func (p packed) rank(member []byte) int {
	rank := 0
	for off := p.first(); off >= 0; off = p.next(off) {
		if p.list().Equal(off, member) {
			return rank
		}
		rank++
	}
	return -1
}

// count is how many pairs, all at the beginning, satisfy the condition.
func (p packed) count(before func(member []byte, score float64) bool) int {
	n := 0
	for member, score := range p.all() {
		if !before(member, score) {
			break
		}
		n++
	}
	return n
}

func (p packed) all() iter.Seq2[[]byte, float64] { return p.byRank(0, p.len()) }

// byRank yields the pairs of ranks lo to hi-1.
func (p packed) byRank(lo, hi int) iter.Seq2[[]byte, float64] {
	return func(yield func([]byte, float64) bool) {
		if lo >= hi {
			return
		}
		var scratch [20]byte
		for off := p.list().Seek(2 * lo); lo < hi && yield(p.list().Get(off, scratch[:]), p.score(off)); lo++ {
			off = p.next(off)
		}
	}
}

// byRankDown yields the pairs of ranks hi-1 down to lo.
func (p packed) byRankDown(lo, hi int) iter.Seq2[[]byte, float64] {
	return func(yield func([]byte, float64) bool) {
		if lo >= hi {
			return
		}
		l := p.list()
		var scratch [20]byte
		for off := l.Seek(2 * (hi - 1)); yield(l.Get(off, scratch[:]), p.score(off)); {
			if hi--; hi <= lo {
				return
			}
			off = l.Prev(l.Prev(off))
		}
	}
}

func compare(aScore float64, a string, bScore float64, b []byte) int {
	if c := cmp.Compare(aScore, bScore); c != 0 {
		return c
	}
	switch {
	case a < string(b):
		return -1
	case a > string(b):
		return 1
	}
	return 0
}
