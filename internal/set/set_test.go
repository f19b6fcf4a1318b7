package set

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"limpet/internal/modeltest"
	"limpet/internal/testredis"
)

func check(t *testing.T, s *Set, model map[string]bool) {
	t.Helper()
	if s.Len() != len(model) {
		t.Fatalf("Len %d, want %d", s.Len(), len(model))
	}
	all := map[string]bool{}
	for member := range s.All() {
		if all[string(member)] || !model[string(member)] || !s.Has(member) {
			t.Fatalf("All: %q: twice %v, in the model %v", member, all[string(member)], model[string(member)])
		}
		all[string(member)] = true
	}
	scanned := map[string]bool{}
	for cursor := uint64(0); ; {
		cursor = s.Scan(cursor, func(member []byte) { scanned[string(member)] = true })
		if cursor == 0 {
			break
		}
	}
	if len(all) != len(model) || len(scanned) != len(model) {
		t.Fatalf("All %d, Scan %d, want %d", len(all), len(scanned), len(model))
	}
}

// member is an integer of any width, and once in strings something else.
func member(rnd *rand.Rand, space, strings int) []byte {
	n := int64(rnd.IntN(space))
	if rnd.IntN(strings) == 0 {
		return fmt.Appendf(nil, "0%d", n)
	}
	switch rnd.IntN(200) {
	case 0:
		n *= 1e6
	case 1:
		n *= -1e12
	case 2:
		n = math.MinInt64
	}
	return fmt.Append(nil, n)
}

func TestSet_RandomOperations_AgreeWithGoMap(t *testing.T) {
	rnd := modeltest.Rand(t)
	for range modeltest.Rounds(100) {
		s, model := New(), map[string]bool{}
		lim := Limits{MaxIntset: rnd.IntN(300)}
		space, strings := 1+rnd.IntN(400), 1<<rnd.IntN(12)
		for range 4 {
			for range rnd.IntN(400) {
				m := member(rnd, space, strings)
				if rnd.IntN(3) > 0 {
					if added := s.Add(m, lim); added == model[string(m)] {
						t.Fatalf("Add %s: %v", m, added)
					}
					model[string(m)] = true
				} else {
					if removed := s.Remove(m); removed != model[string(m)] {
						t.Fatalf("Remove %s: %v", m, removed)
					}
					delete(model, string(m))
				}
			}
			check(t, s, model)
			if m, ok := s.Random(rnd.Uint64()); ok != (len(model) > 0) || ok && !model[string(m)] {
				t.Fatalf("Random: %q, %v", m, ok)
			}
			if m, ok := s.Pop(rnd.Uint64()); ok != (len(model) > 0) || s.Has(m) {
				t.Fatalf("Pop: %q, %v, still there %v", m, ok, s.Has(m))
			} else {
				delete(model, string(m))
			}
			check(t, s, model)
		}
	}
}

func TestSet_MemberIsCopied_CallersBufferMayChange(t *testing.T) {
	s, b := New(), []byte("before")
	s.Add(b, DefaultLimits)
	copy(b, "after!")
	check(t, s, map[string]bool{"before": true})
}

func TestFromPacked_BeyondLimits_IsUnpacked(t *testing.T) {
	s := New()
	for _, n := range []string{"1", "-70000", "300"} {
		s.Add([]byte(n), DefaultLimits)
	}
	ints, _ := s.Packed()
	for limit, want := range map[int]bool{2: false, 3: true} {
		s := FromPacked(slices.Clone(ints), Limits{MaxIntset: limit})
		if _, packed := s.Packed(); packed != want {
			t.Errorf("limit %d: packed %v", limit, packed)
		}
		check(t, s, map[string]bool{"1": true, "-70000": true, "300": true})
	}
}

func TestSet_RandomOperations_PackedBytesAndEncodingAreRedis(t *testing.T) {
	rnd := modeltest.Rand(t)
	ctx := context.Background()
	server := testredis.Start(t, testredis.Options{Args: []string{"--rdbcompression", "no"}})
	client := server.Client()
	for round := range modeltest.Rounds(15) {
		key := fmt.Sprint("s", round)
		s := New()
		space, strings := 1+rnd.IntN(900), 1<<rnd.IntN(16)
		pipe := client.Pipeline()
		for range 1200 {
			m := member(rnd, space, strings)
			if rnd.IntN(6) > 0 {
				s.Add(m, DefaultLimits)
				pipe.SAdd(ctx, key, m)
			} else {
				s.Remove(m)
				pipe.SRem(ctx, key, m)
				if s.Len() == 0 {
					s = New() // the key is gone
				}
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		if s.Len() == 0 {
			continue
		}
		ours, packed := s.Packed()
		encoding := client.ObjectEncoding(ctx, key).Val()
		if packed != (encoding == "intset") {
			t.Fatalf("packed %v, redis says %s", packed, encoding)
		}
		if packed {
			if kind, theirs := modeltest.PackedBytes(t, server, key); kind != 11 || !bytes.Equal(ours, theirs) {
				t.Fatalf("bytes of type %d:\n%q, redis\n%q", kind, ours, theirs)
			}
		}
		model := map[string]bool{}
		for _, m := range client.SMembers(ctx, key).Val() {
			model[m] = true
		}
		check(t, s, model)
	}
}

func BenchmarkSet_Add(b *testing.B) {
	for _, form := range []string{"%d", "member:%d"} {
		for _, n := range []int{500, 100000} {
			b.Run(fmt.Sprintf(form, n), func(b *testing.B) {
				members := make([][]byte, n)
				for i := range members {
					members[i] = fmt.Appendf(nil, form, i)
				}
				s := New()
				i := 0
				b.ReportAllocs()
				for b.Loop() {
					s.Add(members[i%n], DefaultLimits)
					i++
				}
			})
		}
	}
}
