package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"limpet/internal/crc"
	"limpet/internal/listpack"
	"limpet/internal/lzf"
	"limpet/rdb"
	"limpet/resp"
	"limpet/vfs"
)

// Payloads that nobody's DUMP has made, behind a checksum that fits. Those that
// are taken have to be as good as any value: reads agree with each other, changes
// work, and what DUMP makes of them is the same value somewhere else.

// seal makes a payload of a value: its type and its body.
func seal(value []byte, version uint16) string {
	b := binary.LittleEndian.AppendUint16(slices.Clone(value), version)
	return string(binary.LittleEndian.AppendUint64(b, crc.Update(0, b)))
}

// restorer tries payloads on one engine.
type restorer struct {
	t *testing.T
	*client
}

// try restores a payload and, if it is taken, uses the key.
func (r restorer) try(payload string) (taken bool) {
	r.must("FLUSHALL")
	if _, err := r.do("RESTORE", "k", "0", payload); err != nil {
		if text := err.Error(); !strings.HasPrefix(text, "ERR Bad data format") && text != "ERR DUMP payload version or checksum are wrong" {
			r.t.Fatalf("an error of its own: %v", err)
		}
		if n := r.must("DBSIZE"); n != "0" {
			r.t.Fatalf("refused, and %s keys are there", n)
		}
		return false
	}
	before := r.contents("k")
	r.passOn(before)
	r.use("k")
	if after := r.contents("k"); after != before {
		r.t.Fatalf("reading has changed it:\n%s\n%s", before, after)
	}
	r.change("k")
	if r.must("EXISTS", "k") == "1" {
		r.passOn(r.contents("k"))
	}
	return true
}

// passOn has another key made of what DUMP says, which is to be the same.
func (r restorer) passOn(want string) {
	r.t.Helper()
	r.must("RESTORE", "copy", "0", r.must("DUMP", "k"), "REPLACE")
	if got := r.contents("copy"); got != want {
		r.t.Fatalf("a copy made of the payload differs:\nhave %s\nwant %s", got, want)
	}
}

func (r restorer) list(words ...string) []string {
	r.t.Helper()
	v, _ := r.exec(words...)
	if err := v.Err(); err != nil {
		r.t.Fatalf("%.200q: %v", words, err)
	}
	return textsOf(v)
}

// textsOf is an array of whatever depth, flat.
func textsOf(v resp.Value) (flat []string) {
	for _, e := range v.Elems {
		if e.Elems != nil || e.Kind == resp.ArrayReply {
			flat = append(flat, textsOf(e)...)
		} else {
			flat = append(flat, e.Text())
		}
	}
	return flat
}

// contents is a value in a form in which equal ones are equal.
func (r restorer) contents(key string) string {
	r.t.Helper()
	kind := r.must("TYPE", key)
	var items []string
	switch kind {
	case "string":
		items = []string{r.must("GET", key)}
	case "list":
		items = r.list("LRANGE", key, "0", "-1")
	case "set":
		items = slices.Sorted(slices.Values(r.list("SMEMBERS", key)))
	case "hash":
		items = pairsSorted(r.list("HGETALL", key))
	case "zset":
		items = r.list("ZRANGE", key, "0", "-1", "WITHSCORES")
	case "stream": // with its groups
		items = []string{r.must("DUMP", key)}
	}
	return fmt.Sprintf("%s %q", kind, items)
}

func pairsSorted(flat []string) (pairs []string) {
	for i := 0; i+1 < len(flat); i += 2 {
		pairs = append(pairs, fmt.Sprintf("%q=%q", flat[i], flat[i+1]))
	}
	slices.Sort(pairs)
	return pairs
}

// some are a few of the items: looking at all of a large value takes its time.
func some[E any](items []E) []E {
	const enough = 40
	if len(items) > enough {
		items = slices.Concat(items[:enough/2], items[len(items)-enough/2:])
	}
	return items
}

