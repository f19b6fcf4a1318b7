package lua

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// scriptName is how error texts call the script that EVAL was given.
const scriptName = "user_script"

// newScript compiles the text of a script, its "#!lua" line included.
func (r *Runtime) newScript(src string) (*script, error) {
	flags, body, err := readShebang(src)
	if err != nil {
		return nil, err
	}
	fn, err := r.compile(body, scriptName)
	if err != nil {
		return nil, errors.New("ERR Error compiling script (new function): " + err.Error())
	}
	return &script{body: fn, flags: flags}, nil
}

// compile makes a function of a chunk. gopher-lua joins strings without Lua's
// number format and without a bound on the result, so each a..b is turned into
// a call of [Runtime.concatenate] before it sees it. That function, and for
// speed redis.call and redis.pcall, reach the chunk as upvalues under names that
// no script can write.
func (r *Runtime) compile(src, name string) (*glua.LFunction, error) {
	if err := checkSyntax(src, name); err != nil {
		return nil, err
	}
	body, err := parse.Parse(strings.NewReader(src), name)
	if err != nil {
		return nil, parseError(err, name)
	}
	rw := rewriter{}
	rw.block(body)
	if rw.tooDeep {
		return nil, fmt.Errorf("%s:1: chunk has too many syntax levels", name)
	}
	rw.bindCalls()
	proto, err := glua.Compile(enclose(body, rw.varargs), name)
	if err != nil {
		return nil, compileError(err, name)
	}
	return r.function(proto.FunctionPrototypes[0]), nil
}

// function makes the chunk's function, as running the enclosing one would. A
// chunk that assigns to no global may have the real ones for its environment,
// which saves it the way through the stand-in.
func (r *Runtime) function(body *glua.FunctionProto) *glua.LFunction {
	fn := r.state.NewFunctionFromProto(body)
	fn.Env = r.globals
	if assignsGlobals(body) {
		fn.Env = r.guarded
	}
	for i, name := range body.DbgUpvalues {
		fn.Upvalues[i] = r.upvalues[name]
	}
	return fn
}

func assignsGlobals(p *glua.FunctionProto) bool {
	for _, code := range p.Code {
		if instruction(code).op() == glua.OP_SETGLOBAL {
			return true // or the data of a CLOSURE that looks like it: no harm
		}
	}
	return slices.ContainsFunc(p.FunctionPrototypes, assignsGlobals)
}

// Names of the upvalues that each chunk has.
const (
	concatName = "(concat)"
	callName   = "(redis.call)"
	pcallName  = "(redis.pcall)"
)

// enclose puts a chunk into: local (concat), ... = nil; return function(...) chunk end
func enclose(body []ast.Stmt, varargs bool) []ast.Stmt {
	fn := &ast.FunctionExpr{ParList: &ast.ParList{HasVargs: varargs}, Stmts: body}
	if len(body) > 0 {
		last := body[len(body)-1]
		fn.SetLine(body[0].Line())
		fn.SetLastLine(max(last.Line(), last.LastLine()))
	}
	return []ast.Stmt{
		&ast.LocalAssignStmt{Names: []string{concatName, callName, pcallName}},
		&ast.ReturnStmt{Exprs: []ast.Expr{fn}},
	}
}

// concatenate is a..b..c for any number of operands.
func (r *Runtime) concatenate(L *glua.LState) int {
	n := L.GetTop()
	var buf []byte
	var tmp [64]byte
	buf = tmp[:0]
	size := 0
	for i := 1; i <= n; i++ {
		switch v := L.Get(i).(type) {
		case glua.LString:
			size += len(v)
		case glua.LNumber:
			size += 24
		default:
			return r.concatenateByMetamethod(L)
		}
	}
	r.checkLength(L, size)
	if size > len(tmp) {
		buf = make([]byte, 0, size)
	}
	for i := 1; i <= n; i++ {
		switch v := L.Get(i).(type) {
		case glua.LString:
			buf = append(buf, v...)
		case glua.LNumber:
			buf = appendNumber(buf, float64(v))
		}
	}
	L.Push(glua.LString(buf))
	return 1
}

