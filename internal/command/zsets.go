package command

import (
	"math"
	"math/rand/v2"

	"limpet/internal/listpack"
	"limpet/internal/zset"
	"limpet/resp"
)

func init() {
	key := Keys{1, 1, 1}
	write := func(name string, arity int, more Flags, since, doc string, h Handler) *Command {
		return &Command{Name: name, Arity: arity, Flags: Write | more, Keys: key, Since: since, Doc: doc, Handler: h}
	}
	read := func(name string, arity int, more Flags, since, doc string, h Handler) *Command {
		return &Command{Name: name, Arity: arity, Flags: ReadOnly | more, Keys: key, Since: since, Doc: doc, Handler: h}
	}
	register("sorted-set",
		write("zadd", -4, DenyOOM|Fast, "1.2.0", "Adds members, or changes their scores.", zadd),
		write("zincrby", 4, DenyOOM|Fast, "1.2.0", "Adds to a member's score.", zincrby),
		write("zrem", -3, Fast, "1.2.0", "Removes members.", zrem),
		read("zcard", 2, Fast, "1.2.0", "Counts the members.", zcard),
		read("zscore", 3, Fast, "1.2.0", "Gives a member's score.", zscore),
		read("zmscore", -3, Fast, "6.2.0", "Gives the scores of members.", zmscore),
		read("zrank", 3, Fast, "2.0.0", "Counts the members before one.", func(c *Ctx) { zrank(c, false) }),
		read("zrevrank", 3, Fast, "2.0.0", "Counts the members after one.", func(c *Ctx) { zrank(c, true) }),
		read("zcount", 4, Fast, "2.0.0", "Counts the members in a range of scores.", func(c *Ctx) { zcount(c, byScore) }),
		read("zlexcount", 4, Fast, "2.8.9", "Counts the members in a range of members.", func(c *Ctx) { zcount(c, byLex) }),
		read("zrange", -4, 0, "1.2.0", "Gives the members in a range.", func(c *Ctx) { zrange(c, rangeSpec{}) }),
		read("zrevrange", -4, 0, "1.2.0", "Gives the members in a range of ranks, last first.", func(c *Ctx) { zrange(c, rangeSpec{fixed: true, reverse: true}) }),
		read("zrangebyscore", -4, 0, "1.0.5", "Gives the members in a range of scores.", func(c *Ctx) { zrange(c, rangeSpec{fixed: true, by: byScore}) }),
		read("zrevrangebyscore", -4, 0, "2.2.0", "Gives the members in a range of scores, last first.", func(c *Ctx) { zrange(c, rangeSpec{fixed: true, by: byScore, reverse: true}) }),
		read("zrangebylex", -4, 0, "2.8.9", "Gives the members in a range of members.", func(c *Ctx) { zrange(c, rangeSpec{fixed: true, by: byLex}) }),
		read("zrevrangebylex", -4, 0, "2.8.9", "Gives the members in a range of members, last first.", func(c *Ctx) { zrange(c, rangeSpec{fixed: true, by: byLex, reverse: true}) }),
		&Command{Name: "zrangestore", Arity: -5, Flags: Write | DenyOOM, Keys: Keys{1, 2, 1}, Since: "6.2.0",
			Doc: "Stores the members in a range under another key.", Handler: zrangestore},
		write("zremrangebyrank", 4, 0, "2.0.0", "Removes the members in a range of ranks.", func(c *Ctx) { zremrange(c, byRank) }),
		write("zremrangebyscore", 4, 0, "1.2.0", "Removes the members in a range of scores.", func(c *Ctx) { zremrange(c, byScore) }),
		write("zremrangebylex", 4, 0, "2.8.9", "Removes the members in a range of members.", func(c *Ctx) { zremrange(c, byLex) }),
		write("zpopmin", -2, Fast, "5.0.0", "Removes and gives the first members.", func(c *Ctx) { zpop(c, false) }),
		write("zpopmax", -2, Fast, "5.0.0", "Removes and gives the last members.", func(c *Ctx) { zpop(c, true) }),
		&Command{Name: "zmpop", Arity: -4, Flags: Write | MovableKeys, Since: "7.0.0",
			Doc: "Removes and gives members of the first key that has some.", Handler: zmpop},
		read("zrandmember", -2, 0, "6.2.0", "Gives random members.", zrandmember),
		read("zscan", -3, 0, "2.8.0", "Lists members a few at a time.", zscan),
	)
}

