package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/listpack"
)

// words is n different strings of about the given length.
func words(n, size int) [][]byte {
	v := make([][]byte, n)
	for i := range v {
		v[i] = fmt.Appendf(nil, "%0*d-word", max(size-5, 1), i)
	}
	return v
}

func strs(v ...string) [][]byte {
	b := make([][]byte, len(v))
	for i := range v {
		b[i] = []byte(v[i])
	}
	return b
}

func pairsOf(v [][]byte) Hash {
	h := make(Hash, len(v)/2)
	for i := range h {
		h[i] = Field{Name: v[2*i], Value: v[2*i+1]}
	}
	return h
}

func scores(v [][]byte, score func(i int) float64) ZSet {
	z := make(ZSet, len(v))
	for i := range z {
		z[i] = Member{v[i], score(i)}
	}
	return z
}

// sampleStream has leaves that are full, entries with names of their own, and
// groups with pending entries.
func sampleStream() *Stream {
	s := &Stream{Added: 400, MaxDeletedID: StreamID{1000, 3}}
	for i := range 350 {
		e := StreamEntry{ID: StreamID{uint64(2000 + i/3), uint64(i % 3)}}
		e.Fields = strs("url", fmt.Sprintf("https://test.com/%d", i), "n", fmt.Sprint(i))
		if i%7 == 0 {
			e.Fields = strs("other", strings.Repeat("v", i))
		}
		s.Entries = append(s.Entries, e)
	}
	s.FirstID, s.LastID = s.Entries[0].ID, StreamID{3000, 0}
	s.Groups = []Group{
		{Name: []byte("empty"), EntriesRead: -1},
		{Name: []byte("g"), LastID: s.Entries[5].ID, EntriesRead: 6, Consumers: []Consumer{
			{Name: []byte("a"), SeenMs: 5000, ActiveMs: 5000, Pending: []Pending{
				{s.Entries[0].ID, 4000, 1}, {s.Entries[3].ID, 4100, 7},
			}},
			{Name: []byte("b"), SeenMs: 5001, ActiveMs: 5001, Pending: []Pending{{s.Entries[1].ID, 4200, 2}}},
			{Name: []byte("idle"), SeenMs: 1, ActiveMs: 1},
		}},
	}
	return s
}

// sampleEntries has each form of each type, in three databases.
func sampleEntries() []Entry {
	values := []struct {
		name string
		v    Value
	}{
		{"empty string", String("")},
		{"int8", String("-128")},
		{"int16", String("32767")},
		{"int32", String("-2147483648")},
		{"int64", String("2147483648")},
		{"like an int", String("007")},
		{"short string", String("hello")},
		{"binary", String("\x00\xff\r\n\xc3")},
		{"compressible", String(strings.Repeat("abcdefgh", 5000))},
		{"long string", String(bytes.Join(words(40000, 12), nil))},
		{"list of one", List(strs(""))},
		{"list", List(append(words(3000, 20), strs("1", "-5000", "9223372036854775807")...))},
		{"list of large", List(append(words(3, 20000), words(10, 10)...))},
		{"intset 16", Set(strs("-1", "2", "300"))},
		{"intset 32", Set(strs("-70000", "2", "300"))},
		{"intset 64", Set(strs("-1", "2", "9223372036854775807"))},
		{"set", Set(words(20, 10))},
		{"large set", Set(words(2000, 10))},
		{"set of many ints", Set(ints(600))},
		{"hash", pairsOf(words(40, 10))},
		{"hash of 128", pairsOf(words(256, 30))},
		{"hash of 129", pairsOf(words(258, 30))},
		{"hash of long", pairsOf(words(6, 65))},
		{"zset", scores(words(20, 10), func(i int) float64 { return float64(i) / 3 })},
		{"zset of extremes", scores(words(9, 10), func(i int) float64 {
			return []float64{math.Inf(-1), -1e300, -5, math.SmallestNonzeroFloat64, 0.1, 3, 1 << 60, 1e300, math.Inf(1)}[i]
		})},
		{"zset of equals", scores(words(20, 10), func(int) float64 { return 1 })},
		{"large zset", scores(words(500, 10), func(i int) float64 { return float64(i) * 1.1 })},
		{"zset of long", scores(words(3, 65), func(i int) float64 { return float64(i) })},
		{"stream", sampleStream()},
		{"empty stream", &Stream{LastID: StreamID{7, 1}, MaxDeletedID: StreamID{7, 1}, Added: 3}},
	}
	var es []Entry
	for i, v := range values {
		e := Entry{DB: i * 3 / len(values), Key: []byte(v.name), Value: v.v}
		if i%4 == 1 {
			e.ExpireAtMs = 4102444800000 + int64(i) // the year 2100
		}
		es = append(es, e)
	}
	return es
}

