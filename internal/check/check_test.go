package check

import (
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/testredis"
	"limpet/vfs"
)

func TestChecks_WhatARealServerWrote_SayTheSame(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--aof-timestamp-enabled", "yes"}})
	s.Do("SET", "text", strings.Repeat("compress me ", 100), "EX", "100000")
	s.Do("SET", "n", "12345")
	s.Do("SET", strings.Repeat("a key that is compressed ", 5), "v", "PXAT", "5000000000000")
	s.Do("RPUSH", "list", strings.Repeat("x", 20000), "b")
	s.Do("SADD", "ints", "1", "2", "70000")
	s.Do("SADD", "set", "a", "b")
	s.Do("HSET", "hash", "f", "v")
	s.Do("ZADD", "zset", "1.5", "m")
	s.Do("XADD", "stream", "1-1", "f", "v")
	s.Do("XGROUP", "CREATE", "stream", "g", "0")
	s.Do("XREADGROUP", "GROUP", "g", "c", "STREAMS", "stream", ">")
	s.Do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
	s.Do("EVAL", "for i = 1, 1000 do redis.call('HSET', 'big', i, i) redis.call('ZADD', 'bigz', i, i) redis.call('SADD', 'bigs', 'm' .. i) end", "0")
	s.Do("SAVE")
	s.Do("BGREWRITEAOF")
	for !strings.Contains(s.Do("INFO", "persistence").(string), "aof_rewrites:1") {
		s.Do("ECHO", "still writing")
	}
	s.Do("EVAL", "redis.call('INCR', 'n') redis.call('INCR', 'n')", "0")
	s.Stop()
	for _, c := range []struct {
		tool, file string
		run        func(Tool, []string) int
	}{
		{"redis-check-rdb", "dump.rdb", Tool.RDB},
		{"redis-check-aof", "appendonlydir/appendonly.aof.manifest", Tool.AOF},
	} {
		want, wantCode := runReal(t, s.Dir(), c.tool, "", []string{c.file})
		got, code := runOurs(t, s.Dir(), "", func(tool Tool) int { return c.run(tool, []string{c.file}) })
		if diff := cmp.Diff(want, got); diff != "" || code != wantCode || code != 0 {
			t.Errorf("%s: exit %d, want %d; output (-redis +limpet):\n%s", c.tool, code, wantCode, diff)
		}
	}
}

func inMemory(t testing.TB, f files) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	for name, text := range f {
		file, err := vfs.Create(m, name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(file, text)
		_ = file.Close()
	}
	return m
}

func TestTruncateToTimestamp_NoteInsideMULTI_CutsBeforeTheMULTI(t *testing.T) {
	const late = "#TS:300\r\n"
	before := good + commands("#TS:100", "SET a 1")
	m := inMemory(t, files{"old.aof": before + commands("MULTI", "SET b 1") + late + commands("SET c 1", "EXEC")})
	var out bytes.Buffer
	if code := (Tool{FS: m, Out: &out, Err: &out}).AOF([]string{"--truncate-to-timestamp", "200", "old.aof"}); code != 0 {
		t.Errorf("exit %d\n%s", code, &out)
	}
	left, err := vfs.ReadFile(m, "old.aof")
	must(t, err)
	if string(left) != before {
		t.Errorf("left %q, want %q", left, before)
	}
}

func TestFix_AnyFailingOperation_LosesNoByte(t *testing.T) {
	before := good + good[:11]
	for n := 0; ; n++ {
		m := inMemory(t, files{"old.aof": before})
		changes, failed := 0, false
		disk := vfs.NewFaulty(m, func(op vfs.Op) vfs.Fault {
			if !op.Changes() {
				return vfs.Fault{}
			}
			if changes++; changes-1 == n {
				failed = true
				return vfs.Fault{Err: syscall.ENOSPC, Short: 3}
			}
			return vfs.Fault{}
		})
		var out bytes.Buffer
		code := Tool{FS: disk, Out: &out, Err: &out}.AOF([]string{"--fix", "-y", "old.aof"})
		left, err := vfs.ReadFile(m, "old.aof")
		must(t, err)
		if failed == (code == 0) {
			t.Errorf("change %d: failed %v, exit %d\n%s", n, failed, code, &out)
		}
		if string(left) != before {
			entries, err := m.ReadDir(".")
			must(t, err)
			var kept []byte
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), "old.aof.cut-") {
					kept, err = vfs.ReadFile(m, e.Name())
					must(t, err)
				}
			}
			if string(left)+string(kept) != before {
				t.Errorf("change %d: left %q and %q of %q", n, left, kept, before)
			}
		}
		if !failed {
			return
		}
	}
}

func FuzzChecks_AnyBytes_EndInSoundOrNot(f *testing.F) {
	for _, c := range []string{"", good, good[:9], "#TS:1\r\n" + good, "REDIS0010\x00\x01a\x01b\xff\x00\x00\x00\x00\x00\x00\x00\x00" + good,
		"REDIS0010\xf7\x01\x02\x00\x00\xff", "REDIS0010\xfa\xc3\x02\x04ab\x01\xff", "*-1\r\n", "*1\r\n$9223372036854775807\r\n"} {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := inMemory(t, files{"f": string(b)})
		tool := Tool{FS: m, In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}
		tool.RDB([]string{"f"})
		tool.AOF([]string{"--truncate-to-timestamp", "5", "f"})
		if tool.AOF([]string{"--fix", "-y", "f"}) == 0 && tool.AOF([]string{"f"}) != 0 {
			t.Error("not sound after it was fixed")
		}
	})
}
