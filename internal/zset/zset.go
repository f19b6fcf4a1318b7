package zset

import (
	"iter"

	"limpet/internal/dict"
	"limpet/internal/listpack"
)

// Limits says how large a set may grow in its packed form: the settings
// zset-max-listpack-entries and zset-max-listpack-value.
type Limits struct {
	MaxEntries int // members
	MaxValue   int // bytes of the longest member
}

// DefaultLimits are Redis's.
var DefaultLimits = Limits{MaxEntries: 128, MaxValue: 64}

// ZSet is a sorted set. The zero ZSet is empty and ready for use.
type ZSet struct {
	packed packed // nil when empty and when large
	large  *large // nil while packed
}

// large is the form for many or long members. Both parts hold the same pairs
// and share the bytes of the members.
type large struct {
	scores dict.Map[float64]
	order  tree
}

// New returns an empty set.
func New() *ZSet { return &ZSet{} }

// FromPacked returns a set with the content of l, which is valid, has unique
// members in order, and belongs to the set from now on. A list beyond the
// limits is unpacked.
func FromPacked(l listpack.List, lim Limits) *ZSet {
	z := &ZSet{packed: packed(l)}
	if z.packed.len() > lim.MaxEntries {
		z.unpack()
		return z
	}
	for member := range z.packed.all() {
		if len(member) > lim.MaxValue {
			z.unpack()
			break
		}
	}
	return z
}

// Packed returns the listpack of a set in its packed form. It must not be
// changed, and it changes with the set.
func (z *ZSet) Packed() (listpack.List, bool) {
	return listpack.List(z.packed), z.packed != nil
}

// Len is the number of members.
func (z *ZSet) Len() int {
	if z.large != nil {
		return z.large.order.n
	}
	return z.packed.len()
}

// Score is the score of member.
func (z *ZSet) Score(member []byte) (score float64, ok bool) {
	if z.large != nil {
		return z.large.scores.Get(member)
	}
	if off := z.packed.find(member); off >= 0 {
		return z.packed.score(off), true
	}
	return 0, false
}

// Add puts member at score, which must not be NaN, and returns the score that
// it had if it was there before.
func (z *ZSet) Add(member []byte, score float64, lim Limits) (old float64, existed bool) {
	if z.large == nil {
		off := z.packed.find(member)
		if off >= 0 {
			old = z.packed.score(off)
			if old != score {
				z.packed = z.packed.remove(off).insert(member, score)
			}
			return old, true
		}
		if z.packed.len() < lim.MaxEntries && len(member) <= lim.MaxValue {
			z.packed = z.packed.insert(member, score)
			return 0, false
		}
		z.unpack()
	}
	return z.large.add(member, score)
}

func (l *large) add(member []byte, score float64) (old float64, existed bool) {
	at, _ := l.scores.Edit(member)
	if at == nil {
		name := string(member)
		l.scores.SetString(name, score)
		l.order.insert(item{score, name})
		return 0, false
	}
	old = *at
	if old != score {
		it, _ := l.order.delete(old, member)
		l.order.insert(item{score, it.member})
		*at = score
	}
	return old, true
}

// Remove takes member out and returns the score that it had.
func (z *ZSet) Remove(member []byte) (score float64, ok bool) {
	if z.large != nil {
		if score, ok = z.large.scores.Delete(member); ok {
			z.large.order.delete(score, member)
		}
		return score, ok
	}
	off := z.packed.find(member)
	if off < 0 {
		return 0, false
	}
	score = z.packed.score(off)
	z.packed = z.packed.remove(off)
	return score, true
}

// Rank is how many members come before this one, or after it when reverse.
func (z *ZSet) Rank(member []byte, reverse bool) (rank int, ok bool) {
	if z.large != nil {
		score, ok := z.large.scores.Get(member)
		if !ok {
			return 0, false
		}
		rank = z.large.order.count(func(it item) bool { return it.before(score, member) })
	} else if rank = z.packed.rank(member); rank < 0 {
		return 0, false
	}
	if reverse {
		rank = z.Len() - 1 - rank
	}
	return rank, true
}

// All yields members and scores in ascending order.
func (z *ZSet) All() iter.Seq2[[]byte, float64] { return z.ByRank(0, z.Len(), false) }

// Scan yields members and scores in no order, those of one step, and returns
// the cursor of the next step, 0 at the end. A scan starts at 0. A member that
// is there throughout is yielded at least once, whatever changes meanwhile. A
// packed set is one step.
func (z *ZSet) Scan(cursor uint64, yield func(member []byte, score float64)) (next uint64) {
	if z.large == nil {
		for member, score := range z.packed.all() {
			yield(member, score)
		}
		return 0
	}
	var buf []byte
	return z.large.scores.Scan(cursor, func(member string, score float64) {
		buf = append(buf[:0], member...)
		yield(buf, score)
	})
}

// Random returns the member chosen by rnd, a uniform random number. ok is
// false when the set is empty.
func (z *ZSet) Random(rnd uint64) (member []byte, score float64, ok bool) {
	n := z.Len()
	if n == 0 {
		return nil, 0, false
	}
	member, score = z.at(int(rnd % uint64(n)))
	return member, score, true
}

// PopMin takes out the first member. What it returns is a copy.
func (z *ZSet) PopMin() (member []byte, score float64, ok bool) { return z.pop(0) }

// PopMax takes out the last member. What it returns is a copy.
func (z *ZSet) PopMax() (member []byte, score float64, ok bool) { return z.pop(z.Len() - 1) }

func (z *ZSet) pop(rank int) (member []byte, score float64, ok bool) {
	if z.Len() == 0 {
		return nil, 0, false
	}
	member, score = z.at(rank)
	member = append([]byte(nil), member...)
	z.Remove(member)
	return member, score, true
}

// at is the member of a rank that exists.
func (z *ZSet) at(rank int) (member []byte, score float64) {
	for member, score := range z.ByRank(rank, rank+1, false) {
		return append([]byte(nil), member...), score
	}
	return nil, 0
}

// unpack changes to the large form, for good, as Redis does.
func (z *ZSet) unpack() {
	z.large = &large{}
	for member, score := range z.packed.all() {
		z.large.add(member, score)
	}
	z.packed = nil
}
