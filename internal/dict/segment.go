package dict

import "hash/maphash"

const (
	maxBits   = 5  // a segment has at most 32 buckets: 2 KiB of them
	fullLoad  = 14 // mean entries a bucket at which a segment splits
	emptyLoad = fullLoad / 4

	// positionBits of the hash say where a key lies, which keeps cursors
	// small. The tag is taken from the bits below.
	positionBits = 48
)

// segment is an array of 1<<bits buckets that share the first depth bits of
// the position. Only the segment of depth 0, alone in a small table, has
// fewer than maxBits.
type segment[V any] struct {
	buckets []bucket[V]
	n       int // entries in all buckets
	depth   uint8
	bits    uint8
}

func hashOf(key string) uint64 { return maphash.String(seed, key) }

func (s *segment[V]) bucket(h uint64) *bucket[V] {
	return &s.buckets[h<<s.depth>>(64-s.bits)] // a shift by 64 gives 0
}

func (s *segment[V]) full() bool   { return s.n >= fullLoad<<s.bits }
func (s *segment[V]) sparse() bool { return s.n < emptyLoad<<s.bits && s.depth+s.bits > 0 }

// grow makes room in s, the segment of hash h, and says whether it did. It
// refuses where the directory would outgrow the table, which needs hashes
// that no seeded hash function gives; buckets then grow instead.
func (m *Map[V]) grow(h uint64, s *segment[V]) bool {
	if s.bits < maxBits {
		bigger := &segment[V]{buckets: make([]bucket[V], 2*len(s.buckets)), bits: s.bits + 1, n: s.n}
		for i := range s.buckets {
			s.buckets[i].split(&bigger.buckets[2*i], &bigger.buckets[2*i+1], bigger.bits)
		}
		m.replace(h, bigger)
		return true
	}
	if s.depth == m.depth {
		if len(m.dir) > m.n/16 {
			return false
		}
		m.double()
	}
	left, right := newSegment[V](s.depth+1), newSegment[V](s.depth+1)
	for i := range s.buckets {
		half, j := left, 2*i
		if j >= len(s.buckets) {
			half, j = right, j-len(s.buckets)
		}
		a, b := &half.buckets[j], &half.buckets[j+1]
		s.buckets[i].split(a, b, s.depth+1+maxBits)
		half.n += len(a.entries) + len(b.entries)
	}
	top := uint64(1) << (63 - s.depth)
	m.replace(h&^top, left)
	m.replace(h|top, right)
	if left.depth == m.depth {
		m.deepest += 2
	}
	return true
}

func newSegment[V any](depth uint8) *segment[V] {
	return &segment[V]{buckets: make([]bucket[V], 1<<maxBits), depth: depth, bits: maxBits}
}

// split deals the entries of b out to left and right by bit number of the
// position, counted from 1 at the top. Both inherit the words.
func (b *bucket[V]) split(left, right *bucket[V], bit uint8) {
	left.meta, right.meta = b.meta, b.meta
	if len(b.entries) == 0 {
		return
	}
	var hashes [2 * tagged]uint64
	known := min(len(b.entries), len(hashes))
	n := 0 // of the known ones that go right
	for i := range known {
		hashes[i] = hashOf(b.entries[i].key)
		n += int(hashes[i] >> (64 - bit) & 1)
	}
	left.reserve(known - n)
	right.reserve(n)
	for i, e := range b.entries {
		var h uint64
		if i < known {
			h = hashes[i]
		} else {
			h = hashOf(e.key)
		}
		if h>>(64-bit)&1 == 0 {
			left.add(h, e.key, e.val)
		} else {
			right.add(h, e.key, e.val)
		}
	}
}

// reserve makes room for n entries and one more, when there are any.
func (b *bucket[V]) reserve(n int) {
	if n > 0 {
		b.resize(n + 1)
	}
}

// shrink undoes growth around the nearly empty segment s, as far as it goes.
func (m *Map[V]) shrink(h uint64, s *segment[V]) {
	for s.sparse() {
		if s.depth == 0 {
			s = m.halveSegment(s)
			continue
		}
		buddy := m.segment(h ^ 1<<(64-s.depth))
		if buddy.depth != s.depth || s.n+buddy.n >= emptyLoad<<maxBits {
			return
		}
		left, right := s, buddy
		if h&(1<<(64-s.depth)) != 0 {
			left, right = buddy, s
		}
		s = m.mergeSegments(h, left, right)
	}
}

// halveSegment joins each pair of buckets of the lone segment.
func (m *Map[V]) halveSegment(s *segment[V]) *segment[V] {
	smaller := &segment[V]{buckets: make([]bucket[V], len(s.buckets)/2), bits: s.bits - 1, n: s.n}
	for i := range smaller.buckets {
		m.merge(&smaller.buckets[i], &s.buckets[2*i], &s.buckets[2*i+1])
	}
	m.replace(0, smaller)
	return smaller
}

// mergeSegments joins two neighbours of one depth into one of the depth above.
func (m *Map[V]) mergeSegments(h uint64, left, right *segment[V]) *segment[V] {
	parent := newSegment[V](left.depth - 1)
	parent.n = left.n + right.n
	for i := range parent.buckets {
		half, j := left, 2*i
		if j >= len(left.buckets) {
			half, j = right, j-len(left.buckets)
		}
		m.merge(&parent.buckets[i], &half.buckets[j], &half.buckets[j+1])
	}
	m.replace(h, parent)
	if left.depth == m.depth {
		m.deepest -= 2
	}
	for m.depth > 0 && m.deepest == 0 {
		m.halve()
	}
	return parent
}

// merge fills into with the entries of a and b. If one is saved and the other
// is not, the hook sees both first: see the package comment.
func (m *Map[V]) merge(into, a, b *bucket[V]) {
	if a.meta.Epoch != b.meta.Epoch {
		m.announce(a)
		m.announce(b)
	}
	into.meta.Stamp = max(a.meta.Stamp, b.meta.Stamp)
	into.meta.Epoch = min(a.meta.Epoch, b.meta.Epoch)
	into.reserve(len(a.entries) + len(b.entries))
	for _, from := range []*bucket[V]{a, b} {
		for _, e := range from.entries {
			into.add(hashOf(e.key), e.key, e.val)
		}
	}
}

// replace points the directory's entries for the range of s, in which h lies,
// to s.
func (m *Map[V]) replace(h uint64, s *segment[V]) {
	span := len(m.dir) >> s.depth
	first := int(h>>(64-m.depth)) &^ (span - 1)
	for i := range span {
		m.dir[first+i] = s
	}
}

func (m *Map[V]) double() {
	dir := make([]*segment[V], 2*len(m.dir))
	for i, s := range m.dir {
		dir[2*i], dir[2*i+1] = s, s
	}
	m.dir, m.depth, m.deepest = dir, m.depth+1, 0
}

// halve is called when no segment has the directory's depth.
func (m *Map[V]) halve() {
	dir := make([]*segment[V], len(m.dir)/2)
	m.depth--
	for i := range dir {
		dir[i] = m.dir[2*i]
		if dir[i].depth == m.depth {
			m.deepest++
		}
	}
	m.dir = dir
}
