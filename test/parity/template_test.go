package parity

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// A template makes requests at random. It is a line of words:
//
//	SET {s} {v} [NX|XX|EX {sec}|]      one of the alternatives
//	MGET {s}+                          the word one to four times
//	XADD {x} {id} ({f} {v})+           the group one to four times
//	EVAL "return 1" 0                  text in quotes is taken as it is
//
// {…} is a placeholder, see [generator.place].
type template struct {
	mark  byte // how the reply is compared, as in the scripts; see check
	words []word
	whole bool // not to be spoilt: other requests rely on what it does
}

// word is a part of a template: exactly one of its fields is set.
type word struct {
	quoted string   // literal text
	text   string   // literal text with placeholders
	choice [][]word // [a|b|c]
	repeat []word   // one to four times
}

// parseTemplates reads one template a line; "~ " and the like before it say how
// the reply is compared.
func parseTemplates(lines string) (all []template) {
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		t := template{}
		if len(line) > 1 && line[1] == ' ' {
			t.mark, line = line[0], line[2:]
		}
		t.whole = strings.Contains(line, "{y}")
		p := templateParser{rest: line}
		t.words = p.sequence("")
		if p.rest != "" {
			panic("template: unbalanced: " + line)
		}
		all = append(all, t)
	}
	return all
}

type templateParser struct{ rest string }

// sequence reads words up to one of the bytes in stop, which is left.
func (p *templateParser) sequence(stop string) (words []word) {
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		switch {
		case p.rest == "" || strings.IndexByte(stop, p.rest[0]) >= 0:
			return words
		case p.rest[0] == '[':
			words = append(words, word{choice: p.choice()})
		case p.rest[0] == '"':
			quoted, rest, _ := strings.Cut(p.rest[1:], `"`)
			p.rest = rest
			words = append(words, word{quoted: quoted})
		case p.rest[0] == '(':
			p.rest = p.rest[1:]
			inner := p.sequence(")")
			p.rest = strings.TrimPrefix(p.rest, ")+")
			words = append(words, word{repeat: inner})
		default:
			end := strings.IndexAny(p.rest, " "+stop)
			if end < 0 {
				end = len(p.rest)
			}
			text := p.rest[:end]
			p.rest = p.rest[end:]
			if one, ok := strings.CutSuffix(text, "}+"); ok {
				words = append(words, word{repeat: []word{{text: one + "}"}}})
			} else {
				words = append(words, word{text: text})
			}
		}
	}
}

func (p *templateParser) choice() (all [][]word) {
	for {
		p.rest = p.rest[1:] // '[' or '|'
		all = append(all, p.sequence("|]"))
		if p.rest == "" {
			panic("template: [ without ]")
		}
		if p.rest[0] == ']' {
			p.rest = p.rest[1:]
			return all
		}
	}
}

// generator fills templates in. The universes are small, so that requests meet
// each other's keys and members.
type generator struct {
	*rand.Rand
	start  time.Time
	future bool // no deadline is past
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 0)), start: time.Now()}
}

// fill makes a request of a template. Now and then it is spoilt: an argument too
// few or too many, or one that makes no sense in its place.
func (g *generator) fill(t template) [][]byte {
	args := g.expand(nil, t.words)
	if g.IntN(4) == 0 {
		args[0] = []byte(strings.ToLower(string(args[0])))
	}
	if t.whole {
		return args
	}
	switch g.IntN(60) {
	case 0:
		args = args[:len(args)-1]
	case 1:
		args = append(args, g.value())
	case 2:
		args[g.IntN(len(args))] = []byte(g.pick(oddities))
	}
	if len(args) == 0 {
		args = append(args, []byte("PING"))
	}
	return args
}

func (g *generator) expand(args [][]byte, words []word) [][]byte {
	for _, w := range words {
		switch {
		case w.choice != nil:
			args = g.expand(args, w.choice[g.IntN(len(w.choice))])
		case w.quoted != "":
			args = append(args, []byte(w.quoted))
		case w.repeat != nil:
			for range 1 + g.IntN(4) {
				args = g.expand(args, w.repeat)
			}
		default:
			args = append(args, g.substitute(w.text))
		}
	}
	return args
}

func (g *generator) substitute(text string) (out []byte) {
	for {
		begin := strings.IndexByte(text, '{')
		if begin < 0 {
			return append(out, text...)
		}
		end := begin + strings.IndexByte(text[begin:], '}')
		out = append(out, text[:begin]...)
		out = append(out, g.place(text[begin+1:end])...)
		text = text[end+1:]
	}
}

func (g *generator) pick(from []string) string { return from[g.IntN(len(from))] }

// oddities are values that few arguments may have. None of them makes a server
// build something huge, and none is read off a clock.
var oddities = []string{"", "abc", "-1", "0", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
	"1.5", "\x00\xff\r\n", " 1", "01", "+1", "1e5", "inf", "-inf", "nan", "0x10", "-0", "$", "-", "+", "(1", "[a"}

