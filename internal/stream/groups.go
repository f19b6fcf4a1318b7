package stream

import (
	"bytes"
	"slices"
)

// FindGroup is the group of a name, nil when there is none. It stays valid until
// a group is added or removed.
func (s *Stream) FindGroup(name []byte) *Group {
	i, found := s.groupAt(name)
	if !found {
		return nil
	}
	return &s.Groups[i]
}

// AddGroup adds a group without consumers, unless there is one of its name.
func (s *Stream) AddGroup(name []byte, lastID ID, entriesRead int64) bool {
	i, found := s.groupAt(name)
	if found {
		return false
	}
	s.Groups = slices.Insert(s.Groups, i, Group{Name: bytes.Clone(name), LastID: lastID, EntriesRead: entriesRead})
	return true
}

// RemoveGroup removes a group and tells whether there was one.
func (s *Stream) RemoveGroup(name []byte) bool {
	i, found := s.groupAt(name)
	if found {
		s.Groups = slices.Delete(s.Groups, i, i+1)
	}
	return found
}

// groupAt finds a group; they are in the order of their names, as in Redis's
// files.
func (s *Stream) groupAt(name []byte) (i int, found bool) {
	return slices.BinarySearchFunc(s.Groups, name, func(g Group, name []byte) int { return bytes.Compare(g.Name, name) })
}

// Has tells whether the entry is there.
func (s *Stream) Has(id ID) bool {
	for range s.Range(id, id) {
		return true
	}
	return false
}

// FindConsumer is the consumer of a name, nil when there is none. It stays valid
// until one is added or removed.
func (g *Group) FindConsumer(name []byte) *Consumer {
	i, found := g.consumerAt(name)
	if !found {
		return nil
	}
	return &g.Consumers[i]
}

// AddConsumer adds a consumer, unless there is one of its name.
func (g *Group) AddConsumer(name []byte, seenMs int64) bool {
	i, found := g.consumerAt(name)
	if found {
		return false
	}
	g.Consumers = slices.Insert(g.Consumers, i, Consumer{Name: bytes.Clone(name), SeenMs: seenMs, ActiveMs: seenMs})
	return true
}

// RemoveConsumer removes a consumer and tells how many entries it had pending.
func (g *Group) RemoveConsumer(name []byte) (pending int) {
	i, found := g.consumerAt(name)
	if !found {
		return 0
	}
	pending = len(g.Consumers[i].Pending)
	g.Consumers = slices.Delete(g.Consumers, i, i+1)
	return pending
}

func (g *Group) consumerAt(name []byte) (i int, found bool) {
	return slices.BinarySearchFunc(g.Consumers, name, func(c Consumer, name []byte) int { return bytes.Compare(c.Name, name) })
}

// Pending finds a pending entry and whose it is.
func (g *Group) Pending(id ID) (p Pending, owner *Consumer) {
	for i := range g.Consumers {
		c := &g.Consumers[i]
		if at, found := c.pendingAt(id); found {
			return c.Pending[at], c
		}
	}
	return Pending{}, nil
}

// Hold makes an entry pending for the consumer, in the place of what is noted of
// it. No other consumer of the group may have it pending.
func (c *Consumer) Hold(p Pending) {
	at, found := c.pendingAt(p.ID)
	if found {
		c.Pending[at] = p
		return
	}
	c.Pending = slices.Insert(c.Pending, at, p)
}

// Release makes an entry pending no more, and tells whether it was.
func (c *Consumer) Release(id ID) bool {
	at, found := c.pendingAt(id)
	if found {
		c.Pending = slices.Delete(c.Pending, at, at+1)
	}
	return found
}

func (c *Consumer) pendingAt(id ID) (at int, found bool) {
	n := len(c.Pending)
	if n == 0 || c.Pending[n-1].ID.Compare(id) < 0 {
		return n, false // how a log is replayed
	}
	return slices.BinarySearchFunc(c.Pending, id, func(p Pending, id ID) int { return p.ID.Compare(id) })
}
