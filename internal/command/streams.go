package command

import (
	"math"

	"limpet/internal/stream"
	"limpet/resp"
)

func init() {
	key := Keys{1, 1, 1}
	row := func(name string, arity int, flags Flags, since, doc string, h Handler) *Command {
		return &Command{Name: name, Arity: arity, Flags: flags, Keys: key, Since: since, Doc: doc, Handler: h}
	}
	register("stream",
		row("xadd", -5, Write|DenyOOM|Fast, "5.0.0", "Appends an entry, and trims.", xadd),
		row("xlen", 2, ReadOnly|Fast, "5.0.0", "Counts the entries.", xlen),
		row("xrange", -4, ReadOnly, "5.0.0", "Gives the entries in a range of ids.", func(c *Ctx) { xrange(c, false) }),
		row("xrevrange", -4, ReadOnly, "5.0.0", "Gives the entries in a range of ids, newest first.", func(c *Ctx) { xrange(c, true) }),
		&Command{Name: "xread", Arity: -4, Flags: ReadOnly | Blocking | MovableKeys, Since: "5.0.0",
			Doc: "Gives the entries behind an id, of several streams; it does not wait for new ones.", Handler: xread},
		row("xtrim", -4, Write, "5.0.0", "Drops the oldest entries.", xtrim),
		row("xdel", -3, Write|Fast, "5.0.0", "Deletes entries.", xdel),
		row("xsetid", -3, Write|DenyOOM|Fast, "5.0.0", "Sets the id of the newest entry there ever was.", xsetid),
	)
}

func (u *Unit) streamLimits() stream.Limits {
	return stream.Limits{MaxBytes: stream.DefaultLimits.MaxBytes, MaxEntries: u.Limits.StreamNode}
}

// trimSpec is "MAXLEN|MINID [=|~] threshold [LIMIT count]".
type trimSpec struct {
	given  bool
	byID   bool
	approx bool
	maxLen int64
	minID  stream.ID
	limit  int64
	limSet bool
	word   int // position of MAXLEN or MINID
	end    int // position behind the whole
}

