package crawl

import (
	"sync"

	"limpet/internal/weburl"
)

// known is a set of pages that the store has: it has said so. They need not be
// sent to it again, which spares a site whose pages have a hundred links each
// nearly all of the traffic.
//
// Leaving out a page that the store has lost would lose it for good, so the set
// belongs to one run of the store, and serves pages claimed in that run alone.
// That is enough: when a restart costs the store its last writes, it loses a page
// together with the completion of the page that brought it, because both are one
// step. So whoever brought it is claimed again, in the new run, and brings it
// again.
type known struct {
	mu  sync.Mutex
	ids map[pageID]struct{}
}

type pageID [weburl.IDLen]byte

// maxKnown bounds the memory of a seed, to about 5 MB.
const maxKnown = 1 << 17

// newKnown is an empty set; nil, which knows nothing and learns nothing, when the
// store does not tell its run.
func newKnown(run string) *known {
	if run == "" {
		return nil
	}
	return &known{ids: make(map[pageID]struct{})}
}

func asPageID(id string) (p pageID, ok bool) { return p, copy(p[:], id) == len(p) && len(id) == len(p) }

// add notes pages that the store has. A full set begins anew: what is linked to
// now will be linked to again.
func (k *known) add(ids ...string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.ids)+len(ids) > maxKnown {
		clear(k.ids)
	}
	for _, id := range ids {
		if p, ok := asPageID(id); ok {
			k.ids[p] = struct{}{}
		}
	}
}

// unknown calls keep with each number from 0 to n-1 whose page the set does not
// have.
func (k *known) unknown(n int, id func(i int) string, keep func(i int)) {
	if k != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
	}
	for i := range n {
		if k != nil {
			if p, ok := asPageID(id(i)); ok {
				if _, has := k.ids[p]; has {
					continue
				}
			}
		}
		keep(i)
	}
}