func (u *Unit) zsetLimits() zset.Limits { return u.Limits.Packing().ZSet }

// zaddOptions are ZADD's words.
type zaddOptions struct{ nx, xx, gt, lt, changed, incr bool }

func parseZadd(c *Ctx) (o zaddOptions, first int, ok bool) {
	i := 2
words:
	for ; i < len(c.Args); i++ {
		switch {
		case equalFold(c.Args[i], "nx"):
			o.nx = true
		case equalFold(c.Args[i], "xx"):
			o.xx = true
		case equalFold(c.Args[i], "gt"):
			o.gt = true
		case equalFold(c.Args[i], "lt"):
			o.lt = true
		case equalFold(c.Args[i], "ch"):
			o.changed = true
		case equalFold(c.Args[i], "incr"):
			o.incr = true
		default:
			break words
		}
	}
	return o, i, c.checkZadd(o, len(c.Args)-i)
}

// checkZadd checks options against each other; left is how many arguments
// follow them.
func (c *Ctx) checkZadd(o zaddOptions, left int) bool {
	switch {
	case left == 0 || left%2 != 0:
		c.fail(errSyntax)
	case o.nx && o.xx:
		c.fail("ERR XX and NX options at the same time are not compatible")
	case o.gt && o.lt || o.nx && (o.gt || o.lt):
		c.fail("ERR GT, LT, and/or NX options at the same time are not compatible")
	case o.incr && left > 2:
		c.fail("ERR INCR option supports a single increment-element pair")
	default:
		return true
	}
	return false
}

func zadd(c *Ctx) {
	o, first, ok := parseZadd(c)
	if !ok {
		return
	}
	c.zaddPairs(o, first)
}

func zincrby(c *Ctx) { c.zaddPairs(zaddOptions{incr: true}, 2) }

// zaddPairs is ZADD behind its options: scores and members in turn from position
// first on.
func (c *Ctx) zaddPairs(o zaddOptions, first int) {
	scores := make([]float64, 0, (len(c.Args)-first)/2)
	for i := first; i < len(c.Args); i += 2 {
		score, ok := zset.ParseScore(c.Args[i])
		if !ok {
			c.fail(errNotFloat)
			return
		}
		scores = append(scores, score)
	}
	key := c.Args[1]
	z, found, ok := editAs[zsetValue](c, key)
	if !ok {
		return
	}
	if !found {
		if o.xx {
			c.zaddReply(o, 0, 0, 0, false)
			return
		}
		z = zset.New()
	}
	added, updated := 0, 0
	var last float64
	applied := false
	for i, score := range scores {
		member := c.Args[first+2*i+1]
		next, outcome := o.decide(z, member, score)
		switch outcome {
		case zaddNaN:
			c.fail("ERR resulting score is not a number (NaN)")
			return
		case zaddSkipped:
			continue
		case zaddAdded:
			added++
		case zaddUpdated:
			updated++
		}
		last, applied = next, true
		if outcome != zaddSame {
			z.Add(member, next, c.u.zsetLimits())
		}
	}
	if added+updated > 0 {
		if !found {
			c.DB.Put(key, z)
		}
		c.touch(key)
		c.weigh(added + updated)
		c.logVerbatim()
	}
	c.zaddReply(o, added, updated, last, applied)
}

type zaddOutcome int

const (
	zaddSkipped zaddOutcome = iota
	zaddSame
	zaddAdded
	zaddUpdated
	zaddNaN
)

