package dict

import "iter"

// ScanBucket shows the bucket at the cursor to yield and returns the cursor
// of the next one, 0 after the last. A scan starts at 0. Any number is a
// valid cursor; it is less than 1<<48 when it comes from here.
func (m *Map[V]) ScanBucket(cursor uint64, yield func(Bucket[V])) (next uint64) {
	if m.dir == nil {
		return 0
	}
	h := cursor << (64 - positionBits)
	s := m.segment(h)
	b := s.bucket(h)
	span := uint64(1) << (positionBits - s.depth - s.bits) // positions in b
	yield(Bucket[V]{b})
	return (cursor&^(span-1) + span) & (1<<positionBits - 1)
}

// Scan shows the entries of the bucket at the cursor, of which there may be
// none, and returns the next cursor, 0 when the scan is complete. Every entry
// present throughout a scan is shown at least once, however the table grows
// or shrinks between the calls.
func (m *Map[V]) Scan(cursor uint64, yield func(key string, v V)) (next uint64) {
	return m.ScanBucket(cursor, func(b Bucket[V]) {
		for i := range b.b.entries {
			yield(b.b.entries[i].key, b.b.entries[i].val)
		}
	})
}

// All yields every entry once, in the order of a Scan.
func (m *Map[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for i := 0; i < len(m.dir); {
			s := m.dir[i]
			for j := range s.buckets {
				for k := range s.buckets[j].entries {
					if e := &s.buckets[j].entries[k]; !yield(e.key, e.val) {
						return
					}
				}
			}
			i += len(m.dir) >> s.depth
		}
	}
}

const (
	randomSlots = 32 // more than a bucket holds, but for one in a million
	randomTries = 64
)

// Random returns an entry chosen by rnd, a uniform random number: nearly
// every entry is equally likely. ok is false when the Map is empty.
//
// It throws darts at slots: positions by their share of the hash, then one of
// more slots than the bucket has entries, twice as many for a bucket that
// covers twice the positions. A miss draws again. In a table so thin that
// darts keep missing, the next bucket with entries is taken.
func (m *Map[V]) Random(rnd uint64) (key string, v V, ok bool) {
	if m.n == 0 {
		return "", v, false
	}
	for range randomTries {
		rnd = mix(rnd)
		s := m.segment(rnd)
		b := s.bucket(rnd)
		slots := randomSlots << (m.depth - s.depth)
		i := int(mix(rnd) % uint64(slots))
		if n := len(b.entries); n > randomSlots {
			i %= n
		}
		if i < len(b.entries) {
			return b.entries[i].key, b.entries[i].val, true
		}
	}
	cursor := mix(rnd) >> (64 - positionBits)
	for {
		cursor = m.ScanBucket(cursor, func(b Bucket[V]) {
			if n := uint64(b.Len()); n > 0 {
				e := &b.b.entries[mix(rnd+1)%n]
				key, v, ok = e.key, e.val, true
			}
		})
		if ok {
			return key, v, true
		}
	}
}

// mix is the finalizer of splitmix64 (Steele, Lea, Flood: Fast Splittable
// Pseudorandom Number Generators, 2014): the next number of a sequence.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
