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
	mask := u.prepare(l.Len() / tuple)
	var scratch [20]byte
	for off := l.First(); off >= 0; {
		name = l.Get(off, scratch[:])
		hash := uint32(maphash.Bytes(u.seed, name))
		i := hash & mask
		for ; u.slots[i].round == u.round; i = (i + 1) & mask {
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

// prepare makes the table empty and at least twice as large as n.
func (u *uniqueNames) prepare(n int) (mask uint32) {
	size := 64
	for size < 2*n {
		size *= 2
	}
	if u.round++; u.round == 0 || len(u.slots) < size || len(u.slots) > keepSlots {
		u.seed, u.round, u.slots = maphash.MakeSeed(), 1, make([]nameSlot, size)
	}
	return uint32(len(u.slots) - 1)
}
