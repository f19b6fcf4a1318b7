package parity

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"limpet"
	"limpet/internal/crc"
	"limpet/internal/testredis"
	"limpet/resp"
)

// values makes a key of each type and encoding. A line makes one key, which is
// its second word; "same" says that both servers' DUMP is the same to the byte,
// "loop n" repeats the requests with "@" for the round.
var values = []struct {
	same     bool
	loop     int
	requests []string
}{
	{same: true, requests: []string{"SET s:int 123"}},
	{same: true, requests: []string{"SET s:long -9223372036854775808"}},
	{same: true, requests: []string{"SET s:text hello"}},
	{same: true, requests: []string{`SET s:empty ""`}},
	{same: true, requests: []string{`SET s:binary "\x00\xff\r\n"`}},
	{requests: []string{"SET s:lzf " + strings.Repeat("abcabd", 400)}},
	{loop: 200, requests: []string{"APPEND s:raw @,", "APPEND s:raw x@"}},
	{same: true, requests: []string{"RPUSH l:small a 1 -70000 9223372036854775807 xyz"}},
	{loop: 3000, requests: []string{"RPUSH l:nodes element-@", "RPUSH l:nodes @"}},
	{requests: []string{"RPUSH l:plain a " + strings.Repeat("0123456789", 2000) + ` b ""`}},
	{same: true, requests: []string{"SADD t:ints 1 -2 70000"}},
	{requests: []string{"SADD t:wide 1 9223372036854775807 -9223372036854775808"}},
	{loop: 600, requests: []string{"SADD t:many-ints @"}},
	{requests: []string{`SADD t:table a b 1 ""`}},
	{loop: 1000, requests: []string{"SADD t:large member-@"}},
	{same: true, requests: []string{"HSET h:small a 1 b two"}},
	{requests: []string{"HSET h:long a " + strings.Repeat("x", 65)}},
	{loop: 600, requests: []string{"HSET h:large f@ v@"}},
	{same: true, requests: []string{"ZADD z:small -1.5 a 2 b 2 c inf d -inf e 1e300 f"}},
	{same: true, requests: []string{"ZADD z:zero -0 a 0 b"}},
	{loop: 200, requests: []string{"ZADD z:large @.25 m@", "ZADD z:large -0 zero@", "ZADD z:large inf top"}},
	{same: true, requests: []string{"XADD x:small 1-1 a 1 b 2"}},
	{same: true, requests: []string{"XGROUP CREATE x:empty g $ MKSTREAM"}},
	{loop: 150, requests: []string{"XADD x:nodes @-1 a @ b x", "XADD x:nodes @-2 a @", "XADD x:nodes @-3 a @ b y"}},
	{same: true, requests: []string{"XADD x:gaps 5-1 a 1", "XADD x:gaps 5-2 a 2", "XADD x:gaps 6-0 b 2", "XDEL x:gaps 5-2"}},
	{same: true, requests: []string{"XADD x:groups 5-1 a 1", "XADD x:groups 6-1 a 2", "XGROUP CREATE x:groups g 0", "XGROUP CREATE x:groups a 5-1 ENTRIESREAD 1"}},
	{requests: []string{"XADD x:pending 5-1 a 1", "XADD x:pending 6-1 a 2", "XGROUP CREATE x:pending g 0", "XCLAIM x:pending g c 0 5-1 TIME 1000 FORCE", "XCLAIM x:pending g b 0 6-1 TIME 2000 RETRYCOUNT 9 FORCE"}},
}

func makeValues(t *testing.T, p *pair) {
	for _, v := range values {
		for round := range max(v.loop, 1) {
			for _, line := range v.requests {
				args := words(t, strings.ReplaceAll(line, "@", fmt.Sprint(round+1)))
				if real, ours := p.both(args...); real[0] == '-' || real[0] != ours[0] {
					t.Fatalf("%.100s: %q %q", line, real, ours)
				}
			}
		}
	}
}

