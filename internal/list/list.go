package list

import (
	"iter"

	"limpet/internal/listpack"
)

// Limits says how large a node may grow. One of the two must be set.
type Limits struct {
	MaxBytes   int // of the listpack; larger elements get a node of their own
	MaxEntries int // elements; 0 means no limit
}

// DefaultLimits are Redis's: list-max-listpack-size -2.
var DefaultLimits = LimitsOf(-2)

// LimitsOf translates the setting list-max-listpack-size: from -1 to -5 a size
// of 4, 8, 16, 32 or 64 KiB; from 1 a number of elements, which together may
// still have no more than 8 KiB.
func LimitsOf(setting int) Limits {
	if setting < 0 {
		return Limits{MaxBytes: 4096 << (min(-setting, 5) - 1)}
	}
	return Limits{MaxBytes: 8192, MaxEntries: max(setting, 1)}
}

// List is a list. The zero List is empty and ready for use.
type List struct {
	head, tail *node
	n          int // elements
	nodes      int
}

// New returns an empty list.
func New() *List { return &List{} }

// Len is the number of elements.
func (l *List) Len() int { return l.n }

// PushFront puts v before the first element.
func (l *List) PushFront(v []byte, lim Limits) {
	if l.head == nil || !l.head.fits(v, lim) {
		l.head.compact()
		l.link(nil, newNode(v, lim), l.head)
		return
	}
	l.head.insert(0, v)
	l.n++
}

// PushBack puts v behind the last element.
func (l *List) PushBack(v []byte, lim Limits) {
	if l.tail == nil || !l.tail.fits(v, lim) {
		l.tail.compact()
		l.link(l.tail, newNode(v, lim), nil)
		return
	}
	l.tail.insert(l.tail.n, v)
	l.n++
}

// PopFront takes out the first element.
func (l *List) PopFront() (v []byte, ok bool) { return l.pop(l.head, 0) }

// PopBack takes out the last element.
func (l *List) PopBack() (v []byte, ok bool) { return l.pop(l.tail, -1) }

func (l *List) pop(nd *node, at int) (v []byte, ok bool) {
	switch {
	case nd == nil:
		return nil, false
	case nd.plain != nil:
		v = nd.plain
	default:
		v = clone(nd.pack.Get(nd.pack.Seek(at), nil))
	}
	l.delete(nd, at, 1)
	return v, true
}

// Index is the element at index i, counted from 0.
func (l *List) Index(i int) (v []byte, ok bool) {
	if i < 0 || i >= l.n {
		return nil, false
	}
	nd, at := l.locate(i)
	return nd.get(at, nil), true
}

// Set puts v in the place of element i and says whether there is one.
func (l *List) Set(i int, v []byte, lim Limits) bool {
	if i < 0 || i >= l.n {
		return false
	}
	nd, at := l.locate(i)
	if nd.n == 1 && (nd.plain != nil || len(v) > lim.MaxBytes) {
		fresh := newNode(v, lim)
		nd.plain, nd.pack = fresh.plain, fresh.pack
		return true
	}
	if nd.n == 1 || nd.fits(v, lim) {
		nd.pack = nd.pack.Replace(nd.pack.Seek(at), v)
		return true
	}
	nd.delete(at, 1)
	l.n--
	l.insert(nd, at, v, lim)
	return true
}

// InsertBefore puts v before the first element equal to pivot and says whether
// there is one.
func (l *List) InsertBefore(pivot, v []byte, lim Limits) bool {
	nd, at := l.find(pivot)
	if nd != nil {
		l.insert(nd, at, v, lim)
	}
	return nd != nil
}

// InsertAfter puts v behind the first element equal to pivot and says whether
// there is one.
func (l *List) InsertAfter(pivot, v []byte, lim Limits) bool {
	nd, at := l.find(pivot)
	if nd != nil {
		l.insert(nd, at+1, v, lim)
	}
	return nd != nil
}

// Remove takes out elements equal to v and returns how many: the first count
// of them, the last -count if count is negative, all if it is 0.
func (l *List) Remove(count int, v []byte) (removed int) {
	left := count
	if count <= 0 {
		left = -count
	}
	if count == 0 {
		left = l.n
	}
	for nd := l.end(count < 0); nd != nil && removed < left; {
		following := nd.next
		if count < 0 {
			following = nd.prev
		}
		gone := nd.remove(v, left-removed, count < 0)
		removed += gone
		l.n -= gone
		if nd.n == 0 {
			l.unlink(nd)
		}
		nd = following
	}
	return removed
}

// Trim keeps the elements from start to stop-1 and drops the others.
func (l *List) Trim(start, stop int) {
	start, stop = max(start, 0), min(stop, l.n)
	if start >= stop {
		*l = List{}
		return
	}
	for back := l.n - stop; back > 0; {
		k := min(back, l.tail.n)
		l.delete(l.tail, l.tail.n-k, k)
		back -= k
	}
	for start > 0 {
		k := min(start, l.head.n)
		l.delete(l.head, 0, k)
		start -= k
	}
}

// Range yields the elements from start to stop-1, from the last to the first
// if reverse. Indexes beyond the ends are passed over.
func (l *List) Range(start, stop int, reverse bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		start, stop := max(start, 0), min(stop, l.n)
		if start >= stop {
			return
		}
		first, step := start, 1
		if reverse {
			first, step = stop-1, -1
		}
		nd, at := l.locate(first)
		off := nd.seek(at)
		var scratch [20]byte
		for left := stop - start; yield(nd.at(off, scratch[:])); {
			if left--; left == 0 {
				return
			}
			if off = nd.step(off, step); off < 0 && reverse {
				nd = nd.prev
				off = nd.seek(-1)
			} else if off < 0 {
				nd = nd.next
				off = nd.seek(0)
			}
		}
	}
}

// Node is a run of elements as a file keeps it: a listpack, or one element as
// it is.
type Node struct {
	Plain bool
	Data  []byte
}

// NodeCount is how many nodes Nodes yields.
func (l *List) NodeCount() int { return l.nodes }

// Nodes yields the nodes from head to tail. Their bytes must not be changed.
func (l *List) Nodes() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for nd := l.head; nd != nil; nd = nd.next {
			n := Node{Data: nd.pack}
			if nd.plain != nil {
				n = Node{Plain: true, Data: nd.plain}
			}
			if !yield(n) {
				return
			}
		}
	}
}

// AppendNode puts the elements of a node behind the last. Its bytes, which are
// a valid listpack with at least one element unless Plain, belong to the list
// from now on.
func (l *List) AppendNode(n Node) {
	nd := &node{plain: n.Data, n: 1}
	if !n.Plain {
		pack := listpack.List(n.Data)
		nd = &node{pack: pack, n: pack.Len()}
	} else if nd.plain == nil {
		nd.plain = []byte{}
	}
	l.link(l.tail, nd, nil)
}
