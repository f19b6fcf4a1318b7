package resp

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// parse feeds a stream to a parser in the given pieces, as a connection would:
// what has been consumed is dropped, the rest stays in front of what comes. It
// gives every request as text, and the error that ended the stream.
func parse(p *Parser, pieces ...[]byte) (requests []string, err error) {
	var buf []byte
	var args [][]byte
	for _, piece := range pieces {
		buf = append(bytes.Clone(buf), piece...)
		for {
			var n int
			if args, n, err = p.Next(buf, args); err != nil {
				return requests, err
			}
			if n == 0 {
				break
			}
			if len(args) > 0 {
				requests = append(requests, fmt.Sprintf("%q", args))
			}
			buf = buf[n:]
		}
	}
	return requests, nil
}

var streams = []struct {
	name, in string
	want     []string
	err      string
}{
	{"a request", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", []string{`["GET" "k"]`}, ""},
	{"a pipeline", "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", []string{`["PING"]`, `["ECHO" ""]`}, ""},
	{"line ends in arguments", "*1\r\n$4\r\n\r\n\r\n\r\n", []string{`["\r\n\r\n"]`}, ""},
	{"inline", "SET a b\r\nGET a\n", []string{`["SET" "a" "b"]`, `["GET" "a"]`}, ""},
	{"inline, quoted", "SET \"a b\\x41\\n\" 'c\\'d\\n' \"\"\r\n", []string{`["SET" "a bA\n" "c'd\\n" ""]`}, ""},
	{"nothing at all", "\r\n\n*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", []string{`["PING"]`}, ""},
	{"an unfinished request", "*2\r\n$3\r\nGET\r\n$5\r\nk", nil, ""},
	{"a length that is none", "*x\r\n", nil, "Protocol error: invalid multibulk length"},
	{"an empty length", "*\r\n", nil, "Protocol error: invalid multibulk length"},
	{"too many arguments", "*2147483648\r\n", nil, "Protocol error: invalid multibulk length"},
	{"no $", "*1\r\n+OK\r\n", nil, "Protocol error: expected '$', got '+'"},
	{"a bulk length that is none", "*1\r\n$x\r\n", nil, "Protocol error: invalid bulk length"},
	{"a negative bulk length", "*1\r\n$-1\r\n", nil, "Protocol error: invalid bulk length"},
	{"an argument too large", "*1\r\n$536870913\r\n", nil, "Protocol error: invalid bulk length"},
	{"a quote left open", "PING\r\nSET \"a\r\n", []string{`["PING"]`}, "Protocol error: unbalanced quotes in request"},
	{"a quote closed too early", "SET \"a\"b\r\n", nil, "Protocol error: unbalanced quotes in request"},
	{"an error behind a request", "*1\r\n$4\r\nPING\r\n*1\r\nPING", []string{`["PING"]`}, ""},
}

func TestParser_AnySplit_SameRequestsAndErrors(t *testing.T) {
	for _, c := range streams {
		t.Run(c.name, func(t *testing.T) {
			in := []byte(c.in)
			split := map[string][][]byte{"whole": {in}}
			for i := 1; i < len(in); i++ {
				split[fmt.Sprintf("cut at %d", i)] = [][]byte{in[:i], in[i:]}
			}
			split["byte by byte"] = slices.Collect(slices.Chunk(in, 1))
			for name, pieces := range split {
				got, err := parse(&Parser{}, pieces...)
				if text := errorText(err); !slices.Equal(got, c.want) || text != c.err {
					t.Errorf("%s: %q, %q, want %q, %q", name, got, text, c.want, c.err)
				}
				if err != nil && !IsProtocolError(err) {
					t.Errorf("%s: %T is no protocol error", name, err)
				}
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParser_TooMuchWithoutALineEnd_IsRefused(t *testing.T) {
	long := strings.Repeat("1", MaxInline+1)
	for in, want := range map[string]string{
		long:                 "Protocol error: too big inline request",
		"*" + long:           "Protocol error: too big mbulk count string",
		"*1\r\n$" + long:     "Protocol error: too big bulk count string",
		long[:MaxInline]:     "",
		"*" + long[:100]:     "",
		"*1\r\n$" + long[:9]: "",
	} {
		if _, err := parse(&Parser{}, []byte(in)); errorText(err) != want {
			t.Errorf("%.20q…: %v, want %q", in, err, want)
		}
	}
}

func TestParser_Unauthenticated_LimitsAreNarrow(t *testing.T) {
	for in, want := range map[string]string{
		"*10\r\n":              "",
		"*11\r\n":              "Protocol error: unauthenticated multibulk length",
		"*1\r\n$16384\r\n":     "",
		"*1\r\n$16385\r\n":     "Protocol error: unauthenticated bulk length",
		"*1\r\n$4\r\nPING\r\n": "",
	} {
		if _, err := parse(&Parser{Unauthenticated: true}, []byte(in)); errorText(err) != want {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func TestParser_MaxBulk_IsTheLargestArgument(t *testing.T) {
	p := Parser{MaxBulk: 3}
	if _, err := parse(&p, []byte("*1\r\n$4\r\n")); !IsProtocolError(err) {
		t.Errorf("4 bytes of at most 3: %v", err)
	}
	if got, err := parse(&Parser{MaxBulk: 3}, []byte("*1\r\n$3\r\nabc\r\n")); err != nil || len(got) != 1 {
		t.Errorf("3 bytes of at most 3: %v, %v", got, err)
	}
}

func TestParser_Missing_IsWhatTheArgumentLacks(t *testing.T) {
	var p Parser
	b := []byte("*2\r\n$3\r\nSET\r\n$100\r\nabc")
	if _, n, err := p.Next(b, nil); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if got := p.Missing(b); got != 100-3+2 {
		t.Errorf("missing %d", got)
	}
	if got := new(Parser).Missing(nil); got != 0 {
		t.Errorf("of nothing %d is missing", got)
	}
}

func TestParser_ALargeRequestInPieces_IsNotScannedAgainFromItsBegin(t *testing.T) {
	var b []byte
	args := make([][]byte, 10_000)
	for i := range args {
		args[i] = []byte(strconv.Itoa(i))
	}
	b = AppendCommand(b, args...)
	var p Parser
	calls := 0
	for end := 100; ; end += 100 {
		got, n, err := p.Next(b[:min(end, len(b))], nil)
		if err != nil {
			t.Fatal(err)
		}
		if calls++; n > 0 {
			if n != len(b) || len(got) != len(args) || string(got[9999]) != "9999" {
				t.Fatalf("%d of %d bytes, %d arguments", n, len(b), len(got))
			}
			break
		}
		if end > len(b) {
			t.Fatal("not finished")
		}
	}
	allocs := testing.AllocsPerRun(10, func() {
		buf := make([][]byte, 0, len(args))
		if _, n, _ := p.Next(b, buf); n != len(b) {
			t.Fatal(n)
		}
	})
	if allocs > 2 {
		t.Errorf("%v allocations for a request", allocs)
	}
}

func TestParseInt_IsCanonicalDecimalOnly(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 9, 10, -10, 99, 1<<31 - 1, -1 << 31, 1 << 53, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1,
		1000000000000000000, 922337203685477580, -922337203685477580} {
		if got, ok := ParseInt(strconv.AppendInt(nil, n, 10)); !ok || got != n {
			t.Errorf("%d: %d, %v", n, got, ok)
		}
	}
	for _, s := range []string{"", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "abc", "1a", "--1",
		"9223372036854775808", "-9223372036854775809", "9223372036854775810", "18446744073709551616", "18446744073709551617",
		"92233720368547758070", "99999999999999999999", "-99999999999999999999", "100000000000000000000", "1\x00", "\x00", "１"} {
		if got, ok := ParseInt([]byte(s)); ok {
			t.Errorf("%q: %d", s, got)
		}
	}
}

func TestSplitWords_QuotesAsRedisDoes(t *testing.T) {
	for in, want := range map[string]string{
		"":                        `[]`,
		"  a \t b  ":              `["a" "b"]`,
		`"a b" c`:                 `["a b" "c"]`,
		`"\n\r\t\b\a\\\"\q"`:      `["\n\r\t\b\a\\\"q"]`,
		`"\x41\x4"`:               `["Ax4"]`,
		`"\xZZ"`:                  `["xZZ"]`,
		`'a\'b\n'`:                `["a'b\\n"]`,
		`a"b c"`:                  `["ab c"]`,
		`""`:                      `[""]`,
		"a\x00b c":                `["a"]`,
		`"a`:                      "unbalanced",
		`'a`:                      "unbalanced",
		`"a"b`:                    "unbalanced",
		`'a'b`:                    "unbalanced",
		`"a\`:                     "unbalanced",
		"save 900 1 # no comment": `["save" "900" "1" "#" "no" "comment"]`,
	} {
		words, ok := SplitWords([]byte(in))
		got := "unbalanced"
		if ok {
			got = fmt.Sprintf("%q", words)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// Whatever arrives, in whatever pieces, gives the same requests and never more
// than was sent.
func FuzzParser_AnySplit_SameRequests(f *testing.F) {
	for _, c := range streams {
		f.Add([]byte(c.in), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		if len(in) > MaxInline {
			return // the limits look at how much has arrived
		}
		whole, errWhole := parse(&Parser{}, in)
		cut, errCut := parse(&Parser{}, slices.Collect(slices.Chunk(in, int(size)+1))...)
		if !slices.Equal(whole, cut) || errorText(errWhole) != errorText(errCut) {
			t.Fatalf("whole %q, %v; in pieces of %d %q, %v", whole, errWhole, int(size)+1, cut, errCut)
		}
	})
}
