package list

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"limpet/internal/listpack"
	"limpet/internal/modeltest"
)

// check compares the list with the model and looks at every node.
func check(t *testing.T, l *List, model []string, lim Limits) {
	t.Helper()
	if l.Len() != len(model) {
		t.Fatalf("Len %d, want %d", l.Len(), len(model))
	}
	sum, nodes := 0, 0
	for nd := l.head; nd != nil; nd = nd.next {
		nodes++
		sum += nd.n
		switch {
		case nd.plain != nil && (nd.n != 1 || nd.pack != nil):
			t.Fatalf("plain node of %d elements", nd.n)
		case nd.plain == nil && (nd.n != nd.pack.Len() || nd.n == 0):
			t.Fatalf("node counts %d, has %d", nd.n, nd.pack.Len())
		case nd.plain == nil && nd.n > 1 && (nd.pack.Bytes() > lim.MaxBytes || lim.MaxEntries > 0 && nd.n > lim.MaxEntries):
			t.Fatalf("node of %d elements, %d bytes; limits %+v", nd.n, nd.pack.Bytes(), lim)
		case (nd.next == nil) != (nd == l.tail) || (nd.prev == nil) != (nd == l.head) || nd.next != nil && nd.next.prev != nd:
			t.Fatal("wrong links")
		}
		if nd.plain == nil {
			if err := listpack.Validate(nd.pack); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sum != l.n || nodes != l.NodeCount() {
		t.Fatalf("list counts %d elements in %d nodes, has %d in %d", l.n, l.NodeCount(), sum, nodes)
	}
	if got := collect(l, 0, l.Len(), false); !slices.Equal(got, model) {
		t.Fatalf("elements\n%q, want\n%q", got, model)
	}
}

func collect(l *List, start, stop int, reverse bool) []string {
	got := []string{}
	for v := range l.Range(start, stop, reverse) {
		got = append(got, string(v))
	}
	return got
}

func value(rnd *rand.Rand, space int) []byte {
	n := rnd.IntN(space)
	switch rnd.IntN(12) {
	case 0:
		return bytes.Repeat([]byte{byte('a' + n%26)}, n%300)
	case 1:
		return bytes.Repeat([]byte("x"), rnd.IntN(70))
	}
	return fmt.Append(nil, n)
}

func TestList_RandomOperations_AgreeWithSlice(t *testing.T) {
	rnd := modeltest.Rand(t)
	for range modeltest.Rounds(60) {
		l, model := New(), []string{}
		lim := Limits{MaxBytes: 20 + rnd.IntN(200)}
		if rnd.IntN(3) == 0 {
			lim.MaxEntries = 1 + rnd.IntN(10)
		}
		space := 1 + rnd.IntN(100)
		grow := 4 + rnd.IntN(5)
		for range 400 {
			v := value(rnd, space)
			n := len(model)
			switch op := rnd.IntN(14); {
			case op < grow/2:
				l.PushFront(v, lim)
				model = slices.Insert(model, 0, string(v))
			case op < grow:
				l.PushBack(v, lim)
				model = append(model, string(v))
			case op == 8:
				got, ok := l.PopFront()
				if ok != (n > 0) || ok && string(got) != model[0] {
					t.Fatalf("PopFront: %q, %v", got, ok)
				}
				model = model[min(n, 1):]
			case op == 9:
				got, ok := l.PopBack()
				if ok != (n > 0) || ok && string(got) != model[n-1] {
					t.Fatalf("PopBack: %q, %v", got, ok)
				}
				model = model[:max(n-1, 0)]
			case op == 10:
				i := rnd.IntN(n+2) - 1
				if ok := l.Set(i, v, lim); ok != (i >= 0 && i < n) {
					t.Fatalf("Set %d of %d: %v", i, n, ok)
				} else if ok {
					model[i] = string(v)
				}
			case op == 11:
				pivot := value(rnd, space)
				i := slices.Index(model, string(pivot))
				insert, after := l.InsertBefore, rnd.IntN(2)
				if after == 1 {
					insert = l.InsertAfter
				}
				if ok := insert(pivot, v, lim); ok != (i >= 0) {
					t.Fatalf("Insert at %q: %v, want index %d", pivot, ok, i)
				} else if ok {
					model = slices.Insert(model, i+after, string(v))
				}
			case op == 12:
				count := rnd.IntN(5) - 2
				var want int
				model, want = removed(model, count, string(v))
				if got := l.Remove(count, v); got != want {
					t.Fatalf("Remove %d of %q: %d, want %d", count, v, got, want)
				}
			case op == 13 && rnd.IntN(8) == 0:
				start, stop := rnd.IntN(n+1), rnd.IntN(n+3)-1
				start /= 3
				l.Trim(start, stop)
				model = slices.Clone(model[min(start, n):max(min(start, n), min(stop, n))])
			}
			check(t, l, model, lim)
			checkReads(t, rnd, l, model)
		}
	}
}

func removed(model []string, count int, v string) (left []string, n int) {
	model = slices.Clone(model)
	if count < 0 {
		slices.Reverse(model)
		defer func() { slices.Reverse(left) }()
		count = -count
	} else if count == 0 {
		count = len(model)
	}
	for _, s := range model {
		if s == v && n < count {
			n++
		} else {
			left = append(left, s)
		}
	}
	return left, n
}

func checkReads(t *testing.T, rnd *rand.Rand, l *List, model []string) {
	t.Helper()
	n := len(model)
	i := rnd.IntN(n+2) - 1
	if v, ok := l.Index(i); ok != (i >= 0 && i < n) || ok && string(v) != model[i] {
		t.Fatalf("Index %d: %q, %v", i, v, ok)
	}
	start, stop := rnd.IntN(n+3)-1, rnd.IntN(n+3)-1
	want := []string{}
	if a, b := max(start, 0), min(stop, n); a < b {
		want = slices.Clone(model[a:b])
	}
	if got := collect(l, start, stop, false); !slices.Equal(got, want) {
		t.Fatalf("Range(%d, %d): %q, want %q", start, stop, got, want)
	}
	slices.Reverse(want)
	if got := collect(l, start, stop, true); !slices.Equal(got, want) {
		t.Fatalf("reverse Range(%d, %d): %q, want %q", start, stop, got, want)
	}
}

func TestList_InputIsCopied_CallersBufferMayChange(t *testing.T) {
	for _, size := range []int{10, 20000} {
		l, b := New(), bytes.Repeat([]byte("b"), size)
		want := string(b)
		l.PushBack(b, DefaultLimits)
		l.PushFront(b, DefaultLimits)
		l.Set(0, b, DefaultLimits)
		clear(b)
		check(t, l, []string{want, want}, DefaultLimits)
		popped, _ := l.PopFront()
		l.Set(0, []byte("other"), DefaultLimits)
		if string(popped) != want {
			t.Fatal("what was popped changed")
		}
	}
}

func TestList_NodesGoIntoAFileAndBack(t *testing.T) {
	rnd := modeltest.Rand(t)
	l, model := New(), []string{}
	for range 5000 {
		v := value(rnd, 1000)
		if rnd.IntN(500) == 0 {
			v = bytes.Repeat(v, 9000)
		}
		l.PushBack(v, DefaultLimits)
		model = append(model, string(v))
	}
	back, nodes := New(), 0
	for n := range l.Nodes() {
		back.AppendNode(Node{Plain: n.Plain, Data: slices.Clone(n.Data)})
		nodes++
	}
	if nodes != l.NodeCount() {
		t.Fatalf("%d nodes, counted %d", nodes, l.NodeCount())
	}
	check(t, back, model, DefaultLimits)
}

func TestList_InsertionsInTheMiddle_LeaveNoSmallPieces(t *testing.T) {
	rnd := modeltest.Rand(t)
	l := New()
	for i := range 4000 {
		l.PushBack(fmt.Append(nil, "element ", i), DefaultLimits)
	}
	for range 4000 {
		pivot, _ := l.Index(rnd.IntN(l.Len()))
		l.InsertAfter(slices.Clone(pivot), []byte("in the middle"), DefaultLimits)
	}
	bytes := 0
	for n := range l.Nodes() {
		bytes += len(n.Data)
	}
	if mean := bytes / l.NodeCount(); mean < DefaultLimits.MaxBytes/3 {
		t.Fatalf("nodes of %d bytes on average", mean)
	}
}

func TestLimitsOf_IsListMaxListpackSize(t *testing.T) {
	for setting, want := range map[int]Limits{
		-1: {4096, 0}, -2: {8192, 0}, -3: {16384, 0}, -5: {65536, 0}, -9: {65536, 0}, 0: {8192, 1}, 1: {8192, 1}, 128: {8192, 128},
	} {
		if got := LimitsOf(setting); got != want {
			t.Errorf("LimitsOf(%d): %+v, want %+v", setting, got, want)
		}
	}
}

func BenchmarkList_PushBackPopFront(b *testing.B) {
	l, v := New(), []byte("https://example.com/some/page")
	for range 100000 {
		l.PushBack(v, DefaultLimits)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.PushBack(v, DefaultLimits)
		l.PopFront()
	}
}

func BenchmarkList_Index(b *testing.B) {
	l, rnd := New(), rand.New(rand.NewPCG(1, 2))
	for i := range 100000 {
		l.PushBack(fmt.Append(nil, "element ", i), DefaultLimits)
	}
	for b.Loop() {
		l.Index(rnd.IntN(100000))
	}
}
