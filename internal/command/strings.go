package command

import (
	"math"
	"strconv"

	"limpet/internal/keyspace"
	"limpet/resp"
)

func init() {
	key := Keys{1, 1, 1}
	register("string",
		&Command{Name: "get", Arity: 2, Flags: ReadOnly | Fast, Keys: key, Since: "1.0.0", Doc: "Gives a key's string.", Handler: get},
		&Command{Name: "set", Arity: -3, Flags: Write | DenyOOM, Keys: key, Since: "1.0.0", Doc: "Sets a key to a string, with conditions and a deadline.", Handler: setString},
		&Command{Name: "setnx", Arity: 3, Flags: Write | DenyOOM | Fast, Keys: key, Since: "1.0.0", Doc: "Sets a key to a string unless it exists.", Handler: setnx},
		&Command{Name: "setex", Arity: 4, Flags: Write | DenyOOM, Keys: key, Since: "2.0.0", Doc: "Sets a key to a string for some seconds.", Handler: func(c *Ctx) { setFor(c, 1000) }},
		&Command{Name: "psetex", Arity: 4, Flags: Write | DenyOOM, Keys: key, Since: "2.6.0", Doc: "Sets a key to a string for some milliseconds.", Handler: func(c *Ctx) { setFor(c, 1) }},
		&Command{Name: "getset", Arity: 3, Flags: Write | DenyOOM | Fast, Keys: key, Since: "1.0.0", Doc: "Sets a key and gives the string it had.", Handler: getset},
		&Command{Name: "getdel", Arity: 2, Flags: Write | Fast, Keys: key, Since: "6.2.0", Doc: "Gives a key's string and deletes the key.", Handler: getdel},
		&Command{Name: "getex", Arity: -2, Flags: Write | Fast, Keys: key, Since: "6.2.0", Doc: "Gives a key's string and changes its deadline.", Handler: getex},
		&Command{Name: "mget", Arity: -2, Flags: ReadOnly | Fast, Keys: Keys{1, -1, 1}, Since: "1.0.0", Doc: "Gives the strings of several keys.", Handler: mget},
		&Command{Name: "mset", Arity: -3, Flags: Write | DenyOOM, Keys: Keys{1, -1, 2}, Since: "1.0.1", Doc: "Sets several keys.", Handler: mset},
		&Command{Name: "msetnx", Arity: -3, Flags: Write | DenyOOM, Keys: Keys{1, -1, 2}, Since: "1.0.1", Doc: "Sets several keys unless one of them exists.", Handler: msetnx},
		&Command{Name: "append", Arity: 3, Flags: Write | DenyOOM | Fast, Keys: key, Since: "2.0.0", Doc: "Appends to a key's string.", Handler: appendString},
		&Command{Name: "strlen", Arity: 2, Flags: ReadOnly | Fast, Keys: key, Since: "2.2.0", Doc: "Gives the length of a key's string in bytes.", Handler: strlen},
		&Command{Name: "setrange", Arity: 4, Flags: Write | DenyOOM, Keys: key, Since: "2.2.0", Doc: "Overwrites part of a string from an offset on.", Handler: setrange},
		&Command{Name: "getrange", Arity: 4, Flags: ReadOnly, Keys: key, Since: "2.4.0", Doc: "Gives part of a string.", Handler: getrange},
		&Command{Name: "substr", Arity: 4, Flags: ReadOnly, Keys: key, Since: "1.0.0", Doc: "Gives part of a string; the old name of GETRANGE.", Handler: getrange},
		&Command{Name: "incr", Arity: 2, Flags: Write | DenyOOM | Fast, Keys: key, Since: "1.0.0", Doc: "Adds one to an integer.", Handler: func(c *Ctx) { increment(c, 1) }},
		&Command{Name: "decr", Arity: 2, Flags: Write | DenyOOM | Fast, Keys: key, Since: "1.0.0", Doc: "Subtracts one from an integer.", Handler: func(c *Ctx) { increment(c, -1) }},
		&Command{Name: "incrby", Arity: 3, Flags: Write | DenyOOM | Fast, Keys: key, Since: "1.0.0", Doc: "Adds to an integer.", Handler: incrby},
		&Command{Name: "decrby", Arity: 3, Flags: Write | DenyOOM | Fast, Keys: key, Since: "1.0.0", Doc: "Subtracts from an integer.", Handler: decrby},
		&Command{Name: "incrbyfloat", Arity: 3, Flags: Write | DenyOOM | Fast, Keys: key, Since: "2.6.0", Doc: "Adds to a floating point number.", Handler: incrbyfloat},
		&Command{Name: "lcs", Arity: -3, Flags: ReadOnly, Keys: Keys{1, 2, 1}, Since: "7.0.0", Doc: "Gives the longest common subsequence of two strings.", Handler: lcs},
	)
}