// concatenateByMetamethod joins from the right, as Lua does when an operand is
// neither a string nor a number.
func (r *Runtime) concatenateByMetamethod(L *glua.LState) int {
	n := L.GetTop()
	right := L.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := L.Get(i)
		a, leftOK := toText(left)
		b, rightOK := toText(right)
		if leftOK && rightOK {
			r.checkLength(L, len(a)+len(b))
			right = glua.LString(a + b)
			continue
		}
		op := metamethod(L, left, "__concat")
		if op == glua.LNil {
			op = metamethod(L, right, "__concat")
		}
		if op == glua.LNil {
			bad, at := right, i+1
			if !leftOK {
				bad, at = left, i
			}
			r.fail(L, "%s", r.concatText(L, bad, at))
		}
		L.Push(op)
		L.Push(left)
		L.Push(right)
		L.Call(2, 1)
		right = L.Get(-1)
		L.Pop(1)
	}
	L.Push(right)
	return 1
}

// concatText names the operand at fault by looking at how the caller set up the
// call.
func (r *Runtime) concatText(L *glua.LState, bad glua.LValue, at int) string {
	if f, ok := frameAt(L, 1); ok && !f.fn.IsG {
		ins := instruction(f.fn.Proto.Code[f.pc])
		if kind, name := nameOf(f.fn, f.pc, ins.a()+at); kind != "" {
			return fmt.Sprintf("attempt to concatenate %s '%s' (a %s value)", kind, name, bad.Type())
		}
	}
	return fmt.Sprintf("attempt to concatenate a %s value", bad.Type())
}

// A rewriter walks a chunk and replaces what gopher-lua would do differently.
type rewriter struct {
	depth   int
	inner   int  // functions around the present node
	varargs bool // the chunk itself uses ...
	tooDeep bool

	calls    []*ast.FuncCallExpr // of what is written redis.call or redis.pcall
	shadowed bool                // a local variable is called redis
}

const redisName = "redis"

// declare notes the names of local variables.
func (rw *rewriter) declare(names ...string) {
	rw.shadowed = rw.shadowed || slices.Contains(names, redisName)
}

// noteCall remembers a call for bindCalls.
func (rw *rewriter) noteCall(e *ast.FuncCallExpr) {
	attr, ok := e.Func.(*ast.AttrGetExpr)
	if !ok {
		return
	}
	table, ok := attr.Object.(*ast.IdentExpr)
	if ok && table.Value == redisName && upvalueFor(attr) != "" {
		rw.calls = append(rw.calls, e)
	}
}

func upvalueFor(attr *ast.AttrGetExpr) string {
	if key, ok := attr.Key.(*ast.StringExpr); ok {
		switch key.Value {
		case "call":
			return callName
		case "pcall":
			return pcallName
		}
	}
	return ""
}

// bindCalls lets calls of redis.call and redis.pcall go to the function without
// looking it up; nothing can change what the two names mean, save a local
// variable.
func (rw *rewriter) bindCalls() {
	if rw.shadowed {
		return
	}
	for _, call := range rw.calls {
		fn := &ast.IdentExpr{Value: upvalueFor(call.Func.(*ast.AttrGetExpr))}
		fn.SetLine(call.Func.Line())
		call.Func = fn
	}
}

// maxDepth bounds the nesting of expressions and blocks, long chains of one
// operator included: gopher-lua's compiler recurses on each.
const maxDepth = 4000

func (rw *rewriter) enter() bool {
	rw.depth++
	if rw.depth > maxDepth {
		rw.tooDeep = true
	}
	return !rw.tooDeep
}

func (rw *rewriter) block(stmts []ast.Stmt) {
	if rw.enter() {
		for _, s := range stmts {
			rw.stmt(s)
		}
	}
	rw.depth--
}

func (rw *rewriter) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		rw.exprs(s.Lhs)
		rw.exprs(s.Rhs)
	case *ast.LocalAssignStmt:
		rw.declare(s.Names...)
		rw.exprs(s.Exprs)
	case *ast.FuncCallStmt:
		s.Expr = rw.expr(s.Expr)
	case *ast.DoBlockStmt:
		rw.block(s.Stmts)
	case *ast.WhileStmt:
		s.Condition = rw.expr(s.Condition)
		rw.block(s.Stmts)
	case *ast.RepeatStmt:
		s.Condition = rw.expr(s.Condition)
		rw.block(s.Stmts)
	case *ast.IfStmt:
		s.Condition = rw.expr(s.Condition)
		rw.block(s.Then)
		rw.block(s.Else)
	case *ast.NumberForStmt:
		rw.declare(s.Name)
		s.Init, s.Limit = rw.expr(s.Init), rw.expr(s.Limit)
		if s.Step != nil {
			s.Step = rw.expr(s.Step)
		}
		rw.block(s.Stmts)
	case *ast.GenericForStmt:
		rw.declare(s.Names...)
		rw.exprs(s.Exprs)
		rw.block(s.Stmts)
	case *ast.FuncDefStmt:
		s.Name.Func = rw.optional(s.Name.Func)
		s.Name.Receiver = rw.optional(s.Name.Receiver)
		rw.expr(s.Func)
	case *ast.ReturnStmt:
		rw.exprs(s.Exprs)
	}
}

