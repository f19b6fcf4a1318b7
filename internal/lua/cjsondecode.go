package lua

import (
	"strings"
	"unicode/utf8"

	glua "github.com/yuin/gopher-lua"
)

func (j cjson) decode(L *glua.LState) int {
	if L.GetTop() != 1 {
		j.r.argError(L, 1, "expected 1 argument")
	}
	text := j.r.checkString(L, 1)
	if len(text) >= 2 && (text[0] == 0 || text[1] == 0) {
		j.r.fail(L, "JSON parser does not support UTF-16 or UTF-32")
	}
	d := jsonDecoder{cjson: j, L: L, text: text}
	v := d.value(d.next(), 0)
	if t := d.next(); t.kind != jsonEnd {
		d.unexpected("the end", t)
	}
	L.Push(v)
	return 1
}

type jsonDecoder struct {
	cjson
	L    *glua.LState
	text string
	pos  int
}

// A jsonToken is one word of JSON. text is a string's value, or for an error
// what is wrong.
type jsonToken struct {
	kind   jsonKind
	at     int // offset of its first byte
	text   string
	number float64
	truth  bool
}

type jsonKind int

const (
	jsonObjectBegin jsonKind = iota
	jsonObjectEnd
	jsonArrayBegin
	jsonArrayEnd
	jsonString
	jsonNumber
	jsonBoolean
	jsonNull
	jsonColon
	jsonComma
	jsonEnd
	jsonError
)

// jsonKindNames are what error texts call the kinds.
var jsonKindNames = [...]string{
	"T_OBJ_BEGIN", "T_OBJ_END", "T_ARR_BEGIN", "T_ARR_END", "T_STRING", "T_NUMBER",
	"T_BOOLEAN", "T_NULL", "T_COLON", "T_COMMA", "T_END", "T_ERROR",
}

func (d *jsonDecoder) unexpected(expected string, t jsonToken) {
	found := jsonKindNames[t.kind]
	if t.kind == jsonError {
		found = t.text
	}
	d.r.fail(d.L, "Expected %s but found %s at character %d", expected, found, t.at+1)
}

func (d *jsonDecoder) value(t jsonToken, depth int) glua.LValue {
	switch t.kind {
	case jsonString:
		return glua.LString(t.text)
	case jsonNumber:
		return glua.LNumber(t.number)
	case jsonBoolean:
		return glua.LBool(t.truth)
	case jsonNull:
		return null
	case jsonObjectBegin:
		return d.object(d.descend(depth))
	case jsonArrayBegin:
		return d.array(d.descend(depth))
	}
	d.unexpected("value", t)
	return nil
}

func (d *jsonDecoder) descend(depth int) int {
	depth++
	if depth > d.set.decodeDepth {
		d.r.fail(d.L, "Found too many nested data structures (%d) at character %d", depth, d.pos)
	}
	return depth
}

func (d *jsonDecoder) object(depth int) glua.LValue {
	o := newTable(0, 0)
	t := d.next()
	if t.kind == jsonObjectEnd {
		return o
	}
	for {
		if t.kind != jsonString {
			d.unexpected("object key string", t)
		}
		key := t.text
		if t = d.next(); t.kind != jsonColon {
			d.unexpected("colon", t)
		}
		o.RawSetString(key, d.value(d.next(), depth))
		t = d.next()
		if t.kind == jsonObjectEnd {
			return o
		}
		if t.kind != jsonComma {
			d.unexpected("comma or object end", t)
		}
		t = d.next()
	}
}

func (d *jsonDecoder) array(depth int) glua.LValue {
	a := newTable(0, 0)
	t := d.next()
	if t.kind == jsonArrayEnd {
		return a
	}
	for i := 1; ; i++ {
		a.RawSetInt(i, d.value(t, depth))
		t = d.next()
		if t.kind == jsonArrayEnd {
			return a
		}
		if t.kind != jsonComma {
			d.unexpected("comma or array end", t)
		}
		t = d.next()
	}
}

// next takes one token off the text.
func (d *jsonDecoder) next() jsonToken {
	for d.pos < len(d.text) && strings.IndexByte(" \t\n\r", d.text[d.pos]) >= 0 {
		d.pos++
	}
	t := jsonToken{at: d.pos}
	if d.pos == len(d.text) || d.text[d.pos] == 0 { // a zero byte ends a C string
		t.kind = jsonEnd
		return t
	}
	switch c := d.text[d.pos]; c {
	case '{':
		return d.sign(t, jsonObjectBegin)
	case '}':
		return d.sign(t, jsonObjectEnd)
	case '[':
		return d.sign(t, jsonArrayBegin)
	case ']':
		return d.sign(t, jsonArrayEnd)
	case ',':
		return d.sign(t, jsonComma)
	case ':':
		return d.sign(t, jsonColon)
	case '"':
		return d.string(t)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return d.number(t)
	}
	for _, word := range []struct {
		text string
		t    jsonToken
	}{
		{"true", jsonToken{kind: jsonBoolean, truth: true}},
		{"false", jsonToken{kind: jsonBoolean}},
		{"null", jsonToken{kind: jsonNull}},
	} {
		if strings.HasPrefix(d.text[d.pos:], word.text) {
			d.pos += len(word.text)
			word.t.at = t.at
			return word.t
		}
	}
	if d.set.decodeInvalid && isInvalidNumber(d.text[d.pos:]) {
		return d.number(t)
	}
	return d.wrong(t, "invalid token")
}

