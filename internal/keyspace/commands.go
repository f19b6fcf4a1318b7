package keyspace

import (
	"strconv"

	"limpet/internal/hash"
	"limpet/internal/list"
	"limpet/internal/set"
	"limpet/internal/stream"
	"limpet/internal/zset"
	"limpet/resp"
)

// Values as the commands that make them anew, for a base without RDB
// (aof-use-rdb-preamble no): the forms of Redis's aof.c, rewriteAppendOnlyFileRio.

// itemsPerCommand is how many items of a collection one command has at most, so
// that no command gets too long for whoever replays it.
const itemsPerCommand = 64

// AppendCommands appends the commands that make a key, its value and its
// deadline, in the log's form.
func AppendCommands(dst []byte, key string, e Entry) []byte {
	w := commands{dst, key}
	switch v := e.Object.(type) {
	case Bytes:
		w.command("SET", string(v))
	case *Short:
		w.command("SET", string(v.Bytes()))
	case Int:
		w.command("SET", strconv.FormatInt(int64(v), 10))
	case *list.List:
		w.items("RPUSH", v.Len(), 1, func(chunk *chunks) {
			for element := range v.Range(0, v.Len(), false) {
				chunk.item(element)
			}
		})
	case *set.Set:
		w.items("SADD", v.Len(), 1, func(chunk *chunks) {
			for member := range v.All() {
				chunk.item(member)
			}
		})
	case *hash.Hash:
		w.items("HMSET", v.Len(), 2, func(chunk *chunks) {
			for name, value := range v.All() {
				chunk.item(name, value)
			}
		})
	case *zset.ZSet:
		var score [32]byte
		w.items("ZADD", v.Len(), 2, func(chunk *chunks) {
			for member, s := range v.All() {
				chunk.item(zset.FormatScore(score[:0], s), member)
			}
		})
	case *stream.Stream:
		w.stream(v)
	}
	if e.Deadline != 0 {
		w.command("PEXPIREAT", strconv.FormatInt(e.Deadline, 10))
	}
	return w.dst
}

// commands appends commands about one key.
type commands struct {
	dst []byte
	key string
}

// header begins a command of so many arguments behind the key.
func (w *commands) header(name string, args int) {
	w.dst = appendArg(appendArg(resp.AppendArrayHeader(w.dst, 2+args), name), w.key)
}

// command appends a whole command; the key is its first argument.
func (w *commands) command(name string, args ...string) {
	w.header(name, len(args))
	for _, a := range args {
		w.dst = appendArg(w.dst, a)
	}
}

// sub is command for those whose second word comes before the key.
func (w *commands) sub(container, name string, args ...string) {
	w.dst = appendArg(appendArg(resp.AppendArrayHeader(w.dst, 3+len(args)), container), name)
	w.dst = appendArg(w.dst, w.key)
	for _, a := range args {
		w.dst = appendArg(w.dst, a)
	}
}

func appendArg[T ~string | ~[]byte](dst []byte, arg T) []byte {
	dst = strconv.AppendInt(append(dst, '$'), int64(len(arg)), 10)
	return append(append(append(dst, '\r', '\n'), arg...), '\r', '\n')
}

// chunks spreads the items of a collection over commands.
type chunks struct {
	w     *commands
	name  string
	left  int // items to come
	room  int // items that the command under way still takes
	width int // arguments of an item
}

func (w *commands) items(name string, n, width int, all func(*chunks)) {
	all(&chunks{w: w, name: name, left: n, width: width})
}

func (c *chunks) item(args ...[]byte) {
	if c.room == 0 {
		c.room = min(c.left, itemsPerCommand)
		c.w.header(c.name, c.room*c.width)
	}
	c.room--
	c.left--
	for _, a := range args {
		c.w.dst = appendArg(c.w.dst, a)
	}
}

// stream adds the entries, then sets the numbers that deletions have moved, then
// makes the groups. A pending entry goes to its consumer by a forced claim.
func (w *commands) stream(s *stream.Stream) {
	for id, fields := range s.All() {
		w.header("XADD", 1+len(fields))
		w.dst = appendArg(w.dst, id.String())
		for _, f := range fields {
			w.dst = appendArg(w.dst, f)
		}
	}
	if s.Len() == 0 { // there is no other way to an empty stream
		w.command("XADD", "MAXLEN", "0", "0-1", "x", "y")
	}
	w.command("XSETID", s.LastID.String(),
		"ENTRIESADDED", strconv.FormatUint(s.EntriesAdded, 10), "MAXDELETEDID", s.MaxDeletedID.String())
	for _, g := range s.Groups {
		group := string(g.Name)
		w.sub("XGROUP", "CREATE", group, g.LastID.String(), "ENTRIESREAD", strconv.FormatInt(g.EntriesRead, 10))
		for _, c := range g.Consumers {
			if len(c.Pending) == 0 {
				w.sub("XGROUP", "CREATECONSUMER", group, string(c.Name))
			}
			for _, p := range c.Pending {
				w.command("XCLAIM", group, string(c.Name), "0", p.ID.String(), "TIME", strconv.FormatInt(p.DeliveredAtMs, 10),
					"RETRYCOUNT", strconv.FormatUint(p.Deliveries, 10), "JUSTID", "FORCE")
			}
		}
	}
}
