package keyspace

// Keyspace is a set of numbered databases.
type Keyspace struct {
	// Seq is the sequence number that changes are stamped with: that of the
	// unit being run. The engine sets it.
	Seq uint64

	// Stats are counted here because look-ups happen here.
	Stats Stats

	dbs   []*DB
	epoch uint32
}

// Stats counts since the engine started.
type Stats struct {
	Hits, Misses, Expired, Commands int64
}

// New makes n empty databases.
func New(n int) *Keyspace {
	ks := &Keyspace{dbs: make([]*DB, n)}
	for i := range ks.dbs {
		ks.dbs[i] = &DB{ks: ks, index: i, table: newTable()}
	}
	return ks
}

// DB is database number n, 0 <= n < Databases().
func (ks *Keyspace) DB(n int) *DB { return ks.dbs[n] }

// Databases is the number of databases.
func (ks *Keyspace) Databases() int { return len(ks.dbs) }

// Len is the number of keys in all databases.
func (ks *Keyspace) Len() int {
	n := 0
	for _, db := range ks.dbs {
		n += db.Len()
	}
	return n
}

// NextExpired finds a key whose deadline is at or before nowMs. It leaves it
// where it is: delete it before asking again.
func (ks *Keyspace) NextExpired(nowMs int64) (db *DB, key []byte, ok bool) {
	for _, db := range ks.dbs {
		if key, ok := db.deadlines.due(nowMs, db.deadlineOf); ok {
			return db, []byte(key), true
		}
	}
	return nil, nil, false
}
