package lua

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// stringFormat is string.format: C's printf with the conversions that Lua 5.1
// lets through.
func (r *Runtime) stringFormat(L *glua.LState) int {
	f := r.checkString(L, 1)
	out := make([]byte, 0, len(f)+16)
	arg := 1
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			out = append(out, f[i])
			continue
		}
		if i++; i < len(f) && f[i] == '%' {
			out = append(out, '%')
			continue
		}
		arg++
		spec, n := r.readSpec(L, f[i:])
		i += n
		out = r.convert(L, out, spec, arg)
		r.checkLength(L, len(out))
	}
	L.Push(glua.LString(out))
	return 1
}

// A spec is one conversion of a format: %[flags][width][.precision]verb.
type spec struct {
	left, plus, space, alternate, zero bool

	width     int
	precision int // -1 when not given
	verb      byte
}

// readSpec reads what follows the '%'; n is the offset of the verb.
func (r *Runtime) readSpec(L *glua.LState, f string) (s spec, n int) {
	for ; n < len(f) && strings.IndexByte("-+ #0", f[n]) >= 0; n++ {
		switch f[n] {
		case '-':
			s.left = true
		case '+':
			s.plus = true
		case ' ':
			s.space = true
		case '#':
			s.alternate = true
		case '0':
			s.zero = true
		}
	}
	if n > len("-+ #0") {
		r.fail(L, "invalid format (repeated flags)")
	}
	twoDigits := func() (v int) {
		for k := 0; k < 2 && n < len(f) && isDigit(f[n]); k++ {
			v = v*10 + int(f[n]-'0')
			n++
		}
		return v
	}
	s.width = twoDigits()
	s.precision = -1
	if n < len(f) && f[n] == '.' {
		n++
		s.precision = twoDigits()
	}
	if n < len(f) && isDigit(f[n]) {
		r.fail(L, "invalid format (width or precision too long)")
	}
	if n < len(f) {
		s.verb = f[n]
	}
	return s, n
}