// viewString gives a key's string for reading. The bytes are valid until the
// next command. found is false for a missing key; ok is false when the key
// holds another type, and the error is then written.
func viewString(c *Ctx, key []byte) (b []byte, found, ok bool) {
	o, found := c.view(key)
	return stringOf(c, o, found)
}

func stringOf(c *Ctx, o keyspace.Object, found bool) (b []byte, _, ok bool) {
	if !found {
		return nil, false, true
	}
	switch v := o.(type) {
	case *keyspace.Short:
		return v.Bytes(), true, true
	case keyspace.Bytes:
		return v, true, true
	case keyspace.Int:
		c.u.scratch = strconv.AppendInt(c.u.scratch[:0], int64(v), 10)
		return c.u.scratch, true, true
	}
	c.fail(errWrongType)
	return nil, true, false
}

func get(c *Ctx) {
	b, found, ok := viewString(c, c.Args[1])
	switch {
	case !ok:
	case !found:
		c.W.Null()
	default:
		c.W.Bulk(b)
	}
}

// put replaces a key's value and takes its deadline away.
func (c *Ctx) put(key []byte, v keyspace.Object) {
	c.touch(key)
	c.DB.Set(key, v, 0)
}

// putText is put for a string.
func (c *Ctx) putText(key, text []byte) { c.setText(key, text, 0) }

// setText makes a key this string, until then, and notes the change.
func (c *Ctx) setText(key, text []byte, deadline int64) {
	c.DB.SetText(key, text, deadline)
	c.u.touched(c.DB, key)
}

var (
	wordSet     = []byte("SET")
	wordPXAT    = []byte("PXAT")
	wordKeepTTL = []byte("KEEPTTL")
)

// logSet states "this key is this string, until then" as the effect.
func (c *Ctx) logSet(key, value []byte, deadline int64) {
	if deadline == 0 {
		c.log(wordSet, key, value)
		return
	}
	var digits [20]byte
	c.log(wordSet, key, value, wordPXAT, appendInt(digits[:0], deadline))
}

// setOptions are what SET's words say.
type setOptions struct {
	nx, xx, get, keepTTL bool
	deadline             deadlineOption
}

func setString(c *Ctx) {
	o, ok := parseSet(c)
	if !ok {
		return
	}
	key, value := c.Args[1], c.Args[2]
	if len(c.Args) == 3 && (c.u.Loading || c.DB.Volatile() == 0) {
		// Nothing to ask about what was there before: it cannot have expired.
		c.setText(key, value, 0)
		c.logSet(key, value, 0)
		c.W.OK()
		return
	}
	deadline, ok := o.deadline.resolve(c)
	if !ok {
		return
	}
	old, found := c.edit(key)
	if o.get {
		b, _, isString := stringOf(c, old, found)
		if !isString {
			return
		}
		if found {
			c.W.Bulk(b)
		} else {
			c.W.Null()
		}
	}
	if o.nx && found || o.xx && !found {
		if !o.get {
			c.W.Null()
		}
		return
	}
	if !o.get {
		c.W.OK()
	}
	c.storeSet(key, value, o, deadline)
}

// storeSet is the write of SET, with its effect.
func (c *Ctx) storeSet(key, value []byte, o setOptions, deadline int64) {
	if o.deadline.given && deadline <= c.now() && !c.u.Loading {
		// Redis stores the key and lets it expire at once. Nobody can see it.
		if c.remove(key) {
			c.log(wordDel, key)
		}
		return
	}
	if o.keepTTL {
		c.touch(key)
		c.DB.Put(key, keyspace.NewString(value))
		c.log(wordSet, key, value, wordKeepTTL)
		return
	}
	c.setText(key, value, deadline)
	c.logSet(key, value, deadline)
}

func parseSet(c *Ctx) (o setOptions, ok bool) {
	for i := 3; i < len(c.Args); i++ {
		word := c.Args[i]
		more := i+1 < len(c.Args)
		switch {
		case equalFold(word, "nx") && !o.xx:
			o.nx = true
		case equalFold(word, "xx") && !o.nx:
			o.xx = true
		case equalFold(word, "get"):
			o.get = true
		case equalFold(word, "keepttl") && !o.deadline.given:
			o.keepTTL = true
		case more && !o.keepTTL && o.deadline.take(word, c.Args[i+1]):
			i++
		default:
			c.fail(errSyntax)
			return o, false
		}
	}
	return o, true
}

// deadlineOption is EX, PX, EXAT or PXAT with its number.
type deadlineOption struct {
	given    bool
	seconds  bool
	relative bool
	text     []byte
}

