package dict

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"limpet/internal/modeltest"
)

func key(i int) []byte { return fmt.Appendf(nil, "key:%d", i) }

// check fails unless the directory, the segments and the counts agree.
func (m *Map[V]) check(t testing.TB) {
	t.Helper()
	if m.dir == nil {
		return
	}
	if len(m.dir) != 1<<m.depth {
		t.Fatalf("directory of %d at depth %d", len(m.dir), m.depth)
	}
	total, deepest := 0, 0
	for i := 0; i < len(m.dir); {
		s := m.dir[i]
		span := len(m.dir) >> s.depth
		if i%span != 0 || len(s.buckets) != 1<<s.bits || (s.depth > 0 && s.bits != maxBits) {
			t.Fatalf("segment at %d: depth %d, bits %d, %d buckets", i, s.depth, s.bits, len(s.buckets))
		}
		for j := range span {
			if m.dir[i+j] != s {
				t.Fatalf("directory %d: not the segment that begins at %d", i+j, i)
			}
		}
		n := 0
		for j := range s.buckets {
			b := &s.buckets[j]
			n += len(b.entries)
			for k := range b.entries {
				if k < tagged && b.tags[k] != tag(hashOf(b.entries[k].key)) {
					t.Fatalf("wrong tag of %q", b.entries[k].key)
				}
			}
		}
		if n != s.n {
			t.Fatalf("segment at %d counts %d entries, has %d", i, s.n, n)
		}
		if s.depth == m.depth {
			deepest++
		}
		total += n
		i += span
	}
	if total != m.n || deepest != m.deepest {
		t.Fatalf("counts %d entries and %d deepest segments, has %d and %d", m.n, m.deepest, total, deepest)
	}
}

func TestMap_RandomOperations_AgreeWithGoMap(t *testing.T) {
	rnd := modeltest.Rand(t)
	for range modeltest.Rounds(5) {
		var m Map[int]
		model := map[string]int{}
		for phase := range 6 {
			space := 1 << rnd.IntN(15)
			grow := phase%2 == 0
			for range 20000 {
				k := key(rnd.IntN(space))
				if rnd.IntN(10) < 7 == grow {
					v := rnd.Int()
					_, had := model[string(k)]
					isNew := false
					if rnd.IntN(2) == 0 {
						isNew = m.Set(k, v)
					} else {
						isNew = m.SetString(string(k), v)
					}
					if isNew == had {
						t.Fatalf("Set %q: new %v, want %v", k, isNew, !had)
					}
					model[string(k)] = v
				} else {
					want, had := model[string(k)]
					if v, ok := m.Delete(k); ok != had || v != want {
						t.Fatalf("Delete %q: %v, %v, want %v, %v", k, v, ok, want, had)
					}
					delete(model, string(k))
				}
			}
			m.check(t)
			agree(t, &m, model)
		}
		for k := range model {
			m.Delete([]byte(k))
		}
		m.check(t)
		if m.Len() != 0 || len(m.dir) != 1 || len(m.dir[0].buckets) != 1 {
			t.Fatalf("emptied table: %d entries, directory %d, %d buckets", m.Len(), len(m.dir), len(m.dir[0].buckets))
		}
	}
}

func agree(t *testing.T, m *Map[int], model map[string]int) {
	t.Helper()
	if m.Len() != len(model) {
		t.Fatalf("Len %d, want %d", m.Len(), len(model))
	}
	for k, want := range model {
		if v, ok := m.Get([]byte(k)); !ok || v != want {
			t.Fatalf("Get %q: %v, %v, want %v", k, v, ok, want)
		}
	}
	seen := map[string]bool{}
	for k, v := range m.All() {
		if seen[k] || model[k] != v {
			t.Fatalf("All: %q: twice %v, value %v, want %v", k, seen[k], v, model[k])
		}
		seen[k] = true
	}
	if len(seen) != len(model) {
		t.Fatalf("All: %d entries, want %d", len(seen), len(model))
	}
}

func TestMap_KeyIsCopied_CallersBufferMayChange(t *testing.T) {
	var m Map[int]
	k := []byte("before")
	m.Set(k, 1)
	copy(k, "after!")
	if _, ok := m.Get([]byte("before")); !ok {
		t.Fatal("the key changed with the caller's buffer")
	}
}

func TestMap_EmptyKey_IsAKey(t *testing.T) {
	var m Map[int]
	if !m.Set([]byte{}, 1) || m.Set([]byte{}, 2) || m.SetString("", 3) {
		t.Fatal("the empty key was added twice")
	}
	if v, ok := m.Get(nil); !ok || v != 3 {
		t.Fatalf("Get of the empty key: %v, %v", v, ok)
	}
}

