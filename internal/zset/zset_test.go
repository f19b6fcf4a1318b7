package zset

import (
	"bytes"
	"cmp"
	"context"
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

// model is the set as a plain sorted slice.
type model struct {
	scores map[string]float64
	sorted []item
}

func (m *model) sort() {
	m.sorted = m.sorted[:0]
	for member, score := range m.scores {
		m.sorted = append(m.sorted, item{score, member})
	}
	slices.SortFunc(m.sorted, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.score, b.score), strings.Compare(a.member, b.member))
	})
}

func check(t *testing.T, z *ZSet, m *model) {
	t.Helper()
	m.sort()
	if z.Len() != len(m.sorted) {
		t.Fatalf("Len %d, want %d", z.Len(), len(m.sorted))
	}
	i := 0
	for member, score := range z.All() {
		if want := m.sorted[i]; string(member) != want.member || score != want.score {
			t.Fatalf("rank %d: %q %v, want %q %v", i, member, score, want.member, want.score)
		}
		i++
	}
	if z.large != nil {
		checkTree(t, &z.large.order)
	}
}

func checkTree(t *testing.T, tr *tree) {
	t.Helper()
	if tr.root == nil {
		return
	}
	var leaves []*node
	depth := -1
	var walk func(nd *node, level int) int
	walk = func(nd *node, level int) int {
		if nd.kids == nil {
			if depth >= 0 && depth != level {
				t.Fatal("leaves at different depths")
			}
			depth = level
			leaves = append(leaves, nd)
			if len(nd.items) == 0 && tr.n > 0 || len(nd.items) > maxItems {
				t.Fatalf("leaf of %d items", len(nd.items))
			}
			return len(nd.items)
		}
		sum := 0
		if len(nd.kids) > maxKids {
			t.Fatalf("branch of %d kids", len(nd.kids))
		}
		for i, k := range nd.kids {
			if n := walk(k.node, level+1); n != k.n {
				t.Fatalf("kid counts %d, has %d", k.n, n)
			}
			if i > 0 && k.least.compare(first(k.node)) > 0 {
				t.Fatal("an item below its divider")
			}
			sum += k.n
		}
		return sum
	}
	if n := walk(tr.root, 0); n != tr.n {
		t.Fatalf("tree counts %d, has %d", tr.n, n)
	}
	for i, leaf := range leaves {
		if i > 0 && (leaf.prev != leaves[i-1] || leaves[i-1].next != leaf) {
			t.Fatal("leaves not linked in order")
		}
	}
	if leaves[0].prev != nil || leaves[len(leaves)-1].next != nil {
		t.Fatal("the chain of leaves goes on beyond the tree")
	}
}

func first(nd *node) item {
	for nd.kids != nil {
		nd = nd.kids[0].node
	}
	return nd.items[0]
}

func TestZSet_RandomOperations_AgreeWithSortedSlice(t *testing.T) {
	rnd := modeltest.Rand(t)
	for range modeltest.Rounds(30) {
		z, m := New(), &model{scores: map[string]float64{}}
		lim := Limits{MaxEntries: rnd.IntN(200), MaxValue: 20}
		space := 1 << (3 + rnd.IntN(10))
		scores := 1 + rnd.IntN(2*space)
		for phase := range 6 {
			for range rnd.IntN(2 * space) {
				member := fmt.Sprint("m", rnd.IntN(space))
				want, had := m.scores[member]
				if rnd.IntN(10) < 8 == (phase%2 == 0) {
					score := float64(rnd.IntN(scores)) / 3
					old, existed := z.Add([]byte(member), score, lim)
					if existed != had || old != want {
						t.Fatalf("Add %s: %v, %v, want %v, %v", member, old, existed, want, had)
					}
					m.scores[member] = score
				} else {
					old, ok := z.Remove([]byte(member))
					if ok != had || old != want {
						t.Fatalf("Remove %s: %v, %v, want %v, %v", member, old, ok, want, had)
					}
					delete(m.scores, member)
				}
			}
			check(t, z, m)
			checkReads(t, rnd, z, m)
			checkRemovals(t, rnd, z, m)
			check(t, z, m)
		}
	}
}

