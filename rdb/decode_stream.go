package rdb

import "limpet/internal/listpack"

// stream reads a stream and its groups; encode_stream.go has the picture. Beyond
// what Redis checks it wants ids to ascend and counts to be true, since what
// walks a stream relies on both.
func (d *valueDecoder) stream(typ byte) Value {
	r := d.r
	s := &Stream{}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		d.leaf(s)
	}
	if n := r.length(); n != uint64(len(s.Entries)) {
		r.corrupt("%d entries, have %d", n, len(s.Entries))
	}
	s.LastID = r.idLengths()
	if n := len(s.Entries); n > 0 && s.Entries[n-1].ID.Compare(s.LastID) > 0 {
		r.corrupt("an entry lies above the last id")
	}
	if typ == typeStream {
		s.Added = uint64(len(s.Entries))
		if len(s.Entries) > 0 {
			s.FirstID = s.Entries[0].ID
		}
	} else {
		s.FirstID = r.idLengths()
		s.MaxDeletedID = r.idLengths()
		s.Added = r.length()
	}
	names := map[string]bool{}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		g := d.group(typ, s)
		if names[string(g.Name)] {
			r.corrupt("group %.100q is there twice", g.Name)
		}
		names[string(g.Name)] = true
		s.Groups = append(s.Groups, g)
	}
	if r.err != nil {
		return nil
	}
	return s
}

// leaf reads one leaf and appends its entries to the stream.
func (d *valueDecoder) leaf(s *Stream) {
	r := d.r
	if n := r.length(); n != 16 {
		r.corrupt("leaf's key of %d bytes", n)
	}
	key := r.streamID()
	b := r.string()
	if r.err != nil {
		return
	}
	if err := listpack.Validate(b); err != nil {
		r.corrupt("leaf %d-%d: %v", key.Ms, key.Seq, err)
		return
	}
	c := leafCursor{l: b, off: listpack.List(b).First()}
	before := len(s.Entries)
	s.Entries = c.entries(key, s.Entries)
	if c.bad != "" {
		r.corrupt("leaf %d-%d: %s", key.Ms, key.Seq, c.bad)
		return
	}
	for i := max(before, 1); i < len(s.Entries); i++ {
		if s.Entries[i-1].ID.Compare(s.Entries[i].ID) >= 0 {
			r.corrupt("leaf %d-%d: entry is not above the one before", key.Ms, key.Seq)
			return
		}
	}
}

// leafCursor walks the items of a leaf. bad is the first thing found wrong;
// after it there are no more items.
type leafCursor struct {
	l   listpack.List
	off int
	n   int // items taken
	bad string
}

func (c *leafCursor) fail(what string) {
	if c.bad == "" {
		c.bad = what
	}
	c.off = -1
}

// text is the next item in memory of its own.
func (c *leafCursor) text() []byte {
	if c.off < 0 {
		c.fail("ends inside an entry")
		return nil
	}
	b := c.l.Get(c.off, nil)
	c.off = c.l.Next(c.off)
	c.n++
	return append(make([]byte, 0, len(b)), b...)
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

// entries appends what is in the leaf and was not deleted to es.
func (c *leafCursor) entries(key StreamID, es []StreamEntry) []StreamEntry {
	live, deleted := c.int(), c.int()
	names := make([][]byte, 0, 8)
	for n := c.count(); n > 0 && c.bad == ""; n-- {
		names = append(names, c.text())
	}
	if c.int() != 0 {
		c.fail("want 0 behind the names")
	}
	for c.off >= 0 {
		e, gone := c.entry(key, names)
		if gone {
			deleted--
		} else {
			live--
			es = append(es, e)
		}
	}
	if live != 0 || deleted != 0 {
		c.fail("counts of entries are wrong")
	}
	return es
}

func (c *leafCursor) entry(key StreamID, names [][]byte) (e StreamEntry, deleted bool) {
	begin := c.n
	flags := c.int()
	if flags&^(streamDeleted|streamSameFields) != 0 {
		c.fail("unknown flags of an entry")
	}
	e.ID = StreamID{Ms: key.Ms + uint64(c.int()), Seq: key.Seq + uint64(c.int())}
	if flags&streamSameFields != 0 {
		e.Fields = make([][]byte, 0, 2*len(names))
		for i := 0; i < len(names) && c.bad == ""; i++ {
			e.Fields = append(e.Fields, names[i], c.text())
		}
	} else {
		for n := c.count(); n > 0 && c.bad == ""; n-- {
			e.Fields = append(e.Fields, c.text(), c.text())
		}
	}
	if len(e.Fields) == 0 {
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
		p.Deliveries = r.length()
		if _, ok := pending[p.ID]; ok {
			r.corrupt("group %.100q: %d-%d is pending twice", g.Name, p.ID.Ms, p.ID.Seq)
		}
		pending[p.ID] = p
	}
	names := map[string]bool{}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		c := d.consumer(typ, pending)
		if names[string(c.Name)] {
			r.corrupt("group %.100q: consumer %.100q is there twice", g.Name, c.Name)
		}
		names[string(c.Name)] = true
		g.Consumers = append(g.Consumers, c)
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
	n := len(s.Entries)
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
