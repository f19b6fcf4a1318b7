package stream

import (
	"strconv"

	"limpet/internal/listpack"
)

const (
	flagDeleted    = 1
	flagSameFields = 2
)

// node is up to a hundred entries; see the package comment. master is the id
// of the first, deleted or not.
type node struct {
	master ID
	pack   listpack.List

	// What the master entry says, for every step needs it.
	count, deleted int // entries that are there, and that are not
	names          int
	name, body     int // offsets of the first name and of the 0 behind the last
}

// entry is the place of one entry in a node, good until the node changes.
type entry struct {
	id     ID
	flags  int64
	off    int // of the flags
	data   int // offset of the first value, or name
	fields int
}

func (e entry) deleted() bool { return e.flags&flagDeleted != 0 }
func (e entry) same() bool    { return e.flags&flagSameFields != 0 }

// newNode has a master entry for fields, and no entry.
func newNode(id ID, fields [][]byte) *node {
	p := listpack.New().AppendInt(0).AppendInt(0).AppendInt(int64(len(fields) / 2))
	for i := 0; i < len(fields); i += 2 {
		p = p.Append(fields[i])
	}
	nd := &node{master: id, names: len(fields) / 2, body: p.Bytes() - 1}
	nd.pack = p.AppendInt(0)
	nd.name = nd.skip(nd.pack.First(), 3)
	return nd
}

func (nd *node) int(off int) int64 {
	_, n, _ := nd.pack.At(off)
	return n
}

func (nd *node) skip(off, count int) int {
	for range count {
		off = nd.pack.Next(off)
	}
	return off
}

// full says whether an entry has to go to a new node, as streamAppendItem
// decides it.
func (nd *node) full(fields [][]byte, lim Limits) bool {
	size := nd.pack.Bytes()
	for _, f := range fields {
		size += len(f)
	}
	return lim.MaxBytes > 0 && size >= lim.MaxBytes ||
		lim.MaxEntries > 0 && nd.count+nd.deleted >= lim.MaxEntries
}

// add appends an entry, with no thought of limits.
func (nd *node) add(id ID, fields [][]byte) {
	nd.setCounts(nd.count+1, nd.deleted)
	same := nd.sameNames(fields)
	flags, step, length := int64(0), 1, len(fields)+4
	if same {
		flags, step, length = flagSameFields, 2, len(fields)/2+3
	}
	p := nd.pack.AppendInt(flags).AppendInt(int64(id.Ms - nd.master.Ms)).AppendInt(int64(id.Seq - nd.master.Seq))
	if !same {
		p = p.AppendInt(int64(len(fields) / 2))
	}
	for i := step - 1; i < len(fields); i += step {
		p = p.Append(fields[i])
	}
	nd.pack = p.AppendInt(int64(length))
}

func (nd *node) sameNames(fields [][]byte) bool {
	if nd.names != len(fields)/2 {
		return false
	}
	off := nd.name
	for i := 0; i < len(fields); i += 2 {
		if !nd.pack.Equal(off, fields[i]) {
			return false
		}
		off = nd.pack.Next(off)
	}
	return true
}

// delete marks an entry, and returns it with the offsets that it has then: the
// counts in front of it may have changed their size.
func (nd *node) delete(e entry) entry {
	nd.replaceInt(e.off, e.flags|flagDeleted)
	moved := nd.setCounts(nd.count-1, nd.deleted+1)
	e.off += moved
	e.data += moved
	return e
}

// setCounts returns how far that moved everything behind the counts.
func (nd *node) setCounts(count, deleted int) (moved int) {
	before := nd.pack.Bytes()
	first := nd.pack.First()
	if count != nd.count {
		nd.replaceInt(first, int64(count))
	}
	if deleted != nd.deleted {
		nd.replaceInt(nd.pack.Next(first), int64(deleted))
	}
	moved = nd.pack.Bytes() - before
	nd.count, nd.deleted = count, deleted
	nd.name += moved
	nd.body += moved
	return moved
}

func (nd *node) replaceInt(off int, n int64) {
	var scratch [20]byte
	nd.pack = nd.pack.Replace(off, strconv.AppendInt(scratch[:0], n, 10))
}

// first is the oldest entry, deleted or not.
func (nd *node) first() (e entry, ok bool) {
	return nd.entryAt(nd.pack.Next(nd.body))
}

// next is the entry after e.
func (nd *node) next(e entry) (following entry, ok bool) {
	elements := e.fields + 1
	if !e.same() {
		elements += e.fields
	}
	return nd.entryAt(nd.skip(e.data, elements))
}

// last is the newest entry, deleted or not.
func (nd *node) last() (e entry, ok bool) { return nd.endingAt(nd.pack.Last()) }

// prev is the entry before e.
func (nd *node) prev(e entry) (before entry, ok bool) { return nd.endingAt(nd.pack.Prev(e.off)) }

// endingAt is the entry whose length is at off; the 0 there that closes the
// master entry means that there is none.
func (nd *node) endingAt(off int) (e entry, ok bool) {
	length := int(nd.int(off))
	if length == 0 {
		return e, false
	}
	for range length {
		off = nd.pack.Prev(off)
	}
	return nd.entryAt(off)
}

func (nd *node) entryAt(off int) (e entry, ok bool) {
	if off < 0 {
		return e, false
	}
	e = entry{off: off, flags: nd.int(off)}
	off = nd.pack.Next(off)
	e.id.Ms = nd.master.Ms + uint64(nd.int(off))
	off = nd.pack.Next(off)
	e.id.Seq = nd.master.Seq + uint64(nd.int(off))
	if e.same() {
		e.fields = nd.names
	} else {
		off = nd.pack.Next(off)
		e.fields = int(nd.int(off))
	}
	e.data = nd.pack.Next(off)
	return e, true
}

// decoder has the memory in which entries are handed out.
type decoder struct {
	row     [][]byte
	numbers []byte // texts of integers; row may point into an older, smaller one
}

// fields is the entry's names and values in turn, good until the next call.
func (d *decoder) fields(nd *node, e entry) [][]byte {
	d.row, d.numbers = d.row[:0], d.numbers[:0]
	data := e.data
	name := nd.name
	for range e.fields {
		if e.same() {
			name = d.text(nd, name)
		} else {
			data = d.text(nd, data)
		}
		data = d.text(nd, data)
	}
	return d.row
}

// text appends the element at off to the row and returns the next offset.
func (d *decoder) text(nd *node, off int) int {
	s, n, isInt := nd.pack.At(off)
	if isInt {
		start := len(d.numbers)
		d.numbers = strconv.AppendInt(d.numbers, n, 10)
		s = d.numbers[start:len(d.numbers):len(d.numbers)]
	}
	d.row = append(d.row, s)
	return nd.pack.Next(off)
}
