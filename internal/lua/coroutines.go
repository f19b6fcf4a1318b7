package lua

import (
	"errors"

	glua "github.com/yuin/gopher-lua"
)

// openCoroutine makes the coroutine library. gopher-lua's does the switching;
// around it, errors get Lua's words and a new thread no context of its own,
// which nobody would cancel.
func (r *Runtime) openCoroutine() {
	other := glua.NewState(glua.Options{SkipOpenLibs: true}) // opening a library writes globals
	defer other.Close()
	glua.OpenCoroutine(other)
	theirs := other.Get(-1).(*glua.LTable)
	original := func(name string) glua.LGFunction { return theirs.RawGetString(name).(*glua.LFunction).GFunction }
	co := coroutines{
		r:      r,
		create: original("create"),
		resume: original("resume"),
	}
	t := r.library("coroutine", map[string]glua.LGFunction{
		"create":  co.createThread,
		"resume":  co.resumeThread,
		"running": original("running"),
		"status":  co.status,
		"wrap":    co.wrap,
	})
	// gopher-lua cannot resume a function that ended with "return yield()"; it
	// can when Lua stands between.
	t.RawSetString("yield", r.enclosed(co.yield))
}

type coroutines struct {
	r              *Runtime
	create, resume glua.LGFunction
}

func (co coroutines) createThread(L *glua.LState) int {
	r := co.r
	if fn, ok := L.Get(1).(*glua.LFunction); !ok || fn.IsG {
		r.argError(L, 1, "Lua function expected")
	}
	ctx := L.Context()
	if ctx == nil {
		return co.create(L)
	}
	L.RemoveContext()
	n := co.create(L)
	L.SetContext(ctx)
	L.Get(-1).(*glua.LState).SetContext(ctx)
	return n
}

func (co coroutines) resumeThread(L *glua.LState) int {
	th, ok := L.Get(1).(*glua.LState)
	if !ok {
		co.r.argError(L, 1, "coroutine expected")
	}
	return co.resumeAt(L, th)
}

// resumeAt resumes th, which is L's first argument, and leaves the results of
// coroutine.resume on L's stack.
func (co coroutines) resumeAt(L, th *glua.LState) int {
	if status := co.statusOf(L, th); status != "suspended" {
		L.Push(glua.LFalse)
		L.Push(glua.LString("cannot resume " + status + " coroutine"))
		return 2
	}
	if depth(L) >= maxCoroutineDepth {
		co.r.fail(L, "C stack overflow")
	}
	n := co.resume(L)
	if L.Get(-n) == glua.LFalse {
		co.r.propagate(errors.New(L.Get(-1).String()))
		v := co.r.understoodIn(th, L.Get(-1))
		L.Pop(1)
		L.Push(v)
	}
	return n
}

// maxCoroutineDepth is how many coroutines may resume one another; Lua's
// LUAI_MAXCCALLS.
const maxCoroutineDepth = 200

func depth(L *glua.LState) (n int) {
	for ; L.Parent != nil; L = L.Parent {
		n++
	}
	return n
}

func (co coroutines) wrap(L *glua.LState) int {
	n := co.createThread(L)
	th := L.Get(-1)
	L.Pop(n)
	L.Push(L.NewClosure(co.resumeWrapped, th))
	return 1
}

func (co coroutines) resumeWrapped(L *glua.LState) int {
	th := L.Get(glua.UpvalueIndex(1)).(*glua.LState)
	L.Insert(th, 1)
	n := co.resumeAt(L, th)
	if L.Get(-n) == glua.LFalse {
		v := L.Get(-1)
		if text, ok := toText(v); ok {
			v = glua.LString(position(L, 1) + text)
		}
		co.r.throw(v)
	}
	return n - 1
}

func (co coroutines) status(L *glua.LState) int {
	th, ok := L.Get(1).(*glua.LState)
	if !ok {
		co.r.argError(L, 1, "coroutine expected")
	}
	L.Push(glua.LString(co.statusOf(L, th)))
	return 1
}

func (co coroutines) statusOf(L, th *glua.LState) string {
	for up := L.Parent; up != nil; up = up.Parent {
		if up == th {
			return "normal"
		}
	}
	switch {
	case th == L:
		return "running"
	case th.Dead:
		return "dead"
	}
	return "suspended"
}

func (co coroutines) yield(L *glua.LState) int {
	if !mayYield(L) {
		co.r.throw(glua.LString("attempt to yield across metamethod/C-call boundary"))
	}
	return -1
}

// mayYield tells whether only calls of Lua by Lua lie between the running
// function and the beginning of its coroutine. gopher-lua would yield in the
// midst of a library function or metamethod too, and lose its place.
func mayYield(L *glua.LState) bool {
	if L.Parent == nil {
		return false
	}
	for level := 1; ; level++ {
		f, ok := anyFrameAt(L, level)
		if !ok {
			return true
		}
		if f.fn.IsG {
			return false
		}
		op := instruction(f.fn.Proto.Code[f.pc]).op()
		if op != glua.OP_CALL && op != glua.OP_TAILCALL {
			return false
		}
	}
}