// dumped is what a server's DUMP gives.
func dumped(t *testing.T, c *client, key []byte) []byte {
	t.Helper()
	v, _, err := resp.Decode(c.do([]byte("DUMP"), key))
	if err != nil || v.Kind != resp.BulkString {
		t.Fatalf("%s: DUMP %s: %q, %v", c.name, key, v.Text(), err)
	}
	return []byte(v.Text())
}

// cross restores under new names what the servers have dumped of a database: on
// each what the other gave. The old keys go.
func cross(t *testing.T, p *pair, db int) {
	t.Helper()
	p.both([]byte("SELECT"), fmt.Append(nil, db))
	for _, key := range texts(p.real.do([]byte("KEYS"), []byte("*"))) {
		real, ours := dumped(t, p.real, []byte(key)), dumped(t, p.ours, []byte(key))
		for _, move := range []struct {
			to      *client
			payload []byte
		}{{p.real, ours}, {p.ours, real}} {
			reply := move.to.do([]byte("RESTORE"), []byte("r:"+key), []byte("0"), move.payload)
			if string(reply) != "+OK\r\n" {
				t.Errorf("%s: RESTORE of %q: %q\n%q", move.to.name, key, reply, move.payload)
			}
			move.to.do([]byte("DEL"), []byte(key))
		}
	}
}

func TestDump_EveryTypeAndEncoding_IsRestoredByTheOtherServer(t *testing.T) {
	p := startPair(t)
	makeValues(t, p)
	for _, v := range values {
		if key := words(t, v.requests[0])[1]; v.same || strings.HasPrefix(v.requests[0], "XGROUP") {
			if string(words(t, v.requests[0])[0]) == "XGROUP" {
				key = words(t, v.requests[0])[2]
			}
			if real, ours := dumped(t, p.real, key), dumped(t, p.ours, key); !bytes.Equal(real, ours) {
				t.Errorf("%s:\n  redis:  %q\n  limpet: %q", key, real, ours)
			}
		}
	}
	r := &round{conns: [2]*pair{p, p}}
	for range 2 { // there and back: each server now holds its own form in the other's hand
		cross(t, p, 0)
		if err := r.compareKeyspaces(); err != nil {
			t.Fatal(err)
		}
	}
	p.both([]byte("SELECT"), []byte("0"))
	if n := len(texts(p.ours.do([]byte("KEYS"), []byte("r:r:*")))); n != len(values) {
		t.Errorf("%d keys of %d came through", n, len(values))
	}
	// Groups are not read by commands here: what DUMP says of them has to do.
	for _, key := range []string{"r:r:x:groups", "r:r:x:pending", "r:r:x:gaps"} {
		if real, ours := dumped(t, p.real, []byte(key)), dumped(t, p.ours, []byte(key)); !sameStream(real, ours) {
			t.Errorf("%s:\n  redis:  %q\n  limpet: %q", key, real, ours)
		}
	}
}

// sameStream compares the payloads of streams but for the moments in which their
// consumers were made, and so the checksum.
func sameStream(a, b []byte) bool {
	return bytes.Equal(stableBytes(a), stableBytes(b))
}

// stableBytes leaves out the checksum and, of the two numbers of eight bytes that
// begin with today's high bytes, those.
func stableBytes(payload []byte) []byte {
	payload = payload[:len(payload)-8]
	now := time.Now().UnixMilli()
	high := []byte{byte(now >> 32), byte(now >> 40), 0, 0}
	var out []byte
	for i := 0; i < len(payload); i++ {
		if i+8 <= len(payload) && bytes.Equal(payload[i+4:i+8], high) {
			i += 7
			continue
		}
		out = append(out, payload[i])
	}
	return out
}

