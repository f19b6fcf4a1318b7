package zset

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"limpet/resp"
)

// FormatScore appends the score as Redis 7.0 writes it in replies: printf's
// %.17g, with inf and -inf.
func FormatScore(dst []byte, score float64) []byte { return resp.AppendDouble(dst, score) }

// ParseScore reads a score as Redis does for ZADD and ZINCRBY
// (getDoubleFromObject in object.c): all that C's strtod reads, but no space
// in front, nothing behind, no nan, and nothing too large or too small for a
// float64.
func ParseScore(b []byte) (score float64, ok bool) {
	if len(b) == 0 || isSpace(b[0]) {
		return 0, false
	}
	score, inRange, ok := strtod(string(b))
	return score, ok && inRange
}

// ParseBound reads an end of a score range as ZRANGEBYSCORE does
// (zslParseRange in t_zset.c): a number with "(" in front for an open end.
// There, unlike in ParseScore, an empty number is 0, spaces may lead, and what
// is too large is infinite.
func ParseBound(b []byte) (score float64, open, ok bool) {
	if len(b) > 0 && b[0] == '(' {
		b, open = b[1:], true
	}
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end] // where C sees the end
	}
	if len(b) == 0 {
		return 0, open, true
	}
	score, _, ok = strtod(strings.TrimLeft(string(b), " \t\n\v\f\r"))
	return score, open, ok
}

// ParseLexBound reads an end of a range of members as ZRANGEBYLEX does: "[m",
// "(m", "-" or "+".
func ParseLexBound(b []byte) (bound LexBound, ok bool) {
	switch {
	case string(b) == "-":
		return LexBound{Inf: -1}, true
	case string(b) == "+":
		return LexBound{Inf: 1}, true
	case len(b) > 0 && (b[0] == '(' || b[0] == '['):
		return LexBound{Member: b[1:], Open: b[0] == '('}, true
	}
	return LexBound{}, false
}

// strtod reads the whole of s as C's strtod does, but for nan, and says
// whether the value could be represented.
func strtod(s string) (f float64, inRange, ok bool) {
	if strings.ContainsAny(s, "_") {
		return 0, false, false // a digit separator to Go
	}
	number := strings.ToLower(strings.TrimLeft(s, "+-"))
	hex := strings.HasPrefix(number, "0x")
	if hex && !strings.Contains(number, "p") {
		s += "p0" // which Go wants and C does not
	}
	f, err := strconv.ParseFloat(s, 64)
	if math.IsNaN(f) || err != nil && !math.IsInf(f, 0) {
		return 0, false, false
	}
	digits := "123456789"
	exponent := "e"
	if hex {
		digits, exponent = "123456789abcdef", "p"
		number = number[2:]
	}
	mantissa, _, _ := strings.Cut(number, exponent)
	if f == 0 && strings.ContainsAny(mantissa, digits) {
		return f, false, true
	}
	return f, err == nil, true
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