func checkReads(t *testing.T, rnd *rand.Rand, z *ZSet, m *model) {
	t.Helper()
	n := len(m.sorted)
	for i, it := range m.sorted {
		if score, ok := z.Score([]byte(it.member)); !ok || score != it.score {
			t.Fatalf("Score %s: %v, %v, want %v", it.member, score, ok, it.score)
		}
		if rank, ok := z.Rank([]byte(it.member), false); !ok || rank != i {
			t.Fatalf("Rank %s: %v, %v, want %v", it.member, rank, ok, i)
		}
		if rank, ok := z.Rank([]byte(it.member), true); !ok || rank != n-1-i {
			t.Fatalf("reverse Rank %s: %v, %v, want %v", it.member, rank, ok, n-1-i)
		}
	}
	if _, ok := z.Rank([]byte("absent"), false); ok {
		t.Fatal("an absent member has a rank")
	}
	for range 20 {
		lo, hi := rnd.IntN(n+3)-1, rnd.IntN(n+3)-1
		want := []item{}
		if a, b := max(lo, 0), min(hi, n); a < b {
			want = append(want, m.sorted[a:b]...)
		}
		for _, reverse := range []bool{false, true} {
			got := []item{}
			for member, score := range z.ByRank(lo, hi, reverse) {
				got = append(got, item{score, string(member)})
			}
			if reverse {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("ByRank(%d, %d, %v): %v, want %v", lo, hi, reverse, got, want)
			}
		}
	}
	for range 20 {
		r := Interval{Min: float64(rnd.IntN(n+3)-1) / 3, Max: float64(rnd.IntN(2*n+3)-1) / 3,
			MinOpen: rnd.IntN(2) == 0, MaxOpen: rnd.IntN(2) == 0}
		if rnd.IntN(5) == 0 {
			r.Min, r.Max = math.Inf(-1), math.Inf(1)
		}
		in := func(f float64) bool {
			return (f > r.Min || f == r.Min && !r.MinOpen) && (f < r.Max || f == r.Max && !r.MaxOpen)
		}
		lo, hi := z.ScoreRange(r)
		for i, it := range m.sorted {
			if (lo <= i && i < hi) != in(it.score) {
				t.Fatalf("ScoreRange(%+v): %d, %d, but rank %d has score %v", r, lo, hi, i, it.score)
			}
		}
	}
	if n > 0 {
		member, score, ok := z.Random(rnd.Uint64())
		if want, had := m.scores[string(member)]; !ok || !had || score != want {
			t.Fatalf("Random: %q %v %v", member, score, ok)
		}
	}
	seen := map[string]float64{}
	for cursor := uint64(0); ; {
		cursor = z.Scan(cursor, func(member []byte, score float64) { seen[string(member)] = score })
		if cursor == 0 {
			break
		}
	}
	if len(seen) != n {
		t.Fatalf("Scan: %d members, want %d", len(seen), n)
	}
}

func checkRemovals(t *testing.T, rnd *rand.Rand, z *ZSet, m *model) {
	t.Helper()
	pop := func(i int, member []byte, score float64, ok bool) {
		if !ok || string(member) != m.sorted[i].member || score != m.sorted[i].score {
			t.Fatalf("popped %q %v %v, want %v", member, score, ok, m.sorted[i])
		}
		delete(m.scores, string(member))
		m.sort()
	}
	if len(m.sorted) > 2 {
		member, score, ok := z.PopMin()
		pop(0, member, score, ok)
		member, score, ok = z.PopMax()
		pop(len(m.sorted)-1, member, score, ok)
	}
	n := len(m.sorted)
	lo := rnd.IntN(n + 1)
	hi := lo + rnd.IntN(n-lo+1)
	if got := z.DeleteByRank(lo, hi); got != hi-lo {
		t.Fatalf("DeleteByRank(%d, %d): %d", lo, hi, got)
	}
	for _, it := range m.sorted[lo:hi] {
		delete(m.scores, it.member)
	}
}

func TestLexRange_EqualScores_AgreesWithComparison(t *testing.T) {
	rnd := modeltest.Rand(t)
	for range 100 {
		z, lim := New(), Limits{MaxEntries: rnd.IntN(60), MaxValue: 64}
		var members []string
		for range rnd.IntN(100) {
			b := make([]byte, rnd.IntN(3))
			for i := range b {
				b[i] = byte('a' + rnd.IntN(6))
			}
			if _, had := z.Add(b, 7, lim); !had {
				members = append(members, string(b))
			}
		}
		slices.Sort(members)
		for range 30 {
			bound := func() LexBound {
				return LexBound{Member: []byte{byte('a' + rnd.IntN(6))}, Open: rnd.IntN(2) == 0, Inf: rnd.IntN(20)/9 - 1}
			}
			r := LexInterval{bound(), bound()}
			lo, hi := z.LexRange(r)
			for i, s := range members {
				min, max := string(r.Min.Member), string(r.Max.Member)
				in := (r.Min.Inf < 0 || r.Min.Inf == 0 && (s > min || s == min && !r.Min.Open)) &&
					(r.Max.Inf > 0 || r.Max.Inf == 0 && (s < max || s == max && !r.Max.Open))
				if (lo <= i && i < hi) != in {
					t.Fatalf("LexRange(%+v): %d, %d; rank %d is %q", r, lo, hi, i, s)
				}
			}
		}
	}
}

