package rdb

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"limpet/internal/listpack"
)

// encoding is a value about to be written: its type, and the rest, which follows
// once the key stands between the two: one string, or what rest writes.
type encoding struct {
	typ  byte
	one  []byte
	rest func(*writer) error // nil for one string
}

func (e encoding) write(w *writer) error {
	if e.rest != nil {
		return e.rest(w)
	}
	w.string(e.one)
	return w.err
}

var errEmpty = errors.New("a collection without elements cannot be saved")

// encodingOf picks the type for v: the one that Redis 7.0 would pick by default.
func encodingOf(v Value) (encoding, error) {
	switch v := v.(type) {
	case String:
		return stringOf(TypeString, v), nil
	case List:
		return encodeList(v)
	case Nodes:
		return encodeNodes(ListSeq{len(v), slices.Values(v)})
	case ListSeq:
		return encodeNodes(v)
	case Set:
		return encodeSet(v)
	case SetSeq:
		return encodeSetSeq(v)
	case Hash:
		return encodeHash(v)
	case HashSeq:
		return encodeHashSeq(v)
	case ZSet:
		return encodeZSet(v)
	case ZSetSeq:
		return encodeZSetSeq(v)
	case *Stream:
		return encoding{typ: typeStream2, rest: func(w *writer) error { return writeStream(w, v) }}, nil
	case Packed:
		return encodePacked(v)
	case *Packed:
		return encodePacked(*v)
	case Module:
		return encodeModule(v), nil
	}
	return encoding{}, fmt.Errorf("value of type %T: %w", v, ErrUnsupported)
}

// stringOf is a value that is one string, whatever lies in it.
func stringOf(typ byte, b []byte) encoding {
	return encoding{typ: typ, one: b}
}

func encodePacked(p Packed) (encoding, error) {
	switch p.Type {
	case TypeSetListpack: // version 10 does not know it
		var s Set
		l := listpack.List(p.Data)
		for off := l.First(); off >= 0; off = l.Next(off) {
			s = append(s, l.Get(off, nil))
		}
		return encodeSet(s)
	case TypeString, TypeSetIntset, TypeHashListpack, TypeZSetListpack:
		return stringOf(p.Type, p.Data), nil
	}
	return encoding{}, fmt.Errorf("packed value of type %d: %w", p.Type, ErrUnsupported)
}

// encodeList packs the elements into nodes as long as Redis makes them. An
// element larger than a node gets one of its own.
func encodeList(v List) (encoding, error) {
	nodes := func(yield func(Node) bool) {
		l := listpack.Make(maxNodeBytes)
		for _, e := range v {
			if l.Len() > 0 && l.Bytes()+len(e) > maxNodeBytes {
				if !yield(Node{Data: l}) {
					return
				}
				l = l.Delete(l.First(), l.Len())
			}
			if len(e) >= listpack.MaxBytes/2 {
				if !yield(Node{Plain: true, Data: e}) {
					return
				}
				continue
			}
			l = l.Append(e)
		}
		if l.Len() > 0 {
			yield(Node{Data: l})
		}
	}
	n := 0
	for range nodes { // their number stands before the first of them
		n++
	}
	return encodeNodes(ListSeq{n, nodes})
}

func encodeNodes(v ListSeq) (encoding, error) {
	if v.Len == 0 {
		return encoding{}, errEmpty
	}
	return encoding{typ: typeListQuicklist2, rest: func(w *writer) error {
		n := 0
		w.length(uint64(v.Len))
		for node := range v.All {
			if n++; n > v.Len || w.err != nil {
				break
			}
			if node.Plain && len(node.Data) > 0 {
				w.byte(nodePlain)
				w.string(node.Data)
				continue
			}
			data := node.Data
			if node.Plain { // Redis refuses an empty plain node
				data = listpack.New().Append(nil)
			}
			w.byte(nodePacked)
			w.string(data)
		}
		return checkLen(w, "nodes", n, v.Len)
	}}, nil
}

func encodeSet(v Set) (encoding, error) {
	if ints, ok := allInts(v); ok {
		return stringOf(TypeSetIntset, NewIntset(ints)), nil
	}
	return encodeSetSeq(SetSeq{len(v), slices.Values(v)})
}

