package list

import (
	"bytes"

	"limpet/internal/listpack"
)

// node has n >= 1 elements, in a listpack or, if plain is not nil, as the only
// one.
type node struct {
	prev, next *node
	pack       listpack.List
	plain      []byte
	n          int
}

// entryOverhead bounds what a listpack adds to an element for its length, as
// Redis estimates it (SIZE_ESTIMATE_OVERHEAD in quicklist.c).
const entryOverhead = 8

func newNode(v []byte, lim Limits) *node {
	if len(v) > lim.MaxBytes {
		return &node{plain: clone(v), n: 1}
	}
	return &node{pack: listpack.New().Append(v), n: 1}
}

// fits says whether v may join the node.
func (nd *node) fits(v []byte, lim Limits) bool {
	return nd.plain == nil && (lim.MaxEntries == 0 || nd.n < lim.MaxEntries) &&
		nd.pack.Bytes()+len(v)+entryOverhead <= lim.MaxBytes
}

// compact gives back the room that a node kept for more elements. It is called
// when the node stops being an end of the list.
func (nd *node) compact() {
	if nd != nil && cap(nd.pack)-len(nd.pack) > len(nd.pack)/8 {
		nd.pack = append(make(listpack.List, 0, len(nd.pack)), nd.pack...)
	}
}

// seek is the offset of the element at, counted from the end where negative.
// A plain node has its element at 0.
func (nd *node) seek(at int) int {
	if nd.plain != nil {
		return 0
	}
	return nd.pack.Seek(at)
}

// step is the offset one element further, or back, -1 beyond the end.
func (nd *node) step(off, by int) int {
	switch {
	case nd.plain != nil:
		return -1
	case by > 0:
		return nd.pack.Next(off)
	}
	return nd.pack.Prev(off)
}

// at is the element at an offset.
func (nd *node) at(off int, scratch []byte) []byte {
	if nd.plain != nil {
		return nd.plain
	}
	return nd.pack.Get(off, scratch)
}

func (nd *node) get(at int, scratch []byte) []byte { return nd.at(nd.seek(at), scratch) }

// insert puts v before element at; at == n means the end.
func (nd *node) insert(at int, v []byte) {
	if at == nd.n {
		nd.pack = nd.pack.Append(v)
	} else {
		nd.pack = nd.pack.Insert(nd.pack.Seek(at), v)
	}
	nd.n++
}

// delete takes out count elements that are there. The node may be empty then,
// and has to be unlinked.
func (nd *node) delete(at, count int) {
	if nd.n -= count; nd.n > 0 {
		nd.pack = nd.pack.Delete(nd.pack.Seek(at), count)
	}
}

// remove takes out up to limit elements equal to v and returns how many.
func (nd *node) remove(v []byte, limit int, fromBack bool) (removed int) {
	if nd.plain != nil {
		if bytes.Equal(nd.plain, v) {
			nd.n, removed = 0, 1
		}
		return removed
	}
	if fromBack {
		for off := nd.pack.Last(); off >= 0 && removed < limit; {
			before := nd.pack.Prev(off)
			if nd.pack.Equal(off, v) {
				nd.pack = nd.pack.Delete(off, 1)
				removed++
			}
			off = before
		}
	} else {
		for off := nd.pack.Find(nd.pack.First(), v, 0); off >= 0 && removed < limit; {
			last := nd.pack.Next(off) < 0
			nd.pack = nd.pack.Delete(off, 1)
			removed++
			if last {
				break
			}
			off = nd.pack.Find(off, v, 0)
		}
	}
	nd.n -= removed
	return removed
}

// join appends the elements of other.
func (nd *node) join(other *node) {
	for off := other.pack.First(); off >= 0; off = other.pack.Next(off) {
		if s, n, isInt := other.pack.At(off); isInt {
			nd.pack = nd.pack.AppendInt(n)
		} else {
			nd.pack = nd.pack.Append(s)
		}
	}
	nd.n += other.n
}

// clone copies into memory of exactly the size, and never into nil.
func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }
