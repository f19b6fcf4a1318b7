package dict

import "hash/maphash"

// seed makes the positions of keys unpredictable from outside, for a sender
// who could choose colliding keys would turn a bucket into a linear search.
// One seed for the process: cursors mean nothing in another one.
var seed = maphash.MakeSeed()

// Map is a hash table from byte strings to V. The zero Map is empty and ready
// for use. It is not safe for concurrent use, and it must not be changed from
// within one of its own callbacks or iterators.
type Map[V any] struct {
	// BeforeChange, when set, is called before the content of a bucket
	// changes: before an insertion, an overwrite, a deletion, an Edit, and
	// before a merge of two buckets whose Epochs differ. It may set the
	// bucket's words; it must not change the Map.
	BeforeChange func(Bucket[V])

	dir     []*segment[V] // length 1<<depth; empty until the first use
	depth   uint8
	deepest int // segments whose depth is the directory's; 0 lets it halve
	n       int
}

// Len returns the number of entries.
func (m *Map[V]) Len() int { return m.n }

// Get returns the value of key.
func (m *Map[V]) Get(key []byte) (v V, ok bool) {
	if m.n == 0 {
		return v, false
	}
	h := maphash.Bytes(seed, key)
	b := m.segment(h).bucket(h)
	if i := b.find(h, key); i >= 0 {
		return b.entries[i].val, true
	}
	return v, false
}

// Has says whether key is present.
func (m *Map[V]) Has(key []byte) bool {
	_, ok := m.Get(key)
	return ok
}

// Find returns where the value of key lies, nil when there is none, and the
// words of the bucket that holds the key or would hold it. Both pointers are
// valid until the next change to the Map. The value is for reading: Edit is
// for changing it.
func (m *Map[V]) Find(key []byte) (*V, *BucketMeta) {
	m.init()
	h := maphash.Bytes(seed, key)
	b := m.segment(h).bucket(h)
	if i := b.find(h, key); i >= 0 {
		return &b.entries[i].val, &b.meta
	}
	return nil, &b.meta
}

// BucketOf returns the words of the bucket that holds key or would hold it,
// valid until the next change to the Map.
func (m *Map[V]) BucketOf(key []byte) *BucketMeta {
	_, meta := m.Find(key)
	return meta
}

// Edit is Find for a caller about to change the value, or what the value
// points to, in place: BeforeChange sees the bucket first. An absent key is
// no change and calls no hook.
func (m *Map[V]) Edit(key []byte) (*V, *BucketMeta) {
	m.init()
	h := maphash.Bytes(seed, key)
	b := m.segment(h).bucket(h)
	i := b.find(h, key)
	if i < 0 {
		return nil, &b.meta
	}
	m.announce(b)
	return &b.entries[i].val, &b.meta
}

// Set stores v under key and says whether the key is new. The key is copied.
func (m *Map[V]) Set(key []byte, v V) (isNew bool) {
	m.init()
	return m.set(maphash.Bytes(seed, key), key, "", v)
}

// SetString is Set for a caller that has the key as a string already: a new
// entry shares it instead of copying it.
func (m *Map[V]) SetString(key string, v V) (isNew bool) {
	m.init()
	return m.set(maphash.String(seed, key), nil, key, v)
}

// set takes the key as bytes, or as a string when the bytes are nil.
func (m *Map[V]) set(h uint64, key []byte, name string, v V) (isNew bool) {
	s := m.segment(h)
	b := s.bucket(h)
	var i int
	if key != nil {
		i = b.find(h, key)
	} else {
		i = b.findString(h, name)
	}
	m.announce(b)
	if i >= 0 {
		b.entries[i].val = v
		return false
	}
	if s.full() && m.grow(h, s) {
		b = m.segment(h).bucket(h)
	}
	if key != nil {
		name = string(key)
	}
	b.add(h, name, v)
	m.segment(h).n++
	m.n++
	return true
}

// Delete removes key and returns the value that it had.
func (m *Map[V]) Delete(key []byte) (v V, ok bool) {
	if m.n == 0 {
		return v, false
	}
	return m.delete(maphash.Bytes(seed, key), key)
}

func (m *Map[V]) delete(h uint64, key []byte) (v V, ok bool) {
	s := m.segment(h)
	b := s.bucket(h)
	i := b.find(h, key)
	if i < 0 {
		return v, false
	}
	m.announce(b)
	v = b.entries[i].val
	b.remove(i)
	s.n--
	m.n--
	if s.sparse() {
		m.shrink(h, s)
	}
	return v, true
}

// announce shows a bucket about to change to the hook.
func (m *Map[V]) announce(b *bucket[V]) {
	if m.BeforeChange != nil {
		m.BeforeChange(Bucket[V]{b})
	}
}

// init makes the one bucket that an empty table consists of.
func (m *Map[V]) init() {
	if m.dir == nil {
		m.dir = []*segment[V]{{buckets: make([]bucket[V], 1)}}
		m.deepest = 1
	}
}

func (m *Map[V]) segment(h uint64) *segment[V] {
	return m.dir[h>>(64-m.depth)] // a shift by 64 gives 0: the lone segment
}
