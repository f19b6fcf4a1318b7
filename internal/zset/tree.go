package zset

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// A B-tree whose branches know how many items are below them, with linked
// leaves. Splits are in halves, but for a leaf that overflows at the far end:
// it stays full and the new item begins the next one, so that scores that only
// rise, such as times, fill the leaves.
//
// Nodes that lose items are merged with a neighbour once they are below a
// quarter and both together fill three quarters at most, and are taken out
// when they are empty.
const (
	maxItems = 64 // 1536 bytes
	maxKids  = 32 // 1280 bytes
)

type item struct {
	score  float64
	member string
}

func (it item) compare(other item) int {
	if c := cmp.Compare(it.score, other.score); c != 0 {
		return c
	}
	return strings.Compare(it.member, other.member)
}

// before says whether it comes before a pair whose member is given as bytes.
func (it item) before(score float64, member []byte) bool {
	return it.score < score || it.score == score && it.member < string(member)
}

type tree struct {
	root *node
	n    int
}

// node is a leaf if it has no kids. Only the root may be without items.
type node struct {
	items      []item // of a leaf
	kids       []kid  // of a branch
	prev, next *node  // leaves
}

// kid is a branch's view of a node below. least divides it from the kid to
// the left: it is above all items there, and no item here is below it. It need
// not exist any more, and it means nothing for the first kid.
type kid struct {
	least item
	n     int // items in and below the node
	node  *node
}

func (t *tree) insert(it item) {
	if t.root == nil {
		t.root = &node{}
	}
	t.n++
	right := t.root.insert(it)
	if right == nil {
		return
	}
	n := right.size()
	t.root = &node{kids: append(make([]kid, 0, maxKids+1),
		kid{n: t.n - n, node: t.root},
		kid{least: right.least(), n: n, node: right})}
}

// insert adds an item that is not there. When the node had to split it returns
// the right half, which the caller has to take in.
func (nd *node) insert(it item) (right *node) {
	if nd.kids == nil {
		return nd.insertItem(it)
	}
	i := nd.kidOf(it)
	k := &nd.kids[i]
	k.n++
	split := k.node.insert(it)
	if split == nil {
		return nil
	}
	n := split.size()
	k.n -= n
	nd.kids = slices.Insert(nd.kids, i+1, kid{least: split.least(), n: n, node: split})
	if len(nd.kids) <= maxKids {
		return nil
	}
	half := len(nd.kids) / 2
	right = &node{kids: append(make([]kid, 0, maxKids+1), nd.kids[half:]...)}
	clear(nd.kids[half:])
	nd.kids = nd.kids[:half]
	return right
}

func (nd *node) insertItem(it item) (right *node) {
	i, _ := slices.BinarySearchFunc(nd.items, it, item.compare)
	if len(nd.items) < maxItems {
		nd.items = slices.Insert(nd.items, i, it)
		return nil
	}
	right = &node{prev: nd, next: nd.next, items: make([]item, 0, maxItems)}
	if nd.next != nil {
		nd.next.prev = right
	}
	nd.next = right
	if i == maxItems && right.next == nil {
		right.items = append(right.items, it)
		return right
	}
	const half = maxItems / 2
	right.items = append(right.items, nd.items[half:]...)
	clear(nd.items[half:])
	nd.items = nd.items[:half]
	if i <= half {
		nd.items = slices.Insert(nd.items, i, it)
	} else {
		right.items = slices.Insert(right.items, i-half, it)
	}
	return right
}

// kidOf is the index of the kid in whose range the item lies.
func (nd *node) kidOf(it item) int {
	return nd.lastKid(func(least item) bool { return least.compare(it) <= 0 })
}

