package command

import (
	"bytes"
	"math"
	"math/rand/v2"

	"limpet/internal/hash"
	"limpet/resp"
)

func init() {
	key := Keys{1, 1, 1}
	register("hash",
		&Command{Name: "hset", Arity: -4, Flags: Write | DenyOOM | Fast, Keys: key, Since: "2.0.0", Doc: "Sets fields of a hash.", Handler: hset},
		&Command{Name: "hmset", Arity: -4, Flags: Write | DenyOOM | Fast, Keys: key, Since: "2.0.0", Doc: "Sets fields of a hash; the old name of HSET.", Handler: hset},
		&Command{Name: "hsetnx", Arity: 4, Flags: Write | DenyOOM | Fast, Keys: key, Since: "2.0.0", Doc: "Sets a field unless it exists.", Handler: hsetnx},
		&Command{Name: "hget", Arity: 3, Flags: ReadOnly | Fast, Keys: key, Since: "2.0.0", Doc: "Gives a field's value.", Handler: hget},
		&Command{Name: "hmget", Arity: -3, Flags: ReadOnly | Fast, Keys: key, Since: "2.0.0", Doc: "Gives the values of fields.", Handler: hmget},
		&Command{Name: "hdel", Arity: -3, Flags: Write | Fast, Keys: key, Since: "2.0.0", Doc: "Deletes fields.", Handler: hdel},
		&Command{Name: "hlen", Arity: 2, Flags: ReadOnly | Fast, Keys: key, Since: "2.0.0", Doc: "Counts the fields.", Handler: hlen},
		&Command{Name: "hstrlen", Arity: 3, Flags: ReadOnly | Fast, Keys: key, Since: "3.2.0", Doc: "Gives the length of a field's value in bytes.", Handler: hstrlen},
		&Command{Name: "hexists", Arity: 3, Flags: ReadOnly | Fast, Keys: key, Since: "2.0.0", Doc: "Tells whether a field exists.", Handler: hexists},
		&Command{Name: "hkeys", Arity: 2, Flags: ReadOnly, Keys: key, Since: "2.0.0", Doc: "Gives all fields.", Handler: func(c *Ctx) { hwhole(c, true, false) }},
		&Command{Name: "hvals", Arity: 2, Flags: ReadOnly, Keys: key, Since: "2.0.0", Doc: "Gives all values.", Handler: func(c *Ctx) { hwhole(c, false, true) }},
		&Command{Name: "hgetall", Arity: 2, Flags: ReadOnly, Keys: key, Since: "2.0.0", Doc: "Gives all fields with their values.", Handler: func(c *Ctx) { hwhole(c, true, true) }},
		&Command{Name: "hincrby", Arity: 4, Flags: Write | DenyOOM | Fast, Keys: key, Since: "2.0.0", Doc: "Adds to an integer field.", Handler: hincrby},
		&Command{Name: "hincrbyfloat", Arity: 4, Flags: Write | DenyOOM | Fast, Keys: key, Since: "2.6.0", Doc: "Adds to a floating point field.", Handler: hincrbyfloat},
		&Command{Name: "hrandfield", Arity: -2, Flags: ReadOnly, Keys: key, Since: "6.2.0", Doc: "Gives random fields.", Handler: hrandfield},
		&Command{Name: "hscan", Arity: -3, Flags: ReadOnly, Keys: key, Since: "2.8.0", Doc: "Lists fields a few at a time.", Handler: hscan},
	)
}

func (u *Unit) hashLimits() hash.Limits { return u.Limits.Packing().Hash }

func hset(c *Ctx) {
	if len(c.Args)%2 != 0 {
		c.fail(errArity(c.Cmd.Name))
		return
	}
	h, ok := editOrNew(c, c.Args[1], hash.New)
	if !ok {
		return
	}
	limits, created := c.u.hashLimits(), 0
	h.Reserve(c.Args[2:], limits)
	for i := 2; i < len(c.Args); i += 2 {
		if h.Set(c.Args[i], c.Args[i+1], limits) {
			created++
		}
	}
	c.touch(c.Args[1])
	c.weigh(len(c.Args)/2 - 1)
	c.logVerbatim()
	if c.Cmd.Name == "hmset" {
		c.W.OK()
	} else {
		c.W.Int(int64(created))
	}
}

func hsetnx(c *Ctx) {
	h, ok := editOrNew(c, c.Args[1], hash.New)
	if !ok {
		return
	}
	if h.Has(c.Args[2]) {
		c.W.Int(0)
		return
	}
	h.Set(c.Args[2], c.Args[3], c.u.hashLimits())
	c.touch(c.Args[1])
	c.logVerbatim()
	c.W.Int(1)
}

func hget(c *Ctx) {
	h, found, ok := viewAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	if found {
		c.field(h, c.Args[2])
	} else {
		c.W.Null()
	}
}