// allInts is the members as integers when an intset may hold them.
func allInts(v Set) ([]int64, bool) {
	if len(v) == 0 || len(v) > maxIntsetEntries {
		return nil, false
	}
	ints := make([]int64, len(v))
	for i, m := range v {
		n, ok := listpack.ParseInt(m)
		if !ok {
			return nil, false
		}
		ints[i] = n
	}
	return ints, true
}

func encodeSetSeq(v SetSeq) (encoding, error) {
	if v.Len == 0 {
		return encoding{}, errEmpty
	}
	return encoding{typ: typeSet, rest: func(w *writer) error {
		n := 0
		w.length(uint64(v.Len))
		for m := range v.All {
			if n++; n > v.Len || w.err != nil {
				break
			}
			w.string(m)
		}
		return checkLen(w, "members", n, v.Len)
	}}, nil
}

func encodeHash(v Hash) (encoding, error) {
	small := len(v) <= maxPackedEntries
	for _, f := range v {
		if f.ExpireAtMs != 0 {
			return encoding{}, fmt.Errorf("field %q: expiry of a field in version %d: %w", f.Name, WriteVersion, ErrUnsupported)
		}
		small = small && len(f.Name) <= maxPackedValue && len(f.Value) <= maxPackedValue
	}
	if small && len(v) > 0 {
		l := listpack.New()
		for _, f := range v {
			l = l.Append(f.Name).Append(f.Value)
		}
		return stringOf(TypeHashListpack, l), nil
	}
	return encodeHashSeq(HashSeq{len(v), func(yield func(name, value []byte) bool) {
		for _, f := range v {
			if !yield(f.Name, f.Value) {
				return
			}
		}
	}})
}

func encodeHashSeq(v HashSeq) (encoding, error) {
	if v.Len == 0 {
		return encoding{}, errEmpty
	}
	return encoding{typ: typeHash, rest: func(w *writer) error {
		n := 0
		w.length(uint64(v.Len))
		for name, value := range v.All {
			if n++; n > v.Len || w.err != nil {
				break
			}
			w.string(name)
			w.string(value)
		}
		return checkLen(w, "fields", n, v.Len)
	}}, nil
}

func encodeZSet(v ZSet) (encoding, error) {
	v = slices.Clone(v)
	slices.SortFunc(v, compareMembers)
	small := len(v) <= maxPackedEntries
	for _, m := range v {
		if math.IsNaN(m.Score) {
			return encoding{}, fmt.Errorf("member %q: score is not a number: %w", m.Name, ErrUnsupported)
		}
		small = small && len(m.Name) <= maxPackedValue
	}
	if small && len(v) > 0 {
		l, score := listpack.New(), []byte(nil)
		for _, m := range v {
			score = appendScore(score[:0], m.Score)
			l = l.Append(m.Name).Append(score)
		}
		return stringOf(TypeZSetListpack, l), nil
	}
	return encodeZSetSeq(ZSetSeq{len(v), func(yield func([]byte, float64) bool) {
		for _, m := range slices.Backward(v) {
			if !yield(m.Name, m.Score) {
				return
			}
		}
	}})
}

// compareMembers is the order of a sorted set.
func compareMembers(a, b Member) int {
	switch {
	case a.Score < b.Score:
		return -1
	case a.Score > b.Score:
		return 1
	}
	return slices.Compare(a.Name, b.Name)
}

func encodeZSetSeq(v ZSetSeq) (encoding, error) {
	if v.Len == 0 {
		return encoding{}, errEmpty
	}
	return encoding{typ: typeZSet2, rest: func(w *writer) error {
		n := 0
		w.length(uint64(v.Len))
		for name, score := range v.All {
			if n++; n > v.Len || w.err != nil {
				break
			}
			w.string(name)
			w.double(score)
		}
		return checkLen(w, "members", n, v.Len)
	}}, nil
}

// checkLen is the error of a Seq form that did not yield what it promised.
func checkLen(w *writer, what string, n, want int) error {
	if w.err == nil && n != want {
		return fmt.Errorf("%d %s or more were yielded, %d promised", n, what, want)
	}
	return w.err
}
