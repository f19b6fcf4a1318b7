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
type segment[E Entry] struct {
	buckets []bucket[E]
	n       int // entries in all buckets
	depth   uint8
	bits    uint8
}

func hashOf(key string) uint64 { return maphash.String(seed, key) }

func (s *segment[E]) bucket(h uint64) *bucket[E] {
	return &s.buckets[h<<s.depth>>(64-s.bits)] // a shift by 64 gives 0
}

func (s *segment[E]) full() bool   { return s.n >= fullLoad<<s.bits }
func (s *segment[E]) sparse() bool { return s.n < emptyLoad<<s.bits && s.depth+s.bits > 0 }

// grow makes room in s, the segment of hash h, and says whether it did. It
// refuses where the directory would outgrow the table, which needs hashes
// that no seeded hash function gives; buckets then grow instead.
func (t *Table[E]) grow(h uint64, s *segment[E]) bool {
	if s.bits < maxBits {
		bigger := &segment[E]{buckets: make([]bucket[E], 2*len(s.buckets)), bits: s.bits + 1, n: s.n}
		for i := range s.buckets {
			s.buckets[i].split(&bigger.buckets[2*i], &bigger.buckets[2*i+1], bigger.bits)
		}
		t.replace(h, bigger)
		return true
	}
	if s.depth == t.depth {
		if len(t.dir) > t.n/16 {
			return false
		}
		t.double()
	}
	left, right := newSegment[E](s.depth+1), newSegment[E](s.depth+1)
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
	t.replace(h&^top, left)
	t.replace(h|top, right)
	if left.depth == t.depth {
		t.deepest += 2
	}
	return true
}

func newSegment[E Entry](depth uint8) *segment[E] {
	return &segment[E]{buckets: make([]bucket[E], 1<<maxBits), depth: depth, bits: maxBits}
}

// split deals the entries of b out to left and right by bit number of the
// position, counted from 1 at the top. Both inherit the words.
func (b *bucket[E]) split(left, right *bucket[E], bit uint8) {
	left.meta, right.meta = b.meta, b.meta
	if len(b.entries) == 0 {
		return
	}
	var hashes [2 * tagged]uint64
	known := min(len(b.entries), len(hashes))
	n := 0 // of the known ones that go right
	for i := range known {
		hashes[i] = hashOf(b.entries[i].Key())
		n += int(hashes[i] >> (64 - bit) & 1)
	}
	left.reserve(known - n)
	right.reserve(n)
	for i, e := range b.entries {
		var h uint64
		if i < known {
			h = hashes[i]
		} else {
			h = hashOf(e.Key())
		}
		if h>>(64-bit)&1 == 0 {
			left.add(h, e)
		} else {
			right.add(h, e)
		}
	}
}

// reserve makes room for n entries and one more, when there are any.
func (b *bucket[E]) reserve(n int) {
	if n > 0 {
		b.resize(n + 1)
	}
}

// shrink undoes growth around the nearly empty segment s, as far as it goes.
func (t *Table[E]) shrink(h uint64, s *segment[E]) {
	for s.sparse() {
		if s.depth == 0 {
			s = t.halveSegment(s)
			continue
		}
		buddy := t.segment(h ^ 1<<(64-s.depth))
		if buddy.depth != s.depth || s.n+buddy.n >= emptyLoad<<maxBits {
			return
		}
		left, right := s, buddy
		if h&(1<<(64-s.depth)) != 0 {
			left, right = buddy, s
		}
		s = t.mergeSegments(h, left, right)
	}
}

// halveSegment joins each pair of buckets of the lone segment.
func (t *Table[E]) halveSegment(s *segment[E]) *segment[E] {
	smaller := &segment[E]{buckets: make([]bucket[E], len(s.buckets)/2), bits: s.bits - 1, n: s.n}
	for i := range smaller.buckets {
		t.merge(&smaller.buckets[i], &s.buckets[2*i], &s.buckets[2*i+1])
	}
	t.replace(0, smaller)
	return smaller
}

// mergeSegments joins two neighbours of one depth into one of the depth above.
func (t *Table[E]) mergeSegments(h uint64, left, right *segment[E]) *segment[E] {
	parent := newSegment[E](left.depth - 1)
	parent.n = left.n + right.n
	for i := range parent.buckets {
		half, j := left, 2*i
		if j >= len(left.buckets) {
			half, j = right, j-len(left.buckets)
		}
		t.merge(&parent.buckets[i], &half.buckets[j], &half.buckets[j+1])
	}
	t.replace(h, parent)
	if left.depth == t.depth {
		t.deepest -= 2
	}
	for t.depth > 0 && t.deepest == 0 {
		t.halve()
	}
	return parent
}

// merge fills into with the entries of a and b. If one is saved and the other
// is not, the hook sees both first: see the package comment.
func (t *Table[E]) merge(into, a, b *bucket[E]) {
	if a.meta.Epoch != b.meta.Epoch {
		t.announce(a)
		t.announce(b)
	}
	into.meta.Stamp = max(a.meta.Stamp, b.meta.Stamp)
	into.meta.Epoch = min(a.meta.Epoch, b.meta.Epoch)
	into.reserve(len(a.entries) + len(b.entries))
	for _, from := range []*bucket[E]{a, b} {
		for _, e := range from.entries {
			into.add(hashOf(e.Key()), e)
		}
	}
}

// replace points the directory's entries for the range of s, in which h lies,
// to s.
func (t *Table[E]) replace(h uint64, s *segment[E]) {
	span := len(t.dir) >> s.depth
	first := int(h>>(64-t.depth)) &^ (span - 1)
	for i := range span {
		t.dir[first+i] = s
	}
}

func (t *Table[E]) double() {
	dir := make([]*segment[E], 2*len(t.dir))
	for i, s := range t.dir {
		dir[2*i], dir[2*i+1] = s, s
	}
	t.dir, t.depth, t.deepest = dir, t.depth+1, 0
}

// halve is called when no segment has the directory's depth.
func (t *Table[E]) halve() {
	dir := make([]*segment[E], len(t.dir)/2)
	t.depth--
	for i := range dir {
		dir[i] = t.dir[2*i]
		if dir[i].depth == t.depth {
			t.deepest++
		}
	}
	t.dir = dir
}
