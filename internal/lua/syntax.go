package lua

import "fmt"

// checkSyntax reads a chunk by the grammar of Lua 5.1 and complains in Lua's
// words (lparser.c). gopher-lua's parser comes after it: that one knows later
// Lua's goto and has other words, and its compiler recurses as deep as a chunk
// nests, which is bounded here.
func checkSyntax(src, name string) (err error) {
	defer func() {
		if e := recover(); e != nil {
			complaint, ok := e.(syntaxError)
			if !ok {
				panic(e)
			}
			err = complaint
		}
	}()
	c := checker{lexer: lexer{name: name, src: src, line: 1}}
	c.fn = &functionScope{varargs: true}
	c.advance()
	c.chunk()
	c.expect(tokenEOF)
	return nil
}

// A checker is a parser that builds nothing.
type checker struct {
	lexer
	token    token
	ahead    token // the token after, when it has been looked at
	lastLine int   // of the token before
	levels   int   // nested chunks and expressions
	fn       *functionScope
}

type functionScope struct {
	varargs bool
	loops   int // around the present statement
	locals  int // variables that are visible
	line    int // where the function begins; 0 for the chunk
}

// declare consumes the name of a local variable.
func (c *checker) declare() {
	c.consume(tokenName)
	c.declareHidden(1)
}

// declareHidden makes room for variables; loops have some without a name.
func (c *checker) declareHidden(n int) {
	if c.fn.locals += n; c.fn.locals <= maxLocals {
		return
	}
	where := "main function"
	if c.fn.line > 0 {
		where = fmt.Sprintf("function at line %d", c.fn.line)
	}
	c.fail(noToken, "%s has more than %d local variables", where, maxLocals)
}

// Lua's limits.
const (
	maxLevels = 200 // LUAI_MAXCCALLS
	maxLocals = 200 // LUAI_MAXVARS
)

func (c *checker) advance() {
	c.lastLine = c.line
	if c.ahead != noToken {
		c.token, c.ahead = c.ahead, noToken
		return
	}
	c.token = c.next()
}

func (c *checker) syntaxError(format string, args ...any) { c.fail(c.token, format, args...) }

func (c *checker) expect(t token) {
	if c.token != t {
		c.syntaxError("'%s' expected", t)
	}
}

func (c *checker) accept(t token) bool {
	if c.token != t {
		return false
	}
	c.advance()
	return true
}

func (c *checker) consume(t token) {
	c.expect(t)
	c.advance()
}

// closing consumes what ends a construct that began with opened on a line.
func (c *checker) closing(t, opened token, line int) {
	if c.token != t && line != c.line {
		c.syntaxError("'%s' expected (to close '%s' at line %d)", t, opened, line)
	}
	c.consume(t)
}

func (c *checker) enter() {
	if c.levels++; c.levels > maxLevels {
		c.fail(noToken, "chunk has too many syntax levels")
	}
}

func (c *checker) leave() { c.levels-- }

// chunk is a run of statements, up to what ends a block.
func (c *checker) chunk() {
	c.enter()
	visible := c.fn.locals
	for last := false; !last && !c.blockEnds(); {
		last = c.statement()
		c.accept(';')
	}
	c.fn.locals = visible
	c.leave()
}

func (c *checker) blockEnds() bool {
	switch c.token {
	case tokenElse, tokenElseif, tokenEnd, tokenUntil, tokenEOF:
		return true
	}
	return false
}

// statement tells whether it has to be the last of its block.
func (c *checker) statement() (last bool) {
	line := c.line
	switch c.token {
	case tokenIf:
		c.ifStatement(line)
	case tokenWhile:
		c.advance()
		c.expression()
		c.consume(tokenDo)
		c.loop()
		c.closing(tokenEnd, tokenWhile, line)
	case tokenDo:
		c.advance()
		c.chunk()
		c.closing(tokenEnd, tokenDo, line)
	case tokenFor:
		c.forStatement(line)
	case tokenRepeat:
		c.advance()
		c.loop()
		c.closing(tokenUntil, tokenRepeat, line)
		c.expression()
	case tokenFunction:
		c.functionStatement(line)
	case tokenLocal:
		c.advance()
		if c.accept(tokenFunction) {
			c.declare()
			c.body(line)
		} else {
			c.localStatement()
		}
	case tokenReturn:
		c.advance()
		if !c.blockEnds() && c.token != ';' {
			c.expressions()
		}
		return true
	case tokenBreak:
		c.advance()
		if c.fn.loops == 0 {
			c.syntaxError("no loop to break")
		}
		return true
	default:
		c.expressionStatement()
	}
	return false
}

func (c *checker) loop() {
	c.fn.loops++
	c.chunk()
	c.fn.loops--
}

func (c *checker) ifStatement(line int) {
	for again := true; again; again = c.token == tokenElseif {
		c.advance()
		c.expression()
		c.consume(tokenThen)
		c.chunk()
	}
	if c.accept(tokenElse) {
		c.chunk()
	}
	c.closing(tokenEnd, tokenIf, line)
}

func (c *checker) forStatement(line int) {
	c.advance()
	visible := c.fn.locals
	c.declareHidden(3)
	c.declare()
	switch c.token {
	case '=':
		c.advance()
		c.expression()
		c.consume(',')
		c.expression()
		if c.accept(',') {
			c.expression()
		}
	case ',', tokenIn:
		for c.accept(',') {
			c.declare()
		}
		c.consume(tokenIn)
		c.expressions()
	default:
		c.syntaxError("'=' or 'in' expected")
	}
	c.consume(tokenDo)
	c.loop()
	c.fn.locals = visible
	c.closing(tokenEnd, tokenFor, line)
}

