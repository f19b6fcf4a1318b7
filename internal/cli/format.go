package cli

import (
	"fmt"
	"strconv"
	"strings"

	"limpet/resp"
)

// format is a reply as it is printed. plain is for commands whose reply is text
// made for people, like INFO.
func (o *options) format(v resp.Value, plain bool) string {
	var b strings.Builder
	switch {
	case plain:
		o.raw(&b, v)
	case o.form == formTerminal:
		terminal(&b, v, "")
	case o.form == formRaw:
		o.raw(&b, v)
		b.WriteString(o.after)
	case o.form == formCSV:
		csv(&b, v)
		b.WriteByte('\n')
	default:
		json(&b, v, o.form == formQuotedJSON)
		b.WriteByte('\n')
	}
	return b.String()
}

// terminal is the form for people:
//
//  1. "a"
//  2. 1) (integer) 1
//  2. (nil)
func terminal(b *strings.Builder, v resp.Value, indent string) {
	switch v.Kind {
	case resp.ErrorReply:
		line(b, "(error) "+string(v.Str))
	case resp.SimpleString, resp.VerbatimText:
		line(b, string(v.Str))
	case resp.Integer:
		line(b, "(integer) "+strconv.FormatInt(v.Int, 10))
	case resp.DoubleReply:
		line(b, "(double) "+string(v.Str))
	case resp.BigNumber:
		line(b, "(big number) "+string(v.Str))
	case resp.BulkString:
		line(b, repr(v.Str))
	case resp.NullReply:
		line(b, "(nil)")
	case resp.BoolReply:
		line(b, map[bool]string{true: "(true)", false: "(false)"}[v.Int != 0])
	default:
		aggregate(b, v, indent)
	}
}

func line(b *strings.Builder, s string) {
	b.WriteString(s)
	b.WriteByte('\n')
}

func aggregate(b *strings.Builder, v resp.Value, indent string) {
	empty, mark, each := "(empty array)", ')', 1
	switch v.Kind {
	case resp.MapReply:
		empty, mark, each = "(empty hash)", '#', 2
	case resp.SetReply:
		empty, mark = "(empty set)", '~'
	case resp.PushReply:
		empty = "(empty push)"
	}
	if len(v.Elems) == 0 {
		line(b, empty)
		return
	}
	width := len(strconv.Itoa(len(v.Elems) / each))
	inner := indent + strings.Repeat(" ", width+2)
	for i := 0; i < len(v.Elems); i += each {
		if i > 0 {
			b.WriteString(indent) // the first stands behind the number of the parent
		}
		_, _ = fmt.Fprintf(b, "%*d%c ", width, i/each+1, mark)
		if each == 1 {
			terminal(b, v.Elems[i], inner)
			continue
		}
		var key strings.Builder
		terminal(&key, v.Elems[i], inner)
		b.WriteString(strings.TrimSuffix(key.String(), "\n") + " => ")
		if severalLines(v.Elems[i+1]) {
			b.WriteString("\n" + inner)
		}
		terminal(b, v.Elems[i+1], inner)
	}
}

// severalLines tells whether the terminal form takes more than one line.
func severalLines(v resp.Value) bool {
	switch v.Kind {
	case resp.ArrayReply, resp.SetReply, resp.PushReply:
		return len(v.Elems) > 1 || len(v.Elems) == 1 && severalLines(v.Elems[0])
	case resp.MapReply:
		return len(v.Elems) > 2 || len(v.Elems) == 2 && severalLines(v.Elems[1])
	}
	return false
}

