package command

import (
	"math"

	"limpet/internal/stream"
	"limpet/resp"
)

// What the logs of a real Redis say about consumer groups: however clients read,
// it is XGROUP, XCLAIM and XACK that are written. Reading by group (XREADGROUP,
// XAUTOCLAIM, XPENDING, XINFO) is not here. As in Redis, WATCH does not see
// changes to groups.

func init() {
	second := Keys{2, 2, 1}
	row := func(name string, arity int, flags Flags, doc string, h Handler) *Command {
		return &Command{Name: name, Arity: arity, Flags: flags, Keys: second, Since: "5.0.0", Doc: doc, Handler: h}
	}
	createConsumer := row("xgroup|createconsumer", 5, Write|DenyOOM, "Adds a consumer to a group.", xgroupCreateConsumer)
	createConsumer.Since = "6.2.0"
	register("stream",
		&Command{Name: "xgroup", Arity: -2, Since: "5.0.0", Doc: "Commands about consumer groups.", Handler: missingSub, Subs: []*Command{
			row("xgroup|create", -5, Write|DenyOOM, "Adds a consumer group.", xgroupCreate),
			row("xgroup|setid", -5, Write, "Sets the entry that a group was given last.", xgroupSetID),
			row("xgroup|destroy", 4, Write, "Removes a consumer group.", xgroupDestroy),
			createConsumer,
			row("xgroup|delconsumer", 5, Write, "Removes a consumer from a group.", xgroupDelConsumer),
		}},
		&Command{Name: "xclaim", Arity: -6, Flags: Write | Fast, Keys: Keys{1, 1, 1}, Since: "5.0.0", Doc: "Gives pending entries to a consumer.", Handler: xclaim},
		&Command{Name: "xack", Arity: -4, Flags: Write | Fast, Keys: Keys{1, 1, 1}, Since: "5.0.0", Doc: "Makes entries pending no more.", Handler: xack},
	)
}

const (
	errXGroupNoKey = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically."
	errGroupExists = "BUSYGROUP Consumer Group name already exists"
)

// groupOptions are what may follow the id of XGROUP CREATE and SETID.
type groupOptions struct {
	makeStream  bool
	entriesRead int64
}

func (c *Ctx) groupOptions(canMake bool) (o groupOptions, ok bool) {
	o.entriesRead = -1
	for i := 5; i < len(c.Args); i++ {
		switch {
		case canMake && equalFold(c.Args[i], "mkstream"):
			o.makeStream = true
		case equalFold(c.Args[i], "entriesread") && i+1 < len(c.Args):
			i++
			if o.entriesRead, ok = c.int(i); !ok {
				return o, false
			}
			if o.entriesRead < 0 && o.entriesRead != -1 {
				c.fail("ERR value for ENTRIESREAD must be positive or -1")
				return o, false
			}
		default:
			c.fail("ERR unknown subcommand or wrong number of arguments for '" + string(clip(c.Args[1], 128)) + "'. Try XGROUP HELP.")
			return o, false
		}
	}
	return o, true
}

// groupID is the id of XGROUP CREATE and SETID; "$" is the newest there is.
func (c *Ctx) groupID(s streamValue) (id stream.ID, ok bool) {
	arg := c.Args[4]
	if string(arg) == "$" {
		if s == nil {
			return id, true
		}
		return s.LastID, true
	}
	if id, ok = stream.ParseID(arg, 0); !ok {
		c.fail(errStreamIDInvalid)
	}
	return id, ok
}

// groupStream is the stream of an XGROUP, which must be there.
func (c *Ctx) groupStream() (s streamValue, ok bool) {
	s, found, ok := editAs[streamValue](c, c.Args[2])
	if ok && !found {
		c.fail(errXGroupNoKey)
	}
	return s, ok && found
}

// group is the stream and the group of an XGROUP; both must be there.
func (c *Ctx) group() (g *stream.Group, s streamValue, ok bool) {
	if s, ok = c.groupStream(); !ok {
		return nil, nil, false
	}
	if g = s.FindGroup(c.Args[3]); g == nil {
		c.fail("NOGROUP No such consumer group '" + string(c.Args[3]) + "' for key name '" + string(c.Args[2]) + "'")
	}
	return g, s, g != nil
}

