package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"limpet/internal/crc"
	"limpet/internal/listpack"
	"limpet/internal/testredis"
)

// The writers below make what no living Redis writes any more. That they make it
// rightly is checked by having a real one read it (TestParity_OldEncodings).

func str(b []byte) []byte { return append(appendLength(nil, uint64(len(b))), b...) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func ziplistOf(items ...string) []byte {
	b := make([]byte, ziplistHeader)
	prev, last := 0, ziplistHeader
	for _, it := range items {
		last = len(b)
		if prev < 254 {
			b = append(b, byte(prev))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, 254), uint32(prev))
		}
		n, isInt := listpack.ParseInt([]byte(it))
		switch {
		case isInt && 0 <= n && n <= 12:
			b = append(b, 0xF1+byte(n))
		case isInt && int64(int8(n)) == n:
			b = append(b, 0xFE, byte(n))
		case isInt && int64(int16(n)) == n:
			b = append(b, 0xC0, byte(n), byte(n>>8))
		case isInt && n<<40>>40 == n:
			b = append(b, 0xF0, byte(n), byte(n>>8), byte(n>>16))
		case isInt && int64(int32(n)) == n:
			b = binary.LittleEndian.AppendUint32(append(b, 0xD0), uint32(n))
		case isInt:
			b = binary.LittleEndian.AppendUint64(append(b, 0xE0), uint64(n))
		case len(it) < 1<<6:
			b = append(append(b, byte(len(it))), it...)
		case len(it) < 1<<14:
			b = append(append(b, 0x40|byte(len(it)>>8), byte(len(it))), it...)
		default:
			b = append(binary.BigEndian.AppendUint32(append(b, 0x80), uint32(len(it))), it...)
		}
		prev = len(b) - last
	}
	b = append(b, ziplistEnd)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint32(b[4:], uint32(last))
	binary.LittleEndian.PutUint16(b[8:], uint16(len(items)))
	return b
}

func zipmapOf(items ...string) []byte {
	b := []byte{byte(len(items) / 2)}
	for i, it := range items {
		if len(it) < 254 {
			b = append(b, byte(len(it)))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, 254), uint32(len(it)))
		}
		if i%2 == 1 {
			b = append(b, byte(i%4)) // some unused bytes, which an update leaves
			b = append(append(b, it...), make([]byte, i%4)...)
		} else {
			b = append(b, it...)
		}
	}
	return append(b, 0xFF)
}

func listpackOf(items ...string) []byte {
	l := listpack.New()
	for _, it := range items {
		l = l.Append([]byte(it))
	}
	return l
}

func textDouble(s string) []byte { return append([]byte{byte(len(s))}, s...) }

var everyItem = []string{
	"", "a", "0", "12", "13", "-1", "-128", "127", "128", "-32768", "40000", "-8388608", "8388607", "8388608",
	"-2147483648", "2147483648", "9223372036854775807", strings.Repeat("x", 63), strings.Repeat("y", 64),
	strings.Repeat("z", 300), strings.Repeat("w", 17000), "end",
}

type oldCase struct {
	name string
	typ  byte
	body []byte
	want Value
}

// oldCases is what Redis 7.0 still reads.
func oldCases() []oldCase {
	pairs := []string{"a", "1", "b", strings.Repeat("v", 300), "700", ""}
	scored := []string{"a", "-1.5", "b", "2", "c", "1e+30", "d", "inf"}
	lists := join(appendLength(nil, 3), str(ziplistOf("a", "1")), str(ziplistOf()), str(ziplistOf(everyItem...)))
	return []oldCase{
		{"list", typeList, join([]byte{2}, str([]byte("a")), []byte{lenSpecial | encInt8, 5}), List(strs("a", "5"))},
		{"set", typeSet, join([]byte{2}, str([]byte("a")), []byte{lenSpecial | encInt16, 0xFF, 0xFF}), Set(strs("a", "-1"))},
		{"zset in text", typeZSet, join([]byte{4}, str([]byte("a")), textDouble("-1.5"), str([]byte("b")), textDouble("3"),
			str([]byte("c")), []byte{254}, str([]byte("d")), []byte{255}),
			ZSet{{[]byte("a"), -1.5}, {[]byte("b"), 3}, {[]byte("c"), math.Inf(1)}, {[]byte("d"), math.Inf(-1)}}},
		{"zipmap", typeHashZipmap, str(zipmapOf(pairs...)), pairsOf(strs(pairs...))},
		{"ziplist list", typeListZiplist, str(ziplistOf(everyItem...)), List(strs(everyItem...))},
		{"ziplist hash", typeHashZiplist, str(ziplistOf(pairs...)), pairsOf(strs(pairs...))},
		{"ziplist zset", typeZSetZiplist, str(ziplistOf(scored...)),
			ZSet{{[]byte("a"), -1.5}, {[]byte("b"), 2}, {[]byte("c"), 1e30}, {[]byte("d"), math.Inf(1)}}},
		{"quicklist", typeListQuicklist, lists, List(strs(append([]string{"a", "1"}, everyItem...)...))},
		{"lists longest form of length", typeList, []byte{len64, 0, 0, 0, 0, 0, 0, 0, 1, len32, 0, 0, 0, 1, 'a'}, List(strs("a"))},
		{"stream", typeStream, oldStream(typeStream), oldStreamValue(typeStream)},
	}
}

