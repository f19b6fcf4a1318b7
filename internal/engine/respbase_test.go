package engine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/keyspace"
	"limpet/internal/testredis"
	"limpet/rdb"
	"limpet/vfs"
)

// everything are requests that make values of all types, small and large, in two
// databases, some with deadlines far away, and streams with all that they may have.
func everything() (requests [][]string) {
	add := func(words ...string) { requests = append(requests, words) }
	add("SET", "string", "v")
	add("SET", "empty", "")
	add("SET", "int", "-12")
	add("SET", "binary", "a\r\n\x00\xff$3")
	add("SET", "mortal", "v", "PXAT", "9999999999999")
	for _, n := range []int{1, 63, 64, 65, 200, 700} {
		list, set, hash, zset := []string{"RPUSH", fmt.Sprint("list", n)}, []string{"SADD", fmt.Sprint("set", n)}, []string{"HSET", fmt.Sprint("hash", n)}, []string{"ZADD", fmt.Sprint("zset", n)}
		ints := []string{"SADD", fmt.Sprint("ints", n)}
		for i := range n {
			list = append(list, strconv.Itoa(i%7))
			set = append(set, fmt.Sprint("m", i))
			ints = append(ints, strconv.Itoa(i))
			hash = append(hash, fmt.Sprint("f", i), strconv.Itoa(i))
			zset = append(zset, fmt.Sprint(float64(i)/3), fmt.Sprint("m", i))
		}
		requests = append(requests, list, set, ints, hash, zset)
		add("PEXPIREAT", list[1], "9999999999999")
	}
	add("RPUSH", "long elements", strings.Repeat("x", 9000), "y")
	add("ZADD", "limits", "inf", "a", "-inf", "b", "1.7976931348623157e308", "c", "5e-324", "d", "0.1", "e")
	for i := range 130 {
		add("XADD", "stream", fmt.Sprintf("%d-%d", 1+i/3, 1+i%3), "field", strconv.Itoa(i), "other", "x")
	}
	add("XDEL", "stream", "1-1", "44-1")
	add("XGROUP", "CREATE", "stream", "g", "2-0", "ENTRIESREAD", "3")
	add("XGROUP", "CREATE", "stream", "h", "$")
	add("XGROUP", "CREATECONSUMER", "stream", "g", "idle")
	add("XCLAIM", "stream", "g", "c", "0", "1-2", "1-3", "2-1", "FORCE", "TIME", "1000", "RETRYCOUNT", "5")
	add("XCLAIM", "stream", "g", "d", "0", "2-2", "FORCE", "TIME", "2000", "RETRYCOUNT", "1")
	add("XGROUP", "CREATE", "empty stream", "g", "0", "MKSTREAM")
	add("XADD", "emptied", "5-5", "f", "v")
	add("XDEL", "emptied", "5-5")
	add("SELECT", "7")
	add("SET", "string", "in 7")
	add("XADD", "stream", "1-1", "f", "v")
	add("SELECT", "0")
	return requests
}

