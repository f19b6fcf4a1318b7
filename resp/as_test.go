package resp

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// as asks a reply for everything, by name of the method.
var as = map[string]func(Value) (any, error){
	"AsString":    func(v Value) (any, error) { return v.AsString() },
	"AsBytes":     func(v Value) (any, error) { return v.AsBytes() },
	"AsInt":       func(v Value) (any, error) { return v.AsInt() },
	"AsFloat":     func(v Value) (any, error) { return v.AsFloat() },
	"AsBool":      func(v Value) (any, error) { return v.AsBool() },
	"AsStrings":   func(v Value) (any, error) { return v.AsStrings() },
	"AsInts":      func(v Value) (any, error) { return v.AsInts() },
	"AsStringMap": func(v Value) (any, error) { return v.AsStringMap() },
	"AsSlice": func(v Value) (any, error) {
		list, err := v.AsSlice()
		return len(list), err
	},
	"AsMap": func(v Value) (any, error) {
		m, err := v.AsMap()
		return len(m), err
	},
}

// Each reply is what it is, and to everything that is not named here a TypeError.
func TestAs_EachKind_IsWhatItIsAndNothingElse(t *testing.T) {
	for in, want := range map[string]map[string]any{
		"$1\r\na\r\n":     {"AsString": "a", "AsBytes": []byte("a")},
		"+OK\r\n":         {"AsString": "OK", "AsBytes": []byte("OK")},
		"=5\r\ntxt:a\r\n": {"AsString": "a", "AsBytes": []byte("a")},
		"$0\r\n\r\n":      {"AsString": "", "AsBytes": []byte{}},
		"$2\r\n-7\r\n":    {"AsString": "-7", "AsBytes": []byte("-7"), "AsInt": int64(-7), "AsFloat": -7.0},
		"$3\r\n1.5\r\n":   {"AsString": "1.5", "AsBytes": []byte("1.5"), "AsFloat": 1.5},
		"$4\r\n-inf\r\n":  {"AsString": "-inf", "AsBytes": []byte("-inf"), "AsFloat": math.Inf(-1)},
		"(1234567890123456789012\r\n": {"AsString": "1234567890123456789012", "AsBytes": []byte("1234567890123456789012"),
			"AsFloat": 1234567890123456789012.0},
		":1\r\n":                         {"AsInt": int64(1), "AsFloat": 1.0, "AsBool": true},
		":0\r\n":                         {"AsInt": int64(0), "AsFloat": 0.0, "AsBool": false},
		":2\r\n":                         {"AsInt": int64(2), "AsFloat": 2.0},
		",2.5\r\n":                       {"AsFloat": 2.5},
		"#t\r\n":                         {"AsBool": true},
		"#f\r\n":                         {"AsBool": false},
		"*0\r\n":                         {"AsSlice": 0, "AsStrings": []string{}, "AsInts": []int64{}, "AsMap": 0, "AsStringMap": map[string]string{}},
		"*1\r\n$1\r\na\r\n":              {"AsSlice": 1, "AsStrings": []string{"a"}},
		"~2\r\n:1\r\n:2\r\n":             {"AsSlice": 2, "AsInts": []int64{1, 2}},
		"*2\r\n$1\r\na\r\n$1\r\n1\r\n":   {"AsSlice": 2, "AsStrings": []string{"a", "1"}, "AsMap": 1, "AsStringMap": map[string]string{"a": "1"}},
		"%1\r\n$1\r\na\r\n$1\r\nb\r\n":   {"AsMap": 1, "AsStringMap": map[string]string{"a": "b"}},
		"%1\r\n$1\r\na\r\n*1\r\n:1\r\n":  {"AsMap": 1},
		"*2\r\n$1\r\na\r\n*1\r\n$-1\r\n": {"AsSlice": 2, "AsMap": 1},
		"*2\r\n*0\r\n*0\r\n":             {"AsSlice": 2},
		"*1\r\n*1\r\n:1\r\n":             {"AsSlice": 1},
	} {
		v, _, err := Decode([]byte(in))
		if err != nil {
			t.Fatal(in, err)
		}
		for name, ask := range as {
			got, err := ask(v)
			expected, fits := want[name]
			var misfit *TypeError
			switch {
			case fits && err != nil:
				t.Errorf("%q %s: %v", in, name, err)
			case fits && !cmp.Equal(got, expected):
				t.Errorf("%q %s: %#v, want %#v", in, name, got, expected)
			case !fits && !errors.As(err, &misfit):
				t.Errorf("%q %s: %#v, %v, want a TypeError", in, name, got, err)
			}
		}
	}
}

func TestAs_NullAndErrors_AreThemselvesWhateverIsAskedFor(t *testing.T) {
	null := Value{Kind: NullReply}
	broken := Value{Kind: ErrorReply, Str: []byte("WRONGTYPE no")}
	for name, ask := range as {
		if _, err := ask(null); !errors.Is(err, ErrNull) {
			t.Errorf("%s of null: %v", name, err)
		}
		var wire ServerError
		if _, err := ask(broken); !errors.As(err, &wire) || wire != "WRONGTYPE no" {
			t.Errorf("%s of an error: %v", name, err)
		}
	}
}

// A missing key is not an empty one, inside a list either.
func TestAsStrings_NullElement_IsAnErrorThatNamesIt(t *testing.T) {
	v, _, _ := Decode([]byte("*2\r\n$1\r\na\r\n$-1\r\n"))
	if _, err := v.AsStrings(); !errors.Is(err, ErrNull) || err.Error() != "element 1: resp: the reply is null" {
		t.Error(err)
	}
	if _, err := v.AsStringMap(); !errors.Is(err, ErrNull) || err.Error() != `value of "a": resp: the reply is null` {
		t.Error(err)
	}
}

func TestTypeError_SaysWhatIsThere(t *testing.T) {
	v := Value{Kind: BulkString, Str: []byte("abc")}
	if _, err := v.AsInt(); err.Error() != `resp: want an integer, have the string "abc"` {
		t.Error(err)
	}
	v.Str = []byte(strings.Repeat("x", 1000))
	if _, err := v.AsInt(); len(err.Error()) > 120 {
		t.Error(err)
	}
}

func TestString_ShowsAnyReplyOnOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"+OK\r\n": "OK", "-ERR no\r\n": "(error) ERR no", ":-7\r\n": "-7", "$3\r\na\r\n\r\n": `"a\r\n"`, "$-1\r\n": "(nil)",
		"#f\r\n": "false", ",1.5\r\n": "1.5", "(12\r\n": "12",
		"*3\r\n$1\r\na\r\n:1\r\n*0\r\n":           `["a" 1 []]`,
		"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n_\r\n": `{"a": 1 "b": (nil)}`,
	} {
		v, _, err := Decode([]byte(in))
		if err != nil || v.String() != want {
			t.Errorf("%q: %s, want %s (%v)", in, v, want, err)
		}
	}
}
