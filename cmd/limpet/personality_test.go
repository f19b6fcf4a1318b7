package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"limpet/internal/testredis"
)

// under runs the program through a link of the given name.
func under(t *testing.T, name, stdin string, args ...string) (out, errs string, code int) {
	t.Helper()
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(binary, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(link, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb")
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestPersonality_ALinkOfThatName_IsThatProgram(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	port := strconv.Itoa(s.Port())
	s.Do("RPUSH", "l", "a", "b")
	s.Do("SAVE")
	dump, manifest := filepath.Join(s.Dir(), "dump.rdb"), filepath.Join(s.Dir(), "appendonlydir", "appendonly.aof.manifest")
	for _, c := range []struct {
		name, stdin string
		args        []string
		out         string
		code        int
	}{
		{name: "redis-cli", args: []string{"-p", port, "lrange", "l", "0", "-1"}, out: "a\nb\n"},
		{name: "redis-cli", args: []string{"-p", port}, stdin: "llen l\nget l\n", out: "2\nWRONGTYPE Operation against a key holding the wrong kind of value\n\n"},
		{name: "redis-cli", args: []string{"-p", port, "-x", "set", "k"}, stdin: "v", out: "OK\n"},
		{name: "redis-cli", args: []string{"-p", "1", "ping"}, code: 1},
		{name: "redis-check-rdb", args: []string{dump}, out: "RDB looks OK!"},
		{name: "redis-check-rdb", args: []string{manifest}, out: "Wrong signature", code: 1},
		{name: "redis-check-aof", args: []string{manifest}, out: "All AOF files and manifest are valid\n"},
		{name: "redis-check-aof", args: []string{dump + ".nope"}, out: "Cannot open file", code: 1},
		{name: "limpet", args: []string{"--version"}, out: version},
	} {
		out, errs, code := under(t, c.name, c.stdin, c.args...)
		if code != c.code || !strings.Contains(out, c.out) {
			t.Errorf("%s %q: exit %d, want %d; printed %q and %q, want %q", c.name, c.args, code, c.code, out, errs, c.out)
		}
	}
}
