package resp

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestWriter_EachValue_InBothProtocols(t *testing.T) {
	for _, c := range []struct {
		name       string
		write      func(w *Writer)
		two, three string
	}{
		{"OK", func(w *Writer) { w.OK() }, "+OK\r\n", "+OK\r\n"},
		{"simple", func(w *Writer) { w.Simple("PONG") }, "+PONG\r\n", "+PONG\r\n"},
		{"error", func(w *Writer) { w.Error("ERR a\r\nb") }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
		{"integer", func(w *Writer) { w.Int(math.MinInt64) }, ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"},
		{"bulk", func(w *Writer) { w.Bulk([]byte("a\r\nb")) }, "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"},
		{"empty bulk", func(w *Writer) { w.BulkString("") }, "$0\r\n\r\n", "$0\r\n\r\n"},
		{"bulk of an integer", func(w *Writer) { w.BulkInt(-12) }, "$3\r\n-12\r\n", "$3\r\n-12\r\n"},
		{"null", func(w *Writer) { w.Null() }, "$-1\r\n", "_\r\n"},
		{"null array", func(w *Writer) { w.NullArray() }, "*-1\r\n", "_\r\n"},
		{"array", func(w *Writer) { w.Array(1); w.Int(1) }, "*1\r\n:1\r\n", "*1\r\n:1\r\n"},
		{"map", func(w *Writer) { w.Map(1); w.Int(1); w.Int(2) }, "*2\r\n:1\r\n:2\r\n", "%1\r\n:1\r\n:2\r\n"},
		{"set", func(w *Writer) { w.Set(1); w.Int(1) }, "*1\r\n:1\r\n", "~1\r\n:1\r\n"},
		{"push", func(w *Writer) { w.Push(0) }, "*0\r\n", ">0\r\n"},
		{"true", func(w *Writer) { w.Bool(true) }, ":1\r\n", "#t\r\n"},
		{"false", func(w *Writer) { w.Bool(false) }, ":0\r\n", "#f\r\n"},
		{"double", func(w *Writer) { w.Double(0.1) }, "$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n"},
		{"infinity", func(w *Writer) { w.Double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{"big number", func(w *Writer) { w.BigNumber("123") }, "$3\r\n123\r\n", "(123\r\n"},
		{"verbatim", func(w *Writer) { w.Verbatim("txt", "a") }, "$1\r\na\r\n", "=5\r\ntxt:a\r\n"},
		{"raw", func(w *Writer) { w.Raw([]byte("+a\r\n")) }, "+a\r\n", "+a\r\n"},
	} {
		for proto, want := range map[int]string{0: c.two, 2: c.two, 3: c.three} {
			w := Writer{Proto: proto}
			w.OK()
			w.Reset()
			c.write(&w)
			if string(w.Buf) != want || w.Len() != len(want) {
				t.Errorf("%s in RESP%d: %q, want %q", c.name, proto, w.Buf, want)
			}
		}
	}
}

// The fixture was made by C's printf, through Python.
func TestAppendDouble_IsPrintfs17Digits(t *testing.T) {
	f, err := os.Open("testdata/doubles.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		bits, want, ok := strings.Cut(lines.Text(), " ")
		if !ok || bits == "#" {
			continue
		}
		n++
		u, err := strconv.ParseUint(bits, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(AppendDouble([]byte("x"), math.Float64frombits(u))); got != "x"+want {
			t.Errorf("%s: %s, want %s", bits, got[1:], want)
		}
	}
	if n < 300 {
		t.Errorf("only %d numbers", n)
	}
}

func ExampleAppendCommand() {
	fmt.Printf("%q", AppendCommand(nil, []byte("GET"), []byte("key")))
	// Output: "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"
}
