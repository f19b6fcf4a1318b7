package lua

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// openString makes Lua's string library, which is about bytes, and the methods
// of strings.
func (r *Runtime) openString() {
	t := r.library("string", map[string]glua.LGFunction{
		"byte":    r.stringByte,
		"char":    r.stringChar,
		"dump":    r.stringDump,
		"find":    r.stringFind,
		"format":  r.stringFormat,
		"gfind":   r.stringGmatch,
		"gmatch":  r.stringGmatch,
		"gsub":    r.stringGsub,
		"len":     r.stringLen,
		"lower":   r.stringLower,
		"match":   r.stringMatch,
		"rep":     r.stringRep,
		"reverse": r.stringReverse,
		"sub":     r.stringSub,
		"upper":   r.stringUpper,
	})
	methods := newTable(0, 1)
	methods.RawSetString("__index", t)
	r.state.SetMetatable(glua.LString(""), methods)

	shown := newTable(0, 1)
	shown.RawSetString("__index", r.globals.RawGetString("string"))
	r.stringMeta = r.guard(shown)
}

// checkLength refuses a string longer than [MaxString].
func (r *Runtime) checkLength(L *glua.LState, n int) {
	if n > r.maxString {
		r.fail(L, "string length overflow")
	}
}

// checkInterrupt ends the script when its context is done; it is for library
// functions that may take long.
func (r *Runtime) checkInterrupt(L *glua.LState) {
	if r.interrupted() {
		r.fail(L, "interrupted")
	}
}

// relative resolves a position that counts from the end when negative. The
// result may still lie beyond either end.
func relative(pos, length int) int {
	if pos < 0 {
		return max(0, pos+length+1)
	}
	return pos
}

func (r *Runtime) stringByte(L *glua.LState) int {
	s := r.checkString(L, 1)
	i := relative(r.optPosition(L, 2, 1), len(s))
	j := min(relative(r.optPosition(L, 3, i), len(s)), len(s))
	i = max(i, 1)
	if i > j {
		return 0
	}
	if j-i+1 > maxResults-L.GetTop() {
		r.fail(L, "stack overflow (string slice too long)")
	}
	for k := i; k <= j; k++ {
		L.Push(boxInt(int64(s[k-1])))
	}
	return j - i + 1
}

func (r *Runtime) stringChar(L *glua.LState) int {
	n := L.GetTop()
	b := make([]byte, n)
	for i := range b {
		c := r.checkInt(L, i+1)
		if c < 0 || c > 255 {
			r.argError(L, i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	L.Push(glua.LString(b))
	return 1
}

func (r *Runtime) stringDump(L *glua.LState) int {
	r.checkFunction(L, 1)
	r.fail(L, "unable to dump given function")
	return 0
}

func (r *Runtime) stringLen(L *glua.LState) int {
	L.Push(boxInt(int64(len(r.checkString(L, 1)))))
	return 1
}

func (r *Runtime) stringLower(L *glua.LState) int {
	b := []byte(r.checkString(L, 1))
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	L.Push(glua.LString(b))
	return 1
}

func (r *Runtime) stringUpper(L *glua.LState) int {
	b := []byte(r.checkString(L, 1))
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	L.Push(glua.LString(b))
	return 1
}

func (r *Runtime) stringRep(L *glua.LState) int {
	s := r.checkString(L, 1)
	n := max(0, r.checkCInt(L, 2))
	if len(s) == 0 {
		n = 0
	}
	r.checkLength(L, len(s)*n)
	L.Push(glua.LString(strings.Repeat(s, n)))
	return 1
}

func (r *Runtime) stringReverse(L *glua.LState) int {
	s := r.checkString(L, 1)
	b := make([]byte, len(s))
	for i := range b {
		b[i] = s[len(s)-1-i]
	}
	L.Push(glua.LString(b))
	return 1
}

func (r *Runtime) stringSub(L *glua.LState) int {
	s := r.checkString(L, 1)
	i := max(1, relative(r.checkPosition(L, 2), len(s)))
	j := min(len(s), relative(r.optPosition(L, 3, -1), len(s)))
	if i > j {
		L.Push(glua.LString(""))
		return 1
	}
	L.Push(glua.LString(s[i-1 : j]))
	return 1
}
