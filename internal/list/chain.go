package list

import (
	"bytes"
	"slices"
)

// end is the first node, or the last.
func (l *List) end(back bool) *node {
	if back {
		return l.tail
	}
	return l.head
}

// link puts nd, whose elements the list does not count yet, between two
// neighbours.
func (l *List) link(prev, nd, next *node) {
	nd.prev, nd.next = prev, next
	if prev != nil {
		prev.next = nd
	} else {
		l.head = nd
	}
	if next != nil {
		next.prev = nd
	} else {
		l.tail = nd
	}
	l.n += nd.n
	l.nodes++
}

// unlink takes out nd, whose elements the list no longer counts. Its own
// links stay.
func (l *List) unlink(nd *node) {
	if nd.prev != nil {
		nd.prev.next = nd.next
	} else {
		l.head = nd.next
	}
	if nd.next != nil {
		nd.next.prev = nd.prev
	} else {
		l.tail = nd.prev
	}
	l.nodes--
}

// delete takes out count elements of nd, which are there.
func (l *List) delete(nd *node, at, count int) {
	nd.delete(at, count)
	l.n -= count
	if nd.n == 0 {
		l.unlink(nd)
	}
}

// locate is the node of element i, which is there, and its index in the node.
func (l *List) locate(i int) (nd *node, at int) {
	if i < l.n/2 {
		for nd = l.head; i >= nd.n; nd = nd.next {
			i -= nd.n
		}
		return nd, i
	}
	i = l.n - i // counted from the end, the last is 1
	for nd = l.tail; i > nd.n; nd = nd.prev {
		i -= nd.n
	}
	return nd, nd.n - i
}

// find is the node of the first element equal to v, nil when there is none,
// and its index in the node.
func (l *List) find(v []byte) (nd *node, at int) {
	for nd = l.head; nd != nil; nd = nd.next {
		if nd.plain != nil {
			if bytes.Equal(nd.plain, v) {
				return nd, 0
			}
			continue
		}
		found := nd.pack.Find(nd.pack.First(), v, 0)
		if found < 0 {
			continue
		}
		for off := nd.pack.First(); off != found; off = nd.pack.Next(off) {
			at++
		}
		return nd, at
	}
	return nil, 0
}

// insert puts v before element at of nd; at == nd.n means behind the last.
// Where it does not fit it goes to a neighbour if it is at an end of nd, and
// otherwise nd is split there.
func (l *List) insert(nd *node, at int, v []byte, lim Limits) {
	large := len(v) > lim.MaxBytes
	switch {
	case !large && nd.fits(v, lim):
		nd.insert(at, v)
	case at == 0 && nd.prev != nil && !large && nd.prev.fits(v, lim):
		nd.prev.insert(nd.prev.n, v)
	case at == nd.n && nd.next != nil && !large && nd.next.fits(v, lim):
		nd.next.insert(0, v)
	case at == 0:
		l.link(nd.prev, newNode(v, lim), nd)
		return
	case at == nd.n:
		l.link(nd, newNode(v, lim), nd.next)
		return
	default:
		right := l.split(nd, at)
		l.insert(nd, nd.n, v, lim)
		l.mergeNext(right, lim)
		if nd.prev != nil {
			l.mergeNext(nd.prev, lim)
		}
		return
	}
	l.n++
}

// split moves the elements of nd from at on into a node of their own behind
// it. There are some on both sides.
func (l *List) split(nd *node, at int) (right *node) {
	right = &node{pack: slices.Clone(nd.pack), n: nd.n}
	right.delete(0, at)
	l.n -= right.n
	nd.delete(at, right.n)
	l.link(nd, right, nd.next)
	return right
}

// mergeNext joins nd with the node behind it if both fit into one, so that
// insertions do not leave the list in small pieces.
func (l *List) mergeNext(nd *node, lim Limits) {
	next := nd.next
	if next == nil || nd.plain != nil || next.plain != nil ||
		nd.pack.Bytes()+next.pack.Bytes() > lim.MaxBytes ||
		lim.MaxEntries > 0 && nd.n+next.n > lim.MaxEntries {
		return
	}
	nd.join(next)
	l.unlink(next)
}
