package lua

import (
	"math"
	"strconv"
	"strings"

	"limpet/resp"

	glua "github.com/yuin/gopher-lua"
)

// appendNumber appends n as Lua 5.1 writes numbers: printf("%.14g").
func appendNumber(dst []byte, n float64) []byte {
	if n == math.Trunc(n) && math.Abs(n) < 1e14 && (n != 0 || !math.Signbit(n)) {
		return strconv.AppendInt(dst, int64(n), 10)
	}
	return appendG(dst, n, 14)
}

// appendArgument appends n as Redis writes a number that is an argument of
// redis.call: printf("%.17g").
func appendArgument(dst []byte, n float64) []byte {
	if math.IsNaN(n) {
		return appendNaN(dst, n)
	}
	return resp.AppendDouble(dst, n)
}

// appendG is printf("%.<precision>g"), for the precisions 1 to 17.
func appendG(dst []byte, n float64, precision int) []byte {
	switch {
	case math.IsNaN(n):
		return appendNaN(dst, n)
	case math.IsInf(n, 1):
		return append(dst, "inf"...)
	case math.IsInf(n, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, n, 'g', precision, 64)
}

// appendNaN shows the sign of a NaN as glibc does; 0/0 has one on amd64.
func appendNaN(dst []byte, n float64) []byte {
	if math.Signbit(n) {
		dst = append(dst, '-')
	}
	return append(dst, "nan"...)
}

func numberText(n glua.LNumber) string {
	var tmp [32]byte
	return string(appendNumber(tmp[:0], float64(n)))
}

// parseNumber reads a number as C's strtod does, with white space around it
// allowed, up to a zero byte; this is how Lua turns text into a number.
func parseNumber(s string) (float64, bool) {
	s, _, _ = strings.Cut(s, "\x00")
	s = strings.Trim(s, " \t\n\v\f\r")
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || strings.IndexByte(digits, '_') >= 0 {
		return 0, false
	}
	if len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' && !strings.ContainsAny(digits, "pP") {
		s += "p0" // strconv wants the exponent that C leaves out
	}
	if strings.EqualFold(s, "-nan") {
		return math.Copysign(math.NaN(), -1), true
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil && !isRange(err) {
		return 0, false
	}
	return n, true
}

// isRange tells whether strconv gave the nearest infinity, as strtod would.
func isRange(err error) bool {
	e, ok := err.(*strconv.NumError)
	return ok && e.Err == strconv.ErrRange
}

// parseInBase reads an integer as C's strtoul does: a minus sign wraps around.
func parseInBase(s string, base int) (float64, bool) {
	s, _, _ = strings.Cut(s, "\x00")
	s = strings.Trim(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	if negative && strings.HasPrefix(s, "+") {
		return 0, false
	}
	if base == 16 && len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		s = s[2:]
	}
	if strings.IndexByte(s, '_') >= 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	if err != nil && !isRange(err) {
		return 0, false
	}
	if negative && err == nil {
		n = -n
	}
	return float64(n), true
}

// toNumber is Lua's conversion of an operand: numbers, and text that is one.
func toNumber(v glua.LValue) (float64, bool) {
	switch v := v.(type) {
	case glua.LNumber:
		return float64(v), true
	case glua.LString:
		return parseNumber(string(v))
	}
	return 0, false
}

// toText is Lua's conversion to a string: strings, and numbers as text.
func toText(v glua.LValue) (string, bool) {
	switch v := v.(type) {
	case glua.LString:
		return string(v), true
	case glua.LNumber:
		return numberText(v), true
	}
	return "", false
}

// toInt64 truncates as the C cast does on amd64: what does not fit becomes the
// least integer.
func toInt64(n float64) int64 {
	if n >= -(1<<63) && n < 1<<63 {
		return int64(n)
	}
	return math.MinInt64
}

// smallNumbers are numbers already boxed, to save an allocation for each.
var smallNumbers = func() (boxed [1024]glua.LValue) {
	for i := range boxed {
		boxed[i] = glua.LNumber(i)
	}
	return boxed
}()

func boxInt(n int64) glua.LValue {
	if n >= 0 && n < int64(len(smallNumbers)) {
		return smallNumbers[n]
	}
	return glua.LNumber(n)
}
