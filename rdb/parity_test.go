package rdb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"limpet/internal/testredis"
)

// serverEntries asks a real server for everything it holds.
func serverEntries(t *testing.T, s *testredis.Server, dbs int) []Entry {
	t.Helper()
	var es []Entry
	for db := range dbs {
		c := redis.NewClient(&redis.Options{Addr: s.Addr(), DB: db, DisableIdentity: true})
		keys, err := c.Keys(context.Background(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			ask := func(args ...any) any {
				v, err := c.Do(context.Background(), args...).Result()
				if err != nil {
					t.Fatalf("%v: %v", args, err)
				}
				return v
			}
			e := Entry{DB: db, Key: []byte(key), Value: serverValue(key, ask)}
			if at := ask("PEXPIRETIME", key).(int64); at > 0 {
				e.ExpireAtMs = at
			}
			es = append(es, e)
		}
		_ = c.Close()
	}
	return es
}

func serverValue(key string, ask func(...any) any) Value {
	switch typ := ask("TYPE", key); typ {
	case "string":
		return String(ask("GET", key).(string))
	case "list":
		return List(replyStrings(ask("LRANGE", key, 0, -1)))
	case "set":
		return Set(replyStrings(ask("SMEMBERS", key)))
	case "hash":
		h := Hash{}
		for name, value := range ask("HGETALL", key).(map[any]any) {
			h = append(h, Field{Name: []byte(name.(string)), Value: []byte(value.(string))})
		}
		return h
	case "zset":
		z := ZSet{}
		for _, pair := range ask("ZRANGE", key, 0, -1, "WITHSCORES").([]any) {
			p := pair.([]any)
			z = append(z, Member{[]byte(p[0].(string)), p[1].(float64)})
		}
		return z
	case "stream":
		return serverStream(ask("XINFO", "STREAM", key, "FULL", "COUNT", 0).(map[any]any))
	default:
		panic(fmt.Sprint("type ", typ))
	}
}

func replyStrings(v any) [][]byte {
	b := [][]byte{}
	for _, s := range v.([]any) {
		b = append(b, []byte(s.(string)))
	}
	return b
}

func parseID(v any) StreamID {
	ms, seq, _ := strings.Cut(v.(string), "-")
	return StreamID{must(strconv.ParseUint(ms, 10, 64)), must(strconv.ParseUint(seq, 10, 64))}
}

func serverStream(info map[any]any) *Stream {
	s := &Stream{
		LastID:       parseID(info["last-generated-id"]),
		FirstID:      parseID(info["recorded-first-entry-id"]),
		MaxDeletedID: parseID(info["max-deleted-entry-id"]),
		Added:        uint64(info["entries-added"].(int64)),
	}
	for _, e := range info["entries"].([]any) {
		e := e.([]any)
		s.Entries = append(s.Entries, StreamEntry{parseID(e[0]), replyStrings(e[1])})
	}
	for _, g := range info["groups"].([]any) {
		g := g.(map[any]any)
		group := Group{Name: []byte(g["name"].(string)), LastID: parseID(g["last-delivered-id"]), EntriesRead: -1}
		if n, ok := g["entries-read"].(int64); ok {
			group.EntriesRead = n
		}
		for _, c := range g["consumers"].([]any) {
			c := c.(map[any]any)
			consumer := Consumer{Name: []byte(c["name"].(string)), SeenMs: c["seen-time"].(int64)}
			consumer.ActiveMs = consumer.SeenMs
			for _, p := range c["pending"].([]any) {
				p := p.([]any)
				consumer.Pending = append(consumer.Pending, Pending{parseID(p[0]), p[1].(int64), uint64(p[2].(int64))})
			}
			group.Consumers = append(group.Consumers, consumer)
		}
		s.Groups = append(s.Groups, group)
	}
	return s
}

func checkRDB(t *testing.T, path string) {
	t.Helper()
	out, err := exec.Command("redis-check-rdb", path).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("RDB looks OK")) {
		t.Errorf("redis-check-rdb: %v\n%s", err, out)
	}
}

