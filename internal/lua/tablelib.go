package lua

import (
	"sort"

	glua "github.com/yuin/gopher-lua"
)

// openTable makes Lua's table library, the functions of 5.0 that 5.1 kept
// included. All of them look past metatables.
func (r *Runtime) openTable() {
	r.library("table", map[string]glua.LGFunction{
		"concat":   r.tableConcat,
		"foreach":  r.tableForeach,
		"foreachi": r.tableForeachi,
		"getn":     r.tableGetn,
		"insert":   r.tableInsert,
		"maxn":     r.tableMaxn,
		"remove":   r.tableRemove,
		"setn":     r.tableSetn,
		"sort":     r.tableSort,
	})
}

func (r *Runtime) tableConcat(L *glua.LState) int {
	t := r.open(r.checkTable(L, 1))
	sep := r.optString(L, 2, "")
	i := r.optInt(L, 3, 1)
	last := r.optInt(L, 4, t.Len())
	var out []byte
	for k := i; k <= last; k++ {
		switch v := t.RawGet(glua.LNumber(k)).(type) {
		case glua.LString:
			out = append(out, v...)
		case glua.LNumber:
			out = appendNumber(out, float64(v))
		default:
			r.fail(L, "invalid value (%s) at index %d in table for 'concat'", v.Type(), k)
		}
		if k < last {
			out = append(out, sep...)
		}
		r.checkLength(L, len(out))
	}
	L.Push(glua.LString(out))
	return 1
}

func (r *Runtime) tableForeach(L *glua.LState) int {
	t := r.open(r.checkTable(L, 1))
	fn := r.checkFunction(L, 2)
	var key glua.LValue = glua.LNil
	for {
		var value glua.LValue
		if key, value = t.Next(key); key == glua.LNil {
			return 0
		}
		if r.stopsAt(L, fn, key, value) {
			return 1
		}
	}
}

func (r *Runtime) tableForeachi(L *glua.LState) int {
	t := r.open(r.checkTable(L, 1))
	fn := r.checkFunction(L, 2)
	for i, n := 1, t.Len(); i <= n; i++ {
		if r.stopsAt(L, fn, boxInt(int64(i)), t.RawGetInt(i)) {
			return 1
		}
	}
	return 0
}

// stopsAt calls fn(key, value); a result that is not nil ends the loop and
// stays on the stack.
func (r *Runtime) stopsAt(L *glua.LState, fn *glua.LFunction, key, value glua.LValue) bool {
	L.Push(fn)
	L.Push(key)
	L.Push(value)
	L.Call(2, 1)
	if L.Get(-1) != glua.LNil {
		return true
	}
	L.Pop(1)
	return false
}

func (r *Runtime) tableGetn(L *glua.LState) int {
	L.Push(boxInt(int64(r.open(r.checkTable(L, 1)).Len())))
	return 1
}

func (r *Runtime) tableSetn(L *glua.LState) int {
	r.checkTable(L, 1)
	r.fail(L, "'setn' is obsolete")
	return 0
}

func (r *Runtime) tableMaxn(L *glua.LState) int {
	t := r.open(r.checkTable(L, 1))
	highest := 0.0
	t.ForEach(func(key, _ glua.LValue) {
		if n, ok := key.(glua.LNumber); ok {
			highest = max(highest, float64(n))
		}
	})
	L.Push(glua.LNumber(highest))
	return 1
}

func (r *Runtime) tableInsert(L *glua.LState) int {
	t := r.checkTable(L, 1)
	next := r.open(t).Len() + 1
	switch L.GetTop() {
	case 2:
		r.writable(t)
		t.RawSetInt(next, L.Get(2))
	case 3:
		at := r.checkCInt(L, 2)
		r.writable(t)
		if at >= 1 && at < next {
			t.Insert(at, L.Get(3))
			return 0
		}
		for i := next; i > at; i-- {
			t.RawSet(glua.LNumber(i), t.RawGet(glua.LNumber(i-1)))
		}
		t.RawSet(glua.LNumber(at), L.Get(3))
	default:
		r.fail(L, "wrong number of arguments to 'insert'")
	}
	return 0
}

func (r *Runtime) tableRemove(L *glua.LState) int {
	t := r.checkTable(L, 1)
	n := r.open(t).Len()
	at := r.optInt(L, 2, n)
	if at < 1 || at > n {
		return 0
	}
	r.writable(t)
	L.Push(t.Remove(at))
	return 1
}

func (r *Runtime) tableSort(L *glua.LState) int {
	t := r.checkTable(L, 1)
	s := sorter{r: r, L: L}
	if L.Get(2) != glua.LNil {
		s.before = r.checkFunction(L, 2)
	}
	n := r.open(t).Len()
	r.writable(t)
	s.values = make([]glua.LValue, n)
	for i := range s.values {
		s.values[i] = t.RawGetInt(i + 1)
	}
	sort.Sort(s)
	for i, v := range s.values {
		t.RawSetInt(i+1, v)
	}
	return 0
}

// A sorter sorts by a Lua function, or by Lua's < for numbers, strings and
// tables that say how. An order that contradicts itself gives some order.
type sorter struct {
	r      *Runtime
	L      *glua.LState
	before *glua.LFunction
	values []glua.LValue
}

func (s sorter) Len() int      { return len(s.values) }
func (s sorter) Swap(i, j int) { s.values[i], s.values[j] = s.values[j], s.values[i] }

func (s sorter) Less(i, j int) bool {
	a, b := s.values[i], s.values[j]
	if s.before != nil {
		return s.calls(s.before, a, b)
	}
	switch a := a.(type) {
	case glua.LNumber:
		if b, ok := b.(glua.LNumber); ok {
			return a < b
		}
	case glua.LString:
		if b, ok := b.(glua.LString); ok {
			return a < b
		}
	case *glua.LTable:
		op, ok := metamethod(s.L, a, "__lt").(*glua.LFunction)
		if ok && metamethod(s.L, b, "__lt") == op {
			return s.calls(op, a, b)
		}
	}
	s.r.throw(glua.LString(compareText(a.Type().String() + " with " + b.Type().String())))
	return false
}

func (s sorter) calls(fn *glua.LFunction, a, b glua.LValue) bool {
	s.L.Push(fn)
	s.L.Push(a)
	s.L.Push(b)
	s.L.Call(2, 1)
	yes := glua.LVAsBool(s.L.Get(-1))
	s.L.Pop(1)
	return yes
}
