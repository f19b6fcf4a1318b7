package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"limpet/internal/listpack"
	"limpet/internal/modeltest"
	"limpet/internal/testredis"
)

type modelEntry struct {
	id     ID
	fields string
}

func collect(seq func(func(ID, [][]byte) bool)) []modelEntry {
	got := []modelEntry{}
	for id, fields := range seq {
		got = append(got, modelEntry{id, string(bytes.Join(fields, []byte("|")))})
	}
	return got
}

func check(t *testing.T, s *Stream, model []modelEntry) {
	t.Helper()
	if s.Len() != len(model) {
		t.Fatalf("Len %d, want %d", s.Len(), len(model))
	}
	if got := collect(s.All()); !slices.Equal(got, model) {
		t.Fatalf("entries\n%v, want\n%v", got, model)
	}
	want := ID{}
	if len(model) > 0 {
		want = model[0].id
	}
	if s.FirstID() != want {
		t.Fatalf("FirstID %v, want %v", s.FirstID(), want)
	}
	for _, nd := range s.nodes {
		if err := listpack.Validate(nd.pack); err != nil {
			t.Fatal(err)
		}
	}
}

func fields(rnd *rand.Rand) [][]byte {
	names := [][]string{{"url", "state"}, {"url", "state"}, {"url"}, {"1", "2", "3"}}[rnd.IntN(4)]
	var row [][]byte
	for _, name := range names {
		value := fmt.Append(nil, rnd.IntN(1<<uint(1+rnd.IntN(40)))-1000)
		if rnd.IntN(3) == 0 {
			value = bytes.Repeat([]byte("v"), rnd.IntN(100))
		}
		row = append(row, []byte(name), value)
	}
	return row
}

func TestStream_RandomOperations_AgreeWithSlice(t *testing.T) {
	rnd := modeltest.Rand(t)
	for range modeltest.Rounds(60) {
		s, model := New(), []modelEntry{}
		lim := Limits{MaxBytes: rnd.IntN(2000), MaxEntries: rnd.IntN(400)}
		added, maxDeleted, now := uint64(0), ID{}, uint64(1000)
		for range 30 {
			for range rnd.IntN(60) {
				now += uint64(rnd.IntN(3))
				id, _ := s.NextID(now)
				if rnd.IntN(4) == 0 {
					id.Seq += uint64(rnd.IntN(1000))
				}
				row := fields(rnd)
				if !s.Add(id, row, lim) || s.Add(id, row, lim) {
					t.Fatalf("Add %v", id)
				}
				model = append(model, modelEntry{id, string(bytes.Join(row, []byte("|")))})
				added++
				for _, b := range row {
					clear(b) // the caller's buffer
				}
			}
			for range rnd.IntN(30) {
				id := ID{now, 0}
				if len(model) > 0 {
					id = model[rnd.IntN(len(model))].id
				}
				id.Seq += uint64(rnd.IntN(2))
				i := slices.IndexFunc(model, func(e modelEntry) bool { return e.id == id })
				if ok := s.Delete(id); ok != (i >= 0) {
					t.Fatalf("Delete %v: %v", id, ok)
				}
				if i >= 0 {
					model = slices.Delete(model, i, i+1)
					if id.Compare(maxDeleted) > 0 {
						maxDeleted = id
					}
				}
			}
			if rnd.IntN(3) == 0 {
				maxLen := rnd.IntN(len(model) + 20)
				drop := max(len(model)-maxLen, 0)
				if got := s.TrimLen(maxLen, TrimOptions{}); got != drop {
					t.Fatalf("TrimLen %d of %d: %d", maxLen, len(model), got)
				}
				model = slices.Clone(model[drop:])
			}
			if rnd.IntN(3) == 0 && len(model) > 0 {
				drop := rnd.IntN(len(model)/2 + 1)
				if got := s.TrimBefore(model[drop].id, TrimOptions{}); got != drop {
					t.Fatalf("TrimBefore entry %d: %d", drop, got)
				}
				model = slices.Clone(model[drop:])
			}
			check(t, s, model)
			checkRanges(t, rnd, s, model)
			if s.EntriesAdded != added || s.MaxDeletedID != maxDeleted {
				t.Fatalf("added %d, max deleted %v, want %d, %v", s.EntriesAdded, s.MaxDeletedID, added, maxDeleted)
			}
		}
	}
}

