package rdb

import (
	"fmt"
	"iter"
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
	entries := s.All
	if entries == nil {
		entries = slices.Values(s.Entries)
	}
	leaves, length, err := countLeaves(entries)
	if err != nil {
		return err
	}
	w.length(uint64(leaves))
	if n := writeLeaves(w, entries); w.err == nil && n != leaves {
		return fmt.Errorf("the stream yielded %d leaves, then %d", leaves, n)
	}
	w.length(uint64(length))
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

// leafRule says where one leaf ends and the next begins. It goes by the size of
// the text, so that the leaves can be counted without being built.
type leafRule struct{ entries, bytes int }

func (r *leafRule) begins(e StreamEntry) bool {
	size := 0
	for _, f := range e.Fields {
		size += len(f)
	}
	if r.entries == 0 || r.entries >= maxStreamNodeEntries || r.bytes+size > maxStreamNodeBytes {
		*r = leafRule{1, size}
		return true
	}
	r.entries++
	r.bytes += size
	return false
}

func countLeaves(entries iter.Seq[StreamEntry]) (leaves, length int, err error) {
	var rule leafRule
	var last StreamID
	for e := range entries {
		switch {
		case len(e.Fields) == 0 || len(e.Fields)%2 != 0:
			return 0, 0, fmt.Errorf("stream entry %d-%d: %d names and values", e.ID.Ms, e.ID.Seq, len(e.Fields))
		case e.ID.Compare(last) <= 0:
			return 0, 0, fmt.Errorf("stream entry %d-%d: not above the one before", e.ID.Ms, e.ID.Seq)
		}
		last = e.ID
		length++
		if rule.begins(e) {
			leaves++
		}
	}
	return leaves, length, nil
}

func writeLeaves(w *writer, entries iter.Seq[StreamEntry]) (leaves int) {
	var rule leafRule
	var leaf leafBuilder
	for e := range entries {
		if w.err != nil {
			return leaves
		}
		if rule.begins(e) {
			leaf.writeTo(w)
			leaf.begin(e)
			leaves++
		}
		leaf.add(e)
	}
	leaf.writeTo(w)
	return leaves
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

func (b *leafBuilder) writeTo(w *writer) {
	if b.count == 0 {
		return
	}
	b.pack = b.pack.Replace(b.pack.First(), strconv.AppendInt(nil, int64(b.count), 10))
	w.string(appendStreamID(nil, b.key))
	w.string(b.pack)
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
