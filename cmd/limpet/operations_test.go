package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"limpet/internal/testredis"
)

// The commands of docs/operations.md run as they stand there, one after the
// other, against a real redis-server.
func TestOperationsManual_CommandsWork(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "volumes", "redis")
	script, err := os.ReadFile("../../scripts/backup-redis.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"passphrase.txt": []byte("correct horse\n"), "scripts/backup-redis.sh": script, "volumes/redis/x": nil} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	server := testredis.Start(t, testredis.Options{Dir: data, Args: withLog})
	fillAll(server)
	env := append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "PORT="+strconv.Itoa(server.Port()))
	ran := 0
	page, _, _ := strings.Cut(string(text), "\n## When the server does not work\n") // has a test of its own
	for _, block := range strings.Split(page, "\n```console\n")[1:] {
		block, _, _ = strings.Cut(block, "\n```")
		for line := range strings.Lines(block) {
			line, typed := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if !typed {
				continue
			}
			c := exec.Command("bash", "-c", line)
			c.Dir, c.Env = dir, env
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			ran++
		}
	}
	if ran < 12 {
		t.Errorf("only %d commands found", ran)
	}
	server.Stop()
	restored := testredis.Start(t, testredis.Options{Dir: filepath.Join(dir, "volumes", "restored"), Args: []string{"--appendonly", "no"}})
	if got := restored.Do("LLEN", "l"); got != int64(300) {
		t.Errorf("what was restored has a list of %v", got)
	}
}