func TestRange_LastIDWasSetBackBelowADeletedEntry_NewerEntriesAreFound(t *testing.T) {
	s, row := New(), [][]byte{[]byte("name"), []byte("value")}
	for _, id := range []ID{{Ms: 3}, {Ms: 100}} {
		s.Add(id, row, DefaultLimits)
	}
	s.Delete(ID{Ms: 100})
	s.TrimBefore(ID{Ms: 50}, TrimOptions{})
	s.LastID = ID{Ms: 4} // XSETID of an empty stream
	s.Add(ID{Ms: 7}, row, DefaultLimits)
	var found []ID
	for id := range s.Range(ID{Ms: 1}, ID{Ms: 8}) {
		found = append(found, id)
	}
	for id := range s.RevRange(ID{Ms: 8}, ID{Ms: 1}) {
		found = append(found, id)
	}
	if want := []ID{{Ms: 7}, {Ms: 7}}; !slices.Equal(found, want) || !s.Delete(ID{Ms: 7}) {
		t.Errorf("there and back: %v, want %v; it must be there to be deleted too", found, want)
	}
}

func TestTrim_CountsOfANodeChangeTheirSize_EntriesStayReadable(t *testing.T) {
	s, model := New(), []modelEntry{}
	for i := range uint64(400) {
		s.Add(ID{i + 1, 0}, [][]byte{[]byte("f"), []byte("v")}, Limits{})
		model = append(model, modelEntry{ID{i + 1, 0}, "f|v"})
	}
	for _, left := range []int{300, 260, 100} { // 127 is the last count of one byte
		s.TrimLen(left, TrimOptions{})
		check(t, s, model[len(model)-left:])
	}
}

func checkRanges(t *testing.T, rnd *rand.Rand, s *Stream, model []modelEntry) {
	t.Helper()
	for range 5 {
		bound := func() ID {
			if len(model) == 0 || rnd.IntN(10) == 0 {
				return []ID{{}, MaxID, s.LastID}[rnd.IntN(3)]
			}
			id := model[rnd.IntN(len(model))].id
			id.Seq += uint64(rnd.IntN(2))
			return id
		}
		start, end := bound(), bound()
		want := []modelEntry{}
		for _, e := range model {
			if e.id.Compare(start) >= 0 && e.id.Compare(end) <= 0 {
				want = append(want, e)
			}
		}
		if got := collect(s.Range(start, end)); !slices.Equal(got, want) {
			t.Fatalf("Range(%v, %v): %v, want %v", start, end, got, want)
		}
		slices.Reverse(want)
		if got := collect(s.RevRange(end, start)); !slices.Equal(got, want) {
			t.Fatalf("RevRange(%v, %v): %v, want %v", end, start, got, want)
		}
	}
}

// dumpedNodes takes the nodes out of what DUMP answers for a stream.
func dumpedNodes(t *testing.T, dump []byte) (nodes []node) {
	t.Helper()
	rest := dump[1:]
	length := func() int {
		switch rest[0] >> 6 {
		case 0:
			n := int(rest[0])
			rest = rest[1:]
			return n
		case 1:
			n := int(rest[0]&0x3f)<<8 | int(rest[1])
			rest = rest[2:]
			return n
		}
		n := int(binary.BigEndian.Uint32(rest[1:]))
		rest = rest[5:]
		return n
	}
	for range length() {
		if n := length(); n != 16 {
			t.Fatalf("key of %d bytes", n)
		}
		id := ID{binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:])}
		rest = rest[16:]
		n := length()
		nodes = append(nodes, node{master: id, pack: rest[:n]})
		rest = rest[n:]
	}
	return nodes
}

