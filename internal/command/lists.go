package command

import (
	"bytes"
	"math"

	"limpet/internal/list"
	"limpet/resp"
)

func init() {
	key := Keys{1, 1, 1}
	row := func(name string, arity int, flags Flags, since, doc string, h Handler) *Command {
		return &Command{Name: name, Arity: arity, Flags: flags, Keys: key, Since: since, Doc: doc, Handler: h}
	}
	register("list",
		row("lpush", -3, Write|DenyOOM|Fast, "1.0.0", "Puts elements before the first.", func(c *Ctx) { push(c, front, true) }),
		row("rpush", -3, Write|DenyOOM|Fast, "1.0.0", "Puts elements behind the last.", func(c *Ctx) { push(c, back, true) }),
		row("lpushx", -3, Write|DenyOOM|Fast, "2.2.0", "Puts elements before the first of an existing list.", func(c *Ctx) { push(c, front, false) }),
		row("rpushx", -3, Write|DenyOOM|Fast, "2.2.0", "Puts elements behind the last of an existing list.", func(c *Ctx) { push(c, back, false) }),
		row("lpop", -2, Write|Fast, "1.0.0", "Removes and gives the first elements.", func(c *Ctx) { popCommand(c, front) }),
		row("rpop", -2, Write|Fast, "1.0.0", "Removes and gives the last elements.", func(c *Ctx) { popCommand(c, back) }),
		row("llen", 2, ReadOnly|Fast, "1.0.0", "Counts the elements.", llen),
		row("lindex", 3, ReadOnly, "1.0.0", "Gives the element at an index.", lindex),
		row("lset", 4, Write|DenyOOM, "1.0.0", "Replaces the element at an index.", lset),
		row("lrange", 4, ReadOnly, "1.0.0", "Gives the elements in a range.", lrange),
		row("ltrim", 4, Write, "1.0.0", "Keeps the elements in a range only.", ltrim),
		row("lrem", 4, Write, "1.0.0", "Removes elements by value.", lrem),
		row("linsert", 5, Write|DenyOOM, "2.2.0", "Puts an element beside another.", linsert),
		row("lpos", -3, ReadOnly, "6.0.6", "Gives the indexes of a value.", lpos),
		&Command{Name: "lmove", Arity: 5, Flags: Write | DenyOOM, Keys: Keys{1, 2, 1}, Since: "6.2.0", Doc: "Moves an element from an end of a list to an end of another.", Handler: lmove},
		&Command{Name: "rpoplpush", Arity: 3, Flags: Write | DenyOOM, Keys: Keys{1, 2, 1}, Since: "1.2.0", Doc: "Moves the last element of a list before the first of another.", Handler: rpoplpush},
		&Command{Name: "lmpop", Arity: -4, Flags: Write | MovableKeys, Since: "7.0.0", Doc: "Removes and gives elements of the first key that has some.", Handler: lmpop},
	)
}

// end is an end of a list.
type end bool

const (
	front end = false
	back  end = true
)

func (e end) push(l listValue, v []byte, lim list.Limits) {
	if e == back {
		l.PushBack(v, lim)
	} else {
		l.PushFront(v, lim)
	}
}

func (e end) pop(l listValue) ([]byte, bool) {
	if e == back {
		return l.PopBack()
	}
	return l.PopFront()
}

// popWord is the command that takes from the end.
func (e end) popWord() []byte {
	if e == back {
		return []byte("RPOP")
	}
	return []byte("LPOP")
}

func parseEnd(b []byte) (e end, ok bool) {
	switch {
	case equalFold(b, "left"):
		return front, true
	case equalFold(b, "right"):
		return back, true
	}
	return front, false
}

func (u *Unit) listLimits() list.Limits { return list.LimitsOf(u.Limits.ListNodeSize) }

func push(c *Ctx, e end, create bool) {
	l, found, ok := editAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		if !create {
			c.W.Int(0)
			return
		}
		l = list.New()
		c.DB.Put(c.Args[1], l)
	}
	for _, v := range c.Args[2:] {
		e.push(l, v, c.u.listLimits())
	}
	c.touch(c.Args[1])
	c.weigh(len(c.Args) - 2)
	c.logVerbatim()
	c.W.Int(int64(l.Len()))
}

