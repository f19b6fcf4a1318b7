package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"limpet/internal/testredis"
)

func du(t *testing.T, args ...string) result {
	t.Helper()
	return execute(t, exec.Command(binary, append([]string{"du"}, args...)...))
}

// memoryOf is the account in a report.
func memoryOf(t *testing.T, r result) map[string]any {
	t.Helper()
	m, ok := r.lines()[0]["memory"].(map[string]any)
	if !ok {
		t.Fatalf("no memory in %s%s", r.out, r.err)
	}
	return m
}

func TestDu_OfARealServersFiles(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: withLog})
	for i := range 20 {
		s.Do("SET", fmt.Sprintf("fcrawler:seed:site%d.example.com:total", i), i, "EX", 1000)
		s.Do("HSET", fmt.Sprintf("fcrawler:seed:site%d.example.com:m", i), "gen", 1)
	}
	s.Do("BGREWRITEAOF")
	awaitNoRewrite(t, s)
	// With commands behind the base: what they come to counts, not they themselves.
	s.Do("DEL", "fcrawler:seed:site7.example.com:total")
	s.Do("SET", "big", strings.Repeat("b", 100_000))
	s.Do("SET", "big", strings.Repeat("b", 50_000))
	dir := s.Dir()
	du(t, "--dir", dir).printed(0, dir+": ", "  base      appendonlydir/appendonly.aof.2.base.rdb", "  incr      appendonlydir/appendonly.aof.2.incr.aof  (the commands since then)", "how much a rewrite would save is not known", "--memory")
	for range 2 { // the second time with the log of a server that has stopped
		r := du(t, "--dir", dir, "--memory")
		r.printed(0, "memory: about ", " in 40 keys, 19 of them with a deadline (estimate of what a Redis 7 takes)", "read:   aof, 3 files, loaded",
			"19         19  fcrawler:seed:*:total  (string; ", "20          0  fcrawler:seed:*:m  (hash; ", "1          0  big  (string)", "a rewrite would save about 1", "the data were loaded and written anew")
		s.Stop()
	}
	m := memoryOf(t, du(t, "--dir", dir, "--memory", "--json", "--top", "1", "--pattern-depth", "1"))
	if groups := m["patterns"].([]any); m["keys"] != 40.0 || len(groups) != 2 || groups[0].(map[string]any)["pattern"] != "big" || groups[1].(map[string]any)["pattern"] != "fcrawler:*" {
		t.Errorf("%v", m)
	}
	// Without loading it is the state of the last rewrite, and said to be.
	du(t, "--dir", dir, "--memory", "--load", "no").printed(exitNo, " in 40 keys, 20 of them", "as of the last rewrite", "NOT READ: the ", " commands since then: not loaded (--load no)")
}

func awaitNoRewrite(t *testing.T, s *testredis.Server) {
	t.Helper()
	eventually(t, "the rewrite's end", func() bool {
		text, _ := s.Do("INFO", "persistence").(string)
		return strings.Contains(text, "aof_rewrite_in_progress:0\r\n") && strings.Contains(text, "aof_rewrite_scheduled:0\r\n")
	})
}

func TestDu_OfAnRDB_AndOfAServerWithoutALog(t *testing.T) {
	s := testredis.Start(t, testredis.Options{})
	fillAll(s)
	s.Do("SAVE")
	file := filepath.Join(s.Dir(), "dump.rdb")
	du(t, file).printed(0, "memory: about ", "db7 seventh", "db0 s*", "stream", "read:   "+file)
	du(t, "--dir", s.Dir(), "--memory").printed(0, "  dump      dump.rdb  (the last save)", "db0 s*", "read:   dump.rdb, ")
	// Cut in the middle: what comes before is told.
	b := readFile(t, file)
	writeFile(t, file, b[:len(b)/2])
	du(t, file).printed(exitNo, "memory: about ", "NOT READ: "+file+", behind its first ", "look:   limpet check "+file)
}

// While a real server writes and rewrites, every answer is of one moment.
func TestDu_BesideAServerThatRewrites(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: withLog})
	ctx, stop := context.WithCancel(context.Background())
	var busy sync.WaitGroup
	busy.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			// Both keys or none.
			p := s.Client().TxPipeline()
			p.Set(ctx, fmt.Sprint("left:", i%500), i, 0)
			p.Set(ctx, fmt.Sprint("right:", i%500), i, 0)
			_, _ = p.Exec(ctx)
		}
	})
	busy.Go(func() {
		for ctx.Err() == nil {
			_ = s.Client().BgRewriteAOF(ctx).Err()
		}
	})
	defer busy.Wait()
	defer stop()
	for range 6 {
		r := du(t, "--dir", s.Dir(), "--memory", "--json")
		r.printed(0)
		if v := r.lines()[0]; v["unread"] != nil || strings.Contains(r.out, `"class":"orphan"`) {
			t.Fatalf("%s", r.out)
		}
		keys := map[string]any{}
		groups, _ := memoryOf(t, r)["patterns"].([]any)
		for _, g := range groups {
			g := g.(map[string]any)
			keys[g["pattern"].(string)] = g["keys"]
		}
		if keys["left:*"] != keys["right:*"] {
			t.Errorf("not of one moment: %v", keys)
		}
	}
}

func TestDu_DamagedFiles_SaysWhatItCouldNotRead(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, row := range []struct {
		name  string
		spoil func(dir string)
		says  []string
	}{
		{"a command", func(dir string) { appendTo(t, filepath.Join(dir, realIncr), "junk") },
			[]string{" in 1 keys", "NOT READ: the rest of the data: ", "want '*', have 'j'", "look:   limpet check "}},
		{"the base", func(dir string) {
			b := readFile(t, filepath.Join(dir, realBase))
			writeFile(t, filepath.Join(dir, realBase), b[:len(b)-12])
		}, []string{"NOT READ: ", "limpet check "}},
		{"the manifest", func(dir string) { writeFile(t, filepath.Join(dir, realManifest), "rubbish\n") }, []string{"NOT READ: ", "rubbish", "limpet check "}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := realDir(t)
			row.spoil(dir)
			du(t, "--dir", dir, "--memory").printed(exitNo, row.says...)
		})
	}
	// A torn end is what a running server may have at any time.
	torn := realDir(t)
	appendTo(t, filepath.Join(torn, realIncr), "*1\r\n$4\r\nPI")
	du(t, "--dir", torn, "--memory").printed(0, "memory: about ")
	empty := shortDir(t)
	du(t, "--dir", empty, "--memory").printed(0, "0 B in 0 files", "note: there are no data here")
	du(t, "--dir", filepath.Join(empty, "none")).want(exitLocal, "there is no such directory")
	du(t, filepath.Join(empty, "none.rdb")).want(exitLocal, "no such file")
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "limpet-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
