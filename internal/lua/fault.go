package lua

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"limpet/resp"

	glua "github.com/yuin/gopher-lua"
)

// throw ends the running Go function with an error value, without the position
// that Lua's error puts in front of text.
func (r *Runtime) throw(v glua.LValue) {
	r.raised = true
	panic(&glua.ApiError{Type: glua.ApiErrorRun, Object: v})
}

// fail ends the running Go function with a text that says where it was called;
// it is luaL_error.
func (r *Runtime) fail(L *glua.LState, format string, args ...any) {
	r.throw(glua.LString(position(L, 1) + fmt.Sprintf(format, args...)))
}

// position is "chunk:line: " of the Lua function at a level, empty for a Go
// function.
func position(L *glua.LState, level int) string {
	f, ok := frameAt(L, level)
	if !ok || f.fn.IsG {
		return ""
	}
	return f.fn.Proto.SourceName + ":" + strconv.Itoa(f.line) + ": "
}

// argError ends the running Go function with Lua's complaint about its n-th
// argument.
func (r *Runtime) argError(L *glua.LState, n int, what string) {
	name := "?"
	if f, ok := frameAt(L, 1); ok && !f.fn.IsG {
		ins := instruction(f.fn.Proto.Code[f.pc])
		if op := ins.op(); op == glua.OP_CALL || op == glua.OP_TAILCALL {
			kind, called := nameOf(f.fn, f.pc, ins.a())
			if kind != "" {
				name = called
			}
			if kind == "method" {
				n-- // do not count self
				if n == 0 {
					r.fail(L, "calling '%s' on bad self (%s)", name, what)
				}
			}
		}
	}
	r.fail(L, "bad argument #%d to '%s' (%s)", n, name, what)
}

func (r *Runtime) typeError(L *glua.LState, n int, expected string) {
	got := "no value"
	if n <= L.GetTop() {
		got = L.Get(n).Type().String()
	}
	r.argError(L, n, expected+" expected, got "+got)
}

// propagate goes on with a panic of the Caller, which gopher-lua takes for an
// error that scripts may catch.
func (r *Runtime) propagate(err error) {
	if r.outside {
		text := err.Error()
		if !strings.HasPrefix(text, panicPrefix) { // not on its way already
			text = panicPrefix + text
		}
		panic(text)
	}
}

const panicPrefix = "lua: a command panicked: "

// onUncaught sees each error that a script does not catch, while the failed
// functions are still on the stack. It is Redis's __redis__err__handler.
func (r *Runtime) onUncaught(L *glua.LState) int {
	v := r.understood(L, L.Get(1))
	f, ok := frameAt(L, 1)
	if ok && f.fn.IsG {
		f, ok = frameAt(L, 2)
	}
	switch {
	case !ok:
	case f.fn.IsG:
		r.source, r.line = "=[C]", -1
	default:
		r.source, r.line = r.chunkName(f.fn.Proto.SourceName), f.line
	}
	L.Push(v)
	return 1
}

// onCaught sees each error that pcall catches.
func (r *Runtime) onCaught(L *glua.LState) int {
	L.Push(r.understood(L, L.Get(1)))
	return 1
}

// understood puts an error of gopher-lua into the words of Lua.
func (r *Runtime) understood(L *glua.LState, v glua.LValue) glua.LValue {
	ours := r.raised
	r.raised = false
	text, ok := v.(glua.LString)
	if ours || !ok {
		return v
	}
	return r.understoodAt(L, 1, v, string(text))
}

// understoodIn is understood for an error that has ended a coroutine.
func (r *Runtime) understoodIn(th *glua.LState, v glua.LValue) glua.LValue {
	ours := r.raised
	r.raised = false
	text, ok := v.(glua.LString)
	if ours || !ok {
		return v
	}
	return r.understoodAt(th, 0, v, string(text))
}

func (r *Runtime) understoodAt(L *glua.LState, level int, v glua.LValue, text string) glua.LValue {
	f, ok := frameAt(L, level)
	if !ok || f.fn.IsG {
		return v
	}
	where := f.fn.Proto.SourceName + ":" + strconv.Itoa(f.line) + ":"
	message, ok := strings.CutPrefix(text, where)
	if !ok {
		return v
	}
	return glua.LString(where + " " + r.reword(L, f, strings.TrimPrefix(message, " ")))
}

