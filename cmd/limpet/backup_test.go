package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet"
	"limpet/internal/backup"
	"limpet/internal/target/targettest"
	"limpet/internal/testredis"
)

func limpetCommand(t *testing.T, args ...string) result {
	t.Helper()
	if args[0] == "backup" || args[0] == "verify" {
		args = append(args, "--no-gently") // the machine may have better to do for long
	}
	return execute(t, exec.Command(binary, args...))
}

var withLog = []string{"--appendonly", "yes", "--appendfsync", "everysec"}

// fillAll writes keys of all types into several databases, some with deadlines,
// one of which passes soon.
func fillAll(s *testredis.Server) {
	s.Do("SET", "soon", "v", "PX", 300)
	s.Do("SET", "later", "v", "EX", 1000)
	for i := range 300 {
		s.Do("SET", fmt.Sprint("s", i), strings.Repeat("v", i))
		s.Do("RPUSH", "l", i)
		s.Do("SADD", "set", i)
		s.Do("HSET", "h", i, i)
		s.Do("ZADD", "z", i, i)
		s.Do("XADD", "x", "*", "f", i)
	}
	s.Do("XGROUP", "CREATE", "x", "g", "0")
	s.Do("XREADGROUP", "GROUP", "g", "c", "COUNT", "3", "STREAMS", "x", ">")
	_, err := s.Client().Pipelined(context.Background(), func(p redis.Pipeliner) error {
		p.Do(context.Background(), "SELECT", 7)
		p.Set(context.Background(), "seventh", "v", 0)
		p.Do(context.Background(), "SELECT", 0)
		return nil
	})
	if err != nil {
		panic(err)
	}
}

