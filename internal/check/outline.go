package check

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"

	"limpet/rdb"
)

// The parts of an RDB between its entries, as rdb.h of Redis numbers them.
const (
	opSlotInfo      = 244
	opFunction2     = 245
	opFunctionPreGA = 246
	opModuleAux     = 247
	opIdle          = 248
	opFreq          = 249
	opAux           = 250
	opResizeDB      = 251
	opExpireMs      = 252
	opExpire        = 253
	opSelectDB      = 254
	opEOF           = 255

	checksumSince = 5 // first version that ends in a checksum
	checksumSize  = 8
)

// typeNames are Redis 7.0's names for the types of values; those behind came
// later.
var typeNames = []string{
	"string", "list-linked", "set-hashtable", "zset-v1", "hash-hashtable", "zset-v2",
	"module-value", "module-v2", "", "hash-zipmap", "list-ziplist", "set-intset",
	"zset-ziplist", "hash-ziplist", "quicklist", "stream", "hash-listpack", "zset-listpack",
	"quicklist-v2", "stream-v2",
	"set-listpack", "stream-v3", "hash-ttl-pre-release", "hash-listpack-ttl-pre-release",
	"hash-ttl", "hash-listpack-ttl",
}

func typeName(typ int) string { return typeNames[typ] }

func knownType(typ byte) bool { return int(typ) < len(typeNames) && typeNames[typ] != "" }

// outline walks over the skeleton of an RDB: enough of the format to say where
// what is, without looking into values. A read that does not fit into the file
// leaves the offset where it was, as Redis counts.
type outline struct {
	src  io.ReaderAt
	size int64
	off  int64

	window []byte // of src, from base on
	base   int64
}

const (
	windowSize = 64 << 10
	maxShown   = 1024 // bytes of a string that are kept for showing
)

// take gives the next n bytes, good until the next call; n is at most windowSize.
func (o *outline) take(n int) (b []byte, ok bool) {
	if o.size-o.off < int64(n) {
		return nil, false
	}
	if o.off < o.base || o.off+int64(n) > o.base+int64(len(o.window)) {
		if cap(o.window) == 0 {
			o.window = make([]byte, windowSize)
		}
		o.window = o.window[:cap(o.window)]
		got, _ := o.src.ReadAt(o.window, o.off) // an error shows as too few bytes
		o.window, o.base = o.window[:got], o.off
		if got < n {
			return nil, false
		}
	}
	b = o.window[o.off-o.base:][:n]
	o.off += int64(n)
	return b, true
}

func (o *outline) skip(n uint64) (ok bool) {
	if uint64(o.size-o.off) < n {
		return false
	}
	o.off += int64(n)
	return true
}

// length reads a length; a string's special form is no length.
func (o *outline) length() (n uint64, ok bool) {
	n, special, ok := o.lengthOrForm()
	return n, ok && !special
}

func (o *outline) lengths(count int) (ok bool) {
	ok = true
	for ; count > 0 && ok; count-- {
		_, ok = o.length()
	}
	return ok
}

// lengthOrForm reads a length, or the number of the special form that a string
// has instead of one. The first two bits say which:
//
//	00 length in 6 bits │ 01 in 14 │ 10000000 in 32, big endian │ 10000001 in 64 │ 11 form
func (o *outline) lengthOrForm() (n uint64, special, ok bool) {
	b, ok := o.take(1)
	if !ok {
		return 0, false, false
	}
	first := b[0]
	switch {
	case first>>6 == 0:
		return uint64(first), false, true
	case first>>6 == 1:
		if b, ok = o.take(1); ok {
			n = uint64(first&0x3f)<<8 | uint64(b[0])
		}
	case first>>6 == 3:
		return uint64(first & 0x3f), true, true
	case first == 0x80:
		if b, ok = o.take(4); ok {
			n = uint64(binary.BigEndian.Uint32(b))
		}
	case first == 0x81:
		if b, ok = o.take(8); ok {
			n = binary.BigEndian.Uint64(b)
		}
	default:
		ok = false
	}
	return n, false, ok
}

// string passes over a string and gives what it begins with.
func (o *outline) string() (text []byte, ok bool) {
	start := o.off
	n, special, ok := o.lengthOrForm()
	switch {
	case !ok:
		return nil, false
	case !special:
		return o.plain(n)
	case n <= 2:
		b, ok := o.take(1 << n)
		if !ok {
			return nil, false
		}
		return strconv.AppendInt(nil, littleEndian(b), 10), true
	case n == 3:
		return o.compressed(start)
	}
	return nil, false
}

func (o *outline) plain(n uint64) (text []byte, ok bool) {
	head, ok := o.take(int(min(n, maxShown)))
	if !ok {
		return nil, false
	}
	text = append([]byte{}, head...)
	if !o.skip(n - uint64(len(head))) {
		o.off -= int64(len(head))
		return nil, false
	}
	return text, true
}

func littleEndian(b []byte) int64 {
	switch len(b) {
	case 1:
		return int64(int8(b[0]))
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	}
	return int64(int32(binary.LittleEndian.Uint32(b)))
}

// compressed passes over a compressed string, whose form has been read, and
// shows it if it is short: by decoding a file that holds nothing else.
func (o *outline) compressed(start int64) (text []byte, ok bool) {
	packed, ok := o.length()
	if !ok || !o.lengths(1) || !o.skip(packed) {
		return nil, false
	}
	if o.off-start > windowSize {
		return []byte("(compressed)"), true
	}
	end := o.off
	o.off = start
	raw, ok := o.take(int(end - start))
	if !ok {
		return nil, false
	}
	file := append([]byte("REDIS0010\x00\x00"), raw...)
	file = append(file, "\xff\x00\x00\x00\x00\x00\x00\x00\x00"...)
	e, err := rdb.NewDecoder(bytes.NewReader(file), rdb.DecoderOptions{}).Next()
	value, isString := e.Value.(rdb.String)
	if err != nil || !isString {
		return nil, false
	}
	return value[:min(len(value), maxShown)], true
}

// functionPreGA passes over a library of 7.0's release candidates: name, engine,
// whether there is a description, the description, the source.
func (o *outline) functionPreGA() (ok bool) {
	for range 2 {
		if _, ok = o.string(); !ok {
			return false
		}
	}
	described, ok := o.length()
	if ok && described != 0 {
		_, ok = o.string()
	}
	if ok {
		_, ok = o.string()
	}
	return ok
}

// moduleParts passes over a module's own data: parts that say what they are, up
// to the part that says it is the last.
func (o *outline) moduleParts() (ok bool) {
	const last, signed, unsigned, float, double, text = 0, 1, 2, 3, 4, 5
	for {
		part, ok := o.length()
		if !ok || part == last {
			return ok
		}
		switch part {
		case signed, unsigned:
			_, ok = o.length()
		case float:
			ok = o.skip(4)
		case double:
			ok = o.skip(8)
		case text:
			_, ok = o.string()
		default:
			return false
		}
		if !ok {
			return false
		}
	}
}
