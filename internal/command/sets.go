package command

import (
	"math/rand/v2"
	"sort"

	"limpet/internal/set"
)

func init() {
	key, keys := Keys{1, 1, 1}, Keys{1, -1, 1}
	row := func(name string, arity int, flags Flags, k Keys, since, doc string, h Handler) *Command {
		return &Command{Name: name, Arity: arity, Flags: flags, Keys: k, Since: since, Doc: doc, Handler: h}
	}
	register("set",
		row("sadd", -3, Write|DenyOOM|Fast, key, "1.0.0", "Adds members.", sadd),
		row("srem", -3, Write|Fast, key, "1.0.0", "Removes members.", srem),
		row("scard", 2, ReadOnly|Fast, key, "1.0.0", "Counts the members.", scard),
		row("sismember", 3, ReadOnly|Fast, key, "1.0.0", "Tells whether there is a member.", sismember),
		row("smismember", -3, ReadOnly|Fast, key, "6.2.0", "Tells which members there are.", smismember),
		row("smembers", 2, ReadOnly, key, "1.0.0", "Gives all members.", smembers),
		row("smove", 4, Write|Fast, Keys{1, 2, 1}, "1.0.0", "Moves a member to another set.", smove),
		row("spop", -2, Write|Fast, key, "1.0.0", "Removes and gives random members.", spop),
		row("srandmember", -2, ReadOnly, key, "1.0.0", "Gives random members.", srandmember),
		row("sinter", -2, ReadOnly, keys, "1.0.0", "Gives the members common to all sets.", func(c *Ctx) { combine(c, intersect) }),
		row("sunion", -2, ReadOnly, keys, "1.0.0", "Gives the members of any of the sets.", func(c *Ctx) { combine(c, union) }),
		row("sdiff", -2, ReadOnly, keys, "1.0.0", "Gives the members of the first set that no other has.", func(c *Ctx) { combine(c, subtract) }),
		row("sinterstore", -3, Write|DenyOOM, keys, "1.0.0", "Stores the members common to all sets.", func(c *Ctx) { combineStore(c, intersect) }),
		row("sunionstore", -3, Write|DenyOOM, keys, "1.0.0", "Stores the members of any of the sets.", func(c *Ctx) { combineStore(c, union) }),
		row("sdiffstore", -3, Write|DenyOOM, keys, "1.0.0", "Stores the members of the first set that no other has.", func(c *Ctx) { combineStore(c, subtract) }),
		row("sintercard", -3, ReadOnly|MovableKeys, Keys{}, "7.0.0", "Counts the members common to all sets.", sintercard),
		row("sscan", -3, ReadOnly, key, "2.8.0", "Lists members a few at a time.", sscan),
	)
}

func (u *Unit) setLimits() set.Limits { return u.Limits.Packing().Set }

func sadd(c *Ctx) {
	s, found, ok := editAs[setValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		s = set.New()
		c.DB.Put(c.Args[1], s)
	}
	n := 0
	for _, m := range c.Args[2:] {
		if s.Add(m, c.u.setLimits()) {
			n++
		}
	}
	if n > 0 {
		c.touch(c.Args[1])
		c.weigh(n)
		c.logVerbatim()
	}
	c.W.Int(int64(n))
}

func srem(c *Ctx) {
	s, found, ok := editAs[setValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		for _, m := range c.Args[2:] {
			if s.Remove(m) {
				n++
			}
		}
	}
	if n > 0 {
		c.touch(c.Args[1])
		c.weigh(n)
		c.dropIfEmpty(c.Args[1], s.Len())
		c.logVerbatim()
	}
	c.W.Int(int64(n))
}

func scard(c *Ctx) {
	s, found, ok := viewAs[setValue](c, c.Args[1])
	switch {
	case !ok:
	case found:
		c.W.Int(int64(s.Len()))
	default:
		c.W.Int(0)
	}
}

func sismember(c *Ctx) {
	s, found, ok := viewAs[setValue](c, c.Args[1])
	if !ok {
		return
	}
	c.writeHas(found && s.Has(c.Args[2]))
}

func (c *Ctx) writeHas(has bool) {
	if has {
		c.W.Int(1)
	} else {
		c.W.Int(0)
	}
}

func smismember(c *Ctx) {
	s, found, ok := viewAs[setValue](c, c.Args[1])
	if !ok {
		return
	}
	c.W.Array(len(c.Args) - 2)
	for _, m := range c.Args[2:] {
		c.writeHas(found && s.Has(m))
	}
}

func smembers(c *Ctx) {
	s, found, ok := viewAs[setValue](c, c.Args[1])
	switch {
	case !ok:
	case !found:
		c.W.Set(0)
	default:
		c.W.Set(s.Len())
		for m := range s.All() {
			c.W.Bulk(m)
		}
	}
}

func smove(c *Ctx) {
	from, found, ok := editAs[setValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.W.Int(0)
		return
	}
	to, toFound, ok := editAs[setValue](c, c.Args[2])
	if !ok {
		return
	}
	m := c.Args[3]
	if from == to {
		c.writeHas(from.Has(m))
		return
	}
	if !from.Remove(m) {
		c.W.Int(0)
		return
	}
	c.touch(c.Args[1])
	c.dropIfEmpty(c.Args[1], from.Len())
	if !toFound {
		to = set.New()
		c.DB.Put(c.Args[2], to)
	}
	if to.Add(m, c.u.setLimits()) {
		c.touch(c.Args[2])
	}
	c.logVerbatim()
	c.W.Int(1)
}

