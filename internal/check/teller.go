package check

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
)

// teller reads the notes and the one unit behind the good part of a log, line by
// line as redis-check-aof does, to say in its words what is wrong there. It
// judges nothing: that the unit is bad is known.
type teller struct {
	r    *bufio.Reader
	path string

	off   int64 // of the next byte
	item  int64 // where the latest item began
	lines int
	multi int // MULTIs open
	text  string
	eof   bool // the end was reached where an item should begin
}

const (
	longestNote = 1024
	longestLine = 128
)

func newTeller(f io.ReaderAt, from end, path string) *teller {
	rest := io.NewSectionReader(f, from.okUpTo, math.MaxInt64-from.okUpTo)
	return &teller{r: bufio.NewReader(rest), path: path, off: from.okUpTo, lines: from.lines}
}

func (t *teller) tell() end {
	e := end{okUpTo: t.notes()}
	for {
		next, err := t.r.Peek(1)
		if err != nil {
			t.eof = true
			break
		}
		if next[0] == '#' {
			if _, ok := t.note(); !ok {
				break
			}
			continue
		}
		if next[0] != '*' {
			e.format = true
			break
		}
		if !t.command() || t.multi == 0 {
			break
		}
	}
	if t.eof && t.multi != 0 && t.text == "" {
		t.errorf("Reached EOF before reading EXEC for MULTI")
	}
	e.lines, e.text, e.short = t.lines, t.text, t.eof
	return e
}

// notes passes over the lines that begin with #, and answers where they end.
func (t *teller) notes() (end int64) {
	for {
		if _, ok := t.note(); !ok {
			return t.off
		}
	}
}

// note reads a whole line that begins with #; anything else is left alone.
func (t *teller) note() (line string, ok bool) {
	head, _ := t.r.Peek(longestNote)
	if len(head) == 0 || head[0] != '#' {
		return "", false
	}
	line, _, whole := strings.Cut(string(head), "\n")
	if !whole {
		return "", false
	}
	line += "\n"
	t.item = t.off
	t.advance(len(line))
	return line, true
}

func (t *teller) advance(n int) int {
	n, _ = t.r.Discard(n)
	t.off += int64(n)
	return n
}

func (t *teller) errorf(format string, args ...any) bool {
	t.text = fmt.Sprintf("0x%16x: %s", t.item, fmt.Sprintf(format, args...))
	return false
}

func (t *teller) command() (ok bool) {
	n, ok := t.number('*')
	for i := int64(0); ok && i < n; i++ {
		var arg string
		if arg, ok = t.bulk(); !ok || i > 0 {
			continue
		}
		switch strings.ToLower(arg) {
		case "multi":
			if t.multi++; t.multi != 1 {
				return t.errorf("Unexpected MULTI in AOF %s", t.path)
			}
		case "exec":
			if t.multi--; t.multi != 0 {
				return t.errorf("Unexpected EXEC in AOF %s", t.path)
			}
		}
	}
	return ok
}

// number reads a line of a prefix and a number, which C's strtol would take.
func (t *teller) number(prefix byte) (n int64, ok bool) {
	t.item = t.off
	line, _ := t.r.Peek(longestLine - 1)
	if i := strings.IndexByte(string(line), '\n'); i >= 0 {
		line = line[:i+1]
	}
	line = append([]byte{}, line...)
	t.advance(len(line))
	switch {
	case len(line) == 0:
		t.eof = true
		return 0, false
	case line[0] != prefix:
		return 0, t.errorf("Expected prefix '%c', got: '%s'", prefix, shown(line[:1]))
	}
	rest := strings.TrimLeft(string(line[1:]), " \t\n\v\f\r")
	digits := strings.TrimLeft(rest, "+-")
	if len(rest)-len(digits) > 1 {
		digits, rest = rest, ""
	}
	negative := strings.HasPrefix(rest, "-")
	for digits != "" && digits[0] >= '0' && digits[0] <= '9' {
		if n < math.MaxInt64/10-1 {
			n = n*10 + int64(digits[0]-'0')
		}
		digits = digits[1:]
	}
	if negative {
		n = -n
	}
	return n, t.lineEnd(digits)
}

func (t *teller) lineEnd(s string) (ok bool) {
	if strings.HasPrefix(s, "\r\n") {
		t.lines++
		return true
	}
	two := append([]byte(s), 0, 0)[:2]
	// C prints a char, which has a sign, as an int.
	return t.errorf(`Expected \r\n, got: %02x%02x`, uint32(int8(two[0])), uint32(int8(two[1])))
}

// bulk reads an argument. Only one that could be a word this reader looks for is
// given back.
func (t *teller) bulk() (arg string, ok bool) {
	size, ok := t.number('$')
	if !ok {
		return "", false
	}
	if size < 0 || size > math.MaxInt64-2 {
		return "", t.errorf("Expected to read string of %d bytes, which is not in the suitable range", size)
	}
	t.item = t.off
	if size <= int64(len("multi")) {
		head, _ := t.r.Peek(int(size))
		arg = string(head)
	}
	var got int64
	for got < size {
		n := t.advance(int(min(size-got, 1<<20)))
		if n == 0 {
			break
		}
		got += int64(n)
	}
	tail, _ := t.r.Peek(2)
	if got += int64(len(tail)); got < size+2 {
		t.advance(len(tail))
		return "", t.errorf("Expected to read %d bytes, got %d bytes", size+2, got)
	}
	newline := string(tail)
	t.advance(2)
	return arg, t.lineEnd(newline)
}
