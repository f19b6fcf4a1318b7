package dict

import "iter"

// ScanBucket shows the bucket at the cursor to yield and returns the cursor
// of the next one, 0 after the last. A scan starts at 0. Any number is a
// valid cursor; it is less than 1<<48 when it comes from here.
func (t *Table[E]) ScanBucket(cursor uint64, yield func(Bucket[E])) (next uint64) {
	if t.dir == nil {
		return 0
	}
	h := cursor << (64 - positionBits)
	s := t.segment(h)
	b := s.bucket(h)
	span := uint64(1) << (positionBits - s.depth - s.bits) // positions in b
	yield(Bucket[E]{b})
	return (cursor&^(span-1) + span) & (1<<positionBits - 1)
}

// Scan shows the entries of the bucket at the cursor, of which there may be
// none, and returns the next cursor, 0 when the scan is complete. Every entry
// present throughout a scan is shown at least once, however the table grows
// or shrinks between the calls.
func (t *Table[E]) Scan(cursor uint64, yield func(E)) (next uint64) {
	return t.ScanBucket(cursor, func(b Bucket[E]) {
		for i := range b.b.entries {
			yield(b.b.entries[i])
		}
	})
}

// All yields every entry once, in the order of a Scan.
func (t *Table[E]) All() iter.Seq[E] {
	return func(yield func(E) bool) {
		for i := 0; i < len(t.dir); {
			s := t.dir[i]
			for j := range s.buckets {
				for k := range s.buckets[j].entries {
					if !yield(s.buckets[j].entries[k]) {
						return
					}
				}
			}
			i += len(t.dir) >> s.depth
		}
	}
}

const (
	randomSlots = 32 // more than a bucket holds, but for one in a million
	randomTries = 64
)

// Random returns an entry chosen by rnd, a uniform random number: nearly
// every entry is equally likely. ok is false when the table is empty.
//
// It throws darts at slots: positions by their share of the hash, then one of
// more slots than the bucket has entries, twice as many for a bucket that
// covers twice the positions. A miss draws again. In a table so thin that
// darts keep missing, the next bucket with entries is taken.
func (t *Table[E]) Random(rnd uint64) (e E, ok bool) {
	if t.n == 0 {
		return e, false
	}
	for range randomTries {
		rnd = mix(rnd)
		s := t.segment(rnd)
		b := s.bucket(rnd)
		slots := randomSlots << (t.depth - s.depth)
		i := int(mix(rnd) % uint64(slots))
		if n := len(b.entries); n > randomSlots {
			i %= n
		}
		if i < len(b.entries) {
			return b.entries[i], true
		}
	}
	cursor := mix(rnd) >> (64 - positionBits)
	for {
		cursor = t.ScanBucket(cursor, func(b Bucket[E]) {
			if n := uint64(b.Len()); n > 0 {
				e, ok = b.b.entries[mix(rnd+1)%n], true
			}
		})
		if ok {
			return e, true
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
