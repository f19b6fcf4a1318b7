package aof

import (
	"fmt"
	"strings"
)

// splitArgs cuts a line into words as Redis's sdssplitargs does: blanks between
// words; inside a word "…" with escapes and '…' with \' alone. It is not ok when
// a quote is not closed or something other than a blank follows a closed one.
func splitArgs(line string) (words []string, ok bool) {
	i := 0
	for {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return words, true
		}
		var word []byte
		word, i, ok = splitWord(line, i)
		if !ok {
			return nil, false
		}
		// To Redis the word is a C string: a \x00 ends it.
		head, _, _ := strings.Cut(string(word), "\x00")
		words = append(words, head)
	}
}

func splitWord(line string, i int) (word []byte, next int, ok bool) {
	for i < len(line) {
		switch c := line[i]; c {
		case ' ', '\n', '\r', '\t':
			return word, i, true
		case '"', '\'':
			part, end, closed := splitQuoted(line, i+1, c)
			if !closed || end < len(line) && !isSpace(line[end]) {
				return nil, 0, false
			}
			return append(word, part...), end, true
		default:
			word = append(word, c)
			i++
		}
	}
	return word, i, true
}

// splitQuoted reads from behind an opening quote to behind the closing one.
func splitQuoted(line string, i int, quote byte) (part []byte, next int, closed bool) {
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case c == quote:
			return part, i + 1, true
		case c == '\\' && quote == '\'' && strings.HasPrefix(line[i+1:], "'"):
			part = append(part, '\'')
			i++
		case c == '\\' && quote == '"' && i+1 < len(line):
			var used int
			c, used = unescape(line[i+1:])
			part = append(part, c)
			i += used
		default:
			part = append(part, c)
		}
	}
	return nil, 0, false
}

// unescape reads what follows a backslash and says how many bytes that were.
func unescape(s string) (c byte, used int) {
	if len(s) >= 3 && s[0] == 'x' {
		high, okHigh := unhex(s[1])
		low, okLow := unhex(s[2])
		if okHigh && okLow {
			return high<<4 | low, 3
		}
	}
	const from, to = "nrtba", "\n\r\t\b\a"
	if i := strings.IndexByte(from, s[0]); i >= 0 {
		return to[i], 1
	}
	return s[0], 1
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// quoteArg is the name as a manifest holds it: bare where that is safe, else in
// double quotes. Redis forgets to quote a name with a single quote and cannot
// read its own manifest back; this does not.
func quoteArg(s string) string {
	bare := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '\\' || r == '"' || r == '\''
	})
	if bare {
		return s
	}
	b := []byte{'"'}
	for _, c := range []byte(s) {
		switch c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n', '\r', '\t', '\a', '\b':
			b = append(b, '\\', "abtn__r"[c-'\a'])
		default:
			if c >= ' ' && c < 0x7f {
				b = append(b, c)
			} else {
				b = fmt.Appendf(b, `\x%02x`, c)
			}
		}
	}
	return string(append(b, '"'))
}
