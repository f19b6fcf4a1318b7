package cli

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"limpet/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// result is what a run leaves.
type result struct {
	Out, Err string
	Code     int
}

// call is a run of redis-cli, ours or the real one.
type call struct {
	args  []string
	stdin string
	env   map[string]string
}

func (c call) ours() result {
	var out, errs bytes.Buffer
	code := Program{
		In: strings.NewReader(c.stdin), Out: &out, Err: &errs, Version: "test",
		Getenv: func(name string) string { return c.env[name] },
	}.Main(c.args)
	return result{out.String(), errs.String(), code}
}

func (c call) real(t *testing.T) result {
	t.Helper()
	cmd := exec.Command("redis-cli", c.args...)
	cmd.Stdin = strings.NewReader(c.stdin)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	for name, value := range c.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v (apt-get install redis-tools)", err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// words splits a line at blanks and takes port, socket and address of a server.
func words(s *testredis.Server, line string) []string {
	line = strings.NewReplacer("$PORT", strconv.Itoa(s.Port()), "$SOCKET", s.Dir()+"/redis.sock").Replace(line)
	var args []string
	for _, word := range strings.Fields(line) {
		args = append(args, strings.ReplaceAll(word, "␣", " "))
	}
	return args
}

// startServer starts a real server with a key of each type in it.
func startServer(t *testing.T, args ...string) *testredis.Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli") // short: a socket's path has a limit
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := testredis.Start(t, testredis.Options{Dir: dir, Args: append([]string{"--unixsocket", dir + "/redis.sock"}, args...)})
	return s
}

func fill(s *testredis.Server) {
	s.Do("SET", "a", "1")
	s.Do("SET", "text", "with \"quotes\", a \\ and\nlines\r\t\a\b\x01\x7f\x80\xffé\f\v")
	s.Do("SET", "json", "é\x01\x1f\n\r\t\b\f\"\\/")
	s.Do("SET", "empty", "")
	s.Do("RPUSH", "l", "x", "y", "z")
	for i := range 12 {
		s.Do("RPUSH", "long", i)
	}
	s.Do("HSET", "h", "f", "v", "g", "w")
	s.Do("SADD", "s", "m")
	s.Do("ZADD", "z", "1.5", "m", "0.1", "n")
	s.Do("XADD", "st", "1-1", "k", "v", "k2", "v2")
	s.Do("XGROUP", "CREATE", "st", "g", "0")
}
