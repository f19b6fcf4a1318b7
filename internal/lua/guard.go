package lua

import (
	glua "github.com/yuin/gopher-lua"
)

// Redis marks the globals and the tables of its libraries read-only inside its
// own Lua. gopher-lua has no such mark, so a script gets a stand-in for each: an
// empty table whose metatable reads from the real one and refuses writes. The
// functions that look past metatables (rawset, next, table.insert ...) ask
// [Runtime.open] or [Runtime.writable] first.

const readonlyText = "Attempt to modify a readonly table"

// guard makes the stand-in for a table.
func (r *Runtime) guard(real *glua.LTable) *glua.LTable {
	meta := newTable(0, 2)
	meta.RawSetString("__index", real)
	meta.RawSetString("__newindex", r.state.NewFunction(r.refuseWrite))
	standIn := newTable(0, 0)
	standIn.Metatable = meta
	r.libraries[standIn] = real
	return standIn
}

func (r *Runtime) refuseWrite(L *glua.LState) int {
	r.fail(L, readonlyText)
	return 0
}

// refuseGlobal is what reading a global that does not exist comes to.
func (r *Runtime) refuseGlobal(L *glua.LState) int {
	name, _ := toText(L.Get(2))
	r.fail(L, "Script attempted to access nonexistent global variable '%s'", name)
	return 0
}

// open gives the table that a raw read has to look at.
func (r *Runtime) open(t *glua.LTable) *glua.LTable {
	if t.Metatable != glua.LNil {
		if real := r.libraries[t]; real != nil {
			return real
		}
	}
	return t
}

// writable refuses a raw write to a library's table. The text has no position:
// in Redis the refusal comes from inside a C function.
func (r *Runtime) writable(t *glua.LTable) {
	if t.Metatable != glua.LNil && r.libraries[t] != nil {
		r.throw(glua.LString(readonlyText))
	}
}

// newTable is a table with room for that many array and string-keyed entries.
func newTable(array, fields int) *glua.LTable {
	var anyState *glua.LState // CreateTable does not look at its receiver
	return anyState.CreateTable(array, fields)
}

// metamethod is a value's own handler of an event, nil when it has none.
func metamethod(L *glua.LState, v glua.LValue, event string) glua.LValue {
	t, ok := v.(*glua.LTable)
	if !ok {
		return glua.LNil
	}
	meta, ok := t.Metatable.(*glua.LTable)
	if !ok {
		return glua.LNil
	}
	return meta.RawGetString(event)
}

// library is a table of functions under its name.
func (r *Runtime) library(name string, functions map[string]glua.LGFunction) *glua.LTable {
	t := newTable(0, len(functions))
	for key, fn := range functions {
		t.RawSetString(key, r.state.NewFunction(fn))
	}
	r.globals.RawSetString(name, r.guard(t))
	return t
}

// openLibraries makes the globals that scripts see.
func (r *Runtime) openLibraries() {
	L := r.state
	r.globals = newTable(0, 64)
	r.guarded = r.guard(r.globals)
	meta := newTable(0, 1)
	meta.RawSetString("__index", L.NewFunction(r.refuseGlobal))
	r.globals.Metatable = meta
	L.G.Global, L.Env = r.guarded, r.guarded

	r.globals.RawSetString("_G", r.guarded)
	r.globals.RawSetString("_VERSION", glua.LString(glua.LuaVersion))
	r.openBase()
	r.openString()
	r.openTable()
	r.openMath()
	r.openCoroutine()
	r.openRedis()
	r.openCJSON()
	r.openCMsgpack()
	r.openStruct()
	r.openBit()
}