// laterCases is what Redis 7.2 and 7.4 added.
func laterCases() []oldCase {
	ms := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	ttls := Hash{{Name: []byte("a"), Value: []byte("1")}, {[]byte("b"), []byte("2"), 4102444800000}, {[]byte("c"), []byte("3"), 4102444800005}}
	plain := func(ttl ...uint64) []byte {
		b := []byte{byte(len(ttls))}
		for i, f := range ttls {
			b = join(b, appendLength(nil, ttl[i]), str(f.Name), str(f.Value))
		}
		return b
	}
	packed := str(listpackOf("b", "2", "4102444800000", "c", "3", "4102444800005", "a", "1", "0"))
	return []oldCase{
		{"listpack set", TypeSetListpack, str(listpackOf("a", "5", "-70000")), Set(strs("a", "5", "-70000"))},
		{"ttl hash", typeHashTTL, join(ms(4102444800000), plain(0, 1, 6)), ttls},
		{"ttl hash of 7.4-rc", typeHashTTLPreGA, plain(0, 4102444800000, 4102444800005), ttls},
		{"ttl listpack", typeHashListpackTTL, join(ms(4102444800000), packed), ttls},
		{"ttl listpack of 7.4-rc", typeHashListpackTTLPreGA, packed, ttls},
		{"stream 3", typeStream3, oldStream(typeStream3), oldStreamValue(typeStream3)},
		{"module", typeModule2, join(appendLength(nil, moduleID("ReJSON-RL", 3)),
			[]byte{moduleSint, 5, moduleUint, 6, moduleFloat, 0, 0, 0x80, 0x3F, moduleDouble, 0, 0, 0, 0, 0, 0, 0, 0, moduleString, 2, 'h', 'i', moduleEOF}),
			Module{moduleID("ReJSON-RL", 3), []byte{moduleSint, 5, moduleUint, 6, moduleFloat, 0, 0, 0x80, 0x3F, moduleDouble, 0, 0, 0, 0, 0, 0, 0, 0, moduleString, 2, 'h', 'i'}}},
	}
}

func moduleID(name string, version uint64) (id uint64) {
	for _, c := range name {
		id = id<<6 | uint64(strings.IndexRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", c))
	}
	return id<<10 | version
}

// oldStream has a deleted entry, ids that go back in their second part, and a
// group.
func oldStream(typ byte) []byte {
	ms := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	leaf := listpackOf(
		"2", "1", "1", "f", "0", // two entries, one deleted, field f
		"2", "0", "0", "one", "4",
		"3", "0", "4", "gone", "4",
		"0", "3", "-1", "2", "f", "x", "g", "y", "8",
	)
	b := join([]byte{1}, str(appendStreamID(nil, StreamID{10, 1})), str(leaf), []byte{2, 13, 0})
	if typ == typeStream3 {
		b = append(b, 10, 1, 10, 5, 3) // first, deleted, added
	}
	b = join(b, []byte{1}, str([]byte("g")), []byte{10, 1})
	if typ == typeStream3 {
		b = append(b, 1) // entries read
	}
	b = join(b, []byte{1}, appendStreamID(nil, StreamID{10, 1}), ms(500), []byte{2}, // pending
		[]byte{1}, str([]byte("c")), ms(600)) // consumers
	if typ == typeStream3 {
		b = append(b, ms(599)...)
	}
	return join(b, []byte{1}, appendStreamID(nil, StreamID{10, 1}))
}

func oldStreamValue(typ byte) *Stream {
	s := &Stream{
		Entries: []StreamEntry{{StreamID{10, 1}, strs("f", "one")}, {StreamID{13, 0}, strs("f", "x", "g", "y")}},
		LastID:  StreamID{13, 0}, FirstID: StreamID{10, 1}, Added: 2,
		Groups: []Group{{Name: []byte("g"), LastID: StreamID{10, 1}, EntriesRead: 1, Consumers: []Consumer{
			{Name: []byte("c"), SeenMs: 600, ActiveMs: 600, Pending: []Pending{{StreamID{10, 1}, 500, 2}}}}}},
	}
	if typ == typeStream3 {
		s.Added, s.MaxDeletedID = 3, StreamID{10, 5}
		s.Groups[0].Consumers[0].ActiveMs = 599
	}
	return s
}

// payload wraps a type and a body as DUMP does.
func payload(version uint16, typ byte, body []byte) []byte {
	b := join([]byte{typ}, body)
	b = binary.LittleEndian.AppendUint16(b, version)
	return binary.LittleEndian.AppendUint64(b, crc.Update(0, b))
}

func TestDecodeValue_EveryEncoding(t *testing.T) {
	for _, c := range append(oldCases(), laterCases()...) {
		for _, keep := range []bool{false, true} {
			v, err := DecodeValue(payload(MaxVersion, c.typ, c.body), DecoderOptions{KeepPacked: keep})
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if d := diff([]Entry{{Value: v}}, []Entry{{Value: c.want}}); d != "" {
				t.Errorf("%s: %s", c.name, d)
			}
		}
	}
}

func TestParity_OldEncodings_RedisReadsTheSame(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: []string{"--sanitize-dump-payload", "yes"}})
	var want []Entry
	for _, c := range oldCases() {
		s.Do("RESTORE", c.name, 0, payload(9, c.typ, c.body))
		want = append(want, Entry{Key: []byte(c.name), Value: c.want})
	}
	if d := diff(serverEntries(t, s, 1), want); d != "" {
		t.Error(d)
	}
}

