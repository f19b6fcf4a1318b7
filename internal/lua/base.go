package lua

import (
	"fmt"
	"math"
	"runtime"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// openBase makes the functions of Lua's base library that Redis leaves.
func (r *Runtime) openBase() {
	L := r.state
	base := map[string]glua.LGFunction{
		"assert":                r.baseAssert,
		"collectgarbage":        r.baseCollectGarbage,
		"error":                 r.baseError,
		"gcinfo":                r.baseGCInfo,
		"getmetatable":          r.baseGetMetatable,
		"load":                  r.baseLoad,
		"loadstring":            r.baseLoadString,
		"next":                  r.baseNext,
		"rawequal":              r.baseRawEqual,
		"rawget":                r.baseRawGet,
		"rawset":                r.baseRawSet,
		"select":                r.baseSelect,
		"setmetatable":          r.baseSetMetatable,
		"tonumber":              r.baseToNumber,
		"tostring":              r.baseToString,
		"type":                  r.baseType,
		"unpack":                r.baseUnpack,
		"__redis__err__handler": r.baseErrorHandler,
	}
	for name, fn := range base {
		r.globals.RawSetString(name, L.NewFunction(fn))
	}
	next := r.globals.RawGetString("next")
	r.globals.RawSetString("pairs", L.NewClosure(r.basePairs, next))
	r.globals.RawSetString("ipairs", L.NewClosure(r.baseIpairs, L.NewFunction(r.ipairsNext)))
	r.globals.RawSetString("pcall", r.enclosed(r.basePCall))
	r.globals.RawSetString("xpcall", r.enclosed(r.baseXPCall))
}

// enclosed is function(...) return pass(call(...)) end. That a Lua function
// stands around a protected call is the condition of [protectedCall].
func (r *Runtime) enclosed(call glua.LGFunction) *glua.LFunction {
	L := r.state
	fn, err := L.LoadString("local call, pass = ... return function(...) return pass(call(...)) end")
	if err == nil {
		err = L.CallByParam(glua.P{Fn: fn, NRet: 1, Protect: true}, L.NewFunction(call), L.NewFunction(pass))
	}
	if err != nil {
		panic(err) // the text is ours
	}
	wrapper := L.Get(-1).(*glua.LFunction)
	L.Pop(1)
	wrapper.Proto.SourceName = enclosedName
	return wrapper
}

// enclosedName marks the Lua functions that are C functions in Redis.
const enclosedName = "[C]"

func pass(L *glua.LState) int { return L.GetTop() }

func (r *Runtime) baseAssert(L *glua.LState) int {
	r.checkAny(L, 1)
	if !glua.LVAsBool(L.Get(1)) {
		r.fail(L, "%s", r.optString(L, 2, "assertion failed!"))
	}
	return L.GetTop()
}

func (r *Runtime) baseCollectGarbage(L *glua.LState) int {
	switch what := r.optString(L, 1, "collect"); what {
	case "count":
		L.Push(glua.LNumber(heapKiB()))
	case "stop", "restart", "collect", "setpause", "setstepmul":
		L.Push(glua.LNumber(0))
	case "step":
		L.Push(glua.LFalse)
	default:
		r.argError(L, 1, "invalid option '"+what+"'")
	}
	return 1
}

func (r *Runtime) baseGCInfo(L *glua.LState) int {
	L.Push(glua.LNumber(math.Floor(heapKiB())))
	return 1
}

func heapKiB() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1024
}

func (r *Runtime) baseError(L *glua.LState) int {
	level := r.optInt(L, 2, 1)
	v := L.Get(1)
	if text, ok := toText(v); ok && level > 0 {
		v = glua.LString(position(L, level) + text)
	}
	r.throw(v)
	return 0
}

