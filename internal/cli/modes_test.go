package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fewLines takes so many lines and then is a reader that has gone.
type fewLines struct {
	strings.Builder
	left int
}

func (f *fewLines) Write(b []byte) (int, error) {
	if f.left <= 0 {
		return 0, io.ErrClosedPipe
	}
	f.left -= strings.Count(string(b), "\n")
	return f.Builder.Write(b)
}

func (c call) into(out io.Writer) (code int) {
	return Program{In: strings.NewReader(c.stdin), Out: out, Err: io.Discard, Getenv: func(string) string { return "" }}.Main(c.args)
}

func TestStat_PrintsALineAnIntervalUntilNobodyReads(t *testing.T) {
	s := startServer(t)
	fill(s)
	out := &fewLines{left: 4}
	call{args: words(s, "-p $PORT --stat -i 0.01")}.into(out)
	want := `^------- data ------ --------------------- load -------------------- - child -
keys       mem      clients blocked requests            connections          
10         \d+\.\d\d[KM] {1,4}\d       0       \d+ \(\+0\) +\d+ +
10         \d+\.\d\d[KM] {1,4}\d       0       \d+ \(\+1\) +\d+ +
`
	if !regexp.MustCompile(want).MatchString(out.String()) {
		t.Errorf("printed:\n%s", out)
	}
}

func TestStat_TheServersRefusal_EndsIt(t *testing.T) {
	s := startServer(t)
	s.Do("CONFIG", "SET", "requirepass", "secret")
	got := call{args: words(s, "-p $PORT --stat")}.ours()
	if want := (result{Err: "ERROR: NOAUTH Authentication required.\n", Code: 1}); got != want {
		t.Errorf("%+v", got)
	}
}

func TestAuthentication_ByEnvironmentOptionAndURI(t *testing.T) {
	s := startServer(t)
	s.Do("CONFIG", "SET", "requirepass", "secret")
	s.Do("ACL", "SETUSER", "u", "on", ">pa:ss@", "~*", "+@all")
	for _, c := range []parityCase{
		{line: "-p $PORT -n 2 ping", env: map[string]string{"REDISCLI_AUTH": "secret"}},
		{line: "-p $PORT -a secret --no-auth-warning ping", env: map[string]string{"REDISCLI_AUTH": "wrong"}},
		{line: "-p $PORT -a secret ping"},
		{line: "-p $PORT --user u --pass pa:ss@ acl whoami"},
		{line: "-u redis://u:pa%3Ass%40@127.0.0.1:$PORT acl whoami"},
		{line: "-u redis://secret@127.0.0.1:$PORT/1 acl whoami"},
		{line: "-p $PORT ping"},
		{line: "-p $PORT --json ping"},
	} {
		call := call{args: words(s, c.line), env: c.env}
		if diff := cmp.Diff(call.real(t), call.ours()); diff != "" {
			t.Errorf("%s (-redis +limpet):\n%s", c.line, diff)
		}
	}
}

func TestLatency_IntoAPipe_IsOneLineInTheFormAskedFor(t *testing.T) {
	s := startServer(t)
	for line, want := range map[string]string{
		"--latency -i 0.03":                  `^\d+ \d+ \d+\.\d\d [2-9]\n$`,
		"--latency -i 0.03 --csv":            `^\d+,\d+,\d+\.\d\d,[2-9]\n$`,
		"--latency -i 0.03 --json":           `^{"min": \d+, "max": \d+, "avg": \d+\.\d\d, "count": [2-9]}\n$`,
		"--latency-history -i 0.03":          `^(\d+ \d+ \d+\.\d\d [2-9]\n -- 0\.\d\d seconds range\n){2}$`,
		"--latency-history -i 0.03 --no-raw": `^(\x1b\[0G\x1b\[2Kmin: \d+, max: \d+, avg: \d+\.\d\d \(\d samples\))+ -- 0\.\d\d seconds range\n`,
	} {
		out := &fewLines{left: 4}
		call{args: words(s, "-p $PORT "+line)}.into(out)
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%s printed:\n%q", line, out)
		}
	}
}