// parse reads the option if there is one at position i. next is where the rest
// begins.
func (t *trimSpec) parse(c *Ctx, i int) (next int, taken, ok bool) {
	byLen, byID := equalFold(c.Args[i], "maxlen"), equalFold(c.Args[i], "minid")
	if !byLen && !byID {
		return i, false, true
	}
	if i+1 >= len(c.Args) {
		return i, false, true
	}
	if t.given {
		c.fail("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
		return i, false, false
	}
	t.given, t.byID, t.word = true, byID, i
	i++
	t.approx = len(c.Args[i]) == 1 && c.Args[i][0] == '~'
	if (t.approx || len(c.Args[i]) == 1 && c.Args[i][0] == '=') && i+1 < len(c.Args) {
		i++
	}
	if t.byID {
		if t.minID, ok = stream.ParseID(c.Args[i], 0); !ok {
			c.fail(errStreamIDInvalid)
			return i, false, false
		}
	} else {
		if t.maxLen, ok = c.int(i); !ok {
			return i, false, false
		}
		if t.maxLen < 0 {
			c.fail("ERR The MAXLEN argument must be >= 0.")
			return i, false, false
		}
	}
	t.end = i + 1
	return i + 1, true, true
}

// parseLimit reads "LIMIT count" at position i.
func (t *trimSpec) parseLimit(c *Ctx, i int) (ok bool) {
	if t.limit, ok = c.int(i + 1); !ok {
		return false
	}
	if t.limit < 0 {
		c.fail("ERR The LIMIT argument must be >= 0.")
		return false
	}
	t.limSet = true
	return true
}

// check looks at the parts together.
func (t *trimSpec) check(c *Ctx) bool {
	if t.limSet && !t.given {
		c.fail("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
		return false
	}
	if t.limSet && !t.approx {
		c.fail("ERR syntax error, LIMIT cannot be used without the special ~ option")
		return false
	}
	return true
}

// trim drops entries and tells how many. Without a LIMIT an approximate trim
// looks at a hundred nodes at most.
func (t *trimSpec) trim(c *Ctx, s streamValue) int {
	o := stream.TrimOptions{WholeNodes: t.approx}
	if t.approx {
		o.Limit = int(min(t.limit, math.MaxInt32))
		if !t.limSet {
			o.Limit = 100 * c.u.Limits.StreamNode
		}
	}
	if t.byID {
		return s.TrimBefore(t.minID, o)
	}
	return s.TrimLen(int(min(t.maxLen, math.MaxInt32)), o)
}

// canonical is the request with an approximate trim made exact: what is left is
// what this trim has left.
func (t *trimSpec) canonical(c *Ctx, s streamValue) [][]byte {
	if !t.given || !t.approx {
		return append([][]byte(nil), c.Args...)
	}
	args := append([][]byte(nil), c.Args[:t.word]...)
	if t.byID {
		first := stream.MaxID // of nothing that is left
		if s.Len() > 0 {
			first = s.FirstID()
		}
		args = append(args, []byte("MINID"), []byte("="), []byte(first.String()))
	} else {
		args = append(args, []byte("MAXLEN"), []byte("="), appendInt(nil, int64(s.Len())))
	}
	rest := c.Args[t.end:]
	if t.limSet && len(rest) >= 2 && equalFold(rest[0], "limit") {
		rest = rest[2:]
	}
	return append(args, rest...)
}

func xadd(c *Ctx) {
	var t trimSpec
	create := true
	i := 2
words:
	for i < len(c.Args) {
		next, taken, ok := t.parse(c, i)
		switch {
		case !ok:
			return
		case taken:
			i = next
		case equalFold(c.Args[i], "nomkstream"):
			create = false
			i++
		case equalFold(c.Args[i], "limit") && i+1 < len(c.Args):
			if !t.parseLimit(c, i) {
				return
			}
			i += 2
		default:
			break words
		}
	}
	idAt := i
	if idAt >= len(c.Args) {
		c.fail(errArity(c.Cmd.Name))
		return
	}
	var id stream.ID
	anySeq := false
	auto := string(c.Args[idAt]) == "*"
	if !auto {
		var ok bool
		if id, anySeq, ok = stream.ParseNewID(c.Args[idAt]); !ok {
			c.fail(errStreamIDInvalid)
			return
		}
	}
	if !t.check(c) {
		return
	}
	fields := c.Args[idAt+1:]
	if len(fields) < 2 || len(fields)%2 != 0 {
		c.fail(errArity(c.Cmd.Name))
		return
	}
	if !auto && !anySeq && id == (stream.ID{}) {
		c.fail("ERR The ID specified in XADD must be greater than 0-0")
		return
	}
	c.appendEntry(t, create, idAt, id, auto, anySeq)
}

// appendEntry is XADD behind its parsing.
func (c *Ctx) appendEntry(t trimSpec, create bool, idAt int, id stream.ID, auto, anySeq bool) {
	key := c.Args[1]
	s, found, ok := editAs[streamValue](c, key)
	if !ok {
		return
	}
	if !found {
		if !create {
			c.W.Null()
			return
		}
		s = stream.New()
	}
	if s.LastID == stream.MaxID {
		c.fail("ERR The stream has exhausted the last possible ID, unable to add more items")
		return
	}
	switch {
	case auto:
		id, ok = s.NextID(uint64(c.now()))
	case anySeq:
		id, ok = s.NextSeq(id.Ms)
	}
	if !ok || !s.Add(id, c.Args[idAt+1:], c.u.streamLimits()) {
		c.fail("ERR The ID specified in XADD is equal or smaller than the target stream top item")
		return
	}
	if !found {
		c.DB.Put(key, s)
	}
	if t.given {
		t.trim(c, s)
	}
	c.touch(key)
	text := []byte(id.String())
	args := t.canonical(c, s)
	args[len(args)-(len(c.Args)-idAt)] = text
	c.log(args...)
	c.W.Bulk(text)
}

func xlen(c *Ctx) {
	s, found, ok := viewAs[streamValue](c, c.Args[1])
	switch {
	case !ok:
	case found:
		c.W.Int(int64(s.Len()))
	default:
		c.W.Int(0)
	}
}

// interval reads an end of XRANGE, which "(" makes exclusive.
func (c *Ctx) interval(arg []byte, isStart bool) (id stream.ID, ok bool) {
	missing := uint64(0)
	if !isStart {
		missing = math.MaxUint64
	}
	open := len(arg) > 1 && arg[0] == '('
	if !open {
		if id, ok = stream.ParseRangeID(arg, missing); !ok {
			c.fail(errStreamIDInvalid)
		}
		return id, ok
	}
	if id, ok = stream.ParseID(arg[1:], missing); !ok {
		c.fail(errStreamIDInvalid)
		return id, false
	}
	if isStart {
		if id, ok = id.Next(); !ok {
			c.fail("ERR invalid start ID for the interval")
		}
		return id, ok
	}
	if id, ok = id.Prev(); !ok {
		c.fail("ERR invalid end ID for the interval")
	}
	return id, ok
}

func xrange(c *Ctx, reverse bool) {
	startAt, endAt := 2, 3
	if reverse {
		startAt, endAt = 3, 2
	}
	start, ok := c.interval(c.Args[startAt], true)
	if !ok {
		return
	}
	end, ok := c.interval(c.Args[endAt], false)
	if !ok {
		return
	}
	count := int64(-1)
	for i := 4; i < len(c.Args); i += 2 {
		if !equalFold(c.Args[i], "count") || i+1 >= len(c.Args) {
			c.fail(errSyntax)
			return
		}
		n, ok := c.int(i + 1)
		if !ok {
			return
		}
		count = max(0, n)
	}
	s, found, ok := viewAs[streamValue](c, c.Args[1])
	switch {
	case !ok:
		return
	case !found:
		c.W.Array(0)
		return
	case count == 0:
		c.W.NullArray()
		return
	}
	entries := s.Range(start, end)
	if reverse {
		entries = s.RevRange(end, start)
	}
	c.writeEntries(entries, count)
}

// writeEntries writes at most count entries, all when count is negative. The
// number is known only behind them, so they are written apart first.
func (c *Ctx) writeEntries(entries func(yield func(stream.ID, [][]byte) bool), count int64) (n int) {
	body := resp.Writer{Proto: c.W.Proto}
	for id, fields := range entries {
		if count >= 0 && int64(n) == count {
			break
		}
		n++
		body.Array(2)
		body.BulkString(id.String())
		body.Array(len(fields))
		for _, f := range fields {
			body.Bulk(f)
		}
	}
	c.W.Array(n)
	c.W.Raw(body.Buf)
	return n
}

// xread reads what is there. BLOCK is refused: a reply at once would tell a
// caller that waits that there is nothing.
func xread(c *Ctx) {
	count := int64(-1)
	i := 1
	for ; i < len(c.Args) && !equalFold(c.Args[i], "streams"); i += 2 {
		switch {
		case i+1 < len(c.Args) && equalFold(c.Args[i], "count"):
			n, ok := c.int(i + 1)
			if !ok {
				return
			}
			if n <= 0 {
				n = -1
			}
			count = n
		case i+1 < len(c.Args) && equalFold(c.Args[i], "block"):
			c.fail("ERR XREAD BLOCK is not supported")
			return
		default:
			c.fail(errSyntax)
			return
		}
	}
	rest := c.Args[min(i+1, len(c.Args)):]
	if len(rest) == 0 {
		c.fail(errSyntax)
		return
	}
	if len(rest)%2 != 0 {
		c.fail("ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.")
		return
	}
	keys, ids := rest[:len(rest)/2], rest[len(rest)/2:]
	starts, streams, ok := c.readFrom(keys, ids)
	if !ok {
		return
	}
	body := resp.Writer{Proto: c.W.Proto}
	outer, n := c.W, 0
	for j, s := range streams {
		if s == nil || s.LastID.Compare(starts[j]) <= 0 || s.Len() == 0 {
			continue
		}
		from, ok := starts[j].Next()
		if !ok {
			continue
		}
		mark := len(body.Buf)
		if body.Proto != 3 {
			body.Array(2)
		}
		body.Bulk(keys[j])
		c.W = &body
		written := c.writeEntries(s.Range(from, stream.MaxID), count)
		c.W = outer
		if written == 0 {
			body.Buf = body.Buf[:mark]
			continue
		}
		n++
	}
	if n == 0 {
		c.W.NullArray()
		return
	}
	if c.W.Proto == 3 {
		c.W.Map(n)
	} else {
		c.W.Array(n)
	}
	c.W.Raw(body.Buf)
}

// readFrom looks the streams up and reads the ids behind which to read; "$" is
// the newest there is.
func (c *Ctx) readFrom(keys, ids [][]byte) (starts []stream.ID, streams []streamValue, ok bool) {
	for j, key := range keys {
		s, found, ok := viewAs[streamValue](c, key)
		if !ok {
			return nil, nil, false
		}
		var id stream.ID
		switch string(ids[j]) {
		case "$":
			if found {
				id = s.LastID
			}
		case ">":
			c.fail("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.")
			return nil, nil, false
		default:
			if id, ok = stream.ParseID(ids[j], 0); !ok {
				c.fail(errStreamIDInvalid)
				return nil, nil, false
			}
		}
		starts, streams = append(starts, id), append(streams, s)
	}
	return starts, streams, true
}

func xtrim(c *Ctx) {
	var t trimSpec
	for i := 2; i < len(c.Args); {
		next, taken, ok := t.parse(c, i)
		switch {
		case !ok:
			return
		case taken:
			i = next
		case equalFold(c.Args[i], "limit") && i+1 < len(c.Args):
			if !t.parseLimit(c, i) {
				return
			}
			i += 2
		default:
			c.fail(errSyntax)
			return
		}
	}
	if !t.given {
		c.fail("ERR syntax error, XTRIM must be called with either MAXLEN or MINID options")
		return
	}
	if !t.check(c) {
		return
	}
	s, found, ok := editAs[streamValue](c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if found {
		n = t.trim(c, s)
	}
	if n > 0 {
		c.touch(c.Args[1])
		c.log(t.canonical(c, s)...)
	}
	c.W.Int(int64(n))
}

func xdel(c *Ctx) {
	s, found, ok := editAs[streamValue](c, c.Args[1])
	if !ok {
		return
	}
	var ids []stream.ID
	for _, arg := range c.Args[2:] {
		if !found {
			break
		}
		id, ok := stream.ParseID(arg, 0)
		if !ok {
			c.fail(errStreamIDInvalid)
			return
		}
		ids = append(ids, id)
	}
	n := 0
	for _, id := range ids {
		if s.Delete(id) {
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

func xsetid(c *Ctx) {
	last, ok := stream.ParseID(c.Args[2], 0)
	if !ok {
		c.fail(errStreamIDInvalid)
		return
	}
	added, deleted := int64(-1), stream.ID{}
	for i := 3; i < len(c.Args); i += 2 {
		switch {
		case i+1 < len(c.Args) && equalFold(c.Args[i], "entriesadded"):
			if added, ok = c.int(i + 1); !ok {
				return
			}
			if added < 0 {
				c.fail("ERR entries_added must be positive")
				return
			}
		case i+1 < len(c.Args) && equalFold(c.Args[i], "maxdeletedid"):
			if deleted, ok = stream.ParseID(c.Args[i+1], 0); !ok {
				c.fail(errStreamIDInvalid)
				return
			}
			if last.Compare(deleted) < 0 {
				c.fail("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
				return
			}
		default:
			c.fail(errSyntax)
			return
		}
	}
	s, found, ok := editAs[streamValue](c, c.Args[1])
	if !ok {
		return
	}
	if !found {
		c.fail(errNoSuchKey)
		return
	}
	if text := xsetidConflict(s, last, added); text != "" {
		c.fail(text)
		return
	}
	s.LastID = last
	if added >= 0 {
		s.EntriesAdded = uint64(added)
	}
	if deleted != (stream.ID{}) {
		s.MaxDeletedID = deleted
	}
	c.u.touchUnwatched(c.DB, c.Args[1]) // as in Redis
	c.logVerbatim()
	c.W.OK()
}

// xsetidConflict says why the numbers do not fit the entries that are there.
func xsetidConflict(s streamValue, last stream.ID, added int64) string {
	if s.Len() == 0 {
		return ""
	}
	for newest := range s.RevRange(stream.MaxID, stream.ID{}) {
		if last.Compare(newest) < 0 {
			return "ERR The ID specified in XSETID is smaller than the target stream top item"
		}
		break
	}
	if added >= 0 && int64(s.Len()) > added {
		return "ERR The entries_added specified in XSETID is smaller than the target stream length"
	}
	return ""
}