// use reads the value in every way and finds the readings in agreement.
func (r restorer) use(key string) {
	r.t.Helper()
	agree := func(what string, got, want any) {
		r.t.Helper()
		if g, w := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want); g != w {
			r.t.Fatalf("%s: have %.300s, want %.300s", what, g, w)
		}
	}
	count := func(n int) string { return strconv.Itoa(n) }
	switch r.must("TYPE", key) {
	case "string":
		s := r.must("GET", key)
		agree("STRLEN", r.must("STRLEN", key), count(len(s)))
		agree("GETRANGE", r.must("GETRANGE", key, "0", "-1"), s)
	case "list":
		all := r.list("LRANGE", key, "0", "-1")
		agree("LLEN", r.must("LLEN", key), count(len(all)))
		agree("LRANGE", r.list("LRANGE", key, "-3", "-1"), all[max(0, len(all)-3):])
		for i := range some(all) {
			agree("LINDEX", r.must("LINDEX", key, count(i)), all[i])
			agree("LINDEX", r.must("LINDEX", key, count(-1-i)), all[len(all)-1-i])
		}
		agree("LPOS", r.must("LPOS", key, all[0]), "0")
		agree("LPOS", r.must("LPOS", key, all[len(all)-1], "RANK", "-1"), count(len(all)-1))
	case "set":
		all := r.list("SMEMBERS", key)
		agree("SCARD", r.must("SCARD", key), count(len(all)))
		for _, m := range some(all) {
			agree("SISMEMBER", r.must("SISMEMBER", key, m), "1")
		}
		agree("SINTERCARD", r.must("SINTERCARD", "2", key, key), count(len(all)))
		agree("SDIFF", r.list("SDIFF", key, key), []string(nil))
		r.list("SRANDMEMBER", key, "3")
		r.list("SSCAN", key, "0")
	case "hash":
		all := r.list("HGETALL", key)
		agree("HLEN", r.must("HLEN", key), count(len(all)/2))
		for i := range some(all) {
			if i%2 == 0 {
				agree("HGET", r.must("HGET", key, all[i]), all[i+1])
				agree("HSTRLEN", r.must("HSTRLEN", key, all[i]), count(len(all[i+1])))
			}
		}
		agree("HKEYS", len(r.list("HKEYS", key)), len(all)/2)
		agree("HVALS", len(r.list("HVALS", key)), len(all)/2)
		r.list("HRANDFIELD", key, "3", "WITHVALUES")
		r.list("HSCAN", key, "0")
	case "zset":
		all := r.list("ZRANGE", key, "0", "-1", "WITHSCORES")
		n := len(all) / 2
		agree("ZCARD", r.must("ZCARD", key), count(n))
		agree("ZCOUNT", r.must("ZCOUNT", key, "-inf", "inf"), count(n))
		agree("ZRANGEBYSCORE", r.list("ZRANGEBYSCORE", key, "-inf", "inf", "WITHSCORES"), all)
		for i := range some(all) {
			if i%2 == 0 {
				agree("ZSCORE", r.must("ZSCORE", key, all[i]), all[i+1])
				agree("ZRANK", r.must("ZRANK", key, all[i]), count(i/2))
				agree("ZREVRANK", r.must("ZREVRANK", key, all[i]), count(n-1-i/2))
			}
		}
		agree("ZREVRANGE", len(r.list("ZREVRANGE", key, "0", "-1")), n)
		r.list("ZRANGEBYLEX", key, "[a", "+")
		r.list("ZRANDMEMBER", key, "-3", "WITHSCORES")
		r.list("ZSCAN", key, "0")
		r.list("ZUNION", "2", key, key)
	case "stream":
		v, _ := r.exec("XRANGE", key, "-", "+")
		back, _ := r.exec("XREVRANGE", key, "+", "-")
		slices.Reverse(back.Elems)
		agree("XREVRANGE", textsOf(back), textsOf(v))
		agree("XLEN", r.must("XLEN", key), count(len(v.Elems)))
		for _, e := range some(v.Elems) {
			id := e.Elems[0].Text()
			agree("XRANGE", r.list("XRANGE", key, id, id), textsOf(e))
		}
		r.exec("XREAD", "COUNT", "3", "STREAMS", key, "0")
	}
}

