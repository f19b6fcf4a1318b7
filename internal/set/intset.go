package set

import (
	"encoding/binary"
	"math"
	"slices"
)

// intset is a sorted row of integers, all as wide as the widest once had to be,
// as in Redis's intset.c:
//
//	 0         4         8
//	┌─────────┬─────────┬───────┬───────┬─ ─ ─
//	│ width   │ count   │ n[0]  │ n[1]  │        n in ascending order,
//	│ u32 LE  │ u32 LE  │       │       │        2, 4 or 8 bytes LE each
//	└─────────┴─────────┴───────┴───────┴─ ─ ─
//
// A row never becomes narrower. nil is empty.
type intset []byte

const intsetHeader = 8

func (s intset) width() int { return int(s[0]) }

func (s intset) len() int {
	if s == nil {
		return 0
	}
	return int(binary.LittleEndian.Uint32(s[4:]))
}

func (s intset) at(i int) int64 {
	b := s[intsetHeader+i*s.width():]
	switch s.width() {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

func (s intset) put(i int, n int64) {
	b := s[intsetHeader+i*s.width():]
	switch s.width() {
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(n))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(n))
	default:
		binary.LittleEndian.PutUint64(b, uint64(n))
	}
}

// find is the index of n, or where it belongs.
func (s intset) find(n int64) (i int, ok bool) {
	lo, hi := 0, s.len()
	for lo < hi {
		mid := (lo + hi) / 2
		switch at := s.at(mid); {
		case at == n:
			return mid, true
		case at < n:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

func (s intset) add(n int64) (_ intset, added bool) {
	i, ok := s.find(n)
	if ok {
		return s, false
	}
	if s == nil {
		s = make(intset, intsetHeader)
		s[0] = 2
	}
	s = s.widen(widthOf(n))
	count, w := s.len(), s.width()
	s = slices.Insert(s, intsetHeader+i*w, make([]byte, w)...)
	binary.LittleEndian.PutUint32(s[4:], uint32(count+1))
	s.put(i, n)
	return s, true
}

// widen returns a row of at least the width.
func (s intset) widen(w int) intset {
	if w <= s.width() {
		return s
	}
	wide := make(intset, intsetHeader+s.len()*w, intsetHeader+(s.len()+1)*w)
	copy(wide[4:8], s[4:8])
	wide[0] = byte(w)
	for i := range s.len() {
		wide.put(i, s.at(i))
	}
	return wide
}

func (s intset) remove(n int64) (_ intset, removed bool) {
	i, ok := s.find(n)
	if !ok {
		return s, false
	}
	count, at := s.len(), intsetHeader+i*s.width()
	s = slices.Delete(s, at, at+s.width())
	binary.LittleEndian.PutUint32(s[4:], uint32(count-1))
	return s, true
}

func widthOf(n int64) int {
	switch {
	case math.MinInt16 <= n && n <= math.MaxInt16:
		return 2
	case math.MinInt32 <= n && n <= math.MaxInt32:
		return 4
	}
	return 8
}