func TestMap_KeysOfOneHashPrefix_BucketsGrowDirectoryDoesNot(t *testing.T) {
	var m Map[int]
	model := map[string]int{}
	for i := 0; len(model) < 1000; i++ {
		if k := key(i); hashOf(string(k))>>57 == 0 {
			m.Set(k, i)
			model[string(k)] = i
		}
	}
	if len(m.dir) > len(model)/8 {
		t.Fatalf("directory of %d for %d entries", len(m.dir), len(model))
	}
	m.check(t)
	agree(t, &m, model)
	for k := range model {
		m.Delete([]byte(k))
	}
	m.check(t)
}

func TestMap_EditAndFind_PointAtTheStoredValue(t *testing.T) {
	var m Map[int]
	if v, meta := m.Find([]byte("none")); v != nil || meta == nil {
		t.Fatalf("Find in an empty Map: %v, %v", v, meta)
	}
	m.Set([]byte("k"), 1)
	calls := 0
	m.BeforeChange = func(b Bucket[Pair[int]]) {
		calls++
		for p := range b.All() {
			if p.Value() != 1 {
				t.Errorf("hook saw %d, want the value before the change", p.Value())
			}
		}
	}
	m.Find([]byte("k"))
	m.Edit([]byte("none"))
	if calls != 0 {
		t.Fatal("reading called the hook")
	}
	v, meta := m.Edit([]byte("k"))
	*v, meta.Stamp = 2, 77
	if got, _ := m.Get([]byte("k")); got != 2 || calls != 1 || m.BucketOf([]byte("k")).Stamp != 77 {
		t.Fatalf("after Edit: value %d, %d hook calls, stamp %d", got, calls, m.BucketOf([]byte("k")).Stamp)
	}
}

func TestMap_Stamps_NeverFallBelowTheKeysNewestChange(t *testing.T) {
	rnd := modeltest.Rand(t)
	var m Map[int]
	newest := map[int]uint64{}
	for now := uint64(1); now < 60000; now++ {
		i := rnd.IntN(6000)
		if (now/10000)%2 == 0 {
			m.Set(key(i), i)
		} else {
			m.Delete(key(i))
		}
		m.BucketOf(key(i)).Stamp = now
		newest[i] = now
		if now%997 == 0 {
			for i, want := range newest {
				if got := m.BucketOf(key(i)).Stamp; got < want {
					t.Fatalf("key %d: stamp %d, changed at %d", i, got, want)
				}
			}
		}
	}
}

func TestMap_Random_IsNearlyUniform(t *testing.T) {
	rnd := modeltest.Rand(t)
	var m Map[int]
	if _, _, ok := m.Random(1); ok {
		t.Fatal("Random of an empty Map")
	}
	const n, draws = 700, 700 * 400 // segments of different depths
	for i := range n {
		m.Set(key(i), i)
	}
	var seen [n]int
	for range draws {
		_, v, ok := m.Random(rnd.Uint64())
		if !ok {
			t.Fatal("no entry")
		}
		seen[v]++
	}
	chi := 0.0
	for _, c := range seen {
		d := float64(c) - draws/n
		chi += d * d / (draws / n)
	}
	// 699 degrees of freedom: mean 699, standard deviation 37.
	if chi > 699+6*37 {
		t.Fatalf("chi-squared %.0f over %d entries", chi, n)
	}
}

func TestMap_Random_ThinTable_FindsTheLastEntry(t *testing.T) {
	var m Map[int]
	m.Set(key(0), 0)
	for i := range 2000 {
		m.Set(key(i), i)
	}
	for i := 1; i < 2000; i++ {
		m.Delete(key(i))
	}
	for r := range uint64(100) {
		if _, v, ok := m.Random(r); !ok || v != 0 {
			t.Fatalf("Random: %v, %v", v, ok)
		}
	}
}

func BenchmarkMap_Set(b *testing.B) {
	keys := make([][]byte, b.N)
	for i := range keys {
		keys[i] = key(i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ReportAllocs()
	b.ResetTimer()
	var m Map[[2]uint64]
	for _, k := range keys {
		m.Set(k, [2]uint64{})
	}
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	// Of which 16 are the value, 16 the key's header and 16 its bytes.
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(b.N), "heapB/entry")
	runtime.KeepAlive(&m)
	runtime.KeepAlive(keys)
}

func BenchmarkMap_Get(b *testing.B) {
	const n = 1 << 20
	var m Map[[2]uint64]
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = key(i)
		m.Set(keys[i], [2]uint64{})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		m.Get(keys[rnd.IntN(n)])
	}
}
