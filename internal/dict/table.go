package dict

import (
	"hash/maphash"
	"runtime"
)

// seed makes the positions of keys unpredictable from outside, for a sender
// who could choose colliding keys would turn a bucket into a linear search.
// One seed for the process: cursors mean nothing in another one.
var seed = maphash.MakeSeed()

// Table is a hash table of entries that know their keys. The zero Table is empty
// and ready for use. It is not safe for concurrent use, and it must not be
// changed from within one of its own callbacks or iterators.
type Table[E Entry] struct {
	// BeforeChange, when set, is called before the content of a bucket
	// changes: before an insertion, an overwrite, a deletion, an Edit, and
	// before a merge of two buckets whose Epochs differ. It may set the
	// bucket's words; it must not change the table.
	BeforeChange func(Bucket[E])

	dir     []*segment[E] // length 1<<depth; empty until the first use
	depth   uint8
	deepest int // segments whose depth is the directory's; 0 lets it halve
	n       int
}

// Len returns the number of entries.
func (t *Table[E]) Len() int { return t.n }

// Find returns where the entry of key lies, nil when there is none, and the
// words of the bucket that holds the key or would hold it. Both pointers are
// valid until the next change to the table. The entry is for reading: Edit is
// for changing it.
func (t *Table[E]) Find(key []byte) (*E, *BucketMeta) {
	t.init()
	h := maphash.Bytes(seed, key)
	b := t.segment(h).bucket(h)
	if i := b.find(h, key); i >= 0 {
		return &b.entries[i], &b.meta
	}
	return nil, &b.meta
}

// BucketOf returns the words of the bucket that holds key or would hold it,
// valid until the next change to the table.
func (t *Table[E]) BucketOf(key []byte) *BucketMeta {
	t.init()
	h := maphash.Bytes(seed, key)
	return &t.segment(h).bucket(h).meta
}

// Edit is Find for a caller about to change the entry, or what the entry points
// to, in place: BeforeChange sees the bucket first. An absent key is no change
// and calls no hook.
func (t *Table[E]) Edit(key []byte) (*E, *BucketMeta) {
	t.init()
	h := maphash.Bytes(seed, key)
	b := t.segment(h).bucket(h)
	i := b.find(h, key)
	if i < 0 {
		return nil, &b.meta
	}
	t.announce(b)
	return &b.entries[i], &b.meta
}

// Insert stores an entry whose key is not in the table. It returns the words of
// the bucket that the entry is in now.
func (t *Table[E]) Insert(e E) *BucketMeta {
	t.init()
	h := hashOf(e.Key())
	s := t.segment(h)
	t.announce(s.bucket(h))
	if s.full() && t.grow(h, s) {
		s = t.segment(h)
	}
	b := s.bucket(h)
	b.add(h, e)
	s.n++
	t.n++
	return &b.meta
}

// Remove removes key and returns the entry that it had.
func (t *Table[E]) Remove(key []byte) (e E, ok bool) {
	if t.n == 0 {
		return e, false
	}
	h := maphash.Bytes(seed, key)
	s := t.segment(h)
	b := s.bucket(h)
	i := b.find(h, key)
	if i < 0 {
		return e, false
	}
	t.announce(b)
	e = b.entries[i]
	b.remove(i)
	s.n--
	t.n--
	if s.sparse() {
		t.shrink(h, s)
	}
	return e, true
}

// Reserve makes room in an empty table for n entries, so that it does not grow
// step by step to them.
func (t *Table[E]) Reserve(n int) {
	t.init()
	if t.n > 0 || n < fullLoad<<(maxBits+1) {
		return
	}
	// Half-way between two doublings every segment is as full as it gets.
	for n > 3*fullLoad<<maxBits<<t.depth/4 {
		t.depth++
	}
	epoch := t.dir[0].buckets[0].meta
	t.dir = make([]*segment[E], 1<<t.depth)
	for i := range t.dir {
		t.dir[i] = newSegment[E](t.depth)
		for j := range t.dir[i].buckets {
			t.dir[i].buckets[j].meta = epoch
		}
	}
	t.deepest = len(t.dir)
}

// Fetch reads where some keys are or will be, in such an order that the memory is
// waited for once and not once for each: a table larger than the processor's
// caches is filled a good deal faster when each few keys are fetched first.
func (t *Table[E]) Fetch(keys [][]byte) {
	var buckets [fetched]*bucket[E]
	for len(keys) > 0 && t.dir != nil {
		n := min(len(keys), fetched)
		for i, key := range keys[:n] {
			h := maphash.Bytes(seed, key)
			buckets[i] = t.segment(h).bucket(h)
		}
		for _, b := range buckets[:n] { // none of these loads waits for another
			runtime.KeepAlive(len(b.entries))
		}
		for _, b := range buckets[:n] {
			if last := len(b.entries) - 1; last >= 0 {
				runtime.KeepAlive(b.entries[last]) // so that reading it is not optimised away
			}
		}
		keys = keys[n:]
	}
}

const fetched = 32 // at a time; processors have 10 to 50 loads under way

// announce shows a bucket about to change to the hook.
func (t *Table[E]) announce(b *bucket[E]) {
	if t.BeforeChange != nil {
		t.BeforeChange(Bucket[E]{b})
	}
}

// init makes the one bucket that an empty table consists of.
func (t *Table[E]) init() {
	if t.dir == nil {
		t.dir = []*segment[E]{{buckets: make([]bucket[E], 1)}}
		t.deepest = 1
	}
}

func (t *Table[E]) segment(h uint64) *segment[E] {
	return t.dir[h>>(64-t.depth)] // a shift by 64 gives 0: the lone segment
}