// lastKid is the last kid whose least satisfies the condition, or the first.
func (nd *node) lastKid(holds func(least item) bool) int {
	lo, hi := 1, len(nd.kids) // the answer lies in lo-1 .. hi-1
	for lo < hi {
		mid := (lo + hi) / 2
		if holds(nd.kids[mid].least) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// least is a valid divider for a node just split off.
func (nd *node) least() item {
	if nd.kids == nil {
		return nd.items[0]
	}
	return nd.kids[0].least
}

func (nd *node) size() int {
	n := len(nd.items)
	for _, k := range nd.kids {
		n += k.n
	}
	return n
}

// delete takes the pair out and returns it, with the member as it was stored.
func (t *tree) delete(score float64, member []byte) (gone item, ok bool) {
	if t.root == nil {
		return gone, false
	}
	if gone, ok = t.root.delete(score, member); !ok {
		return gone, false
	}
	t.n--
	for len(t.root.kids) == 1 {
		t.root = t.root.kids[0].node
	}
	if t.n == 0 {
		t.root = nil
	}
	return gone, true
}

func (nd *node) delete(score float64, member []byte) (gone item, ok bool) {
	if nd.kids == nil {
		i := nd.count(func(it item) bool { return it.before(score, member) })
		if i == len(nd.items) || nd.items[i].score != score || nd.items[i].member != string(member) {
			return gone, false
		}
		gone = nd.items[i]
		nd.items = slices.Delete(nd.items, i, i+1)
		return gone, true
	}
	i := nd.lastKid(func(least item) bool { return compare(least.score, least.member, score, member) <= 0 })
	if gone, ok = nd.kids[i].node.delete(score, member); ok {
		nd.kids[i].n--
		nd.tidy(i)
	}
	return gone, ok
}

// tidy takes out kid i if it is empty, or merges it with a neighbour if it has
// become small and the neighbour has room.
func (nd *node) tidy(i int) {
	k := nd.kids[i]
	if k.n == 0 {
		k.node.unlink()
		nd.kids = slices.Delete(nd.kids, i, i+1)
		return
	}
	if !k.node.small() {
		return
	}
	if i+1 < len(nd.kids) && nd.merge(i) {
		return
	}
	if i > 0 {
		nd.merge(i - 1)
	}
}

func (nd *node) small() bool {
	if nd.kids == nil {
		return len(nd.items) < maxItems/4
	}
	return len(nd.kids) < maxKids/4
}

// merge moves the content of kid i+1 into kid i, if it fits well.
func (nd *node) merge(i int) bool {
	left, right := &nd.kids[i], &nd.kids[i+1]
	a, b := left.node, right.node
	if len(a.items)+len(b.items) > maxItems*3/4 || len(a.kids)+len(b.kids) > maxKids*3/4 {
		return false
	}
	if b.kids != nil {
		b.kids[0].least = right.least
	}
	a.items = append(a.items, b.items...)
	a.kids = append(a.kids, b.kids...)
	b.unlink()
	left.n += right.n
	nd.kids = slices.Delete(nd.kids, i+1, i+2)
	return true
}

// unlink takes a leaf out of the chain; a branch has no links.
func (nd *node) unlink() {
	if nd.prev != nil {
		nd.prev.next = nd.next
	}
	if nd.next != nil {
		nd.next.prev = nd.prev
	}
}

// count is how many items, all at the beginning, satisfy the condition.
func (t *tree) count(before func(item) bool) int {
	if t.root == nil {
		return 0
	}
	return t.root.count(before)
}

func (nd *node) count(before func(item) bool) int {
	n := 0
	for nd.kids != nil {
		i := nd.lastKid(before)
		for _, k := range nd.kids[:i] {
			n += k.n
		}
		nd = nd.kids[i].node
	}
	lo, hi := 0, len(nd.items)
	for lo < hi {
		mid := (lo + hi) / 2
		if before(nd.items[mid]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return n + lo
}

// at is the leaf and the index in it of a rank that exists.
func (t *tree) at(rank int) (leaf *node, i int) {
	nd := t.root
	for nd.kids != nil {
		for _, k := range nd.kids {
			if rank < k.n {
				nd = k.node
				break
			}
			rank -= k.n
		}
	}
	return nd, rank
}

// byRank yields the items of ranks lo to hi-1.
func (t *tree) byRank(lo, hi int) iter.Seq[*item] {
	return func(yield func(*item) bool) {
		if lo >= hi {
			return
		}
		leaf, i := t.at(lo)
		for ; lo < hi; lo++ {
			if i == len(leaf.items) {
				leaf, i = leaf.next, 0
			}
			if !yield(&leaf.items[i]) {
				return
			}
			i++
		}
	}
}

// byRankDown yields the items of ranks hi-1 down to lo.
func (t *tree) byRankDown(lo, hi int) iter.Seq[*item] {
	return func(yield func(*item) bool) {
		if lo >= hi {
			return
		}
		leaf, i := t.at(hi - 1)
		for ; lo < hi; hi-- {
			if i < 0 {
				leaf = leaf.prev
				i = len(leaf.items) - 1
			}
			if !yield(&leaf.items[i]) {
				return
			}
			i--
		}
	}
}
