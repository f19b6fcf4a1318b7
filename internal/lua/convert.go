package lua

import (
	"bytes"
	"math"
	"strings"

	"limpet/resp"

	glua "github.com/yuin/gopher-lua"
)

// How replies look to a script:
//
//	integer         number               map       {map = {key = value ...}}
//	bulk string     string               set       {set = {member = true ...}}
//	null, RESP2     false                double    {double = number}
//	null, RESP3     nil                  boolean   boolean
//	status          {ok = text}          big       {big_number = digits}
//	error           {err = text}         verbatim  {verbatim_string = {string =, format =}}
//	array           {reply ...}
//
// and a script's value becomes a reply by the same table read backwards, a
// number losing its fraction and an array ending at its first nil.

// readReply reads the first reply of b and gives what is behind it. A Caller's
// bytes are trusted to be RESP; what is not is a nil with nothing behind it.
func readReply(b []byte, depth int) (v glua.LValue, rest []byte) {
	end := bytes.IndexByte(b, '\r')
	if end < 1 || end+2 > len(b) || depth > maxReplyDepth {
		return glua.LNil, nil
	}
	kind, line, rest := b[0], b[1:end], b[end+2:]
	switch resp.Kind(kind) {
	case resp.SimpleString:
		return field("ok", glua.LString(line)), rest
	case resp.ErrorReply:
		return commandError(string(line)), rest
	case resp.NullReply:
		return glua.LNil, rest
	case resp.BoolReply:
		return glua.LBool(string(line) == "t"), rest
	case resp.DoubleReply:
		n, _ := parseNumber(string(line))
		return field("double", glua.LNumber(n)), rest
	case resp.BigNumber:
		return field("big_number", glua.LString(line)), rest
	}
	n, ok := resp.ParseInt(line)
	if !ok {
		return glua.LNil, nil
	}
	switch resp.Kind(kind) {
	case resp.Integer:
		return boxInt(n), rest
	case resp.BulkString, resp.VerbatimText:
		if n < 0 {
			return glua.LFalse, rest
		}
		if int64(len(rest)) < n+2 {
			return glua.LNil, nil
		}
		text := rest[:n]
		rest = rest[n+2:]
		if kind == byte(resp.VerbatimText) && n >= 4 {
			t := newTable(0, 2)
			t.RawSetString("format", glua.LString(text[:3]))
			t.RawSetString("string", glua.LString(text[4:]))
			return field("verbatim_string", t), rest
		}
		return glua.LString(text), rest
	case resp.ArrayReply, resp.PushReply:
		if n < 0 {
			return glua.LFalse, rest
		}
		return readArray(rest, int(n), depth)
	case resp.MapReply:
		return readMap(rest, int(n), depth)
	case resp.SetReply:
		return readSet(rest, int(n), depth)
	}
	return glua.LNil, nil
}

// maxReplyDepth bounds the nesting of a command's reply.
const maxReplyDepth = 100

func field(name string, v glua.LValue) *glua.LTable {
	t := newTable(0, 1)
	t.RawSetString(name, v)
	return t
}

func readArray(b []byte, n, depth int) (glua.LValue, []byte) {
	t := newTable(min(n, len(b)), 0)
	for i := 1; i <= n && b != nil; i++ {
		var v glua.LValue
		v, b = readReply(b, depth+1)
		t.RawSetInt(i, v)
	}
	return t, b
}

func readMap(b []byte, n, depth int) (glua.LValue, []byte) {
	t := newTable(0, min(n, len(b)))
	for i := 0; i < n && b != nil; i++ {
		var k, v glua.LValue
		k, b = readReply(b, depth+1)
		v, b = readReply(b, depth+1)
		if k != glua.LNil {
			t.RawSet(k, v)
		}
	}
	return field("map", t), b
}

func readSet(b []byte, n, depth int) (glua.LValue, []byte) {
	t := newTable(0, min(n, len(b)))
	for i := 0; i < n && b != nil; i++ {
		var member glua.LValue
		member, b = readReply(b, depth+1)
		if member != glua.LNil {
			t.RawSet(member, glua.LTrue)
		}
	}
	return field("set", t), b
}

