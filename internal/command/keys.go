package command

import (
	"math"
	"math/rand/v2"
	"strconv"

	"limpet/internal/glob"
	"limpet/internal/keyspace"
	"limpet/resp"
)

func init() {
	key, keys := Keys{1, 1, 1}, Keys{1, -1, 1}
	register("generic",
		&Command{Name: "del", Arity: -2, Flags: Write, Keys: keys, Since: "1.0.0", Doc: "Deletes keys.", Handler: del},
		&Command{Name: "unlink", Arity: -2, Flags: Write | Fast, Keys: keys, Since: "4.0.0", Doc: "Deletes keys; the same as DEL here.", Handler: del},
		&Command{Name: "exists", Arity: -2, Flags: ReadOnly | Fast, Keys: keys, Since: "1.0.0", Doc: "Counts the keys that exist.", Handler: exists},
		&Command{Name: "touch", Arity: -2, Flags: ReadOnly | Fast, Keys: keys, Since: "3.2.1", Doc: "Counts the keys that exist.", Handler: exists},
		&Command{Name: "type", Arity: 2, Flags: ReadOnly | Fast, Keys: key, Since: "1.0.0", Doc: "Names the type of a key's value.", Handler: typeOf},
		&Command{Name: "expire", Arity: -3, Flags: Write | Fast, Keys: key, Since: "1.0.0", Doc: "Gives a key so many seconds.", Handler: func(c *Ctx) { expire(c, true, 1000) }},
		&Command{Name: "pexpire", Arity: -3, Flags: Write | Fast, Keys: key, Since: "2.6.0", Doc: "Gives a key so many milliseconds.", Handler: func(c *Ctx) { expire(c, true, 1) }},
		&Command{Name: "expireat", Arity: -3, Flags: Write | Fast, Keys: key, Since: "1.2.0", Doc: "Lets a key live until a Unix time in seconds.", Handler: func(c *Ctx) { expire(c, false, 1000) }},
		&Command{Name: "pexpireat", Arity: -3, Flags: Write | Fast, Keys: key, Since: "2.6.0", Doc: "Lets a key live until a Unix time in milliseconds.", Handler: func(c *Ctx) { expire(c, false, 1) }},
		&Command{Name: "ttl", Arity: 2, Flags: ReadOnly | Fast, Keys: key, Since: "1.0.0", Doc: "Gives the seconds that a key has left.", Handler: func(c *Ctx) { ttl(c, true, 1000) }},
		&Command{Name: "pttl", Arity: 2, Flags: ReadOnly | Fast, Keys: key, Since: "2.6.0", Doc: "Gives the milliseconds that a key has left.", Handler: func(c *Ctx) { ttl(c, true, 1) }},
		&Command{Name: "expiretime", Arity: 2, Flags: ReadOnly | Fast, Keys: key, Since: "7.0.0", Doc: "Gives a key's deadline in Unix seconds.", Handler: func(c *Ctx) { ttl(c, false, 1000) }},
		&Command{Name: "pexpiretime", Arity: 2, Flags: ReadOnly | Fast, Keys: key, Since: "7.0.0", Doc: "Gives a key's deadline in Unix milliseconds.", Handler: func(c *Ctx) { ttl(c, false, 1) }},
		&Command{Name: "persist", Arity: 2, Flags: Write | Fast, Keys: key, Since: "2.2.0", Doc: "Takes a key's deadline away.", Handler: persist},
		&Command{Name: "keys", Arity: 2, Flags: ReadOnly | Dangerous, Since: "1.0.0", Doc: "Lists the keys that match a pattern.", Handler: keysMatching},
		&Command{Name: "scan", Arity: -2, Flags: ReadOnly, Since: "2.8.0", Doc: "Lists keys a few at a time.", Handler: scan},
		&Command{Name: "rename", Arity: 3, Flags: Write, Keys: Keys{1, 2, 1}, Since: "1.0.0", Doc: "Renames a key, replacing the target.", Handler: func(c *Ctx) { rename(c, false) }},
		&Command{Name: "renamenx", Arity: 3, Flags: Write | Fast, Keys: Keys{1, 2, 1}, Since: "1.0.0", Doc: "Renames a key unless the target exists.", Handler: func(c *Ctx) { rename(c, true) }},
		&Command{Name: "randomkey", Arity: 1, Flags: ReadOnly, Since: "1.0.0", Doc: "Gives some key.", Handler: randomkey},
	)
	register("server",
		&Command{Name: "dbsize", Arity: 1, Flags: ReadOnly | Fast, Since: "1.0.0", Doc: "Counts the keys of the selected database.", Handler: dbsize},
		&Command{Name: "flushdb", Arity: -1, Flags: Write | Dangerous, Since: "1.0.0", Doc: "Deletes every key of the selected database.", Handler: func(c *Ctx) { flush(c, c.DB.Index()) }},
		&Command{Name: "flushall", Arity: -1, Flags: Write | Dangerous, Since: "1.0.0", Doc: "Deletes every key of every database.", Handler: func(c *Ctx) { flush(c, -1) }},
	)
}

