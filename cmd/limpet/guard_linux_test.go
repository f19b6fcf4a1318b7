package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/testredis"
)

// guardedServer is a redis-server behind limpet guard, on a Unix socket in its directory.
func guardedServer(t *testing.T, dir string) *process {
	t.Helper()
	return prepare(t, dir, binary, "guard", "--dir", dir, "--", "redis-server", "--dir", dir, "--port", "0",
		"--unixsocket", filepath.Join(dir, "s"), "--appendonly", "yes", "--aof-load-truncated", "no", "--save", "").start().says("ready to accept connections")
}

// redis-server 7.0 alone counts wrong at the second start after such a tear.
func TestGuard_TornTransaction_CutsBeforeIt_AndTheCountIsRight(t *testing.T) {
	dir := tornDir(t)
	for want := 3; want < 6; want++ {
		p := guardedServer(t, dir)
		if got := p.ask("GET n")[0].Text(); got != fmt.Sprint(want) {
			t.Fatalf("n is %s, want %d\n%s", got, want, p.out)
		}
		p.ask("INCR n")
		p.signal(syscall.SIGKILL)
		p.ends()
	}
	kept, err := filepath.Glob(filepath.Join(dir, realIncr+".cut-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d files keep what was cut, %v", len(kept), err)
	}
	if text := readFile(t, kept[0]); !strings.HasPrefix(text, "*1\r\n$5\r\nMULTI\r\n") {
		t.Errorf("kept is %q", text)
	}
}

// The lock goes over to the program, and to nobody else while it runs.
func TestGuard_TheProgramHoldsTheLock_UntilItEnds(t *testing.T) {
	dir := realDir(t)
	p := guardedServer(t, dir)
	if got := p.ask("GET a")[0].Text(); got != "1" {
		t.Fatalf("a is %s", got)
	}
	execute(t, exec.Command(binary, "guard", "--dir", dir, "--", "true")).want(exitRefused, "is in use by another server", "Nothing has been changed")
	execute(t, exec.Command(binary, "up", "--dir", dir, "--api-addr", "127.0.0.1:0", "--store-addr", "127.0.0.1:0")).want(exitLocal, "Only one process may have a directory open")
	execute(t, exec.Command(binary, "guard", "--dir", dir)).printed(0, "is in use: the server that has it open looks after it.")
	p.signal(syscall.SIGTERM)
	p.ends()
	execute(t, exec.Command(binary, "guard", "--dir", dir)).printed(0, "is sound: 1 key in an RDB, ")
}

func TestGuard_DamageOrADumpAlone_IsRefused_AndNothingChanges(t *testing.T) {
	program := []string{"--", "redis-server", "--appendonly", "yes"}
	damaged := realDir(t)
	incr := filepath.Join(damaged, realIncr)
	writeFile(t, incr, "XX"+readFile(t, incr)[2:])
	dumpOnly := shortDir(t)
	s := testredis.Start(t, testredis.Options{Dir: dumpOnly})
	s.Do("SET", "a", "1")
	s.Do("SAVE")
	s.Stop()
	for dir, said := range map[string]string{damaged: "the files in volumes/redis are damaged", dumpOnly: "a dump and no log"} {
		before, err := contentsOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		c := exec.Command(binary, append([]string{"guard", "--dir", dir}, program...)...)
		c.Env = append(os.Environ(), "LIMPET_HOST_DIR=volumes/redis")
		execute(t, c).want(exitSevere, said, "Nothing has been changed")
		after, err := contentsOf(dir)
		if diff := cmp.Diff(before, after); err != nil || diff != "" {
			t.Errorf("%s has changed: %v\n%s", dir, err, diff)
		}
	}
	// The log may be switched on in the server's file, too; without one the dump counts.
	config := filepath.Join(shortDir(t), "redis.conf")
	writeFile(t, config, "save 3600 1\nappendonly yes\n")
	execute(t, exec.Command(binary, "guard", "--dir", dumpOnly, "--", "true", config)).want(exitSevere, "a dump and no log")
	execute(t, exec.Command(binary, "guard", "--dir", dumpOnly, "--", "true", config, "--appendonly", "no")).printed(0, "is sound: a dump and no log")
	execute(t, exec.Command(binary, "guard", "--dir", shortDir(t))).printed(0, "is empty: a new store begins.")
}

func TestGuard_InstallsItself_AndBadOwnersAreRefused(t *testing.T) {
	dir := shortDir(t)
	execute(t, exec.Command(binary, "guard", "--dir", filepath.Join(dir, "data"), "--install", dir)).printed(0)
	execute(t, exec.Command(filepath.Join(dir, "limpet"), "--version")).printed(0, "dev")
	for _, owner := range []string{"redis", "1", "1:", "-1:1", "1:1:1"} {
		execute(t, exec.Command(binary, "guard", "--owner="+owner)).want(exitUsage, "--owner")
	}
	execute(t, exec.Command(binary, "guard", "--dir", dir, "--", "no-such-program")).want(exitLocal, "cannot start no-such-program")
}