func xgroupCreate(c *Ctx) {
	o, ok := c.groupOptions(true)
	if !ok {
		return
	}
	s, found, ok := editAs[streamValue](c, c.Args[2])
	if !ok {
		return
	}
	if !found && !o.makeStream {
		c.fail(errXGroupNoKey)
		return
	}
	id, ok := c.groupID(s)
	if !ok {
		return
	}
	if !found {
		s = stream.New()
	}
	if !s.AddGroup(c.Args[3], id, o.entriesRead) {
		c.fail(errGroupExists)
		return
	}
	if !found {
		c.DB.Put(c.Args[2], s)
		c.touch(c.Args[2])
	} else {
		c.u.touchUnwatched(c.DB, c.Args[2])
	}
	c.logVerbatim()
	c.W.OK()
}

func xgroupSetID(c *Ctx) {
	o, ok := c.groupOptions(false)
	if !ok {
		return
	}
	g, s, ok := c.group()
	if !ok {
		return
	}
	id, ok := c.groupID(s)
	if !ok {
		return
	}
	g.LastID, g.EntriesRead = id, o.entriesRead
	c.u.touchUnwatched(c.DB, c.Args[2])
	c.logVerbatim()
	c.W.OK()
}

func xgroupDestroy(c *Ctx) {
	s, ok := c.groupStream()
	if !ok {
		return
	}
	if !s.RemoveGroup(c.Args[3]) {
		c.W.Int(0)
		return
	}
	c.u.touchUnwatched(c.DB, c.Args[2])
	c.logVerbatim()
	c.W.Int(1)
}

func xgroupCreateConsumer(c *Ctx) {
	g, _, ok := c.group()
	if !ok {
		return
	}
	if !g.AddConsumer(c.Args[4], c.now()) {
		c.W.Int(0)
		return
	}
	c.u.touchUnwatched(c.DB, c.Args[2])
	c.logVerbatim()
	c.W.Int(1)
}

func xgroupDelConsumer(c *Ctx) {
	g, _, ok := c.group()
	if !ok {
		return
	}
	if g.FindConsumer(c.Args[4]) == nil {
		c.W.Int(0)
		return
	}
	n := g.RemoveConsumer(c.Args[4])
	c.u.touchUnwatched(c.DB, c.Args[2])
	c.logVerbatim()
	c.W.Int(int64(n))
}

// claimOptions are XCLAIM's.
type claimOptions struct {
	minIdle     int64 // ms
	ids         []stream.ID
	deliveredAt int64 // Unix ms
	retries     int64 // negative means one more than before
	force       bool
	justID      bool
	lastID      stream.ID
}

func (c *Ctx) claimOptions() (o claimOptions, ok bool) {
	number := func(i int, what string) (n int64, ok bool) {
		if n, ok = resp.ParseInt(c.Args[i]); !ok {
			c.fail("ERR Invalid " + what + " for XCLAIM")
		}
		return n, ok
	}
	o.retries, o.deliveredAt = -1, -1
	if o.minIdle, ok = number(4, "min-idle-time argument"); !ok {
		return o, false
	}
	i := 5
	for ; i < len(c.Args); i++ {
		id, ok := stream.ParseID(c.Args[i], 0)
		if !ok {
			break
		}
		o.ids = append(o.ids, id)
	}
	for ; i < len(c.Args); i++ {
		word, more := c.Args[i], i+1 < len(c.Args)
		switch {
		case equalFold(word, "force"):
			o.force = true
			continue
		case equalFold(word, "justid"):
			o.justID = true
			continue
		case equalFold(word, "idle") && more:
			o.deliveredAt, ok = number(i+1, "IDLE option argument")
			o.deliveredAt = c.now() - o.deliveredAt
		case equalFold(word, "time") && more:
			o.deliveredAt, ok = number(i+1, "TIME option argument")
		case equalFold(word, "retrycount") && more:
			o.retries, ok = number(i+1, "RETRYCOUNT option argument")
		case equalFold(word, "lastid") && more:
			if o.lastID, ok = stream.ParseID(c.Args[i+1], 0); !ok {
				c.fail(errStreamIDInvalid)
			}
		default:
			c.fail("ERR Unrecognized XCLAIM option '" + string(word) + "'")
			return o, false
		}
		if !ok {
			return o, false
		}
		i++
	}
	if o.deliveredAt < 0 || o.deliveredAt > c.now() && !c.u.Loading {
		o.deliveredAt = c.now()
	}
	return o, true
}

