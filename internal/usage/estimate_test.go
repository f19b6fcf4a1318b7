package usage

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"limpet/internal/testredis"
)

// tolerance of the estimate for the keys of one type, against MEMORY USAGE.
const tolerance = 0.15

// fill makes keys of every type and size, packed and not, each under its type's
// name.
func fill(t *testing.T, s *testredis.Server, r *rand.Rand) {
	t.Helper()
	ctx := context.Background()
	word := func(most int) string { return strings.Repeat("x", r.IntN(most)+1) + fmt.Sprint(r.IntN(1_000_000)) }
	_, err := s.Client().Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 300 {
			p.Set(ctx, fmt.Sprint("string:int:", i), r.Int64N(1e15), 0)
			p.Set(ctx, fmt.Sprint("string:short:", i), word(20), 0)
			p.Set(ctx, fmt.Sprint("string:long:", i), word(2000), 0)
		}
		for i := range 60 {
			for range 1 + r.IntN(40) {
				p.HSet(ctx, fmt.Sprint("hash:small:", i), word(10), word(10))
				p.SAdd(ctx, fmt.Sprint("set:ints:", i), r.IntN(100_000))
				p.ZAdd(ctx, fmt.Sprint("zset:small:", i), redis.Z{Score: float64(r.IntN(1000)), Member: word(10)})
				p.RPush(ctx, fmt.Sprint("list:small:", i), word(30))
				p.XAdd(ctx, &redis.XAddArgs{Stream: fmt.Sprint("stream:small:", i), Values: []any{"field", word(30)}})
			}
		}
		for i := range 4 {
			for range 1500 {
				p.HSet(ctx, fmt.Sprint("hash:large:", i), word(40), word(40))
				p.SAdd(ctx, fmt.Sprint("set:large:", i), word(40))
				p.ZAdd(ctx, fmt.Sprint("zset:large:", i), redis.Z{Score: r.Float64(), Member: word(40)})
				p.RPush(ctx, fmt.Sprint("list:large:", i), word(100))
				p.XAdd(ctx, &redis.XAddArgs{Stream: fmt.Sprint("stream:large:", i), Values: []any{"field", word(30), "other", word(5)}})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// MEMORY USAGE of the real server, summed up for each kind of keys, is what the
// estimate comes to, within the tolerance.
func TestMemory_AgainstARealServer(t *testing.T) {
	const seed = 7
	t.Log("seed", seed)
	s := testredis.Start(t, testredis.Options{})
	before := infoNumber(t, s, "used_memory_dataset")
	fill(t, s, rand.New(rand.NewPCG(seed, seed)))
	want := map[string]int64{}
	keys := s.Do("KEYS", "*").([]any)
	for _, key := range keys {
		n := s.Do("MEMORY", "USAGE", key, "SAMPLES", 0).(int64)
		parts := strings.Split(key.(string), ":")
		want[parts[0]+":"+parts[1]] += n
	}
	used := infoNumber(t, s, "used_memory_dataset") - before
	s.Do("SAVE")
	f, err := os.Open(filepath.Join(s.Dir(), "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	m := NewMemory(Shape{Depth: 2})
	if err := m.AddRDB(f); err != nil {
		t.Fatal(err)
	}
	m.Close()
	if m.Keys != int64(len(keys)) {
		t.Errorf("%d keys, the server has %d", m.Keys, len(keys))
	}
	for _, g := range m.Groups {
		name := strings.TrimSuffix(g.Pattern, ":*")
		off := float64(g.Bytes)/float64(want[name]) - 1
		t.Logf("%-14s %8d estimated, %8d by MEMORY USAGE: %+.1f %%", name, g.Bytes, want[name], 100*off)
		if math.Abs(off) > tolerance {
			t.Errorf("%s: %d estimated, MEMORY USAGE says %d", name, g.Bytes, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("without a pattern: %v", want)
	}
	off := float64(m.Bytes)/float64(used) - 1
	t.Logf("all %d estimated, the server's data take %d: %+.1f %%", m.Bytes, used, 100*off)
	if math.Abs(off) > tolerance {
		t.Errorf("%d estimated, the server's data take %d", m.Bytes, used)
	}
}

func infoNumber(t *testing.T, s *testredis.Server, field string) (n int64) {
	t.Helper()
	for line := range strings.Lines(s.Do("INFO", "memory").(string)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			_, _ = fmt.Sscan(value, &n)
		}
	}
	return n
}