// groupsOf tells what pictureOf does not of streams.
func groupsOf(e *Engine) string {
	var b strings.Builder
	for i := range e.ks.Databases() {
		for key, entry := range e.ks.DB(i).All() {
			stream, ok := keyspace.ToRDB(entry.Object).(*rdb.Stream)
			if !ok {
				continue
			}
			for _, g := range stream.Groups {
				fmt.Fprintf(&b, "%d %s %s %v %d\n", i, key, g.Name, g.LastID, g.EntriesRead)
				for _, c := range g.Consumers {
					fmt.Fprintf(&b, "%d %s %s %s %v\n", i, key, g.Name, c.Name, c.Pending)
				}
			}
		}
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// whole is everything that a store holds.
func whole(t *testing.T, e *Engine) (picture, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return pictureOf(t, e), groupsOf(e)
}

func TestRESPBase_GivesEveryValueBack(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{RESPBase: true})
	c := connect(t, e)
	for _, words := range everything() {
		c.must(words...)
	}
	want, wantGroups := whole(t, e)
	rewriteNow(t, c)
	c.must("CONFIG", "SET", "aof-use-rdb-preamble", "yes") // for the next
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if files := logFiles(t, mem); !slices.Contains(files, "appendonly.aof.2.base.aof") {
		t.Fatalf("no base of commands: %q", files)
	}
	for range 2 {
		e = start(t, mem, Options{})
		c = connect(t, e)
		got, gotGroups := whole(t, e)
		wantSame(t, "read back", got, want)
		if gotGroups != wantGroups {
			t.Errorf("groups read back:\n%s\nwant\n%s", gotGroups, wantGroups)
		}
		rewriteNow(t, c) // from commands to an RDB
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRESPBase_NoCommandHasMoreThan64Items(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{RESPBase: true})
	c := connect(t, e)
	for _, words := range everything() {
		c.must(words...)
	}
	rewriteNow(t, c)
	text, err := vfs.ReadFile(mem, inDir+"/appendonly.aof.2.base.aof")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if n, ok := bytes.CutPrefix(line, []byte("*")); ok && atoi(strings.TrimSpace(string(n))) > 2+2*64 {
			t.Errorf("a command of %s arguments", n)
		}
	}
}

// An empty base is no reason to load a dump that lies beside it.
func TestRESPBase_OfNothing_IsNotTakenForNoLog(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{RESPBase: true})
	c := connect(t, e)
	c.must("SET", "a", "1")
	c.must("SAVE")
	c.must("FLUSHALL")
	rewriteNow(t, c)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n := connect(t, start(t, mem, Options{})).must("DBSIZE"); n != "0" {
		t.Errorf("%s keys are back from the dump", n)
	}
}

func TestRESPBase_WritersGoOnDuringTheWalk_TheLogGivesTheirStateBack(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{RESPBase: true})
	c := connect(t, e)
	for _, words := range everything() {
		c.must(words...)
	}
	for i := range 5000 {
		c.exec("RPUSH", key(i), "1")
	}
	for range 3 {
		c.must("BGREWRITEAOF")
		for i := 0; c.infoField("aof_rewrite_in_progress") == "1"; i++ {
			c.exec("RPUSH", key(i%5000), "2")
			c.exec("DEL", key((i*7)%5000))
			c.exec("XADD", "stream", "*", "f", "v")
		}
	}
	want, wantGroups := whole(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = start(t, mem, Options{})
	got, gotGroups := whole(t, e)
	wantSame(t, "after a restart", got, want)
	if gotGroups != wantGroups {
		t.Errorf("groups: %s\nwant %s", gotGroups, wantGroups)
	}
}

// sample fills a real server with everything and reads by group.
func sample(t *testing.T, real *testredis.Server) {
	t.Helper()
	conn := real.Client().Conn() // one for all, because of SELECT
	defer func() { _ = conn.Close() }()
	for _, words := range everything() {
		args := make([]any, len(words))
		for i, w := range words {
			args[i] = w
		}
		if err := conn.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", words, err)
		}
	}
	real.Do("XREADGROUP", "GROUP", "h", "reader", "COUNT", "2", "STREAMS", "stream", ">")
	real.Do("XADD", "stream", "100-1", "f", "v")
	real.Do("XREADGROUP", "GROUP", "h", "reader", "COUNT", "2", "STREAMS", "stream", ">")
}

// fingerprint is what a real server says about everything in it.
func fingerprint(real *testredis.Server) (f []string) {
	f = append(f, fmt.Sprint(real.Do("DEBUG", "DIGEST"), real.Do("DBSIZE")))
	for _, s := range []string{"stream", "empty stream", "emptied"} {
		info := real.Do("XINFO", "STREAM", s, "FULL", "COUNT", 1000).(map[any]any)
		for field, value := range info {
			if field != "entries" { // they are in the digest
				f = append(f, fmt.Sprint(s, " ", field, " ", value))
			}
		}
	}
	slices.Sort(f)
	return f
}

func awaitRewrite(t *testing.T, real *testredis.Server) {
	t.Helper()
	eventually(t, "redis-server has rewritten its log", func() bool {
		return strings.Contains(fmt.Sprint(real.Do("INFO", "persistence")), "aof_rewrite_in_progress:0")
	})
}

// TestRESPBase_ToAndFroBetweenARealServerAndUs hands a directory to and fro; each
// rewrites it as commands. Nothing may change on the way but the times at which
// consumers were seen, which commands do not carry.
func TestRESPBase_ToAndFroBetweenARealServerAndUs(t *testing.T) {
	dir := t.TempDir()
	real := testredis.Start(t, testredis.Options{Dir: dir, Args: []string{"--appendonly", "yes", "--aof-use-rdb-preamble", "no"}})
	sample(t, real)
	real.Restart() // its log does not say all: a group's entries-read
	want := withoutSeenTimes(fingerprint(real))
	for _, rewritten := range []bool{false, true, true} { // first from its incr alone
		if rewritten {
			real.Do("BGREWRITEAOF")
			awaitRewrite(t, real)
		}
		real.Stop()
		e, err := Open(dir, Options{RESPBase: true})
		if err != nil {
			t.Fatal(err)
		}
		c := connect(t, e)
		if rewritten {
			rewriteNow(t, c)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		real.Restart()
		if diff := cmp.Diff(want, withoutSeenTimes(fingerprint(real))); diff != "" {
			t.Fatalf("rewritten %v: after us redis-server has something else:\n%s", rewritten, diff)
		}
	}
	bases, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.base.aof"))
	if err != nil || len(bases) != 1 {
		t.Errorf("bases of commands: %q, %v", bases, err)
	}
}

var seenTime = regexp.MustCompile(`seen-time:\d+`)

func withoutSeenTimes(f []string) (rest []string) {
	for _, line := range f {
		rest = append(rest, seenTime.ReplaceAllString(line, ""))
	}
	return rest
}

// Functions of a real server are kept though no command here can load them.
func TestRESPBase_WithFunctions_StaysAnRDB(t *testing.T) {
	dir := t.TempDir()
	real := testredis.Start(t, testredis.Options{Dir: dir, Args: []string{"--appendonly", "yes"}})
	real.Do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 7 end)")
	real.Do("BGREWRITEAOF")
	awaitRewrite(t, real)
	real.Stop()
	e, err := Open(dir, Options{RESPBase: true})
	if err != nil {
		t.Fatal(err)
	}
	rewriteNow(t, connect(t, e))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	real.Restart()
	if n := real.Do("FCALL", "f", 0); n != int64(7) {
		t.Errorf("the function answers %v", n)
	}
}

// TestOpen_FilesOfARealServer_AllTypes opens a dump.rdb alone, a single-file log
// of an older Redis, and both ways of keeping a log, and compares with what the
// server said.
func TestOpen_FilesOfARealServer_AllTypes(t *testing.T) {
	real := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	sample(t, real)
	want := fingerprint(real)
	real.Do("SAVE")
	real.Do("BGREWRITEAOF")
	awaitRewrite(t, real)
	base, err := filepath.Glob(filepath.Join(real.Dir(), "appendonlydir", "*.base.rdb"))
	if err != nil || len(base) != 1 {
		t.Fatalf("%q, %v", base, err)
	}
	for _, from := range []struct {
		name string
		o    Options
		as   string // name of the file in the new directory
		of   string
	}{
		{"dump.rdb and no log", Options{}, "dump.rdb", filepath.Join(real.Dir(), "dump.rdb")},
		{"dump.rdb with appendonly no", Options{NoAppendOnly: true}, "dump.rdb", filepath.Join(real.Dir(), "dump.rdb")},
		{"a single-file log", Options{}, "appendonly.aof", base[0]},
	} {
		dir := t.TempDir()
		text, err := os.ReadFile(from.of)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, from.as), text, 0o644); err != nil {
			t.Fatal(err)
		}
		e, err := Open(dir, from.o)
		if err != nil {
			t.Fatalf("%s: %v", from.name, err)
		}
		c := connect(t, e)
		if from.o.NoAppendOnly {
			if n := c.infoField("rdb_last_load_keys_loaded"); n != fmt.Sprint(real.Do("DBSIZE").(int64)+2) { // two in database 7
				t.Errorf("%s: rdb_last_load_keys_loaded:%s", from.name, n)
			}
			c.must("SAVE")
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		args := []string{"--appendonly", "yes"}
		if from.o.NoAppendOnly {
			args = nil
		}
		again := testredis.Start(t, testredis.Options{Dir: dir, Args: args})
		if diff := cmp.Diff(want, fingerprint(again)); diff != "" {
			t.Errorf("%s: after us redis-server has something else:\n%s", from.name, diff)
		}
		again.Stop()
	}
}