func TestDump_AfterRandomRequests_EveryKeyPassesBothWays(t *testing.T) {
	seed, given := seedOf(t)
	budget := shortTime
	if os.Getenv("LIMPET_TORTURE") != "" {
		budget = tortureTime
	}
	p := startPair(t)
	r := &round{conns: [2]*pair{p.again(t), p.again(t)}}
	for end := time.Now().Add(budget); ; seed++ {
		if err := r.run(generate("mixed", seed)); err != nil {
			t.Fatalf("LIMPET_SEED=%d: %v", seed, err)
		}
		for db := range 3 {
			cross(t, r.conns[0], db)
		}
		if err := r.compareKeyspaces(); err != nil {
			t.Fatalf("LIMPET_SEED=%d: %v", seed, err)
		}
		if given || time.Now().After(end) {
			return
		}
	}
}

// What came to Redis after 7.0 is taken, and stands in the log in a form that
// 7.0 reads.
func TestRestore_PayloadsOfLaterVersions_AreLoggedSoThatRedis70ReadsThem(t *testing.T) {
	dir := t.TempDir()
	addr := startLimpet(t, dir, &limpet.Options{Fsync: limpet.Always})
	ours := dial(t, "limpet", addr)
	for key, payload := range map[string]string{
		"set":    `"\x14\x11\x11\x00\x00\x00\x03\x00\x81a\x02\x05\x01\xf2\x90\xee\xfe\x04\xff\x0b\x00E_q\xbfS9\x8f\xc4"`,
		"stream": `"\x15\x01\x10\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01@DD\x00\x00\x00\x18\x00\x02\x01\x01\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x83one\x04\x04\x01\x03\x01\x00\x01\x04\x01\x84gone\x05\x04\x01\x00\x01\x03\x01\xdf\xff\x02\x02\x01\x81f\x02\x81x\x02\x81g\x02\x81y\x02\x08\x01\xff\x02\x0d\x00\x0a\x01\x0a\x05\x03\x01\x01g\x0a\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01\xf4\x01\x00\x00\x00\x00\x00\x00\x02\x01\x01cX\x02\x00\x00\x00\x00\x00\x00W\x02\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01\x0b\x00O@\x16\xf5` + "`" + `\xc3\xc7\xb2"`,
	} {
		if reply := ours.do(words(t, "RESTORE "+key+" 0 "+payload)...); string(reply) != "+OK\r\n" {
			t.Fatalf("%s: %q", key, reply)
		}
	}
	reply := ours.do(words(t, `RESTORE hash 0 "\x19\x00\xd8\xc3,\xbb\x03\x00\x00,,\x00\x00\x00\x09\x00\x81b\x02\x02\x01\xf4\x00\xd8\xc3,\xbb\x03\x00\x00\x09\x81c\x02\x03\x01\xf4\x05\xd8\xc3,\xbb\x03\x00\x00\x09\x81a\x02\x01\x01\x00\x01\xff\x0c\x00\x96^\xde\x8fq\xb4aD"`)...)
	if want := "-ERR Bad data format: a hash field with a deadline of its own (Redis 7.4): not supported\r\n"; string(reply) != want {
		t.Errorf("a hash with expiring fields: %q", reply)
	}
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "appendonlydir"), os.DirFS(filepath.Join(dir, "appendonlydir"))); err != nil {
		t.Fatal(err)
	}
	redis := testredis.Start(t, testredis.Options{Dir: copied, Args: []string{"--appendonly", "yes"}})
	p := &pair{t: t, real: dial(t, "redis, from our log", redis.Addr()), ours: ours}
	if err := (&round{conns: [2]*pair{p, p}}).compareKeyspaces(); err != nil {
		t.Error(err)
	}
	p.both([]byte("SELECT"), []byte("0"))
	if real, ours := dumped(t, p.real, []byte("stream")), dumped(t, p.ours, []byte("stream")); !bytes.Equal(real, ours) {
		t.Errorf("the stream:\n  redis:  %q\n  limpet: %q", real, ours)
	}
}

