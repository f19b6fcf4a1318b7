package keyspace

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"limpet/resp"
)

// record is a key with what it leads to. The table holds nothing but pointers to
// records, for memory and for the collector's sake: a small string and its key
// take one piece of memory in which there is no pointer to follow.
//
// A record is the head of one of two things. A packed one holds a number or a
// short string itself; it lies at the beginning of a []byte:
//
//	head (8)  deadline (8, if volatile)  value  key
//
// Any other is the head of a [boxed].
type record struct {
	keyLen uint32
	rest   uint32 // kind, volatile, and the length of the value of a packed one
}

const (
	kindBoxed uint32 = iota << kindShift
	kindShort
	kindInt
)

const (
	kindShift = 30
	kindMask  = 3 << kindShift
	volatile  = 1 << 29 // a packed record that has a deadline
	valueMask = volatile - 1

	headSize  = 8
	wordSize  = 8  // of a deadline, and of a number
	maxPacked = 64 // bytes of a string that is packed
	maxKeyLen = 1<<32 - 1
)

// boxed is a record of a value that lies elsewhere.
type boxed struct {
	record
	object   Object
	deadline int64
	key      string
}

// Short is a short string where it lies in the table. It is good until its key
// changes.
type Short record

// Bytes is the string. It must not be changed.
func (s *Short) Bytes() []byte { return (*record)(s).value() }

// newRecord makes a record of a value that may belong to another one.
func newRecord(key []byte, o Object, deadline int64) *record {
	if len(key) > maxKeyLen-maxPacked {
		panic("keyspace: a key of 4 GiB") // sixteen times proto-max-bulk-len's default
	}
	switch v := o.(type) {
	case Int:
		return intRecord(key, v, deadline)
	case Bytes:
		if len(v) <= maxPacked {
			return shortRecord(key, v, deadline)
		}
	case *Short:
		return shortRecord(key, v.Bytes(), deadline)
	}
	b := &boxed{record: record{keyLen: uint32(len(key)), rest: kindBoxed}, object: o, deadline: deadline, key: string(key)}
	return &b.record
}

// textRecord makes a record of a string, in the smallest of its forms.
func textRecord(key, text []byte, deadline int64) *record {
	if n, ok := resp.ParseInt(text); ok {
		return intRecord(key, Int(n), deadline)
	}
	if len(text) <= maxPacked {
		return shortRecord(key, text, deadline)
	}
	return newRecord(key, Bytes(slices.Clone(text)), deadline)
}

func intRecord(key []byte, n Int, deadline int64) *record {
	r := packed(kindInt, key, wordSize, deadline)
	r.setInt(n)
	return r
}

func shortRecord(key, value []byte, deadline int64) *record {
	r := packed(kindShort, key, len(value), deadline)
	copy(r.value(), value)
	return r
}

// packed makes a packed record but for its value.
func packed(kind uint32, key []byte, valueLen int, deadline int64) *record {
	size := headSize + valueLen + len(key)
	if deadline != 0 {
		size += wordSize
	}
	// Whole words, since the allocator aligns nothing else.
	r := (*record)(unsafe.Pointer(unsafe.SliceData(make([]byte, (size+wordSize-1)&^(wordSize-1)))))
	r.keyLen, r.rest = uint32(len(key)), kind|uint32(valueLen)
	if deadline != 0 {
		r.rest |= volatile
		r.setDeadline(deadline)
	}
	copy(r.bytes(r.valueAt()+valueLen, len(key)), key)
	return r
}

func (r *record) kind() uint32  { return r.rest & kindMask }
func (r *record) boxed() *boxed { return (*boxed)(unsafe.Pointer(r)) }

// bytes are some of a packed record's.
func (r *record) bytes(at, n int) []byte {
	if n == 0 {
		return nil // perhaps behind the end
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(r), at)), n)
}

// valueAt is where the value of a packed record begins.
func (r *record) valueAt() int {
	if r.rest&volatile != 0 {
		return headSize + wordSize
	}
	return headSize
}

func (r *record) value() []byte { return r.bytes(r.valueAt(), int(r.rest&valueMask)) }

func (r *record) setInt(n Int) { binary.NativeEndian.PutUint64(r.value(), uint64(n)) }

// setDeadline is for packed records that have one.
func (r *record) setDeadline(ms int64) {
	binary.NativeEndian.PutUint64(r.bytes(headSize, wordSize), uint64(ms))
}

// Key is the key, of the same memory as the record.
func (r *record) Key() string {
	if r.kind() == kindBoxed {
		return r.boxed().key
	}
	key := r.bytes(r.valueAt()+int(r.rest&valueMask), int(r.keyLen))
	return unsafe.String(unsafe.SliceData(key), len(key))
}

func (r *record) object() Object {
	switch r.kind() {
	case kindShort:
		return (*Short)(r)
	case kindInt:
		return Int(binary.NativeEndian.Uint64(r.value()))
	}
	return r.boxed().object
}

func (r *record) deadline() int64 {
	switch {
	case r.kind() == kindBoxed:
		return r.boxed().deadline
	case r.rest&volatile != 0:
		return int64(binary.NativeEndian.Uint64(r.bytes(headSize, wordSize)))
	}
	return 0
}

func (r *record) entry() Entry { return Entry{r.object(), r.deadline()} }

// with is the record with another value or deadline: itself, changed in place,
// where nobody can tell, else a new one.
func (r *record) with(key []byte, o Object, deadline int64) *record {
	switch {
	case r.kind() == kindBoxed && !packs(o):
		b := r.boxed()
		b.object, b.deadline = o, deadline
		return r
	case r.kind() == kindInt && deadline == r.deadline():
		if n, ok := o.(Int); ok {
			r.setInt(n)
			return r
		}
	}
	return newRecord(key, o, deadline)
}

// withText is the record with this string instead, in the smallest of its forms. A
// string as long as the one before takes its place: what is overwritten again and
// again makes no garbage.
func (r *record) withText(key, text []byte, deadline int64) *record {
	n, isInt := resp.ParseInt(text)
	inPlace := (deadline != 0) == (r.rest&volatile != 0)
	switch {
	case inPlace && isInt && r.kind() == kindInt:
		r.setInt(Int(n))
	case inPlace && !isInt && r.kind() == kindShort && len(text) == int(r.rest&valueMask):
		copy(r.value(), text)
	default:
		return textRecord(key, text, deadline)
	}
	if deadline != 0 {
		r.setDeadline(deadline)
	}
	return r
}

// packs tells whether a value goes into a packed record.
func packs(o Object) bool {
	switch v := o.(type) {
	case Int, *Short:
		return true
	case Bytes:
		return len(v) <= maxPacked
	}
	return false
}
