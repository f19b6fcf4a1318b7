package stream

// TrimOptions says how XTRIM goes about its work. The zero value is exact and
// has no limit.
type TrimOptions struct {
	WholeNodes bool // the "~": only what goes with a whole node
	Limit      int  // with WholeNodes, at most so many entries; 0 means all
}

// TrimLen drops the oldest entries until no more than maxLen are left, and
// returns how many it dropped.
func (s *Stream) TrimLen(maxLen int, o TrimOptions) (dropped int) {
	return s.trim(o,
		func() bool { return s.n > maxLen },
		func(nd *node) bool { return s.n-nd.count >= maxLen },
		func(ID) bool { return s.n > maxLen })
}

// TrimBefore drops the entries with ids below min, and returns how many it
// dropped.
func (s *Stream) TrimBefore(min ID, o TrimOptions) (dropped int) {
	return s.trim(o,
		func() bool { return true },
		func(nd *node) bool {
			e, _ := nd.last()
			return e.id.Compare(min) < 0
		},
		func(id ID) bool { return id.Compare(min) < 0 })
}

// trim drops whole nodes while more is true and whole says that a node goes,
// then single entries of the next one, unless told not to, while single is
// true for them.
func (s *Stream) trim(o TrimOptions, more func() bool, whole func(*node) bool, single func(ID) bool) (dropped int) {
	for len(s.nodes) > 0 && more() {
		nd := s.nodes[0]
		count := nd.count
		if o.Limit > 0 && dropped+count > o.Limit {
			break
		}
		if whole(nd) {
			s.nodes[0] = nil
			s.nodes = s.nodes[1:]
			s.n -= count
			dropped += count
			continue
		}
		if o.WholeNodes {
			break
		}
		for e, ok := nd.first(); ok && single(e.id); e, ok = nd.next(e) {
			if !e.deleted() {
				e = nd.delete(e)
				s.n--
				dropped++
			}
		}
		break
	}
	return dropped
}
