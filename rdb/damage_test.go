package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"limpet/internal/listpack"
)

// smallEntries is the sample without what makes a test at every byte slow.
func smallEntries() []Entry {
	var es []Entry
	for _, e := range sampleEntries() {
		if b, err := EncodeValue(e.Value); err == nil && len(b) < 1000 {
			es = append(es, e)
		}
	}
	s := sampleStream()
	s.Entries = s.Entries[:8]
	return append(es, Entry{DB: 3, Key: []byte("small stream"), Value: s})
}

func TestDecoder_CutAnywhere_IsTruncatedNeverEmpty(t *testing.T) {
	file := encode(t, smallEntries(), EncoderOptions{})
	for n := range file {
		es, err := decode(bytes.NewReader(file[:n]), DecoderOptions{})
		var e *Error
		if !errors.Is(err, ErrTruncated) || !errors.As(err, &e) || e.Offset > int64(n) {
			t.Fatalf("%d of %d bytes: %d entries, %v", n, len(file), len(es), err)
		}
	}
}

func TestDecodeValue_CutAnywhere_IsRefused(t *testing.T) {
	for _, c := range append(oldCases(), laterCases()...) {
		if len(c.body) > 2000 {
			continue
		}
		for n := range c.body {
			if v, err := DecodeValue(payload(12, c.typ, c.body[:n]), DecoderOptions{}); err == nil {
				t.Errorf("%s: %d of %d bytes read as %v", c.name, n, len(c.body), v)
			}
		}
		for n := range footerSize + 1 {
			if _, err := DecodeValue(make([]byte, n), DecoderOptions{}); err == nil {
				t.Errorf("%d bytes are a payload", n)
			}
		}
	}
}

// someBits is three bits of the i-th byte to flip, or all in the long run.
func someBits(i int) []int {
	if os.Getenv("LIMPET_TORTURE") != "" {
		return []int{0, 1, 2, 3, 4, 5, 6, 7}
	}
	return []int{i % 3, 3 + i%3, 6 + i%2}
}

func TestDecoder_FlippedBitsInEveryByte_AreFound(t *testing.T) {
	file := encode(t, smallEntries(), EncoderOptions{})
	for i := range file {
		for _, bit := range someBits(i) {
			b := bytes.Clone(file)
			b[i] ^= 1 << bit
			if _, err := decode(bytes.NewReader(b), DecoderOptions{KeepPacked: bit%2 == 0}); err == nil {
				t.Fatalf("bit %d of byte %d was flipped and not found", bit, i)
			}
		}
	}
}

// Behind a checksum that fits, damage may go unseen, but nobody falls over it:
// what is handed out can be walked and written again.
func TestDecodeValue_FlippedBitsBehindARightChecksum_AreRefusedOrHarmless(t *testing.T) {
	cases := append(oldCases(), laterCases()...)
	for _, e := range smallEntries() {
		b := must(EncodeValue(e.Value))
		cases = append(cases, oldCase{name: string(e.Key), typ: b[0], body: b[1 : len(b)-footerSize]})
	}
	for _, c := range cases {
		for i := range min(len(c.body), 1000) {
			for _, bit := range someBits(i) {
				body := bytes.Clone(c.body)
				body[i] ^= 1 << bit
				useValue(t, payload(12, c.typ, body))
			}
		}
	}
}

// useValue decodes a payload and, if that works, writes the value again and
// finds the same.
func useValue(t *testing.T, p []byte) {
	t.Helper()
	v, err := DecodeValue(p, DecoderOptions{KeepPacked: true, MaxString: 1 << 24})
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("an error of type %T: %v", err, err)
		}
		return
	}
	if repeats(v) {
		return
	}
	again, err := EncodeValue(v)
	if errors.Is(err, ErrUnsupported) { // expiring fields
		return
	}
	if err != nil {
		t.Fatalf("%T came in and does not go out: %v", v, err)
	}
	if _, err := DecodeValue(again, DecoderOptions{}); err != nil {
		t.Fatalf("%T went out and does not come in: %v", v, err)
	}
	switch v := v.(type) {
	case Packed:
		if v.Type == TypeSetIntset {
			for i := range Intset(v.Data).Len() {
				Intset(v.Data).At(i)
			}
		} else {
			listpackItems(v.Data)
		}
	case Nodes:
		v.list()
	}
}

