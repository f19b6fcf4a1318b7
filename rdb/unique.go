package rdb

import (
	"hash/maphash"

	"limpet/internal/listpack"
)

// uniqueNames finds a name that is twice in a listpack. It is a hash table of
// offsets that serves one listpack after the other without being cleared: what
// an earlier one left has another round.
type uniqueNames struct {
	seed  maphash.Seed
	slots []nameSlot
	round uint32
}

type nameSlot struct {
	round uint32
	hash  uint32
	off   uint32
}

// keepSlots is the largest table kept for the next listpack: one of 2048 names.
const keepSlots = 4096

// check looks at the first entry of each tuple. It is not ok when name is there
// twice.
func (u *uniqueNames) check(l listpack.List, tuple int) (name []byte, ok bool) {
	u.empty()
	var scratch [20]byte
	n := 0
	for off := l.First(); off >= 0; n++ {
		if 2*n >= len(u.slots) {
			u.grow()
		}
		name = l.Get(off, scratch[:])
		hash := uint32(maphash.Bytes(u.seed, name))
		i := hash & u.mask()
		for ; u.slots[i].round == u.round; i = (i + 1) & u.mask() {
			if s := u.slots[i]; s.hash == hash && l.Equal(int(s.off), name) {
				return name, false
			}
		}
		u.slots[i] = nameSlot{u.round, hash, uint32(off)}
		for range tuple {
			off = l.Next(off)
		}
	}
	return nil, true
}

func (u *uniqueNames) mask() uint32 { return uint32(len(u.slots) - 1) }

// empty begins another round.
func (u *uniqueNames) empty() {
	if u.round++; u.round == 0 || len(u.slots) == 0 || len(u.slots) > keepSlots {
		u.seed, u.round, u.slots = maphash.MakeSeed(), 1, make([]nameSlot, 64)
	}
}

// grow makes the table twice as large, with the names that were met. It grows
// with them and not by their number, which may be that of a bomb: two bytes an
// entry, and the second the same as the first.
func (u *uniqueNames) grow() {
	old := u.slots
	u.slots = make([]nameSlot, 2*len(old))
	for _, s := range old {
		if s.round != u.round {
			continue
		}
		i := s.hash & u.mask()
		for ; u.slots[i].round == u.round; i = (i + 1) & u.mask() {
		}
		u.slots[i] = s
	}
}
