package keyspace

import (
	"iter"

	"limpet/internal/dict"
)

// Entry is what a key leads to.
type Entry struct {
	Object   Object
	Deadline int64 // Unix ms; 0 means none
}

type table = dict.Table[*record]

func newTable() *table { return new(table) }

// DB is one numbered database.
type DB struct {
	ks        *Keyspace
	index     int
	table     *table
	deadlines deadlines
	volatile  int    // keys with a deadline
	floor     uint64 // stamp of the last flush: what is not there depends on it
	newest    uint64 // the newest stamp of all
}

// Index is the database's number.
func (db *DB) Index() int { return db.index }

// Len is the number of keys, those past their deadline included.
func (db *DB) Len() int { return db.table.Len() }

// Volatile is the number of keys with a deadline.
func (db *DB) Volatile() int { return db.volatile }

// Newest is the stamp of the newest change anywhere in the database: what a
// command that reads the whole of it depends on.
func (db *DB) Newest() uint64 { return db.newest }

// View finds a key for reading. stamp says which unit last changed the key or
// one near it, also when there is no such key.
func (db *DB) View(key []byte) (e Entry, stamp uint64, ok bool) {
	p, meta := db.table.Find(key)
	return db.found(p, meta)
}

// Edit finds a key whose value is about to be changed in place. A running
// snapshot saves it first.
func (db *DB) Edit(key []byte) (e Entry, stamp uint64, ok bool) {
	p, meta := db.table.Edit(key)
	return db.found(p, meta)
}

func (db *DB) found(p **record, meta *dict.BucketMeta) (e Entry, stamp uint64, ok bool) {
	stamp = db.floor
	if meta != nil && meta.Stamp > stamp {
		stamp = meta.Stamp
	}
	if p == nil {
		return e, stamp, false
	}
	return (*p).entry(), stamp, true
}

// Put stores a value under a key. The key's deadline, if it has one, stays.
func (db *DB) Put(key []byte, o Object) {
	if p, _ := db.table.Edit(key); p != nil {
		*p = (*p).with(key, o, (*p).deadline())
		return
	}
	db.table.Insert(newRecord(key, o, 0))
}

// Set stores a value under a key with a deadline in Unix ms, 0 for none. It tells
// whether the key is new.
func (db *DB) Set(key []byte, o Object, deadline int64) (isNew bool) {
	p, _ := db.table.Edit(key)
	if p == nil {
		db.insert(key, newRecord(key, o, deadline))
		return true
	}
	was := (*p).deadline()
	*p = (*p).with(key, o, deadline)
	db.moved(key, was, deadline)
	return false
}

// SetText is Set for a string, which it copies, and Touch in one.
func (db *DB) SetText(key, text []byte, deadline int64) (isNew bool) {
	p, meta := db.table.Edit(key)
	if p == nil {
		db.insert(key, textRecord(key, text, deadline)).Stamp = db.ks.Seq
		db.newest = db.ks.Seq
		return true
	}
	was := (*p).deadline()
	*p = (*p).withText(key, text, deadline)
	meta.Stamp = db.ks.Seq
	db.newest = db.ks.Seq
	db.moved(key, was, deadline)
	return false
}

func (db *DB) insert(key []byte, r *record) *dict.BucketMeta {
	meta := db.table.Insert(r)
	db.moved(key, 0, r.deadline())
	return meta
}

// Delete removes a key and tells whether it was there.
func (db *DB) Delete(key []byte) bool {
	r, ok := db.table.Remove(key)
	if ok && r.deadline() != 0 {
		db.volatile--
	}
	return ok
}

// SetDeadline gives an existing key a deadline in Unix ms, or with 0 takes it
// away. A missing key is left missing.
func (db *DB) SetDeadline(key []byte, ms int64) {
	p, _ := db.table.Edit(key)
	if p == nil {
		return
	}
	was := (*p).deadline()
	if was == ms {
		return
	}
	*p = (*p).with(key, (*p).object(), ms)
	db.moved(key, was, ms)
}

// moved notes that a key's deadline has changed.
func (db *DB) moved(key []byte, was, now int64) {
	if was == now {
		return
	}
	switch {
	case was == 0:
		db.volatile++
	case now == 0:
		db.volatile--
	}
	if now != 0 {
		db.deadlines.add(now, string(key), db.volatile, db.deadlineOf)
	}
}

// Fetch prepares for storing some keys; see [dict.Table.Fetch].
func (db *DB) Fetch(keys [][]byte) { db.table.Fetch(keys) }

// Reserve makes room in an empty database for so many keys.
func (db *DB) Reserve(keys int) { db.table.Reserve(keys) }

// Touch stamps a key's neighbourhood with the running unit.
func (db *DB) Touch(key []byte) {
	if meta := db.table.BucketOf(key); meta != nil {
		meta.Stamp = db.ks.Seq
	}
	db.newest = db.ks.Seq
}

// Flush empties the database. A running snapshot keeps what it has not yet
// saved: it goes on with the old table.
func (db *DB) Flush() {
	db.table = newTable()
	db.deadlines = deadlines{}
	db.volatile = 0
	db.floor, db.newest = db.ks.Seq, db.ks.Seq
}

// Scan shows the keys at a cursor and gives the next cursor, 0 at the end.
func (db *DB) Scan(cursor uint64, yield func(key string, e Entry)) (next uint64) {
	return db.table.Scan(cursor, func(r *record) { yield(r.Key(), r.entry()) })
}

// All yields every key once.
func (db *DB) All() iter.Seq2[string, Entry] {
	return func(yield func(string, Entry) bool) {
		for r := range db.table.All() {
			if !yield(r.Key(), r.entry()) {
				return
			}
		}
	}
}

// Random picks a key by a random number; nearly every key is equally likely.
func (db *DB) Random(rnd uint64) (key string, e Entry, ok bool) {
	r, ok := db.table.Random(rnd)
	if !ok {
		return "", e, false
	}
	return r.Key(), r.entry(), true
}

func (db *DB) deadlineOf(key string) int64 {
	if p, _ := db.table.Find([]byte(key)); p != nil {
		return (*p).deadline()
	}
	return 0
}
