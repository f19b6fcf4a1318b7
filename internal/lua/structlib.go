package lua

import (
	"encoding/binary"
	"math"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// openStruct makes Roberto Ierusalimschy's struct library 0.2: C structures to
// strings and back. A format is a run of
//
//	> < !n   big endian, little endian (the default), alignment (1)
//	b h l T  signed integers of 1, 2, 8, 8 bytes; B H L unsigned; T unsigned
//	in In    integers of n bytes (4), at most 32
//	f d      float, double
//	x        a zero byte
//	cn       n bytes (1); c0 takes its length from the value before
//	s        a string that ends with a zero byte
func (r *Runtime) openStruct() {
	r.library("struct", map[string]glua.LGFunction{
		"pack":   r.structPack,
		"unpack": r.structUnpack,
		"size":   r.structSize,
	})
}

const (
	maxAlign   = 8
	maxIntSize = 32
)

// A layout is a format being read and what it has said so far.
type layout struct {
	r     *Runtime
	L     *glua.LState
	rest  string
	big   bool
	align int
}

func (r *Runtime) newLayout(L *glua.LState) *layout {
	format, _, _ := strings.Cut(r.checkString(L, 1), "\x00")
	return &layout{r: r, L: L, rest: format, align: 1}
}

// next takes an option off the format, with its size in bytes; ok is false at
// the end.
func (l *layout) next() (option byte, size int, ok bool) {
	if l.rest == "" {
		return 0, 0, false
	}
	option, l.rest = l.rest[0], l.rest[1:]
	switch option {
	case 'b', 'B', 'x':
		size = 1
	case 'h', 'H':
		size = 2
	case 'f':
		size = 4
	case 'l', 'L', 'T', 'd':
		size = 8
	case 'c':
		size = l.number(1)
	case 'i', 'I':
		size = l.number(4)
		if size > maxIntSize {
			l.r.fail(l.L, "integral size %d is larger than limit of %d", size, maxIntSize)
		}
	}
	return option, size, true
}

func (l *layout) number(otherwise int) int {
	if l.rest == "" || !isDigit(l.rest[0]) {
		return otherwise
	}
	n := 0
	for l.rest != "" && isDigit(l.rest[0]) {
		n = n*10 + int(l.rest[0]-'0')
		if n > math.MaxInt32 {
			l.r.fail(l.L, "integral size overflow")
		}
		l.rest = l.rest[1:]
	}
	return n
}

// padding is how many bytes go before an option at offset pos.
func (l *layout) padding(pos int, option byte, size int) int {
	if size == 0 || option == 'c' {
		return 0
	}
	size = min(size, l.align)
	return (size - pos&(size-1)) & (size - 1)
}

// control obeys an option that stands for no bytes.
func (l *layout) control(option byte) {
	switch option {
	case ' ':
	case '>':
		l.big = true
	case '<':
		l.big = false
	case '!':
		l.align = l.number(maxAlign)
		if l.align <= 0 || l.align&(l.align-1) != 0 {
			l.r.fail(l.L, "alignment %d is not a power of 2", l.align)
		}
	default:
		l.r.argError(l.L, 1, "invalid format option '"+string([]byte{option})+"'")
	}
}

func (r *Runtime) structPack(L *glua.LState) int {
	l := r.newLayout(L)
	L.Push(glua.LNil) // what Redis's own finds behind the last argument
	var out []byte
	arg := 2
	for {
		option, size, ok := l.next()
		if !ok {
			break
		}
		out = append(out, make([]byte, l.padding(len(out), option, size))...)
		switch option {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			out = l.appendInt(out, r.checkNumber(L, arg), size)
			arg++
		case 'x':
			out = append(out, 0)
		case 'f':
			out = l.order().AppendUint32(out, math.Float32bits(float32(r.checkNumber(L, arg))))
			arg++
		case 'd':
			out = l.order().AppendUint64(out, math.Float64bits(r.checkNumber(L, arg)))
			arg++
		case 'c', 's':
			text := r.checkString(L, arg)
			arg++
			if size == 0 {
				size = len(text)
			}
			if len(text) < size {
				r.argError(L, arg, "string too short")
			}
			out = append(out, text[:size]...)
			if option == 's' {
				out = append(out, 0)
			}
		default:
			l.control(option)
		}
		r.checkLength(L, len(out))
	}
	L.Push(glua.LString(out))
	return 1
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func (l *layout) order() byteOrder {
	if l.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (l *layout) appendInt(out []byte, n float64, size int) []byte {
	value := toUnsigned(n)
	at := len(out)
	out = append(out, make([]byte, size)...)
	for i := range size {
		k := at + i
		if l.big {
			k = at + size - 1 - i
		}
		out[k] = byte(value)
		value >>= 8
	}
	return out
}

func (l *layout) readInt(b []byte, signed bool) float64 {
	var v uint64
	for i := range b {
		if l.big {
			v = v<<8 | uint64(b[i])
		} else {
			v = v<<8 | uint64(b[len(b)-1-i])
		}
	}
	if !signed {
		return float64(v)
	}
	if sign := ^uint64(0) << ((len(b)*8 - 1) & 63); v&sign != 0 {
		v |= sign
	}
	return float64(int64(v))
}

func (r *Runtime) structUnpack(L *glua.LState) int {
	l := r.newLayout(L)
	data := []byte(r.checkString(L, 2))
	pos, n, top := r.optPosition(L, 3, 1)-1, 0, L.GetTop()
	if pos == -1 {
		r.argError(L, 3, "offset must be 1 or greater")
	}
	short := func(size int) {
		if size < 0 || size > len(data) || pos < 0 || pos > len(data)-size {
			r.argError(L, 2, "data string too short")
		}
	}
	for {
		option, size, ok := l.next()
		if !ok {
			break
		}
		pos += l.padding(pos, option, size)
		short(size)
		if n+2 > maxResults-top {
			r.fail(L, "stack overflow (too many results)")
		}
		var v glua.LValue
		switch option {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			v = glua.LNumber(l.readInt(data[pos:pos+size], option >= 'a'))
		case 'x':
		case 'f':
			v = glua.LNumber(math.Float32frombits(l.order().Uint32(data[pos:])))
		case 'd':
			v = glua.LNumber(math.Float64frombits(l.order().Uint64(data[pos:])))
		case 'c':
			if size == 0 {
				length, isNumber := toNumber(L.Get(-1))
				if n == 0 || !isNumber {
					r.fail(L, "format 'c0' needs a previous size")
				}
				L.Pop(1)
				n--
				size = int(toInt64(length))
				short(size)
			}
			v = glua.LString(data[pos : pos+size])
		case 's':
			end := strings.IndexByte(string(data[pos:]), 0)
			if end < 0 {
				r.fail(L, "unfinished string in data")
			}
			v = glua.LString(data[pos : pos+end])
			size = end + 1
		default:
			l.control(option)
		}
		if v != nil {
			L.Push(v)
			n++
		}
		pos += size
	}
	L.Push(glua.LNumber(pos + 1))
	return n + 1
}

func (r *Runtime) structSize(L *glua.LState) int {
	l := r.newLayout(L)
	pos := 0
	for {
		option, size, ok := l.next()
		if !ok {
			break
		}
		pos += l.padding(pos, option, size)
		switch {
		case option == 's':
			r.argError(L, 1, "option 's' has no fixed size")
		case option == 'c' && size == 0:
			r.argError(L, 1, "option 'c0' has no fixed size")
		}
		if !isAlpha(option) && !isDigit(option) {
			l.control(option)
		}
		pos += size // a format shorter than MaxString cannot overflow it
	}
	L.Push(glua.LNumber(pos))
	return 1
}
