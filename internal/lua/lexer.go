package lua

import (
	"fmt"
	"strings"
)

// A lexer cuts Lua 5.1 into tokens for [checkSyntax], with the complaints of
// Lua's own (llex.c).
type lexer struct {
	name string // of the chunk, as errors show it
	src  string
	pos  int
	line int

	buf []byte // the text of the last name, number or string, quotes included
}

// A token is a character, or one of the words below.
type token int

const (
	tokenEOF token = iota + 256
	tokenName
	tokenNumber
	tokenString
	tokenConcat // ..
	tokenDots   // ...
	tokenEq
	tokenGe
	tokenLe
	tokenNe
	tokenAnd
	tokenBreak
	tokenDo
	tokenElse
	tokenElseif
	tokenEnd
	tokenFalse
	tokenFor
	tokenFunction
	tokenIf
	tokenIn
	tokenLocal
	tokenNil
	tokenNot
	tokenOr
	tokenRepeat
	tokenReturn
	tokenThen
	tokenTrue
	tokenUntil
	tokenWhile
)

const noToken token = 0

var tokenNames = [...]string{
	"<eof>", "<name>", "<number>", "<string>", "..", "...", "==", ">=", "<=", "~=",
	"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in",
	"local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
}

var keywords = func() map[string]token {
	words := make(map[string]token)
	for t := tokenAnd; t <= tokenWhile; t++ {
		words[t.String()] = t
	}
	return words
}()

func (t token) String() string {
	switch {
	case t >= tokenEOF:
		return tokenNames[t-tokenEOF]
	case t < 32 || t == 127:
		return fmt.Sprintf("char(%d)", int(t))
	}
	return string([]byte{byte(t)})
}

// A syntaxError travels as a panic from where it is found to checkSyntax.
type syntaxError string

func (e syntaxError) Error() string { return string(e) }

// fail complains about what stands at t; noToken leaves that out.
func (l *lexer) fail(t token, format string, args ...any) {
	text := fmt.Sprintf("%s:%d: ", l.name, l.line) + fmt.Sprintf(format, args...)
	if t != noToken {
		near := t.String()
		if t == tokenName || t == tokenNumber || t == tokenString {
			near, _, _ = strings.Cut(string(l.buf), "\x00")
		}
		text += " near '" + near + "'"
	}
	panic(syntaxError(text))
}

// end is what peek gives behind the last byte.
const end = -1

func (l *lexer) peek() int {
	if l.pos < len(l.src) {
		return int(l.src[l.pos])
	}
	return end
}

func (l *lexer) keep() {
	l.buf = append(l.buf, l.src[l.pos])
	l.pos++
}

func isNewline(c int) bool { return c == '\n' || c == '\r' }

// newline skips a line's end, of which \r\n and \n\r are one.
func (l *lexer) newline() {
	old := l.peek()
	l.pos++
	if isNewline(l.peek()) && l.peek() != old {
		l.pos++
	}
	l.line++
}

// next gives the next token.
func (l *lexer) next() token {
	l.buf = l.buf[:0]
	for {
		switch c := l.peek(); c {
		case end:
			return tokenEOF
		case '\n', '\r':
			l.newline()
		case ' ', '\t', '\v', '\f':
			l.pos++
		case '-':
			if l.pos++; l.peek() != '-' {
				return '-'
			}
			l.pos++
			l.comment()
		case '[':
			switch level := l.bracket(); {
			case level >= 0:
				l.longString(level, "unfinished long string")
				return tokenString
			case level == -1:
				return '['
			default:
				l.fail(tokenString, "invalid long string delimiter")
			}
		case '=':
			return l.either('=', tokenEq)
		case '<':
			return l.either('=', tokenLe)
		case '>':
			return l.either('=', tokenGe)
		case '~':
			return l.either('=', tokenNe)
		case '"', '\'':
			l.string(c)
			return tokenString
		case '.':
			return l.dots()
		default:
			return l.word(c)
		}
	}
}

