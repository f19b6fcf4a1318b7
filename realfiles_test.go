package limpet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"limpet"
	"limpet/internal/testredis"
)

// Moving up is cp: what a real redis-server leaves behind is opened, all types in
// it, whichever way it kept its data.
func TestOpen_WhatARealServerLeft_AllTypes(t *testing.T) {
	for name, args := range map[string][]string{
		"a dump and no log":  {"--save", "3600 1"},
		"an RDB base":        {"--appendonly", "yes"},
		"a base of commands": {"--appendonly", "yes", "--aof-use-rdb-preamble", "no"},
	} {
		dir := t.TempDir()
		real := testredis.Start(t, testredis.Options{Dir: dir, Args: args})
		fill(real)
		if len(args) > 2 {
			real.Do("BGREWRITEAOF")
		}
		real.Do("RPUSH", "list", "after") // in the log behind the base
		real.Stop()
		wantAll(t, name, dir)
	}
}

// The log of a server before 7 is one file beside the dump. It is taken over, and
// goes before the dump, which may be older.
func TestOpen_SingleFileLog_IsTakenOver(t *testing.T) {
	real := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--aof-use-rdb-preamble", "no"}})
	real.Do("SET", "stale", "1")
	real.Do("SAVE")
	real.Do("DEL", "stale")
	fill(real)
	real.Do("RPUSH", "list", "after")
	real.Stop()
	old := t.TempDir()
	for from, to := range map[string]string{"dump.rdb": "dump.rdb", "appendonlydir/appendonly.aof.1.incr.aof": "appendonly.aof"} {
		b, err := os.ReadFile(filepath.Join(real.Dir(), from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(old, to), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wantAll(t, "a single file", old)
	wantAll(t, "a single file, taken over", old)
}

func fill(real *testredis.Server) {
	real.Do("SET", "string", "v", "PXAT", "9999999999999")
	real.Do("RPUSH", "list", "a", "b")
	real.Do("SADD", "set", "a", "b")
	real.Do("SADD", "ints", 1, 2, 3)
	real.Do("HSET", "hash", "f", "v")
	real.Do("ZADD", "zset", 1.5, "a", "inf", "b")
	real.Do("XADD", "stream", "1-1", "f", "v")
	real.Do("XGROUP", "CREATE", "stream", "g", "0")
	real.Do("XREADGROUP", "GROUP", "g", "c", "STREAMS", "stream", ">")
	for i := range 300 {
		real.Do("HSET", "large", fmt.Sprint("f", i), "v")
	}
}

func wantAll(t *testing.T, name, dir string) {
	t.Helper()
	db := open(t, dir, limpet.Options{})
	for _, c := range []struct {
		want string
		args []any
	}{
		{"9999999999999", []any{"PEXPIRETIME", "string"}}, {"v", []any{"GET", "string"}},
		{"after", []any{"LINDEX", "list", 2}}, {"2", []any{"SCARD", "set"}}, {"3", []any{"SCARD", "ints"}},
		{"v", []any{"HGET", "hash", "f"}}, {"1.5", []any{"ZSCORE", "zset", "a"}}, {"inf", []any{"ZSCORE", "zset", "b"}},
		{"1", []any{"XLEN", "stream"}}, {"1-1", []any{"XCLAIM", "stream", "g", "other", 0, "1-1", "JUSTID"}},
		{"300", []any{"HLEN", "large"}}, {"8", []any{"DBSIZE"}},
	} {
		v := do(t, db, c.args...)
		if len(v.Elems) == 1 {
			v = v.Elems[0]
		}
		if v.Text() != c.want {
			t.Errorf("%s: %v is %q, want %q", name, c.args, v.Text(), c.want)
		}
	}
	closeDB(t, db)
}