// writeReply writes a script's value as a reply to out.
func (r *Runtime) writeReply(out *resp.Writer, v glua.LValue) { r.writeValue(out, v, 0) }

// maxWriteDepth is where Redis's Lua stack is full: an array takes up one place
// for each level of nesting, a map or set three.
const maxWriteDepth = 7995

func (r *Runtime) writeValue(out *resp.Writer, v glua.LValue, depth int) {
	if depth >= maxWriteDepth {
		out.Error("ERR reached lua stack limit")
		return
	}
	switch v := v.(type) {
	case glua.LString:
		out.BulkString(string(v))
	case glua.LNumber:
		out.Int(toInt64(float64(v)))
	case glua.LBool:
		switch {
		case r.proto == 3:
			out.Bool(bool(v))
		case bool(v):
			out.Int(1)
		default:
			out.Null()
		}
	case *glua.LTable:
		r.writeTable(out, r.open(v), depth)
	default:
		out.Null()
	}
}

func (r *Runtime) writeTable(out *resp.Writer, t *glua.LTable, depth int) {
	if text, ok := t.RawGetString("err").(glua.LString); ok {
		out.Error(string(text))
		return
	}
	if text, ok := t.RawGetString("ok").(glua.LString); ok {
		out.Simple(oneLine(string(text)))
		return
	}
	if n, ok := t.RawGetString("double").(glua.LNumber); ok {
		writeDouble(out, float64(n))
		return
	}
	if m, ok := t.RawGetString("map").(*glua.LTable); ok {
		m = r.open(m)
		out.Map(count(m))
		each(m, func(key, value glua.LValue) {
			r.writeValue(out, key, depth+3)
			r.writeValue(out, value, depth+3)
		})
		return
	}
	if set, ok := t.RawGetString("set").(*glua.LTable); ok {
		set = r.open(set)
		out.Set(count(set))
		each(set, func(key, _ glua.LValue) { r.writeValue(out, key, depth+3) })
		return
	}
	if digits, ok := t.RawGetString("big_number").(glua.LString); ok {
		out.BigNumber(oneLine(string(digits)))
		return
	}
	if verbatim, ok := t.RawGetString("verbatim_string").(*glua.LTable); ok {
		format, formatOK := verbatim.RawGetString("format").(glua.LString)
		text, textOK := verbatim.RawGetString("string").(glua.LString)
		if formatOK && textOK {
			out.Verbatim((string(format) + "   ")[:3], string(text))
			return
		}
	}
	r.writeArray(out, t, depth)
}

// writeDouble shows the sign of a NaN, which Redis does by way of printf.
func writeDouble(out *resp.Writer, n float64) {
	switch {
	case !math.IsNaN(n):
		out.Double(n)
	case out.Proto == 3:
		out.Raw(append(appendNaN([]byte{','}, n), "\r\n"...))
	default:
		out.Bulk(appendNaN(nil, n))
	}
}

func (r *Runtime) writeArray(out *resp.Writer, t *glua.LTable, depth int) {
	n := 0
	for t.RawGet(glua.LNumber(n+1)) != glua.LNil {
		n++
	}
	out.Array(n)
	for i := 1; i <= n; i++ {
		r.writeValue(out, t.RawGet(glua.LNumber(i)), depth+1)
	}
}

// oneLine keeps a text from ending the line of the protocol that it is on.
func oneLine(text string) string {
	if !strings.ContainsAny(text, "\r\n") {
		return text
	}
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
}

// each visits a table in the order of next.
func each(t *glua.LTable, visit func(key, value glua.LValue)) {
	key, value := t.Next(glua.LNil)
	for key != glua.LNil {
		visit(key, value)
		key, value = t.Next(key)
	}
}

func count(t *glua.LTable) (n int) {
	each(t, func(_, _ glua.LValue) { n++ })
	return n
}