func (rw *rewriter) exprs(list []ast.Expr) {
	for i := range list {
		list[i] = rw.expr(list[i])
	}
}

func (rw *rewriter) optional(e ast.Expr) ast.Expr {
	if e == nil {
		return nil
	}
	return rw.expr(e)
}

func (rw *rewriter) expr(e ast.Expr) ast.Expr {
	defer func() { rw.depth-- }()
	if !rw.enter() {
		return e
	}
	switch e := e.(type) {
	case *ast.Comma3Expr:
		if rw.inner == 0 {
			rw.varargs = true
		}
	case *ast.AttrGetExpr:
		e.Object, e.Key = rw.expr(e.Object), rw.expr(e.Key)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			f.Key, f.Value = rw.optional(f.Key), rw.expr(f.Value)
		}
	case *ast.FuncCallExpr:
		e.Func, e.Receiver = rw.optional(e.Func), rw.optional(e.Receiver)
		rw.exprs(e.Args)
		rw.noteCall(e)
	case *ast.LogicalOpExpr:
		e.Lhs, e.Rhs = rw.expr(e.Lhs), rw.expr(e.Rhs)
	case *ast.RelationalOpExpr:
		e.Lhs, e.Rhs = rw.expr(e.Lhs), rw.expr(e.Rhs)
	case *ast.ArithmeticOpExpr:
		e.Lhs, e.Rhs = rw.expr(e.Lhs), rw.expr(e.Rhs)
		e.SetLine(max(e.Line(), lastLine(e.Rhs))) // where Lua says that it fails
	case *ast.UnaryMinusOpExpr:
		e.Expr = rw.expr(e.Expr)
	case *ast.UnaryNotOpExpr:
		e.Expr = rw.expr(e.Expr)
	case *ast.UnaryLenOpExpr:
		e.Expr = rw.expr(e.Expr)
	case *ast.FunctionExpr:
		rw.declare(e.ParList.Names...)
		rw.inner++
		rw.block(e.Stmts)
		rw.inner--
	case *ast.StringConcatOpExpr:
		return rw.concat(e)
	}
	return e
}

// concat flattens a..b..c, which nests to the right, into one call.
func (rw *rewriter) concat(e *ast.StringConcatOpExpr) ast.Expr {
	fn := &ast.IdentExpr{Value: concatName}
	fn.SetLine(e.Line())
	call := &ast.FuncCallExpr{Func: fn, AdjustRet: true}
	for {
		call.Args = append(call.Args, rw.expr(e.Lhs))
		right, ok := e.Rhs.(*ast.StringConcatOpExpr)
		if !ok {
			call.Args = append(call.Args, single(rw.expr(e.Rhs)))
			call.SetLine(max(e.Line(), lastLine(e.Rhs)))
			return call
		}
		e = right
	}
}

func lastLine(e ast.Expr) int { return max(e.Line(), e.LastLine()) }

// single keeps a call in the last place from giving more than one value.
func single(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
	return e
}

// parseError gives an error of gopher-lua's parser the form of Lua's. It is
// reached by what checkSyntax lets through, if anything.
func parseError(err error, name string) error {
	var e *parse.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s:1: %s", name, strings.TrimSpace(err.Error()))
	}
	return fmt.Errorf("%s:%d: %s near '%s'", name, max(1, e.Pos.Line), e.Message, e.Token)
}

var compileErrorForm = regexp.MustCompile(`(?s)^compile error near line\((\d+)\) .*?: (.*)$`)

func compileError(err error, name string) error {
	m := compileErrorForm.FindStringSubmatch(strings.TrimSpace(err.Error()))
	if m == nil {
		return fmt.Errorf("%s:1: %s", name, err)
	}
	return fmt.Errorf("%s:%s: %s", name, m[1], m[2])
}
