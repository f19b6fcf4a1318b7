package stream

import (
	"iter"
	"slices"
	"sort"

	"limpet/internal/listpack"
)

// Limits says how large a node may grow: the settings stream-node-max-bytes
// and stream-node-max-entries. 0 means no limit.
type Limits struct {
	MaxBytes   int // of its listpack
	MaxEntries int // deleted ones included
}

// DefaultLimits are Redis's.
var DefaultLimits = Limits{MaxBytes: 4096, MaxEntries: 100}

// Stream is a stream. The zero Stream is empty and ready for use.
//
// Add and Delete keep the exported numbers; XSETID and the loading of a file
// set them.
type Stream struct {
	LastID       ID     // of the newest entry there ever was
	MaxDeletedID ID     // the highest that Delete took out
	EntriesAdded uint64 // entries there ever were
	Groups       []Group

	nodes []*node // ascending
	n     int
}

// Group is a consumer group.
type Group struct {
	Name        []byte
	LastID      ID    // the last one delivered
	EntriesRead int64 // -1 when not known
	Consumers   []Consumer
}

// Consumer is a consumer with the entries it was given and has not
// acknowledged. Within a group a pending id belongs to one consumer.
type Consumer struct {
	Name     []byte
	SeenMs   int64     // Unix time in milliseconds of its last attempt
	ActiveMs int64     // of its last success
	Pending  []Pending // ascending
}

// Pending is an entry that was delivered and not acknowledged.
type Pending struct {
	ID            ID
	DeliveredAtMs int64 // Unix time in milliseconds, of the last delivery
	Deliveries    uint64
}

// New returns an empty stream.
func New() *Stream { return &Stream{} }

// Len is the number of entries.
func (s *Stream) Len() int { return s.n }

// FirstID is the id of the oldest entry, zero when there is none.
func (s *Stream) FirstID() ID {
	for _, nd := range s.nodes {
		for e, ok := nd.first(); ok; e, ok = nd.next(e) {
			if !e.deleted() {
				return e.id
			}
		}
	}
	return ID{}
}

// NextID is the id for an entry added now, in Unix milliseconds: above LastID
// even when the clock went back. There is none after MaxID.
func (s *Stream) NextID(nowMs uint64) (id ID, ok bool) {
	if nowMs > s.LastID.Ms {
		return ID{Ms: nowMs}, true
	}
	return s.LastID.Next()
}

// NextSeq is the lowest id of the millisecond above LastID, if there is one:
// what "ms-*" stands for.
func (s *Stream) NextSeq(ms uint64) (id ID, ok bool) {
	if ms != s.LastID.Ms {
		return ID{Ms: ms}, ms > s.LastID.Ms
	}
	id, ok = s.LastID.Next()
	return id, ok && id.Ms == ms
}

// Add appends an entry of names and values in turn. It changes nothing and
// says false if the id is not above LastID.
func (s *Stream) Add(id ID, fields [][]byte, lim Limits) bool {
	if id.Compare(s.LastID) <= 0 {
		return false
	}
	var last *node
	if len(s.nodes) > 0 {
		last = s.nodes[len(s.nodes)-1]
	}
	if last == nil || last.full(fields, lim) {
		if last != nil {
			last.pack = slices.Clone(last.pack) // gives back its room to grow
		}
		last = newNode(id, fields)
		s.nodes = append(s.nodes, last)
	}
	last.add(id, fields)
	s.n++
	s.EntriesAdded++
	s.LastID = id
	return true
}

// Nodes is the number of nodes.
func (s *Stream) Nodes() int { return len(s.nodes) }

// Packs yields the nodes as they lie in Redis's files: the id of the first entry,
// deleted or not, and the listpack.
func (s *Stream) Packs() iter.Seq2[ID, listpack.List] {
	return func(yield func(ID, listpack.List) bool) {
		for _, nd := range s.nodes {
			if !yield(nd.master, nd.pack) {
				return
			}
		}
	}
}

// AppendPack adds a node behind all others; the exported numbers are for the
// caller to set. The listpack belongs to the stream from now on. It must be right
// to the last number: of the picture in the package comment nothing is checked.
func (s *Stream) AppendPack(master ID, pack listpack.List) {
	nd := &node{master: master, pack: pack}
	off := pack.First()
	nd.count = int(nd.int(off))
	off = pack.Next(off)
	nd.deleted = int(nd.int(off))
	off = pack.Next(off)
	nd.names = int(nd.int(off))
	nd.name = pack.Next(off)
	nd.body = nd.skip(nd.name, nd.names)
	s.nodes = append(s.nodes, nd)
	s.n += nd.count
}

// Delete takes out the entry and says whether it was there.
func (s *Stream) Delete(id ID) bool {
	i := s.nodeOf(id)
	if i < 0 {
		return false
	}
	nd := s.nodes[i]
	for e, ok := nd.first(); ok; e, ok = nd.next(e) {
		if e.id != id || e.deleted() {
			continue
		}
		nd.delete(e)
		s.n--
		if nd.count == 0 {
			s.nodes = slices.Delete(s.nodes, i, i+1)
		}
		if id.Compare(s.MaxDeletedID) > 0 {
			s.MaxDeletedID = id
		}
		return true
	}
	return false
}

// nodeOf is the index of the node in whose range the id lies, -1 when it is
// before all of them.
func (s *Stream) nodeOf(id ID) int {
	return sort.Search(len(s.nodes), func(i int) bool { return s.nodes[i].master.Compare(id) > 0 }) - 1
}

// All yields every entry, oldest first.
func (s *Stream) All() iter.Seq2[ID, [][]byte] { return s.Range(ID{}, MaxID) }

// Range yields the entries from start to end, both included, with names and
// values in turn, oldest first. Ids rise only among entries that are there: once
// a stream was empty, LastID may be set back, below deleted entries of its node.
func (s *Stream) Range(start, end ID) iter.Seq2[ID, [][]byte] {
	return func(yield func(ID, [][]byte) bool) {
		var d decoder
		for _, nd := range s.nodes[max(s.nodeOf(start), 0):] {
			for e, ok := nd.first(); ok; e, ok = nd.next(e) {
				if e.deleted() || e.id.Compare(start) < 0 {
					continue
				}
				if e.id.Compare(end) > 0 || !yield(e.id, d.fields(nd, e)) {
					return
				}
			}
		}
	}
}

// RevRange yields the same entries as Range, newest first.
func (s *Stream) RevRange(end, start ID) iter.Seq2[ID, [][]byte] {
	return func(yield func(ID, [][]byte) bool) {
		var d decoder
		for _, nd := range slices.Backward(s.nodes[:s.nodeOf(end)+1]) {
			for e, ok := nd.last(); ok; e, ok = nd.prev(e) {
				if e.deleted() || e.id.Compare(end) > 0 {
					continue
				}
				if e.id.Compare(start) < 0 || !yield(e.id, d.fields(nd, e)) {
					return
				}
			}
		}
	}
}