// take reads the option if word is one and none was given before.
func (d *deadlineOption) take(word, number []byte) bool {
	if d.given {
		return false
	}
	switch {
	case equalFold(word, "ex"):
		d.seconds, d.relative = true, true
	case equalFold(word, "px"):
		d.relative = true
	case equalFold(word, "exat"):
		d.seconds = true
	case equalFold(word, "pxat"):
	default:
		return false
	}
	d.given, d.text = true, number
	return true
}

// resolve gives the deadline in Unix ms, 0 when none was asked for.
func (d *deadlineOption) resolve(c *Ctx) (ms int64, ok bool) {
	if !d.given {
		return 0, true
	}
	n, ok := resp.ParseInt(d.text)
	if !ok {
		c.fail(errNotInteger)
		return 0, false
	}
	if n <= 0 || d.seconds && n > math.MaxInt64/1000 {
		c.fail(errInvalidExpire(c.Cmd.Name))
		return 0, false
	}
	if d.seconds {
		n *= 1000
	}
	if d.relative {
		if n > math.MaxInt64-c.now() {
			c.fail(errInvalidExpire(c.Cmd.Name))
			return 0, false
		}
		n += c.now()
	}
	return n, true
}

func setnx(c *Ctx) {
	if c.exists(c.Args[1]) {
		c.W.Int(0)
		return
	}
	c.putText(c.Args[1], c.Args[2])
	c.logSet(c.Args[1], c.Args[2], 0)
	c.W.Int(1)
}

// setFor is SETEX and PSETEX; unit is one of the number in milliseconds.
func setFor(c *Ctx, unit int64) {
	o := setOptions{deadline: deadlineOption{given: true, seconds: unit == 1000, relative: true, text: c.Args[2]}}
	deadline, ok := o.deadline.resolve(c)
	if !ok {
		return
	}
	c.storeSet(c.Args[1], c.Args[3], o, deadline)
	c.W.OK()
}

func getset(c *Ctx) {
	old, found, ok := viewString(c, c.Args[1])
	if !ok {
		return
	}
	if found {
		c.W.Bulk(old)
	} else {
		c.W.Null()
	}
	c.putText(c.Args[1], c.Args[2])
	c.logSet(c.Args[1], c.Args[2], 0)
}

func getdel(c *Ctx) {
	old, found, ok := viewString(c, c.Args[1])
	switch {
	case !ok:
	case !found:
		c.W.Null()
	default:
		c.W.Bulk(old)
		c.remove(c.Args[1])
		c.log(wordDel, c.Args[1])
	}
}

var (
	wordPersist   = []byte("PERSIST")
	wordPexpireat = []byte("PEXPIREAT")
)

func getex(c *Ctx) {
	var d deadlineOption
	persist := false
	for i := 2; i < len(c.Args); i++ {
		switch {
		case equalFold(c.Args[i], "persist") && !d.given:
			persist = true
		case i+1 < len(c.Args) && !persist && d.take(c.Args[i], c.Args[i+1]):
			i++
		default:
			c.fail(errSyntax)
			return
		}
	}
	key := c.Args[1]
	o, found := c.edit(key)
	b, found, ok := stringOf(c, o, found)
	if !ok {
		return
	}
	if !found {
		c.W.Null()
		return
	}
	deadline, ok := d.resolve(c)
	if !ok {
		return
	}
	c.W.Bulk(b)
	switch {
	case d.given:
		c.setDeadline(key, deadline)
	case persist && c.deadline(key) != 0:
		c.touch(key)
		c.DB.SetDeadline(key, 0)
		c.log(wordPersist, key)
	}
}

// setDeadline gives an existing key a deadline; one that has passed deletes it.
func (c *Ctx) setDeadline(key []byte, deadline int64) {
	if deadline <= c.now() && !c.u.Loading {
		c.remove(key)
		c.log(wordDel, key)
		return
	}
	c.touch(key)
	c.DB.SetDeadline(key, deadline)
	var digits [20]byte
	c.log(wordPexpireat, key, appendInt(digits[:0], deadline))
}

func mget(c *Ctx) {
	c.W.Array(len(c.Args) - 1)
	for _, key := range c.Args[1:] {
		o, _ := c.view(key)
		switch v := o.(type) {
		case *keyspace.Short:
			c.W.Bulk(v.Bytes())
		case keyspace.Bytes:
			c.W.Bulk(v)
		case keyspace.Int:
			c.W.BulkInt(int64(v))
		default: // no key, or no string
			c.W.Null()
		}
	}
}

func mset(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.fail(errArity(c.Cmd.Name))
		return
	}
	c.storeAll()
	c.W.OK()
}

func msetnx(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.fail(errArity(c.Cmd.Name))
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		if c.exists(c.Args[i]) {
			c.W.Int(0)
			return
		}
	}
	c.storeAll()
	c.W.Int(1)
}

var wordMset = []byte("MSET")

