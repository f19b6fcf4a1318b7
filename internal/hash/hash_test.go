package hash

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"limpet/internal/listpack"
	"limpet/internal/modeltest"
	"limpet/internal/testredis"
)

func check(t *testing.T, h *Hash, model map[string]string) {
	t.Helper()
	if h.Len() != len(model) {
		t.Fatalf("Len %d, want %d", h.Len(), len(model))
	}
	for field, want := range model {
		if value, ok := h.Get([]byte(field)); !ok || string(value) != want || !h.Has([]byte(field)) {
			t.Fatalf("Get %q: %q, %v, want %q", field, value, ok, want)
		}
	}
	seen := map[string]string{}
	for field, value := range h.All() {
		if _, twice := seen[string(field)]; twice {
			t.Fatalf("All: %q twice", field)
		}
		seen[string(field)] = string(value)
	}
	same(t, "All", seen, model)
	seen = map[string]string{}
	for cursor := uint64(0); ; {
		cursor = h.Scan(cursor, func(field, value []byte) { seen[string(field)] = string(value) })
		if cursor == 0 {
			break
		}
	}
	same(t, "Scan", seen, model)
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d fields, want %d", what, len(got), len(want))
	}
	for field, value := range got {
		if want[field] != value {
			t.Fatalf("%s: %q is %q, want %q", what, field, value, want[field])
		}
	}
}

// text is an integer as often as not, for a listpack keeps those differently.
func text(rnd *rand.Rand, space int) []byte {
	n := rnd.IntN(space)
	switch rnd.IntN(4) {
	case 0:
		return fmt.Appendf(nil, "text %d", n)
	case 1:
		return fmt.Appendf(nil, "0%d", n)
	}
	return fmt.Append(nil, n*n*n-1)
}

func TestHash_RandomOperations_AgreeWithGoMap(t *testing.T) {
	rnd := modeltest.Rand(t)
	for range modeltest.Rounds(100) {
		h, model := New(), map[string]string{}
		lim := Limits{MaxEntries: rnd.IntN(200), MaxValue: 10 + rnd.IntN(20)}
		space := 1 + rnd.IntN(300)
		for range 4 {
			for range rnd.IntN(300) {
				field := text(rnd, space)
				_, had := model[string(field)]
				if rnd.IntN(3) > 0 {
					value := text(rnd, 1<<20)
					if created := h.Set(field, value, lim); created == had {
						t.Fatalf("Set %q: created %v, was there %v", field, created, had)
					}
					model[string(field)] = string(value)
				} else {
					if ok := h.Delete(field); ok != had {
						t.Fatalf("Delete %q: %v, want %v", field, ok, had)
					}
					delete(model, string(field))
				}
			}
			check(t, h, model)
			field, value, ok := h.Random(rnd.Uint64())
			if want, had := model[string(field)]; ok != (len(model) > 0) || ok && (!had || string(value) != want) {
				t.Fatalf("Random: %q %q %v", field, value, ok)
			}
		}
	}
}

func TestHash_InputIsCopied_CallersBuffersMayChange(t *testing.T) {
	for _, lim := range []Limits{{}, DefaultLimits} {
		h, field, value := New(), []byte("field"), []byte("value")
		h.Set(field, value, lim)
		copy(field, "FIELD")
		copy(value, "VALUE")
		check(t, h, map[string]string{"field": "value"})
	}
}

func TestHash_LargeForm_OverwrittenValueLeavesTheOldBytesAlone(t *testing.T) {
	h := New()
	h.Set([]byte("f"), []byte("old"), Limits{})
	old, _ := h.Get([]byte("f"))
	h.Set([]byte("f"), []byte("new"), Limits{})
	if string(old) != "old" {
		t.Fatalf("a reader's value became %q", old)
	}
}

func TestFromPacked_BeyondLimits_IsUnpacked(t *testing.T) {
	l := listpack.New()
	for _, s := range []string{"a", "1", "b", "a long value"} {
		l = l.Append([]byte(s))
	}
	for _, c := range []struct {
		lim    Limits
		packed bool
	}{{DefaultLimits, true}, {Limits{1, 64}, false}, {Limits{128, 11}, false}, {Limits{2, 12}, true}} {
		h := FromPacked(slices.Clone(l), c.lim)
		if _, packed := h.Packed(); packed != c.packed {
			t.Errorf("%+v: packed %v", c.lim, packed)
		}
		check(t, h, map[string]string{"a": "1", "b": "a long value"})
	}
}

func TestHash_RandomOperations_PackedBytesAndEncodingAreRedis(t *testing.T) {
	rnd := modeltest.Rand(t)
	ctx := context.Background()
	server := testredis.Start(t, testredis.Options{Args: []string{"--rdbcompression", "no"}})
	client := server.Client()
	for round := range modeltest.Rounds(15) {
		key := fmt.Sprint("h", round)
		h := New()
		pipe := client.Pipeline()
		space := 1 + rnd.IntN(700)
		for range 1200 {
			field, value := text(rnd, space), text(rnd, 1<<20)
			if rnd.IntN(3000) == 0 {
				value = bytes.Repeat([]byte("v"), 60+rnd.IntN(8))
			}
			if rnd.IntN(4) > 0 {
				h.Set(field, value, DefaultLimits)
				pipe.HSet(ctx, key, field, value)
			} else {
				h.Delete(field)
				pipe.HDel(ctx, key, string(field))
				if h.Len() == 0 {
					h = New() // the key is gone
				}
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		if h.Len() == 0 {
			continue
		}
		ours, packed := h.Packed()
		encoding := client.ObjectEncoding(ctx, key).Val()
		if packed != (encoding == "listpack") {
			t.Fatalf("packed %v, redis says %s", packed, encoding)
		}
		if packed {
			if kind, theirs := modeltest.PackedBytes(t, server, key); kind != 16 || !bytes.Equal(ours, theirs) {
				t.Fatalf("bytes of type %d:\n%q, redis\n%q", kind, ours, theirs)
			}
		}
		check(t, h, client.HGetAll(ctx, key).Val())
	}
}

func BenchmarkHash_Set(b *testing.B) {
	for _, n := range []int{10, 100, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			fields := make([][]byte, n)
			for i := range fields {
				fields[i] = fmt.Append(nil, "field:", i)
			}
			h, value := New(), []byte("some value")
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				h.Set(fields[i%n], value, DefaultLimits)
				i++
			}
		})
	}
}

func TestReserve_NewHash_TakesOnePieceOfMemory(t *testing.T) {
	pairs := [][]byte{[]byte("name"), []byte("n000000000001"), []byte("age"), []byte("42"), []byte("city"), []byte("Berlin")}
	var h Hash
	if n := testing.AllocsPerRun(100, func() {
		h = Hash{}
		h.Reserve(pairs, DefaultLimits)
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1], DefaultLimits)
		}
	}); n != 1 {
		t.Errorf("%v allocations for a small hash", n)
	}
	if l, _ := h.Packed(); len(l) != listpack.SizeOf(pairs) {
		t.Errorf("%d bytes, reckoned were %d", len(l), listpack.SizeOf(pairs))
	}
	large := Hash{}
	long := [][]byte{[]byte("f"), make([]byte, DefaultLimits.MaxValue+1)}
	large.Reserve(long, DefaultLimits)
	large.Set(long[0], long[1], DefaultLimits)
	if _, packed := large.Packed(); packed || large.Len() != 1 {
		t.Errorf("a long value: packed %v, %d fields", packed, large.Len())
	}
}
