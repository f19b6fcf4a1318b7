package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The commands whose replies, between them, are of every kind and shape.
var shapes = []string{
	"get a", "get text", "get json", "get empty", "get nope", "set a 1", "incrby a 0", "lrange l 0 -1", "lrange long 0 -1",
	"lrange nope 0 -1", "hgetall h", "hgetall nope", "smembers s", "smembers nope", "zrange z 0 -1 withscores", "zscore z n",
	"xrange st - +", "xinfo stream st full", "xread streams st nope 0 0", "mget a nope l", "nosuchcommand a b", "incr l",
	"command docs get", "command info get nope", "config get maxmemory*", "debug protocol array", "debug protocol double",
	"debug protocol true", "debug protocol false", "debug protocol map", "debug protocol set", "debug protocol verbatim",
	"debug protocol null", "debug protocol string", "debug protocol integer", "geopos nope x", "eval return{1,{2,{}},{{3}}} 0",
	"latency doctor", "memory doctor", "client no-evict on", "object help", "acl getuser default", "exec", "info nosuchsection", "info l",
}

func TestOneShot_EveryReplyInEveryForm_IsPrintedAsByTheRealOne(t *testing.T) {
	s := startServer(t)
	fill(s)
	forms := []string{
		"", "--no-raw", "--csv", "--json", "--quoted-json", "-3 --no-raw", "-3 --raw", "-3 --csv", "-2 --json", "-3 --json",
	}
	for _, form := range forms {
		t.Run(strings.ReplaceAll("form_"+form, " ", "_"), func(t *testing.T) {
			for _, shape := range shapes {
				c := call{args: words(s, "-p $PORT "+form+" "+shape)}
				if diff := cmp.Diff(volatile(c.real(t)), volatile(c.ours())); diff != "" {
					t.Errorf("redis-cli %s (-redis +limpet):\n%s", strings.Join(c.args, " "), diff)
				}
			}
		})
	}
}

// volatile takes out what differs from one call to the next.
func volatile(r result) result {
	var kept []string
	for _, line := range strings.Split(r.Out, "\n") {
		if strings.Contains(line, "seen-time") || strings.Contains(line, "inactive") {
			continue
		}
		kept = append(kept, line)
	}
	r.Out = strings.Join(kept, "\n")
	return r
}

// parityCase is a call; where differs says why ours may come out otherwise, the
// outcome is compared with want.
type parityCase struct {
	line    string
	stdin   string
	env     map[string]string
	differs string
	want    result
}