// storeAll sets the key-value pairs of MSET.
func (c *Ctx) storeAll() {
	for i := 1; i < len(c.Args); i += 2 {
		c.exists(c.Args[i]) // one that has expired is logged as deleted first
		c.putText(c.Args[i], c.Args[i+1])
	}
	pairs := append([][]byte{wordMset}, c.Args[1:]...)
	c.log(pairs...)
}

func appendString(c *Ctx) {
	key, tail := c.Args[1], c.Args[2]
	o, found := c.edit(key)
	old, found, ok := stringOf(c, o, found)
	if !ok {
		return
	}
	if !c.fitsString(len(old), len(tail)) {
		return
	}
	v := keyspace.NewString(tail)
	if found {
		v = keyspace.AppendBytes(o, tail)
	}
	c.touch(key)
	c.DB.Put(key, v)
	c.logVerbatim()
	c.W.Int(int64(len(old) + len(tail)))
}

// fitsString checks a string's length to be against proto-max-bulk-len.
func (c *Ctx) fitsString(have, more int) bool {
	if have+more > c.u.Limits.MaxBulk {
		c.fail(errStringTooLong)
		return false
	}
	return true
}

func strlen(c *Ctx) {
	if b, _, ok := viewString(c, c.Args[1]); ok {
		c.W.Int(int64(len(b)))
	}
}

func setrange(c *Ctx) {
	offset, ok := c.int(2)
	if !ok {
		return
	}
	if offset < 0 {
		c.fail(errOffsetRange)
		return
	}
	key, patch := c.Args[1], c.Args[3]
	o, found := c.edit(key)
	old, _, ok := stringOf(c, o, found)
	if !ok {
		return
	}
	if len(patch) == 0 {
		c.W.Int(int64(len(old)))
		return
	}
	if offset > math.MaxInt64/2 || !c.fitsString(int(offset), len(patch)) {
		if offset > math.MaxInt64/2 {
			c.fail(errStringTooLong)
		}
		return
	}
	next := make([]byte, max(len(old), int(offset)+len(patch)))
	copy(next, old)
	copy(next[offset:], patch)
	c.touch(key)
	c.DB.Put(key, keyspace.Bytes(next))
	c.logVerbatim()
	c.W.Int(int64(len(next)))
}

func getrange(c *Ctx) {
	begin, ok := c.int(2)
	if !ok {
		return
	}
	end, ok := c.int(3)
	if !ok {
		return
	}
	b, _, ok := viewString(c, c.Args[1])
	if !ok {
		return
	}
	if begin < 0 && end < 0 && begin > end {
		c.W.BulkString("")
		return
	}
	if end < 0 { // unlike in a list, an end before the first byte is the first byte
		end = max(0, end+int64(len(b)))
	}
	lo, hi := clampRange(begin, end, int64(len(b)))
	if lo > hi {
		c.W.BulkString("")
		return
	}
	c.W.Bulk(b[lo : hi+1])
}

// clampRange turns inclusive bounds that may count from the end into bounds in
// 0..n-1. The range is empty when lo > hi.
func clampRange(begin, end, n int64) (lo, hi int64) {
	if begin < 0 {
		begin = max(0, begin+n)
	}
	if end < 0 {
		end += n
	}
	return begin, min(end, n-1)
}

func incrby(c *Ctx) {
	if by, ok := c.int(2); ok {
		increment(c, by)
	}
}

func decrby(c *Ctx) {
	by, ok := c.int(2)
	if !ok {
		return
	}
	if by == math.MinInt64 {
		c.fail("ERR decrement would overflow")
		return
	}
	increment(c, -by)
}

func increment(c *Ctx, by int64) {
	key := c.Args[1]
	o, found := c.edit(key)
	n := int64(0)
	if v, isInt := o.(keyspace.Int); isInt {
		n = int64(v)
	} else {
		text, found, ok := stringOf(c, o, found)
		if !ok {
			return
		}
		// Text may be a number too, when a command other than SET has made it.
		if n, ok = resp.ParseInt(text); found && !ok {
			c.fail(errNotInteger)
			return
		}
	}
	if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		c.fail(errOverflow)
		return
	}
	n += by
	c.touch(key)
	c.DB.Put(key, keyspace.Int(n))
	c.logVerbatim()
	c.W.Int(n)
}

func incrbyfloat(c *Ctx) {
	key := c.Args[1]
	o, found := c.edit(key)
	old, found, ok := stringOf(c, o, found)
	if !ok {
		return
	}
	text, ok := c.addFloat(old, found, c.Args[2], errNotFloat)
	if !ok {
		return
	}
	c.touch(key)
	c.DB.Put(key, keyspace.Bytes(text))
	c.log(wordSet, key, text, wordKeepTTL)
	c.W.Bulk(text)
}
