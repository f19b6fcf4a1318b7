package keyspace

import (
	"limpet/internal/stream"
	"limpet/rdb"
)

// Streams on their way into and out of RDB files: the same numbers under other
// names. Consumer groups are carried along, so that what a real Redis put into
// them is there when it takes over again.

func streamToRDB(s *stream.Stream) *rdb.Stream {
	out := &rdb.Stream{
		LastID: rdb.StreamID(s.LastID), FirstID: rdb.StreamID(s.FirstID()), MaxDeletedID: rdb.StreamID(s.MaxDeletedID),
		Added: s.EntriesAdded, Len: s.Len(), Leaves: make([]rdb.Leaf, 0, s.Nodes()),
	}
	for master, pack := range s.Packs() {
		out.Leaves = append(out.Leaves, rdb.Leaf{Key: rdb.StreamID(master), Data: pack})
	}
	for _, g := range s.Groups {
		group := rdb.Group{Name: g.Name, LastID: rdb.StreamID(g.LastID), EntriesRead: g.EntriesRead}
		for _, c := range g.Consumers {
			consumer := rdb.Consumer{Name: c.Name, SeenMs: c.SeenMs, ActiveMs: c.ActiveMs}
			for _, p := range c.Pending {
				consumer.Pending = append(consumer.Pending, rdb.Pending{ID: rdb.StreamID(p.ID), DeliveredAtMs: p.DeliveredAtMs, Deliveries: p.Deliveries})
			}
			group.Consumers = append(group.Consumers, consumer)
		}
		out.Groups = append(out.Groups, group)
	}
	return out
}

func streamFromRDB(v *rdb.Stream) *stream.Stream {
	s := stream.New()
	for _, l := range v.Leaves {
		s.AppendPack(stream.ID(l.Key), l.Data)
	}
	for _, e := range v.Entries {
		s.Add(stream.ID(e.ID), e.Fields, stream.DefaultLimits)
	}
	s.LastID, s.MaxDeletedID, s.EntriesAdded = stream.ID(v.LastID), stream.ID(v.MaxDeletedID), v.Added
	for _, g := range v.Groups {
		group := stream.Group{Name: g.Name, LastID: stream.ID(g.LastID), EntriesRead: g.EntriesRead}
		for _, c := range g.Consumers {
			consumer := stream.Consumer{Name: c.Name, SeenMs: c.SeenMs, ActiveMs: c.ActiveMs}
			for _, p := range c.Pending {
				consumer.Pending = append(consumer.Pending, stream.Pending{ID: stream.ID(p.ID), DeliveredAtMs: p.DeliveredAtMs, Deliveries: p.Deliveries})
			}
			group.Consumers = append(group.Consumers, consumer)
		}
		s.Groups = append(s.Groups, group)
	}
	return s
}
