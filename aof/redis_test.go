package aof

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"limpet/internal/testredis"
	"limpet/rdb"
	"limpet/vfs"
)

// redisAccepts starts a real server on a directory and tells whether it gets so
// far as to serve; it is killed then.
func redisAccepts(t *testing.T, dir string) (accepted bool, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "redis-server", "--port", "0", "--unixsocket", "redis.sock",
		"--dir", dir, "--appendonly", "yes", "--save", "", "--appendfilename", "a")
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	must(t, err)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (apt-get install redis-server)", err)
	}
	var all strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Ready to accept connections") || strings.Contains(lines.Text(), "ready to accept connections") {
			accepted = true
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return accepted, all.String()
}

// emptyRDB is a base without keys.
func emptyRDB(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	e := rdb.NewEncoder(&b, rdb.EncoderOptions{})
	must(t, e.Aux("aof-base", "1"))
	must(t, e.Close())
	return b.Bytes()
}

func TestManifest_EveryCase_IsJudgedAsARealRedisDoes(t *testing.T) {
	for _, c := range manifestCases {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			files := map[string][]byte{
				"a.manifest": []byte(c.text), "a.base.rdb": emptyRDB(t), "b.base.rdb": emptyRDB(t),
				"a.1.incr.aof": nil, "a.2.incr.aof": nil,
			}
			must(t, os.Mkdir(filepath.Join(dir, "appendonlydir"), 0o755))
			for name, text := range files {
				must(t, os.WriteFile(filepath.Join(dir, "appendonlydir", name), text, 0o644))
			}
			accepted, log := redisAccepts(t, dir)
			if want := c.why == "" || c.stricter; accepted != want {
				t.Fatalf("redis-server accepts it: %v, want %v\n%s", accepted, want, log)
			}
			if !accepted && !strings.Contains(log, c.why) {
				t.Errorf("redis-server gives another reason than %q:\n%s", c.why, log)
			}
		})
	}
}

// keyspace is a Loader that knows just enough to compare with a real server.
type keyspace struct {
	fromRDB int
	ledger
}

func (k *keyspace) Preamble(r io.Reader) (int64, error) {
	d := rdb.NewDecoder(r, rdb.DecoderOptions{})
	for {
		if _, err := d.Next(); err == io.EOF {
			return d.Consumed(), nil
		} else if err != nil {
			return 0, err
		}
		k.fromRDB++
	}
}

func TestReplay_ReadsWhatARealRedisWrote(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always", "--aof-timestamp-enabled", "yes"}})
	s.Do("SET", "a", "1")
	s.Do("SET", "b", "2")
	s.Do("BGREWRITEAOF")
	for !strings.Contains(fmt.Sprint(s.Do("INFO", "persistence")), "aof_rewrite_in_progress:0") ||
		!strings.Contains(fmt.Sprint(s.Do("INFO", "persistence")), "aof_rewrites:1") {
		s.Do("ECHO", "still writing")
	}
	s.Do("EVAL", "redis.call('RPUSH', 'l', 'x') return redis.call('INCR', 'n')", "0")
	s.Do("DEL", "a")
	s.Kill()

	d, err := OpenDir(vfs.OS(), s.Dir(), Options{})
	must(t, err)
	plan, err := d.Load()
	must(t, err)
	var k keyspace
	done, err := plan.Replay(&k)
	must(t, err)
	if want := (ledger{"RPUSH l x; INCR n", "DEL a"}); k.fromRDB != 2 || !slices.Equal(k.ledger, want) || done.Cut != nil {
		t.Fatalf("%d keys, %q, %+v", k.fromRDB, k.ledger, done.Cut)
	}
	w, err := d.OpenIncr()
	must(t, err)
	must(t, w.Append(AppendTimestamp(nil, time.Now())))
	must(t, w.Append(AppendCommand(AppendCommand(nil, "SELECT", "0"), "SET", "ours", "yes")))
	must(t, w.Sync())
	must(t, w.Close())
	must(t, d.DeleteHistory())
	s.Restart()
	if s.Do("GET", "ours") != "yes" || s.Do("GET", "n") != "1" || s.Do("GET", "b") != "2" {
		t.Error("the real server does not go on where we stopped")
	}
}

func TestDir_ARealRedisAndItsChecker_FindOurFilesSound(t *testing.T) {
	home := t.TempDir()
	o := Options{FileName: "my log.aof"} // a name that the manifest must quote
	d, err := OpenDir(vfs.OS(), home, o)
	must(t, err)
	plan, err := d.Load()
	must(t, err)
	if !plan.Empty() {
		t.Fatal("an empty directory has a plan")
	}
	base := func() string {
		f, err := d.CreateTempBase()
		must(t, err)
		_, err = f.Write(emptyRDB(t))
		must(t, err)
		must(t, f.Close())
		return f.Name()
	}
	write := func(w *Writer, n int) {
		b := AppendCommand(AppendTimestamp(nil, time.Unix(1767323045, 0)), "SELECT", "0")
		for i := range n {
			_, u := unit(i)
			b = append(b, u...)
		}
		must(t, w.Append(b))
	}
	w, err := d.CreateWithBase(base())
	must(t, err)
	write(w, 5)
	w, err = d.Rotate(w)
	must(t, err)
	write(w, 4)
	check(t, d, "my log.aof.manifest")

	temp := base()
	w, err = d.Rotate(w)
	must(t, err)
	write(w, 6)
	must(t, d.CommitBase(temp, w.Seq()))
	must(t, d.DeleteHistory())
	check(t, d, "my log.aof.manifest")
	must(t, w.Sync())
	must(t, w.Close())

	s := testredis.Start(t, testredis.Options{Dir: home, Args: []string{"--appendonly", "yes", "--appendfilename", o.FileName}})
	if n := s.Do("LLEN", "a"); n != int64(6) {
		t.Errorf("the real server finds %v elements, want 6", n)
	}
}

func check(t *testing.T, d *Dir, manifest string) {
	t.Helper()
	out, err := exec.Command("redis-check-aof", filepath.Join(d.Path(), manifest)).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-check-aof: %v\n%s", err, out)
	}
}