func TestOptions_EveryCase_DoesAsTheRealOne(t *testing.T) {
	s := startServer(t)
	fill(s)
	dir := t.TempDir()
	script := filepath.Join(dir, "s.lua")
	must(t, os.WriteFile(script, []byte("return {KEYS[1] or 'none', ARGV[1] or 'none', #KEYS, #ARGV}"), 0o600))
	for _, c := range []parityCase{
		{line: "-p 1 get a"},
		{line: "-h nosuchhost.invalid get a"},
		{line: "-s /nosuchsocket get a"},
		{line: "-s $SOCKET get a"},
		{line: "-h localhost -p $PORT get a"},
		{line: "-p $PORT -n 3 set in3 x"},
		{line: "-p $PORT -n 3 dbsize"},
		{line: "-u redis://127.0.0.1:$PORT/3 dbsize"},
		{line: "-u redis://nobody:wrong@127.0.0.1:$PORT get a"},
		{line: "-u http://127.0.0.1 get a"},
		{line: "-p $PORT -a wrong get a"},
		{line: "-p $PORT --pass wrong --no-auth-warning get a"},
		{line: "-p $PORT --user u -a wrong get a"},
		{line: "-p $PORT get a", env: map[string]string{"REDISCLI_AUTH": "wrong"}},
		{line: "-p $PORT -r 3 incr r"},
		{line: "-p $PORT -r 2 -i 0.01 incr r"},
		{line: "-p $PORT -r 0 incr r"},
		{line: "-p $PORT -x set x", stdin: "from\nstdin\x00"},
		{line: "-p $PORT get x"},
		{line: "-p $PORT -X tag rpush y before tag after", stdin: "within"},
		{line: "-p $PORT lrange y 0 -1"},
		{line: "-p $PORT -X tag set y other", stdin: "within"},
		{line: "-x -X tag set y"},
		{line: "-2 -3 get a"},
		{line: "--nosuchoption"},
		{line: "-p"},
		{line: "-p $PORT --quoted-input set \"q\\x00\" 'v'"},
		{line: "-p $PORT --quoted-input set \"q v"},
		{line: "-p $PORT -e nosuchcommand"},
		{line: "-p $PORT -e get a"},
		{line: "-p $PORT -d , lrange l 0 -1"},
		{line: "-p $PORT -D | -r 2 lrange l 0 -1"},
		{line: "-p $PORT --show-pushes maybe get a"},
		{line: "-p $PORT --eval " + script},
		{line: "-p $PORT --eval " + script + " k1 k2 , a1 a2 ,"},
		{line: "-p $PORT --eval " + script + " , a1"},
		{line: "-p $PORT --eval /nosuchfile"},
		{line: "-p $PORT -3 subscribe"},
		{line: "-p $PORT exit"},
		{line: "-p $PORT multi"},
		{line: "-p $PORT --scan --pattern l*"},
		{line: "-p $PORT --scan --quoted-pattern \"\\x6cong\""},
		{line: "-p $PORT --no-raw --scan --pattern te*"},
		{line: "-p $PORT --pipe", stdin: "*1\r\n$4\r\nPING\r\nSET p 1\r\nNOSUCH\r\nGET p\r\n"},
		{line: "-p $PORT --pipe", stdin: ""},
		{line: "-p $PORT --pipe", stdin: "*3\r\n$3\r\nSET\r\n$1\r\np\r\n$1\r\nv\r\n"},
		{line: "-p 1 --pipe", stdin: ""},
		{line: "-p 1 --bigkeys"},

		{line: "-p $PORT -n 99 set wrong 1", differs: "the real one says so and then writes to database 0",
			want: result{Err: "SELECT 99 failed: ERR DB index is out of range\n", Code: 1}},
		{line: "--version", differs: "it says whose it is", want: result{Out: "redis-cli 7.0.15 (limpet test)\n"}},
		{line: "--help", differs: "its options are fewer", want: result{Out: usage}},
		{line: "-h", differs: "its options are fewer", want: result{Out: usage}},
		{line: "--cluster help", differs: "its options are fewer",
			want: result{Err: "limpet's redis-cli has no --cluster, use Redis's own\n", Code: 1}},
		{line: "-p $PORT -3 debug protocol bignum", differs: "the real one gives up at the sight of a big number",
			want: result{Out: "1234567999999999999999999999999999999\n"}},
		{line: "-p $PORT --scan --count 1000 --pattern lon*", differs: "the real one of 7.0 has no --count", want: result{Out: "long\n"}},
		{line: "-p 70000 get a", differs: "the real one tries another port", want: result{Err: "Invalid server port.\n", Code: 1}},
		{line: "-n x get a", differs: "the real one takes what is no number for 0", want: result{Err: "'x' is not a number\n", Code: 1}},
	} {
		t.Run(strings.ReplaceAll(c.line, " ", "_"), func(t *testing.T) {
			call := call{args: words(s, c.line), stdin: c.stdin, env: c.env}
			got, want := call.ours(), c.want
			if c.differs == "" {
				must(t, s.Client().Del(t.Context(), "r").Err())
				must(t, s.Client().Del(t.Context(), "y").Err())
				got = call.ours()
				must(t, s.Client().Del(t.Context(), "r").Err())
				must(t, s.Client().Del(t.Context(), "y").Err())
				want = call.real(t)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-redis +limpet):\n%s", diff)
			}
		})
	}
	if s.Do("EXISTS", "wrong") != int64(0) {
		t.Error("a command for database 99 was sent to database 0")
	}
}

