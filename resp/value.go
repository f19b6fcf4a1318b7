package resp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Kind says what a [Value] is; it is the type byte of the protocol.
type Kind byte

const (
	SimpleString Kind = '+'
	ErrorReply   Kind = '-'
	Integer      Kind = ':'
	BulkString   Kind = '$'
	ArrayReply   Kind = '*'
	NullReply    Kind = '_'
	DoubleReply  Kind = ','
	BoolReply    Kind = '#'
	BigNumber    Kind = '('
	VerbatimText Kind = '='
	MapReply     Kind = '%'
	SetReply     Kind = '~'
	PushReply    Kind = '>'
)

// Value is one reply. Which fields count depends on Kind:
//
//	SimpleString, ErrorReply, BulkString, BigNumber, VerbatimText  Str
//	Integer                                                        Int
//	BoolReply                                                      Int, 1 or 0
//	DoubleReply                                                    Float
//	ArrayReply, SetReply, PushReply                                Elems
//	MapReply                                                       Elems, key and value in turn
//	NullReply                                                      none (a RESP2 null bulk or array too)
type Value struct {
	Kind  Kind
	Int   int64
	Float float64
	Str   []byte
	Elems []Value
}

// ErrIncomplete is the answer of [Decode] when the bytes end inside a value.
var ErrIncomplete = errors.New("resp: incomplete value")

// ServerError is an error reply as a Go error. Its text begins with the code.
type ServerError string

func (e ServerError) Error() string { return string(e) }

const (
	maxDepth  = 128 // of the nesting of a decoded value
	elemsHint = 64  // elements made room for before they are seen
)

// Decode takes the first value from b and says how many bytes it took. Strings
// are slices of b. It answers [ErrIncomplete] when b ends too early and a
// [ProtocolError] when b is not RESP.
func Decode(b []byte) (v Value, n int, err error) { return decode(b, 0) }

func decode(b []byte, depth int) (v Value, n int, err error) {
	if depth > maxDepth {
		return v, 0, ProtocolError("Protocol error: value nested too deeply")
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return v, 0, ErrIncomplete
	}
	if end < 2 || b[end-1] != '\r' {
		return v, 0, ProtocolError("Protocol error: bad line ending")
	}
	v.Kind, n = Kind(b[0]), end+1
	line := b[1 : end-1]
	switch v.Kind {
	case SimpleString, ErrorReply, BigNumber:
		v.Str = line
		return v, n, nil
	case NullReply:
		return v, n, nil
	case BoolReply:
		if string(line) != "t" && string(line) != "f" {
			return v, 0, ProtocolError("Protocol error: invalid boolean")
		}
		v.Int = flag(line[0] == 't')
		return v, n, nil
	case DoubleReply:
		if v.Float, err = parseDouble(string(line)); err != nil {
			return v, 0, err
		}
		return v, n, nil
	}
	count, ok := parseInt(line)
	if !ok {
		return v, 0, ProtocolError("Protocol error: invalid length or integer")
	}
	switch v.Kind {
	case Integer:
		v.Int = count
		return v, n, nil
	case BulkString, VerbatimText:
		return decodeBulk(v, b, n, count)
	case MapReply:
		if count > math.MaxInt64/2 {
			return v, 0, ProtocolError("Protocol error: invalid length or integer")
		}
		count *= 2
	case ArrayReply, SetReply, PushReply:
	default:
		return v, 0, ProtocolError(fmt.Sprintf("Protocol error: unknown type byte %q", b[0]))
	}
	if count < 0 {
		return Value{Kind: NullReply}, n, nil
	}
	v.Elems = make([]Value, 0, min(count, elemsHint))
	for range count {
		e, m, err := decode(b[n:], depth+1)
		if err != nil {
			return v, 0, err
		}
		v.Elems, n = append(v.Elems, e), n+m
	}
	return v, n, nil
}

func decodeBulk(v Value, b []byte, n int, size int64) (Value, int, error) {
	if size < 0 {
		return Value{Kind: NullReply}, n, nil
	}
	if size > MaxBulk {
		return v, 0, ProtocolError("Protocol error: invalid bulk length")
	}
	if int64(len(b)-n) < size+2 {
		return v, 0, ErrIncomplete
	}
	if b[n+int(size)] != '\r' || b[n+int(size)+1] != '\n' {
		return v, 0, ProtocolError("Protocol error: bad line ending")
	}
	v.Str = b[n : n+int(size)]
	if v.Kind == VerbatimText && len(v.Str) >= 4 {
		v.Str = v.Str[4:]
	}
	return v, n + int(size) + 2, nil
}

func flag(v bool) int64 {
	if v {
		return 1
	}
	return 0
}

func parseDouble(s string) (float64, error) {
	switch s {
	case "inf":
		return math.Inf(1), nil
	case "-inf":
		return math.Inf(-1), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, ProtocolError("Protocol error: invalid double")
	}
	return f, nil
}

// Err is the reply as an error, nil unless it is an error reply.
func (v Value) Err() error {
	if v.Kind == ErrorReply {
		return ServerError(v.Str)
	}
	return nil
}

// IsNull tells whether the reply is "no such value".
func (v Value) IsNull() bool { return v.Kind == NullReply }

// Text is the reply as text: strings as they are, numbers in decimal, "" for
// aggregates and null.
func (v Value) Text() string {
	switch v.Kind {
	case Integer, BoolReply:
		return strconv.FormatInt(v.Int, 10)
	case DoubleReply:
		return string(AppendDouble(nil, v.Float))
	}
	return string(v.Str)
}

// Clone copies the value out of the buffer that it was decoded from.
func (v Value) Clone() Value {
	v.Str = bytes.Clone(v.Str)
	if v.Elems != nil {
		elems := make([]Value, len(v.Elems))
		for i, e := range v.Elems {
			elems[i] = e.Clone()
		}
		v.Elems = elems
	}
	return v
}
