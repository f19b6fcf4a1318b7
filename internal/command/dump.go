package command

import (
	"errors"
	"math"

	"limpet/internal/keyspace"
	"limpet/rdb"
)

// DUMP and RESTORE: a key's value out of one server and into another, as one
// value of an RDB file with a checksum behind it.

func init() {
	key := Keys{1, 1, 1}
	register("generic",
		&Command{Name: "dump", Arity: 2, Flags: ReadOnly, Keys: key, Since: "2.6.0", Doc: "Gives a key's value in the form that RESTORE takes.", Handler: dump},
		&Command{Name: "restore", Arity: -4, Flags: Write | DenyOOM | Dangerous, Keys: key, Since: "2.6.0", Doc: "Makes a key of what DUMP gave.", Handler: restore},
	)
	register("server", // as which a cluster logs a key that has moved to it
		&Command{Name: "restore-asking", Arity: -4, Flags: Write | DenyOOM | Asking | Dangerous, Keys: key, Since: "3.0.0", Doc: "RESTORE, as a cluster sends it to itself.", Handler: restore},
	)
}

func dump(c *Ctx) {
	o, found := c.view(c.Args[1])
	if !found {
		c.W.Null()
		return
	}
	payload, err := rdb.EncodeValue(keyspace.ToRDB(o))
	if err != nil {
		c.fail("ERR " + err.Error())
		return
	}
	c.W.Bulk(payload)
}

// restoreOptions are what RESTORE's words say. IDLETIME and FREQ are read and
// mean nothing: they are for choosing what to evict.
type restoreOptions struct{ replace, absolute bool }

func parseRestore(c *Ctx) (o restoreOptions, ok bool) {
	idle, freq := false, false
	for i := 4; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch word := c.Args[i]; {
		case equalFold(word, "replace"):
			o.replace = true
		case equalFold(word, "absttl"):
			o.absolute = true
		case more && !freq && equalFold(word, "idletime"):
			i, idle = i+1, true
			if !c.within(i, math.MaxInt64, "ERR Invalid IDLETIME value, must be >= 0") {
				return o, false
			}
		case more && !idle && equalFold(word, "freq"):
			i, freq = i+1, true
			if !c.within(i, math.MaxUint8, "ERR Invalid FREQ value, must be >= 0 and <= 255") {
				return o, false
			}
		default:
			c.fail(errSyntax)
			return o, false
		}
	}
	return o, true
}

// within checks that argument i is an integer from 0 to limit; otherwise is the
// error for one that is not in there.
func (c *Ctx) within(i int, limit int64, otherwise string) bool {
	n, ok := c.int(i)
	if ok && (n < 0 || n > limit) {
		c.fail(otherwise)
		return false
	}
	return ok
}

func restore(c *Ctx) {
	o, ok := parseRestore(c)
	if !ok {
		return
	}
	key := c.Args[1]
	if !o.replace && c.exists(key) {
		c.fail(errBusyKey)
		return
	}
	deadline, ok := restoreDeadline(c, o)
	if !ok {
		return
	}
	object, payload, err := c.undump(c.Args[3])
	if err != nil {
		c.fail(restoreError(err))
		return
	}
	c.W.OK()
	if deadline != 0 && deadline <= c.now() && !c.u.Loading {
		// Nobody would see the key; what it should have replaced is gone all the same.
		if c.DB.Delete(key) {
			c.touch(key)
			c.log(wordDel, key)
		}
		return
	}
	c.touch(key)
	c.DB.Set(key, object, deadline)
	c.logRestore(o, deadline, payload)
}

// restoreDeadline reads the time to live, of which 0 means for ever. One that
// ends beyond all numbers is refused: redis-server answers OK and drops the key.
func restoreDeadline(c *Ctx, o restoreOptions) (deadline int64, ok bool) {
	ttl, ok := c.int(2)
	switch {
	case !ok:
		return 0, false
	case ttl < 0:
		c.fail("ERR Invalid TTL value, must be >= 0")
		return 0, false
	case ttl == 0 || o.absolute:
		return ttl, true
	case ttl > math.MaxInt64-c.now():
		c.fail(errInvalidExpire(c.Cmd.Name))
		return 0, false
	}
	return ttl + c.now(), true
}

// undump makes the object of a payload, and a payload for the log: itself, or,
// where the Redis that our files are for would not read it, another of the same
// value. Strings in it may be as long as any that a client can send, and in the
// log as long as they once were.
func (c *Ctx) undump(payload []byte) (_ keyspace.Object, forLog []byte, err error) {
	o := rdb.DecoderOptions{KeepPacked: true}
	if !c.u.Loading {
		o.MaxString = int64(c.u.Limits.MaxBulk)
	}
	value, err := rdb.DecodeValue(payload, o)
	if err != nil {
		return nil, nil, err
	}
	object, err := keyspace.FromRDB(value, c.u.Limits.Packing())
	if err == nil && rdb.IsNewer(payload) {
		payload, err = rdb.EncodeValue(keyspace.ToRDB(object))
	}
	return object, payload, err
}

func restoreError(err error) string {
	if errors.Is(err, rdb.ErrNewer) || errors.Is(err, rdb.ErrChecksum) {
		return "ERR DUMP payload version or checksum are wrong"
	}
	if errors.Is(err, rdb.ErrUnsupported) {
		return "ERR Bad data format: " + err.Error()
	}
	return "ERR Bad data format"
}

var wordAbsTTL = []byte("ABSTTL")

// logRestore states the effect, with the deadline as a moment.
func (c *Ctx) logRestore(o restoreOptions, deadline int64, payload []byte) {
	args := append([][]byte(nil), c.Args...)
	args[3] = payload
	if !o.absolute && deadline != 0 {
		args[2] = appendInt(nil, deadline)
		args = append(args, wordAbsTTL)
	}
	c.log(args...)
}
