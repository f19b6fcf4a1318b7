package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/testredis"
)

// tornDir is a real server's directory whose log ends in a transaction.
func tornDir(t *testing.T) string {
	t.Helper()
	dir := realDir(t)
	appendTo(t, filepath.Join(dir, realIncr), "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*3\r\n$5\r\nRPUSH\r\n$4\r\nlist\r\n$9\r\nhal")
	return dir
}

func TestRepair_ShowsThePlanFirst_AndWritesWhenToldTo(t *testing.T) {
	dir := tornDir(t)
	mended := filepath.Join(shortDir(t), "mended")
	before := snapshot(t, dir)
	plan := []string{dir + ": torn\n", "appendonly.aof.2.base.rdb: kept, 1 key\n", "appendonly.aof.2.incr.aof: kept are 7 commands in bytes 0 to 142",
		"cut: bytes 142 to ", `2 commands, keys "list" "n": `}
	execute(t, exec.Command(binary, "repair", "--from", dir, "--to", mended)).printed(exitNo, append(plan, "Nothing has been written.", "do it:  limpet repair --from "+dir+" --to "+mended+" --yes")...)
	if _, err := os.Stat(mended); err == nil {
		t.Error("it was written without being told to")
	}
	execute(t, exec.Command(binary, "repair", "--from", dir, "--to", mended, "--yes")).printed(0, append(plan,
		"of appendonly.aof.2.incr.aof are kept in "+mended+"/"+realIncr+".cut-", mended+" is sound: 1 key in an RDB, 7 commands.", "limpet check "+mended)...)
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("the source has changed:\n%s", diff)
	}
	execute(t, exec.Command(binary, "check", mended)).printed(0)
	execute(t, exec.Command(binary, "repair", "--from", mended, "--to", mended+"2")).printed(0, "Nothing to mend. Nothing has been written.")
	execute(t, exec.Command(binary, "repair", "--from", dir, "--to", mended, "--yes")).printed(exitLocal)
	s := testredis.Start(t, testredis.Options{Dir: mended, Args: []string{"--appendonly", "yes", "--aof-load-truncated", "no"}})
	if n := s.Do("GET", "n"); n != "3" {
		t.Errorf("n is %v", n)
	}
}

func TestRepair_OnATerminal_AsksAPerson(t *testing.T) {
	for answer, code := range map[string]int{"n\n": exitNo, "\n": exitNo, "y\n": 0} {
		dir := tornDir(t)
		master, slave := openTerminal(t)
		c := exec.Command(binary, "repair", "--from", dir, "--to", dir+".mended")
		t.Cleanup(func() { _ = os.RemoveAll(dir + ".mended") })
		c.Stdin = slave
		if _, err := master.WriteString(answer); err != nil {
			t.Fatal(err)
		}
		r := execute(t, c)
		r.printed(code)
		if !strings.Contains(r.err, "Write this? [y/N]: ") {
			t.Errorf("it did not ask: %q", r.err)
		}
		if _, err := os.Stat(dir + ".mended"); (err == nil) != (code == 0) {
			t.Errorf("answer %q: %v", answer, err)
		}
		_ = slave.Close()
	}
}

func TestRepair_InPlace_CopiesFirst(t *testing.T) {
	dir := tornDir(t)
	before := snapshot(t, dir)
	r := execute(t, exec.Command(binary, "repair", "--from", dir, "--in-place", "-y"))
	r.printed(0, "The directory as it was is in "+dir+".before-repair-", dir+" is sound")
	kept := strings.TrimSuffix(strings.Fields(r.out[strings.Index(r.out, "The directory as it was is in "):])[7], ".")
	t.Cleanup(func() { _ = os.RemoveAll(kept) })
	for path, text := range before {
		if strings.HasPrefix(text, "-") && !strings.HasSuffix(text, readFile(t, kept+strings.TrimPrefix(path, dir))) {
			t.Errorf("%s was not copied as it was", path)
		}
	}
	execute(t, exec.Command(binary, "check", dir)).printed(0)
	execute(t, exec.Command(binary, "repair", "--from", dir, "--in-place", "-y")).printed(0, "Nothing to mend.")
}

func TestRepair_RefusesInPlainWords(t *testing.T) {
	running := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	store := startStore(t, nil, "--dir", ".", "--port", "0", "--unixsocket", "s")
	short := realDir(t)
	base := readFile(t, filepath.Join(short, realBase))
	writeFile(t, filepath.Join(short, realBase), base[:len(base)-9])
	target := filepath.Join(shortDir(t), "x")
	for _, row := range []struct {
		args string
		code int
		says []string
	}{
		{"--from " + running.Dir() + " --to " + target, exitRefused, []string{"is in use: process ", "(redis-server) has ", "Nothing has been changed."}},
		{"--from " + store.dir + " --to " + target, exitRefused, []string{"is in use: ", "Nothing has been changed."}},
		{"--from " + short + " --to " + target, exitRefused, []string{"at byte ", "1 entries before it can be read", "Nothing has been changed.", "--to " + target + " --salvage-base"}},
		{"--from " + short + "/none --to " + target, exitLocal, []string{"no such file or directory"}},
		{"--from " + short, exitUsage, []string{"--to NEW is missing"}},
		{"--from " + short + " --to " + short + "/sub", exitUsage, []string{"beside that of --from"}},
		{"--from " + short + " --in-place --to " + target, exitUsage, []string{"exclude each other"}},
	} {
		execute(t, exec.Command(binary, append([]string{"repair"}, strings.Fields(row.args)...)...)).want(row.code, row.says...)
	}
	r := execute(t, exec.Command(binary, "repair", "--from", short, "--to", target, "--salvage-base", "--keep-after-gap", "--json", "-y"))
	r.printed(0)
	if v := r.lines()[0]; v["outcome"] != "repaired" || v["to"] != target || len(v["files"].([]any)) != 2 {
		t.Errorf("%v", v)
	}
}
