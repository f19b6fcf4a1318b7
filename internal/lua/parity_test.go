package lua_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"limpet/internal/lua"
	"limpet/internal/testredis"
	"limpet/resp"
)

// The scripts of testdata/parity are run by a real redis-server and by this
// package, and the bytes of the two replies must be the same. A file holds one
// script a line, or scripts of several lines between "==" lines; "#" begins a
// comment line, and a line "proto 3" makes the client speak RESP3 from there.
func TestParity_RepliesAreThoseOfRedis(t *testing.T) {
	files, err := filepath.Glob("testdata/parity/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	theirs := dial(t, testredis.Start(t, testredis.Options{}))
	behind := dial(t, testredis.Start(t, testredis.Options{})) // the commands of our scripts run here
	runtime := lua.New()
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			proto := 2
			theirs.hello(2)
			for _, script := range readScripts(t, file) {
				if n, ok := strings.CutPrefix(script, "proto "); ok {
					proto, _ = strconv.Atoi(n)
					theirs.hello(proto)
					continue
				}
				theirs.do("FLUSHALL")
				behind.do("FLUSHALL")
				want := theirs.do("EVAL", script, "2", "key1", "key2", "arg1", "7", "with\x00zero")
				got := run(runtime, behind, proto, script)
				if got != want {
					t.Errorf("script: %s\nredis: %q\n   us: %q", script, want, got)
				}
			}
		})
	}
}

func readScripts(t *testing.T, file string) (scripts []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var block []string
	inBlock := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "==":
			if inBlock {
				scripts = append(scripts, strings.Join(block, "\n"))
			}
			block, inBlock = nil, !inBlock
		case inBlock:
			block = append(block, line)
		case line != "" && !strings.HasPrefix(line, "# "):
			scripts = append(scripts, line)
		}
	}
	return scripts
}

// run is EVAL by this package, its commands run by the server behind.
func run(runtime *lua.Runtime, behind *conn, proto int, script string) string {
	out := &resp.Writer{Proto: proto}
	sha, err := runtime.Load([]byte(script))
	if err != nil {
		out.Error(err.Error())
		return string(out.Buf)
	}
	call := func(args [][]byte, proto int) []byte {
		if strings.EqualFold(string(args[0]), "debug") {
			return []byte("-" + lua.ErrNotAllowed + "\r\n")
		}
		behind.hello(proto)
		words := make([]string, len(args))
		for i, a := range args {
			words[i] = string(a)
		}
		reply := behind.do(words...)
		switch {
		case strings.HasPrefix(reply, "-ERR unknown command"):
			return []byte("-" + lua.ErrUnknownCommand + "\r\n")
		case strings.HasPrefix(reply, "-ERR wrong number of arguments"):
			return []byte("-" + lua.ErrWrongArity + "\r\n")
		}
		return []byte(reply)
	}
	keys := [][]byte{[]byte("key1"), []byte("key2")}
	argv := [][]byte{[]byte("arg1"), []byte("7"), []byte("with\x00zero")}
	runtime.Run(sha, keys, argv, call, out, lua.RunOptions{})
	return string(out.Buf)
}

// conn speaks to a server in bytes.
type conn struct {
	t     *testing.T
	c     net.Conn
	r     *bufio.Reader
	proto int
}

func dial(t *testing.T, s *testredis.Server) *conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &conn{t: t, c: c, r: bufio.NewReader(c), proto: 2}
}

func (c *conn) hello(proto int) {
	if c.proto != proto {
		c.do("HELLO", strconv.Itoa(proto))
		c.proto = proto
	}
}

// do sends a command and gives back the bytes of its reply.
func (c *conn) do(words ...string) string {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	if _, err := c.c.Write(resp.AppendCommand(nil, args...)); err != nil {
		c.t.Fatalf("%q: %v", words, err)
	}
	var reply bytes.Buffer
	if err := readReply(c.r, &reply); err != nil {
		c.t.Fatalf("%q: %v", words, err)
	}
	return reply.String()
}

func readReply(r *bufio.Reader, out *bytes.Buffer) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	out.WriteString(line)
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$', '=':
		if n >= 0 {
			_, err = fmt.Fprintf(out, "%s", readN(r, n+2))
		}
	case '%':
		n *= 2
		fallthrough
	case '*', '~', '>':
		for range n {
			if err := readReply(r, out); err != nil {
				return err
			}
		}
	}
	return err
}

func readN(r *bufio.Reader, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i], _ = r.ReadByte()
	}
	return b
}
