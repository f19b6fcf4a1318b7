package lua

import (
	glua "github.com/yuin/gopher-lua"
)

// Functions of the libraries read their arguments through these, which accept
// and refuse what Lua's auxiliary library does, in its words.

func (r *Runtime) checkAny(L *glua.LState, n int) {
	if L.GetTop() < n {
		r.argError(L, n, "value expected")
	}
}

func (r *Runtime) checkTable(L *glua.LState, n int) *glua.LTable {
	t, ok := L.Get(n).(*glua.LTable)
	if !ok {
		r.typeError(L, n, "table")
	}
	return t
}

func (r *Runtime) checkFunction(L *glua.LState, n int) *glua.LFunction {
	fn, ok := L.Get(n).(*glua.LFunction)
	if !ok {
		r.typeError(L, n, "function")
	}
	return fn
}

func (r *Runtime) checkString(L *glua.LState, n int) string {
	switch v := L.Get(n).(type) {
	case glua.LString:
		return string(v)
	case glua.LNumber:
		return numberText(v)
	}
	r.typeError(L, n, "string")
	return ""
}

func (r *Runtime) optString(L *glua.LState, n int, otherwise string) string {
	if L.Get(n) == glua.LNil {
		return otherwise
	}
	return r.checkString(L, n)
}

func (r *Runtime) checkNumber(L *glua.LState, n int) float64 {
	if v, ok := L.Get(n).(glua.LNumber); ok {
		return float64(v)
	}
	v, ok := toNumber(L.Get(n))
	if !ok {
		r.typeError(L, n, "number")
	}
	return v
}

func (r *Runtime) checkInt(L *glua.LState, n int) int64 {
	return toInt64(r.checkNumber(L, n))
}

// checkCInt is for numbers that Lua keeps in a C int: 2^31 becomes -2^31.
func (r *Runtime) checkCInt(L *glua.LState, n int) int {
	return int(int32(r.checkInt(L, n)))
}

func (r *Runtime) optInt(L *glua.LState, n, otherwise int) int {
	if L.Get(n) == glua.LNil {
		return otherwise
	}
	return r.checkCInt(L, n)
}

// checkPosition is for positions in a string. Those beyond what any string has
// are cut to 32 bits, so that sums of them cannot overflow.
func (r *Runtime) checkPosition(L *glua.LState, n int) int {
	const limit = 1<<31 - 1
	return int(max(-limit-1, min(limit, r.checkInt(L, n))))
}

func (r *Runtime) optPosition(L *glua.LState, n, otherwise int) int {
	if L.Get(n) == glua.LNil {
		return otherwise
	}
	return r.checkPosition(L, n)
}
