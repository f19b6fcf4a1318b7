package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Intset is a sorted row of integers, all of one width, in the bytes of Redis:
//
//	width u32 LE (2, 4 or 8 bytes) │ count u32 LE │ integers LE, ascending
type Intset []byte

const intsetHeader = 8

// NewIntset packs the integers, which it sorts; repeated ones are kept once.
func NewIntset(ints []int64) Intset {
	slices.Sort(ints)
	ints = slices.Compact(ints)
	width := 2
	if len(ints) > 0 {
		width = max(intWidth(ints[0]), intWidth(ints[len(ints)-1]))
	}
	s := make(Intset, intsetHeader, intsetHeader+width*len(ints))
	binary.LittleEndian.PutUint32(s, uint32(width))
	binary.LittleEndian.PutUint32(s[4:], uint32(len(ints)))
	for _, n := range ints {
		switch width {
		case 2:
			s = binary.LittleEndian.AppendUint16(s, uint16(n))
		case 4:
			s = binary.LittleEndian.AppendUint32(s, uint32(n))
		default:
			s = binary.LittleEndian.AppendUint64(s, uint64(n))
		}
	}
	return s
}

func intWidth(n int64) int {
	switch {
	case math.MinInt16 <= n && n <= math.MaxInt16:
		return 2
	case math.MinInt32 <= n && n <= math.MaxInt32:
		return 4
	}
	return 8
}

// Len is the number of integers.
func (s Intset) Len() int { return int(binary.LittleEndian.Uint32(s[4:])) }

// At is the i-th integer in ascending order.
func (s Intset) At(i int) int64 {
	switch b := s[intsetHeader:]; s[0] {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b[2*i:])))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
	default:
		return int64(binary.LittleEndian.Uint64(b[8*i:]))
	}
}

func (s Intset) validate() error {
	if len(s) < intsetHeader {
		return errors.New("shorter than its header")
	}
	width, n := binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[4:])
	if width != 2 && width != 4 && width != 8 {
		return fmt.Errorf("integers of %d bytes", width)
	}
	if uint64(len(s)) != intsetHeader+uint64(width)*uint64(n) {
		return fmt.Errorf("%d integers of %d bytes do not make %d bytes", n, width, len(s))
	}
	for i := 1; i < int(n); i++ {
		if s.At(i-1) >= s.At(i) {
			return fmt.Errorf("integer %d is not above the one before", i)
		}
	}
	return nil
}
