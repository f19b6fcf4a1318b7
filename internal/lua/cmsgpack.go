package lua

import (
	"encoding/binary"
	"math"

	glua "github.com/yuin/gopher-lua"
)

// openCMsgpack makes the library of lua-cmsgpack 0.4.0: Lua values as
// MessagePack (https://msgpack.org), of which it knows neither the binary nor
// the extension types.
func (r *Runtime) openCMsgpack() {
	t := r.library("cmsgpack", map[string]glua.LGFunction{
		"pack":         r.msgpackPack,
		"unpack":       r.msgpackUnpack,
		"unpack_one":   r.msgpackUnpackOne,
		"unpack_limit": r.msgpackUnpackLimit,
	})
	t.RawSetString("_NAME", glua.LString("cmsgpack"))
	t.RawSetString("_VERSION", glua.LString("lua-cmsgpack 0.4.0"))
	t.RawSetString("_COPYRIGHT", glua.LString("Copyright (C) 2012, Salvatore Sanfilippo"))
	t.RawSetString("_DESCRIPTION", glua.LString("MessagePack C implementation for Lua"))
}

const (
	// packNesting is where tables inside tables are packed as nil.
	packNesting = 16
	// unpackNesting is about where Redis's Lua stack is full.
	unpackNesting = 2000
)

func (r *Runtime) msgpackPack(L *glua.LState) int {
	n := L.GetTop()
	if n == 0 {
		r.argError(L, 0, "MessagePack pack needs input.")
	}
	var out []byte
	for i := 1; i <= n; i++ {
		out = r.appendMsgpack(L, out, L.Get(i), 0)
	}
	L.Push(glua.LString(out))
	return 1
}

func (r *Runtime) appendMsgpack(L *glua.LState, out []byte, v glua.LValue, level int) []byte {
	r.checkLength(L, len(out))
	switch v := v.(type) {
	case glua.LString:
		return append(appendMsgpackHeader(out, len(v), 0xa0, 31, 0xd9), v...)
	case glua.LBool:
		if v {
			return append(out, 0xc3)
		}
		return append(out, 0xc2)
	case glua.LNumber:
		return appendMsgpackNumber(out, float64(v))
	case *glua.LTable:
		if level == packNesting {
			break
		}
		t := r.open(v)
		if n, ok := arrayLength(t); ok {
			out = appendMsgpackHeader(out, n, 0x90, 15, 0xdc-1)
			for i := 1; i <= n; i++ {
				out = r.appendMsgpack(L, out, t.RawGet(glua.LNumber(i)), level+1)
			}
			return out
		}
		out = appendMsgpackHeader(out, count(t), 0x80, 15, 0xde-1)
		each(t, func(key, value glua.LValue) {
			out = r.appendMsgpack(L, out, key, level+1)
			out = r.appendMsgpack(L, out, value, level+1)
		})
		return out
	}
	return append(out, 0xc0)
}

// arrayLength is the length of a table whose keys are exactly 1 to n.
func arrayLength(t *glua.LTable) (n int, ok bool) {
	highest, ok := 0.0, true
	t.ForEach(func(key, _ glua.LValue) {
		k, isNumber := key.(glua.LNumber)
		if !isNumber || k <= 0 || float64(k) != math.Trunc(float64(k)) {
			ok = false
		}
		highest = max(highest, float64(k))
		n++
	})
	return n, ok && highest == float64(n)
}

