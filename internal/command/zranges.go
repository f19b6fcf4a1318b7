package command

import (
	"limpet/internal/zset"
)

// The range commands of sorted sets: by rank, by score, by member; forwards and
// backwards; to read, to count, to remove, to store.

type rangeBy int

const (
	byRank rangeBy = iota
	byScore
	byLex
)

// rangeSpec is a range as the arguments describe it.
type rangeSpec struct {
	fixed      bool // the command's name says by what and in which direction
	by         rangeBy
	reverse    bool
	withScores bool
	limited    bool
	offset     int64
	count      int64 // negative for all

	lo, hi int64 // by rank, inclusive, perhaps counted from the end
	score  zset.Interval
	lex    zset.LexInterval
}

// parse reads start and stop at position i and the words behind them.
func (r *rangeSpec) parse(c *Ctx, i int, store bool) bool {
	r.count = -1
	for j := i + 2; j < len(c.Args); j++ {
		switch {
		case !store && equalFold(c.Args[j], "withscores"):
			r.withScores = true
		case equalFold(c.Args[j], "limit") && j+2 < len(c.Args):
			offset, ok := c.int(j + 1)
			if !ok {
				return false
			}
			count, ok := c.int(j + 2)
			if !ok {
				return false
			}
			r.limited, r.offset, r.count = true, offset, count
			j += 2
		case !r.fixed && equalFold(c.Args[j], "bylex"):
			r.by = byLex
		case !r.fixed && equalFold(c.Args[j], "byscore"):
			r.by = byScore
		case !r.fixed && equalFold(c.Args[j], "rev"):
			r.reverse = true
		default:
			c.fail(errSyntax)
			return false
		}
	}
	if r.limited && r.by == byRank && !(r.offset == 0 && r.count == -1) {
		c.fail("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
		return false
	}
	if r.withScores && r.by == byLex {
		c.fail("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
		return false
	}
	first, second := i, i+1
	if r.reverse && r.by != byRank {
		first, second = second, first
	}
	return r.bounds(c, first, second)
}

// bounds reads the two ends.
func (r *rangeSpec) bounds(c *Ctx, first, second int) (ok bool) {
	switch r.by {
	case byRank:
		if r.lo, ok = c.int(first); !ok {
			return false
		}
		r.hi, ok = c.int(second)
		return ok
	case byScore:
		var okMin, okMax bool
		r.score.Min, r.score.MinOpen, okMin = zset.ParseBound(c.Args[first])
		r.score.Max, r.score.MaxOpen, okMax = zset.ParseBound(c.Args[second])
		if !okMin || !okMax {
			c.fail(errMinMaxFloat)
		}
		return okMin && okMax
	}
	var okMin, okMax bool
	r.lex.Min, okMin = zset.ParseLexBound(c.Args[first])
	r.lex.Max, okMax = zset.ParseLexBound(c.Args[second])
	if !okMin || !okMax {
		c.fail(errMinMaxLex)
	}
	return okMin && okMax
}

// ranks gives the members' ranks lo to hi-1 in ascending order, LIMIT applied.
func (r *rangeSpec) ranks(z zsetValue) (lo, hi int) {
	n := z.Len()
	switch r.by {
	case byScore:
		lo, hi = z.ScoreRange(r.score)
	case byLex:
		lo, hi = z.LexRange(r.lex)
	default:
		a, b := clampRange(r.lo, r.hi, int64(n))
		if a > b {
			return 0, 0
		}
		lo, hi = int(a), int(b)+1
		if r.reverse {
			lo, hi = n-hi, n-lo
		}
		return lo, hi
	}
	if !r.limited {
		return lo, hi
	}
	if r.offset < 0 {
		return 0, 0
	}
	skip := int(min(r.offset, int64(hi-lo)))
	take := hi - lo - skip
	if r.count >= 0 {
		take = int(min(r.count, int64(take)))
	}
	if r.reverse {
		return hi - skip - take, hi - skip
	}
	return lo + skip, lo + skip + take
}

func zrange(c *Ctx, r rangeSpec) {
	if !r.parse(c, 2, false) {
		return
	}
	z, found, ok := viewAs[zsetValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.W.Array(0)
		return
	}
	lo, hi := r.ranks(z)
	nested := r.withScores && c.W.Proto == 3
	n := hi - lo
	if r.withScores && !nested {
		n *= 2
	}
	c.W.Array(n)
	for member, score := range z.ByRank(lo, hi, r.reverse) {
		if nested {
			c.W.Array(2)
		}
		c.W.Bulk(member)
		if r.withScores {
			c.W.Double(score)
		}
	}
}

func zcount(c *Ctx, by rangeBy) {
	r := rangeSpec{by: by}
	if !r.bounds(c, 2, 3) {
		return
	}
	z, found, ok := viewAs[zsetValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		lo, hi := r.ranks(z)
		n = hi - lo
	}
	c.W.Int(int64(n))
}

func zremrange(c *Ctx, by rangeBy) {
	r := rangeSpec{by: by}
	if !r.bounds(c, 2, 3) {
		return
	}
	z, found, ok := editAs[zsetValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		n = z.DeleteByRank(r.ranks(z))
	}
	if n > 0 {
		c.touch(c.Args[1])
		c.weigh(n)
		c.dropIfEmpty(c.Args[1], z.Len())
		c.logVerbatim()
	}
	c.W.Int(int64(n))
}

func zrangestore(c *Ctx) {
	var r rangeSpec
	if !r.parse(c, 3, true) {
		return
	}
	z, found, ok := viewAs[zsetValue](c, c.Args[2])
	if !ok {
		return
	}
	into := zset.New()
	if found {
		lo, hi := r.ranks(z)
		lim := c.u.zsetLimits()
		if r.by == byRank && hi-lo > lim.MaxEntries {
			lim = zset.Limits{} // never packed on the way, which would make -0 of a score 0
		}
		for member, score := range z.ByRank(lo, hi, r.reverse) {
			into.Add(member, score, lim)
		}
	}
	c.storeZSet(c.Args[1], into)
	c.W.Int(int64(into.Len()))
}

// storeZSet puts a result under a key, or deletes the key when the result is
// empty. The request itself is the effect; DEL when that was all it did.
func (c *Ctx) storeZSet(key []byte, z zsetValue) {
	if z.Len() > 0 {
		c.exists(key)
		c.put(key, z)
		c.logVerbatim()
		return
	}
	if c.remove(key) {
		c.log(wordDel, key)
	}
}
