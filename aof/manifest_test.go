package aof

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// manifestCase is a manifest and what becomes of it: the reason it is refused
// for, or "". The files a.base.rdb, a.1.incr.aof … exist beside it.
type manifestCase struct {
	name, text, why string
	// stricter marks what Redis accepts and this package refuses on purpose.
	stricter bool
}

const line1 = "file a.1.incr.aof seq 1 type i\n"

var manifestCases = []manifestCase{
	{name: "written form", text: "file a.base.rdb seq 1 type b\nfile old seq 1 type h\n" + line1 + "file a.2.incr.aof seq 2 type i\n"},
	{name: "gap in sequence", text: line1 + "file a.2.incr.aof seq 9 type i\n"},
	{name: "keys in any order and case", text: "TYPE i Seq 1 FILE a.1.incr.aof\n"},
	{name: "unknown keys", text: "file a.1.incr.aof seq 1 type i startoffset 5 endoffset 7\n"},
	{name: "comment", text: "# hello\n" + line1},
	{name: "comment without newline at the end", text: line1 + "# hello"},
	{name: "only a comment", text: "# hello\n"},
	{name: "comment of just a full buffer", text: "#" + strings.Repeat("x", 1023) + line1},
	{name: "comment longer than a line is two lines", text: "#" + strings.Repeat("x", 1100) + "\n" + line1, why: whyFormat},
	{name: "blanks around", text: " \t file  a.1.incr.aof\tseq 1 type i \r\n"},
	{name: "double quotes", text: `"file" "a.1.in\x63r.aof" seq 1 type i` + "\n"},
	{name: "single quotes", text: "file 'a.1.incr.aof' 'seq' 1 type i\n"},
	{name: "quotes in the middle of a word", text: `file a.1."incr.aof" seq 1 type i` + "\n"},
	{name: "type by its first letter", text: "file a.1.incr.aof seq 1 type incremental\n"},
	{name: "number with junk behind", text: "file a.1.incr.aof seq 1x type i\n"},
	{name: "number with a plus", text: "file a.1.incr.aof seq +1 type i\n"},
	{name: "negative base", text: "file a.base.rdb seq -3 type b\n" + line1},
	{name: "history unchecked", text: line1 + "file x seq 5 type h\nfile x seq 5 type h\n"},
	{name: "word twice, the last counts", text: "file nofile seq 1 type i file a.1.incr.aof\n"},
	{name: "longest line", text: "file a.1.incr.aof seq 1 type i k " + strings.Repeat("v", 990) + "\n"},
	{name: "name cut by a zero escape", text: `file "a.1.incr.aof\x00zzz" seq 1 type i` + "\n"},

	{name: "empty", text: "", why: whyEmpty},
	{name: "blank line", text: line1 + "\n", why: whyFormat},
	{name: "line of blanks", text: "  \t \n" + line1, why: whyFormat},
	{name: "no newline at the end", text: strings.TrimSuffix(line1, "\n"), why: whyLong},
	{name: "line too long", text: "file a.1.incr.aof seq 1 type i k " + strings.Repeat("v", 991) + "\n", why: whyLong},
	{name: "zero byte in a line", text: "file a.1.incr.aof seq 1 type i \x00 x\n", why: whyLong},
	{name: "odd number of words", text: "file a.1.incr.aof seq 1 type i odd\n", why: whyFormat},
	{name: "too few words", text: "file a.1.incr.aof seq 1\n", why: whyFormat},
	{name: "no file", text: "name a.1.incr.aof seq 1 type i\n", why: whyFormat},
	{name: "no seq", text: "file a.1.incr.aof number 1 type i\n", why: whyFormat},
	{name: "no type", text: "file a.1.incr.aof seq 1 kind i\n", why: whyFormat},
	{name: "zero seq", text: "file a.1.incr.aof seq 0 type i\n", why: whyFormat},
	{name: "seq not a number", text: "file a.1.incr.aof seq one type i\n", why: whyFormat},
	{name: "empty type", text: `file a.1.incr.aof seq 1 type ""` + "\n", why: whyFormat},
	{name: "open double quote", text: `file "a.1.incr.aof seq 1 type i` + "\n", why: whyFormat},
	{name: "open single quote", text: "file 'a.1.incr.aof seq 1 type i\n", why: whyFormat},
	{name: "text behind a closing quote", text: `file "a.1.incr.aof"x seq 1 type i` + "\n", why: whyFormat},
	{name: "path", text: "file ../a.1.incr.aof seq 1 type i\n", why: whyPath},
	{name: "path with backslash", text: `file a\1.incr.aof seq 1 type i` + "\n", why: whyPath},
	{name: "two bases", text: "file a.base.rdb seq 1 type b\nfile b.base.rdb seq 2 type b\n", why: whyTwoBases},
	{name: "incrs not rising", text: "file a.2.incr.aof seq 2 type i\n" + line1, why: whyNotMonotonic},
	{name: "incr number twice", text: line1 + "file a.2.incr.aof seq 1 type i\n", why: whyNotMonotonic},
	{name: "negative incr", text: "file a.1.incr.aof seq -1 type i\n", why: whyNotMonotonic},
	{name: "unknown type", text: "file a.1.incr.aof seq 1 type x\n", why: whyType},
	{name: "type in upper case", text: "file a.1.incr.aof seq 1 type I\n", why: whyType},

	{name: "a file twice", text: line1 + "file a.1.incr.aof seq 2 type i\n", why: whyTwice, stricter: true},
	{name: "history without a name", text: `file "" seq 1 type h` + "\n", why: whyPath, stricter: true},
	{name: "history that is a directory", text: "file .. seq 1 type h\n", why: whyPath, stricter: true},
}

