package resp

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecode_EachKind(t *testing.T) {
	bulk := func(s string) Value { return Value{Kind: BulkString, Str: []byte(s)} }
	for in, want := range map[string]Value{
		"+OK\r\n":                 {Kind: SimpleString, Str: []byte("OK")},
		"-ERR no\r\n":             {Kind: ErrorReply, Str: []byte("ERR no")},
		":-7\r\n":                 {Kind: Integer, Int: -7},
		"$3\r\na\r\n\r\n":         bulk("a\r\n"),
		"$-1\r\n":                 {Kind: NullReply},
		"*-1\r\n":                 {Kind: NullReply},
		"_\r\n":                   {Kind: NullReply},
		"#t\r\n":                  {Kind: BoolReply, Int: 1},
		"#f\r\n":                  {Kind: BoolReply},
		",1.5\r\n":                {Kind: DoubleReply, Float: 1.5},
		",-inf\r\n":               {Kind: DoubleReply, Float: math.Inf(-1)},
		"(123\r\n":                {Kind: BigNumber, Str: []byte("123")},
		"=5\r\ntxt:a\r\n":         {Kind: VerbatimText, Str: []byte("a")},
		"*2\r\n:1\r\n$1\r\na\r\n": {Kind: ArrayReply, Elems: []Value{{Kind: Integer, Int: 1}, bulk("a")}},
		"*0\r\n":                  {Kind: ArrayReply, Elems: []Value{}},
		"~1\r\n*1\r\n_\r\n":       {Kind: SetReply, Elems: []Value{{Kind: ArrayReply, Elems: []Value{{Kind: NullReply}}}}},
		"%1\r\n$1\r\na\r\n:2\r\n": {Kind: MapReply, Elems: []Value{bulk("a"), {Kind: Integer, Int: 2}}},
		">1\r\n+x\r\n":            {Kind: PushReply, Elems: []Value{{Kind: SimpleString, Str: []byte("x")}}},
	} {
		got, n, err := Decode([]byte(in + "rest"))
		if err != nil || n != len(in) {
			t.Errorf("%q: %d of %d bytes, %v", in, n, len(in), err)
			continue
		}
		if diff := cmp.Diff(want, got.Clone()); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
		for i := range in {
			if _, _, err := Decode([]byte(in[:i])); !errors.Is(err, ErrIncomplete) {
				t.Errorf("%q: %v, want that it is incomplete", in[:i], err)
			}
		}
	}
}

func TestDecode_NotRESP_IsRefused(t *testing.T) {
	for _, in := range []string{"hello\r\n", "\r\n", "+OK\n", ":x\r\n", ":\r\n", "$x\r\n", "$536870913\r\n", "$1\r\nabc",
		"*x\r\n", "#x\r\n", "#\r\n", ",x\r\n", "%9223372036854775807\r\n", strings.Repeat("*1\r\n", 200)} {
		if v, n, err := Decode([]byte(in)); !IsProtocolError(err) || n != 0 {
			t.Errorf("%.40q: %v, %d, %v", in, v, n, err)
		}
	}
}

// A length says nothing about how much will come: memory follows what is there.
func TestDecode_HugeCounts_CostNothing(t *testing.T) {
	in := []byte(strings.Repeat("*1000000000\r\n", 100))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := Decode(in); !errors.Is(err, ErrIncomplete) {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; cost > 4<<20 {
		t.Errorf("%d bytes for %d of input", cost, len(in))
	}
}

func TestValue_TextAndErr(t *testing.T) {
	for in, want := range map[string]string{"+a\r\n": "a", ":5\r\n": "5", ",0.1\r\n": "0.10000000000000001", "#t\r\n": "1",
		"_\r\n": "", "*1\r\n+a\r\n": "", "$1\r\na\r\n": "a"} {
		v, _, err := Decode([]byte(in))
		if err != nil || v.Text() != want || v.Err() != nil || v.IsNull() != (in == "_\r\n") {
			t.Errorf("%q: %q, %v, %v", in, v.Text(), v.Err(), err)
		}
	}
	v, _, _ := Decode([]byte("-WRONGTYPE no\r\n"))
	var e ServerError
	if !errors.As(v.Err(), &e) || e.Error() != "WRONGTYPE no" {
		t.Errorf("%v", v.Err())
	}
}

func TestClone_OwnsItsBytes(t *testing.T) {
	in := []byte("*1\r\n$1\r\na\r\n")
	v, _, _ := Decode(in)
	kept := v.Clone()
	clear(in)
	if kept.Elems[0].Text() != "a" {
		t.Errorf("%q", kept.Elems[0].Text())
	}
}

// A decoded value lies within the input, a shorter input is incomplete, and
// nothing makes Decode panic.
func FuzzDecode_NeverPanics_NeverReadsPastItsValue(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n_\r\n", "%1\r\n+a\r\n,1.5\r\n", "=5\r\ntxt:a\r\n", "*-1\r\n", "$-1\r\n", ">1\r\n#t\r\n", "(1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, n, err := Decode(in)
		if err != nil {
			if n != 0 {
				t.Fatalf("%v, and yet %d bytes", err, n)
			}
			return
		}
		if n < 3 || n > len(in) {
			t.Fatalf("%d of %d bytes", n, len(in))
		}
		again, m, err := Decode(bytes.Clone(in[:n]))
		if err != nil || m != n || !cmp.Equal(v.Clone(), again.Clone(), cmp.Comparer(sameFloat)) {
			t.Fatalf("%v and %v, %d and %d bytes, %v", v, again, n, m, err)
		}
		if _, _, err := Decode(in[:n-1]); !errors.Is(err, ErrIncomplete) {
			t.Fatalf("one byte less: %v", err)
		}
	})
}

func sameFloat(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
