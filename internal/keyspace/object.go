package keyspace

import (
	"slices"
	"strconv"

	"limpet/internal/hash"
	"limpet/internal/list"
	"limpet/internal/set"
	"limpet/internal/stream"
	"limpet/internal/zset"
	"limpet/resp"
)

// Object is a key's value: one of [Bytes], [Int], *list.List, *hash.Hash,
// *set.Set, *zset.ZSet, *stream.Stream; or *[Short], which is what short Bytes
// have become when they are found again.
//
// Strings are never changed in place: a new value replaces the old one.
// Collections are changed in place, after [DB.Edit].
type Object = any

// Bytes is a string. Its bytes are never changed in place; the memory behind
// them may have room that [AppendBytes] uses.
type Bytes []byte

// Int is a string that is the canonical text of an integer.
type Int int64

// NewString copies text into the smaller of the two string forms.
func NewString(text []byte) Object {
	if len(text) <= 20 {
		if n, ok := resp.ParseInt(text); ok {
			return Int(n)
		}
	}
	return Bytes(append(make([]byte, 0, len(text)), text...))
}

// AppendBytes is a string with a tail behind it. Bytes that readers of the old
// string can see stay as they are; only room behind them is used, which makes
// repeated appending linear.
func AppendBytes(o Object, tail []byte) Object {
	switch v := o.(type) {
	case Bytes:
		return append(v, tail...)
	case *Short:
		return Bytes(slices.Concat(v.Bytes(), tail))
	case Int:
		return Bytes(append(strconv.AppendInt(nil, int64(v), 10), tail...))
	}
	return NewString(tail)
}

// TypeName is the answer of TYPE.
func TypeName(o Object) string {
	switch o.(type) {
	case Bytes, Int, *Short:
		return "string"
	case *list.List:
		return "list"
	case *hash.Hash:
		return "hash"
	case *set.Set:
		return "set"
	case *zset.ZSet:
		return "zset"
	case *stream.Stream:
		return "stream"
	}
	return "none"
}