func TestParity_OurFile_IsReadByRedis(t *testing.T) {
	for _, o := range []EncoderOptions{{}, {NoCompression: true, NoChecksum: true}} {
		dir := t.TempDir()
		want := sampleEntries()
		path := filepath.Join(dir, "dump.rdb")
		if err := os.WriteFile(path, encode(t, want, o), 0o644); err != nil {
			t.Fatal(err)
		}
		checkRDB(t, path)
		s := testredis.Start(t, testredis.Options{Dir: dir, Args: []string{"--sanitize-dump-payload", "yes"}})
		if d := diff(serverEntries(t, s, 3), want); d != "" {
			t.Error(d)
		}
		s.Stop()
	}
}

func TestParity_FileOfRedis_IsReadByUs(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"--rdbcompression", "no", "--list-compress-depth", "1"},
		{"--hash-max-listpack-entries", "0", "--zset-max-listpack-entries", "0", "--set-max-intset-entries", "0",
			"--list-max-listpack-size", "1", "--rdbchecksum", "no", "--maxmemory-policy", "allkeys-lfu", "--maxmemory", "1gb"},
		{"--maxmemory-policy", "allkeys-lru", "--maxmemory", "1gb", "--hash-max-listpack-entries", "100000"},
	} {
		s := testredis.Start(t, testredis.Options{Args: args})
		fillServer(t, s, 1, 1500)
		s.Do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
		s.Do("SAVE")
		want := serverEntries(t, s, 3)
		if len(want) < 100 {
			t.Fatalf("the server has %d keys", len(want))
		}
		f, err := os.Open(filepath.Join(s.Dir(), "dump.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		d := NewDecoder(f, DecoderOptions{})
		var got []Entry
		for {
			e, err := d.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			e.IdleSeconds, e.Freq = 0, 0
			got = append(got, e)
		}
		_ = f.Close()
		if diff := diff(got, want); diff != "" {
			t.Errorf("%v: %s", args, diff)
		}
		if len(d.Functions()) != 1 || d.Version() != 10 || d.Aux()["redis-bits"] != "64" {
			t.Errorf("functions %q, version %d, aux %v", d.Functions(), d.Version(), d.Aux())
		}
		s.Stop()
	}
}

// fillServer writes random values with real commands, deletions among them.
func fillServer(t *testing.T, s *testredis.Server, seed uint64, commands int) {
	t.Helper()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	text := func() string {
		switch r.IntN(6) {
		case 0:
			return strconv.Itoa(r.IntN(300) - 100)
		case 1:
			return strconv.FormatInt(r.Int64()>>r.IntN(60), 10)
		case 2:
			return strings.Repeat("abc", r.IntN(200))
		case 3:
			return strings.Repeat(strconv.Itoa(r.IntN(1000)), r.IntN(3000))
		default:
			return "w" + strconv.Itoa(r.IntN(500))
		}
	}
	ctx := context.Background()
	for db := range 3 {
		c := redis.NewClient(&redis.Options{Addr: s.Addr(), DB: db, DisableIdentity: true})
		pipe := c.Pipeline()
		for range commands / 3 {
			key := func(kind string) string { return kind + strconv.Itoa(r.IntN(6)) }
			switch r.IntN(14) {
			case 0:
				pipe.Set(ctx, text(), text(), 0)
			case 1:
				pipe.Do(ctx, "SET", text(), text(), "PXAT", 4102444800000+r.IntN(1000))
			case 2, 3:
				pipe.RPush(ctx, key("list"), text(), text(), text())
			case 4:
				pipe.LPop(ctx, key("list"))
			case 5:
				pipe.SAdd(ctx, key("ints"), r.IntN(1<<r.IntN(40)))
			case 6:
				pipe.SAdd(ctx, key("set"), text())
			case 7, 8:
				pipe.HSet(ctx, key("hash"), text(), text())
			case 9:
				pipe.HSet(ctx, key("small hash"), "f"+strconv.Itoa(r.IntN(9)), r.IntN(50))
			case 10:
				pipe.ZAdd(ctx, key("zset"), redis.Z{Score: []float64{float64(r.IntN(9)), r.NormFloat64(), r.ExpFloat64() * 1e30}[r.IntN(3)], Member: text()})
			case 11:
				pipe.XAdd(ctx, &redis.XAddArgs{Stream: key("stream"), Values: []string{"a", text(), "b", text()}})
				pipe.XAdd(ctx, &redis.XAddArgs{Stream: key("stream"), Values: []string{text(), text()}})
			case 12:
				stream := key("stream")
				pipe.XGroupCreateMkStream(ctx, stream, "g", "0")
				pipe.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: key("c"), Streams: []string{stream, ">"}, Count: 2, Block: -1})
			case 13:
				// Some entries are gone from the middle, some from the front.
				pipe.Eval(ctx, "local e = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 3) "+
					"if #e == 3 then redis.call('XDEL', KEYS[1], e[3][1]) end", []string{key("stream")})
			}
		}
		if _, err := pipe.Exec(ctx); err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") && err != redis.Nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
}

