package feature

import "math/bits"

// simhash sums up Charikar's 64-bit SimHash over shingles of three words
// (https://www.cs.princeton.edu/courses/archive/spr04/cos598B/bib/CharikarEstim.pdf):
// texts that share most shingles differ in few bits.
//
// The textbook keeps 64 counters and touches each for every shingle. Here the
// counters stand on edge: planes[i] holds bit i of all 64, and adding a hash is
// a carry that ripples up, about two words of work instead of 64.
type simhash struct {
	planes      [40]uint64 // more shingles than 2^40 do not fit a page
	count       uint64     // of shingles
	last, last2 uint64     // hashes of the words before
	words       int
}

// FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/).
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// word takes the next word's 64-bit FNV-1a.
func (s *simhash) word(h uint64) {
	s.words++
	if s.words >= 3 {
		s.add(shingle(s.last2, s.last, h))
	}
	s.last2, s.last = s.last, h
}

// sum returns the hash: bit i is set when more than half of the shingles have
// it. A text of one or two words is one shingle of what there is.
func (s *simhash) sum() uint64 {
	if s.count == 0 {
		if s.words == 0 {
			return 0
		}
		s.add(shingle(0, s.last2, s.last))
	}
	var sum uint64
	for bit := range 64 {
		var n uint64
		for i, plane := range s.planes {
			n |= plane >> bit & 1 << i
		}
		if 2*n > s.count {
			sum |= 1 << bit
		}
	}
	return sum
}

func (s *simhash) add(h uint64) {
	s.count++
	for i := 0; h != 0; i++ {
		s.planes[i], h = s.planes[i]^h, s.planes[i]&h
	}
}

// shingle mixes the hashes of three words, in order, and ends with the
// finaliser of MurmurHash3, because FNV alone leaves the high bits of short
// words too much alike.
func shingle(a, b, c uint64) uint64 {
	h := bits.RotateLeft64(a, 42) ^ bits.RotateLeft64(b, 21) ^ c
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
