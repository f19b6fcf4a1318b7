package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"limpet/internal/testredis"
)

// slowly is a real server whose rewrites take as long as it has keys.
func slowly(t *testing.T) *testredis.Server {
	t.Helper()
	s := testredis.Start(t, testredis.Options{Args: withLog})
	fillAll(s)
	s.Do("CONFIG", "SET", "rdb-key-save-delay", "20000") // microseconds
	return s
}

// child waits for the child of a process and answers its id.
func child(t *testing.T, pid int) (id int) {
	t.Helper()
	eventually(t, "a child", func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		id, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return id != 0
	})
	return id
}

func TestRewrite_Watch_TellsTheSizes_OfBothServers(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: withLog})
	fillAll(s)
	own := startStore(t, nil, "--dir", ".", "--port", "0", "--unixsocket", "s")
	for range 100 {
		own.ask("SET k v", "INCR n", "SET k w")
	}
	for name, url := range map[string]string{"redis-server": storeURL(s), "own": "unix://" + own.path("s")} {
		t.Run(name, func(t *testing.T) {
			r := execute(t, exec.Command(binary, "rewrite", "--store", url, "--watch"))
			r.printed(0, "rewritten: the log took ", ", and takes ", " less; ", " keys")
			r = execute(t, exec.Command(binary, "rewrite", "--store", url, "--watch", "--json"))
			if v := r.lines()[0]; r.code != 0 || v["outcome"] != "done" || v["bytes_after"].(float64) <= 0 || v["store"] != url {
				t.Errorf("%d %v", r.code, v)
			}
			execute(t, exec.Command(binary, "rewrite", "--store", url)).printed(0, "the rewrite has begun", "watch:  limpet rewrite --watch --store "+url)
		})
	}
}

func TestRewrite_OneThatRuns_IsJoined_AndTimeoutLeavesIt(t *testing.T) {
	s := slowly(t)
	execute(t, exec.Command(binary, "rewrite", "--store", storeURL(s))).printed(0, "the rewrite has begun")
	execute(t, exec.Command(binary, "rewrite", "--store", storeURL(s))).printed(0, "a rewrite is under way already")
	left := execute(t, exec.Command(binary, "rewrite", "--store", storeURL(s), "--watch", "--timeout", "300ms"))
	left.want(exitLater, "the rewrite is not done after 300ms", "It goes on")
	// On a terminal there is a bar, which moves.
	c := startConsole(t, 100, 24, nil, "rewrite", "--store", storeURL(s), "--watch")
	c.shows("joined, rewriting")
	c.shows(" keys")
	s.Do("CONFIG", "SET", "rdb-key-save-delay", "0")
	_ = syscall.Kill(child(t, s.PID()), syscall.SIGKILL) // it has the old setting
	eventually(t, "the end", func() bool { return strings.Contains(c.screen.String(), "the rewrite failed") })
	<-c.exited
	if code := c.cmd.ProcessState.ExitCode(); code != exitLater {
		t.Errorf("exit code %d", code)
	}
	execute(t, exec.Command(binary, "rewrite", "--store", storeURL(s), "--watch")).printed(0, "rewritten: ")
}

func TestRewrite_Failed_SaysWhatIsSafe(t *testing.T) {
	t.Run("in the background", func(t *testing.T) {
		s := slowly(t)
		p := prepare(t, t.TempDir(), binary, "rewrite", "--store", storeURL(s), "--watch").start().says("rewriting, ")
		_ = syscall.Kill(child(t, s.PID()), syscall.SIGKILL)
		if code := p.ends(); code != exitLater || !strings.Contains(p.out.String(), "the rewrite failed\n  The old files count as before: nothing is lost.\n") {
			t.Errorf("exit code %d\n%s", code, p.out)
		}
	})
	t.Run("at its start", func(t *testing.T) {
		dir := t.TempDir()
		s := testredis.Start(t, testredis.Options{Dir: dir, Args: withLog})
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		execute(t, exec.Command(binary, "rewrite", "--store", storeURL(s), "--watch")).want(exitLater, "did not begin a rewrite: ERR ", "nothing is lost", "limpet doctor --store ")
	})
	t.Run("of our own store", func(t *testing.T) {
		own := startStore(t, nil, "--dir", "d", "--port", "0", "--unixsocket", "../s")
		own.ask("SET k v")
		if err := os.RemoveAll(own.path("d")); err != nil {
			t.Fatal(err)
		}
		socket := own.path("s")
		execute(t, exec.Command(binary, "rewrite", "--store", "unix://"+socket, "--watch")).want(exitLater, "nothing is lost")
	})
	t.Run("the server goes away", func(t *testing.T) {
		s := slowly(t)
		p := prepare(t, t.TempDir(), binary, "rewrite", "--store", storeURL(s), "--watch").start().says("rewriting, ")
		id := child(t, s.PID())
		s.Kill()
		_ = syscall.Kill(id, syscall.SIGKILL)
		if code := p.ends(); code != exitUnreachable || !strings.Contains(p.out.String(), "in the middle of the rewrite") {
			t.Errorf("exit code %d\n%s", code, p.out)
		}
	})
}

func TestRewrite_NoLog_IsSaid_AndNothingIsSent(t *testing.T) {
	s := testredis.Start(t, testredis.Options{})
	execute(t, exec.Command(binary, "rewrite", "--store", storeURL(s), "--watch")).want(exitRefused, "keeps no log (appendonly no)", "CONFIG SET appendonly yes")
	if calls := s.Do("INFO", "commandstats").(string); strings.Contains(calls, "bgrewriteaof") {
		t.Error(calls)
	}
	execute(t, exec.Command(binary, "rewrite", "--store", "redis://127.0.0.1:1")).want(exitUnreachable, "connection refused", "start:  limpet store")
	execute(t, exec.Command(binary, "rewrite", "--timeout", "1s")).want(exitUsage, "--timeout")
}