func TestZSet_RisingScores_FillTheLeaves(t *testing.T) {
	z := New()
	for i := range 100 * maxItems {
		z.Add(fmt.Append(nil, i), float64(i), DefaultLimits)
	}
	leaf, leaves := z.large.order.root, 0
	for leaf.kids != nil {
		leaf = leaf.kids[0].node
	}
	for ; leaf != nil; leaf = leaf.next {
		leaves++
	}
	if leaves > 110 {
		t.Fatalf("%d leaves for what fills 100", leaves)
	}
}

func TestZSet_MemberIsCopied_CallersBufferMayChange(t *testing.T) {
	for _, lim := range []Limits{{}, DefaultLimits} {
		z, b := New(), []byte("before")
		z.Add(b, 1, lim)
		copy(b, "after!")
		if _, ok := z.Score([]byte("before")); !ok {
			t.Fatal("the member changed with the caller's buffer")
		}
		popped, _, _ := z.PopMin()
		z.Add([]byte("other!"), 1, lim)
		if string(popped) != "before" {
			t.Fatalf("what was popped changed to %q", popped)
		}
	}
}

func TestFromPacked_BeyondLimits_IsUnpacked(t *testing.T) {
	l := listpack.New().Append([]byte("a")).Append([]byte("1")).Append([]byte("long member")).Append([]byte("2.5"))
	for _, c := range []struct {
		lim    Limits
		packed bool
	}{{DefaultLimits, true}, {Limits{1, 64}, false}, {Limits{128, 5}, false}, {Limits{2, 11}, true}} {
		z := FromPacked(slices.Clone(l), c.lim)
		if _, packed := z.Packed(); packed != c.packed {
			t.Errorf("%+v: packed %v", c.lim, packed)
		}
		if score, ok := z.Score([]byte("long member")); !ok || score != 2.5 {
			t.Errorf("%+v: score %v, %v", c.lim, score, ok)
		}
	}
}

func TestZSet_RandomOperations_PackedBytesAndEncodingAreRedis(t *testing.T) {
	rnd := modeltest.Rand(t)
	ctx := context.Background()
	server := testredis.Start(t, testredis.Options{Args: []string{"--rdbcompression", "no"}})
	client := server.Client()
	scores := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e17, 1e16, 123456789012345678, math.Inf(1), math.Inf(-1), 1e-300, 5e-324, math.MaxFloat64, 3}
	for round := range modeltest.Rounds(40) {
		key := fmt.Sprint("z", round)
		z := New()
		size := 1 + rnd.IntN(150)
		for range 200 {
			member := []byte(fmt.Sprint(rnd.IntN(size)))
			if rnd.IntN(300) == 0 {
				member = bytes.Repeat([]byte("x"), 60+rnd.IntN(8))
			}
			if rnd.IntN(3) > 0 {
				score := scores[rnd.IntN(len(scores))]
				if rnd.IntN(2) == 0 {
					score = math.Float64frombits(rnd.Uint64())
				}
				if math.IsNaN(score) {
					continue
				}
				z.Add(member, score, DefaultLimits)
				if err := client.Do(ctx, "ZADD", key, FormatScore(nil, score), member).Err(); err != nil {
					t.Fatal(err)
				}
			} else {
				z.Remove(member)
				client.ZRem(ctx, key, string(member))
				if z.Len() == 0 {
					z = New() // the key is gone
				}
			}
		}
		if z.Len() == 0 {
			continue
		}
		ours, packed := z.Packed()
		encoding := client.ObjectEncoding(ctx, key).Val()
		if packed != (encoding == "listpack") {
			t.Fatalf("packed %v, redis says %s", packed, encoding)
		}
		if packed {
			if kind, theirs := modeltest.PackedBytes(t, server, key); kind != 17 || !bytes.Equal(ours, theirs) {
				t.Fatalf("bytes of type %d:\n%q, redis\n%q", kind, ours, theirs)
			}
		}
		want := client.ZRangeWithScores(ctx, key, 0, -1).Val()
		i := 0
		for member, score := range z.All() {
			if want[i] != (redis.Z{Score: score, Member: string(member)}) {
				t.Fatalf("rank %d: %q %v, redis %v", i, member, score, want[i])
			}
			i++
		}
	}
}