// xclaim makes entries pending for a consumer. What it did is logged entry by
// entry, in the form that does the same at any time.
func xclaim(c *Ctx) {
	s, found, ok := editAs[streamValue](c, c.Args[1])
	if !ok {
		return
	}
	var g *stream.Group
	if found {
		g = s.FindGroup(c.Args[2])
	}
	if g == nil {
		c.fail("NOGROUP No such key '" + string(c.Args[1]) + "' or consumer group '" + string(c.Args[2]) + "'")
		return
	}
	o, ok := c.claimOptions()
	if !ok {
		return
	}
	moved := o.lastID.Compare(g.LastID) > 0
	if moved {
		g.LastID = o.lastID
	}
	created := g.AddConsumer(c.Args[3], c.now())
	body, n := resp.Writer{Proto: c.W.Proto}, 0
	for _, id := range o.ids {
		logged, claimed := c.claim(s, g, id, o)
		if logged {
			moved = false // it says the group's last id, too
		}
		if !claimed {
			continue
		}
		n++
		if o.justID {
			body.BulkString(id.String())
			continue
		}
		outer := c.W
		c.W = &body
		c.writeEntry(s, id)
		c.W = outer
	}
	if created && n == 0 { // no claim tells of it, and Redis's log does not at all
		c.u.touchUnwatched(c.DB, c.Args[1])
		c.log([]byte("XGROUP"), []byte("CREATECONSUMER"), c.Args[1], c.Args[2], c.Args[3])
	}
	if moved {
		c.u.touchUnwatched(c.DB, c.Args[1])
		c.log([]byte("XGROUP"), []byte("SETID"), c.Args[1], c.Args[2], []byte(g.LastID.String()),
			[]byte("ENTRIESREAD"), appendInt(nil, g.EntriesRead))
	}
	c.W.Array(n)
	c.W.Raw(body.Buf)
}

// writeEntry writes one entry as XRANGE has it.
func (c *Ctx) writeEntry(s streamValue, id stream.ID) {
	for _, fields := range s.Range(id, id) {
		c.W.Array(2)
		c.W.BulkString(id.String())
		c.W.Array(len(fields))
		for _, f := range fields {
			c.W.Bulk(f)
		}
	}
}

// claim claims one entry. An entry that was deleted from the stream is no longer
// pending for anybody.
func (c *Ctx) claim(s streamValue, g *stream.Group, id stream.ID, o claimOptions) (logged, claimed bool) {
	p, owner := g.Pending(id)
	if !s.Has(id) {
		if owner != nil {
			c.logClaim(g, owner.Name, p)
			owner.Release(id)
		}
		return owner != nil, false
	}
	switch {
	case owner == nil && !o.force:
		return false, false
	case owner != nil && o.minIdle > 0 && c.now()-p.DeliveredAtMs < o.minIdle:
		return false, false
	}
	p.ID, p.DeliveredAtMs = id, o.deliveredAt
	if owner == nil {
		p.Deliveries = 1 // and one more below, as Redis counts a forced claim
	}
	if o.retries >= 0 {
		p.Deliveries = uint64(o.retries)
	} else if !o.justID {
		p.Deliveries++
	}
	if owner != nil {
		owner.Release(id)
	}
	g.FindConsumer(c.Args[3]).Hold(p)
	c.logClaim(g, c.Args[3], p)
	return true, true
}

func (c *Ctx) logClaim(g *stream.Group, consumer []byte, p stream.Pending) {
	c.u.touchUnwatched(c.DB, c.Args[1])
	c.log([]byte("XCLAIM"), c.Args[1], c.Args[2], consumer, []byte("0"), []byte(p.ID.String()),
		[]byte("TIME"), appendInt(nil, p.DeliveredAtMs), []byte("RETRYCOUNT"), appendInt(nil, int64(min(p.Deliveries, math.MaxInt64))),
		[]byte("FORCE"), []byte("JUSTID"), []byte("LASTID"), []byte(g.LastID.String()))
}

func xack(c *Ctx) {
	s, found, ok := editAs[streamValue](c, c.Args[1])
	if !ok {
		return
	}
	var g *stream.Group
	if found {
		g = s.FindGroup(c.Args[2])
	}
	if g == nil {
		c.W.Int(0)
		return
	}
	var ids []stream.ID
	for _, arg := range c.Args[3:] {
		id, ok := stream.ParseID(arg, 0)
		if !ok {
			c.fail(errStreamIDInvalid)
			return
		}
		ids = append(ids, id)
	}
	n := 0
	for _, id := range ids {
		if _, owner := g.Pending(id); owner != nil && owner.Release(id) {
			n++
		}
	}
	if n > 0 {
		c.u.touchUnwatched(c.DB, c.Args[1])
		c.logVerbatim()
	}
	c.W.Int(int64(n))
}