// popCommand is LPOP and RPOP with their optional count.
func popCommand(c *Ctx, e end) {
	if len(c.Args) > 3 {
		c.fail(errArity(c.Cmd.Name))
		return
	}
	count, counted := int64(1), len(c.Args) == 3
	if counted {
		n, ok := c.positive(2)
		if !ok {
			return
		}
		count = n
	}
	l, found, ok := editAs[listValue](c, c.Args[1])
	switch {
	case !ok:
		return
	case !found && counted:
		c.W.NullArray()
		return
	case !found:
		c.W.Null()
		return
	case count == 0:
		c.W.Array(0)
		return
	}
	if counted {
		c.W.Array(int(min(count, int64(l.Len()))))
	}
	c.popElements(l, e, count)
	c.logVerbatim()
}

// popElements removes and writes up to count elements of the list Args[1].
func (c *Ctx) popElements(l listValue, e end, count int64) {
	n := int(min(count, int64(l.Len())))
	for range n {
		v, _ := e.pop(l)
		c.W.Bulk(v)
	}
	c.touch(c.Args[1])
	c.weigh(n)
	c.dropIfEmpty(c.Args[1], l.Len())
}

func llen(c *Ctx) {
	l, found, ok := viewAs[listValue](c, c.Args[1])
	switch {
	case !ok:
	case found:
		c.W.Int(int64(l.Len()))
	default:
		c.W.Int(0)
	}
}

// place turns an index that may count from the end into one from the front;
// it may lie outside the list.
func place(i int64, n int) int {
	if i < 0 {
		i += int64(n)
	}
	if i < 0 || i > math.MaxInt32 {
		return -1
	}
	return int(i)
}

func lindex(c *Ctx) {
	l, found, ok := viewAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.W.Null()
		return
	}
	i, ok := c.int(2)
	if !ok {
		return
	}
	if at := place(i, l.Len()); at >= 0 {
		if v, ok := l.Index(at); ok {
			c.W.Bulk(v)
			return
		}
	}
	c.W.Null()
}

func lset(c *Ctx) {
	l, found, ok := editAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.fail(errNoSuchKey)
		return
	}
	i, ok := c.int(2)
	if !ok {
		return
	}
	at := place(i, l.Len())
	if at < 0 || !l.Set(at, c.Args[3], c.u.listLimits()) {
		c.fail(errOutOfRange)
		return
	}
	c.touch(c.Args[1])
	c.logVerbatim()
	c.W.OK()
}

func lrange(c *Ctx) {
	start, ok := c.int(2)
	if !ok {
		return
	}
	stop, ok := c.int(3)
	if !ok {
		return
	}
	l, found, ok := viewAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.W.Array(0)
		return
	}
	lo, hi := clampRange(start, stop, int64(l.Len()))
	if lo > hi {
		c.W.Array(0)
		return
	}
	c.W.Array(int(hi - lo + 1))
	for v := range l.Range(int(lo), int(hi)+1, false) {
		c.W.Bulk(v)
	}
}

func ltrim(c *Ctx) {
	start, ok := c.int(2)
	if !ok {
		return
	}
	stop, ok := c.int(3)
	if !ok {
		return
	}
	l, found, ok := editAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	if found {
		lo, hi := clampRange(start, stop, int64(l.Len()))
		if lo > hi {
			lo, hi = 0, -1
		}
		before := l.Len()
		l.Trim(int(lo), int(hi)+1)
		c.touch(c.Args[1])
		c.weigh(before - l.Len())
		c.dropIfEmpty(c.Args[1], l.Len())
		if l.Len() != before {
			c.logVerbatim()
		}
	}
	c.W.OK()
}

func lrem(c *Ctx) {
	count, ok := c.int(2)
	if !ok {
		return
	}
	l, found, ok := editAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		n = l.Remove(int(max(-math.MaxInt32, min(math.MaxInt32, count))), c.Args[3])
	}
	if n > 0 {
		c.touch(c.Args[1])
		c.weigh(n)
		c.dropIfEmpty(c.Args[1], l.Len())
		c.logVerbatim()
	}
	c.W.Int(int64(n))
}

func linsert(c *Ctx) {
	after := equalFold(c.Args[2], "after")
	if !after && !equalFold(c.Args[2], "before") {
		c.fail(errSyntax)
		return
	}
	l, found, ok := editAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.W.Int(0)
		return
	}
	insert := l.InsertBefore
	if after {
		insert = l.InsertAfter
	}
	if !insert(c.Args[3], c.Args[4], c.u.listLimits()) {
		c.W.Int(-1)
		return
	}
	c.touch(c.Args[1])
	c.logVerbatim()
	c.W.Int(int64(l.Len()))
}