// baseErrorHandler is the function through which Redis runs scripts; they can
// see it and call it.
func (r *Runtime) baseErrorHandler(L *glua.LState) int {
	t, ok := L.Get(1).(*glua.LTable)
	if !ok {
		t = newTable(0, 3)
		t.RawSetString("err", glua.LString("ERR "+tostring(L.Get(1))))
	}
	if f, ok := frameAt(L, 1); ok && !f.fn.IsG {
		t.RawSetString("source", glua.LString(r.chunkName(f.fn.Proto.SourceName)))
		t.RawSetString("line", glua.LNumber(f.line))
	}
	L.Push(t)
	return 1
}

func (r *Runtime) baseGetMetatable(L *glua.LState) int {
	r.checkAny(L, 1)
	var meta glua.LValue = glua.LNil
	switch v := L.Get(1).(type) {
	case *glua.LTable:
		meta = r.open(v).Metatable
	case *glua.LUserData:
		meta = v.Metatable
	case glua.LString:
		meta = r.stringMeta
	}
	if t, ok := meta.(*glua.LTable); ok {
		if shown := t.RawGetString("__metatable"); shown != glua.LNil {
			meta = shown
		}
	}
	L.Push(meta)
	return 1
}

func (r *Runtime) baseSetMetatable(L *glua.LState) int {
	t := r.checkTable(L, 1)
	meta := L.Get(2)
	if meta.Type() != glua.LTNil && meta.Type() != glua.LTTable || L.GetTop() < 2 {
		r.argError(L, 2, "nil or table expected")
	}
	r.writable(t)
	if old, ok := t.Metatable.(*glua.LTable); ok && old.RawGetString("__metatable") != glua.LNil {
		r.fail(L, "cannot change a protected metatable")
	}
	t.Metatable = meta
	L.Push(t)
	return 1
}

func (r *Runtime) baseLoad(L *glua.LState) int {
	fn := r.checkFunction(L, 1)
	name := r.optString(L, 2, "=(load)")
	var src strings.Builder
	for {
		L.Push(fn)
		L.Call(0, 1)
		piece := L.Get(-1)
		L.Pop(1)
		text, ok := toText(piece)
		if piece == glua.LNil || ok && text == "" {
			return r.loadChunk(L, src.String(), name)
		}
		if !ok {
			L.Push(glua.LNil)
			L.Push(glua.LString("reader function must return a string"))
			return 2
		}
		r.checkLength(L, src.Len()+len(text))
		src.WriteString(text)
	}
}

func (r *Runtime) baseLoadString(L *glua.LState) int {
	src := r.checkString(L, 1)
	return r.loadChunk(L, src, r.optString(L, 2, src))
}

func (r *Runtime) loadChunk(L *glua.LState, src, name string) int {
	shown := shortSource(name)
	if strings.HasPrefix(src, "\x1bLua") {
		L.Push(glua.LNil)
		L.Push(glua.LString(shown + ": bad header in precompiled chunk"))
		return 2
	}
	if shown != scriptName {
		if r.chunks == nil {
			r.chunks = make(map[string]string)
		}
		r.chunks[shown] = name
	}
	fn, err := r.compile(src, shown)
	if err != nil {
		L.Push(glua.LNil)
		L.Push(glua.LString(err.Error()))
		return 2
	}
	L.Push(fn)
	return 1
}

// shortSource is how error texts show a chunk's name (luaO_chunkid).
func shortSource(name string) string {
	const size = 60 // LUA_IDSIZE
	switch {
	case strings.HasPrefix(name, "="):
		return name[1:min(len(name), size)]
	case strings.HasPrefix(name, "@"):
		name = name[1:]
		if keep := size - len(" '...' ") - 1; len(name) > keep {
			return "..." + name[len(name)-keep:]
		}
		return name
	}
	keep := size - len(` [string "..."] `) - 1
	first, _, cut := strings.Cut(name, "\n")
	if before, _, ok := strings.Cut(first, "\r"); ok {
		first, cut = before, true
	}
	if len(first) > keep {
		first, cut = first[:keep], true
	}
	if cut {
		return `[string "` + first + `..."]`
	}
	return `[string "` + first + `"]`
}