func TestParseScore_AgreesWithZADD(t *testing.T) {
	ctx := context.Background()
	client := testredis.Start(t, testredis.Options{}).Client()
	for _, s := range []string{"", "0", "-0", "+1", "1.", ".5", ".", "1e5", "1e", "1E+2", "e5", " 1", "1 ", "\t1", "inf", "-inf", "+inf",
		"Infinity", "-INFINITY", "infinit", "nan", "-nan", "nan(1)", "1e400", "-1e400", "1e-400", "0e-400", "5e-324", "1e-324", "0x10", "0X1p3", "0x", "0x.8", "0x1p",
		"0x1e5", "0x0p-9999", "0x1p-9999", "1_000", "0x_1p3", "--1", "+-1", "1,5", "1e5.5", "1\x00", "12345678901234567890123", "0b1", "0o7", "1p3", "4.9406564584124654e-324"} {
		err := client.Do(ctx, "ZADD", "z", s, "m").Err()
		got, ok := ParseScore([]byte(s))
		if ok != (err == nil) {
			t.Errorf("ParseScore(%q): %v, %v; redis: %v", s, got, ok, err)
			continue
		}
		// A script speaks RESP2, where a score is the server's own text.
		theirs := client.Eval(ctx, "return redis.call('zscore', KEYS[1], 'm')", []string{"z"}).Val()
		z := New()
		z.Add([]byte("m"), got, DefaultLimits)
		stored, _ := z.Score([]byte("m"))
		if text := FormatScore(nil, stored); ok && theirs != string(text) {
			t.Errorf("ParseScore(%q): %s; redis: %v", s, text, theirs)
		}
		client.Del(ctx, "z")
	}
}

func TestParseBound_AgreesWithZRANGEBYSCORE(t *testing.T) {
	ctx := context.Background()
	client := testredis.Start(t, testredis.Options{}).Client()
	client.Do(ctx, "ZADD", "z", "-inf", "a", "-1", "b", "0", "c", "1", "d", "16", "e", "inf", "f")
	for _, s := range []string{"", "(", "0", "(0", " 0", "0 ", "( 1", "(1", "((1", "inf", "(inf", "-inf", "(-inf", "+inf", "1e400", "-1e400", "nan", "0x10", "(0x10",
		"1e-400", "abc", "[1", " ", "-", "+", "1\x00x", "(+1", "1_6"} {
		theirs, err := client.Do(ctx, "ZRANGEBYSCORE", "z", s, "+inf").StringSlice()
		score, open, ok := ParseBound([]byte(s))
		if ok != (err == nil) {
			t.Errorf("ParseBound(%q): %v, %v, %v; redis: %v", s, score, open, ok, err)
			continue
		}
		if !ok {
			continue
		}
		z := New()
		for i, f := range []float64{math.Inf(-1), -1, 0, 1, 16, math.Inf(1)} {
			z.Add([]byte{byte('a' + i)}, f, DefaultLimits)
		}
		lo, hi := z.ScoreRange(Interval{Min: score, MinOpen: open, Max: math.Inf(1)})
		if hi-lo != len(theirs) {
			t.Errorf("ParseBound(%q): %v, %v: %d members; redis %v", s, score, open, hi-lo, theirs)
		}
	}
}

func BenchmarkZSet_Add(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	members := make([][]byte, 1<<20)
	for i := range members {
		members[i] = fmt.Append(nil, "member:", i)
	}
	z := New()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		z.Add(members[i&(1<<20-1)], rnd.Float64(), DefaultLimits)
		i++
	}
}

func BenchmarkZSet_Rank(b *testing.B) {
	z := New()
	members := make([][]byte, 1<<18)
	for i := range members {
		members[i] = fmt.Append(nil, "member:", i)
		z.Add(members[i], float64(i*7919%len(members)), DefaultLimits)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		z.Rank(members[i&(1<<18-1)], false)
		i += 7
	}
}

func BenchmarkZSet_AddPacked(b *testing.B) {
	z := New()
	members := make([][]byte, 100)
	for i := range members {
		members[i] = fmt.Append(nil, "member:", i)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		z.Add(members[i%100], float64(i%97)+0.5, DefaultLimits)
		i++
	}
}