// decide says what becomes of one pair, and at which score.
func (o zaddOptions) decide(z zsetValue, member []byte, score float64) (float64, zaddOutcome) {
	old, exists := z.Score(member)
	switch {
	case exists && o.nx || !exists && o.xx:
		return 0, zaddSkipped
	case !exists:
		return score, zaddAdded
	}
	if o.incr {
		if score += old; math.IsNaN(score) {
			return 0, zaddNaN
		}
	}
	switch {
	case o.gt && score <= old || o.lt && score >= old:
		return 0, zaddSkipped
	case score == old:
		return score, zaddSame
	}
	return score, zaddUpdated
}

func (c *Ctx) zaddReply(o zaddOptions, added, updated int, last float64, applied bool) {
	switch {
	case o.incr && applied:
		c.W.Double(last)
	case o.incr:
		c.W.Null()
	case o.changed:
		c.W.Int(int64(added + updated))
	default:
		c.W.Int(int64(added))
	}
}

func zrem(c *Ctx) {
	z, found, ok := editAs[zsetValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		for _, member := range c.Args[2:] {
			if _, removed := z.Remove(member); removed {
				n++
			}
		}
	}
	if n > 0 {
		c.touch(c.Args[1])
		c.weigh(n)
		c.dropIfEmpty(c.Args[1], z.Len())
		c.logVerbatim()
	}
	c.W.Int(int64(n))
}

func zcard(c *Ctx) {
	z, found, ok := viewAs[zsetValue](c, c.Args[1])
	switch {
	case !ok:
	case found:
		c.W.Int(int64(z.Len()))
	default:
		c.W.Int(0)
	}
}

func zscore(c *Ctx) {
	z, found, ok := viewAs[zsetValue](c, c.Args[1])
	if ok {
		c.writeScore(z, found, c.Args[2])
	}
}

func (c *Ctx) writeScore(z zsetValue, found bool, member []byte) {
	if found {
		if score, ok := z.Score(member); ok {
			c.W.Double(score)
			return
		}
	}
	c.W.Null()
}

func zmscore(c *Ctx) {
	z, found, ok := viewAs[zsetValue](c, c.Args[1])
	if !ok {
		return
	}
	c.W.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		c.writeScore(z, found, member)
	}
}

func zrank(c *Ctx, reverse bool) {
	z, found, ok := viewAs[zsetValue](c, c.Args[1])
	if !ok {
		return
	}
	if found {
		if rank, ok := z.Rank(c.Args[2], reverse); ok {
			c.W.Int(int64(rank))
			return
		}
	}
	c.W.Null()
}

