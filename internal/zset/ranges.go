package zset

import (
	"bytes"
	"iter"
)

// Interval is a range of scores.
type Interval struct {
	Min, Max         float64
	MinOpen, MaxOpen bool // the end itself is not part of it
}

// LexInterval is a range of members among equal scores.
type LexInterval struct{ Min, Max LexBound }

// LexBound is an end of a LexInterval: a member, or with Inf -1 or 1 one that
// is below or above all members.
type LexBound struct {
	Member []byte
	Open   bool // the member itself is not part of it
	Inf    int
}

// ScoreRange returns the ranks lo to hi-1 of the members in the interval, with
// lo == hi if there are none.
func (z *ZSet) ScoreRange(r Interval) (lo, hi int) {
	lo = z.count(func(_ []byte, score float64) bool {
		return score < r.Min || r.MinOpen && score == r.Min
	})
	hi = z.count(func(_ []byte, score float64) bool {
		return score < r.Max || !r.MaxOpen && score == r.Max
	})
	return lo, max(lo, hi)
}

// LexRange is ScoreRange for a range of members. It means something only while
// all scores are equal.
func (z *ZSet) LexRange(r LexInterval) (lo, hi int) {
	lo = z.count(func(member []byte, _ float64) bool { return r.Min.above(member, r.Min.Open) })
	hi = z.count(func(member []byte, _ float64) bool { return r.Max.above(member, !r.Max.Open) })
	return lo, max(lo, hi)
}

// above says whether the bound lies above the member, or orEqual is it.
func (b LexBound) above(member []byte, orEqual bool) bool {
	if b.Inf != 0 {
		return b.Inf > 0
	}
	c := bytes.Compare(member, b.Member)
	return c < 0 || orEqual && c == 0
}

// count is how many pairs, all at the beginning, satisfy the condition.
func (z *ZSet) count(before func(member []byte, score float64) bool) int {
	if z.large == nil {
		return z.packed.count(before)
	}
	var buf []byte
	return z.large.order.count(func(it item) bool {
		buf = append(buf[:0], it.member...)
		return before(buf, it.score)
	})
}

// ByRank yields the members of ranks lo to hi-1 with their scores, from the
// last to the first if reverse. Ranks beyond the ends are passed over.
func (z *ZSet) ByRank(lo, hi int, reverse bool) iter.Seq2[[]byte, float64] {
	lo, hi = max(lo, 0), min(hi, z.Len())
	if z.large == nil {
		if reverse {
			return z.packed.byRankDown(lo, hi)
		}
		return z.packed.byRank(lo, hi)
	}
	items := z.large.order.byRank(lo, hi)
	if reverse {
		items = z.large.order.byRankDown(lo, hi)
	}
	return func(yield func([]byte, float64) bool) {
		var buf []byte
		for it := range items {
			buf = append(buf[:0], it.member...)
			if !yield(buf, it.score) {
				return
			}
		}
	}
}

// DeleteByRank takes out the members of ranks lo to hi-1 and returns how many
// there were.
func (z *ZSet) DeleteByRank(lo, hi int) (deleted int) {
	lo, hi = max(lo, 0), min(hi, z.Len())
	if lo >= hi {
		return 0
	}
	if z.large == nil {
		p := z.packed.list()
		if z.packed = packed(p.Delete(p.Seek(2*lo), 2*(hi-lo))); z.packed.len() == 0 {
			z.packed = nil
		}
		return hi - lo
	}
	for range hi - lo {
		leaf, i := z.large.order.at(lo)
		z.Remove([]byte(leaf.items[i].member))
	}
	return hi - lo
}
