package keyspace

import "limpet/internal/dict"

// Snapshot sees every key that was there at the cut exactly once, with the value
// it had then, while writers go on changing the keyspace between two steps.
//
// Most keys are met by the walk. A bucket that a writer is about to change, and
// the walk has not reached, is saved by the writer first. Both call the same
// save function under the same lock, so no key is seen twice and none is missed;
// package dict has the argument for buckets that split or merge meanwhile.
type Snapshot struct {
	ks     *Keyspace
	tables []*table // as they were at the cut; a flush puts new ones in their place
	keys   int
	epoch  uint32
	save   func(db int, key string, e Entry)

	db     int
	cursor uint64
}

// BeginSnapshot cuts here. Only one snapshot runs at a time. save is called
// under the lock of whoever steps or writes; it must have copied or encoded the
// value when it returns.
func (ks *Keyspace) BeginSnapshot(save func(db int, key string, e Entry)) *Snapshot {
	ks.epoch++
	s := &Snapshot{ks: ks, epoch: ks.epoch, save: save, keys: ks.Len()}
	for i, db := range ks.dbs {
		s.tables = append(s.tables, db.table)
		db.table.BeforeChange = func(b dict.Bucket[*record]) { s.visit(i, b) }
	}
	return s
}

// Keys is the number of keys at the cut.
func (s *Snapshot) Keys() int { return s.keys }

// DBSizes gives, for each database at the cut, its number and its size. It is
// to be asked before the first writer runs.
func (s *Snapshot) DBSizes(yield func(db, keys, volatile int)) {
	for i, db := range s.ks.dbs {
		if n := s.tables[i].Len(); n > 0 {
			yield(i, n, db.volatile)
		}
	}
}

func (s *Snapshot) visit(db int, b dict.Bucket[*record]) {
	meta := b.Meta()
	if meta.Epoch >= s.epoch {
		return
	}
	meta.Epoch = s.epoch
	for r := range b.All() {
		s.save(db, r.Key(), r.entry())
	}
}

// Step walks on until enough says so, asked after each bucket, or everything has
// been seen.
func (s *Snapshot) Step(enough func() bool) (done bool) {
	for s.db < len(s.tables) {
		s.cursor = s.tables[s.db].ScanBucket(s.cursor, func(b dict.Bucket[*record]) { s.visit(s.db, b) })
		if s.cursor == 0 {
			s.db++
		}
		if enough() {
			break
		}
	}
	return s.db == len(s.tables)
}

// End stops saving; it is called once, when the walk is done or given up.
func (s *Snapshot) End() {
	for _, t := range s.tables {
		t.BeforeChange = nil
	}
}
