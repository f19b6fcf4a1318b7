package command

import (
	"math/big"
	"strconv"
	"strings"

	"limpet/resp"
)

// How arguments become numbers and numbers become text. Redis reads integers
// strictly, floats with strtod or strtold, and computes INCRBYFLOAT in the x87's
// extended precision.

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// int reads argument i as an integer; the error is written when it is none.
func (c *Ctx) int(i int) (int64, bool) {
	n, ok := resp.ParseInt(c.Args[i])
	if !ok {
		c.fail(errNotInteger)
	}
	return n, ok
}

// positive reads argument i as an integer in 0..2^63-1, the rule of COUNT-like
// arguments.
func (c *Ctx) positive(i int) (int64, bool) {
	n, ok := resp.ParseInt(c.Args[i])
	if !ok || n < 0 {
		c.fail(errPositive)
		return 0, false
	}
	return n, true
}

// maxLongDoubleText is the size of the buffer in which Redis reads and prints
// them.
const maxLongDoubleText = 5 << 10

// extendedPrecision is the mantissa of x86's long double, in which Redis adds.
const extendedPrecision = 64

// addFloat adds two decimal texts and gives the sum as Redis prints it: 17
// digits behind the point at most, trailing zeros dropped. old counts as 0 when
// it is not there. badText is the error for text that is no number.
func (c *Ctx) addFloat(old []byte, found bool, by []byte, badOld string) (text []byte, ok bool) {
	a := new(big.Float).SetPrec(extendedPrecision)
	if found {
		a, ok = parseLongDouble(old)
		if !ok {
			c.fail(badOld)
			return nil, false
		}
	}
	b, ok := parseLongDouble(by)
	if !ok {
		c.fail(errNotFloat)
		return nil, false
	}
	if a.IsInf() || b.IsInf() {
		c.fail(errNaNOrInfinity)
		return nil, false
	}
	sum := new(big.Float).SetPrec(extendedPrecision).Add(a, b)
	return formatLongDouble(sum), true
}

// parseLongDouble reads what C's strtold reads, and not more, to its end. What
// is too large or too small for a long double is refused as well.
func parseLongDouble(b []byte) (*big.Float, bool) {
	if len(b) == 0 || len(b) >= maxLongDoubleText {
		return nil, false
	}
	number := strings.ToLower(string(b))
	negative := b[0] == '-'
	if negative || b[0] == '+' {
		number = number[1:]
	}
	if number == "inf" || number == "infinity" {
		return new(big.Float).SetInf(negative), true
	}
	if !beginsNumber(number) || beyondC(number) {
		return nil, false
	}
	f, _, err := big.ParseFloat(number, 0, extendedPrecision, big.ToNearestEven)
	if err != nil {
		return nil, false
	}
	if exp := f.MantExp(nil); f.IsInf() || exp > 16384 || exp < -16444 || f.Sign() == 0 && !isZero(number) {
		return nil, false
	}
	if negative {
		f.Neg(f)
	}
	return f, true
}

// isZero tells whether all digits of a number are zeros.
func isZero(number string) bool {
	digits, _, _ := strings.Cut(number, "e")
	if hex, ok := strings.CutPrefix(number, "0x"); ok {
		digits, _, _ = strings.Cut(hex, "p")
	}
	return strings.Trim(digits, "0.") == ""
}

func beginsNumber(s string) bool {
	return s != "" && (s[0] >= '0' && s[0] <= '9' || s[0] == '.')
}

// beyondC tells whether package big reads the number and C does not: digits set
// apart, other bases, a binary exponent behind decimal digits.
func beyondC(s string) bool {
	return strings.Contains(s, "_") || strings.HasPrefix(s, "0b") || strings.HasPrefix(s, "0o") ||
		strings.Contains(s, "p") && !strings.HasPrefix(s, "0x")
}

func formatLongDouble(f *big.Float) []byte {
	text := f.Append(nil, 'f', 17)
	if i := strings.IndexByte(string(text), '.'); i >= 0 {
		for text[len(text)-1] == '0' {
			text = text[:len(text)-1]
		}
		if text[len(text)-1] == '.' {
			text = text[:len(text)-1]
		}
	}
	if string(text) == "-0" {
		return []byte("0")
	}
	return text
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

func equalFoldString(a, b string) bool { return strings.EqualFold(a, b) }