var wordSrem = []byte("SREM")

func spop(c *Ctx) {
	if len(c.Args) > 3 {
		c.fail(errSyntax)
		return
	}
	counted := len(c.Args) == 3
	count := int64(1)
	if counted {
		n, ok := c.positive(2)
		if !ok {
			return
		}
		count = n
	}
	s, found, ok := editAs[setValue](c, c.Args[1])
	switch {
	case !ok:
		return
	case !found && !counted:
		c.W.Null()
		return
	case !found || count == 0:
		c.W.Set(0)
		return
	}
	n := int(min(count, int64(s.Len())))
	all := n == s.Len()
	if counted {
		c.W.Set(n)
	}
	for range n {
		m, _ := s.Pop(rand.Uint64())
		c.W.Bulk(m)
		if !all || !counted {
			c.log(wordSrem, c.Args[1], m)
		}
	}
	if all && counted {
		c.log(wordDel, c.Args[1])
	}
	c.touch(c.Args[1])
	c.weigh(n)
	c.dropIfEmpty(c.Args[1], s.Len())
}

func srandmember(c *Ctx) {
	if len(c.Args) > 3 {
		c.fail(errSyntax)
		return
	}
	if len(c.Args) == 2 {
		s, found, ok := viewAs[setValue](c, c.Args[1])
		switch {
		case !ok:
		case !found:
			c.W.Null()
		default:
			m, _ := s.Random(rand.Uint64())
			c.W.Bulk(m)
		}
		return
	}
	count, _, ok := c.randomCount("")
	if !ok {
		return
	}
	s, found, ok := viewAs[setValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.W.Array(0)
		return
	}
	all := func(yield func([]byte, []byte) bool) {
		for m := range s.All() {
			if !yield(m, nil) {
				return
			}
		}
	}
	pairs := samplePairs(all, s.Len(), count, func() ([]byte, []byte) {
		m, _ := s.Random(rand.Uint64())
		return m, nil
	})
	c.writePairs(pairs, false, nil)
}

// combination makes one set of several. A missing key is a nil set.
type combination func(sets []setValue, keep func(member []byte))

func intersect(sets []setValue, keep func([]byte)) {
	smallest := append([]setValue(nil), sets...)
	for _, s := range sets {
		if s == nil {
			return
		}
	}
	sort.Slice(smallest, func(i, j int) bool { return smallest[i].Len() < smallest[j].Len() })
members:
	for m := range smallest[0].All() {
		for _, other := range smallest[1:] {
			if !other.Has(m) {
				continue members
			}
		}
		keep(m)
	}
}

func union(sets []setValue, keep func([]byte)) {
	for _, s := range sets {
		if s == nil {
			continue
		}
		for m := range s.All() {
			keep(m)
		}
	}
}

func subtract(sets []setValue, keep func([]byte)) {
	if sets[0] == nil {
		return
	}
members:
	for m := range sets[0].All() {
		for _, other := range sets[1:] {
			if other != nil && other.Has(m) {
				continue members
			}
		}
		keep(m)
	}
}

// viewSets looks the keys up; the error is written when one is no set.
func (c *Ctx) viewSets(keys [][]byte) (sets []setValue, ok bool) {
	for _, key := range keys {
		s, _, ok := viewAs[setValue](c, key)
		if !ok {
			return nil, false
		}
		sets = append(sets, s)
	}
	return sets, true
}

// combined makes the combination of the sets at the keys.
func (c *Ctx) combined(keys [][]byte, how combination) (into setValue, ok bool) {
	sets, ok := c.viewSets(keys)
	if !ok {
		return nil, false
	}
	into = set.New()
	how(sets, func(m []byte) { into.Add(m, c.u.setLimits()) })
	return into, true
}

func combine(c *Ctx, how combination) {
	s, ok := c.combined(c.Args[1:], how)
	if !ok {
		return
	}
	c.W.Set(s.Len())
	for m := range s.All() {
		c.W.Bulk(m)
	}
}

// combineStore stores a combination under Args[1]; an empty one deletes the key.
func combineStore(c *Ctx, how combination) {
	s, ok := c.combined(c.Args[2:], how)
	if !ok {
		return
	}
	key := c.Args[1]
	if s.Len() > 0 {
		c.exists(key)
		c.put(key, s)
		c.logVerbatim()
	} else if c.remove(key) {
		c.log(wordDel, key)
	}
	c.W.Int(int64(s.Len()))
}

func sintercard(c *Ctx) {
	n, ok := c.intNamed(1, "numkeys")
	if !ok {
		return
	}
	if n > int64(len(c.Args)-2) {
		c.fail("ERR Number of keys can't be greater than number of args")
		return
	}
	limit, ok := c.cardLimit(int(2 + n))
	if !ok {
		return
	}
	s, ok := c.combined(c.Args[2:2+n], intersect)
	if !ok {
		return
	}
	count := int64(s.Len())
	if limit > 0 {
		count = min(count, limit)
	}
	c.W.Int(count)
}

func sscan(c *Ctx) {
	o, s, ok := scanTarget[setValue](c)
	if !ok {
		return
	}
	var members []string
	seen := 0
	cursor := scanSteps(o, &seen, func(cursor uint64) uint64 {
		return s.Scan(cursor, func(m []byte) {
			seen++
			if o.match(string(m)) {
				members = append(members, string(m))
			}
		})
	})
	writeScan(c.W, cursor, members)
}