func lpos(c *Ctx) {
	rank, count, maxLen := int64(1), int64(-1), int64(0)
	for i := 3; i < len(c.Args); i += 2 {
		more := i+1 < len(c.Args)
		switch {
		case more && equalFold(c.Args[i], "rank"):
			n, ok := resp.ParseInt(c.Args[i+1])
			switch {
			case !ok:
				c.fail(errNotInteger)
				return
			case n == 0:
				c.fail("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
				return
			}
			rank = n
		case more && equalFold(c.Args[i], "count"):
			n, ok := resp.ParseInt(c.Args[i+1])
			if !ok || n < 0 {
				c.fail("ERR COUNT can't be negative")
				return
			}
			count = n
		case more && equalFold(c.Args[i], "maxlen"):
			n, ok := resp.ParseInt(c.Args[i+1])
			if !ok || n < 0 {
				c.fail("ERR MAXLEN can't be negative")
				return
			}
			maxLen = n
		default:
			c.fail(errSyntax)
			return
		}
	}
	l, found, ok := viewAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	var matches []int
	if found {
		matches = positions(l, c.Args[2], rank, count, maxLen)
	}
	switch {
	case count >= 0:
		c.W.Array(len(matches))
		for _, at := range matches {
			c.W.Int(int64(at))
		}
	case len(matches) > 0:
		c.W.Int(int64(matches[0]))
	default:
		c.W.Null()
	}
}

// positions finds where v is: from match number rank on (counted from the end
// when negative), at most count of them (0 for all, -1 for one), looking at no
// more than maxLen elements (0 for all).
func positions(l listValue, v []byte, rank, count, maxLen int64) (at []int) {
	reverse := rank < 0
	skip := max(rank, -rank) - 1
	if rank == math.MinInt64 { // its negation overflows: Redis skips none
		skip = 0
	}
	seen, n := int64(0), l.Len()
	for e := range l.Range(0, n, reverse) {
		if maxLen > 0 && seen == maxLen {
			break
		}
		seen++
		if !bytes.Equal(e, v) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		i := int(seen) - 1
		if reverse {
			i = n - 1 - i
		}
		at = append(at, i)
		if count < 0 || count > 0 && int64(len(at)) == count {
			break
		}
	}
	return at
}

func lmove(c *Ctx) {
	from, okFrom := parseEnd(c.Args[3])
	to, okTo := parseEnd(c.Args[4])
	if !okFrom || !okTo {
		c.fail(errSyntax)
		return
	}
	move(c, from, to)
}

func rpoplpush(c *Ctx) { move(c, back, front) }

func move(c *Ctx, from, to end) {
	source, found, ok := editAs[listValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.W.Null()
		return
	}
	target, ok := editOrNew(c, c.Args[2], list.New)
	if !ok {
		return
	}
	v, _ := from.pop(source)
	to.push(target, v, c.u.listLimits())
	c.touch(c.Args[1])
	c.dropIfEmpty(c.Args[1], source.Len())
	c.touch(c.Args[2])
	c.weigh(0) // one for both keys
	c.logVerbatim()
	c.W.Bulk(v)
}

func lmpop(c *Ctx) {
	numKeys, ok := c.numKeys(1)
	if !ok {
		return
	}
	where := 2 + numKeys
	if where >= len(c.Args) {
		c.fail(errSyntax)
		return
	}
	e, ok := parseEnd(c.Args[where])
	if !ok {
		c.fail(errSyntax)
		return
	}
	count, ok := c.popCount(where + 1)
	if !ok {
		return
	}
	for _, key := range c.Args[2:where] {
		l, found, ok := editAs[listValue](c, key)
		if !ok {
			return
		}
		if !found {
			continue
		}
		n := min(count, int64(l.Len()))
		c.W.Array(2)
		c.W.Bulk(key)
		c.W.Array(int(n))
		for range n {
			v, _ := e.pop(l)
			c.W.Bulk(v)
		}
		c.touch(key)
		c.weigh(int(n))
		c.dropIfEmpty(key, l.Len())
		var digits [20]byte
		c.log(e.popWord(), key, appendInt(digits[:0], n))
		return
	}
	c.W.NullArray()
}