func TestPipedLines_AreSentAndAnsweredAsByTheRealOne(t *testing.T) {
	s := startServer(t)
	fill(s)
	script := strings.Join([]string{
		"get a", "", "   ", "nosuchcommand x", `set q "a b\x41"`, "get q", `set q "unclosed`, "3 incr n", "0 incr n", "x3 incr n",
		"multi", "set m 1", "select 3", "exec", "dbsize", "select 0", "multi", "bad", "exec", "multi", "discard",
		"hello 3", "hgetall h", "hello 2", "hgetall h", "reset", "auth wrong", ":set nohints", ":foo", "restart",
		"lrange l 0 -1", "info nosuchsection", "connect 127.0.0.1 1", "get a", "connect 127.0.0.1 $PORT", "get a",
		"client kill type normal skipme no", "get a", "get a", "quit", "get a",
	}, "\n")
	for _, form := range []string{"", "--no-raw", "--json", "--csv", "-e"} {
		t.Run("form_"+form, func(t *testing.T) {
			run := func(do func(call) result) result {
				s.Do("DEL", "n")
				s.Client().FlushAll(t.Context())
				fill(s)
				return do(call{args: words(s, "-p $PORT "+form), stdin: strings.ReplaceAll(script, "$PORT", words(s, "$PORT")[0])})
			}
			want := run(func(c call) result { return c.real(t) })
			got := run(call.ours)
			// Which of the two it is depends on who is faster.
			want.Err = strings.ReplaceAll(want.Err, "Connection reset by peer", "Server closed the connection")
			got.Err = strings.ReplaceAll(got.Err, "Connection reset by peer", "Server closed the connection")
			// HELLO tells the id of the connection.
			want.Out, got.Out = withoutIDs(want.Out), withoutIDs(got.Out)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-redis +limpet):\n%s", diff)
			}
		})
	}
	for _, stdin := range []string{"get a\nget a", "", "get a"} {
		c := call{args: []string{"-p", "1"}, stdin: stdin}
		if diff := cmp.Diff(c.real(t), c.ours()); diff != "" {
			t.Errorf("without a server (-redis +limpet):\n%s", diff)
		}
	}
}

func withoutIDs(out string) string {
	lines := strings.Split(out, "\n")
	for i, l := range lines {
		if strings.Contains(l, `id" => (integer)`) || i > 0 && lines[i-1] == "id" || strings.HasPrefix(l, "id ") {
			lines[i] = "id"
		}
		for _, marker := range []string{`"id":`, `"id",`} {
			if head, tail, ok := strings.Cut(l, marker); ok {
				_, tail, _ = strings.Cut(tail, ",")
				lines[i] = head + tail
			}
		}
	}
	return strings.Join(lines, "\n")
}

func TestKeyModes_FindWhatTheRealOneFinds(t *testing.T) {
	s := startServer(t)
	fill(s)
	for i := range 300 {
		s.Do("SET", "key:"+strings.Repeat("k", i%7)+string(rune('a'+i%26))+strings.Repeat("j", i/26), strings.Repeat("v", i))
	}
	// The order of SCAN changes while the table still grows.
	for strings.Contains(s.Do("DEBUG", "HTSTATS", "0").(string), "rehashing target") {
		s.Do("ECHO", "not yet")
	}
	for _, line := range []string{"-p $PORT --scan", "-p $PORT --bigkeys", "-p $PORT --memkeys", "-p $PORT --memkeys-samples 3", "-p $PORT -n 5 --bigkeys"} {
		c := call{args: words(s, line)}
		want, got := c.real(t), c.ours()
		// The order of the types is that of a hash table there.
		want.Out, got.Out = sorted(want.Out), sorted(got.Out)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-redis +limpet):\n%s", line, diff)
		}
	}
}

func sorted(out string) string {
	lines := strings.Split(out, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
