package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"limpet/internal/testredis"
)

// The colours of a terminal with 256 that mean red, yellow and green here.
const (
	red    = 9
	yellow = 11
	green  = 2
	grey   = 8
)

func storeURL(s *testredis.Server) string { return "redis://" + s.Addr() }

func TestStat_Screen_ShowsARealServer_AndGivesTheTerminalBack(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: withLog})
	fillAll(s)
	s.Do("BGREWRITEAOF")
	c := startConsole(t, 80, 24, nil, "stat", "--store", storeURL(s), "--interval", "100ms")
	c.shows("limpet stat", "redis 7.0.15", "operations", "of which", "clients", "memory", "keys", "log", "base", "rewrite", "by itself at",
		"appendfsync everysec", "last rewrite", "ok, took", "dump.rdb", "replication   master, 0 replicas", "disk", "a rewrite needs", "q ends this")
	if got := c.colourOf("appendfsync"); got != green {
		t.Errorf("a sync without trouble is shown in colour %d", got)
	}
	eventually(t, "reads and writes are told apart", func() bool {
		s.Do("GET", "nothing")
		text := c.screen.String()
		return strings.Contains(text, " read and 0 write") && !strings.Contains(text, "of which 0 read")
	})
	// Narrower, lower and wider: always within the screen, and never wrapped.
	c.size(40, 10)
	c.shows("operations", "q ends this", "…")
	c.size(200, 50)
	c.shows("a rewrite needs", s.Dir(), "values in red: data in danger")
	c.types("q")
	c.ends(0)
}

func TestStat_Screen_CtrlC_Signal_AndCount_EndIt(t *testing.T) {
	s := testredis.Start(t, testredis.Options{})
	for name, end := range map[string]func(c *console){
		"ctrl-C":  func(c *console) { c.types("\x03") },
		"SIGTERM": func(c *console) { _ = c.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			c := startConsole(t, 80, 24, nil, "stat", "--store", storeURL(s))
			c.shows("log           off: a crash loses everything")
			if got := c.colourOf("off: a crash"); got != yellow {
				t.Errorf("that there is no log is shown in colour %d", got)
			}
			end(c)
			c.ends(0)
		})
	}
	c := startConsole(t, 80, 24, nil, "stat", "--store", storeURL(s), "--count", "2", "--interval", "100ms")
	c.ends(0)
	// A terminal that cannot be drawn on gets lines.
	dumb := startConsole(t, 80, 24, []string{"TERM=dumb-and-unknown"}, "stat", "--store", storeURL(s), "--count", "1")
	dumb.shows("/s; ", "client")
	// One without Unicode or colours gets the same in ASCII.
	plain := startConsole(t, 80, 24, []string{"LC_ALL=C", "NO_COLOR=1"}, "stat", "--store", storeURL(s))
	plain.shows("q ends this - values in red")
	plain.types("q")
	plain.ends(0)
}

func TestStat_Screen_ServerGoesAwayAndReturns(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: withLog})
	s.Do("SET", "k", "v")
	c := startConsole(t, 80, 24, nil, "stat", "--store", storeURL(s), "--interval", "100ms")
	c.shows("keys          1, 0 of them with a deadline")
	s.Kill()
	c.shows("NO ANSWER for", "connection refused", "last values", "keys          1, 0 of them")
	if got := c.colourOf("NO ANSWER"); got != red {
		t.Errorf("that there is no answer is shown in colour %d", got)
	}
	if got := c.colourOf("1, 0 of them"); got != grey {
		t.Errorf("a value that is old is shown in colour %d", got)
	}
	s.Restart()
	s.Do("SET", "k2", "v")
	c.shows("keys          2, 0 of them")
	eventually(t, "nothing of the silence is left", func() bool { return !strings.Contains(c.screen.String(), "NO ANSWER") })
	c.types("q")
	c.ends(0)
}

func TestStat_Screen_RefusedWritesAreRed(t *testing.T) {
	dir := t.TempDir()
	s := testredis.Start(t, testredis.Options{Dir: dir, Args: []string{"--save", "3600 1"}})
	c := startConsole(t, 80, 24, nil, "stat", "--store", storeURL(s), "--interval", "100ms")
	c.shows("operations")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.Do("SET", "k", "v")
	s.Do("BGSAVE")
	c.shows("WRITES ARE REFUSED: the last save failed", "dump.rdb      the last save failed")
	for _, text := range []string{"WRITES ARE REFUSED", "the last save failed, 1 changes"} {
		if got := c.colourOf(text); got != red {
			t.Errorf("%q is shown in colour %d", text, got)
		}
	}
	eventually(t, "what is refused is counted", func() bool {
		_ = s.Client().Set(t.Context(), "k", "v", 0).Err()
		return strings.Contains(c.screen.String(), " refused\n") || strings.Contains(c.screen.String(), " refused ")
	})
	c.types("q")
	c.ends(0)
}

// Our own store, on a Unix socket, with its archive.
func TestStat_Screen_OwnStoreWithItsArchive(t *testing.T) {
	p := startStore(t, nil, "--dir", ".", "--port", "0", "--unixsocket", "s", "--archive", "archive", "--archive-interval", "100ms")
	p.ask("SET k v")
	url := "unix://" + p.path("s")
	c := startConsole(t, 80, 24, nil, "stat", "--store", url, "--archive", p.path("archive"), "--interval", "100ms")
	c.shows("limpet, as redis 7", "keys          1,", "archive       ", " behind", "disk", "appendfsync everysec")
	p.stop()
	c.shows("NO ANSWER for")
	c.types("q")
	c.ends(0)
}

