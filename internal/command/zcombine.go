package command

import (
	"cmp"
	"math"
	"slices"

	"limpet/internal/zset"
	"limpet/resp"
)

// Unions, intersections and differences of sorted sets. A plain set counts as a
// sorted set of scores 1.

func init() {
	row := func(name string, arity int, flags Flags, k Keys, since, doc string, h Handler) *Command {
		return &Command{Name: name, Arity: arity, Flags: flags | MovableKeys, Keys: k, Since: since, Doc: doc, Handler: h}
	}
	store := Keys{1, 1, 1}
	register("sorted-set",
		row("zunion", -3, ReadOnly, Keys{}, "6.2.0", "Gives the members of any of the sets.", func(c *Ctx) { zcombine(c, zunion) }),
		row("zinter", -3, ReadOnly, Keys{}, "6.2.0", "Gives the members common to all sets.", func(c *Ctx) { zcombine(c, zinter) }),
		row("zdiff", -3, ReadOnly, Keys{}, "6.2.0", "Gives the members of the first set that no other has.", func(c *Ctx) { zcombine(c, zdiff) }),
		row("zunionstore", -4, Write|DenyOOM, store, "2.0.0", "Stores the members of any of the sets.", func(c *Ctx) { zcombineStore(c, zunion) }),
		row("zinterstore", -4, Write|DenyOOM, store, "2.0.0", "Stores the members common to all sets.", func(c *Ctx) { zcombineStore(c, zinter) }),
		row("zdiffstore", -4, Write|DenyOOM, store, "6.2.0", "Stores the members of the first set that no other has.", func(c *Ctx) { zcombineStore(c, zdiff) }),
		row("zintercard", -3, ReadOnly, Keys{}, "7.0.0", "Counts the members common to all sets.", zintercard),
	)
}

// scored is a set or a sorted set as input; nil counts as empty.
type scored struct {
	z      zsetValue
	s      setValue
	weight float64
}

func (x scored) len() int {
	switch {
	case x.z != nil:
		return x.z.Len()
	case x.s != nil:
		return x.s.Len()
	}
	return 0
}

func (x scored) score(member []byte) (float64, bool) {
	switch {
	case x.z != nil:
		return x.z.Score(member)
	case x.s != nil && x.s.Has(member):
		return 1, true
	}
	return 0, false
}

func (x scored) all(yield func([]byte, float64) bool) {
	switch {
	case x.z != nil:
		x.z.All()(yield)
	case x.s != nil:
		for m := range x.s.All() {
			if !yield(m, 1) {
				return
			}
		}
	}
}

type zoperation int

const (
	zunion zoperation = iota
	zinter
	zdiff
)

// zcombination is what the arguments describe.
type zcombination struct {
	op         zoperation
	inputs     []scored // smallest first, but for zdiff: sums depend on the order
	aggregate  func(a, b float64) float64
	withScores bool
}

// The ways to aggregate two scores, a the one so far. They differ from package
// math's in what becomes of -0 and NaN.

