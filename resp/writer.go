package resp

import (
	"math"
	"strconv"
)

// Writer appends replies to Buf. Proto is 2 or 3; any other value counts as 2.
//
// The zero Writer is ready to use. Aggregates are written header first: after
// Array(n) the caller writes n values, after Map(n) it writes 2n.
type Writer struct {
	Buf   []byte
	Proto int
}

// Reset forgets what was written and keeps the memory.
func (w *Writer) Reset() { w.Buf = w.Buf[:0] }

// Len is the number of bytes written so far.
func (w *Writer) Len() int { return len(w.Buf) }

func (w *Writer) header(kind byte, n int64) {
	w.Buf = append(w.Buf, kind)
	w.Buf = strconv.AppendInt(w.Buf, n, 10)
	w.Buf = append(w.Buf, '\r', '\n')
}

// OK writes the simple string OK.
func (w *Writer) OK() { w.Buf = append(w.Buf, "+OK\r\n"...) }

// Simple writes a simple string; s must not hold CR or LF.
func (w *Writer) Simple(s string) {
	w.Buf = append(w.Buf, '+')
	w.Buf = append(w.Buf, s...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// Error writes an error. s begins with its code ("ERR …", "WRONGTYPE …"); CR
// and LF inside it become spaces, as Redis makes them.
func (w *Writer) Error(s string) {
	w.Buf = append(w.Buf, '-')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		w.Buf = append(w.Buf, c)
	}
	w.Buf = append(w.Buf, '\r', '\n')
}

// Int writes an integer.
func (w *Writer) Int(n int64) { w.header(':', n) }

// Bulk writes a bulk string.
func (w *Writer) Bulk(b []byte) {
	w.header('$', int64(len(b)))
	w.Buf = append(w.Buf, b...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// BulkString is Bulk for a string.
func (w *Writer) BulkString(s string) {
	w.header('$', int64(len(s)))
	w.Buf = append(w.Buf, s...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// BulkInt writes an integer's decimal text as a bulk string.
func (w *Writer) BulkInt(n int64) {
	var tmp [20]byte
	w.Bulk(strconv.AppendInt(tmp[:0], n, 10))
}

// Null writes "no such value": a null bulk string, in RESP3 a null.
func (w *Writer) Null() {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
		return
	}
	w.Buf = append(w.Buf, "$-1\r\n"...)
}

// NullArray writes "no such list": a null array, in RESP3 a null.
func (w *Writer) NullArray() {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
		return
	}
	w.Buf = append(w.Buf, "*-1\r\n"...)
}

// Array begins an array of n values.
func (w *Writer) Array(n int) { w.header('*', int64(n)) }

// Map begins a map of n pairs; in RESP2 an array of 2n values.
func (w *Writer) Map(n int) {
	if w.Proto == 3 {
		w.header('%', int64(n))
		return
	}
	w.header('*', 2*int64(n))
}

// Set begins a set of n values; in RESP2 an array.
func (w *Writer) Set(n int) {
	if w.Proto == 3 {
		w.header('~', int64(n))
		return
	}
	w.header('*', int64(n))
}

// Push begins an out-of-band message of n values; in RESP2 an array.
func (w *Writer) Push(n int) {
	if w.Proto == 3 {
		w.header('>', int64(n))
		return
	}
	w.header('*', int64(n))
}

// Bool writes a boolean; in RESP2 the integer 1 or 0.
func (w *Writer) Bool(v bool) {
	switch {
	case w.Proto == 3 && v:
		w.Buf = append(w.Buf, "#t\r\n"...)
	case w.Proto == 3:
		w.Buf = append(w.Buf, "#f\r\n"...)
	case v:
		w.Int(1)
	default:
		w.Int(0)
	}
}

// Double writes a floating point number with 17 significant digits, the way
// Redis 7.0 does; in RESP2 as a bulk string.
func (w *Writer) Double(f float64) {
	var tmp [40]byte
	text := AppendDouble(tmp[:0], f)
	if w.Proto == 3 {
		w.Buf = append(w.Buf, ',')
		w.Buf = append(w.Buf, text...)
		w.Buf = append(w.Buf, '\r', '\n')
		return
	}
	w.Bulk(text)
}

// BigNumber writes an integer given as decimal digits; in RESP2 as a bulk
// string.
func (w *Writer) BigNumber(digits string) {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, '(')
		w.Buf = append(w.Buf, digits...)
		w.Buf = append(w.Buf, '\r', '\n')
		return
	}
	w.BulkString(digits)
}

// Verbatim writes text with a three-letter format ("txt", "mkd"); in RESP2 a
// bulk string without the format.
func (w *Writer) Verbatim(format, s string) {
	if w.Proto == 3 {
		w.header('=', int64(len(s)+4))
		w.Buf = append(w.Buf, format[:3]...)
		w.Buf = append(w.Buf, ':')
		w.Buf = append(w.Buf, s...)
		w.Buf = append(w.Buf, '\r', '\n')
		return
	}
	w.BulkString(s)
}

// Raw appends bytes that are already a reply.
func (w *Writer) Raw(b []byte) { w.Buf = append(w.Buf, b...) }

// AppendDouble appends f as C's printf("%.17g") writes it, with inf, -inf and
// nan for what is not a number.
func AppendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	}
	if f == 0 {
		if math.Signbit(f) {
			return append(dst, "-0"...)
		}
		return append(dst, '0')
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return appendG17(dst, f)
}

// appendG17 is printf's %.17g: the exponent decides between the two forms as C
// says (form e when exp < -4 or exp >= 17), trailing zeros go, and an exponent
// has at least two digits.
func appendG17(dst []byte, f float64) []byte {
	var tmp [32]byte
	e := strconv.AppendFloat(tmp[:0], f, 'e', 16, 64) // d.dddddddddddddddde±xx
	exp := 0
	mark := len(e) - 1
	for e[mark] != 'e' {
		mark--
	}
	exp, _ = strconv.Atoi(string(e[mark+1:]))
	if exp < -4 || exp >= 17 {
		return append(trimZeros(dst, e[:mark]), e[mark:]...)
	}
	var plain [64]byte
	return trimZeros(dst, strconv.AppendFloat(plain[:0], f, 'f', 16-exp, 64))
}

func trimZeros(dst, number []byte) []byte {
	end := len(number)
	for i := range number {
		if number[i] == '.' {
			for number[end-1] == '0' {
				end--
			}
			if number[end-1] == '.' {
				end--
			}
			break
		}
	}
	return append(dst, number[:end]...)
}

// AppendCommand appends a request of the given arguments: the form in which
// clients send commands and the log keeps them.
func AppendCommand(dst []byte, args ...[]byte) []byte {
	dst = AppendArrayHeader(dst, len(args))
	for _, a := range args {
		dst = AppendBulk(dst, a)
	}
	return dst
}

// AppendArrayHeader appends the header of an array of n values.
func AppendArrayHeader(dst []byte, n int) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '\r', '\n')
}

// AppendBulk appends a bulk string.
func AppendBulk(dst, b []byte) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(b)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, b...)
	return append(dst, '\r', '\n')
}