func del(c *Ctx) {
	n := 0
	for _, key := range c.Args[1:] {
		if c.remove(key) {
			n++
		}
	}
	if n > 0 {
		c.logVerbatim()
	}
	c.W.Int(int64(n))
}

func exists(c *Ctx) {
	n := 0
	for _, key := range c.Args[1:] {
		if c.exists(key) {
			n++
		}
	}
	c.W.Int(int64(n))
}

func typeOf(c *Ctx) {
	o, _ := c.view(c.Args[1])
	c.W.Simple(keyspace.TypeName(o))
}

// expireConditions are the words behind EXPIRE's number.
type expireConditions struct{ nx, xx, gt, lt bool }

func parseExpireConditions(c *Ctx) (o expireConditions, ok bool) {
	for _, word := range c.Args[3:] {
		switch {
		case equalFold(word, "nx"):
			o.nx = true
		case equalFold(word, "xx"):
			o.xx = true
		case equalFold(word, "gt"):
			o.gt = true
		case equalFold(word, "lt"):
			o.lt = true
		default:
			c.fail("ERR Unsupported option " + string(cstring(word)))
			return o, false
		}
	}
	switch {
	case o.nx && (o.xx || o.gt || o.lt):
		c.fail("ERR NX and XX, GT or LT options at the same time are not compatible")
		return o, false
	case o.gt && o.lt:
		c.fail("ERR GT and LT options at the same time are not compatible")
		return o, false
	}
	return o, true
}

// allow decides about a new deadline beside the present one (0 for none, which
// counts as infinitely late).
func (o expireConditions) allow(present, next int64) bool {
	switch {
	case o.nx && present != 0,
		o.xx && present == 0,
		o.gt && (present == 0 || next <= present),
		o.lt && present != 0 && next >= present:
		return false
	}
	return true
}

// expire is the EXPIRE family; unit is one of the number in milliseconds.
func expire(c *Ctx, relative bool, unit int64) {
	conditions, ok := parseExpireConditions(c)
	if !ok {
		return
	}
	when, ok := c.int(2)
	if !ok {
		return
	}
	base := int64(0)
	if relative {
		base = c.now()
	}
	if when > math.MaxInt64/unit || when < math.MinInt64/unit ||
		when > 0 && when*unit > math.MaxInt64-base {
		c.fail(errInvalidExpire(c.Cmd.Name))
		return
	}
	key := c.Args[1]
	if !c.exists(key) {
		c.W.Int(0)
		return
	}
	deadline := when*unit + base
	if !conditions.allow(c.deadline(key), deadline) {
		c.W.Int(0)
		return
	}
	if deadline <= 0 && c.u.Loading {
		deadline = 1 // 0 would mean "none"; the moment is in the past either way
	}
	c.setDeadline(key, deadline)
	c.W.Int(1)
}

// ttl is TTL and its kin: -2 for no key, -1 for no deadline.
func ttl(c *Ctx, relative bool, unit int64) {
	key := c.Args[1]
	if !c.exists(key) {
		c.W.Int(-2)
		return
	}
	ms := c.deadline(key)
	if ms == 0 {
		c.W.Int(-1)
		return
	}
	if relative {
		ms = max(0, ms-c.now())
	}
	if relative && unit == 1000 {
		ms += 500
	}
	c.W.Int(ms / unit)
}

func persist(c *Ctx) {
	key := c.Args[1]
	if !c.exists(key) || c.deadline(key) == 0 {
		c.W.Int(0)
		return
	}
	c.touch(key)
	c.DB.SetDeadline(key, 0)
	c.logVerbatim()
	c.W.Int(1)
}

// whole notes that the reply depends on everything in the database.
func (c *Ctx) whole() { c.u.readStamp = max(c.u.readStamp, c.DB.Newest()) }

// gone tells whether an entry's deadline has passed, without deleting it.
func (c *Ctx) gone(e keyspace.Entry) bool {
	return e.Deadline != 0 && e.Deadline <= c.now() && !c.u.Loading
}

func keysMatching(c *Ctx) {
	c.whole()
	pattern := string(c.Args[1])
	var found []string
	for key, e := range c.DB.All() {
		if !c.gone(e) && (pattern == "*" || glob.Match([]byte(pattern), []byte(key))) {
			found = append(found, key)
		}
	}
	c.W.Array(len(found))
	for _, key := range found {
		c.W.BulkString(key)
	}
}

// scanOptions are what SCAN, HSCAN, SSCAN and ZSCAN have in common.
type scanOptions struct {
	cursor  uint64
	count   int
	pattern *string // nil matches all
	typ     *string // SCAN only; nil matches all
}