func zpop(c *Ctx, last bool) {
	count := int64(1)
	many := len(c.Args) > 2
	if len(c.Args) > 3 {
		c.fail(errSyntax)
		return
	}
	if many {
		n, ok := c.positive(2)
		if !ok {
			return
		}
		count = n
	}
	z, found, ok := editAs[zsetValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found || count == 0 {
		c.W.Array(0)
		return
	}
	n := int(min(count, int64(z.Len())))
	nested := many && c.W.Proto == 3
	if nested {
		c.W.Array(n)
	} else {
		c.W.Array(2 * n)
	}
	c.popMembers(c.Args[1], z, n, last, nested)
	c.logVerbatim()
}

// popMembers removes n members from one end, writes them, and logs it in the
// form ZPOPMIN key or ZPOPMIN key n.
func (c *Ctx) popMembers(key []byte, z zsetValue, n int, last, nested bool) {
	for range n {
		pop := z.PopMin
		if last {
			pop = z.PopMax
		}
		member, score, _ := pop()
		if nested {
			c.W.Array(2)
		}
		c.W.Bulk(member)
		c.W.Double(score)
	}
	c.touch(key)
	c.weigh(n)
	c.dropIfEmpty(key, z.Len())
}

func zmpop(c *Ctx) {
	numKeys, ok := c.numKeys(1)
	if !ok {
		return
	}
	where := 2 + numKeys
	if where >= len(c.Args) {
		c.fail(errSyntax)
		return
	}
	last := equalFold(c.Args[where], "max")
	if !last && !equalFold(c.Args[where], "min") {
		c.fail(errSyntax)
		return
	}
	count, ok := c.popCount(where + 1)
	if !ok {
		return
	}
	for _, key := range c.Args[2:where] {
		z, found, ok := editAs[zsetValue](c, key)
		if !ok {
			return
		}
		if !found {
			continue
		}
		n := int(min(count, int64(z.Len())))
		c.W.Array(2)
		c.W.Bulk(key)
		c.W.Array(n)
		c.popMembers(key, z, n, last, true)
		name := []byte("ZPOPMIN")
		if last {
			name = []byte("ZPOPMAX")
		}
		c.log(name, key, appendInt(nil, int64(n)))
		return
	}
	c.W.NullArray()
}

// numKeys reads "numkeys key [key …]" beginning at position i.
func (c *Ctx) numKeys(i int) (int, bool) {
	n, ok := c.intNamed(i, "numkeys")
	if !ok {
		return 0, false
	}
	if n > int64(len(c.Args)-i-1) {
		c.fail(errSyntax)
		return 0, false
	}
	return int(n), true
}

// intNamed reads a number of at least 1 whose error names it.
func (c *Ctx) intNamed(i int, name string) (int64, bool) {
	n, ok := resp.ParseInt(c.Args[i])
	if !ok || n < 1 {
		c.fail("ERR " + name + " should be greater than 0")
		return 0, false
	}
	return n, true
}

// popCount reads an optional "COUNT n" at the end of LMPOP and ZMPOP.
func (c *Ctx) popCount(i int) (int64, bool) {
	if i == len(c.Args) {
		return 1, true
	}
	if i+1 == len(c.Args) || !equalFold(c.Args[i], "count") {
		c.fail(errSyntax)
		return 0, false
	}
	n, ok := c.intNamed(i+1, "count")
	if ok && i+2 < len(c.Args) {
		c.fail(errSyntax)
		return 0, false
	}
	return n, ok
}

func zrandmember(c *Ctx) {
	if len(c.Args) == 2 {
		z, found, ok := viewAs[zsetValue](c, c.Args[1])
		switch {
		case !ok:
		case !found:
			c.W.Null()
		default:
			member, _, _ := z.Random(rand.Uint64())
			c.W.Bulk(member)
		}
		return
	}
	count, withScores, ok := c.randomCount("withscores")
	if !ok {
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
	asText := func(member []byte, score float64) ([]byte, []byte) {
		return append([]byte(nil), member...), zset.FormatScore(nil, score)
	}
	all := func(yield func([]byte, []byte) bool) {
		for member, score := range z.All() {
			if !yield(asText(member, score)) {
				return
			}
		}
	}
	pairs := samplePairs(all, z.Len(), count, func() ([]byte, []byte) {
		member, score, _ := z.Random(rand.Uint64())
		return asText(member, score)
	})
	c.writePairs(pairs, withScores, func(text []byte) {
		score, _ := zset.ParseScore(text)
		c.W.Double(score)
	})
}

func zscan(c *Ctx) {
	o, z, ok := scanTarget[zsetValue](c)
	if !ok {
		return
	}
	if packed, ok := z.Packed(); ok {
		writeScan(c.W, 0, scanPacked(o, packed))
		return
	}
	var flat []string
	seen := 0
	cursor := scanSteps(o, &seen, func(cursor uint64) uint64 {
		return z.Scan(cursor, func(member []byte, score float64) {
			seen++
			if o.match(string(member)) {
				flat = append(flat, string(member), string(zset.FormatScore(nil, score)))
			}
		})
	})
	writeScan(c.W, cursor, flat)
}

// scanPacked gives scores as the listpack has them, which for large integers is
// not as other replies have them.
func scanPacked(o scanOptions, packed listpack.List) (flat []string) {
	var name, score [32]byte
	for off := packed.First(); off >= 0; off = packed.Next(off) {
		member := string(packed.Get(off, name[:0]))
		off = packed.Next(off)
		if o.match(member) {
			flat = append(flat, member, string(packed.Get(off, score[:0])))
		}
	}
	return flat
}
