package lua

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// A matcher matches Lua 5.1's patterns by backtracking, on bytes. It is the
// grammar of the reference manual, section 5.4.1.
type matcher struct {
	r        *Runtime
	L        *glua.LState
	src      string
	pattern  string
	level    int // captures begun
	captures [maxCaptures]capture
	depth    int // recursion of match
	steps    int // calls of match since the run's context was last asked
}

type capture struct {
	start  int
	length int // or one of the two below
}

const (
	maxCaptures      = 32 // LUA_MAXCAPTURES
	captureOpen      = -1
	capturePosition  = -2
	maxMatchDepth    = 200_000 // bounds the Go stack; only patterns as long as that reach it
	stepsBetweenAsks = 1 << 14
)

// fail complains about the pattern.
func (m *matcher) fail(format string, args ...any) { m.r.fail(m.L, format, args...) }

// match gives the end of a match of pattern[p:] at src[s:], -1 for none.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		m.fail("pattern too complex")
	}
	if m.steps++; m.steps >= stepsBetweenAsks {
		m.steps = 0
		m.r.checkInterrupt(m.L)
	}
	end := m.matchItems(s, p)
	m.depth--
	return end
}

// matchItems goes along the pattern as far as that needs no choice.
func (m *matcher) matchItems(s, p int) int {
	for p < len(m.pattern) {
		switch m.pattern[p] {
		case '(':
			if p+1 < len(m.pattern) && m.pattern[p+1] == ')' {
				return m.startCapture(s, p+2, capturePosition)
			}
			return m.startCapture(s, p+1, captureOpen)
		case ')':
			return m.endCapture(s, p+1)
		case '%':
			if p+1 < len(m.pattern) {
				switch c := m.pattern[p+1]; {
				case c == 'b':
					if s = m.matchBalance(s, p+2); s < 0 {
						return -1
					}
					p += 4
					continue
				case c == 'f':
					if p += 2; p >= len(m.pattern) || m.pattern[p] != '[' {
						m.fail("missing '[' after '%%f' in pattern")
					}
					end := m.classEnd(p)
					if matchSet(m.pattern[p:end], m.byteAt(s-1)) || !matchSet(m.pattern[p:end], m.byteAt(s)) {
						return -1
					}
					p = end
					continue
				case isDigit(c):
					if s = m.matchBackReference(s, c); s < 0 {
						return -1
					}
					p += 2
					continue
				}
			}
		case '$':
			if p+1 == len(m.pattern) {
				if s == len(m.src) {
					return s
				}
				return -1
			}
		}
		end := m.classEnd(p)
		var suffix byte
		if end < len(m.pattern) {
			suffix = m.pattern[end]
		}
		switch suffix {
		case '?':
			if s < len(m.src) && m.matchOne(s, p, end) {
				if res := m.match(s+1, end+1); res >= 0 {
					return res
				}
			}
			p = end + 1
		case '*':
			return m.maxExpand(s, p, end)
		case '+':
			if s < len(m.src) && m.matchOne(s, p, end) {
				return m.maxExpand(s+1, p, end)
			}
			return -1
		case '-':
			return m.minExpand(s, p, end)
		default:
			if s >= len(m.src) || !m.matchOne(s, p, end) {
				return -1
			}
			s, p = s+1, end
		}
	}
	return s
}

// byteAt is a byte of the subject, 0 beyond either end.
func (m *matcher) byteAt(i int) byte {
	if i < 0 || i >= len(m.src) {
		return 0
	}
	return m.src[i]
}

// classEnd is the end of the single-character class that begins at p.
func (m *matcher) classEnd(p int) int {
	c := m.pattern[p]
	p++
	switch c {
	case '%':
		if p == len(m.pattern) {
			m.fail("malformed pattern (ends with '%%')")
		}
		return p + 1
	case '[':
		if p < len(m.pattern) && m.pattern[p] == '^' {
			p++
		}
		for first := true; first || p >= len(m.pattern) || m.pattern[p] != ']'; first = false {
			if p >= len(m.pattern) {
				m.fail("malformed pattern (missing ']')")
			}
			c := m.pattern[p]
			p++
			if c == '%' && p < len(m.pattern) {
				p++ // skip escapes such as "%]"
			}
		}
		return p + 1
	}
	return p
}

func (m *matcher) matchOne(s, p, end int) bool {
	c := m.src[s]
	switch m.pattern[p] {
	case '.':
		return true
	case '%':
		return matchClass(c, m.pattern[p+1])
	case '[':
		return matchSet(m.pattern[p:end], c)
	}
	return m.pattern[p] == c
}