// appendMsgpackHeader writes a length: in the type byte when it fits, else in
// 1, 2 or 4 bytes after wide, wide+1 or wide+2. Arrays and maps have no form of
// 1 byte.
func appendMsgpackHeader(out []byte, n int, fix byte, fixMax int, wide byte) []byte {
	switch {
	case n <= fixMax:
		return append(out, fix|byte(n))
	case n <= 0xff && wide == 0xd9:
		return append(out, wide, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(out, wide+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(out, wide+2), uint32(n))
}

func appendMsgpackNumber(out []byte, f float64) []byte {
	if !math.IsInf(f, 0) && float64(toInt64(f)) == f {
		return appendMsgpackInt(out, toInt64(f))
	}
	if short := float32(f); float64(short) == f {
		return binary.BigEndian.AppendUint32(append(out, 0xca), math.Float32bits(short))
	}
	return binary.BigEndian.AppendUint64(append(out, 0xcb), math.Float64bits(f))
}

func appendMsgpackInt(out []byte, n int64) []byte {
	be := binary.BigEndian
	switch {
	case n >= -32 && n <= 127:
		return append(out, byte(n))
	case n >= 0 && n <= 0xff:
		return append(out, 0xcc, byte(n))
	case n >= 0 && n <= 0xffff:
		return be.AppendUint16(append(out, 0xcd), uint16(n))
	case n >= 0 && n <= 0xffffffff:
		return be.AppendUint32(append(out, 0xce), uint32(n))
	case n >= 0:
		return be.AppendUint64(append(out, 0xcf), uint64(n))
	case n >= -128:
		return append(out, 0xd0, byte(n))
	case n >= -32768:
		return be.AppendUint16(append(out, 0xd1), uint16(n))
	case n >= -2147483648:
		return be.AppendUint32(append(out, 0xd2), uint32(n))
	}
	return be.AppendUint64(append(out, 0xd3), uint64(n))
}

func (r *Runtime) msgpackUnpack(L *glua.LState) int { return r.unpackMsgpack(L, 0, 0) }

func (r *Runtime) msgpackUnpackOne(L *glua.LState) int {
	return r.unpackMsgpack(L, 1, r.optInt(L, 2, 0))
}

func (r *Runtime) msgpackUnpackLimit(L *glua.LState) int {
	limit := r.checkCInt(L, 2)
	return r.unpackMsgpack(L, limit, r.optInt(L, 3, 0))
}

// unpackMsgpack pushes up to limit values found from an offset on, after the
// offset to go on from, which is -1 at the end. Both zero: all values and no
// offset.
func (r *Runtime) unpackMsgpack(L *glua.LState, limit, offset int) int {
	s := r.checkString(L, 1)
	all := limit == 0 && offset == 0
	if offset < 0 || limit < 0 {
		r.fail(L, "Invalid request to unpack with offset of %d and limit of %d.", offset, len(s))
	}
	if offset > len(s) {
		r.fail(L, "Start offset %d greater than input length %d.", offset, len(s))
	}
	if all {
		limit = math.MaxInt32
	}
	d := msgpackReader{r: r, rest: s[offset:]}
	var values []glua.LValue
	for len(d.rest) > 0 && len(values) < limit {
		if len(values) >= maxResults-L.GetTop()-1 {
			r.fail(L, "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)")
		}
		v := d.value(0)
		if d.wrong != "" {
			r.fail(L, "%s", d.wrong)
		}
		values = append(values, v)
	}
	n := len(values)
	if !all {
		next := -1
		if len(d.rest) > 0 {
			next = len(s) - len(d.rest)
		}
		L.Push(glua.LNumber(next))
		n++
	}
	for _, v := range values {
		L.Push(v)
	}
	return n
}

// A msgpackReader takes values off a string until something is wrong.
type msgpackReader struct {
	r     *Runtime
	rest  string
	wrong string
}

const (
	msgpackShort = "Missing bytes in input."
	msgpackBad   = "Bad data format in input."
)

// take cuts n bytes off, or none when there are fewer.
func (d *msgpackReader) take(n int) string {
	if n > len(d.rest) {
		d.wrong = msgpackShort
		return ""
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

// uint is a number of n bytes.
func (d *msgpackReader) uint(n int) (v uint64) {
	for _, c := range []byte(d.take(n)) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (d *msgpackReader) value(depth int) glua.LValue {
	if depth > unpackNesting {
		d.wrong = "stack overflow (in function mp_decode_to_lua_array)"
	}
	head := d.take(1)
	if d.wrong != "" {
		return glua.LNil
	}
	switch c := head[0]; {
	case c <= 0x7f:
		return boxInt(int64(c))
	case c >= 0xe0:
		return boxInt(int64(int8(c)))
	case c <= 0x8f:
		return d.table(int(c&0xf), depth)
	case c <= 0x9f:
		return d.array(int(c&0xf), depth)
	case c <= 0xbf:
		return glua.LString(d.take(int(c & 0x1f)))
	default:
		return d.typed(c, depth)
	}
}

// typed is a value whose first byte only says its type.
func (d *msgpackReader) typed(c byte, depth int) glua.LValue {
	switch c {
	case 0xc0:
		return glua.LNil
	case 0xc2:
		return glua.LFalse
	case 0xc3:
		return glua.LTrue
	case 0xca:
		return glua.LNumber(math.Float32frombits(uint32(d.uint(4))))
	case 0xcb:
		return glua.LNumber(math.Float64frombits(d.uint(8)))
	case 0xcc, 0xcd, 0xce, 0xcf:
		return glua.LNumber(int64(d.uint(1 << (c - 0xcc)))) // beyond 2^63 negative, as in Redis
	case 0xd0:
		return glua.LNumber(int8(d.uint(1)))
	case 0xd1:
		return glua.LNumber(int16(d.uint(2)))
	case 0xd2:
		return glua.LNumber(int32(d.uint(4)))
	case 0xd3:
		return glua.LNumber(int64(d.uint(8)))
	case 0xd9, 0xda, 0xdb:
		return glua.LString(d.take(int(d.uint(1 << (c - 0xd9)))))
	case 0xdc, 0xdd:
		return d.array(int(d.uint(2<<(c-0xdc))), depth)
	case 0xde, 0xdf:
		return d.table(int(d.uint(2<<(c-0xde))), depth)
	}
	d.wrong = msgpackBad
	return glua.LNil
}

func (d *msgpackReader) array(n, depth int) glua.LValue {
	t := newTable(min(n, len(d.rest)), 0)
	for i := 1; i <= n && d.wrong == ""; i++ {
		t.RawSetInt(i, d.value(depth+1))
	}
	return t
}

func (d *msgpackReader) table(n, depth int) glua.LValue {
	t := newTable(0, min(n, len(d.rest)))
	for i := 0; i < n && d.wrong == ""; i++ {
		key := d.value(depth + 1)
		value := d.value(depth + 1)
		if d.wrong == "" {
			d.r.setRaw(nil, t, key, value)
		}
	}
	return t
}