func TestManifest_IsReadByRedissGrammar(t *testing.T) {
	for _, c := range manifestCases {
		_, err := ParseManifest("m", []byte(c.text))
		var e *ManifestError
		switch {
		case c.why == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.why != "" && !errors.As(err, &e):
			t.Errorf("%s: accepted, want %q", c.name, c.why)
		case c.why != "" && (e.Why != c.why || !errors.Is(err, ErrDamaged)):
			t.Errorf("%s: %q, want %q", c.name, e.Why, c.why)
		}
	}
}

func TestManifest_Errors_NameTheLine(t *testing.T) {
	_, err := ParseManifest("appendonly.aof.manifest", []byte("# c\n"+line1+"file b seq 1 type i\r\n"))
	const want = `aof: appendonly.aof.manifest: line 3: "file b seq 1 type i": Found a non-monotonic sequence number`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestManifest_ReadsBackWhatItWrites(t *testing.T) {
	m := &Manifest{
		Base:    &Entry{"a b.2.base.rdb", 2, Base},
		History: []Entry{{`it's "old".1.base.rdb`, 1, History}, {"bell\a\b\t\r\n\v\xff\x00x.incr.aof", 1, History}},
		Incrs:   []Entry{{"ü.2.incr.aof", 2, Incr}, {"plain.5.incr.aof", 5, Incr}},
	}
	m.History[1].Name = strings.ReplaceAll(m.History[1].Name, "\x00", "") // no file name has one
	const want = `file "a b.2.base.rdb" seq 2 type b
file "it's \"old\".1.base.rdb" seq 1 type h
file "bell\a\b\t\r\n\x0b\xffx.incr.aof" seq 1 type h
file "\xc3\xbc.2.incr.aof" seq 2 type i
file plain.5.incr.aof seq 5 type i
`
	text := m.Encode()
	if string(text) != want {
		t.Errorf("wrote\n%s", text)
	}
	again, err := ParseManifest("m", text)
	must(t, err)
	if diff := cmp.Diff(m, again); diff != "" {
		t.Error(diff)
	}
}

func FuzzManifest_WhatIsReadCanBeWrittenAndReadAgain(f *testing.F) {
	for _, c := range manifestCases {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest("m", text)
		if err != nil {
			return
		}
		written := m.Encode()
		for line := range bytes.Lines(written) {
			if len(line) > maxManifestLine {
				return // escaped, the name does not fit a line; publish refuses it
			}
		}
		if len(written) == 0 {
			return
		}
		again, err := ParseManifest("m", written)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, written, err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
