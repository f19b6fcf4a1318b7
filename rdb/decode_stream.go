package rdb

import (
	"bytes"
	"math"
	"slices"

	"limpet/internal/listpack"
)

// stream reads a stream and its groups; encode_stream.go has the picture. Beyond
// what Redis checks it wants ids to ascend and counts to be true, since what
// walks a stream relies on both.
func (d *valueDecoder) stream(typ byte) Value {
	r := d.r
	s := &Stream{}
	var ends leafEnds
	for n := r.length(); n > 0 && r.err == nil; n-- {
		d.leaf(s, &ends)
	}
	if n := r.length(); n != uint64(ends.n) {
		r.corrupt("%d entries, have %d", n, ends.n)
	}
	s.LastID = r.idLengths()
	if ends.last.Compare(s.LastID) > 0 {
		r.corrupt("an entry lies above the last id")
	}
	if typ == typeStream {
		s.FirstID = ends.first
	} else {
		s.FirstID = r.idLengths()
		s.MaxDeletedID = r.idLengths()
		s.Added = r.length()
	}
	// A log without RDB says these by commands, which would refuse other ones.
	s.Added = min(max(s.Added, uint64(ends.n)), math.MaxInt64)
	if s.MaxDeletedID.Compare(s.LastID) > 0 {
		s.MaxDeletedID = s.LastID
	}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		s.Groups = append(s.Groups, d.group(typ, s))
	}
	slices.SortFunc(s.Groups, func(a, b Group) int { return bytes.Compare(a.Name, b.Name) })
	for i := 1; i < len(s.Groups); i++ {
		if bytes.Equal(s.Groups[i-1].Name, s.Groups[i].Name) {
			r.corrupt("group %.100q is there twice", s.Groups[i].Name)
		}
	}
	if r.err != nil {
		return nil
	}
	return s
}

// leafEnds are what the leaves so far have come to.
type leafEnds struct {
	key         StreamID // of the last leaf
	n           int      // entries that are not deleted
	first, last StreamID // of them
}

// leaf reads one leaf and adds it to the stream, or its entries.
func (d *valueDecoder) leaf(s *Stream, ends *leafEnds) {
	r := d.r
	if n := r.length(); n != 16 {
		r.corrupt("leaf's key of %d bytes", n)
	}
	key := r.streamID()
	b := r.string()
	if r.err != nil {
		return
	}
	if key.Compare(ends.key) <= 0 {
		r.corrupt("leaf %d-%d: key is not above the one before", key.Ms, key.Seq)
		return
	}
	ends.key = key
	if err := listpack.Validate(b); err != nil {
		r.corrupt("leaf %d-%d: %v", key.Ms, key.Seq, err)
		return
	}
	c := leafCursor{l: b, off: listpack.List(b).First(), skim: d.keepPacked}
	c.entries(key, func(e StreamEntry) {
		if e.ID.Compare(ends.last) <= 0 {
			c.fail("entry is not above the one before")
			return
		}
		if ends.n == 0 {
			ends.first = e.ID
		}
		ends.n, ends.last = ends.n+1, e.ID
		if !d.keepPacked {
			s.Entries = append(s.Entries, e)
		}
	})
	if c.bad != "" {
		r.corrupt("leaf %d-%d: %s", key.Ms, key.Seq, c.bad)
		return
	}
	if d.keepPacked {
		s.Len = ends.n
		s.Leaves = append(s.Leaves, Leaf{key, b})
	}
}

// leafCursor walks the items of a leaf. bad is the first thing found wrong;
// after it there are no more items.
type leafCursor struct {
	l    listpack.List
	off  int
	n    int  // items taken
	skim bool // the text of the items is not wanted
	bad  string
}

func (c *leafCursor) fail(what string) {
	if c.bad == "" {
		c.bad = what
	}
	c.off = -1
}

// text appends the next item, in memory of its own.
func (c *leafCursor) text(to [][]byte) [][]byte {
	if c.off < 0 {
		c.fail("ends inside an entry")
		return to
	}
	if !c.skim {
		b := c.l.Get(c.off, nil)
		to = append(to, append(make([]byte, 0, len(b)), b...))
	}
	c.off = c.l.Next(c.off)
	c.n++
	return to
}

func (c *leafCursor) int() int64 {
	if c.off < 0 {
		c.fail("ends inside an entry")
		return 0
	}
	_, n, ok := c.l.At(c.off)
	if !ok {
		c.fail("want an integer, have a string")
		return 0
	}
	c.off = c.l.Next(c.off)
	c.n++
	return n
}

// count is a number of fields: not more of them than items can follow.
func (c *leafCursor) count() int {
	n := c.int()
	if n < 0 || n > int64(len(c.l)) {
		c.fail("impossible number of fields")
		return 0
	}
	return int(n)
}

