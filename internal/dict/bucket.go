package dict

import (
	"bytes"
	"iter"
	"slices"
)

const (
	// tagged is how many entries of a bucket have a byte of hash in front.
	// It makes a bucket 64 bytes, one cache line. Entries beyond it, seen in
	// one bucket of two hundred when a segment is full, are compared in full.
	tagged = 24

	// minCap and the quarter by which a bucket's slice grows weigh the
	// minCap, and a quarter beyond it, is how a bucket's slice grows: the
	// copying weighed against the slack, about a tenth of the table.
	minCap = 2
)

// BucketMeta is what a bucket remembers for the table's user, who alone
// changes it except where buckets split (both inherit) and merge (the largest
// Stamp, the smallest Epoch).
type BucketMeta struct {
	Stamp uint64 // the newest change here, in a unit of the user's
	Epoch uint32 // the newest snapshot that has saved this bucket
}

// Bucket is a view of one bucket, valid until the next change to the Map.
type Bucket[E Entry] struct{ b *bucket[E] }

// Meta returns the bucket's words.
func (b Bucket[E]) Meta() *BucketMeta { return &b.b.meta }

// Len returns the number of entries in the bucket.
func (b Bucket[E]) Len() int { return len(b.b.entries) }

// All yields the bucket's entries, in no order.
func (b Bucket[E]) All() iter.Seq[E] { return slices.Values(b.b.entries) }

// Entry is what a [Table] holds: something that knows its key, which never
// changes while it is in the table.
type Entry interface{ Key() string }

type bucket[E Entry] struct {
	entries []E
	meta    BucketMeta
	tags    [tagged]byte // of entries[:tagged]
}

func tag(h uint64) byte { return byte(h) }

// find returns the index of key, or -1.
func (b *bucket[E]) find(h uint64, key []byte) int {
	n := min(len(b.entries), tagged)
	for i := 0; i < n; i++ {
		j := bytes.IndexByte(b.tags[i:n], tag(h))
		if j < 0 {
			break
		}
		i += j
		if b.entries[i].Key() == string(key) {
			return i
		}
	}
	for i := tagged; i < len(b.entries); i++ {
		if b.entries[i].Key() == string(key) {
			return i
		}
	}
	return -1
}

// findString is find for a string; one generic function for both is slower
// on the path that every command takes.
func (b *bucket[E]) findString(h uint64, key string) int {
	for i := range b.entries {
		if i < tagged && b.tags[i] != tag(h) {
			continue
		}
		if b.entries[i].Key() == key {
			return i
		}
	}
	return -1
}

func (b *bucket[E]) add(h uint64, e E) {
	n := len(b.entries)
	if n == cap(b.entries) {
		b.resize(n + max(minCap, n/4))
	}
	b.entries = append(b.entries, e)
	if n < tagged {
		b.tags[n] = tag(h)
	}
}

// remove fills the gap with the last entry.
func (b *bucket[E]) remove(i int) {
	last := len(b.entries) - 1
	if i != last {
		b.entries[i] = b.entries[last]
		if i < tagged {
			if last < tagged {
				b.tags[i] = b.tags[last]
			} else {
				b.tags[i] = tag(hashOf(b.entries[i].Key()))
			}
		}
	}
	clear(b.entries[last:])
	b.entries = b.entries[:last]
	switch {
	case last == 0:
		b.entries = nil
	case cap(b.entries) > 2*(last+minCap):
		b.resize(last + minCap)
	}
}

func (b *bucket[E]) resize(c int) {
	b.entries = append(make([]E, 0, c), b.entries...)
}
