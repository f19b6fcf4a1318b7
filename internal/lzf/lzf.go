package lzf

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

const (
	maxRun   = 1 << 5
	maxBack  = 1 << 13
	minMatch = 3
	maxMatch = 1<<8 + 8

	// MaxExpansion bounds what a hostile string can grow to: no input byte
	// unpacks to more than this many.
	MaxExpansion = maxMatch / 3
)

// ErrCorrupt is the answer of [Decompress] to anything but LZF of the stated
// length.
var ErrCorrupt = errors.New("lzf: damaged data")

// Decompress unpacks src, which must yield exactly len(dst) bytes, into dst.
func Decompress(dst, src []byte) error {
	d, s := 0, 0
	for s < len(src) {
		ctrl := int(src[s])
		s++
		if ctrl < maxRun {
			n := ctrl + 1
			if n > len(src)-s || n > len(dst)-d {
				return ErrCorrupt
			}
			copy(dst[d:d+n], src[s:])
			d, s = d+n, s+n
			continue
		}
		n := ctrl>>5 + 2
		if n == 9 {
			if s == len(src) {
				return ErrCorrupt
			}
			n += int(src[s])
			s++
		}
		if s == len(src) {
			return ErrCorrupt
		}
		back := ctrl&0x1F<<8 | int(src[s])
		s++
		from := d - back - 1
		if from < 0 || n > len(dst)-d {
			return ErrCorrupt
		}
		for end := d + n; d < end; { // what is copied at least doubles in each turn
			d += copy(dst[d:end], dst[from:d])
		}
	}
	if d != len(dst) {
		return ErrCorrupt
	}
	return nil
}

const tableBits = 14

// Compressor packs strings. Its memory (64 KiB) is used again for each of them.
// The zero value is ready; it is for one goroutine.
type Compressor struct {
	// table holds, by the hash of three bytes, base plus the position where they
	// were last seen. Values below base belong to earlier strings, which spares
	// clearing the table for each one.
	table [1 << tableBits]uint32
	base  uint32
}

// Compress packs src into dst and returns the number of bytes written, or 0 when
// they would not fit.
func (c *Compressor) Compress(dst, src []byte) int {
	if uint64(len(src)) > 1<<31 {
		return 0
	}
	if c.base == 0 || uint64(c.base)+uint64(len(src)) > 1<<32-1 {
		clear(c.table[:])
		c.base = 1
	}
	base := c.base
	c.base += uint32(len(src))

	w, run, s := 0, 0, 0 // run: where the bytes begin that are not written yet
	for s+minMatch < len(src) {
		three := binary.LittleEndian.Uint32(src[s:]) & 0xFFFFFF
		slot := &c.table[three*0x9E3779B1>>(32-tableBits)]
		seen := *slot
		*slot = base + uint32(s)
		if seen < base {
			s++
			continue
		}
		from := int(seen - base)
		back := s - from - 1
		if back >= maxBack || binary.LittleEndian.Uint32(src[from:])&0xFFFFFF != three {
			s++
			continue
		}
		n := minMatch + matchLen(src[from+minMatch:], src[s+minMatch:], maxMatch-minMatch)
		if w = putRuns(dst, w, src[run:s]); w < 0 {
			return 0
		}
		if w+3 > len(dst) {
			return 0
		}
		if n < 9 {
			dst[w] = byte((n-2)<<5 | back>>8)
			w++
		} else {
			dst[w], dst[w+1] = byte(7<<5|back>>8), byte(n-9)
			w += 2
		}
		dst[w] = byte(back)
		w++
		s += n
		run = s
	}
	if w = putRuns(dst, w, src[run:]); w < 0 {
		return 0
	}
	return w
}

// putRuns writes lit as literal runs at dst[w:] and returns the new w, or -1 when
// there is no room.
func putRuns(dst []byte, w int, lit []byte) int {
	for len(lit) > 0 {
		n := min(len(lit), maxRun)
		if w+1+n > len(dst) {
			return -1
		}
		dst[w] = byte(n - 1)
		w += 1 + copy(dst[w+1:], lit[:n])
		lit = lit[n:]
	}
	return w
}

// matchLen is the number of equal bytes at the beginning of a and b, at most
// limit. b ends no later than a does.
func matchLen(a, b []byte, limit int) int {
	limit = min(limit, len(b))
	n := 0
	for ; n+8 <= limit; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < limit && a[n] == b[n] {
		n++
	}
	return n
}