// entries yields what is in the leaf and was not deleted.
func (c *leafCursor) entries(key StreamID, yield func(StreamEntry)) {
	live, deleted := c.int(), c.int()
	shared := c.count()
	var names [][]byte
	for n := shared; n > 0 && c.bad == ""; n-- {
		names = c.text(names)
	}
	if c.int() != 0 {
		c.fail("want 0 behind the names")
	}
	for c.off >= 0 {
		e, gone := c.entry(key, shared, names)
		switch {
		case c.bad != "":
		case gone:
			deleted--
		default:
			live--
			yield(e)
		}
	}
	if live != 0 || deleted != 0 {
		c.fail("counts of entries are wrong")
	}
}

// entry reads one entry. shared is the number of the leaf's names.
func (c *leafCursor) entry(key StreamID, shared int, names [][]byte) (e StreamEntry, deleted bool) {
	begin := c.n
	flags := c.int()
	if flags&^(streamDeleted|streamSameFields) != 0 {
		c.fail("unknown flags of an entry")
	}
	e.ID = StreamID{Ms: key.Ms + uint64(c.int()), Seq: key.Seq + uint64(c.int())}
	fields := shared
	if flags&streamSameFields == 0 {
		fields = c.count()
	}
	for i := 0; i < fields && c.bad == ""; i++ {
		switch {
		case flags&streamSameFields == 0:
			e.Fields = c.text(e.Fields)
		case !c.skim:
			e.Fields = append(e.Fields, names[i])
		}
		e.Fields = c.text(e.Fields)
	}
	if fields == 0 {
		c.fail("entry without fields")
	}
	if items := c.n - begin; c.int() != int64(items) {
		c.fail("wrong number of items in an entry")
	}
	return e, flags&streamDeleted != 0
}

func (d *valueDecoder) group(typ byte, s *Stream) Group {
	r := d.r
	g := Group{Name: r.string(), LastID: r.idLengths()}
	if typ == typeStream {
		g.EntriesRead = s.readUpTo(g.LastID)
	} else if g.EntriesRead = int64(r.length()); g.EntriesRead < -1 {
		g.EntriesRead = -1
	}
	pending := map[StreamID]Pending{}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		p := Pending{ID: r.streamID(), DeliveredAtMs: int64(r.uint64LE())}
		p.Deliveries = min(r.length(), math.MaxInt64)
		if _, ok := pending[p.ID]; ok {
			r.corrupt("group %.100q: %d-%d is pending twice", g.Name, p.ID.Ms, p.ID.Seq)
		}
		pending[p.ID] = p
	}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		g.Consumers = append(g.Consumers, d.consumer(typ, pending))
	}
	slices.SortFunc(g.Consumers, func(a, b Consumer) int { return bytes.Compare(a.Name, b.Name) })
	for i := 1; i < len(g.Consumers); i++ {
		if bytes.Equal(g.Consumers[i-1].Name, g.Consumers[i].Name) {
			r.corrupt("group %.100q: consumer %.100q is there twice", g.Name, g.Consumers[i].Name)
		}
	}
	if len(pending) > 0 {
		r.corrupt("group %.100q: %d pending entries belong to no consumer", g.Name, len(pending))
	}
	return g
}

// consumer takes what is the consumer's from the group's pending entries.
func (d *valueDecoder) consumer(typ byte, pending map[StreamID]Pending) Consumer {
	r := d.r
	c := Consumer{Name: r.string(), SeenMs: int64(r.uint64LE())}
	c.ActiveMs = c.SeenMs
	if typ == typeStream3 {
		c.ActiveMs = int64(r.uint64LE())
	}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		id := r.streamID()
		p, ok := pending[id]
		if !ok {
			r.corrupt("consumer %.100q: %d-%d is not pending in its group", c.Name, id.Ms, id.Seq)
		}
		if k := len(c.Pending); k > 0 && c.Pending[k-1].ID.Compare(id) >= 0 {
			r.corrupt("consumer %.100q: pending entries do not ascend", c.Name)
		}
		delete(pending, id)
		c.Pending = append(c.Pending, p)
	}
	return c
}

// readUpTo is how many entries a group has read whose last one is id, for files
// that do not tell; -1 when it cannot be known. It is the estimate that Redis 7
// makes (streamEstimateDistanceFromFirstEverEntry) for a stream from such a file.
func (s *Stream) readUpTo(id StreamID) int64 {
	n := s.Added // in such files, the entries that are there
	switch {
	case n == 0:
		return 0
	case id == s.LastID:
		return int64(n)
	case id.Compare(s.LastID) > 0:
		return -1
	case id.Compare(s.FirstID) < 0:
		return 0
	case id == s.FirstID:
		return 1
	}
	return -1
}