// redis-server says OK and has no such key.
func TestRestore_TimeToLiveBeyondAllNumbers_IsRefused(t *testing.T) {
	ours := dial(t, "limpet", startLimpet(t, t.TempDir(), nil))
	reply := ours.do(words(t, `RESTORE k 9223372036854775807 "\x00\x05hello\n\x00cr\xdfve4 \n"`)...)
	if string(reply) != "-ERR invalid expire time in 'restore' command\r\n" {
		t.Errorf("%q", reply)
	}
}

// mutate changes a few bytes here and there.
func mutate(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(b))
		switch r.IntN(6) {
		case 0:
			b[at] = byte(r.Uint32())
		case 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b[at] += byte(r.IntN(5) - 2)
		case 3: // an end left out
			b = slices.Delete(b, at, min(len(b), at+1+r.IntN(4)))
		case 4:
			b = slices.Insert(b, at, byte(r.Uint32()))
		case 5: // a piece twice
			b = slices.Insert(b, at, b[at:min(len(b), at+1+r.IntN(20))]...)
		}
		if len(b) == 0 {
			return []byte{0}
		}
	}
	return b
}

// seal puts the version and a checksum that fits behind a value.
func seal(value []byte, version uint16) []byte {
	b := binary.LittleEndian.AppendUint16(bytes.Clone(value), version)
	return binary.LittleEndian.AppendUint64(b, crc.Update(0, b))
}

// Types of values in payloads.
const (
	typeZSetListpack = 17
	lastTypeOf70     = 19
)

// A payload that we take stands in our log, and a real server that passed over it
// there would lose the key. So what we take it takes, and makes the same of it.
func TestRestore_MutatedPayloads_WhatIsTakenRedisTakesAlike(t *testing.T) {
	seed, rounds := uint64(time.Now().UnixNano()), 4000
	if s, given := seedOf(t); given {
		seed = s
	}
	if os.Getenv("LIMPET_TORTURE") != "" {
		rounds = 200_000
	}
	t.Logf("LIMPET_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	p := startPair(t)
	makeValues(t, p)
	var sound [][]byte
	for _, key := range slices.Sorted(slices.Values(texts(p.real.do([]byte("KEYS"), []byte("*"))))) {
		if b := dumped(t, p.real, []byte(key)); len(b) < 1000 {
			sound = append(sound, b[:len(b)-10])
		}
	}
	p.real.do(words(t, "CONFIG SET sanitize-dump-payload yes")...)
	r := &round{conns: [2]*pair{p, p}}
	both, alone := 0, 0
	for i := range rounds {
		p.both([]byte("SELECT"), []byte("0"))
		p.both([]byte("FLUSHALL"))
		payload := seal(mutate(rng, sound[rng.IntN(len(sound))]), 10)
		real, ours := p.both([]byte("RESTORE"), []byte("k"), []byte("0"), payload)
		switch {
		case ours[0] != '+' && real[0] != '+' || payload[0] > lastTypeOf70:
			continue
		case ours[0] != '+':
			alone++ // bytes behind the value, a field twice in a plain hash and the like
			continue
		case real[0] != '+':
			t.Errorf("round %d: redis-server does not take what we take:\n%q", i, payload)
			continue
		}
		both++
		err := error(nil)
		if payload[0] == typeZSetListpack { // which we put in order, if it is not
			real, ours := p.both([]byte("ZRANGE"), []byte("k"), []byte("0"), []byte("-1"), []byte("WITHSCORES"))
			err = check('%', real, ours)
		} else {
			err = r.compareKeyspaces()
		}
		if err != nil {
			t.Errorf("round %d: %v\n%q", i, err, payload)
		}
	}
	t.Logf("of %d mutated payloads both servers took %d, redis-server alone %d", rounds, both, alone)
	if both < rounds/100 {
		t.Error("hardly anything is taken: the test does not test what it should")
	}
}
