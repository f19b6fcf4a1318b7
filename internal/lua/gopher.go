package lua

import (
	"reflect"
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// This file holds what the package needs of gopher-lua and gopher-lua does not
// offer. Each item says which of its fields it looks at; a release of
// gopher-lua that renames one fails [New] in the first test.

// MaxArrayIndex bounds the array that gopher-lua makes of a table with positive
// integer keys, however sparse: t[1<<26]=1 would fill a gigabyte with nil. It
// is gopher-lua's only knob for that, shared by the whole process.
func init() { glua.MaxArrayIndex = 1 << 22 }

// errorFuncOffset is where LState keeps hasErrorFunc. gopher-lua closes the
// upvalues of all living functions when an error arises while that is false,
// which cuts the caller's local variables off from its closures; it sets it
// inside a PCall that has a handler, and clears it when the first such PCall
// ends, even an inner one.
var errorFuncOffset = func() uintptr {
	f, ok := reflect.TypeFor[glua.LState]().FieldByName("hasErrorFunc")
	if !ok || f.Type.Kind() != reflect.Bool {
		panic("lua: this release of gopher-lua has no LState.hasErrorFunc")
	}
	return f.Offset
}()

// protectedCall is L.PCall, save that an enclosing protected call stays one.
// The caller must be a Lua function that returns next: returning closes the
// upvalues that the failed functions have left open.
func protectedCall(L *glua.LState, nargs int, handler *glua.LFunction) error {
	flag := (*bool)(unsafe.Add(unsafe.Pointer(L), errorFuncOffset))
	enclosed := *flag
	err := L.PCall(nargs, glua.MultRet, handler)
	*flag = enclosed
	return err
}

// A frame is one active function, as gopher-lua's Debug hides it.
type frame struct {
	debug *glua.Debug
	fn    *glua.LFunction
	pc    int // index of the instruction being executed, -1 for a Go function
	line  int // 0 for a Go function
}

// frameAt is the active function at a level: 0 is the running one, 1 its
// caller. The Lua around an enclosed function does not count. ok is false beyond the first.
func frameAt(L *glua.LState, level int) (f frame, ok bool) {
	for at := 0; ; at++ {
		f, ok = anyFrameAt(L, at)
		if !ok {
			return f, false
		}
		if !f.fn.IsG && f.fn.Proto.SourceName == enclosedName {
			continue
		}
		if level == 0 {
			return f, true
		}
		level--
	}
}

func anyFrameAt(L *glua.LState, level int) (f frame, ok bool) {
	debug, ok := L.GetStack(level)
	if !ok {
		return f, false
	}
	v, err := L.GetInfo("fl", debug, nil)
	fn, isFunction := v.(*glua.LFunction)
	if err != nil || !isFunction {
		return f, false
	}
	f = frame{debug: debug, fn: fn, pc: -1}
	if fn.IsG {
		return f, true
	}
	pc := reflect.ValueOf(debug).Elem().FieldByName("frame").Elem().FieldByName("Pc")
	f.pc = int(pc.Int()) - 1
	f.line = debug.CurrentLine
	return f, true
}

// register is the value of one of the frame's registers.
func (f frame) register(L *glua.LState, reg int) glua.LValue {
	_, v := L.GetLocal(f.debug, reg+1)
	return v
}

// Instructions of gopher-lua are 32 bits: opcode 6, A 8, C 9, B 9, from the top;
// or opcode, A, Bx 18. An operand of 9 bits with the top bit set is a constant.
type instruction uint32

const constantBit = 1 << 8

func (i instruction) op() int  { return int(i >> 26) }
func (i instruction) a() int   { return int(i>>18) & 0xff }
func (i instruction) b() int   { return int(i & 0x1ff) }
func (i instruction) c() int   { return int(i>>9) & 0x1ff }
func (i instruction) bx() int  { return int(i & 0x3ffff) }
func (i instruction) sbx() int { return i.bx() - (1<<18-1)>>1 }

// setter is the instruction, before pc, that gave a register the value it has
// at pc; -1 when it is a parameter or depends on a branch. It is the search of
// Lua 5.1's ldebug.c, symbexec.
func setter(p *glua.FunctionProto, pc, reg int) int {
	last := -1
	target := 0 // code before it may have been jumped over
	for i := 0; i < pc; i++ {
		ins := instruction(p.Code[i])
		sets := false
		switch a := ins.a(); ins.op() {
		case glua.OP_SETGLOBAL, glua.OP_SETUPVAL, glua.OP_SETTABLE, glua.OP_SETTABLEKS, glua.OP_EQ, glua.OP_LT,
			glua.OP_LE, glua.OP_TEST, glua.OP_RETURN, glua.OP_SETLIST, glua.OP_CLOSE, glua.OP_NOP:
		case glua.OP_JMP, glua.OP_FORPREP:
			if dest := i + 1 + ins.sbx(); i < dest && dest <= pc && dest > target {
				target = dest
			}
		case glua.OP_LOADNIL:
			sets = a <= reg && reg <= ins.b()
		case glua.OP_SELF:
			sets = reg == a || reg == a+1
		case glua.OP_CALL, glua.OP_TAILCALL, glua.OP_VARARG:
			sets = reg >= a
		case glua.OP_TFORLOOP:
			sets = reg >= a+2
		case glua.OP_FORLOOP:
			sets = reg >= a && reg <= a+3
		case glua.OP_CLOSURE:
			sets = reg == a
			i += int(p.FunctionPrototypes[ins.bx()].NumUpvalues) // pseudo-instructions
		default:
			sets = reg == a
		}
		if sets {
			last = i
			if i < target {
				last = -1
			}
		}
	}
	return last
}

// nameOf says what a register holds, in the words of Lua's error texts: local
// 'x', global 'x', field 'x', upvalue 'x', method 'x'. kind is empty when the
// value has no name.
func nameOf(fn *glua.LFunction, pc, reg int) (kind, name string) {
	if name := localName(fn.Proto, pc, reg); name != "" {
		return "local", name
	}
	p := fn.Proto
	at := setter(p, pc, reg)
	if at < 0 {
		return "", ""
	}
	switch ins := instruction(p.Code[at]); ins.op() {
	case glua.OP_GETGLOBAL:
		return "global", p.Constants[ins.bx()].String()
	case glua.OP_MOVE, glua.OP_MOVEN:
		if ins.b() < ins.a() {
			return nameOf(fn, at, ins.b())
		}
	case glua.OP_GETTABLE, glua.OP_GETTABLEKS:
		return "field", constantName(p, ins.c())
	case glua.OP_GETUPVAL:
		return "upvalue", p.DbgUpvalues[ins.b()]
	case glua.OP_SELF:
		return "method", constantName(p, ins.c())
	}
	return "", ""
}

// localName is the local variable that lives in a register at pc. LocalName of
// gopher-lua misses one that the instruction before has made.
func localName(p *glua.FunctionProto, pc, reg int) string {
	for _, v := range p.DbgLocals {
		if v.StartPc > pc {
			break
		}
		if pc <= v.EndPc { // which is the scope's last instruction
			if reg == 0 {
				return v.Name
			}
			reg--
		}
	}
	return ""
}

func constantName(p *glua.FunctionProto, operand int) string {
	if operand&constantBit != 0 {
		if s, ok := p.Constants[operand&^constantBit].(glua.LString); ok {
			return string(s)
		}
	}
	return "?"
}
