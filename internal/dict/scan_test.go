package dict

import (
	"math/rand/v2"
	"testing"

	"limpet/internal/modeltest"
)

// churn drives the table through growth and shrink, a few changes a call.
type churn struct {
	rnd     *rand.Rand
	growing bool
	left    int
	space   int
}

func (c *churn) step(set, del func(i int)) {
	for range c.rnd.IntN(60) {
		if c.left--; c.left < 0 {
			c.growing, c.left = !c.growing, c.rnd.IntN(3*c.space)
		}
		i := c.rnd.IntN(c.space)
		if c.growing {
			set(i)
		} else {
			del(i)
		}
	}
}

func TestScan_TableGrowsAndShrinksMeanwhile_EveryStayingKeyIsSeen(t *testing.T) {
	rnd := modeltest.Rand(t)
	for range modeltest.Rounds(40) {
		var m Map[int]
		const stay = 300
		for i := range stay {
			m.Set(key(i), i)
		}
		c := churn{rnd: rnd, space: 5000, growing: rnd.IntN(2) == 0, left: rnd.IntN(3000)}
		for range rnd.IntN(200) {
			c.step(func(i int) { m.Set(key(stay+i), i) }, func(i int) { m.Delete(key(stay + i)) })
		}
		seen := map[string]bool{}
		cursor, steps := uint64(0), 0
		for {
			cursor = m.Scan(cursor, func(k string, _ int) { seen[k] = true })
			if cursor == 0 {
				break
			}
			if cursor >= 1<<positionBits {
				t.Fatalf("cursor %d", cursor)
			}
			if steps++; steps > 1<<20 {
				t.Fatal("the scan does not end")
			}
			c.step(func(i int) { m.Set(key(stay+i), i) }, func(i int) { m.Delete(key(stay + i)) })
		}
		for i := range stay {
			if !seen[string(key(i))] {
				t.Fatalf("key %d never seen", i)
			}
		}
		m.check(t)
	}
}

func TestScan_AnyNumberIsACursor(t *testing.T) {
	rnd := modeltest.Rand(t)
	var m Map[int]
	if next := m.Scan(12345, func(string, int) { t.Fatal("an entry in an empty Map") }); next != 0 {
		t.Fatalf("empty Map: next %d", next)
	}
	for i := range 3000 {
		m.Set(key(i), i)
	}
	for range 10000 {
		cursor := rnd.Uint64()
		if next := m.Scan(cursor, func(string, int) {}); next != 0 && next <= cursor&(1<<positionBits-1) {
			t.Fatalf("Scan(%d): %d", cursor, next)
		}
	}
}

// TestSnapshot_WritersGrowAndShrinkTheTable_EveryKeyOfTheCutIsSavedOnce is
// the protocol of the package comment against a copy taken at the cut.
func TestSnapshot_WritersGrowAndShrinkTheTable_EveryKeyOfTheCutIsSavedOnce(t *testing.T) {
	rnd := modeltest.Rand(t)
	var m Map[*int] // pointers, changed in place, as a keyspace would
	c := churn{rnd: rnd, space: 6000}
	set := func(i int) {
		if v, _ := m.Edit(key(i)); v != nil && rnd.IntN(2) == 0 {
			**v++
			return
		}
		n := rnd.Int()
		m.Set(key(i), &n)
	}
	del := func(i int) { m.Delete(key(i)) }
	mixed := 0
	for epoch := uint32(1); epoch <= uint32(modeltest.Rounds(80)); epoch++ {
		for range rnd.IntN(200) {
			c.step(set, del)
		}
		want := map[string]int{}
		for k, v := range m.All() {
			want[k] = *v
		}
		saved := map[string]int{}
		save := func(b Bucket[Pair[*int]]) {
			if b.Meta().Epoch >= epoch {
				return
			}
			b.Meta().Epoch = epoch
			for p := range b.All() {
				k, v := p.Key(), p.Value()
				if _, twice := saved[k]; twice {
					t.Fatalf("epoch %d: %q saved twice", epoch, k)
				}
				saved[k] = *v
			}
		}
		m.BeforeChange = save
		for cursor := m.ScanBucket(0, save); cursor != 0; cursor = m.ScanBucket(cursor, save) {
			first := m.dir[0]
			c.step(set, del)
			if m.dir[0] != first {
				mixed++
			}
		}
		m.BeforeChange = nil
		if len(saved) != len(want) {
			t.Fatalf("epoch %d: saved %d entries, want %d", epoch, len(saved), len(want))
		}
		for k, v := range want {
			if got, ok := saved[k]; !ok || got != v {
				t.Fatalf("epoch %d: %q saved as %d (%v), was %d at the cut", epoch, k, got, ok, v)
			}
		}
		m.check(t)
	}
	if mixed < 20 {
		t.Fatalf("the first segment split or merged only %d times: the test tests too little", mixed)
	}
}

func TestSnapshot_FirstInsertIntoAnEmptyMap_IsNotSaved(t *testing.T) {
	var m Map[int]
	hooked := 0
	m.BeforeChange = func(b Bucket[Pair[int]]) {
		hooked++
		if b.Len() != 0 {
			t.Error("the hook saw the new entry")
		}
		b.Meta().Epoch = 1
	}
	m.Set(key(1), 1)
	if m.BucketOf(key(1)).Epoch != 1 || hooked != 1 {
		t.Fatalf("epoch %d, %d hook calls", m.BucketOf(key(1)).Epoch, hooked)
	}
}
