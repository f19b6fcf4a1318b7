package set

import (
	"iter"
	"strconv"

	"limpet/internal/dict"
	"limpet/internal/listpack"
)

// Limits says how large a set of integers may grow in its packed form.
type Limits struct {
	MaxIntset int // members; the setting set-max-intset-entries
}

// DefaultLimits are Redis's.
var DefaultLimits = Limits{MaxIntset: 512}

// Set is a set. The zero Set is empty and ready for use.
type Set struct {
	ints  intset              // nil when empty and when large
	large *dict.Map[struct{}] // nil while an intset
}

// New returns an empty set.
func New() *Set { return &Set{} }

// FromPacked returns a set with the content of an intset, which is valid and
// belongs to the set from now on. One beyond the limits is unpacked.
func FromPacked(intset []byte, lim Limits) *Set {
	s := &Set{ints: intset}
	if s.ints.len() > lim.MaxIntset {
		s.unpack()
	}
	return s
}

// Packed returns the bytes of a set that is an intset. They must not be
// changed, and they change with the set.
func (s *Set) Packed() ([]byte, bool) { return s.ints, s.ints != nil }

// Len is the number of members.
func (s *Set) Len() int {
	if s.large != nil {
		return s.large.Len()
	}
	return s.ints.len()
}

// Has says whether member is there.
func (s *Set) Has(member []byte) bool {
	if s.large != nil {
		return s.large.Has(member)
	}
	n, ok := listpack.ParseInt(member)
	if ok {
		_, ok = s.ints.find(n)
	}
	return ok
}

// Add puts member in and says whether it is new.
func (s *Set) Add(member []byte, lim Limits) (added bool) {
	if s.large == nil {
		if n, ok := listpack.ParseInt(member); ok {
			s.ints, added = s.ints.add(n)
			if s.ints.len() > lim.MaxIntset {
				s.unpack()
			}
			return added
		}
		s.unpack()
	}
	return s.large.Set(member, struct{}{})
}

// Remove takes member out and says whether it was there.
func (s *Set) Remove(member []byte) (removed bool) {
	if s.large != nil {
		_, removed = s.large.Delete(member)
		return removed
	}
	if n, ok := listpack.ParseInt(member); ok {
		s.ints, removed = s.ints.remove(n)
	}
	return removed
}

// All yields every member: integers in ascending order while an intset, in no
// order otherwise.
func (s *Set) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var buf []byte
		for i := range s.ints.len() {
			buf = strconv.AppendInt(buf[:0], s.ints.at(i), 10)
			if !yield(buf) {
				return
			}
		}
		if s.large == nil {
			return
		}
		for member := range s.large.All() {
			buf = append(buf[:0], member...)
			if !yield(buf) {
				return
			}
		}
	}
}

// Scan yields the members of one step, in no order, and returns the cursor of
// the next step, 0 at the end. A scan starts at 0. A member that is there
// throughout is yielded at least once, whatever changes meanwhile. An intset is
// one step.
func (s *Set) Scan(cursor uint64, yield func(member []byte)) (next uint64) {
	if s.large == nil {
		for member := range s.All() {
			yield(member)
		}
		return 0
	}
	var buf []byte
	return s.large.Scan(cursor, func(member string, _ struct{}) {
		buf = append(buf[:0], member...)
		yield(buf)
	})
}

// Random returns a copy of the member chosen by rnd, a uniform random number.
// ok is false when the set is empty.
func (s *Set) Random(rnd uint64) (member []byte, ok bool) {
	if s.Len() == 0 {
		return nil, false
	}
	if s.large == nil {
		i := int(rnd % uint64(s.ints.len()))
		return strconv.AppendInt(nil, s.ints.at(i), 10), true
	}
	name, _, _ := s.large.Random(rnd)
	return []byte(name), true
}

// Pop takes out the member chosen by rnd and returns it.
func (s *Set) Pop(rnd uint64) (member []byte, ok bool) {
	if member, ok = s.Random(rnd); ok {
		s.Remove(member)
	}
	return member, ok
}

// unpack changes to the large form, for good, as Redis does.
func (s *Set) unpack() {
	large := &dict.Map[struct{}]{}
	for member := range s.All() {
		large.Set(member, struct{}{})
	}
	s.ints, s.large = nil, large
}