func ints(n int) [][]byte {
	v := make([][]byte, n)
	for i := range v {
		v[i] = appendInt(int64(i * 1000))
	}
	return v
}

// canonical orders what has no order of its own, and unpacks what is packed.
func canonical(v Value) Value {
	switch v := v.(type) {
	case Set:
		v = slices.Clone(v)
		slices.SortFunc(v, bytes.Compare)
		return v
	case Hash:
		v = slices.Clone(v)
		slices.SortFunc(v, func(a, b Field) int { return bytes.Compare(a.Name, b.Name) })
		return v
	case ZSet:
		v = slices.Clone(v)
		slices.SortFunc(v, compareMembers)
		return v
	case Nodes:
		return v.list()
	case *Stream:
		unpacked := *v
		for _, l := range v.Leaves {
			c := leafCursor{l: l.Data, off: listpack.List(l.Data).First()}
			c.entries(l.Key, func(e StreamEntry) { unpacked.Entries = append(unpacked.Entries, e) })
		}
		if len(v.Leaves) > 0 && v.Len != len(unpacked.Entries) {
			panic("a stream's Len is wrong")
		}
		unpacked.Leaves, unpacked.Len = nil, 0
		return &unpacked
	case Packed:
		plain, err := DecodeValue(must(EncodeValue(v)), DecoderOptions{})
		if err != nil {
			panic(err)
		}
		return canonical(plain)
	}
	return v
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func encode(t testing.TB, es []Entry, o EncoderOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	e := NewEncoder(&b, o)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(e.Aux("redis-ver", "7.0.15"))
	check(e.Aux("ctime", "1700000000"))
	for _, en := range es {
		check(e.Entry(en))
	}
	check(e.Close())
	if e.Written() != int64(b.Len()) {
		t.Errorf("Written says %d, have %d bytes", e.Written(), b.Len())
	}
	return b.Bytes()
}

func decode(src io.Reader, o DecoderOptions) ([]Entry, error) {
	d := NewDecoder(src, o)
	var es []Entry
	for {
		e, err := d.Next()
		if errors.Is(err, io.EOF) {
			return es, nil
		}
		if err != nil {
			return es, err
		}
		es = append(es, e)
	}
}

func diff(got, want []Entry) string {
	norm := func(es []Entry) []Entry {
		es = slices.Clone(es)
		for i := range es {
			es[i].Value = canonical(es[i].Value)
		}
		slices.SortFunc(es, func(a, b Entry) int { return bytes.Compare(a.Key, b.Key) })
		return es
	}
	got, want = norm(got), norm(want)
	if reflect.DeepEqual(got, want) { // which is much faster
		return ""
	}
	return cmp.Diff(want, got)
}

func TestRoundTrip_EveryType_IsTheSame(t *testing.T) {
	want := sampleEntries()
	for _, eo := range []EncoderOptions{{}, {NoCompression: true}, {NoChecksum: true}} {
		for _, do := range []DecoderOptions{{}, {KeepPacked: true}, {NoChecksum: true}} {
			got, err := decode(bytes.NewReader(encode(t, want, eo)), do)
			if err != nil {
				t.Fatalf("%+v %+v: %v", eo, do, err)
			}
			if d := diff(got, want); d != "" {
				t.Fatalf("%+v %+v: %s", eo, do, d)
			}
		}
	}
}

// oneByte hands out its bytes one by one.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

func TestRoundTrip_AnyPieces_AreTheSame(t *testing.T) {
	want := sampleEntries()
	got, err := decode(oneByte{bytes.NewReader(encode(t, want, EncoderOptions{}))}, DecoderOptions{})
	if d := diff(got, want); err != nil || d != "" {
		t.Fatal(err, d)
	}
}

func TestDecoder_KeepPacked_BytesPassThroughUnchanged(t *testing.T) {
	first := encode(t, sampleEntries(), EncoderOptions{})
	es, err := decode(bytes.NewReader(first), DecoderOptions{KeepPacked: true})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, e := range es {
		kinds[fmt.Sprintf("%T", e.Value)]++
	}
	if kinds["rdb.Packed"] < 8 || kinds["rdb.Nodes"] != 3 || kinds["rdb.List"] != 0 {
		t.Errorf("kinds of values: %v", kinds)
	}
	if second := encode(t, es, EncoderOptions{}); !bytes.Equal(first, second) {
		t.Error("packed values were written otherwise")
	}
}

func TestEncoder_SeqForms_EqualPlainOnes(t *testing.T) {
	w := words(1000, 10)
	lp := listpack.New().Append([]byte("a")).Append([]byte("b"))
	half := func(i int) float64 { return float64(i) / 2 }
	for _, c := range []struct {
		seq, plain Value
	}{
		{SetSeq{len(w), slices.Values(w)}, Set(w)},
		{HashSeq{len(w) / 2, func(yield func(a, b []byte) bool) {
			for i := 0; i < len(w) && yield(w[i], w[i+1]); i += 2 {
			}
		}}, pairsOf(w)},
		{ZSetSeq{len(w), func(yield func([]byte, float64) bool) {
			for i := 0; i < len(w) && yield(w[i], half(i)); i++ {
			}
		}}, scores(w, half)},
		{ListSeq{3, slices.Values([]Node{{Data: lp}, {Plain: true, Data: []byte("c")}, {Plain: true}})}, List(strs("a", "b", "c", ""))},
		{Packed{TypeSetListpack, lp}, Set(strs("a", "b"))},
		{Packed{TypeSetListpack, listpack.New().AppendInt(7)}, Set(strs("7"))},
	} {
		es := []Entry{{Key: []byte("k"), Value: c.seq}}
		got, err := decode(bytes.NewReader(encode(t, es, EncoderOptions{})), DecoderOptions{})
		if err != nil {
			t.Fatalf("%T: %v", c.seq, err)
		}
		if d := diff(got, []Entry{{Key: []byte("k"), Value: c.plain}}); d != "" {
			t.Errorf("%T: %s", c.seq, d)
		}
	}
}

// twice yields two zero pairs.
func twice[A, B any](yield func(A, B) bool) {
	var a A
	var b B
	for range 2 {
		if !yield(a, b) {
			return
		}
	}
}

func TestEncoder_ValuesThatCannotBeSaved_AreRefused(t *testing.T) {
	id := StreamID{1, 1}
	for name, v := range map[string]Value{
		"nothing":         nil,
		"empty list":      List{},
		"empty set":       Set{},
		"empty hash":      Hash{},
		"empty zset":      ZSet{},
		"empty nodes":     Nodes{},
		"seq too short":   SetSeq{3, slices.Values(strs("a"))},
		"seq too long":    SetSeq{1, slices.Values(strs("a", "b", "c"))},
		"hash seq":        HashSeq{1, twice[[]byte, []byte]},
		"zset seq":        ZSetSeq{1, twice[[]byte, float64]},
		"list seq":        ListSeq{2, slices.Values([]Node{{Plain: true}})},
		"no number":       ZSet{{[]byte("a"), math.NaN()}},
		"expiring field":  Hash{{[]byte("a"), []byte("b"), 5}},
		"unknown packing": Packed{99, nil},
		"odd fields":      &Stream{Entries: []StreamEntry{{id, strs("a")}}},
		"ids descend":     &Stream{Entries: []StreamEntry{{id, strs("a", "b")}, {id, strs("a", "b")}}},
		"pending twice": &Stream{Groups: []Group{{Consumers: []Consumer{
			{Name: []byte("a"), Pending: []Pending{{ID: id}}}, {Name: []byte("b"), Pending: []Pending{{ID: id}}}}}}},
	} {
		var b bytes.Buffer
		e := NewEncoder(&b, EncoderOptions{})
		err := e.Entry(Entry{Key: []byte("the key"), Value: v})
		if err == nil || !strings.Contains(err.Error(), "the key") {
			t.Errorf("%s: %v", name, err)
		}
		if again := e.Close(); again == nil || again != e.Entry(Entry{Value: String("x")}) {
			t.Errorf("%s: the error is not final", name)
		}
		if _, err := decode(&b, DecoderOptions{}); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: what was written reads as %v", name, err)
		}
	}
}