func (d *jsonDecoder) sign(t jsonToken, kind jsonKind) jsonToken {
	d.pos++
	t.kind = kind
	return t
}

func (d *jsonDecoder) wrong(t jsonToken, what string) jsonToken {
	t.kind, t.text = jsonError, what
	return t
}

// isInvalidNumber tells whether a text begins a number that JSON does not know:
// infinity, NaN, hexadecimal, a superfluous plus or zero.
func isInvalidNumber(s string) bool {
	if s[0] == '+' {
		return true
	}
	s = strings.TrimPrefix(s, "-")
	if strings.HasPrefix(s, "0") && len(s) > 1 {
		return s[1]|0x20 == 'x' || isDigit(s[1])
	}
	return hasPrefixFold(s, "inf") || hasPrefixFold(s, "nan")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func (d *jsonDecoder) number(t jsonToken) jsonToken {
	rest := d.text[d.pos:]
	if !d.set.decodeInvalid && isInvalidNumber(rest) {
		return d.wrong(t, "invalid number")
	}
	n := numberPrefix(rest)
	v, ok := parseNumber(rest[:n])
	if !ok {
		return d.wrong(t, "invalid number")
	}
	d.pos += n
	t.kind, t.number = jsonNumber, v
	return t
}

// numberPrefix is the length of the number that strtod would read.
func numberPrefix(s string) int {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	for _, word := range []string{"infinity", "inf", "nan"} {
		if hasPrefixFold(s[i:], word) {
			return i + len(word)
		}
	}
	digit, exponent := isDigit, byte('e')
	if hasPrefixFold(s[i:], "0x") && len(s) > i+2 && isHex(s[i+2]) {
		i += 2
		digit, exponent = isHex, 'p'
	}
	digits := 0
	for ; i < len(s) && digit(s[i]); i++ {
		digits++
	}
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && digit(s[i]); i++ {
			digits++
		}
	}
	if digits == 0 {
		return 0
	}
	if i < len(s) && s[i]|0x20 == exponent {
		k := i + 1
		if k < len(s) && (s[k] == '-' || s[k] == '+') {
			k++
		}
		if k < len(s) && isDigit(s[k]) {
			for i = k; i < len(s) && isDigit(s[i]); i++ {
			}
		}
	}
	return i
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// string reads a string that begins at the quote; t.at stays there.
func (d *jsonDecoder) string(t jsonToken) jsonToken {
	d.pos++
	t.kind = jsonString
	end := strings.IndexAny(d.text[d.pos:], "\"\\\x00")
	if end >= 0 && d.text[d.pos+end] == '"' {
		t.text = d.text[d.pos : d.pos+end]
		d.pos += end + 1
		return t
	}
	var out []byte
	for d.pos < len(d.text) && d.text[d.pos] != 0 {
		c := d.text[d.pos]
		switch c {
		case '"':
			d.pos++
			t.text = string(out)
			return t
		case '\\':
			escaped, n, what := unescapeJSON(d.text[d.pos:])
			if what != "" {
				t.at = d.pos
				return d.wrong(t, what)
			}
			out = append(out, escaped...)
			d.pos += n
			continue
		}
		out = append(out, c)
		d.pos++
	}
	t.at = d.pos
	return d.wrong(t, "unexpected end of string")
}

// unescapeJSON reads the escape that s begins with: its UTF-8 and its length.
func unescapeJSON(s string) (text []byte, n int, wrong string) {
	if len(s) < 2 {
		return nil, 0, "invalid escape code"
	}
	switch s[1] {
	case '"', '\\', '/':
		return []byte{s[1]}, 2, ""
	case 'b':
		return []byte{'\b'}, 2, ""
	case 'f':
		return []byte{'\f'}, 2, ""
	case 'n':
		return []byte{'\n'}, 2, ""
	case 'r':
		return []byte{'\r'}, 2, ""
	case 't':
		return []byte{'\t'}, 2, ""
	case 'u':
		c, n, ok := codePoint(s)
		if !ok {
			return nil, 0, "invalid unicode escape code"
		}
		return utf8.AppendRune(nil, c), n, ""
	}
	return nil, 0, "invalid escape code"
}

// codePoint reads \uXXXX, or two of them that are a surrogate pair.
func codePoint(s string) (c rune, n int, ok bool) {
	c, ok = hex4(s)
	if !ok {
		return 0, 0, false
	}
	if c&0xF800 != 0xD800 {
		return c, 6, true
	}
	if c&0x400 != 0 { // a low surrogate cannot come first
		return 0, 0, false
	}
	low, ok := hex4(s[6:])
	if !ok || low&0xFC00 != 0xDC00 {
		return 0, 0, false
	}
	return (c&0x3FF)<<10 + low&0x3FF + 0x10000, 12, true
}

func hex4(s string) (v rune, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for _, c := range []byte(s[2:6]) {
		if !isHex(c) {
			return 0, false
		}
		v <<= 4
		if isDigit(c) {
			v |= rune(c - '0')
		} else {
			v |= rune(c|0x20-'a') + 10
		}
	}
	return v, true
}
