package keyspace

import (
	"fmt"
	"iter"
	"slices"
	"strconv"

	"limpet/internal/hash"
	"limpet/internal/list"
	"limpet/internal/listpack"
	"limpet/internal/set"
	"limpet/internal/stream"
	"limpet/internal/zset"
	"limpet/rdb"
)

// Packing says how large collections may grow in their packed forms.
type Packing struct {
	Hash hash.Limits
	Set  set.Limits
	ZSet zset.Limits
}

// Packer gives values as an RDB file takes them. A snapshot has one, since it asks
// for millions: what one string holds on disk costs no memory but the first time.
type Packer struct {
	one    rdb.Packed
	digits [20]byte // of an Int
}

// ToRDB is a value as an RDB file takes it. It shares memory with the object and
// with the Packer, and is good until either is used again.
func (p *Packer) ToRDB(o Object) rdb.Value {
	if !p.pack(o) {
		return ToRDB(o)
	}
	return &p.one
}

// pack tells whether o is one string on disk.
func (p *Packer) pack(o Object) (ok bool) {
	switch v := o.(type) {
	case Bytes:
		p.one, ok = rdb.Packed{Type: rdb.TypeString, Data: v}, true
	case *Short:
		p.one, ok = rdb.Packed{Type: rdb.TypeString, Data: v.Bytes()}, true
	case Int:
		p.one, ok = rdb.Packed{Type: rdb.TypeString, Data: strconv.AppendInt(p.digits[:0], int64(v), 10)}, true
	case *hash.Hash:
		p.one.Type = rdb.TypeHashListpack
		p.one.Data, ok = v.Packed()
	case *set.Set:
		p.one.Type = rdb.TypeSetIntset
		p.one.Data, ok = v.Packed()
	case *zset.ZSet:
		p.one.Type = rdb.TypeZSetListpack
		p.one.Data, ok = v.Packed()
	}
	return ok
}

// ToRDB is a value as an RDB file takes it. It shares memory with the object and
// is good until the object changes.
func ToRDB(o Object) rdb.Value {
	var p Packer
	if p.pack(o) {
		return p.one
	}
	switch v := o.(type) {
	case *hash.Hash:
		return rdb.HashSeq{Len: v.Len(), All: v.All()}
	case *set.Set:
		return rdb.SetSeq{Len: v.Len(), All: v.All()}
	case *zset.ZSet:
		return rdb.ZSetSeq{Len: v.Len(), All: v.ByRank(0, v.Len(), true)}
	case *list.List:
		return rdb.ListSeq{Len: v.NodeCount(), All: nodes(v)}
	case *stream.Stream:
		return streamToRDB(v)
	}
	panic(fmt.Sprintf("keyspace: a value of type %T", o))
}

func nodes(l *list.List) iter.Seq[rdb.Node] {
	return func(yield func(rdb.Node) bool) {
		for n := range l.Nodes() {
			if !yield(rdb.Node{Plain: n.Plain, Data: n.Data}) {
				return
			}
		}
	}
}

// FromRDB makes the object of a value that an RDB file held. It takes over the
// value's memory.
func FromRDB(value rdb.Value, p Packing) (Object, error) {
	switch v := value.(type) {
	case rdb.String:
		return NewString(v), nil
	case rdb.Hash:
		return hashOf(v, p)
	case rdb.Set:
		return setOf(v, p)
	case rdb.ZSet:
		return zsetOf(v, p)
	case rdb.Nodes:
		l := list.New()
		for _, n := range v {
			l.AppendNode(list.Node{Plain: n.Plain, Data: n.Data})
		}
		return l, nil
	case rdb.List:
		l := list.New()
		for _, e := range v {
			l.PushBack(e, list.LimitsOf(-2))
		}
		return l, nil
	case rdb.Packed:
		return packedOf(v, p)
	case *rdb.Stream:
		return streamFromRDB(v), nil
	case rdb.Module:
		return nil, fmt.Errorf("a value of the module %s: %w", v.Name(), rdb.ErrUnsupported)
	}
	return nil, fmt.Errorf("a value of type %T: %w", value, rdb.ErrUnsupported)
}

func hashOf(fields rdb.Hash, p Packing) (Object, error) {
	h := hash.New()
	for _, f := range fields {
		if f.ExpireAtMs != 0 {
			return nil, fmt.Errorf("a hash field with a deadline of its own (Redis 7.4): %w", rdb.ErrUnsupported)
		}
		if !h.Set(f.Name, f.Value, p.Hash) {
			return nil, repeated("field", f.Name)
		}
	}
	return h, nil
}

func setOf(members rdb.Set, p Packing) (Object, error) {
	s := set.New()
	for _, m := range members {
		if !s.Add(m, p.Set) {
			return nil, repeated("member", m)
		}
	}
	return s, nil
}

func zsetOf(members rdb.ZSet, p Packing) (Object, error) {
	z, lim := zset.New(), p.ZSet
	if len(members) > lim.MaxEntries || slices.ContainsFunc(members, func(m rdb.Member) bool { return len(m.Name) > lim.MaxValue }) {
		lim = zset.Limits{} // never packed on the way, which would make -0 of a score 0
	}
	for _, m := range members {
		if _, dup := z.Add(m.Name, m.Score, lim); dup {
			return nil, repeated("member", m.Name)
		}
	}
	return z, nil
}

func repeated(what string, name []byte) error {
	return fmt.Errorf("%s %.64q occurs twice: %w", what, name, rdb.ErrCorrupt)
}

func packedOf(v rdb.Packed, p Packing) (Object, error) {
	switch v.Type {
	case rdb.TypeHashListpack:
		return hash.FromPacked(listpack.List(v.Data), p.Hash), nil
	case rdb.TypeZSetListpack:
		return zset.FromPacked(listpack.List(v.Data), p.ZSet), nil
	case rdb.TypeSetIntset:
		return set.FromPacked(v.Data, p.Set), nil
	case rdb.TypeSetListpack: // of Redis 7.2; there is no such form here
		l := listpack.List(v.Data)
		s := set.New()
		var scratch [24]byte
		for off := l.First(); off >= 0; off = l.Next(off) {
			s.Add(l.Get(off, scratch[:0]), p.Set)
		}
		return s, nil
	}
	return nil, fmt.Errorf("packed type %d: %w", v.Type, rdb.ErrUnsupported)
}
