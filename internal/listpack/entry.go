package listpack

import "encoding/binary"

// First bytes of the entries that need more than their own bits.
const (
	encString32 = 0xF0
	encInt16    = 0xF1
	encInt24    = 0xF2
	encInt32    = 0xF3
	encInt64    = 0xF4
)

// entry is an entry about to be written: what it holds and how large it will be.
type entry struct {
	n     int64
	isInt bool
	size  int // bytes of encoding and data, without the backlen
}

func (e entry) total() int { return e.size + backlenSize(e.size) }

func measure(v []byte) entry {
	if n, ok := ParseInt(v); ok {
		return measureInt(n)
	}
	switch size := len(v); {
	case size < 1<<6:
		return entry{size: 1 + size}
	case size < 1<<12:
		return entry{size: 2 + size}
	default:
		return entry{size: 5 + size}
	}
}

func measureInt(n int64) entry {
	e := entry{n: n, isInt: true}
	switch {
	case 0 <= n && n < 1<<7:
		e.size = 1
	case -1<<12 <= n && n < 1<<12:
		e.size = 2
	case -1<<15 <= n && n < 1<<15:
		e.size = 3
	case -1<<23 <= n && n < 1<<23:
		e.size = 4
	case -1<<31 <= n && n < 1<<31:
		e.size = 5
	default:
		e.size = 9
	}
	return e
}

// write puts the entry at the beginning of b. For a string, v is its data.
func (e entry) write(b, v []byte) {
	if e.isInt {
		writeInt(b, e.n, e.size)
	} else {
		writeString(b, v)
	}
	writeBacklen(b[e.size:], e.size)
}

func writeInt(b []byte, n int64, size int) {
	switch size {
	case 1:
		b[0] = byte(n)
	case 2:
		b[0], b[1] = 0xC0|byte(n>>8)&0x1F, byte(n)
	case 3:
		b[0] = encInt16
		binary.LittleEndian.PutUint16(b[1:], uint16(n))
	case 4:
		b[0], b[1], b[2], b[3] = encInt24, byte(n), byte(n>>8), byte(n>>16)
	case 5:
		b[0] = encInt32
		binary.LittleEndian.PutUint32(b[1:], uint32(n))
	default:
		b[0] = encInt64
		binary.LittleEndian.PutUint64(b[1:], uint64(n))
	}
}

func writeString(b, v []byte) {
	switch size := len(v); {
	case size < 1<<6:
		b[0] = 0x80 | byte(size)
		copy(b[1:], v)
	case size < 1<<12:
		b[0], b[1] = 0xE0|byte(size>>8), byte(size)
		copy(b[2:], v)
	default:
		b[0] = encString32
		binary.LittleEndian.PutUint32(b[1:], uint32(size))
		copy(b[5:], v)
	}
}

// entrySize is the number of bytes of encoding and data of the entry at the
// beginning of b. It looks at no more than headSize(b[0]) bytes.
func entrySize(b []byte) int {
	switch c := b[0]; {
	case c < 0x80:
		return 1
	case c < 0xC0:
		return 1 + int(c&0x3F)
	case c < 0xE0:
		return 2
	case c < 0xF0:
		return 2 + int(c&0x0F)<<8 + int(b[1])
	case c == encString32:
		return 5 + int(binary.LittleEndian.Uint32(b[1:]))
	case c == encInt16:
		return 3
	case c == encInt24:
		return 4
	case c == encInt32:
		return 5
	default:
		return 9
	}
}

// headSize is the number of bytes that tell how long an entry is which begins
// with c, or 0 when none begins with it.
func headSize(c byte) int {
	switch {
	case c >= 0xE0 && c < 0xF0:
		return 2
	case c == encString32:
		return 5
	case c > encInt64:
		return 0
	default:
		return 1
	}
}

// backlenSize is the number of bytes that a backlen of n takes. The limits are
// one less than seven bits a byte allow, as they are in Redis.
func backlenSize(n int) int {
	switch {
	case n <= 1<<7-1:
		return 1
	case n < 1<<14-1:
		return 2
	case n < 1<<21-1:
		return 3
	case n < 1<<28-1:
		return 4
	default:
		return 5
	}
}

func writeBacklen(b []byte, n int) {
	for i := backlenSize(n) - 1; i > 0; i-- {
		b[i] = byte(n) | 0x80
		n >>= 7
	}
	b[0] = byte(n)
}

// ParseInt is the integer whose canonical decimal is v: no sign but a minus, no
// leading zero, no "-0", within an int64. Such strings, and only such, are kept
// as integers.
func ParseInt(v []byte) (n int64, ok bool) {
	if len(v) == 0 || len(v) > 20 {
		return 0, false
	}
	digits, limit := v, uint64(1<<63-1)
	if v[0] == '-' {
		digits, limit = v[1:], 1<<63
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(v) > 1 {
		return 0, false
	}
	var u uint64 // nineteen digits cannot overflow it
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if u > limit {
		return 0, false
	}
	if len(digits) < len(v) {
		return -int64(u), true
	}
	return int64(u), true
}