func (r *Runtime) convert(L *glua.LState, out []byte, s spec, arg int) []byte {
	if arg > L.GetTop() {
		r.argError(L, arg, "no value")
	}
	switch s.verb {
	case 'c':
		text := s.pad(nil, []byte{byte(r.checkInt(L, arg))})
		if end := bytes.IndexByte(text, 0); end >= 0 {
			text = text[:end] // a zero byte ends what sprintf gives
		}
		return append(out, text...)
	case 'd', 'i':
		n := toInt64(r.checkNumber(L, arg))
		digits := strconv.AppendUint(nil, magnitude(n), 10)
		return s.integer(out, n < 0, "", digits)
	case 'o', 'u', 'x', 'X':
		return s.unsigned(out, toUnsigned(r.checkNumber(L, arg)))
	case 'e', 'E', 'f', 'g', 'G':
		return s.float(out, r.checkNumber(L, arg))
	case 'q':
		return appendQuoted(out, r.checkString(L, arg))
	case 's':
		text := r.checkString(L, arg)
		if s.precision < 0 && len(text) >= 100 {
			return append(out, text...) // Lua does not format long strings
		}
		// What Lua hands to sprintf ends at its first zero byte.
		text, _, _ = strings.Cut(text, "\x00")
		if s.precision >= 0 && len(text) > s.precision {
			text = text[:s.precision]
		}
		return s.pad(out, []byte(text))
	}
	r.fail(L, "invalid option '%%%s' to 'format'", strings.TrimRight(string(s.verb), "\x00"))
	return nil
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// toUnsigned is C's conversion on amd64: negative numbers wrap around.
func toUnsigned(f float64) uint64 {
	if f >= 1<<63 {
		if f < 1<<64 {
			return uint64(f)
		}
		return 0
	}
	return uint64(toInt64(f))
}

func (s spec) unsigned(out []byte, n uint64) []byte {
	base, prefix := 10, ""
	switch s.verb {
	case 'o':
		base = 8
	case 'x', 'X':
		base = 16
		if s.alternate && n != 0 {
			prefix = "0" + string(s.verb)
		}
	}
	digits := strconv.AppendUint(nil, n, base)
	if s.verb == 'X' {
		digits = []byte(strings.ToUpper(string(digits)))
	}
	if s.verb == 'o' && s.alternate && digits[0] != '0' {
		digits = append([]byte{'0'}, digits...)
	}
	s.plus, s.space = false, false
	return s.integer(out, false, prefix, digits)
}

func (s spec) integer(out []byte, negative bool, prefix string, digits []byte) []byte {
	switch {
	case negative:
		prefix = "-" + prefix
	case s.plus:
		prefix = "+" + prefix
	case s.space:
		prefix = " " + prefix
	}
	if s.precision == 0 && string(digits) == "0" {
		digits = nil
	}
	zeros := s.precision - len(digits)
	if s.precision < 0 && s.zero && !s.left {
		zeros = s.width - len(prefix) - len(digits)
	}
	text := []byte(prefix)
	for ; zeros > 0; zeros-- {
		text = append(text, '0')
	}
	return s.pad(out, append(text, digits...))
}

func (s spec) float(out []byte, n float64) []byte {
	sign := ""
	switch {
	case math.Signbit(n):
		sign = "-"
	case s.plus:
		sign = "+"
	case s.space:
		sign = " "
	}
	var text []byte
	finite := false
	switch {
	case math.IsNaN(n):
		text = []byte("nan")
	case math.IsInf(n, 0):
		text = []byte("inf")
	default:
		finite = true
		text = s.digits(math.Abs(n))
	}
	if s.verb == 'E' || s.verb == 'G' {
		text = []byte(strings.ToUpper(string(text)))
	}
	if s.zero && !s.left && finite {
		for len(sign)+len(text) < s.width {
			sign += "0"
		}
	}
	return s.pad(out, append([]byte(sign), text...))
}

// digits is a number without its sign.
func (s spec) digits(n float64) []byte {
	precision := s.precision
	if precision < 0 {
		precision = 6
	}
	verb := s.verb | 0x20
	switch verb {
	case 'g':
		return s.general(n, max(1, precision))
	default:
		text := strconv.AppendFloat(nil, n, verb, precision, 64)
		if s.alternate && precision == 0 {
			mantissa, exponent, found := strings.Cut(string(text), "e")
			text = []byte(mantissa + ".")
			if found {
				text = append(text, "e"+exponent...)
			}
		}
		return text
	}
}

// general is %g: the exponent decides on the form, and trailing zeros go unless
// the format has '#'.
func (s spec) general(n float64, precision int) []byte {
	e := string(strconv.AppendFloat(nil, n, 'e', precision-1, 64))
	mantissa, exponent, _ := strings.Cut(e, "e")
	x, _ := strconv.Atoi(exponent)
	if x >= -4 && x < precision {
		mantissa = string(strconv.AppendFloat(nil, n, 'f', precision-1-x, 64))
		exponent = ""
	} else {
		exponent = "e" + exponent
	}
	switch {
	case !s.alternate && strings.Contains(mantissa, "."):
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	case s.alternate && !strings.Contains(mantissa, "."):
		mantissa += "."
	}
	return []byte(mantissa + exponent)
}

// pad appends text filled with spaces to the width.
func (s spec) pad(out, text []byte) []byte {
	fill := s.width - len(text)
	if s.left {
		out = append(out, text...)
	}
	for ; fill > 0; fill-- {
		out = append(out, ' ')
	}
	if !s.left {
		out = append(out, text...)
	}
	return out
}

// appendQuoted is %q: a string that Lua reads back as the same bytes.
func appendQuoted(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			out = append(out, '\\', c)
		case '\r':
			out = append(out, `\r`...)
		case 0:
			out = append(out, `\000`...)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