// raw is the form for pipes: the bytes, one element a line, nothing around them.
func (o *options) raw(b *strings.Builder, v resp.Value) {
	switch v.Kind {
	case resp.NullReply:
	case resp.ErrorReply:
		line(b, string(v.Str))
	case resp.Integer:
		b.WriteString(strconv.FormatInt(v.Int, 10))
	case resp.BoolReply:
		b.WriteString(map[bool]string{true: "(true)", false: "(false)"}[v.Int != 0])
	case resp.ArrayReply, resp.SetReply, resp.PushReply:
		for i, e := range v.Elems {
			if i > 0 {
				b.WriteString(o.between)
			}
			o.raw(b, e)
		}
	case resp.MapReply:
		for i := 0; i < len(v.Elems); i += 2 {
			if i > 0 {
				b.WriteString(o.between)
			}
			o.raw(b, v.Elems[i])
			b.WriteByte(' ')
			o.raw(b, v.Elems[i+1])
		}
	default:
		b.Write(v.Str)
	}
}

// csv flattens what is nested.
func csv(b *strings.Builder, v resp.Value) {
	switch v.Kind {
	case resp.ErrorReply:
		b.WriteString("ERROR," + repr(v.Str))
	case resp.Integer:
		b.WriteString(strconv.FormatInt(v.Int, 10))
	case resp.DoubleReply, resp.BigNumber:
		b.Write(v.Str)
	case resp.NullReply:
		b.WriteString("NULL")
	case resp.BoolReply:
		b.WriteString(strconv.FormatBool(v.Int != 0))
	case resp.ArrayReply, resp.SetReply, resp.PushReply, resp.MapReply:
		for i, e := range v.Elems {
			if i > 0 {
				b.WriteByte(',')
			}
			csv(b, e)
		}
	default:
		b.WriteString(repr(v.Str))
	}
}

// json is not always JSON: an error has a prefix, and bytes that are no UTF-8
// stay what they are. So it is there, too.
func json(b *strings.Builder, v resp.Value, quoted bool) {
	switch v.Kind {
	case resp.ErrorReply:
		b.WriteString("error:" + jsonString(v.Str, quoted))
	case resp.Integer:
		b.WriteString(strconv.FormatInt(v.Int, 10))
	case resp.DoubleReply, resp.BigNumber:
		b.Write(v.Str)
	case resp.NullReply:
		b.WriteString("null")
	case resp.BoolReply:
		b.WriteString(strconv.FormatBool(v.Int != 0))
	case resp.ArrayReply, resp.SetReply, resp.PushReply:
		b.WriteByte('[')
		for i, e := range v.Elems {
			if i > 0 {
				b.WriteByte(',')
			}
			json(b, e, quoted)
		}
		b.WriteByte(']')
	case resp.MapReply:
		b.WriteByte('{')
		for i := 0; i < len(v.Elems); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			jsonKey(b, v.Elems[i], quoted)
			b.WriteByte(':')
			json(b, v.Elems[i+1], quoted)
		}
		b.WriteByte('}')
	default:
		b.WriteString(jsonString(v.Str, quoted))
	}
}

// jsonKey makes a string of what is none.
func jsonKey(b *strings.Builder, v resp.Value, quoted bool) {
	var key strings.Builder
	json(&key, v, quoted)
	text := key.String()
	if v.Kind != resp.ErrorReply && !strings.HasPrefix(text, `"`) {
		text = `"` + text + `"`
	}
	b.WriteString(text)
}

func jsonString(s []byte, quoted bool) string {
	if quoted {
		return strings.ReplaceAll(repr(s), `\`, `\\`)
	}
	b := []byte{'"'}
	for _, c := range s {
		switch {
		case c == '\\' || c == '"':
			b = append(b, '\\', c)
		case c == '\n' || c == '\f' || c == '\r' || c == '\t' || c == '\b':
			b = append(b, '\\', "btn_fr"[c-'\b'])
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// repr is a string in double quotes, printable ASCII only, that resp.SplitWords
// takes back.
func repr(s []byte) string {
	b := []byte{'"'}
	for _, c := range s {
		switch {
		case c == '\\' || c == '"':
			b = append(b, '\\', c)
		case c >= '\a' && c <= '\r' && c != '\v' && c != '\f':
			b = append(b, '\\', "abtn__r"[c-'\a'])
		case c < ' ' || c > '~':
			b = fmt.Appendf(b, `\x%02x`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