// either is the token of two characters when the second follows, else the
// first alone.
func (l *lexer) either(second int, both token) token {
	first := token(l.peek())
	if l.pos++; l.peek() != second {
		return first
	}
	l.pos++
	return both
}

func (l *lexer) dots() token {
	l.keep()
	if l.peek() == '.' {
		l.keep()
		if l.peek() == '.' {
			l.keep()
			return tokenDots
		}
		return tokenConcat
	}
	if c := l.peek(); c == end || !isDigit(byte(c)) {
		return '.'
	}
	l.number()
	return tokenNumber
}

func (l *lexer) word(c int) token {
	switch b := byte(c); {
	case isDigit(b):
		l.number()
		return tokenNumber
	case isAlpha(b) || b == '_':
		for c := l.peek(); c != end && isWord(byte(c)); c = l.peek() {
			l.keep()
		}
		if t, ok := keywords[string(l.buf)]; ok {
			return t
		}
		return tokenName
	}
	l.pos++
	return token(c)
}

func isWord(c byte) bool { return isAlpha(c) || isDigit(c) || c == '_' }

func (l *lexer) number() {
	for c := l.peek(); c != end && (isDigit(byte(c)) || c == '.'); c = l.peek() {
		l.keep()
	}
	if c := l.peek(); c == 'e' || c == 'E' {
		l.keep()
		if c := l.peek(); c == '+' || c == '-' {
			l.keep()
		}
	}
	for c := l.peek(); c != end && isWord(byte(c)); c = l.peek() {
		l.keep()
	}
	if _, ok := parseNumber(string(l.buf)); !ok {
		l.fail(tokenNumber, "malformed number")
	}
}

func (l *lexer) comment() {
	if l.peek() == '[' {
		if level := l.bracket(); level >= 0 {
			l.longString(level, "unfinished long comment")
			l.buf = l.buf[:0]
			return
		}
		l.buf = l.buf[:0]
	}
	for c := l.peek(); c != end && !isNewline(c); c = l.peek() {
		l.pos++
	}
}

// bracket reads [, =... and gives the number of = when another [ follows, which
// it leaves; -1 for [ alone, less for [= that is neither. It serves for ] too.
func (l *lexer) bracket() int {
	first := l.peek()
	l.keep()
	level := 0
	for l.peek() == '=' {
		l.keep()
		level++
	}
	if l.peek() == first {
		return level
	}
	return -level - 1
}

func (l *lexer) longString(level int, unfinished string) {
	l.keep()
	for {
		switch c := l.peek(); c {
		case end:
			l.fail(tokenEOF, "%s", unfinished)
		case '[':
			if l.bracket() == level && level == 0 {
				l.fail('[', "nesting of [[...]] is deprecated")
			}
		case ']':
			if l.bracket() == level {
				l.keep()
				return
			}
		case '\n', '\r':
			l.buf = append(l.buf, '\n')
			l.newline()
		default:
			l.keep()
		}
	}
}

func (l *lexer) string(quote int) {
	l.keep()
	for l.peek() != quote {
		switch c := l.peek(); c {
		case end:
			l.fail(tokenEOF, "unfinished string")
		case '\n', '\r':
			l.fail(tokenString, "unfinished string")
		case '\\':
			l.pos++
			l.escape()
		default:
			l.keep()
		}
	}
	l.keep()
}

// escape reads what follows a backslash.
func (l *lexer) escape() {
	switch c := l.peek(); {
	case c == end: // the string complains
	case isNewline(c):
		l.buf = append(l.buf, '\n')
		l.newline()
	case isDigit(byte(c)):
		v := 0
		for range 3 {
			c := l.peek()
			if c == end || !isDigit(byte(c)) {
				break
			}
			v = v*10 + c - '0'
			l.pos++
		}
		if v > 255 {
			l.fail(tokenString, "escape sequence too large")
		}
		l.buf = append(l.buf, byte(v))
	default:
		if at := strings.IndexByte("abfnrtv", byte(c)); at >= 0 {
			l.buf = append(l.buf, "\a\b\f\n\r\t\v"[at])
			l.pos++
			return
		}
		l.keep()
	}
}
