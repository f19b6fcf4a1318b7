package lua

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// The functions of the string library that take a pattern.

func (r *Runtime) stringFind(L *glua.LState) int  { return r.search(L, true) }
func (r *Runtime) stringMatch(L *glua.LState) int { return r.search(L, false) }

// search is string.find and string.match.
func (r *Runtime) search(L *glua.LState, find bool) int {
	src, pattern := r.checkString(L, 1), r.checkString(L, 2)
	init := max(0, relative(r.optPosition(L, 3, 1), len(src))-1)
	init = min(init, len(src))
	if find && (glua.LVAsBool(L.Get(4)) || isPlain(cString(pattern))) {
		at := strings.Index(src[init:], pattern)
		if at < 0 {
			L.Push(glua.LNil)
			return 1
		}
		L.Push(glua.LNumber(init + at + 1))
		L.Push(glua.LNumber(init + at + len(pattern)))
		return 2
	}
	m := &matcher{r: r, L: L, src: src, pattern: cString(pattern)}
	p := m.anchor()
	for s := init; ; s++ {
		m.level = 0
		if e := m.match(s, p); e >= 0 {
			if !find {
				return m.push(s, e, true)
			}
			L.Push(glua.LNumber(s + 1))
			L.Push(glua.LNumber(e))
			return m.push(s, e, false) + 2
		}
		if p == 1 || s >= len(src) {
			L.Push(glua.LNil)
			return 1
		}
	}
}

func (r *Runtime) stringGmatch(L *glua.LState) int {
	m := &matcher{r: r, src: r.checkString(L, 1), pattern: cString(r.checkString(L, 2))}
	next := 0
	L.Push(L.NewFunction(func(L *glua.LState) int {
		m.L = L
		for s := next; s <= len(m.src); s++ {
			m.level = 0
			if e := m.match(s, 0); e >= 0 {
				next = e
				if e == s {
					next++ // empty match: go at least one position on
				}
				return m.push(s, e, true)
			}
		}
		next = len(m.src) + 1
		return 0
	}))
	return 1
}

func (r *Runtime) stringGsub(L *glua.LState) int {
	src, pattern := r.checkString(L, 1), r.checkString(L, 2)
	replacement := L.Get(3)
	switch replacement.Type() {
	case glua.LTNumber, glua.LTString, glua.LTFunction, glua.LTTable:
	default:
		r.argError(L, 3, "string/function/table expected")
	}
	limit := r.optInt(L, 4, len(src)+1)
	m := &matcher{r: r, L: L, src: src, pattern: cString(pattern)}
	p := m.anchor()
	once := p == 1
	var out []byte
	s, n := 0, 0
	for n < limit {
		m.level = 0
		e := m.match(s, p)
		if e >= 0 {
			n++
			out = m.replace(out, replacement, s, e)
		}
		switch {
		case e > s:
			s = e
		case s < len(src):
			out = append(out, src[s])
			s++
		default:
			once = true // at the end of the subject
		}
		if once {
			break
		}
	}
	out = append(out, src[s:]...)
	r.checkLength(L, len(out))
	L.Push(glua.LString(out))
	L.Push(glua.LNumber(n))
	return 2
}

// replace appends what a match at src[s:e] is replaced by.
func (m *matcher) replace(out []byte, replacement glua.LValue, s, e int) []byte {
	L := m.L
	m.r.checkLength(L, len(out))
	var v glua.LValue
	switch replacement := replacement.(type) {
	case *glua.LFunction:
		L.Push(replacement)
		L.Call(m.push(s, e, true), 1)
		v = L.Get(-1)
		L.Pop(1)
	case *glua.LTable:
		v = L.GetTable(replacement, m.value(0, s, e))
	default:
		text, _ := toText(replacement)
		return m.expand(out, text, s, e)
	}
	if !glua.LVAsBool(v) {
		return append(out, m.src[s:e]...)
	}
	text, ok := toText(v)
	if !ok {
		m.fail("invalid replacement value (a %s)", v.Type())
	}
	return append(out, text...)
}

// expand appends a replacement text, its %0 to %9 filled in.
func (m *matcher) expand(out []byte, text string, s, e int) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			out = append(out, text[i])
			continue
		}
		i++
		switch {
		case i == len(text):
			out = append(out, 0) // C's terminator stands there
		case !isDigit(text[i]):
			out = append(out, text[i])
		case text[i] == '0':
			out = append(out, m.src[s:e]...)
		default:
			captured, _ := toText(m.value(int(text[i]-'1'), s, e))
			out = append(out, captured...)
		}
	}
	return out
}