func TestPatiently_AServerThatComesBack_IsAskedOn(t *testing.T) {
	s := startServer(t)
	out := &fewLines{left: 3}
	done := make(chan struct{})
	go func() {
		defer close(done)
		call{args: words(s, "-p $PORT --stat -i 0.001")}.into(out)
	}()
	s.Do("CLIENT", "KILL", "TYPE", "normal")
	<-done
}

// answer is a server that says what it is told, whatever it is asked.
func answer(t *testing.T, text string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func TestReply_ThatIsNoneOrEndsEarly_IsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "Error: Server closed the connection\n",
		"$5\r\nab":                     "Error: Server closed the connection\n",
		"*2\r\n:1\r\n":                 "Error: Server closed the connection\n",
		"HTTP/1.1 400 Bad Request\r\n": "Error: Protocol error, got \"H\" as reply type byte\n",
		"|1\r\n+a\r\n+b\r\n+c\r\n":     "Error: Protocol error, got \"|\" as reply type byte\n",
		"$9223372036854775807\r\nab":   "Error: Bulk string length out of range\n",
		"%9223372036854775807\r\n":     "Error: Bulk string length out of range\n",
		strings.Repeat("*1\r\n", 1000): "Error: Protocol error, replies nested deeper than 128\n",
		"*2147483647\r\n:1\r\n":        "Error: Server closed the connection\n",
	} {
		got := call{args: []string{"-p", answer(t, text), "ping"}}.ours()
		got.Err = strings.ReplaceAll(got.Err, "Connection reset by peer", "Server closed the connection")
		if diff := cmp.Diff(result{Err: want, Code: 1}, got); diff != "" {
			t.Errorf("%.20q (-want +got):\n%s", text, diff)
		}
	}
}

func TestPipe_AServerThatSaysNothingMore_IsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			accepted <- c
		}
	}()
	got := call{args: []string{"-p", fmt.Sprint(l.Addr().(*net.TCPAddr).Port), "--pipe", "--pipe-timeout", "1"}, stdin: "PING\r\n"}.ours()
	_ = (<-accepted).Close()
	if got.Code != 1 || !strings.Contains(got.Err, "No replies for 1 seconds: exiting.\n") || !strings.HasSuffix(got.Out, "errors: 1, replies: 0\n") {
		t.Errorf("%+v", got)
	}
}

func TestHistory_NothingWithAPassword_IsRemembered(t *testing.T) {
	h := loadHistory(func(string) string { return "" })
	for _, line := range []string{
		"auth x", "AUTH u x", "acl setuser u >x", "config set requirepass x", "CONFIG SET a b masterauth x", "hello 3 auth u x",
		"migrate h 1 k 0 1 AUTH x", "2 auth x", "sentinel set m auth-pass x",
	} {
		h.Add(line)
	}
	if h.Len() != 0 {
		t.Errorf("remembered: %q", h.lines)
	}
	h.Add("config set maxmemory 1")
	h.Add("config set maxmemory 1")
	h.Add(`set "unclosed`)
	if h.Len() != 2 || h.At(0) != `set "unclosed` {
		t.Errorf("remembered: %q", h.lines)
	}
}

func TestURI_EveryPart_IsTaken(t *testing.T) {
	for uri, want := range map[string]options{
		"redis://":                   {host: "h", port: 1},
		"redis://host":               {host: "host", port: 1},
		"REDIS://host:7/5":           {host: "host", port: 7, db: 5},
		"rediss://host":              {host: "host", port: 1, tls: tlsOptions{on: true}},
		"redis://[::1]:7":            {host: "::1", port: 7},
		"redis://pass@host":          {host: "host", port: 1, auth: "pass", hasAuth: true},
		"redis://:pass@host":         {host: "host", port: 1, auth: "pass", hasAuth: true},
		"redis://user:p%40ss@host/2": {host: "host", port: 1, user: "user", auth: "p@ss", hasAuth: true, db: 2},
	} {
		got := options{host: "h", port: 1}
		if err := got.setURI(uri); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	if err := new(options).setURI("redis://host:70000"); !errors.Is(err, errPort) {
		t.Errorf("port 70000: %v", err)
	}
}
