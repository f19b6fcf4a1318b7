package hash

import (
	"iter"

	"limpet/internal/dict"
	"limpet/internal/listpack"
)

// Limits says how large a hash may grow in its packed form: the settings
// hash-max-listpack-entries and hash-max-listpack-value.
type Limits struct {
	MaxEntries int // fields
	MaxValue   int // bytes of the longest field or value
}

// DefaultLimits are those of Redis 7.0.
var DefaultLimits = Limits{MaxEntries: 512, MaxValue: 64}

// Hash is a hash. The zero Hash is empty and ready for use.
type Hash struct {
	packed listpack.List     // nil when empty and when large
	large  *dict.Map[[]byte] // nil while packed; a value is never changed in place
}

// New returns an empty hash.
func New() *Hash { return &Hash{} }

// FromPacked returns a hash with the content of l, which is valid, has unique
// fields, and belongs to the hash from now on. A list beyond the limits is
// unpacked.
func FromPacked(l listpack.List, lim Limits) *Hash {
	h := &Hash{packed: l}
	if h.Len() > lim.MaxEntries {
		h.unpack()
		return h
	}
	for field, value := range h.All() {
		if !lim.admit(field, value) {
			h.unpack()
			break
		}
	}
	return h
}

func (lim Limits) admit(field, value []byte) bool {
	return len(field) <= lim.MaxValue && len(value) <= lim.MaxValue
}

// Packed returns the listpack of a hash in its packed form. It must not be
// changed, and it changes with the hash.
func (h *Hash) Packed() (listpack.List, bool) { return h.packed, h.packed != nil }

// Len is the number of fields.
func (h *Hash) Len() int {
	switch {
	case h.large != nil:
		return h.large.Len()
	case h.packed != nil:
		return h.packed.Len() / 2
	}
	return 0
}

// Get is the value of field.
func (h *Hash) Get(field []byte) (value []byte, ok bool) {
	if h.large != nil {
		return h.large.Get(field)
	}
	off := h.find(field)
	if off < 0 {
		return nil, false
	}
	return h.packed.Get(h.packed.Next(off), nil), true
}

// Has says whether the field is there.
func (h *Hash) Has(field []byte) bool {
	if h.large != nil {
		return h.large.Has(field)
	}
	return h.find(field) >= 0
}

// find is the offset of field in the packed form, or -1.
func (h *Hash) find(field []byte) int {
	if h.packed == nil {
		return -1
	}
	return h.packed.Find(h.packed.First(), field, 1)
}

// Reserve makes room in an empty hash for fields and values in turn that are about
// to be set, so that it takes one piece of memory and not one after the other.
func (h *Hash) Reserve(pairs [][]byte, lim Limits) {
	if h.large == nil && h.packed == nil && len(pairs) <= 2*lim.MaxEntries {
		h.packed = listpack.Make(listpack.SizeOf(pairs))
	}
}

// Set puts value under field and says whether the field is new.
func (h *Hash) Set(field, value []byte, lim Limits) (created bool) {
	if h.large == nil && !lim.admit(field, value) {
		h.unpack()
	}
	if h.large != nil {
		return h.large.Set(field, clone(value))
	}
	if off := h.find(field); off >= 0 {
		h.packed = h.packed.Replace(h.packed.Next(off), value)
		return false
	}
	if h.packed == nil {
		h.packed = listpack.New()
	}
	h.packed = h.packed.Append(field).Append(value)
	if h.Len() > lim.MaxEntries {
		h.unpack()
	}
	return true
}

// Delete takes field out and says whether it was there.
func (h *Hash) Delete(field []byte) bool {
	if h.large != nil {
		_, ok := h.large.Delete(field)
		return ok
	}
	off := h.find(field)
	if off < 0 {
		return false
	}
	h.packed = h.packed.Delete(off, 2)
	return true
}

// All yields every field with its value: in order of arrival while packed, in
// no order afterwards.
func (h *Hash) All() iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		if h.large == nil {
			h.allPacked(yield)
			return
		}
		var buf []byte
		for field, value := range h.large.All() {
			buf = append(buf[:0], field...)
			if !yield(buf, value) {
				return
			}
		}
	}
}

func (h *Hash) allPacked(yield func(field, value []byte) bool) {
	if h.packed == nil {
		return
	}
	var field, value [20]byte
	for off := h.packed.First(); off >= 0; {
		at := h.packed.Next(off)
		if !yield(h.packed.Get(off, field[:]), h.packed.Get(at, value[:])) {
			return
		}
		off = h.packed.Next(at)
	}
}

// Scan yields the fields of one step with their values, in no order, and
// returns the cursor of the next step, 0 at the end. A scan starts at 0. A
// field that is there throughout is yielded at least once, whatever changes
// meanwhile. A packed hash is one step.
func (h *Hash) Scan(cursor uint64, yield func(field, value []byte)) (next uint64) {
	if h.large == nil {
		h.allPacked(func(field, value []byte) bool {
			yield(field, value)
			return true
		})
		return 0
	}
	var buf []byte
	return h.large.Scan(cursor, func(field string, value []byte) {
		buf = append(buf[:0], field...)
		yield(buf, value)
	})
}

// Random returns the field chosen by rnd, a uniform random number, and its
// value. ok is false when the hash is empty.
func (h *Hash) Random(rnd uint64) (field, value []byte, ok bool) {
	n := h.Len()
	if n == 0 {
		return nil, nil, false
	}
	if h.large != nil {
		name, value, ok := h.large.Random(rnd)
		return []byte(name), value, ok
	}
	off := h.packed.Seek(2 * int(rnd%uint64(n)))
	return h.packed.Get(off, nil), h.packed.Get(h.packed.Next(off), nil), true
}

// unpack changes to the large form, for good, as Redis does.
func (h *Hash) unpack() {
	large := &dict.Map[[]byte]{}
	for field, value := range h.All() {
		large.Set(field, clone(value))
	}
	h.packed, h.large = nil, large
}

// clone copies into memory of exactly the size, and never into nil.
func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }
