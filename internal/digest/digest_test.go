package digest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"limpet/internal/testredis"
)

func sum(t *testing.T, s *testredis.Server) Sum {
	t.Helper()
	s.Do("SAVE")
	f, err := os.Open(filepath.Join(s.Dir(), "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	got, facts, err := Of(f)
	if err != nil {
		t.Fatal(err)
	}
	if facts.Version != 10 || !strings.HasPrefix(facts.Aux["redis-ver"], "7.0") {
		t.Errorf("%+v", facts)
	}
	return got
}

// fill writes keys of all types; encoding decides how collections lie in the file.
func fill(s *testredis.Server) {
	for _, line := range []string{
		"SET s v", "SET n 12345", "SET e v PXAT 4102444800001", "RPUSH l a b c", "SADD i 1 2 3", "SADD S a b c",
		"HSET h f 1 g 2", "ZADD z 1.5 a -inf b 3 c", "XADD x 1-1 f v g w", "XADD x 2-1 f v", "XDEL x 1-1",
		"XGROUP CREATE x g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS x >",
	} {
		args := []any{}
		for _, word := range strings.Fields(line) {
			args = append(args, word)
		}
		s.Do(args...)
	}
}

func TestOf_OtherEncodingsAndOrder_SameSum(t *testing.T) {
	a := testredis.Start(t, testredis.Options{})
	b := testredis.Start(t, testredis.Options{Args: []string{
		"--rdbcompression", "no", "--hash-max-listpack-entries", "0", "--zset-max-listpack-entries", "0",
		"--set-max-intset-entries", "0", "--list-max-listpack-size", "1", "--stream-node-max-entries", "1",
	}})
	fill(a)
	// The pending entry's time of delivery is part of the data, so the other server
	// is given the keys and does not make them.
	for _, key := range a.Client().Keys(context.Background(), "*").Val() {
		dump, err := a.Client().Dump(context.Background(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		b.Do("RESTORE", key, 0, dump)
	}
	b.Do("PEXPIREAT", "e", 4102444800001)
	want, got := sum(t, a), sum(t, b)
	if diff := want.Difference(got); diff != "" || !want.Equal(got) || want.Keys() != 9 {
		t.Errorf("%s\n%+v\n%+v", diff, want, got)
	}
}

func TestOf_AnyChange_AnotherSum(t *testing.T) {
	s := testredis.Start(t, testredis.Options{})
	fill(s)
	before := sum(t, s)
	for _, row := range []struct{ change, says string }{
		{"SET s w", "database 0: as many keys, with other values"},
		{"PEXPIREAT e 4102444800002", "other values"},
		{"PERSIST e", "want 1 keys with a deadline, have 0"},
		{"DEL n", "want 9 keys, have 8"},
		{"LINSERT l BEFORE b x", "other values"},
		{"SMOVE S i a", "other values"},
		{"HSET h f 2", "other values"},
		{"ZADD z 1.5000001 a", "other values"},
		{"XACK x g 2-1", "other values"},
		{"XADD x 3-1 f v", "other values"},
		{"MOVE s 5", "database 5: want no keys, have 1"},
		{"FUNCTION LOAD", "function libraries"},
	} {
		args := []any{}
		for _, word := range strings.Fields(row.change) {
			args = append(args, word)
		}
		if row.change == "FUNCTION LOAD" {
			args = append(args, "#!lua name=f\nredis.register_function('f', function() return 1 end)")
		}
		s.Do(args...)
		after := sum(t, s)
		if diff := before.Difference(after); !strings.Contains(diff, row.says) || before.Equal(after) {
			t.Errorf("%s: %q: want %q", row.change, diff, row.says)
		}
		before = after
	}
}