// matchSet tells whether c is in a set, given with its brackets.
func matchSet(set string, c byte) bool {
	set = set[1 : len(set)-1]
	in := true
	if strings.HasPrefix(set, "^") {
		in = false
		set = set[1:]
	}
	for i := 0; i < len(set); i++ {
		switch {
		case set[i] == '%' && i+1 < len(set):
			i++
			if matchClass(c, set[i]) {
				return in
			}
		case i+2 < len(set) && set[i+1] == '-':
			if set[i] <= c && c <= set[i+2] {
				return in
			}
			i += 2
		case set[i] == c:
			return in
		}
	}
	return !in
}

// matchClass tells whether c is of the class that a letter names; any other
// character stands for itself.
func matchClass(c, class byte) bool {
	var in bool
	switch class | 0x20 {
	case 'a':
		in = isAlpha(c)
	case 'c':
		in = c < 32 || c == 127
	case 'd':
		in = isDigit(c)
	case 'l':
		in = c >= 'a' && c <= 'z'
	case 'p':
		in = c > 32 && c < 127 && !isAlpha(c) && !isDigit(c)
	case 's':
		in = c == ' ' || c >= '\t' && c <= '\r'
	case 'u':
		in = c >= 'A' && c <= 'Z'
	case 'w':
		in = isAlpha(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if !isAlpha(class) {
		return class == c
	}
	return in == (class&0x20 != 0)
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (m *matcher) matchBalance(s, p int) int {
	if p+1 >= len(m.pattern) {
		m.fail("unbalanced pattern")
	}
	if s >= len(m.src) || m.src[s] != m.pattern[p] {
		return -1
	}
	open, closing := m.pattern[p], m.pattern[p+1]
	for level, i := 1, s+1; i < len(m.src); i++ {
		switch m.src[i] {
		case closing:
			if level--; level == 0 {
				return i + 1
			}
		case open:
			level++
		}
	}
	return -1
}

func (m *matcher) maxExpand(s, p, end int) int {
	n := 0
	for s+n < len(m.src) && m.matchOne(s+n, p, end) {
		n++
	}
	for ; n >= 0; n-- {
		if res := m.match(s+n, end+1); res >= 0 {
			return res
		}
	}
	return -1
}

func (m *matcher) minExpand(s, p, end int) int {
	for {
		if res := m.match(s, end+1); res >= 0 {
			return res
		}
		if s >= len(m.src) || !m.matchOne(s, p, end) {
			return -1
		}
		s++
	}
}

func (m *matcher) startCapture(s, p, what int) int {
	if m.level >= maxCaptures {
		m.fail("too many captures")
	}
	m.captures[m.level] = capture{s, what}
	m.level++
	res := m.match(s, p)
	if res < 0 {
		m.level--
	}
	return res
}

func (m *matcher) endCapture(s, p int) int {
	open := m.level - 1
	for open >= 0 && m.captures[open].length != captureOpen {
		open--
	}
	if open < 0 {
		m.fail("invalid pattern capture")
	}
	m.captures[open].length = s - m.captures[open].start
	res := m.match(s, p)
	if res < 0 {
		m.captures[open].length = captureOpen
	}
	return res
}

func (m *matcher) matchBackReference(s int, digit byte) int {
	n := int(digit) - '1'
	if n < 0 || n >= m.level || m.captures[n].length == captureOpen {
		m.fail("invalid capture index")
	}
	if m.captures[n].length == capturePosition {
		return -1 // a position is longer than any subject, in C's eyes
	}
	text := m.src[m.captures[n].start:][:m.captures[n].length]
	if strings.HasPrefix(m.src[s:], text) {
		return s + len(text)
	}
	return -1
}

// value is the i-th capture of a match at src[s:e]; the whole match when the
// pattern has none and i is 0.
func (m *matcher) value(i, s, e int) glua.LValue {
	if i >= m.level {
		if i != 0 {
			m.fail("invalid capture index")
		}
		return glua.LString(m.src[s:e])
	}
	c := m.captures[i]
	switch c.length {
	case captureOpen:
		m.fail("unfinished capture")
	case capturePosition:
		return glua.LNumber(c.start + 1)
	}
	return glua.LString(m.src[c.start:][:c.length])
}

// push puts the captures on the stack; the whole match when there are none and
// that is wanted.
func (m *matcher) push(s, e int, whole bool) int {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		m.L.Push(m.value(i, s, e))
	}
	return n
}

// cString is a pattern as Lua reads it: a zero byte ends it (%z matches one).
func cString(pattern string) string {
	pattern, _, _ = strings.Cut(pattern, "\x00")
	return pattern
}

// isPlain tells whether a pattern matches only itself.
func isPlain(pattern string) bool { return !strings.ContainsAny(pattern, "^$*+?.([%-") }

// anchor is 1 when the pattern begins with '^', else 0.
func (m *matcher) anchor() int {
	if strings.HasPrefix(m.pattern, "^") {
		return 1
	}
	return 0
}