// reword gives Lua 5.1's text for one of gopher-lua's, which arose at f.
func (r *Runtime) reword(L *glua.LState, f frame, message string) string {
	ins := instruction(f.fn.Proto.Code[f.pc])
	switch {
	case strings.HasPrefix(message, "attempt to index a non-table object("):
		reg := ins.b()
		if op := ins.op(); op == glua.OP_SETTABLE || op == glua.OP_SETTABLEKS {
			reg = ins.a()
		}
		return wrongOperand(L, f, "index", reg)
	case message == "attempt to call a non-function object":
		reg := ins.a()
		if ins.op() == glua.OP_TFORLOOP {
			return "attempt to call a " + f.register(L, reg).Type().String() + " value"
		}
		return wrongOperand(L, f, "call", reg)
	case strings.HasPrefix(message, "cannot perform "):
		reg := ins.b()
		if _, ok := toNumber(operand(L, f, reg)); ok {
			reg = ins.c()
		}
		return wrongOperand(L, f, "perform arithmetic on", reg)
	case message == "__unm undefined":
		return wrongOperand(L, f, "perform arithmetic on", ins.b())
	case message == "__len undefined":
		return wrongOperand(L, f, "get length of", ins.b())
	case strings.HasPrefix(message, "attempt to compare "):
		return compareText(strings.TrimPrefix(message, "attempt to compare "))
	case strings.HasPrefix(message, "for statement "):
		what, _, _ := strings.Cut(strings.TrimPrefix(message, "for statement "), " ")
		if what == "init" {
			what = "initial value"
		}
		return "'for' " + what + " must be a number"
	case rewordOverflow(message) != message:
		return rewordOverflow(message)
	case strings.HasPrefix(message, "too many recursions in "):
		return "loop in " + strings.TrimPrefix(message, "too many recursions in ")
	}
	return message
}

// interrupted tells whether the run's context is done. From then on each
// instruction fails, so whatever a script catches, the run soon ends; its error
// is the context's.
func (r *Runtime) interrupted() bool {
	return r.opts.Context != nil && r.opts.Context.Err() != nil
}

// rewordOverflow calls any full stack of gopher-lua's what Lua calls it.
func rewordOverflow(message string) string {
	for _, theirs := range []string{"registry overflow", "lua callstack overflow"} {
		message = strings.Replace(message, theirs, "stack overflow", 1)
	}
	return message
}

func compareText(types string) string {
	left, right, _ := strings.Cut(types, " with ")
	if left == right {
		return "attempt to compare two " + left + " values"
	}
	return "attempt to compare " + left + " with " + right
}

// operand is the value of a register or constant operand.
func operand(L *glua.LState, f frame, rk int) glua.LValue {
	if rk&constantBit != 0 {
		return f.fn.Proto.Constants[rk&^constantBit]
	}
	return f.register(L, rk)
}

func wrongOperand(L *glua.LState, f frame, verb string, rk int) string {
	v := operand(L, f, rk)
	if rk&constantBit == 0 {
		if kind, name := nameOf(f.fn, f.pc, rk); kind != "" {
			return fmt.Sprintf("attempt to %s %s '%s' (a %s value)", verb, kind, name, v.Type())
		}
	}
	return fmt.Sprintf("attempt to %s a %s value", verb, v.Type())
}

// writeFault writes the error that ended a run: its text, the script and the
// place.
func (r *Runtime) writeFault(out *resp.Writer, err error, sha string) {
	var v glua.LValue = glua.LString(err.Error())
	if e, ok := err.(*glua.ApiError); ok {
		v = e.Object
	}
	text := rewordOverflow(r.faultText(v))
	if r.interrupted() {
		text = context.Cause(r.opts.Context).Error()
	}
	if m := unhandledForm.FindStringSubmatch(text); m != nil && r.source == "" {
		r.source = "@" + scriptName
		r.line, _ = strconv.Atoi(m[1])
	}
	if r.source != "" {
		text += " script: " + strings.ToLower(sha) + ", on " + r.source + ":" + strconv.Itoa(r.line) + "."
	}
	out.Error(text)
}

// unhandledForm is an error that onUncaught did not see, because the stack was
// full.
var unhandledForm = regexp.MustCompile("^ERR " + scriptName + `:(\d+): `)

func (r *Runtime) faultText(v glua.LValue) string {
	t, ok := v.(*glua.LTable)
	if !ok {
		return "ERR " + tostring(v)
	}
	if text, ok := toText(r.open(t).RawGetString("err")); ok {
		return text
	}
	// Redis 7.0.15 takes the missing text for a pointer and crashes.
	return "ERR unknown error"
}

// chunkName is the name a chunk was loaded under, given the name that errors
// show.
func (r *Runtime) chunkName(shown string) string {
	if shown == scriptName {
		return "@" + scriptName
	}
	if name, ok := r.chunks[shown]; ok {
		return name
	}
	return "=" + shown
}
