package listpack

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// List is a whole listpack: header, entries and the closing 0xFF, with nothing
// behind it. Entries are named by their offset in bytes, which is good until the
// next change at or before it.
//
// Methods that change a list work in its memory where that is large enough and
// return the list to use from now on, as append does. The value handed to such a
// method must not be a slice of the list itself.
type List []byte

const (
	headerSize   = 6
	terminator   = 0xFF
	countUnknown = 1<<16 - 1

	// MaxBytes is the size that Redis lets no listpack outgrow (1 GiB). The
	// callers keep far below it; a list never checks it by itself.
	MaxBytes = 1 << 30
)

// New returns an empty list.
func New() List { return Make(headerSize + 1) }

// Make returns an empty list with room for the given number of bytes, of which
// the header and the end take seven.
func Make(capacity int) List {
	l := make(List, headerSize+1, max(capacity, headerSize+1))
	l[headerSize] = terminator
	l.setBytes()
	return l
}

// SizeOf is the size in bytes of a list of these elements.
func SizeOf(elements [][]byte) int {
	n := headerSize + 1
	for _, v := range elements {
		n += measure(v).total()
	}
	return n
}

// Bytes is the size of the whole list in bytes.
func (l List) Bytes() int { return len(l) }

// Len is the number of entries. It walks the list only where 65535 entries or
// more have been counted once.
func (l List) Len() int {
	if n := l.count(); n != countUnknown {
		return n
	}
	n := 0
	for off := l.First(); off >= 0; off = l.Next(off) {
		n++
	}
	return n
}

// First is the offset of the first entry, -1 when there is none.
func (l List) First() int { return l.orEnd(headerSize) }

// Last is the offset of the last entry, -1 when there is none.
func (l List) Last() int { return l.Prev(len(l) - 1) }

// Next is the offset of the entry after the one at off, -1 at the end.
func (l List) Next(off int) int { return l.orEnd(l.after(off)) }

// Prev is the offset of the entry before the one at off, -1 at the beginning.
func (l List) Prev(off int) int {
	if off <= headerSize {
		return -1
	}
	size := 0
	for i, shift := off-1, 0; ; i, shift = i-1, shift+7 {
		size |= int(l[i]&0x7F) << shift
		if l[i]&0x80 == 0 {
			return i - size
		}
	}
}

// Seek is the offset of the entry with the given index, counted from the end
// where it is negative, and -1 when there is no such entry.
func (l List) Seek(index int) int {
	n := l.count()
	if n != countUnknown {
		switch {
		case index >= n || index < -n:
			return -1
		case index >= 0 && index > n/2:
			index -= n
		case index < 0 && -index > n/2:
			index += n
		}
	}
	if index < 0 {
		off := l.Last()
		for ; off >= 0 && index < -1; index++ {
			off = l.Prev(off)
		}
		return off
	}
	off := l.First()
	for ; off >= 0 && index > 0; index-- {
		off = l.Next(off)
	}
	return off
}

// At is the entry at off: a string, which is a slice of l, or an integer, for
// which s is nil.
func (l List) At(off int) (s []byte, n int64, isInt bool) {
	b := l[off:]
	switch c := b[0]; {
	case c < 0x80:
		return nil, int64(c), true
	case c < 0xC0:
		size := int(c & 0x3F)
		return b[1 : 1+size : 1+size], 0, false
	case c < 0xE0:
		return nil, int64(int16(c)<<11|int16(b[1])<<3) >> 3, true
	case c < 0xF0:
		size := int(c&0x0F)<<8 | int(b[1])
		return b[2 : 2+size : 2+size], 0, false
	case c == encString32:
		size := int(binary.LittleEndian.Uint32(b[1:]))
		return b[5 : 5+size : 5+size], 0, false
	case c == encInt16:
		return nil, int64(int16(binary.LittleEndian.Uint16(b[1:]))), true
	case c == encInt24:
		return nil, int64(int32(uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)) >> 8, true
	case c == encInt32:
		return nil, int64(int32(binary.LittleEndian.Uint32(b[1:]))), true
	default:
		return nil, int64(binary.LittleEndian.Uint64(b[1:])), true
	}
}

