package rdb

import (
	"encoding/binary"

	"limpet/internal/listpack"
)

// The packed forms that Redis wrote before listpacks: ziplists until 7.0,
// zipmaps until 2.6. They are only read, to the last byte, into a listpack of
// their items, which costs no more memory than they do.

const (
	ziplistHeader  = 10
	ziplistEnd     = 0xFF
	ziplistBigPrev = 0xFE
)

// ziplist reads a ziplist:
//
//	bytes u32 LE │ offset of the last entry u32 LE │ count u16 LE │ entries │ FF
//
//	entry = size of the entry before (1 byte, or FE and u32 LE), encoding, data
func (r *reader) ziplist() listpack.List {
	b := r.string()
	if r.err != nil {
		return nil
	}
	if len(b) < ziplistHeader+1 || len(b) > listpack.MaxBytes {
		r.corrupt("ziplist of %d bytes", len(b))
		return nil
	}
	end := len(b) - 1
	if n := binary.LittleEndian.Uint32(b); uint64(n) != uint64(len(b)) || b[end] != ziplistEnd {
		r.corrupt("ziplist of %d bytes says %d", len(b), n)
		return nil
	}
	items, count := listpack.Make(len(b)), 0
	off, prev, last := ziplistHeader, 0, ziplistHeader
	for ; off < end; count++ {
		size, ok := ziplistEntry(&items, b[off:end], prev)
		if !ok {
			r.corrupt("ziplist: entry %d at byte %d", count, off)
			return nil
		}
		last, prev, off = off, size, off+size
	}
	if n := binary.LittleEndian.Uint32(b[4:]); uint64(n) != uint64(last) {
		r.corrupt("ziplist: last entry at byte %d, header says %d", last, n)
		return nil
	}
	if n := int(binary.LittleEndian.Uint16(b[8:])); n != count && n != 1<<16-1 {
		r.corrupt("ziplist: %d entries, header says %d", count, n)
		return nil
	}
	return items
}

// ziplistEntry appends the first entry of b, before which is one of prev bytes, to
// the items.
func ziplistEntry(items *listpack.List, b []byte, prev int) (size int, ok bool) {
	back, n := uint64(b[0]), 1
	if b[0] == ziplistBigPrev {
		if len(b) < 5 {
			return 0, false
		}
		back, n = uint64(binary.LittleEndian.Uint32(b[1:])), 5
	}
	if back != uint64(prev) || n >= len(b) {
		return 0, false
	}
	e := b[n:]
	if e[0] < 0xC0 {
		head, size := 1, uint64(e[0]&0x3F)
		switch e[0] >> 6 {
		case 1:
			if head = 2; len(e) < head {
				return 0, false
			}
			size = size<<8 | uint64(e[1])
		case 2:
			if head = 5; len(e) < head {
				return 0, false
			}
			size = uint64(binary.BigEndian.Uint32(e[1:]))
		}
		if size > uint64(len(e)-head) {
			return 0, false
		}
		*items = items.Append(e[head : head+int(size)])
		return n + head + int(size), true
	}
	v, size, ok := ziplistInt(e)
	if ok {
		*items = items.AppendInt(v)
	}
	return n + size, ok
}

func ziplistInt(e []byte) (v int64, size int, ok bool) {
	switch e[0] {
	case 0xC0:
		size = 3
	case 0xD0:
		size = 5
	case 0xE0:
		size = 9
	case 0xF0:
		size = 4
	case 0xFE:
		size = 2
	default:
		return int64(e[0]&0x0F) - 1, 1, 0xF1 <= e[0] && e[0] <= 0xFD
	}
	if len(e) < size {
		return 0, 0, false
	}
	var wide [8]byte // the integer in the highest bytes, to be shifted down with its sign
	copy(wide[8-(size-1):], e[1:size])
	return int64(binary.LittleEndian.Uint64(wide[:])) >> (8 * (9 - size)), size, true
}

// zipmap reads a zipmap into names and values in turn:
//
//	count u8 (254 and more: not known) │ pairs │ FF
//
//	pair = length name length spare (1 byte) value, spare unused bytes
//
// Lengths are a byte, or FE and u32 LE.
func (r *reader) zipmap() listpack.List {
	b := r.string()
	if r.err != nil {
		return nil
	}
	if len(b) < 2 || len(b) > listpack.MaxBytes || b[len(b)-1] != 0xFF {
		r.corrupt("zipmap of %d bytes has no end", len(b))
		return nil
	}
	count, rest := int(b[0]), b[1:len(b)-1]
	items, pairs := listpack.Make(len(b)), 0
	for ; len(rest) > 0; pairs++ {
		name, after, ok := zipmapString(rest, 0)
		if !ok {
			r.corrupt("zipmap: name %d", pairs)
			return nil
		}
		value, after, ok := zipmapString(after, 1)
		if !ok {
			r.corrupt("zipmap: value %d", pairs)
			return nil
		}
		items, rest = items.Append(name).Append(value), after
	}
	if count < 254 && count != pairs {
		r.corrupt("zipmap: %d pairs, header says %d", pairs, count)
		return nil
	}
	return items
}

// zipmapString takes a string from b whose length is followed by spareLen bytes
// that say how many unused bytes come behind it.
func zipmapString(b []byte, spareLen int) (s, after []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	n, head := uint64(b[0]), 1
	switch b[0] {
	case 254:
		if len(b) < 5 {
			return nil, nil, false
		}
		n, head = uint64(binary.LittleEndian.Uint32(b[1:])), 5
	case 255:
		return nil, nil, false
	}
	if len(b) < head+spareLen {
		return nil, nil, false
	}
	spare := uint64(0)
	if spareLen == 1 {
		spare = uint64(b[head])
	}
	b = b[head+spareLen:]
	if n+spare > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n+spare:], true
}