func TestModule_Name_IsSpelled(t *testing.T) {
	if got := (Module{ID: moduleID("ReJSON-RL", 3)}).Name(); got != "ReJSON-RL" {
		t.Errorf("got %q", got)
	}
}

// file puts a header before the body, and an end with checksum behind it.
func file(version int, body []byte) []byte {
	b := join(fmt.Appendf(nil, "%s%04d", magic, version), body, []byte{opEOF})
	if version < checksumSince {
		return b
	}
	return binary.LittleEndian.AppendUint64(b, crc.Update(0, b))
}

func TestDecoder_EveryVersion_IsRead(t *testing.T) {
	body := []byte{opSelectDB, 1, opExpire, 0x10, 0x27, 0, 0, TypeString, 1, 'k', 1, 'v'}
	for version := 1; version <= MaxVersion; version++ {
		es, err := decode(bytes.NewReader(file(version, body)), DecoderOptions{})
		want := []Entry{{DB: 1, Key: []byte("k"), ExpireAtMs: 10_000_000, Value: String("v")}}
		if d := diff(es, want); err != nil || d != "" {
			t.Errorf("version %d: %v %s", version, err, d)
		}
	}
}

func TestDecoder_EveryOperation_IsUnderstood(t *testing.T) {
	ms := func(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
	key := func(name string) []byte { return join([]byte{TypeString}, str([]byte(name)), []byte{0}) }
	d := NewDecoder(bytes.NewReader(file(12, join(
		[]byte{opFunctionPreGA}, str([]byte("lib")), str([]byte("LUA")), []byte{1}, str([]byte("about")), str([]byte("code")),
		[]byte{opModuleAux}, appendLength(nil, moduleID("testmodul", 1)), []byte{moduleUint, 2, moduleString, 1, 'x', moduleEOF},
		[]byte{opSlotInfo, 1, 2, 3, opResizeDB, 4, 1},
		[]byte{opIdle, 9, opExpireMs}, ms(5000), key("a"),
		[]byte{opFreq, 200, opExpireMs}, ms(-1), key("never"),
		[]byte{opExpireMs}, ms(0), key("long ago"),
		[]byte{typeList, 1, 'e', 0}, // an empty list
	))), DecoderOptions{})
	want := []Entry{
		{Key: []byte("a"), Value: String(""), ExpireAtMs: 5000, IdleSeconds: 9},
		{Key: []byte("never"), Value: String(""), Freq: 200},
		{Key: []byte("long ago"), Value: String(""), ExpireAtMs: 1},
	}
	for _, w := range want {
		if e, err := d.Next(); err != nil || diff([]Entry{e}, []Entry{w}) != "" {
			t.Errorf("%v %s", err, diff([]Entry{e}, []Entry{w}))
		}
	}
	if _, err := d.Next(); d.SkippedEmpty() != 1 || err == nil || err.Error() != "EOF" {
		t.Errorf("skipped %d, end %v", d.SkippedEmpty(), err)
	}
	if f := d.Functions(); len(f) != 1 || string(f[0]) != "#!LUA name=lib\ncode" {
		t.Errorf("functions %q", f)
	}
	if m := d.Modules(); len(m) != 1 || m[0] != "testmodul" {
		t.Errorf("modules %q", m)
	}
}

func TestDecoder_Newer_IsSaidToBeNewer(t *testing.T) {
	for _, b := range [][]byte{file(13, nil), file(9999, nil), []byte("VALKEY080\xff12345678")} {
		if _, err := decode(bytes.NewReader(b), DecoderOptions{}); !errors.Is(err, ErrNewer) || errors.Is(err, ErrCorrupt) {
			t.Errorf("%.9q: %v", b, err)
		}
	}
	if _, err := DecodeValue(payload(13, TypeString, str([]byte("v"))), DecoderOptions{}); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
}