func (o *scanOptions) match(s string) bool {
	return o.pattern == nil || glob.Match(*o.pattern, s)
}

// parseScan reads the cursor at position 1 and the words behind it.
func parseScan(c *Ctx) (o scanOptions, ok bool) {
	if o.cursor, ok = parseCursor(c.Args[1]); !ok {
		c.fail(errInvalidCursor)
		return o, false
	}
	return o, o.parse(c, 2, true)
}

// parse reads the words from position i on.
func (o *scanOptions) parse(c *Ctx, i int, withType bool) (ok bool) {
	o.count = 10
	for ; i < len(c.Args); i += 2 {
		more := i+1 < len(c.Args)
		switch {
		case more && equalFold(c.Args[i], "count"):
			n, ok := c.int(i + 1)
			if !ok {
				return false
			}
			if n < 1 {
				c.fail(errSyntax)
				return false
			}
			o.count = int(min(n, math.MaxInt32))
		case more && equalFold(c.Args[i], "match"):
			o.pattern = nil
			if p := string(c.Args[i+1]); p != "*" {
				o.pattern = &p
			}
		case more && withType && equalFold(c.Args[i], "type"):
			t := string(c.Args[i+1])
			o.typ = &t
		default:
			c.fail(errSyntax)
			return false
		}
	}
	return true
}

// parseCursor reads a cursor as C's strtoul does, which takes a sign: "-1" is
// the largest cursor, and nothing at all is 0. No space leads and nothing follows.
func parseCursor(b []byte) (uint64, bool) {
	b = cstring(b)
	if len(b) == 0 {
		return 0, true
	}
	digits := b
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		digits = b[1:]
	}
	v, err := strconv.ParseUint(string(digits), 10, 64)
	if len(b) > 0 && b[0] == '-' {
		v = -v
	}
	return v, err == nil
}

// emptyBucketsPerCount is how many empty buckets SCAN passes, for each element
// asked for, before it gives control back.
const emptyBucketsPerCount = 10

func scan(c *Ctx) {
	o, ok := parseScan(c)
	if !ok {
		return
	}
	c.whole()
	var found []string
	cursor, seen := o.cursor, 0
	for steps := o.count * emptyBucketsPerCount; steps > 0; steps-- {
		cursor = c.DB.Scan(cursor, func(key string, e keyspace.Entry) {
			seen++
			if !c.gone(e) && o.match(key) && (o.typ == nil || equalFoldString(*o.typ, keyspace.TypeName(e.Object))) {
				found = append(found, key)
			}
		})
		if cursor == 0 || seen >= o.count {
			break
		}
	}
	writeScan(c.W, cursor, found)
}

func writeScan(w *resp.Writer, cursor uint64, found []string) {
	w.Array(2)
	w.BulkString(utoa(cursor))
	w.Array(len(found))
	for _, s := range found {
		w.BulkString(s)
	}
}

func rename(c *Ctx, onlyNew bool) {
	from, to := c.Args[1], c.Args[2]
	o, found := c.edit(from)
	if !found {
		c.fail(errNoSuchKey)
		return
	}
	if string(from) == string(to) {
		if onlyNew {
			c.W.Int(0)
		} else {
			c.W.OK()
		}
		return
	}
	if c.exists(to) {
		if onlyNew {
			c.W.Int(0)
			return
		}
		c.remove(to)
	}
	deadline := c.deadline(from)
	c.touch(from)
	c.DB.Delete(from)
	c.touch(to)
	c.weigh(0) // one for both keys
	c.DB.Put(to, o)
	c.DB.SetDeadline(to, deadline)
	c.logVerbatim()
	if onlyNew {
		c.W.Int(1)
	} else {
		c.W.OK()
	}
}

func randomkey(c *Ctx) {
	c.whole()
	for range 100 {
		key, e, ok := c.DB.Random(rand.Uint64())
		if !ok {
			break
		}
		if !c.lapsed(e, []byte(key)) {
			c.W.BulkString(key)
			return
		}
	}
	c.W.Null()
}

func dbsize(c *Ctx) {
	c.whole()
	c.W.Int(int64(c.DB.Len()))
}

// flush empties one database, or all with db < 0. It is logged even when there
// was nothing to delete, as Redis does.
func flush(c *Ctx, db int) {
	if len(c.Args) > 2 || len(c.Args) == 2 && !equalFold(c.Args[1], "async") && !equalFold(c.Args[1], "sync") {
		c.fail(errSyntax)
		return
	}
	u := c.u
	u.watchers.flushed(db, func(k watchKey) bool {
		_, _, ok := u.ks.DB(k.db).View([]byte(k.key))
		return ok
	})
	for i := range u.ks.Databases() {
		if db < 0 || db == i {
			u.Changes += int64(u.ks.DB(i).Len())
			u.ks.DB(i).Flush()
		}
	}
	u.changed = true
	c.logVerbatim()
	c.W.OK()
}