func (r *Runtime) baseNext(L *glua.LState) int {
	t := r.checkTable(L, 1)
	key, value := r.open(t).Next(L.Get(2))
	if key == glua.LNil {
		L.Push(glua.LNil)
		return 1
	}
	L.Push(key)
	L.Push(value)
	return 2
}

func (r *Runtime) basePairs(L *glua.LState) int {
	t := r.checkTable(L, 1)
	L.Push(L.Get(glua.UpvalueIndex(1)))
	L.Push(t)
	L.Push(glua.LNil)
	return 3
}

func (r *Runtime) baseIpairs(L *glua.LState) int {
	t := r.checkTable(L, 1)
	L.Push(L.Get(glua.UpvalueIndex(1)))
	L.Push(t)
	L.Push(boxInt(0))
	return 3
}

func (r *Runtime) ipairsNext(L *glua.LState) int {
	i := r.checkInt(L, 2) + 1
	t := r.open(r.checkTable(L, 1))
	v := t.RawGet(glua.LNumber(i))
	if v == glua.LNil {
		return 0
	}
	L.Push(boxInt(i))
	L.Push(v)
	return 2
}

// basePCall is Redis's pcall: a caught table with an err field becomes that
// text.
func (r *Runtime) basePCall(L *glua.LState) int {
	if what, ok := uncallable(L); ok {
		L.Push(glua.LFalse)
		L.Push(glua.LString("attempt to call a " + what + " value"))
		return 2
	}
	if err := protectedCall(L, L.GetTop()-1, r.caught); err != nil {
		r.propagate(err)
		v := r.caughtValue(err)
		if t, ok := v.(*glua.LTable); ok {
			if text := t.RawGetString("err"); text.Type() == glua.LTString || text.Type() == glua.LTNumber {
				v = text
			}
		}
		L.Push(glua.LFalse)
		L.Push(v)
		return 2
	}
	L.Insert(glua.LTrue, 1)
	return L.GetTop()
}

// uncallable is the type of the first argument when that cannot be called. In
// Redis there is a boolean below the arguments, which pcall() then calls.
func uncallable(L *glua.LState) (what string, ok bool) {
	if L.GetTop() == 0 {
		return "boolean", true
	}
	v := L.Get(1)
	if v.Type() == glua.LTFunction || metamethod(L, v, "__call") != glua.LNil {
		return "", false
	}
	return v.Type().String(), true
}

func (r *Runtime) baseXPCall(L *glua.LState) int {
	r.checkAny(L, 2)
	handler := L.NewClosure(r.onXPCall, L.Get(2))
	L.SetTop(1)
	if err := protectedCall(L, 0, handler); err != nil {
		r.propagate(err)
		L.Push(glua.LFalse)
		L.Push(r.caughtValue(err))
		return 2
	}
	L.Insert(glua.LTrue, 1)
	return L.GetTop()
}

func (r *Runtime) onXPCall(L *glua.LState) int {
	v := r.understood(L, L.Get(1))
	if r.outside {
		L.Push(v) // not an error of Lua
		return 1
	}
	L.Push(L.Get(glua.UpvalueIndex(1)))
	L.Push(v)
	L.Call(1, 1)
	return 1
}

// caughtValue is the error value of a protected call that failed. A full stack
// leaves no room for the handler, so the text may still be gopher-lua's.
func (r *Runtime) caughtValue(err error) glua.LValue {
	r.raised = false
	e, ok := err.(*glua.ApiError)
	if !ok {
		return glua.LString(err.Error())
	}
	if text, ok := e.Object.(glua.LString); ok {
		return glua.LString(rewordOverflow(string(text)))
	}
	return e.Object
}

func (r *Runtime) baseRawEqual(L *glua.LState) int {
	r.checkAny(L, 1)
	r.checkAny(L, 2)
	L.Push(glua.LBool(L.RawEqual(L.Get(1), L.Get(2))))
	return 1
}

func (r *Runtime) baseRawGet(L *glua.LState) int {
	t := r.checkTable(L, 1)
	r.checkAny(L, 2)
	L.Push(r.open(t).RawGet(L.Get(2)))
	return 1
}