// fullDisk takes so many bytes.
type fullDisk struct{ room int }

func (f *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	if f.room -= n; n < len(p) {
		return n, errors.New("no space left")
	}
	return n, nil
}

func TestEncoder_WriteFails_ErrorIsFinal(t *testing.T) {
	for room := 0; room < 600_000; room += 50_000 {
		e := NewEncoder(&fullDisk{room}, EncoderOptions{})
		for _, en := range sampleEntries() {
			_ = e.Entry(en)
		}
		if err := e.Close(); room < 300_000 && (err == nil || e.Aux("a", "b") == nil) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
}

func TestDecoder_RDBInFrontOfOtherBytes_LeavesThemReadable(t *testing.T) {
	tail := "*1\r\n$4\r\nPING\r\n"
	file := encode(t, sampleEntries(), EncoderOptions{})
	for _, src := range []io.Reader{
		strings.NewReader(string(file) + tail),
		oneByte{strings.NewReader(string(file) + tail)},
	} {
		d := NewDecoder(src, DecoderOptions{})
		for {
			if _, err := d.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if d.Consumed() != int64(len(file)) {
			t.Errorf("consumed %d of %d bytes", d.Consumed(), len(file))
		}
		if rest, err := io.ReadAll(d.Rest()); err != nil || string(rest) != tail {
			t.Errorf("rest is %q, %v", rest, err)
		}
	}
}

func TestEncoder_ManyNumbers_PassThroughTheBuffer(t *testing.T) {
	want := []Entry{{Key: []byte("k"), Value: Set(ints(100_000))}}
	got, err := decode(bytes.NewReader(encode(t, want, EncoderOptions{})), DecoderOptions{})
	if d := diff(got, want); err != nil || d != "" {
		t.Error(err, len(d))
	}
}

func TestStream_OfAnOldFile_ReadUpToIsEstimatedAsRedisDoes(t *testing.T) {
	s := &Stream{FirstID: StreamID{10, 1}, LastID: StreamID{30, 0}, Added: 3}
	for id, want := range map[StreamID]int64{{0, 0}: 0, {10, 1}: 1, {10, 2}: -1, {20, 0}: -1, {30, 0}: 3, {30, 1}: -1} {
		if got := s.readUpTo(id); got != want {
			t.Errorf("%v: %d, want %d", id, got, want)
		}
	}
	if got := (&Stream{LastID: StreamID{5, 5}}).readUpTo(StreamID{5, 5}); got != 0 {
		t.Errorf("of an empty stream: %d", got)
	}
}

func TestDecoder_Facts_AreSurfaced(t *testing.T) {
	var b bytes.Buffer
	e := NewEncoder(&b, EncoderOptions{})
	_ = e.Aux("aof-base", "1")
	_ = e.Function([]byte("#!lua name=f\n"))
	_ = e.SelectDB(4)
	_ = e.ResizeDB(10, 2)
	_ = e.Entry(Entry{DB: 4, Key: []byte("k"), Value: String("v")})
	_ = e.Close()
	if bytes.Count(b.Bytes(), []byte{opSelectDB, 4}) != 1 {
		t.Error("the database was selected again")
	}
	d := NewDecoder(&b, DecoderOptions{})
	en, err := d.Next()
	if err != nil || en.DB != 4 {
		t.Fatal(en, err)
	}
	keys, expires := d.SizeHint()
	if d.Version() != WriteVersion || d.Aux()["aof-base"] != "1" || keys != 10 || expires != 2 ||
		len(d.Functions()) != 1 || string(d.Functions()[0]) != "#!lua name=f\n" {
		t.Errorf("version %d, aux %v, functions %q, hint %d %d", d.Version(), d.Aux(), d.Functions(), keys, expires)
	}
}

func TestValue_EncodeDecode_IsTheSame(t *testing.T) {
	for _, e := range sampleEntries() {
		b, err := EncodeValue(e.Value)
		if err != nil {
			t.Fatalf("%s: %v", e.Key, err)
		}
		v, err := DecodeValue(b, DecoderOptions{})
		if err != nil {
			t.Fatalf("%s: %v", e.Key, err)
		}
		if d := diff([]Entry{{Value: v}}, []Entry{{Value: e.Value}}); d != "" {
			t.Errorf("%s: %s", e.Key, d)
		}
	}
}