// change changes the value in many ways; what the replies are does not matter.
func (r restorer) change(key string) {
	kind := r.must("TYPE", key)
	all := map[string][]string{
		"string": {"APPEND k x", "SETRANGE k 3 yy", "INCR k", "APPEND k z"},
		"list": {"LPUSH k a b", "RPUSH k c 7", "LINSERT k AFTER b x", "LSET k 1 y", "LSET k -2 70000", "LREM k 1 a", "LTRIM k 1 -2",
			"LPOP k 2", "RPOP k", "LMOVE k k LEFT RIGHT", "RPUSH k last"},
		"set":    {"SADD k 1 a -70000", "SREM k 1", "SPOP k", "SADD k 99", "SINTERSTORE other k k", "SUNIONSTORE other k k", "SREM k 99"},
		"hash":   {"HSET k a 1 b x 12 13", "HDEL k a", "HINCRBY k 12 5", "HSETNX k b y", "HSET k b z", "HDEL k b"},
		"zset":   {"ZADD k 1 a -inf b 2.5 c", "ZINCRBY k 1 a", "ZREM k b", "ZPOPMIN k", "ZADD k 0 top", "ZPOPMAX k", "ZREMRANGEBYRANK k 1 2", "ZUNIONSTORE other 2 k k"},
		"stream": {"XADD k * a 1", "XADD k * a 1 b 2", "XTRIM k MAXLEN ~ 100", "XGROUP CREATE k new 0", "XACK k g 1-1 10-1", "XTRIM k MAXLEN 5", "XADD k * b 2", "XTRIM k MINID ~ 5", "XGROUP DELCONSUMER k g c", "XGROUP DESTROY k g"},
	}
	if kind == "stream" {
		v, _ := r.exec("XRANGE", key, "-", "+")
		for i, e := range some(v.Elems) {
			if i%2 == 0 {
				r.exec("XDEL", key, e.Elems[0].Text())
				r.exec("XCLAIM", key, "g", "c", "0", e.Elems[0].Text(), "FORCE")
			}
		}
	}
	for _, line := range all[kind] {
		r.exec(strings.Fields(line)...)
	}
}

// restoreSeeds are values in all the encodings, as type and body.
func restoreSeeds() (seeds [][]byte) {
	texts := func(words ...string) (b [][]byte) {
		for _, w := range words {
			b = append(b, []byte(w))
		}
		return b
	}
	pack := func(words ...string) listpack.List {
		l := listpack.New()
		for _, w := range words {
			l = l.Append([]byte(w))
		}
		return l
	}
	id := func(ms, seq uint64) rdb.StreamID { return rdb.StreamID{Ms: ms, Seq: seq} }
	long := strings.Repeat("abcdefgh", 20)
	for _, v := range []rdb.Value{
		rdb.String("12"), rdb.String("70000"), rdb.String("text"), rdb.String(long),
		rdb.Nodes{{Data: pack("a", "1", "-70000", long)}, {Plain: true, Data: []byte("plain")}, {Data: pack("b")}},
		rdb.Packed{Type: rdb.TypeSetIntset, Data: rdb.NewIntset([]int64{1, 2, 70000})},
		rdb.Set(texts("a", "b", "1")), rdb.Set(texts("1", long)),
		rdb.Packed{Type: rdb.TypeHashListpack, Data: pack("a", "1", "b", "x", "12", "")},
		rdb.Hash{{Name: []byte("f"), Value: []byte(long)}, {Name: []byte("1"), Value: []byte("2")}},
		rdb.Packed{Type: rdb.TypeZSetListpack, Data: pack("b", "-1.5", "a", "2", "c", "2", "d", "inf")},
		rdb.ZSet{{Name: []byte(long), Score: 1}, {Name: []byte("m"), Score: -2.5}},
		&rdb.Stream{
			Entries: []rdb.StreamEntry{{ID: id(10, 1), Fields: texts("f", "one")}, {ID: id(10, 2), Fields: texts("f", "2", "g", long)}, {ID: id(13, 0), Fields: texts("f", "x")}},
			LastID:  id(13, 0), FirstID: id(10, 1), Added: 5, MaxDeletedID: id(11, 0),
			Groups: []rdb.Group{{Name: []byte("g"), LastID: id(10, 2), EntriesRead: 2, Consumers: []rdb.Consumer{
				{Name: []byte("c"), SeenMs: 600, Pending: []rdb.Pending{{ID: id(10, 1), DeliveredAtMs: 500, Deliveries: 2}}},
				{Name: []byte("d"), SeenMs: 700, Pending: []rdb.Pending{{ID: id(10, 2), DeliveredAtMs: 501, Deliveries: 1}}},
			}}, {Name: []byte("h"), EntriesRead: -1}},
		},
		&rdb.Stream{},
	} {
		payload, err := rdb.EncodeValue(v)
		if err != nil {
			panic(err)
		}
		seeds = append(seeds, payload[:len(payload)-10])
	}
	return seeds
}

