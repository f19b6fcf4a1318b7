package dict

import (
	"hash/maphash"
	"iter"
)

// Map is a [Table] from byte strings to V. The zero Map is empty and ready for
// use.
type Map[V any] struct{ Table[Pair[V]] }

// Pair is an entry of a [Map]. It has the key last because a V of size zero at
// the end would be padded.
type Pair[V any] struct {
	val V
	key string
}

// Key returns the key.
func (p Pair[V]) Key() string { return p.key }

// Value returns the value.
func (p Pair[V]) Value() V { return p.val }

// Get returns the value of key.
func (m *Map[V]) Get(key []byte) (v V, ok bool) {
	if m.n == 0 {
		return v, false
	}
	if p, _ := m.Table.Find(key); p != nil {
		return p.val, true
	}
	return v, false
}

// Has says whether key is present.
func (m *Map[V]) Has(key []byte) bool {
	_, ok := m.Get(key)
	return ok
}

// Find is [Table.Find] for the value.
func (m *Map[V]) Find(key []byte) (*V, *BucketMeta) {
	p, meta := m.Table.Find(key)
	if p == nil {
		return nil, meta
	}
	return &p.val, meta
}

// Edit is [Table.Edit] for the value.
func (m *Map[V]) Edit(key []byte) (*V, *BucketMeta) {
	p, meta := m.Table.Edit(key)
	if p == nil {
		return nil, meta
	}
	return &p.val, meta
}

// Set stores v under key and says whether the key is new. The key is copied.
func (m *Map[V]) Set(key []byte, v V) (isNew bool) {
	if p, _ := m.Table.Edit(key); p != nil {
		p.val = v
		return false
	}
	m.Insert(Pair[V]{v, string(key)})
	return true
}

// SetString is Set for a caller that has the key as a string already: a new
// entry shares it instead of copying it.
func (m *Map[V]) SetString(key string, v V) (isNew bool) {
	m.init()
	h := maphash.String(seed, key)
	b := m.segment(h).bucket(h)
	if i := b.findString(h, key); i >= 0 {
		m.announce(b)
		b.entries[i].val = v
		return false
	}
	m.Insert(Pair[V]{v, key})
	return true
}

// Delete removes key and returns the value that it had.
func (m *Map[V]) Delete(key []byte) (v V, ok bool) {
	p, ok := m.Remove(key)
	return p.val, ok
}

// Scan is [Table.Scan] for keys and values.
func (m *Map[V]) Scan(cursor uint64, yield func(key string, v V)) (next uint64) {
	return m.Table.Scan(cursor, func(p Pair[V]) { yield(p.key, p.val) })
}

// All yields every entry once, in the order of a Scan.
func (m *Map[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for p := range m.Table.All() {
			if !yield(p.key, p.val) {
				return
			}
		}
	}
}

// Random is [Table.Random] for a key and its value.
func (m *Map[V]) Random(rnd uint64) (key string, v V, ok bool) {
	p, ok := m.Table.Random(rnd)
	return p.key, p.val, ok
}
