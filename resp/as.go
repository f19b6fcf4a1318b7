package resp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A reply as the Go type that the caller expects. All of these answer
//
//	the reply's [ServerError]  when it is an error
//	[ErrNull]                  when it is "no such value"
//	a [TypeError]              when it is something else than asked for
//
// and nothing is converted that would lose something: a number is read from a
// string where the string is one, since a RESP2 connection and GET have no other
// way to send it.

// ErrNull is why there is no value: the reply is null, as that of GET for a key
// that is not there.
var ErrNull = errors.New("resp: the reply is null")

// TypeError says that a reply is not what it was taken for.
type TypeError struct {
	Want string
	Have Value
}

func (e *TypeError) Error() string {
	have := e.Have.String()
	if len(have) > maxShown {
		have = have[:maxShown] + "…"
	}
	return fmt.Sprintf("resp: want %s, have the %s %s", e.Want, e.Have.Kind, have)
}

const maxShown = 64 // bytes of a reply in an error

// String names a kind for people.
func (k Kind) String() string {
	switch k {
	case SimpleString, BulkString, VerbatimText:
		return "string"
	case ErrorReply:
		return "error"
	case Integer:
		return "integer"
	case ArrayReply:
		return "array"
	case NullReply:
		return "null"
	case DoubleReply:
		return "double"
	case BoolReply:
		return "boolean"
	case BigNumber:
		return "big number"
	case MapReply:
		return "map"
	case SetReply:
		return "set"
	case PushReply:
		return "push"
	}
	return fmt.Sprintf("kind %q", byte(k))
}

// String shows the reply to people, on one line: strings quoted, null as (nil),
// aggregates in brackets, maps in braces.
func (v Value) String() string {
	switch v.Kind {
	case SimpleString, BigNumber:
		return string(v.Str)
	case BulkString, VerbatimText:
		return strconv.Quote(string(v.Str))
	case ErrorReply:
		return "(error) " + string(v.Str)
	case NullReply:
		return "(nil)"
	case BoolReply:
		return strconv.FormatBool(v.Int != 0)
	case ArrayReply, SetReply, PushReply, MapReply:
		return v.list()
	}
	return v.Text()
}

func (v Value) list() string {
	begin, end := "[", "]"
	if v.Kind == MapReply {
		begin, end = "{", "}"
	}
	var b strings.Builder
	b.WriteString(begin)
	for i, e := range v.Elems {
		switch {
		case i > 0 && v.Kind == MapReply && i%2 == 1:
			b.WriteString(": ")
		case i > 0:
			b.WriteString(" ")
		}
		b.WriteString(e.String())
	}
	b.WriteString(end)
	return b.String()
}

// misfit is why v is not what was asked for.
func (v Value) misfit(want string) error {
	switch v.Kind {
	case ErrorReply:
		return v.Err()
	case NullReply:
		return ErrNull
	}
	return &TypeError{want, v}
}

func (v Value) isString() bool {
	return v.Kind == BulkString || v.Kind == SimpleString || v.Kind == VerbatimText || v.Kind == BigNumber
}

func (v Value) isList() bool {
	return v.Kind == ArrayReply || v.Kind == SetReply || v.Kind == PushReply
}

// AsString is the reply as a string, which may hold any bytes.
func (v Value) AsString() (string, error) {
	if !v.isString() {
		return "", v.misfit("a string")
	}
	return string(v.Str), nil
}

// AsBytes is [Value.AsString] without a copy.
func (v Value) AsBytes() ([]byte, error) {
	if !v.isString() {
		return nil, v.misfit("a string")
	}
	return v.Str, nil
}

// AsInt is the reply as an integer, or as the integer that a string is in decimal.
func (v Value) AsInt() (int64, error) {
	if v.Kind == Integer {
		return v.Int, nil
	}
	if v.isString() {
		if n, ok := parseInt(v.Str); ok {
			return n, nil
		}
	}
	return 0, v.misfit("an integer")
}

// AsFloat is the reply as a number: a double, an integer, or a string that is one,
// "inf" and "-inf" included.
func (v Value) AsFloat() (float64, error) {
	switch {
	case v.Kind == DoubleReply:
		return v.Float, nil
	case v.Kind == Integer:
		return float64(v.Int), nil
	case v.isString():
		if f, err := parseDouble(string(v.Str)); err == nil {
			return f, nil
		}
	}
	return 0, v.misfit("a number")
}

// AsBool is the reply as yes or no: a boolean, or the integers 1 and 0, as EXISTS,
// HSETNX and others answer.
func (v Value) AsBool() (bool, error) {
	if v.Kind == BoolReply || v.Kind == Integer && (v.Int == 0 || v.Int == 1) {
		return v.Int == 1, nil
	}
	return false, v.misfit("yes or no")
}

// AsSlice is the elements of an array or a set.
func (v Value) AsSlice() ([]Value, error) {
	if !v.isList() {
		return nil, v.misfit("an array")
	}
	return v.Elems, nil
}

// AsStrings is the elements of an array or a set as strings. One that is null, as
// MGET answers for a missing key, is an error: it is not the empty string. Use
// [Value.AsSlice] where that may be.
func (v Value) AsStrings() ([]string, error) { return each(v, Value.AsString) }

// AsInts is the elements of an array or a set as integers.
func (v Value) AsInts() ([]int64, error) { return each(v, Value.AsInt) }

func each[T any](v Value, as func(Value) (T, error)) ([]T, error) {
	if !v.isList() {
		return nil, v.misfit("an array")
	}
	all := make([]T, len(v.Elems))
	for i, e := range v.Elems {
		x, err := as(e)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		all[i] = x
	}
	return all, nil
}

// AsMap is the reply by key. It is a map, or an array of keys and values in turn,
// which is how RESP2 has the replies of HGETALL and CONFIG GET.
func (v Value) AsMap() (map[string]Value, error) {
	return byKey(v, func(v Value) (Value, error) { return v, nil })
}

// AsStringMap is [Value.AsMap] where all values are strings.
func (v Value) AsStringMap() (map[string]string, error) { return byKey(v, Value.AsString) }

func byKey[T any](v Value, as func(Value) (T, error)) (map[string]T, error) {
	if v.Kind != MapReply && !v.isList() {
		return nil, v.misfit("a map")
	}
	if len(v.Elems)%2 != 0 {
		return nil, v.misfit("a map, so as many values as keys")
	}
	all := make(map[string]T, len(v.Elems)/2)
	for i := 0; i < len(v.Elems); i += 2 {
		key, err := v.Elems[i].AsString()
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i/2, err)
		}
		x, err := as(v.Elems[i+1])
		if err != nil {
			return nil, fmt.Errorf("value of %.64q: %w", key, err)
		}
		all[key] = x
	}
	return all, nil
}