var (
	integers = []string{"0", "1", "-1", "2", "7", "100", "9223372036854775807", "-9223372036854775808",
		"9223372036854775806", "4611686018427387904"}
	floats = []string{"0", "1", "-1", "1.5", "-2.5", "0.1", "0.2", "3.14159265358979", "1e10", "1e-7", "1e300", "-1e300",
		"17976931348623157e292", "5e-324", "1e-5000", "inf", "-inf", "+inf", "9007199254740993", "0.30000000000000004", "123456789012345678"}
	plainFloats = []string{"0", "1", "-1", "1.5", "-2.5", "0.1", "0.2", "3.0e3", "1e17", "1e-7", "0.00001", "-0", "12345678.12345678", "5.0e-1"}
	members     = []string{"a", "b", "c", "d", "e", "aa", "ab", "", "1", "2", "-3", "10", "9223372036854775807", "\x00bin\xff", "longer-than-a-few-bytes"}
	streamIDs   = []string{"1-1", "1-2", "2", "2-0", "3-5", "5-*", "7-1", "7-18446744073709551615", "8", "100-100", "9-*"}
)

// place is what a placeholder stands for:
//
//	{s} {h} {l} {t} {z} {x}  a key, mostly one of that family (t: set, x: stream)
//	{k}                      any key
//	{y}                      a sorted set whose scores are all the same, as lexical ranges ask for
//	{v} {f}                  a value, a field or member
//	{n} {i} {c}              an integer up to the limits, a small index, a small count
//	{d} {od} {pd}            a float up to infinity, the same behind "(", a float of modest size
//	{sec} {ms} {at} {atms}   deadlines, relative and absolute, far away or long past
//	{id} {rid}               a new stream id, an end of a range of ids
//	{lex}                    an end of a range of members
//	{pat}                    a glob pattern
func (g *generator) place(name string) []byte {
	switch name {
	case "s", "h", "l", "t", "z", "x":
		if g.IntN(16) == 0 {
			return g.place("k")
		}
		return fmt.Appendf(nil, "%s%d", name, 1+g.IntN(3))
	case "k":
		return fmt.Appendf(nil, "%c%d", "shltzx"[g.IntN(6)], 1+g.IntN(3))
	case "y":
		return fmt.Appendf(nil, "y%d", 1+g.IntN(2))
	case "v":
		return g.value()
	case "f":
		return []byte(g.pick(members))
	case "n":
		return []byte(g.pick(integers))
	case "i":
		return strconv.AppendInt(nil, int64(g.IntN(13)-6), 10)
	case "c":
		return strconv.AppendInt(nil, int64(g.IntN(6)), 10)
	case "d":
		return []byte(g.pick(floats))
	case "od":
		return []byte("(" + g.pick(floats))
	case "pd":
		return []byte(g.pick(plainFloats))
	case "sec", "ms", "at", "atms":
		return g.deadline(name)
	case "id":
		return []byte(g.pick(streamIDs))
	case "rid":
		return []byte(g.pick([]string{"-", "+", "1", "2", "3-5", "(2", "(3-5", "7", "(7-1", "100-100", "99999", "0"}))
	case "lex":
		return []byte(g.pick([]string{"-", "+", "[a", "(a", "[b", "(c", "[", "(", "[ab", "[longer"}))
	case "pat":
		return []byte(g.pick([]string{"*", "a*", "?", "[a-c]", "[^a]", "*b", "nothing", "\\a", "[", "??", ""}))
	}
	panic("no placeholder {" + name + "}")
}

func (g *generator) value() []byte {
	switch g.IntN(10) {
	case 0, 1:
		return []byte(g.pick(integers))
	case 2:
		return []byte(g.pick(plainFloats))
	case 3:
		return []byte(g.pick(oddities))
	case 4:
		return []byte(strings.Repeat("long", 1+g.IntN(40)))
	default:
		return []byte(g.pick(members))
	}
}

// deadline keeps any two apart by minutes, so that two servers that look a
// moment apart agree about their order and about what has passed.
func (g *generator) deadline(name string) []byte {
	minutes := int64(10 * (1 + g.IntN(100_000)))
	past := !g.future && g.IntN(12) == 0
	switch name {
	case "sec":
		if past {
			return []byte(g.pick([]string{"-1", "0", "-9223372036854775808", "9223372036854775807"}))
		}
		return strconv.AppendInt(nil, minutes*60, 10)
	case "ms":
		if past {
			return []byte(g.pick([]string{"-1", "0", "-9223372036854775808", "9223372036854775807"}))
		}
		return strconv.AppendInt(nil, minutes*60_000, 10)
	}
	at := g.start.Unix() + minutes*60 + 300
	if past {
		at = int64(g.IntN(3)) - 1
	}
	if name == "atms" {
		at *= 1000
	}
	return strconv.AppendInt(nil, at, 10)
}