// repeats says whether a plain collection has a name twice, which is left to
// whoever builds a table from it.
func repeats(v Value) bool {
	var names [][]byte
	switch v := v.(type) {
	case Set:
		names = v
	case Hash:
		for _, f := range v {
			names = append(names, f.Name)
		}
	case ZSet:
		for _, m := range v {
			names = append(names, m.Name)
		}
	}
	seen := map[string]bool{}
	for _, n := range names {
		seen[string(n)] = true
	}
	return len(seen) < len(names)
}

func TestDecoder_RandomDamage_NeverPanics(t *testing.T) {
	seed, rounds := uint64(rand.Uint32()), 300
	if s := os.Getenv("LIMPET_SEED"); s != "" {
		seed = must(strconv.ParseUint(s, 10, 64))
	}
	if os.Getenv("LIMPET_TORTURE") != "" {
		rounds = 100_000
	}
	t.Logf("LIMPET_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	file := encode(t, sampleEntries(), EncoderOptions{NoChecksum: true})
	for range rounds {
		b := bytes.Clone(file)
		for range 1 + r.IntN(4) {
			switch i := r.IntN(len(b)); r.IntN(3) {
			case 0:
				b[i] = byte(r.Uint32())
			case 1:
				b = append(b[:i], b[min(len(b), i+r.IntN(50)):]...)
			case 2:
				b = append(b[:i:i], append(bytes.Clone(b[r.IntN(i+1):i]), b[i:]...)...)
			}
		}
		_, _ = decode(bytes.NewReader(b), DecoderOptions{KeepPacked: r.IntN(2) == 0})
	}
}

func TestDecoder_HostileLengths_TakeLittleMemory(t *testing.T) {
	huge := []byte{len64, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	for name, body := range map[string][]byte{
		"string":     join([]byte{TypeString, 1, 'k'}, huge),
		"beyond int": {TypeString, 1, 'k', len64, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
		"key":        join([]byte{TypeString}, huge),
		"list":       join([]byte{typeList, 1, 'k'}, huge),
		"hash":       join([]byte{typeHash, 1, 'k'}, huge),
		"zset":       join([]byte{typeZSet2, 1, 'k'}, huge),
		"nodes":      join([]byte{typeListQuicklist2, 1, 'k'}, huge),
		"stream":     join([]byte{typeStream2, 1, 'k'}, huge),
		"lzf":        join([]byte{TypeString, 1, 'k', lenSpecial | encLZF, 3}, huge, []byte{0, 'a', 0}),
		"groups":     join([]byte{typeStream2, 1, 'k', 0, 0, 0, 0, 0, 0, 0, 0, 0}, huge),
		"pending":    join([]byte{typeStream2, 1, 'k', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'g', 0, 0, 0}, huge),
		"module":     join([]byte{typeModule2, 1, 'k', 5, moduleString}, huge),
		"size hint":  join([]byte{opResizeDB}, huge, huge),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decode(bytes.NewReader(file(12, body)[:9+len(body)]), DecoderOptions{})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 4<<20 {
			t.Errorf("%s: %d MiB were taken", name, taken>>20)
		}
	}
}

func TestDecodeValue_WrongInside_IsRefused(t *testing.T) {
	withCount := func(b []byte, at, n int) []byte {
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint16(b[at:], uint16(n))
		return b
	}
	stream := func(leaf ...string) []byte {
		return join([]byte{1}, str(appendStreamID(nil, StreamID{10, 1})), str(listpackOf(leaf...)),
			[]byte{1, 63, 0, 0, 0, 0, 0, 1, 0})
	}
	for _, c := range []struct {
		name string
		typ  byte
		body []byte
	}{
		{"unknown type", 8, nil},
		{"type of later", 26, nil},
		{"module of 4.0-rc", typeModulePreGA, []byte{1}},
		{"something behind", TypeString, []byte{1, 'a', 'b'}},
		{"nothing", typeSet, []byte{0}},
		{"empty listpack", TypeHashListpack, str(listpackOf())},
		{"hash of three", TypeHashListpack, str(listpackOf("a", "b", "c"))},
		{"hash with a name twice", TypeHashListpack, str(listpackOf("a", "b", "a", "c"))},
		{"hash with a number twice", TypeHashListpack, str(listpackOf("12", "b", "12", "c"))},
		{"set with a member twice", TypeSetListpack, str(listpackOf("a", "b", "a"))},
		{"zset with words for scores", TypeZSetListpack, str(listpackOf("a", "b"))},
		{"zset with nan", TypeZSetListpack, str(listpackOf("a", "nan"))},
		{"plain zset with nan", typeZSet2, []byte{1, 1, 'a', 0, 0, 0, 0, 0, 0, 0xF8, 0x7F}},
		{"text zset with nan", typeZSet, []byte{1, 1, 'a', 253}},
		{"text zset with a word", typeZSet, []byte{1, 1, 'a', 2, 'x', 'y'}},
		{"intset unsorted", TypeSetIntset, str([]byte{2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 4, 0})},
		{"intset with one twice", TypeSetIntset, str([]byte{2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 5, 0})},
		{"intset of width 3", TypeSetIntset, str([]byte{3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0})},
		{"intset too short", TypeSetIntset, str([]byte{2, 0, 0, 0, 3, 0, 0, 0, 5, 0, 6, 0})},
		{"intset overflowing", TypeSetIntset, str([]byte{8, 0, 0, 0, 0, 0, 0, 0x20})},
		{"ziplist of wrong count", typeListZiplist, str(withCount(ziplistOf("a", "b"), 8, 1))},
		{"ziplist of wrong tail", typeListZiplist, str(withCount(ziplistOf("a", "b"), 4, 10))},
		{"ziplist hash of one", typeHashZiplist, str(ziplistOf("a"))},
		{"ziplist hash with a name twice", typeHashZiplist, str(ziplistOf("a", "b", "a", "b"))},
		{"zipmap with a name twice", typeHashZipmap, str(zipmapOf("a", "b", "a", "b"))},
		{"plain node, empty", typeListQuicklist2, []byte{1, nodePlain, 0}},
		{"node of kind 3", typeListQuicklist2, join([]byte{1, 3}, str(listpackOf("a")))},
		{"expiring field in the past of time", typeHashListpackTTL, join(make([]byte, 8), str(listpackOf("a", "b", "-1")))},
		{"expiring field, word", typeHashListpackTTL, join(make([]byte, 8), str(listpackOf("a", "b", "c")))},
		{"stream of wrong count", typeStream2, stream("2", "0", "1", "f", "0", "2", "0", "0", "v", "4")},
		{"stream of unknown flags", typeStream2, stream("1", "0", "1", "f", "0", "6", "0", "0", "v", "4")},
		{"stream of too few items", typeStream2, stream("1", "0", "1", "f", "0", "2", "0", "0", "v", "5")},
		{"stream of impossible fields", typeStream2, stream("1", "0", "1000000", "f", "0", "2", "0", "0", "v", "4")},
		{"stream of no fields", typeStream2, stream("1", "0", "0", "0", "2", "0", "0", "3")},
		{"stream above its last id", typeStream2, stream("1", "0", "1", "f", "0", "2", "60", "0", "v", "4")},
		{"stream with a pending entry of nobody", typeStream2,
			join([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'g', 0, 0, 0, 1}, make([]byte, 16+8), []byte{1, 0})},
		{"stream with a pending entry of the consumer alone", typeStream2,
			join([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'g', 0, 0, 0, 0, 1, 1, 'c'}, make([]byte, 8), []byte{1}, make([]byte, 16))},
		{"stream with a group twice", typeStream2,
			[]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 'g', 0, 0, 0, 0, 0, 1, 'g', 0, 0, 0, 0, 0}},
		{"stream with a consumer twice", typeStream2,
			join([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'g', 0, 0, 0, 0, 2, 1, 'c'}, make([]byte, 9), []byte{1, 'c'}, make([]byte, 9))},
		{"lzf of wrong length", TypeString, []byte{lenSpecial | encLZF, 2, 2, 0, 'a'}},
		{"unknown string encoding", TypeString, []byte{lenSpecial | 4}},
		{"unknown length", TypeString, []byte{0x82, 1}},
		{"encoding for a length", typeSet, []byte{lenSpecial, 1, 1, 'a'}},
	} {
		v, err := DecodeValue(payload(12, c.typ, c.body), DecoderOptions{})
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: read as %#v, %v", c.name, v, err)
		}
	}
}

func TestDecoder_ErrorInAValue_SaysWhichKeyAndWhere(t *testing.T) {
	body := join([]byte{opSelectDB, 3, typeSet, 1, 'a', 1, 1, 'x'}, []byte{TypeHashListpack, 3, 'b', 'a', 'd'}, str(listpackOf("one")))
	_, err := decode(bytes.NewReader(file(10, body)), DecoderOptions{})
	want := `rdb: offset 22: db 3 key "bad" (entry at 17): hash in a listpack: 1 entries in tuples of 2: damaged`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestDecoder_ZSetOutOfOrder_IsNotKeptPacked(t *testing.T) {
	for _, c := range []struct {
		items  []string
		packed bool
	}{
		{[]string{"a", "1", "b", "1", "c", "1.5"}, true},
		{[]string{"b", "1", "a", "1"}, false},
		{[]string{"a", "2", "b", "1"}, false},
		{[]string{"1", "1", "2", "1"}, true},
		{[]string{"2", "1", "10", "1"}, false},
	} {
		v, err := DecodeValue(payload(10, TypeZSetListpack, str(listpackOf(c.items...))), DecoderOptions{KeepPacked: true})
		if _, packed := v.(Packed); err != nil || packed != c.packed {
			t.Errorf("%v: %T, %v", c.items, v, err)
		}
	}
}

func TestUniqueNames_ManyListpacks_FindsEachRepetitionOnly(t *testing.T) {
	var u uniqueNames
	for n := range 300 {
		l := listpack.New()
		for i := range n {
			l = l.AppendInt(int64(i)).Append([]byte("same"))
		}
		if name, ok := u.check(l, 2); !ok {
			t.Fatalf("%d names: %q is not there twice", n, name)
		}
		if n > 0 {
			l = l.AppendInt(int64(n / 2)).Append([]byte("same"))
			if _, ok := u.check(l, 2); ok {
				t.Fatalf("%d names: %d is there twice", n, n/2)
			}
		}
	}
}

// failing answers an error of its own after some bytes.
type failing struct{ r io.Reader }

var errDisk = errors.New("input/output error")

func (f failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = errDisk
	}
	return n, err
}

func TestDecoder_ReadError_IsNeitherDamageNorEnd(t *testing.T) {
	file := encode(t, sampleEntries(), EncoderOptions{})
	for _, n := range []int{0, 5, 100, len(file) / 2, len(file) - 3} {
		_, err := decode(failing{bytes.NewReader(file[:n])}, DecoderOptions{})
		if !errors.Is(err, errDisk) || errors.Is(err, ErrTruncated) || errors.Is(err, ErrCorrupt) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestDecoder_NotAnRDB_IsDamaged(t *testing.T) {
	for _, s := range []string{"*2\r\n$6\r\nSELECT\r\n", "REDISabcd", "REDIS0000", strings.Repeat("\x00", 100)} {
		if _, err := decode(strings.NewReader(s), DecoderOptions{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