// Get is the text of the entry at off. Integers are formatted into scratch,
// whose 20 bytes suffice for any; strings are slices of l.
func (l List) Get(off int, scratch []byte) []byte {
	s, n, isInt := l.At(off)
	if isInt {
		return strconv.AppendInt(scratch[:0], n, 10)
	}
	return s
}

// Equal says whether v is the text of the entry at off.
func (l List) Equal(off int, v []byte) bool {
	s, n, isInt := l.At(off)
	if !isInt {
		return string(s) == string(v)
	}
	m, ok := ParseInt(v)
	return ok && m == n
}

// Find is the offset of the first entry equal to v, looking at the one at off
// and then passing over skip entries each time: 0 looks at every entry, 1 at
// every second (the names in a list of names and values). It is -1 when there is
// none, also when off is -1.
func (l List) Find(off int, v []byte, skip int) int {
	want, wantInt := ParseInt(v)
	for off >= 0 {
		s, n, isInt := l.At(off)
		if isInt {
			if wantInt && n == want {
				return off
			}
		} else if string(s) == string(v) {
			return off
		}
		for i := 0; i <= skip && off >= 0; i++ {
			off = l.Next(off)
		}
	}
	return -1
}

// Append puts v at the end.
func (l List) Append(v []byte) List { return l.insertAt(len(l)-1, measure(v), v) }

// AppendInt puts an integer at the end.
func (l List) AppendInt(n int64) List { return l.insertAt(len(l)-1, measureInt(n), nil) }

// Insert puts v before the entry at off, which may be -1 to mean the end. The
// new entry is then at off.
func (l List) Insert(off int, v []byte) List {
	if off < 0 {
		off = len(l) - 1
	}
	return l.insertAt(off, measure(v), v)
}

// Replace puts v in the place of the entry at off.
func (l List) Replace(off int, v []byte) List {
	e := measure(v)
	l = l.splice(off, l.after(off)-off, e.total())
	e.write(l[off:], v)
	return l
}

// Delete takes out count entries beginning with the one at off, or as many as
// there are. The entry that followed them is then at off.
func (l List) Delete(off, count int) List {
	if off < 0 || count <= 0 {
		return l
	}
	end, gone := off, 0
	for ; gone < count && l[end] != terminator; gone++ {
		end = l.after(end)
	}
	l = l.splice(off, end-off, 0)
	if n := l.count(); n != countUnknown {
		l.setCount(n - gone)
	}
	return l
}

func (l List) insertAt(off int, e entry, v []byte) List {
	l = l.splice(off, 0, e.total())
	e.write(l[off:], v)
	if n := l.count(); n != countUnknown {
		l.setCount(n + 1) // 65534 + 1 is countUnknown, and stays it
	}
	return l
}

// splice makes the was bytes at off into is bytes of unspecified content.
func (l List) splice(off, was, is int) List {
	size, grow := len(l), is-was
	if grow > 0 {
		l = slices.Grow(l, grow)[:size+grow]
		copy(l[off+is:], l[off+was:size])
	} else if grow < 0 {
		copy(l[off+is:], l[off+was:])
		l = l[:size+grow]
	}
	l.setBytes()
	return l
}

// after is the offset behind the entry at off: of the next one or of the end.
func (l List) after(off int) int {
	size := entrySize(l[off:])
	return off + size + backlenSize(size)
}

func (l List) orEnd(off int) int {
	if l[off] == terminator {
		return -1
	}
	return off
}

func (l List) count() int     { return int(binary.LittleEndian.Uint16(l[4:])) }
func (l List) setCount(n int) { binary.LittleEndian.PutUint16(l[4:], uint16(n)) }
func (l List) setBytes()      { binary.LittleEndian.PutUint32(l, uint32(len(l))) }