func TestParity_DumpPayloads_PassBothWays(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: []string{"--sanitize-dump-payload", "yes"}})
	for _, e := range sampleEntries() {
		payload := must(EncodeValue(e.Value))
		key := "k:" + string(e.Key)
		s.Do("RESTORE", key, 0, payload)
		v, err := DecodeValue([]byte(s.Do("DUMP", key).(string)), DecoderOptions{})
		if err != nil {
			t.Fatalf("%s: %v", e.Key, err)
		}
		if d := diff([]Entry{{Value: v}}, []Entry{{Value: e.Value}}); d != "" {
			t.Errorf("%s: %s", e.Key, d)
		}
	}
}

// For small values the payload is Redis's to the byte: the same choice of type,
// of encodings inside and of the order of a sorted set.
func TestParity_SmallValues_DumpIsTheSameByteForByte(t *testing.T) {
	s := testredis.Start(t, testredis.Options{})
	for _, c := range []struct {
		v    Value
		args []any
	}{
		{String("12"), []any{"SET", "k", 12}},
		{String("1234567890123"), []any{"SET", "k", 1234567890123}},
		{String("some short text"), []any{"SET", "k", "some short text"}},
		{List(strs("a", "1", "-70000", strings.Repeat("x", 20))), []any{"RPUSH", "k", "a", 1, -70000, strings.Repeat("x", 20)}},
		{Set(strs("5", "-1", "70000")), []any{"SADD", "k", 5, -1, 70000}},
		{Hash{{Name: []byte("f"), Value: []byte("v")}, {Name: []byte("n"), Value: []byte("5")}}, []any{"HSET", "k", "f", "v", "n", 5}},
		{ZSet{{[]byte("b"), 2}, {[]byte("a"), 2}, {[]byte("c"), -1.5}, {[]byte("d"), 1e20}},
			[]any{"ZADD", "k", 2, "b", 2, "a", -1.5, "c", 1e20, "d"}},
		{&Stream{Entries: []StreamEntry{{StreamID{5, 1}, strs("a", "1")}}, LastID: StreamID{5, 1}, FirstID: StreamID{5, 1}, Added: 1},
			[]any{"XADD", "k", "5-1", "a", 1}},
	} {
		s.Do("DEL", "k")
		s.Do(c.args...)
		want := []byte(s.Do("DUMP", "k").(string))
		if got := must(EncodeValue(c.v)); !reflect.DeepEqual(got, want) {
			t.Errorf("%v:\n got % x\nwant % x", c.args, got, want)
		}
	}
}