// writer counts a key up and pushes to a list, in one transaction each time.
type writer struct {
	acked int64
	mu    sync.Mutex
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func startWriter(t *testing.T, s *testredis.Server) *writer {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w := &writer{stop: stop}
	w.done.Go(func() {
		for n := int64(1); ctx.Err() == nil; n++ {
			p := s.Client().TxPipeline()
			p.Set(ctx, "n", n, 0)
			p.RPush(ctx, "log", n)
			if _, err := p.Exec(ctx); err == nil {
				w.mu.Lock()
				w.acked = n
				w.mu.Unlock()
			}
			time.Sleep(time.Millisecond) // the rest of the machine is for the backup
		}
	})
	w.done.Go(func() {
		for ctx.Err() == nil {
			_ = s.Client().BgRewriteAOF(ctx).Err()
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
	t.Cleanup(w.end)
	return w
}

func (w *writer) end() { w.stop(); w.done.Wait() }

func (w *writer) seen() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// prefix sees that a restored server has all that was acknowledged before and a
// whole transaction at its end.
func prefix(t *testing.T, s *testredis.Server, before, after int64) {
	t.Helper()
	text, _ := s.Do("GET", "n").(string)
	n, _ := strconv.ParseInt(text, 10, 64)
	if n < before || n > after+1 || s.Do("LLEN", "log") != n {
		t.Errorf("n is %d and the log has %v: want %d to %d", n, s.Do("LLEN", "log"), before, after+1)
	}
}

// The whole way, against a real server under load that rewrites its log every
// second, into a directory and into a real S3 server.
func TestBackup_RealRedisUnderLoad_VerifiedRestoredAndOpenedByIt(t *testing.T) {
	s3 := targettest.StartS3(t)
	passphrase := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(passphrase, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := testredis.Start(t, testredis.Options{Args: withLog})
	fillAll(server)
	load := startWriter(t, server)
	for _, row := range []struct {
		to   string
		args []string
	}{
		{filepath.Join(t.TempDir(), "backups"), nil},
		{s3.Spec(t, "limpet"), []string{"--passphrase-file", passphrase}},
	} {
		secret := row.args
		before := load.seen()
		limpetCommand(t, append([]string{"backup", "--dir", server.Dir(), "--to", row.to}, secret...)...).want(0, "3", "keys")
		after := load.seen()
		limpetCommand(t, append([]string{"verify", "--from", row.to}, secret...)...).want(0, ": good", "files: ok", "limpet dev: ok", "redis-server 7.0.15: ok")
		limpetCommand(t, "backups", "--from", row.to).want(0, "aof", server.Dir())
		dir := filepath.Join(t.TempDir(), "restored")
		limpetCommand(t, append([]string{"restore", "--from", row.to, "--to", dir}, secret...)...).want(0, "restored 20", "redis-server --dir "+dir)
		restored := testredis.Start(t, testredis.Options{Dir: dir, Args: append(withLog, "--aof-load-truncated", "no")})
		prefix(t, restored, before, after)
		for _, key := range []string{"l", "set", "h", "z", "x", "s17", "later"} {
			if got, want := restored.Do("DEBUG", "DIGEST-VALUE", key), server.Do("DEBUG", "DIGEST-VALUE", key); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s differs", key)
			}
		}
		restored.Kill()
		limpetCommand(t, append([]string{"restore", "--from", row.to, "--to", dir}, secret...)...).want(exitLocal, "is not empty", "--to "+dir+".restored", "Nothing has been changed")
	}
}

func TestBackup_ServerWithoutLog_WritesAFreshDump(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	to := t.TempDir()
	limpetCommand(t, "backup", "--dir", server.Dir(), "--to", to).want(exitNotFound, "no data there", "--store redis://")
	fillAll(server)
	limpetCommand(t, "backup", "--dir", server.Dir(), "--to", to, "--store", "redis://"+server.Addr()).want(0, "keys")
	limpetCommand(t, "verify", "--from", to).want(0, "redis-server 7.0.15: ok")
	if got := limpetCommand(t, "backups", "--from", to, "--json").want(0).lines(); len(got) != 1 || got[0]["kind"] != "rdb" {
		t.Errorf("%v", got)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	limpetCommand(t, "restore", "--from", to, "--to", dir).want(0, "--appendonly no")
	restored := testredis.Start(t, testredis.Options{Dir: dir})
	for _, s := range []*testredis.Server{server, restored} { // the digest counts what has expired and is still there
		eventually(t, "a deadline", func() bool { return s.Do("EXISTS", "soon") == int64(0) })
	}
	if got, want := restored.Do("DEBUG", "DIGEST"), server.Do("DEBUG", "DIGEST"); got != want {
		t.Errorf("digest %v, want %v", got, want)
	}
}

func TestBackup_OurOwnStoreWhileOpen_ComesBack(t *testing.T) {
	dir, to := filepath.Join(t.TempDir(), "d"), t.TempDir()
	db, err := limpet.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for round := range 3 {
		for i := range 100 {
			if _, err := db.Do(context.Background(), "SET", fmt.Sprint(round, "-", i), "v"); err != nil {
				t.Fatal(err)
			}
		}
		if got := limpetCommand(t, "backup", "--dir", dir, "--to", to, "--json").want(0).lines(); len(got) != 1 {
			t.Fatal(got)
		} else if keys := got[0]["data"].(map[string]any)["databases"].([]any)[0].(map[string]any)["keys"]; keys != float64(100*(round+1)) {
			t.Errorf("%v keys after round %d", keys, round)
		}
		if _, err := db.Do(context.Background(), "BGREWRITEAOF"); err != nil {
			t.Fatal(err)
		}
	}
	limpetCommand(t, "verify", "--from", to, "--all").want(0, "limpet dev: ok, 300 keys", "redis-server 7.0.15: ok, 300 keys")
	limpetCommand(t, "prune", "--from", to, "--keep-last", "1", "--dry-run").want(0, "would delete 2 of 3")
	limpetCommand(t, "prune", "--from", to, "--keep-last", "1").want(0, "deleted 2 of 3")
	limpetCommand(t, "prune", "--from", to).want(exitUsage, "--keep-last")
}

// A log with a command that our own store does not know is backed up all the
// same; what it comes to is learnt from the real server.
func TestBackup_CommandWeDoNotKnow_RealServerVerifiesIt(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: withLog})
	server.Do("SET", "a", "1")
	server.Do("PFADD", "hll", "x") // HyperLogLog
	to := t.TempDir()
	limpetCommand(t, "backup", "--dir", server.Dir(), "--to", to).want(0)
	limpetCommand(t, "verify", "--from", to).want(0, ": good", "limpet dev: not tried: it does not know PFADD", "redis-server 7.0.15: ok, 2 keys")
}

// What verify says of a backup that was tampered with, or that another digest was
// noted for.
func TestVerify_BadBackup_ExitCodeIs1AndTheListSaysSo(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: withLog})
	fillAll(server)
	to := t.TempDir()
	limpetCommand(t, "backup", "--dir", server.Dir(), "--to", to).want(0)
	entries, err := filepath.Glob(filepath.Join(to, "catalogue", "*", "backup.json"))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	text, err := os.ReadFile(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	var e backup.Entry
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	e.Data.Databases[0].Keys++
	changed, _ := json.Marshal(e)
	if err := os.WriteFile(entries[0], changed, 0o600); err != nil {
		t.Fatal(err)
	}
	limpetCommand(t, "verify", "--from", to).want(exitNo, ": BAD", "files: ok", "limpet dev: compared with the backup: database 0: want", "redis-server 7.0.15: compared")
	limpetCommand(t, "backups", "--from", to).want(0, "BAD")
	if err := os.WriteFile(entries[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	limpetCommand(t, "verify", "--from", to).want(0, ": good")
	if err := os.Truncate(filepath.Join(to, filepath.FromSlash(e.Files[1].Object)), 20); err != nil {
		t.Fatal(err)
	}
	limpetCommand(t, "verify", "--from", to).want(exitNo, ": BAD", "truncated")
	limpetCommand(t, "restore", "--from", to, "--to", filepath.Join(t.TempDir(), "r")).want(exitNo)
}

// kill -9 at random moments of a backup: what is listed is whole, and nothing is
// left in the server's directory.
func TestBackup_Killed_NothingHalfDoneIsVisible(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: withLog})
	fillAll(server)
	server.Do("DEBUG", "POPULATE", 20000, "key", 200)
	server.Do("BGREWRITEAOF")
	for server.Do("INFO", "persistence"); strings.Contains(fmt.Sprint(server.Do("INFO", "persistence")), "aof_rewrite_in_progress:1"); {
		time.Sleep(10 * time.Millisecond)
	}
	before, err := os.ReadDir(server.Dir())
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	began := time.Now()
	limpetCommand(t, "backup", "--dir", server.Dir(), "--to", to, "--digest", "no").want(0)
	took := time.Since(began)
	rounds := 8
	if os.Getenv("LIMPET_TORTURE") != "" {
		rounds = 300
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range rounds {
		c := exec.Command(binary, "backup", "--dir", server.Dir(), "--to", to, "--digest", "no", "--no-gently")
		var out bytes.Buffer
		c.Stdout = &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rng.Int64N(int64(took))))
		_ = c.Process.Signal(syscall.SIGKILL)
		killed := c.Wait() != nil
		listed := limpetCommand(t, "backups", "--from", to).want(0).out
		if !killed && !strings.Contains(listed, strings.Fields(out.String())[0]) {
			t.Error("a backup was acknowledged and is not listed")
		}
	}
	limpetCommand(t, "verify", "--from", to, "--all").want(0)
	limpetCommand(t, "prune", "--from", to, "--keep-last", "100").want(0)
	if after, err := os.ReadDir(server.Dir()); err != nil || len(after) != len(before) {
		t.Errorf("the server's directory has %v, it had %v (%v)", after, before, err)
	}
}

func TestBackup_Every_GoesOnUntilASignal(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: withLog})
	server.Do("SET", "k", "v")
	to := t.TempDir()
	c := exec.Command(binary, "backup", "--dir", server.Dir(), "--to", to, "--no-gently", "--every", "1s", "--keep-last", "2", "--log-format", "json")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	first := ""
	eventually(t, "the oldest of three backups goes", func() bool {
		ids, err := filepath.Glob(filepath.Join(to, "catalogue", "*", "backup.json"))
		if err != nil {
			t.Error(err)
		}
		if first == "" && len(ids) > 0 {
			first = ids[0]
		}
		_, err = os.Stat(first)
		return first != "" && err != nil && strings.Count(said(), `"msg":"backed up"`) >= 3
	})
	_ = c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said())
	}
}

func TestBackup_Misuse_IsExplained(t *testing.T) {
	for _, row := range []struct {
		args string
		code int
		says string
	}{
		{"backup --dir x", exitUsage, "--to"},
		{"backup --to t --every 1h --cron @daily", exitUsage, "want one of them"},
		{"backup --to t --every 1ms", exitUsage, "want 1s or more"},
		{"backup --to t --cron hourly", exitUsage, "want five fields"},
		{"backup --to ftp://x --dir x", exitUsage, "want a directory, file://, s3://"},
		{"backup --to t --dir nothing", exitNotFound, "no data there"},
		{"backup --to t --dir x --recipient nobody", exitUsage, "want age1"},
		{"backup --to t --dir x --store redis://127.0.0.1:1", exitUnreachable, "does not answer"},
		{"restore --from t --to r", exitNotFound, "limpet backup --dir"},
		{"verify --from t --all", exitNotFound, "no backups there"},
		{"verify --from t --all --id 1", exitUsage, "can't be used together"},
	} {
		c := exec.Command(binary, strings.Fields(row.args)...)
		c.Dir = t.TempDir()
		execute(t, c).want(row.code, row.says)
	}
}