func TestStream_RandomOperations_NodesAndNumbersAreRedis(t *testing.T) {
	rnd := modeltest.Rand(t)
	ctx := context.Background()
	server := testredis.Start(t, testredis.Options{Args: []string{"--rdbcompression", "no"}})
	client := server.Client()
	for round := range modeltest.Rounds(12) {
		key := fmt.Sprint("x", round)
		s := New()
		lim := DefaultLimits
		if round%3 == 0 {
			lim = Limits{MaxBytes: rnd.IntN(4) * 500, MaxEntries: rnd.IntN(3) * 100}
		}
		client.ConfigSet(ctx, "stream-node-max-bytes", fmt.Sprint(lim.MaxBytes))
		client.ConfigSet(ctx, "stream-node-max-entries", fmt.Sprint(lim.MaxEntries))
		if lim.MaxBytes == 0 {
			lim.MaxBytes = 1 << 30 // STREAM_LISTPACK_MAX_SIZE
		}
		now := uint64(1)
		for range 12 {
			for range rnd.IntN(150) {
				now += uint64(rnd.IntN(3))
				id, _ := s.NextID(now)
				row := fields(rnd)
				s.Add(id, row, lim)
				args := []any{"XADD", key, id.String()}
				for _, f := range row {
					args = append(args, f)
				}
				if err := client.Do(ctx, args...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if s.LastID == (ID{}) {
				continue
			}
			var doomed []ID
			for id := range s.All() {
				if rnd.IntN(8) == 0 {
					doomed = append(doomed, id)
				}
			}
			for _, id := range doomed {
				if !s.Delete(id) {
					t.Fatalf("Delete %v", id)
				}
				client.XDel(ctx, key, id.String())
			}
			o := TrimOptions{WholeNodes: rnd.IntN(2) == 0}
			args := []any{"XTRIM", key, "MAXLEN", "="}
			if o.WholeNodes {
				args[3] = "~"
			}
			var ours int
			limit := func() {
				if o.WholeNodes {
					o.Limit = rnd.IntN(3) * 60
					args = append(args, "LIMIT", o.Limit)
				}
			}
			if rnd.IntN(2) == 0 {
				maxLen := rnd.IntN(s.Len() + 50)
				args = append(args, maxLen)
				limit()
				ours = s.TrimLen(maxLen, o)
			} else {
				min := ID{uint64(rnd.IntN(int(now) + 1)), uint64(rnd.IntN(2))}
				args[2] = "MINID"
				args = append(args, min.String())
				limit()
				ours = s.TrimBefore(min, o)
			}
			theirs, err := client.Do(ctx, args...).Int()
			if err != nil || ours != theirs {
				t.Fatalf("%v: %d, redis %d, %v", args, ours, theirs, err)
			}
			compare(t, s, client, key)
		}
	}
}

func compare(t *testing.T, s *Stream, client *redis.Client, key string) {
	t.Helper()
	ctx := context.Background()
	dump, err := client.Dump(ctx, key).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	theirs := dumpedNodes(t, dump)
	if len(theirs) != len(s.nodes) {
		t.Fatalf("%d nodes, redis %d", len(s.nodes), len(theirs))
	}
	for i, nd := range s.nodes {
		if nd.master != theirs[i].master || !bytes.Equal(nd.pack, theirs[i].pack) {
			t.Fatalf("node %d: %v\n%q, redis %v\n%q", i, nd.master, nd.pack, theirs[i].master, theirs[i].pack)
		}
	}
	info, err := client.Do(ctx, "XINFO", "STREAM", key).Result()
	if err != nil {
		t.Fatal(err)
	}
	m := info.(map[any]any)
	for name, ours := range map[string]any{
		"length": int64(s.Len()), "entries-added": int64(s.EntriesAdded), "last-generated-id": s.LastID.String(),
		"max-deleted-entry-id": s.MaxDeletedID.String(), "recorded-first-entry-id": s.FirstID().String(),
	} {
		if m[name] != ours {
			t.Fatalf("%s: %v, redis %v", name, ours, m[name])
		}
	}
}

func TestParseID_AgreesWithRedis(t *testing.T) {
	ctx := context.Background()
	client := testredis.Start(t, testredis.Options{}).Client()
	texts := []string{"", "-", "+", "0", "1", "1-1", "1-", "-1", "1-2-3", "01-1", "1-01", " 1-1", "1 -1", "1- 1", "+1-+1", "1-*", "1*", "a", "1-a", "*",
		"18446744073709551615-18446744073709551615", "18446744073709551616-1", "9223372036854775808", "-0-1", "1--1", "1- -1", "1-x", "0x1-1",
		"1-1\x00junk", strings.Repeat("0", 124) + "1-1", strings.Repeat("0", 125) + "1-1", "1-18446744073709551616", "1--18446744073709551615", "\t7", "7\n"}
	for _, text := range texts {
		// XRANGE takes any id; the empty stream answers or complains.
		err := client.Do(ctx, "XRANGE", "none", text, "+").Err()
		if id, ok := ParseRangeID([]byte(text), 0); ok != (err == nil) {
			t.Errorf("ParseRangeID(%q): %v, %v; redis: %v", text, id, ok, err)
		}
		if text == "*" {
			continue
		}
		theirs, err := client.Do(ctx, "XADD", "x", text, "f", "v").Text()
		id, anySeq, ok := ParseNewID([]byte(text))
		if ok && anySeq {
			id, ok = New().NextSeq(id.Ms)
		}
		switch {
		case !ok && err == nil, ok && id != (ID{}) && err != nil, err == nil && theirs != id.String():
			t.Errorf("ParseNewID(%q): %v, %v; redis: %q, %v", text, id, ok, theirs, err)
		}
		client.Del(ctx, "x")
	}
}

func TestID_NextAndPrev_CarryAndEnd(t *testing.T) {
	const top = math.MaxUint64
	for id, next := range map[ID]ID{{}: {0, 1}, {5, top}: {6, 0}, {top, 7}: {top, 8}} {
		if got, ok := id.Next(); !ok || got != next {
			t.Errorf("%v.Next: %v, %v", id, got, ok)
		}
		if got, ok := next.Prev(); !ok || got != id {
			t.Errorf("%v.Prev: %v, %v", next, got, ok)
		}
	}
	if _, ok := MaxID.Next(); ok {
		t.Error("an id above the highest")
	}
	if _, ok := (ID{}).Prev(); ok {
		t.Error("an id below the lowest")
	}
}

func TestNextID_ClockWentBack_StillRises(t *testing.T) {
	s := New()
	s.LastID = ID{1000, 5}
	for now, want := range map[uint64]ID{999: {1000, 6}, 1000: {1000, 6}, 1001: {1001, 0}} {
		if id, ok := s.NextID(now); !ok || id != want {
			t.Errorf("NextID(%d): %v, %v, want %v", now, id, ok, want)
		}
	}
	if _, ok := s.NextSeq(999); ok {
		t.Error("an id in a past millisecond")
	}
	if id, ok := s.NextSeq(1000); !ok || id != (ID{1000, 6}) {
		t.Errorf("NextSeq(1000): %v, %v", id, ok)
	}
	s.LastID = MaxID
	if _, ok := s.NextID(5); ok {
		t.Error("an id above the highest")
	}
	if s.Add(MaxID, nil, DefaultLimits) {
		t.Error("the last id was added again")
	}
}

func BenchmarkStream_Add(b *testing.B) {
	s := New()
	row := [][]byte{[]byte("url"), []byte("https://example.com/page"), []byte("state"), []byte("crawled")}
	now := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		id, _ := s.NextID(now)
		s.Add(id, row, DefaultLimits)
		if now++; now%1000 == 0 {
			s.TrimLen(10000, TrimOptions{WholeNodes: true})
		}
	}
}

func BenchmarkStream_RangeOne(b *testing.B) {
	s, rnd := New(), rand.New(rand.NewPCG(1, 2))
	row := [][]byte{[]byte("url"), []byte("https://example.com/page"), []byte("state"), []byte("crawled")}
	for i := range uint64(100000) {
		s.Add(ID{i + 1, 0}, row, DefaultLimits)
	}
	b.ReportAllocs()
	for b.Loop() {
		id := ID{rnd.Uint64N(100000) + 1, 0}
		for range s.Range(id, id) {
		}
	}
}
