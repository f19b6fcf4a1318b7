package keyspace

import "container/heap"

// deadlines finds the key that is due next. It is a heap of what was once true:
// an item counts only while its key still has exactly that deadline, so a
// changed or deleted key costs nothing at once and is swept out in bulk.
type deadlines struct{ items deadlineHeap }

type deadline struct {
	at  int64 // Unix ms
	key string
}

// sweepSlack is how many stale items may lie about before a sweep is thought of.
const sweepSlack = 64

// add notes a deadline. live is the number of keys that have one, now tells a
// key's present deadline.
func (d *deadlines) add(at int64, key string, live int, now func(string) int64) {
	heap.Push(&d.items, deadline{at, key})
	if len(d.items) > 2*live+sweepSlack {
		d.sweep(now)
	}
}

// sweep drops what no longer holds, doubles included.
func (d *deadlines) sweep(now func(string) int64) {
	seen := make(map[string]struct{}, len(d.items)/2)
	kept := d.items[:0]
	for _, x := range d.items {
		if _, dup := seen[x.key]; dup || now(x.key) != x.at {
			continue
		}
		seen[x.key] = struct{}{}
		kept = append(kept, x)
	}
	clear(d.items[len(kept):])
	d.items = kept
	heap.Init(&d.items)
}

// due gives a key whose deadline is at or before a moment.
func (d *deadlines) due(nowMs int64, now func(string) int64) (key string, ok bool) {
	for len(d.items) > 0 && d.items[0].at <= nowMs {
		if now(d.items[0].key) == d.items[0].at {
			return d.items[0].key, true
		}
		heap.Pop(&d.items)
	}
	return "", false
}

type deadlineHeap []deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h deadlineHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *deadlineHeap) Push(x any)        { *h = append(*h, x.(deadline)) }
func (h *deadlineHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = deadline{}
	*h = (*h)[:last]
	return x
}
