package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"limpet/rdb"
)

// Sum is what a data set comes to. The zero value is an empty one.
type Sum struct {
	Databases []Database `json:"databases"` // those with keys, ascending
	Functions string     `json:"functions,omitempty"`
}

// Database is the sum of one.
type Database struct {
	DB       int    `json:"db"`
	Keys     int64  `json:"keys"`
	Volatile int64  `json:"volatile"` // of these, with a deadline
	Sum      string `json:"sum"`      // in hexadecimal
}

// Keys is the number of keys in all databases.
func (s Sum) Keys() (n int64) {
	for _, db := range s.Databases {
		n += db.Keys
	}
	return n
}

// Equal tells whether two data sets are the same.
func (s Sum) Equal(other Sum) bool {
	return s.Functions == other.Functions && slices.Equal(s.Databases, other.Databases)
}

// Difference says in words how other differs, "" when it does not.
func (s Sum) Difference(other Sum) string {
	var parts []string
	have := map[int]Database{}
	for _, db := range other.Databases {
		have[db.DB] = db
	}
	for _, want := range s.Databases {
		got := have[want.DB]
		delete(have, want.DB)
		switch {
		case got.Keys != want.Keys:
			parts = append(parts, fmt.Sprintf("database %d: want %d keys, have %d", want.DB, want.Keys, got.Keys))
		case got.Volatile != want.Volatile:
			parts = append(parts, fmt.Sprintf("database %d: want %d keys with a deadline, have %d", want.DB, want.Volatile, got.Volatile))
		case got != want:
			parts = append(parts, fmt.Sprintf("database %d: as many keys, with other values", want.DB))
		}
	}
	for _, db := range slices.Sorted(maps.Keys(have)) {
		parts = append(parts, fmt.Sprintf("database %d: want no keys, have %d", db, have[db].Keys))
	}
	if s.Functions != other.Functions {
		parts = append(parts, "the function libraries differ")
	}
	return strings.Join(parts, "; ")
}

// Facts is what an RDB says of itself.
type Facts struct {
	Version int               // of the format
	Aux     map[string]string // redis-ver, ctime and so on
	Size    int64             // bytes up to its end
}

// Of sums up a whole RDB. Memory is that of its largest value.
func Of(r io.Reader) (Sum, Facts, error) {
	d := rdb.NewDecoder(r, rdb.DecoderOptions{})
	all := map[int]*account{}
	for {
		e, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Sum{}, Facts{}, err
		}
		a := all[e.DB]
		if a == nil {
			a = &account{}
			all[e.DB] = a
		}
		if err := a.add(e); err != nil {
			return Sum{}, Facts{}, err
		}
	}
	s := Sum{Databases: []Database{}, Functions: functions(d.Functions())}
	for _, db := range slices.Sorted(maps.Keys(all)) {
		a := all[db]
		s.Databases = append(s.Databases, Database{DB: db, Keys: a.keys, Volatile: a.volatile, Sum: hex.EncodeToString(a.sum[:])})
	}
	return s, Facts{Version: d.Version(), Aux: d.Aux(), Size: d.Consumed()}, nil
}

func functions(sources [][]byte) string {
	if len(sources) == 0 {
		return ""
	}
	var all unordered
	for _, source := range sources {
		all.add(source)
	}
	return hex.EncodeToString(all.sum[:])
}

// account is a database that is being summed up.
type account struct {
	keys, volatile int64
	sum            [sha256.Size]byte
	item           item
}

func (a *account) add(e rdb.Entry) error {
	a.item.reset()
	a.item.bytes(e.Key)
	a.item.number(e.ExpireAtMs)
	if err := a.item.value(e.Value); err != nil {
		return fmt.Errorf("digest: key %q: %w", e.Key[:min(len(e.Key), 100)], err)
	}
	a.keys++
	if e.ExpireAtMs != 0 {
		a.volatile++
	}
	h := sha256.Sum256(a.item.buf)
	xor(&a.sum, &h)
	return nil
}

func xor(sum, h *[sha256.Size]byte) {
	for i := range sum {
		sum[i] ^= h[i]
	}
}

// item is the one form that a thing has here, however it lay in its file. All
// strings have their length before them, so that no two things are one.
type item struct{ buf []byte }

func (i *item) reset() { i.buf = i.buf[:0] }

func (i *item) bytes(b []byte) {
	i.number(int64(len(b)))
	i.buf = append(i.buf, b...)
}

func (i *item) number(n int64) { i.buf = binary.LittleEndian.AppendUint64(i.buf, uint64(n)) }

func (i *item) id(id rdb.StreamID) {
	i.number(int64(id.Ms))
	i.number(int64(id.Seq))
}

// unordered sums up things without an order.
type unordered struct {
	n   int64
	sum [sha256.Size]byte
}

func (u *unordered) add(b []byte) {
	h := sha256.Sum256(b)
	xor(&u.sum, &h)
	u.n++
}

func (i *item) unordered(u unordered) {
	i.number(u.n)
	i.buf = append(i.buf, u.sum[:]...)
}

func (i *item) value(v rdb.Value) error {
	switch v := v.(type) {
	case rdb.String:
		i.buf = append(i.buf, 's')
		i.bytes(v)
	case rdb.List:
		i.buf = append(i.buf, 'l')
		i.number(int64(len(v)))
		for _, element := range v {
			i.bytes(element)
		}
	case rdb.Set:
		i.buf = append(i.buf, 'S')
		var all unordered
		for _, member := range v {
			all.add(member)
		}
		i.unordered(all)
	case rdb.Hash:
		i.buf = append(i.buf, 'h')
		var all unordered
		var one item
		for _, f := range v {
			one.reset()
			one.bytes(f.Name)
			one.bytes(f.Value)
			one.number(f.ExpireAtMs)
			all.add(one.buf)
		}
		i.unordered(all)
	case rdb.ZSet:
		i.buf = append(i.buf, 'z')
		var all unordered
		var one item
		for _, m := range v {
			one.reset()
			one.bytes(m.Name)
			one.number(int64(math.Float64bits(m.Score + 0))) // -0 is 0
			all.add(one.buf)
		}
		i.unordered(all)
	case *rdb.Stream:
		i.buf = append(i.buf, 'x')
		i.stream(v)
	case rdb.Module:
		i.buf = append(i.buf, 'm')
		i.number(int64(v.ID))
		i.bytes(v.Body)
	default:
		return fmt.Errorf("a value of type %T", v)
	}
	return nil
}

func (i *item) stream(s *rdb.Stream) {
	i.number(int64(len(s.Entries)))
	for _, e := range s.Entries {
		i.id(e.ID)
		i.number(int64(len(e.Fields)))
		for _, f := range e.Fields {
			i.bytes(f)
		}
	}
	i.id(s.LastID)
	i.id(s.MaxDeletedID)
	i.number(int64(s.Added))
	var all unordered
	var one item
	for _, g := range s.Groups {
		one.reset()
		one.group(g)
		all.add(one.buf)
	}
	i.unordered(all)
}

func (i *item) group(g rdb.Group) {
	i.bytes(g.Name)
	i.id(g.LastID)
	i.number(g.EntriesRead)
	var all unordered
	var one item
	for _, c := range g.Consumers {
		one.reset()
		one.bytes(c.Name)
		one.number(int64(len(c.Pending)))
		for _, p := range c.Pending {
			one.id(p.ID)
			one.number(p.DeliveredAtMs)
			one.number(int64(p.Deliveries))
		}
		all.add(one.buf)
	}
	i.unordered(all)
}
