package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"limpet/internal/testredis"
)

// troubles brings about what docs/operations.md helps with, by the headings there:
// volumes/redis in a directory, and the server of it where that still runs.
var troubles = map[string]func(t *testing.T, dir string) *testredis.Server{
	"The data is gone after a restart": func(t *testing.T, dir string) *testredis.Server {
		return startIn(t, dir, "--appendonly", "no")
	},
	"It ends with `Bad file format reading the append only file`": func(t *testing.T, dir string) *testredis.Server {
		s := startIn(t, dir, "--appendonly", "yes")
		fillAll(s)
		s.Stop()
		log := filepath.Join(dir, "volumes/redis/appendonlydir/appendonly.aof.1.incr.aof")
		text := readFile(t, log)
		writeFile(t, log, text[:300]+"?"+text[301:])
		return nil
	},
	"Writes fail with `MISCONF`": func(t *testing.T, dir string) *testredis.Server {
		s := startIn(t, dir, "--appendonly", "yes", "--save", "3600 1")
		s.Do("SET", "k", "v")
		if err := os.Mkdir(filepath.Join(dir, "volumes/redis/dump.rdb"), 0o755); err != nil {
			t.Fatal(err)
		}
		s.Do("BGSAVE")
		eventually(t, "the save fails", func() bool {
			return strings.Contains(fmt.Sprint(s.Do("INFO", "persistence")), "rdb_last_bgsave_status:err")
		})
		return s
	},
	"The log grows and grows": func(t *testing.T, dir string) *testredis.Server {
		s := startIn(t, dir, "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")
		for i := range 1000 {
			s.Do("SET", "k", i)
		}
		return s
	},
	"`Permission denied` in the log of the container": func(t *testing.T, dir string) *testredis.Server {
		startIn(t, dir, "--appendonly", "yes").Stop()
		if os.Getuid() != 0 && os.Getenv("CI") == "" {
			t.Skip("needs root, to give files away")
		}
		if err := os.Chown(filepath.Join(dir, "volumes/redis"), 1000, 1000); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "docker-compose.yml"), "services: {redis: {image: 'redis:7.0', volumes: ['./volumes/redis:/data']}}\n")
		return nil
	},
	"Old data is back, or new data is missing": func(t *testing.T, dir string) *testredis.Server {
		s := startIn(t, dir, "--appendonly", "yes")
		s.Do("SET", "k", "old")
		s.Do("CONFIG", "SET", "appendonly", "no")
		s.Do("SET", "k", "new")
		s.Do("SAVE")
		s.Stop()
		files, err := filepath.Glob(filepath.Join(dir, "volumes/redis/appendonlydir/*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if err := os.Chtimes(f, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		return nil
	},
	"Somebody has typed FLUSHALL": nil, // a text that leads elsewhere
}

func startIn(t *testing.T, dir string, args ...string) *testredis.Server {
	t.Helper()
	return testredis.Start(t, testredis.Options{Dir: filepath.Join(dir, "volumes/redis"), Args: args})
}

func TestManual_OfTroubles_RunsAsItStands(t *testing.T) {
	_, page, _ := strings.Cut(readFile(t, "../../docs/operations.md"), "\n## When the server does not work\n")
	sections := strings.Split(page, "\n### ")[1:]
	if len(sections) != len(troubles) {
		t.Errorf("%d troubles in the page, %d here", len(sections), len(troubles))
	}
	for _, section := range sections {
		heading, text, _ := strings.Cut(section, "\n")
		provoke, known := troubles[heading]
		if !known {
			t.Errorf("nothing brings about %q", heading)
		}
		if provoke != nil {
			t.Run(heading, func(t *testing.T) { helpsWith(t, text, provoke) })
		}
	}
}

// helpsWith types the commands of a section, and wants their exit codes and the
// lines that stand below them.
func helpsWith(t *testing.T, text string, provoke func(*testing.T, string) *testredis.Server) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "volumes/redis"), 0o755); err != nil {
		t.Fatal(err)
	}
	server := provoke(t, dir)
	command := regexp.MustCompile(`^\$ (.*?)(?:\s+# (\d+))?$`)
	var got result
	ran := 0
	for _, block := range strings.Split(text, "```console\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			typed := command.FindStringSubmatch(line)
			if typed == nil {
				if !strings.Contains(got.out+got.err, line) {
					t.Errorf("%q is not in\n%s%s", line, got.out, got.err)
				}
				continue
			}
			line = typed[1]
			if server != nil {
				line = strings.ReplaceAll(line, "127.0.0.1:6379", server.Addr())
			}
			c := exec.Command("bash", "-c", line)
			c.Dir, c.Env = dir, append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
			got = execute(t, c)
			if typed[2] != "" && fmt.Sprint(got.code) != typed[2] {
				t.Errorf("%s: exit code %d\n%s%s", line, got.code, got.out, got.err)
			}
			ran++
		}
	}
	if ran == 0 {
		t.Error("no command")
	}
}