// FuzzRestore_WhatIsTaken_CanBeReadChangedAndPassedOn takes a type and a body; its
// other seeds, in testdata, are what real servers have dumped.
func FuzzRestore_WhatIsTaken_CanBeReadChangedAndPassedOn(f *testing.F) {
	e, err := Open(home, Options{FS: vfs.NewMem(), Clock: fakeTime(), NoAppendOnly: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() })
	for i, seed := range restoreSeeds() {
		f.Add(uint8(i), seed)
	}
	f.Fuzz(func(t *testing.T, version uint8, value []byte) {
		restorer{t, connect(t, e)}.try(seal(value, 9+uint16(version%4)))
	})
}

// taking is how much memory a function takes, what it gives back included.
func taking(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// wideOpen starts an engine for payloads, which keeps no log.
func wideOpen(t *testing.T) restorer {
	e := start(t, vfs.NewMem(), Options{Clock: fakeTime(), NoAppendOnly: true})
	return restorer{t, connect(t, e)}
}

func TestRestore_SoundPayloads_AreTaken(t *testing.T) {
	r := wideOpen(t)
	for _, seed := range restoreSeeds() {
		if !r.try(seal(seed, 10)) {
			t.Errorf("refused: %q", seed)
		}
	}
}

// Damage behind a checksum that fits is refused or does no harm, and costs time
// and memory in proportion to what has arrived.
func TestRestore_MutatedPayloads_AreRefusedOrHarmless(t *testing.T) {
	seed, rounds := uint64(time.Now().UnixNano()), 8000
	if s := os.Getenv("LIMPET_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	if os.Getenv("LIMPET_TORTURE") != "" {
		rounds = 2_000_000
	}
	t.Logf("LIMPET_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	r, sound, taken := wideOpen(t), restoreSeeds(), 0
	for range rounds {
		b := slices.Clone(sound[rng.IntN(len(sound))])
		for range 1 + rng.IntN(3) {
			switch at := rng.IntN(len(b)); rng.IntN(4) {
			case 0:
				b[at] = byte(rng.Uint32())
			case 1:
				b[at] += byte(rng.IntN(5) - 2)
			case 2:
				b = append(slices.Delete(b, at, min(len(b), at+1+rng.IntN(4))), 0)
			case 3:
				b = slices.Insert(b, at, b[at:min(len(b), at+1+rng.IntN(20))]...)
			}
		}
		payload := seal(b, 10+uint16(rng.IntN(3)))
		if cost := taking(func() { _, _ = r.do("RESTORE", "k", "0", payload, "REPLACE") }); cost > 1<<20 {
			t.Fatalf("%d bytes of payload took %d of memory: %q", len(payload), cost, payload)
		}
		if r.try(payload) {
			taken++
		}
	}
	t.Logf("%d of %d were taken", taken, rounds)
	if taken < rounds/50 {
		t.Error("hardly anything is taken: the test does not test what it should")
	}
}

// Compression makes up to 88 bytes of one. What is packed in them stays packed,
// so that it does not grow again by another factor of dozens.
func TestRestore_Bombs_CostWhatTheyUnpackTo(t *testing.T) {
	const unpacked = 4 << 20
	compressed := func(b []byte) []byte {
		out := make([]byte, len(b))
		out = out[:new(lzf.Compressor).Compress(out, b)]
		packed := []byte{0xC3} // a string of LZF, and its two lengths
		packed = binary.BigEndian.AppendUint32(append(packed, 0x80), uint32(len(out)))
		packed = binary.BigEndian.AppendUint32(append(packed, 0x80), uint32(len(b)))
		return append(packed, out...)
	}
	ones := listpack.Make(unpacked)
	for len(ones) < unpacked-8 {
		ones = ones.AppendInt(1)
	}
	ziplist := make([]byte, 10, unpacked)
	for len(ziplist) < unpacked-3 {
		prev := byte(2)
		if len(ziplist) == 10 {
			prev = 0
		}
		ziplist = append(ziplist, prev, 0xF2)
	}
	last := len(ziplist) - 2
	ziplist = append(ziplist, 0xFF)
	binary.LittleEndian.PutUint32(ziplist, uint32(len(ziplist)))
	binary.LittleEndian.PutUint32(ziplist[4:], uint32(last))
	binary.LittleEndian.PutUint16(ziplist[8:], 0xFFFF)
	const fields = unpacked / 4
	leaf := listpack.Make(unpacked).AppendInt(1).AppendInt(0).AppendInt(0).AppendInt(0).
		AppendInt(0).AppendInt(0).AppendInt(0).AppendInt(fields)
	for range 2 * fields {
		leaf = leaf.AppendInt(0)
	}
	leaf = leaf.AppendInt(4 + 2*fields)
	stream := slices.Concat([]byte{19, 1, 16}, make([]byte, 15), []byte{1}, compressed(leaf), []byte{1, 0, 1, 0, 1, 0, 0, 1, 0})
	for name, c := range map[string]struct {
		value []byte
		taken bool
	}{
		"a string":              {slices.Concat([]byte{0}, compressed(make([]byte, unpacked))), true},
		"a list":                {slices.Concat([]byte{18, 1, 2}, compressed(ones)), true},
		"a list in a ziplist":   {slices.Concat([]byte{10}, compressed(ziplist)), true},
		"a list of ziplists":    {slices.Concat([]byte{14, 1}, compressed(ziplist)), true},
		"a stream":              {stream, true},
		"a hash of one field":   {slices.Concat([]byte{16}, compressed(ones)), false},
		"a hash in a ziplist":   {slices.Concat([]byte{13}, compressed(ziplist)), false},
		"a zset of one member":  {slices.Concat([]byte{17}, compressed(ones)), false},
		"a set of one member":   {slices.Concat([]byte{20}, compressed(ones)), false},
		"an intset of zeros":    {slices.Concat([]byte{11}, compressed(slices.Concat([]byte{2, 0, 0, 0, 0xFC, 0xFF, 0x1F, 0}, make([]byte, unpacked-8)))), false},
		"a zipmap of nothings":  {slices.Concat([]byte{9}, compressed(append(make([]byte, unpacked-1), 0xFF))), false},
		"less than it promises": {slices.Concat([]byte{0}, compressed(make([]byte, unpacked))[:2000]), false},
	} {
		r := wideOpen(t)
		payload := seal(c.value, 12)
		if len(payload) > unpacked/50 {
			t.Fatalf("%s: is no bomb, of %d bytes", name, len(payload))
		}
		var err error
		cost := taking(func() { _, err = r.do("RESTORE", "k", "0", payload) })
		if (err == nil) != c.taken {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %d bytes of payload took %.1f MiB", name, len(payload), float64(cost)/(1<<20))
		if cost > 5*unpacked {
			t.Errorf("%s: %d bytes of payload, which unpack to %d, took %d", name, len(payload), unpacked, cost)
		}
	}
}

// A log of commands says a stream's numbers by XSETID, which refuses what cannot
// be; with them the last id would be lost. They are mended when they come in.
func TestRestore_StreamOfImpossibleCounters_SurvivesALogOfCommands(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{RESPBase: true})
	c := connect(t, e)
	seed := []byte{19, 0, 0, 9, 7, 0, 0, 20, 5, 0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0}
	c.must("RESTORE", "x", "0", seal(seed, 10))
	want := c.must("DUMP", "x")
	c.must("BGREWRITEAOF")
	eventually(t, "the rewrite ends", func() bool { return strings.Contains(c.must("INFO", "persistence"), "aof_rewrites:1\r\n") })
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := connect(t, start(t, mem, Options{})).must("DUMP", "x"); got != want {
		t.Errorf("from the log: %q\nbefore: %q", got, want)
	}
}
