package command

import (
	"iter"

	"limpet/internal/hash"
	"limpet/internal/keyspace"
	"limpet/internal/lua"
	"limpet/internal/set"
	"limpet/internal/zset"
	"limpet/resp"
)

// Unit runs requests against a keyspace, one unit at a time: a command, a MULTI
// block or a script. The engine owns one Unit and uses it under its lock:
//
//	u.Begin(now)
//	u.Process(session, args, out)
//	… append u.Effects() to the log under the sequence number u.Seq …
type Unit struct {
	ks       *keyspace.Keyspace
	host     Host
	scripts  *lua.Runtime
	watchers watchers
	Limits   Limits

	now   int64 // Unix ms at Begin; the same for all that the unit runs
	nowUs int64

	fx          Effects
	changed     bool // some key was changed since Begin
	independent bool // the effects need no MULTI around them
	readStamp   uint64
	ReadOnly    string // why writes are refused, a wire error; "" when they are not
	Loading     bool   // the log is being replayed: nothing expires, nothing is logged
	Changes     int64  // changes to keys since the engine last reset it

	inExec  bool
	script  scriptRun
	caller  lua.Caller
	depth   int
	frames  [maxFrames]Ctx
	scratch []byte
	calls   []int64 // by Command.id
}

// maxFrames bounds nesting: a command, EXEC, EVAL, redis.call.
const maxFrames = 6

// Limits are the settings that commands depend on; names as in redis.conf.
type Limits struct {
	Databases    int
	MaxBulk      int // proto-max-bulk-len, bytes
	Password     string
	HashEntries  int // hash-max-listpack-entries
	HashValue    int // hash-max-listpack-value, bytes
	SetInts      int // set-max-intset-entries
	ZSetEntries  int // zset-max-listpack-entries
	ZSetValue    int // zset-max-listpack-value, bytes
	ListNodeSize int // list-max-listpack-size: -1 to -5 mean 4 to 64 KiB, positive is entries
	StreamNode   int // stream-node-max-entries

	// Renamed is rename-command: by a name in lower case the command that it means,
	// "" for none. Names that are not in it mean what they always do.
	Renamed map[string]string
}

// DefaultLimits are redis.conf's.
func DefaultLimits() Limits {
	return Limits{
		Databases: 16, MaxBulk: resp.MaxBulk,
		HashEntries: 512, HashValue: 64, SetInts: 512, ZSetEntries: 128, ZSetValue: 64,
		ListNodeSize: -2, StreamNode: 100,
	}
}

// Packing is how large collections may grow in their packed forms.
func (l Limits) Packing() keyspace.Packing {
	return keyspace.Packing{
		Hash: hash.Limits{MaxEntries: l.HashEntries, MaxValue: l.HashValue},
		Set:  set.Limits{MaxIntset: l.SetInts},
		ZSet: zset.Limits{MaxEntries: l.ZSetEntries, MaxValue: l.ZSetValue},
	}
}

// NewUnit is a unit over a keyspace. host answers for what lies beyond it.
func NewUnit(ks *keyspace.Keyspace, host Host, limits Limits) *Unit {
	u := &Unit{ks: ks, host: host, scripts: lua.New(), watchers: watchers{}, Limits: limits, calls: make([]int64, ids)}
	u.caller = u.callFromScript
	return u
}

// Begin starts a unit at a moment, in Unix microseconds.
func (u *Unit) Begin(nowUs int64) {
	u.nowUs, u.now = nowUs, nowUs/1000
	u.fx.reset()
	u.changed, u.independent, u.readStamp = false, false, 0
	u.depth = 0
}

// Effects is what the unit did since Begin. It is valid until the next Begin.
func (u *Unit) Effects() *Effects { return &u.fx }

// Changed tells whether any key was changed since Begin, or an effect stated.
func (u *Unit) Changed() bool { return u.changed || u.fx.Len() > 0 }

// Independent tells that the effects are deletions that nothing ties together
// (keys found expired by a walk), to be logged without MULTI.
func (u *Unit) Independent() bool { return u.independent }

// ReadStamp is the newest stamp among what the unit has read: the sequence
// number of the log record that its replies depend on.
func (u *Unit) ReadStamp() uint64 { return u.readStamp }

// Forget drops a session that has gone.
func (u *Unit) Forget(s *Session) { u.watchers.drop(s) }

// Calls yields how often each command that was called has been called, by name.
func (u *Unit) Calls() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for _, cmd := range withSubs() {
			if n := u.calls[cmd.id]; n > 0 && !yield(cmd.Name, n) {
				return
			}
		}
	}
}

// ExpireDue deletes up to limit keys whose deadline has passed and states the
// deletions as effects. It tells how many there were.
func (u *Unit) ExpireDue(limit int) int {
	n := 0
	for n < limit {
		db, key, ok := u.ks.NextExpired(u.now)
		if !ok {
			break
		}
		u.expire(db, key)
		n++
	}
	u.independent = true
	return n
}

var wordDel = []byte("DEL")

// expire deletes a key whose deadline has passed.
func (u *Unit) expire(db *keyspace.DB, key []byte) {
	u.touch(db, key)
	db.Delete(key)
	u.fx.add(db.Index(), wordDel, key)
	u.ks.Stats.Expired++
}

// touch notes that a key changes: its stamp, its watchers, the count.
func (u *Unit) touch(db *keyspace.DB, key []byte) {
	u.touchUnwatched(db, key)
	if len(u.watchers) > 0 {
		u.watchers.touched(db.Index(), key)
	}
}

// touched is touch for a change that has stamped the key itself.
func (u *Unit) touched(db *keyspace.DB, key []byte) {
	u.changed = true
	u.Changes++
	if len(u.watchers) > 0 {
		u.watchers.touched(db.Index(), key)
	}
}

// touchUnwatched is touch for a change that WATCH does not see.
func (u *Unit) touchUnwatched(db *keyspace.DB, key []byte) {
	u.changed = true
	u.Changes++
	db.Touch(key)
}

// push gives a frame for one command. Frames are reused: a handler must not
// keep its Ctx.
func (u *Unit) push() *Ctx {
	c := &u.frames[u.depth]
	u.depth++
	return c
}

func (u *Unit) pop() { u.depth-- }
