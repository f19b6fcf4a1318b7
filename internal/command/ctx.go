package command

import (
	"limpet/internal/hash"
	"limpet/internal/keyspace"
	"limpet/internal/list"
	"limpet/internal/set"
	"limpet/internal/stream"
	"limpet/internal/zset"
	"limpet/resp"
)

// Ctx is what a handler works with. Args[0] is the command's name as sent; Args
// are slices of the connection's buffer, so whatever is kept is copied.
type Ctx struct {
	u       *Unit
	Cmd     *Command
	Args    [][]byte
	W       *resp.Writer
	DB      *keyspace.DB
	Session *Session
}

// log states an effect: a request that does the same when the log is replayed.
// Nothing is stated while the log is being replayed.
func (c *Ctx) log(args ...[]byte) {
	if !c.u.Loading {
		c.u.fx.add(c.DB.Index(), args...)
	}
}

// logVerbatim states the request itself as the effect.
func (c *Ctx) logVerbatim() { c.log(c.Args...) }

// touch notes that a key was changed. Every handler that changes a key calls it
// once for that key, before or after the change.
func (c *Ctx) touch(key []byte) { c.u.touch(c.DB, key) }

// now is the unit's moment in Unix milliseconds.
func (c *Ctx) now() int64 { return c.u.now }

// fail writes an error reply.
func (c *Ctx) fail(text string) { c.W.Error(text) }

// view looks a key up for reading. A key whose deadline has passed is not there.
func (c *Ctx) view(key []byte) (keyspace.Object, bool) {
	e, stamp, ok := c.DB.View(key)
	if stamp > c.u.readStamp {
		c.u.readStamp = stamp
	}
	if ok && c.lapsed(e, key) {
		return nil, false
	}
	if ok {
		c.u.ks.Stats.Hits++
	} else {
		c.u.ks.Stats.Misses++
	}
	return e.Object, ok
}

// edit looks a key up for changing its value in place.
func (c *Ctx) edit(key []byte) (keyspace.Object, bool) {
	e, stamp, ok := c.DB.Edit(key)
	if stamp > c.u.readStamp {
		c.u.readStamp = stamp
	}
	if ok && c.lapsed(e, key) {
		return nil, false
	}
	return e.Object, ok
}

// exists is view without counting a hit or a miss.
func (c *Ctx) exists(key []byte) bool {
	e, stamp, ok := c.DB.View(key)
	if stamp > c.u.readStamp {
		c.u.readStamp = stamp
	}
	return ok && !c.lapsed(e, key)
}

// lapsed tells whether an entry's deadline has passed, and deletes it when that
// may be logged. While loading nothing expires: the log says DEL when it is time.
func (c *Ctx) lapsed(e keyspace.Entry, key []byte) bool {
	if e.Deadline == 0 || c.u.Loading || e.Deadline > c.u.now {
		return false
	}
	if c.u.ReadOnly == "" {
		c.u.expire(c.DB, key)
	}
	return true
}

// deadline is a key's deadline in Unix ms, 0 for none. The key exists.
func (c *Ctx) deadline(key []byte) int64 {
	e, _, _ := c.DB.View(key)
	return e.Deadline
}

// remove deletes a key and notes the change. It tells whether there was one.
func (c *Ctx) remove(key []byte) bool {
	if _, ok := c.edit(key); !ok {
		return false
	}
	c.touch(key)
	return c.DB.Delete(key)
}

// viewAs looks a key up for reading as a type. ok is false when the key holds
// another type; the error is then written.
func viewAs[T keyspace.Object](c *Ctx, key []byte) (v T, found, ok bool) {
	o, found := c.view(key)
	return as[T](c, o, found)
}

// editAs is viewAs for changing in place.
func editAs[T keyspace.Object](c *Ctx, key []byte) (v T, found, ok bool) {
	o, found := c.edit(key)
	return as[T](c, o, found)
}

func as[T keyspace.Object](c *Ctx, o keyspace.Object, found bool) (v T, _, ok bool) {
	if !found {
		return v, false, true
	}
	v, ok = o.(T)
	if !ok {
		c.fail(errWrongType)
	}
	return v, ok, ok
}

// editOrNew is editAs that makes a missing value; a value made is stored at
// once, so the caller must add something to it.
func editOrNew[T keyspace.Object](c *Ctx, key []byte, create func() T) (v T, ok bool) {
	v, found, ok := editAs[T](c, key)
	if ok && !found {
		v = create()
		c.DB.Put(key, v)
	}
	return v, ok
}

// The collection types, named once.
type (
	hashValue   = *hash.Hash
	listValue   = *list.List
	setValue    = *set.Set
	zsetValue   = *zset.ZSet
	streamValue = *stream.Stream
)

// dropIfEmpty deletes a collection that has lost its last element.
func (c *Ctx) dropIfEmpty(key []byte, n int) {
	if n == 0 {
		c.DB.Delete(key)
	}
}