// field writes a field's value, or null.
func (c *Ctx) field(h hashValue, name []byte) {
	if v, ok := h.Get(name); ok {
		c.W.Bulk(v)
	} else {
		c.W.Null()
	}
}

func hmget(c *Ctx) {
	h, found, ok := viewAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	c.W.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		if found {
			c.field(h, name)
		} else {
			c.W.Null()
		}
	}
}

func hdel(c *Ctx) {
	h, found, ok := editAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		for _, name := range c.Args[2:] {
			if h.Delete(name) {
				n++
			}
		}
	}
	if n > 0 {
		c.touch(c.Args[1])
		c.weigh(n)
		c.dropIfEmpty(c.Args[1], h.Len())
		c.logVerbatim()
	}
	c.W.Int(int64(n))
}

func hlen(c *Ctx) {
	h, found, ok := viewAs[hashValue](c, c.Args[1])
	switch {
	case !ok:
	case found:
		c.W.Int(int64(h.Len()))
	default:
		c.W.Int(0)
	}
}

func hstrlen(c *Ctx) {
	h, found, ok := viewAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		v, _ := h.Get(c.Args[2])
		n = len(v)
	}
	c.W.Int(int64(n))
}

func hexists(c *Ctx) {
	h, found, ok := viewAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	if found && h.Has(c.Args[2]) {
		c.W.Int(1)
	} else {
		c.W.Int(0)
	}
}

// hwhole is HKEYS, HVALS and HGETALL.
func hwhole(c *Ctx, names, values bool) {
	h, found, ok := viewAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		n = h.Len()
	}
	if names && values {
		c.W.Map(n)
	} else {
		c.W.Array(n)
	}
	if !found {
		return
	}
	for name, value := range h.All() {
		if names {
			c.W.Bulk(name)
		}
		if values {
			c.W.Bulk(value)
		}
	}
}

func hincrby(c *Ctx) {
	by, ok := c.int(3)
	if !ok {
		return
	}
	h, found, ok := editAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	var n int64
	if found {
		if v, has := h.Get(c.Args[2]); has {
			if n, ok = resp.ParseInt(v); !ok {
				c.fail(errHashNotInteger)
				return
			}
		}
	}
	if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		c.fail(errOverflow)
		return
	}
	n += by
	var digits [20]byte
	c.setField(appendInt(digits[:0], n))
	c.logVerbatim()
	c.W.Int(n)
}

// setField sets field Args[2] of the hash Args[1], making it if need be; its
// type has been checked.
func (c *Ctx) setField(value []byte) {
	h, _ := editOrNew(c, c.Args[1], hash.New)
	h.Set(c.Args[2], value, c.u.hashLimits())
	c.touch(c.Args[1])
}

var wordHset = []byte("HSET")

func hincrbyfloat(c *Ctx) {
	by, ok := parseLongDouble(c.Args[3])
	switch {
	case !ok:
		c.fail(errNotFloat)
		return
	case by.IsInf():
		c.fail("ERR value is NaN or Infinity")
		return
	}
	h, found, ok := editAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	var old []byte
	has := false
	if found {
		old, has = h.Get(c.Args[2])
	}
	text, ok := c.addFloat(old, has, c.Args[3], errHashNotFloat)
	if !ok {
		return
	}
	c.setField(text)
	c.log(wordHset, c.Args[1], c.Args[2], text)
	c.W.Bulk(text)
}

func hrandfield(c *Ctx) {
	if len(c.Args) == 2 {
		h, found, ok := viewAs[hashValue](c, c.Args[1])
		switch {
		case !ok:
		case !found:
			c.W.Null()
		default:
			name, _, _ := h.Random(rand.Uint64())
			c.W.Bulk(name)
		}
		return
	}
	count, withValues, ok := c.randomCount("withvalues")
	if !ok {
		return
	}
	h, found, ok := viewAs[hashValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.W.Array(0)
		return
	}
	pairs := samplePairs(h.All(), h.Len(), count, func() ([]byte, []byte) {
		name, value, _ := h.Random(rand.Uint64())
		return bytes.Clone(name), bytes.Clone(value)
	})
	c.writePairs(pairs, withValues, func(v []byte) { c.W.Bulk(v) })
}

// hscan: a hash that is packed is given whole, like Redis gives it.
func hscan(c *Ctx) {
	o, h, ok := scanTarget[hashValue](c)
	if !ok {
		return
	}
	var flat []string
	seen := 0
	cursor := scanSteps(o, &seen, func(cursor uint64) uint64 {
		return h.Scan(cursor, func(name, value []byte) {
			seen++
			if o.match(string(name)) {
				flat = append(flat, string(name), string(value))
			}
		})
	})
	writeScan(c.W, cursor, flat)
}