func minScore(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func maxScore(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

func addScores(a, b float64) float64 {
	sum := a + b
	if math.IsNaN(sum) { // inf - inf, which Redis takes for 0
		return 0
	}
	return sum
}

// parseZcombination reads "numkeys key [key …] [WEIGHTS …] [AGGREGATE …]" at
// position i.
func parseZcombination(c *Ctx, i int, op zoperation, store bool) (z zcombination, ok bool) {
	n, ok := c.inputKeys(i)
	if !ok {
		return z, false
	}
	z = zcombination{op: op, aggregate: addScores}
	if z.inputs, ok = c.viewScored(c.Args[i+1 : i+1+n]); !ok {
		return z, false
	}
	if !z.options(c, i+1+n, store) {
		return z, false
	}
	if op != zdiff {
		slices.SortStableFunc(z.inputs, func(a, b scored) int { return cmp.Compare(a.len(), b.len()) })
	}
	return z, true
}

// inputKeys reads "numkeys key [key …]" beginning at position i.
func (c *Ctx) inputKeys(i int) (int, bool) {
	n, ok := c.int(i)
	switch {
	case !ok:
		return 0, false
	case n < 1:
		c.fail("ERR at least 1 input key is needed for '" + c.Cmd.Name + "' command")
		return 0, false
	case n > int64(len(c.Args)-i-1):
		c.fail(errSyntax)
		return 0, false
	}
	return int(n), true
}

func (c *Ctx) viewScored(keys [][]byte) (inputs []scored, ok bool) {
	for _, key := range keys {
		o, found := c.view(key)
		x := scored{weight: 1}
		switch v := o.(type) {
		case zsetValue:
			x.z = v
		case setValue:
			x.s = v
		default:
			if found {
				c.fail(errWrongType)
				return nil, false
			}
		}
		inputs = append(inputs, x)
	}
	return inputs, true
}

func (z *zcombination) options(c *Ctx, i int, store bool) bool {
	for i < len(c.Args) {
		left := len(c.Args) - i - 1
		switch {
		case z.op != zdiff && equalFold(c.Args[i], "weights") && left >= len(z.inputs):
			for j := range z.inputs {
				w, ok := zset.ParseScore(c.Args[i+1+j])
				if !ok {
					c.fail("ERR weight value is not a float")
					return false
				}
				z.inputs[j].weight = w
			}
			i += 1 + len(z.inputs)
		case z.op != zdiff && equalFold(c.Args[i], "aggregate") && left >= 1:
			switch {
			case equalFold(c.Args[i+1], "sum"):
				z.aggregate = addScores
			case equalFold(c.Args[i+1], "min"):
				z.aggregate = minScore
			case equalFold(c.Args[i+1], "max"):
				z.aggregate = maxScore
			default:
				c.fail(errSyntax)
				return false
			}
			i += 2
		case !store && equalFold(c.Args[i], "withscores"):
			z.withScores = true
			i++
		default:
			c.fail(errSyntax)
			return false
		}
	}
	return true
}

// weighted is a score times its input's weight; 0 times infinity is 0.
func (x scored) weighted(score float64) float64 {
	w := x.weight * score
	if math.IsNaN(w) {
		return 0
	}
	return w
}

// result computes the combination. It is not packed, which would make a score
// of -0 one of 0.
func (z *zcombination) result() zsetValue {
	into, lim := zset.New(), zset.Limits{}
	switch z.op {
	case zunion:
		for m, score := range z.union() {
			into.Add([]byte(m), score, lim)
		}
	case zinter:
		z.eachCommon(func(m []byte, score float64) bool {
			into.Add(m, score, lim)
			return true
		})
	case zdiff:
		z.inputs[0].all(func(m []byte, score float64) bool {
			for _, other := range z.inputs[1:] {
				if _, ok := other.score(m); ok {
					return true
				}
			}
			into.Add(m, score, lim)
			return true
		})
	}
	return into
}

// union gives every member with its aggregated score.
func (z *zcombination) union() map[string]float64 {
	sums := map[string]float64{}
	for _, x := range z.inputs {
		x.all(func(m []byte, score float64) bool {
			score = x.weighted(score)
			if sum, ok := sums[string(m)]; ok {
				score = z.aggregate(sum, score)
			}
			sums[string(m)] = score
			return true
		})
	}
	return sums
}

// eachCommon yields the members that all inputs have, with their aggregated
// scores. It walks the first input. That 0 times infinity is not a number
// matters here from the second input on, where a union would take it for 0.
func (z *zcombination) eachCommon(yield func([]byte, float64) bool) {
	first, others := z.inputs[0], z.inputs[1:]
	first.all(func(m []byte, score float64) bool {
		sum := first.weighted(score)
		for _, x := range others {
			score, ok := x.score(m)
			if !ok {
				return true
			}
			sum = z.aggregate(sum, score*x.weight)
		}
		return yield(m, sum)
	})
}

func zcombine(c *Ctx, op zoperation) {
	z, ok := parseZcombination(c, 1, op, false)
	if !ok {
		return
	}
	r := z.result()
	nested := z.withScores && c.W.Proto == 3
	n := r.Len()
	if z.withScores && !nested {
		n *= 2
	}
	c.W.Array(n)
	for m, score := range r.All() {
		if nested {
			c.W.Array(2)
		}
		c.W.Bulk(m)
		if z.withScores {
			c.W.Double(score)
		}
	}
}

func zcombineStore(c *Ctx, op zoperation) {
	z, ok := parseZcombination(c, 2, op, true)
	if !ok {
		return
	}
	r := packed(z.result(), c.u.zsetLimits())
	c.storeZSet(c.Args[1], r)
	c.W.Int(int64(r.Len()))
}

// packed is a sorted set in its packed form if it fits.
func packed(z zsetValue, lim zset.Limits) zsetValue {
	if z.Len() > lim.MaxEntries {
		return z
	}
	for m := range z.All() {
		if len(m) > lim.MaxValue {
			return z
		}
	}
	small := zset.New()
	for m, score := range z.All() {
		small.Add(m, score, lim)
	}
	return small
}

func zintercard(c *Ctx) {
	n, ok := c.inputKeys(1)
	if !ok {
		return
	}
	inputs, ok := c.viewScored(c.Args[2 : 2+n])
	if !ok {
		return
	}
	limit, ok := c.cardLimit(2 + n)
	if !ok {
		return
	}
	z := zcombination{op: zinter, inputs: inputs, aggregate: addScores}
	count := int64(0)
	z.eachCommon(func([]byte, float64) bool {
		count++
		return limit == 0 || count < limit
	})
	c.W.Int(count)
}

// cardLimit reads an optional "LIMIT n" at the end of SINTERCARD and ZINTERCARD;
// 0 is no limit.
func (c *Ctx) cardLimit(i int) (limit int64, ok bool) {
	for ; i < len(c.Args); i += 2 {
		if !equalFold(c.Args[i], "limit") || i+1 >= len(c.Args) {
			c.fail(errSyntax)
			return 0, false
		}
		n, isInt := resp.ParseInt(c.Args[i+1])
		if !isInt || n < 0 {
			c.fail("ERR LIMIT can't be negative")
			return 0, false
		}
		limit = n
	}
	return limit, true
}