func (c *checker) functionStatement(line int) {
	c.advance()
	c.consume(tokenName)
	for c.accept('.') {
		c.consume(tokenName)
	}
	if c.accept(':') {
		c.consume(tokenName)
	}
	c.body(line)
}

func (c *checker) localStatement() {
	c.declare()
	for c.accept(',') {
		c.declare()
	}
	if c.accept('=') {
		c.expressions()
	}
}

// body is a function from its parameters to its end.
func (c *checker) body(line int) {
	outer := c.fn
	c.fn = &functionScope{line: line}
	c.consume('(')
	if c.token != ')' {
		c.parameters()
	}
	c.consume(')')
	c.chunk()
	c.closing(tokenEnd, tokenFunction, line)
	c.fn = outer
}

func (c *checker) parameters() {
	for {
		switch c.token {
		case tokenName:
			c.declare()
		case tokenDots:
			c.advance()
			c.fn.varargs = true
			return
		default:
			c.syntaxError("<name> or '...' expected")
		}
		if !c.accept(',') {
			return
		}
	}
}

// What an expression may be used for.
type expressionKind int

const (
	plainExpression expressionKind = iota
	callExpression
	variableExpression
)

func (c *checker) expressionStatement() {
	kind := c.primary()
	if kind == callExpression {
		return
	}
	for {
		if kind != variableExpression {
			c.syntaxError("syntax error")
		}
		if !c.accept(',') {
			break
		}
		kind = c.primary()
	}
	c.consume('=')
	c.expressions()
}

func (c *checker) expressions() {
	c.expression()
	for c.accept(',') {
		c.expression()
	}
}

func (c *checker) expression() { c.operators(0) }

// Priorities of the binary operators; the right one is lower for those that
// group to the right.
var priorities = map[token]struct{ left, right int }{
	'+': {6, 6}, '-': {6, 6}, '*': {7, 7}, '/': {7, 7}, '%': {7, 7},
	'^': {10, 9}, tokenConcat: {5, 4},
	tokenNe: {3, 3}, tokenEq: {3, 3}, '<': {3, 3}, tokenLe: {3, 3}, '>': {3, 3}, tokenGe: {3, 3},
	tokenAnd: {2, 2}, tokenOr: {1, 1},
}

const unaryPriority = 8

// operators reads an expression whose operators bind tighter than limit.
func (c *checker) operators(limit int) {
	c.enter()
	switch c.token {
	case tokenNot, '-', '#':
		c.advance()
		c.operators(unaryPriority)
	default:
		c.simple()
	}
	for {
		p, ok := priorities[c.token]
		if !ok || p.left <= limit {
			break
		}
		c.advance()
		c.operators(p.right)
	}
	c.leave()
}

func (c *checker) simple() {
	switch c.token {
	case tokenNumber, tokenString, tokenNil, tokenTrue, tokenFalse:
		c.advance()
	case tokenDots:
		if !c.fn.varargs {
			c.syntaxError("cannot use '...' outside a vararg function")
		}
		c.advance()
	case '{':
		c.constructor()
	case tokenFunction:
		line := c.line
		c.advance()
		c.body(line)
	default:
		c.primary()
	}
}

// primary is a name or a parenthesis with what is indexed and called of it.
func (c *checker) primary() (kind expressionKind) {
	switch c.token {
	case tokenName:
		c.advance()
		kind = variableExpression
	case '(':
		line := c.line
		c.advance()
		c.expression()
		c.closing(')', '(', line)
	default:
		c.syntaxError("unexpected symbol")
	}
	for {
		switch c.token {
		case '.':
			c.advance()
			c.consume(tokenName)
			kind = variableExpression
		case '[':
			c.advance()
			c.expression()
			c.consume(']')
			kind = variableExpression
		case ':':
			c.advance()
			c.consume(tokenName)
			c.arguments()
			kind = callExpression
		case '(', tokenString, '{':
			c.arguments()
			kind = callExpression
		default:
			return kind
		}
	}
}

func (c *checker) arguments() {
	line := c.line
	switch c.token {
	case '(':
		if line != c.lastLine {
			c.syntaxError("ambiguous syntax (function call x new statement)")
		}
		c.advance()
		if c.token != ')' {
			c.expressions()
		}
		c.closing(')', '(', line)
	case '{':
		c.constructor()
	case tokenString:
		c.advance()
	default:
		c.syntaxError("function arguments expected")
	}
}

func (c *checker) constructor() {
	line := c.line
	c.consume('{')
	for c.token != '}' {
		c.field()
		if !c.accept(',') && !c.accept(';') {
			break
		}
	}
	c.closing('}', '{', line)
}

func (c *checker) field() {
	switch c.token {
	case tokenName:
		name := string(c.buf)
		c.ahead = c.next()
		if c.ahead != '=' {
			if c.ahead != tokenName && c.ahead != tokenNumber && c.ahead != tokenString {
				c.buf = append(c.buf[:0], name...)
			}
			c.expression()
			return
		}
		c.advance()
	case '[':
		c.advance()
		c.expression()
		c.consume(']')
	default:
		c.expression()
		return
	}
	c.consume('=')
	c.expression()
}