func TestStat_JSON_OneLineForEachLook(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: withLog})
	fillAll(s)
	own := startStore(t, nil, "--dir", ".", "--port", "0", "--unixsocket", "s")
	own.ask("SET k v EX 100")
	manual := readFile(t, "../../docs/stat.md")
	for name, url := range map[string]string{"redis-server": storeURL(s), "own": "unix://" + own.path("s")} {
		t.Run(name, func(t *testing.T) {
			r := execute(t, exec.Command(binary, "stat", "--store", url, "--json", "--count", "2", "--interval", "100ms"))
			r.printed(0)
			lines := r.lines()
			if len(lines) != 2 {
				t.Fatalf("%d lines", len(lines))
			}
			second := lines[1]
			for _, field := range []string{"ops_per_second", "reads_per_second", "writes_per_second", "aof_bytes", "aof_base_bytes", "rewrite_at_bytes", "aof_growth_bytes_per_second", "keys", "memory_bytes"} {
				if _, isNumber := second[field].(float64); !isNumber {
					t.Errorf("%s is %v", field, second[field])
				}
			}
			if second["up"] != true || second["aof_enabled"] != true || second["aof_write_ok"] != true || second["refuses_writes"] != false || second["disk"] == nil || second["keys"].(float64) < 1 {
				t.Errorf("%v", second)
			}
			for field := range second {
				if !strings.Contains(manual, "| `"+field+"` |") {
					t.Errorf("docs/stat.md does not explain %s", field)
				}
			}
		})
	}
	s.Kill()
	gone := execute(t, exec.Command(binary, "stat", "--store", storeURL(s), "--json", "--count", "1"))
	if line := gone.lines()[0]; gone.code != exitUnreachable || line["up"] != false || line["error"] != "connection refused" {
		t.Errorf("%d %v", gone.code, line)
	}
}

func TestStat_NoTerminal_PrintsLines(t *testing.T) {
	s := testredis.Start(t, testredis.Options{})
	s.Do("CONFIG", "SET", "requirepass", "secret")
	url := strings.Replace(storeURL(s), "://", "://:secret@", 1)
	execute(t, exec.Command(binary, "stat", "--store", url, "--count", "1")).printed(0, "/s; ", "log off")
	wrong := execute(t, exec.Command(binary, "stat", "--store", storeURL(s), "--count", "1"))
	wrong.printed(exitRefused, "NOAUTH")
	if !strings.Contains(wrong.err, "LIMPET_STORE_PASSWORD") || strings.Contains(wrong.err+wrong.out, "secret") {
		t.Errorf("%s", wrong.err)
	}
	c := exec.Command(binary, "stat", "--store", storeURL(s), "--count", "1")
	c.Env = append(os.Environ(), "LIMPET_STORE_PASSWORD=secret")
	execute(t, c).printed(0, "/s; ")
	execute(t, exec.Command(binary, "stat", "--store", "http://x")).want(exitUsage, "--store: ")
	execute(t, exec.Command(binary, "stat", "--interval", "1ms")).want(exitUsage, "want 100ms or more")
}

// Every field of both servers is explained, with a log and without, and while
// something runs.
func TestStat_Explain_KnowsEveryField(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: append([]string{"--rdb-key-save-delay", "3000"}, withLog...)})
	fillAll(s)
	off := testredis.Start(t, testredis.Options{})
	own := startStore(t, nil, "--dir", ".", "--port", "0", "--unixsocket", "s")
	own.ask("SET k v")
	for name, url := range map[string]string{"redis-server": storeURL(s), "without a log": storeURL(off), "own": "unix://" + own.path("s")} {
		t.Run(name, func(t *testing.T) {
			r := execute(t, exec.Command(binary, "stat", "--store", url, "--explain", "--json"))
			r.printed(0)
			fields := r.lines()
			for _, f := range fields {
				if f["verdict"] == "unknown" || f["means"] == "" {
					t.Errorf("%v", f)
				}
			}
			if len(fields) < 30 {
				t.Errorf("only %d fields", len(fields))
			}
		})
	}
	s.Do("BGREWRITEAOF")
	execute(t, exec.Command(binary, "stat", "--store", storeURL(s), "--explain")).printed(0, "good   aof_enabled = 1 (yes)", "aof_rewrite_in_progress = 1 (yes)", " fact\n")
	execute(t, exec.Command(binary, "stat", "--store", storeURL(off), "--explain")).printed(0, "BAD    aof_enabled = 0 (no)", "do: ", "CONFIG SET appendonly yes")
}

func TestStat_DiskOfAnotherMachine_IsNotShown(t *testing.T) {
	dir := t.TempDir()
	s := testredis.Start(t, testredis.Options{Dir: dir})
	look := func(args ...string) map[string]any {
		return execute(t, exec.Command(binary, append([]string{"stat", "--json", "--count", "1", "--store", storeURL(s)}, args...)...)).lines()[0]
	}
	// The directory is here, but nothing of the store's is in it: it may be another
	// of the same name.
	if v := look(); v["disk"] != nil {
		t.Errorf("%v", v["disk"])
	}
	if v, _ := look("--dir", dir)["disk"].(map[string]any); v["dir"] != dir || v["free_bytes"].(float64) <= 0 {
		t.Errorf("%v", v)
	}
	writeFile(t, filepath.Join(dir, "dump.rdb"), fmt.Sprintf("%1000s", ""))
	if v, _ := look()["disk"].(map[string]any); v["dir"] != dir || v["need_bytes"].(float64) != 2*1000+64<<20 {
		t.Errorf("%v", v)
	}
}