func (r *Runtime) baseRawSet(L *glua.LState) int {
	t := r.checkTable(L, 1)
	r.checkAny(L, 2)
	r.checkAny(L, 3)
	r.writable(t)
	r.setRaw(L, t, L.Get(2), L.Get(3))
	L.Push(t)
	return 1
}

// setRaw stores into a table that is known to be writable.
func (r *Runtime) setRaw(L *glua.LState, t *glua.LTable, key, value glua.LValue) {
	switch key := key.(type) {
	case *glua.LNilType:
		r.throw(glua.LString("table index is nil"))
	case glua.LNumber:
		if math.IsNaN(float64(key)) {
			r.throw(glua.LString("table index is NaN"))
		}
	}
	t.RawSet(key, value)
}

func (r *Runtime) baseSelect(L *glua.LState) int {
	n := int64(L.GetTop())
	if s, ok := L.Get(1).(glua.LString); ok && strings.HasPrefix(string(s), "#") {
		L.Push(glua.LNumber(n - 1))
		return 1
	}
	i := r.checkInt(L, 1)
	if i < 0 {
		i = n + i
	} else if i > n {
		i = n
	}
	if i < 1 {
		r.argError(L, 1, "index out of range")
	}
	return int(n - i)
}

func (r *Runtime) baseToNumber(L *glua.LState) int {
	base := r.optInt(L, 2, 10)
	if base == 10 {
		r.checkAny(L, 1)
		if n, ok := L.Get(1).(glua.LNumber); ok {
			L.Push(n)
		} else if n, ok := toNumber(L.Get(1)); ok {
			L.Push(glua.LNumber(n))
		} else {
			L.Push(glua.LNil)
		}
		return 1
	}
	s := r.checkString(L, 1)
	if base < 2 || base > 36 {
		r.argError(L, 2, "base out of range")
	}
	if n, ok := parseInBase(s, base); ok {
		L.Push(glua.LNumber(n))
	} else {
		L.Push(glua.LNil)
	}
	return 1
}

func (r *Runtime) baseToString(L *glua.LState) int {
	r.checkAny(L, 1)
	if s, ok := L.Get(1).(glua.LString); ok {
		L.Push(s)
		return 1
	}
	if op := metamethod(L, L.Get(1), "__tostring"); op != glua.LNil {
		L.Push(op)
		L.Push(L.Get(1))
		L.Call(1, 1)
		return 1
	}
	L.Push(glua.LString(tostring(L.Get(1))))
	return 1
}

// tostring is Lua's text for a value, without its __tostring.
func tostring(v glua.LValue) string {
	switch v := v.(type) {
	case glua.LNumber:
		return numberText(v)
	case *glua.LUserData:
		if v == null {
			return "userdata: (nil)"
		}
		return fmt.Sprintf("userdata: %p", v)
	}
	return v.String()
}

func (r *Runtime) baseType(L *glua.LState) int {
	r.checkAny(L, 1)
	L.Push(typeNames[L.Get(1).Type()])
	return 1
}

// typeNames are the names of types already boxed.
var typeNames = func() (names [glua.LTChannel + 1]glua.LValue) {
	for t := range names {
		names[t] = glua.LString(glua.LValueType(t).String())
	}
	return names
}()

// maxResults is how many values unpack and string.byte may put on the stack;
// Lua's LUAI_MAXCSTACK.
const maxResults = 8000

func (r *Runtime) baseUnpack(L *glua.LState) int {
	t := r.open(r.checkTable(L, 1))
	i := r.optInt(L, 2, 1)
	e := r.optInt(L, 3, t.Len())
	if i > e {
		return 0
	}
	n := e - i + 1
	if n <= 0 || n > maxResults-L.GetTop() {
		r.fail(L, "too many results to unpack")
	}
	for k := i; k <= e; k++ {
		L.Push(t.RawGet(glua.LNumber(k)))
	}
	return n
}
