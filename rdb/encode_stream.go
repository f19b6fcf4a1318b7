package rdb

import (
	"fmt"
	"slices"
	"strconv"

	"limpet/internal/listpack"
)

// A stream lies in the file as Redis has it in memory: a radix tree whose leaves
// are listpacks of entries. The first entry of a leaf gives the leaf its key, and
// the field names that its others may share:
//
//	leaf   = count, deleted, n, name × n, 0, entry × (count + deleted)
//	entry  = flags, ms - key's ms, seq - key's seq, rest, number of items before
//	rest   = value × n                  where the names are the leaf's
//	       | m, (name, value) × m       otherwise
//
// Each item is one listpack entry. The format is that of Redis's src/t_stream.c.

func writeStream(w *writer, s *Stream) error {
	leaves, n := s.Leaves, s.Len
	if leaves == nil {
		var err error
		if leaves, err = packEntries(s.Entries); err != nil {
			return err
		}
		n = len(s.Entries)
	}
	w.length(uint64(len(leaves)))
	for _, l := range leaves {
		w.string(appendStreamID(nil, l.Key))
		w.string(l.Data)
	}
	w.length(uint64(n))
	w.idLengths(s.LastID)
	w.idLengths(s.FirstID)
	w.idLengths(s.MaxDeletedID)
	w.length(s.Added)
	w.length(uint64(len(s.Groups)))
	for _, g := range s.Groups {
		if err := writeGroup(w, g); err != nil {
			return err
		}
	}
	return w.err
}

// packEntries makes leaves of up to so many entries, and bytes of text, as Redis
// fills them.
func packEntries(entries []StreamEntry) (leaves []Leaf, err error) {
	var leaf leafBuilder
	var last StreamID
	size := 0
	for _, e := range entries {
		switch {
		case len(e.Fields) == 0 || len(e.Fields)%2 != 0:
			return nil, fmt.Errorf("stream entry %d-%d: %d names and values", e.ID.Ms, e.ID.Seq, len(e.Fields))
		case e.ID.Compare(last) <= 0:
			return nil, fmt.Errorf("stream entry %d-%d: not above the one before", e.ID.Ms, e.ID.Seq)
		}
		last = e.ID
		more := 0
		for _, f := range e.Fields {
			more += len(f)
		}
		if size += more; leaf.count == 0 || leaf.count == maxStreamNodeEntries || size > maxStreamNodeBytes {
			leaves = leaf.appendTo(leaves)
			leaf.begin(e)
			size = more
		}
		leaf.add(e)
	}
	return leaf.appendTo(leaves), nil
}

// leafBuilder collects the entries of one leaf.
type leafBuilder struct {
	key   StreamID
	names [][]byte // those of the first entry
	pack  listpack.List
	count int
}

func (b *leafBuilder) begin(e StreamEntry) {
	b.key, b.count, b.names = e.ID, 0, b.names[:0]
	b.pack = listpack.Make(maxStreamNodeBytes / 2)
	b.pack = b.pack.AppendInt(0).AppendInt(0).AppendInt(int64(len(e.Fields) / 2))
	for i := 0; i < len(e.Fields); i += 2 {
		b.names = append(b.names, slices.Clone(e.Fields[i]))
		b.pack = b.pack.Append(e.Fields[i])
	}
	b.pack = b.pack.AppendInt(0)
}

func (b *leafBuilder) add(e StreamEntry) {
	n := len(e.Fields) / 2
	flags, items := int64(0), 4+2*n
	if b.sharesNames(e) {
		flags, items = streamSameFields, 3+n
	}
	b.pack = b.pack.AppendInt(flags).
		AppendInt(int64(e.ID.Ms - b.key.Ms)).
		AppendInt(int64(e.ID.Seq - b.key.Seq))
	if flags == 0 {
		b.pack = b.pack.AppendInt(int64(n))
	}
	for i, f := range e.Fields {
		if flags == 0 || i%2 == 1 {
			b.pack = b.pack.Append(f)
		}
	}
	b.pack = b.pack.AppendInt(int64(items))
	b.count++
}

func (b *leafBuilder) sharesNames(e StreamEntry) bool {
	if len(e.Fields) != 2*len(b.names) {
		return false
	}
	for i, name := range b.names {
		if string(name) != string(e.Fields[2*i]) {
			return false
		}
	}
	return true
}

func (b *leafBuilder) appendTo(leaves []Leaf) []Leaf {
	if b.count == 0 {
		return leaves
	}
	b.pack = b.pack.Replace(b.pack.First(), strconv.AppendInt(nil, int64(b.count), 10))
	return append(leaves, Leaf{b.key, b.pack})
}

// writeGroup writes what is pending twice: for the group with the details, and
// for each consumer by its ids.
func writeGroup(w *writer, g Group) error {
	w.string(g.Name)
	w.idLengths(g.LastID)
	w.length(uint64(g.EntriesRead))
	var all []Pending
	for _, c := range g.Consumers {
		all = append(all, c.Pending...)
	}
	slices.SortFunc(all, func(a, b Pending) int { return a.ID.Compare(b.ID) })
	w.length(uint64(len(all)))
	for i, p := range all {
		if i > 0 && p.ID == all[i-1].ID {
			return fmt.Errorf("group %q: %d-%d is pending twice", g.Name, p.ID.Ms, p.ID.Seq)
		}
		w.streamID(p.ID)
		w.uint64LE(uint64(p.DeliveredAtMs))
		w.length(p.Deliveries)
	}
	w.length(uint64(len(g.Consumers)))
	for _, c := range g.Consumers {
		w.string(c.Name)
		w.uint64LE(uint64(c.SeenMs))
		w.length(uint64(len(c.Pending)))
		for _, p := range c.Pending {
			w.streamID(p.ID)
		}
	}
	return w.err
}
