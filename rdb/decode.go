package rdb

import (
	"bytes"
	"math"
	"strconv"

	"limpet/internal/listpack"
)

// valueDecoder reads what stands behind a key.
type valueDecoder struct {
	r          *reader
	keepPacked bool
	unique     uniqueNames
}

// maxTTL bounds the expiry of a hash's field (Redis: EB_EXPIRE_TIME_MAX).
const maxTTL = 1<<48 - 2

// value reads a value of the given type. It is nil for an empty collection, and
// after an error.
func (d *valueDecoder) value(typ byte) Value {
	v := d.typed(typ)
	if d.r.err != nil {
		return nil
	}
	return v
}

func (d *valueDecoder) typed(typ byte) Value {
	r := d.r
	switch typ {
	case TypeString:
		r.begin("string")
		return String(r.string())
	case typeList:
		r.begin("list")
		return notEmpty(List(d.strings()))
	case typeSet:
		r.begin("set")
		return notEmpty(Set(d.strings()))
	case typeHash:
		r.begin("hash")
		return notEmpty(d.hash())
	case typeZSet, typeZSet2:
		r.begin("sorted set")
		return notEmpty(d.zset(typ))
	case typeHashZipmap:
		r.begin("hash in a zipmap")
		return d.packedHash(d.tuples(r.zipmap(), 2))
	case typeListZiplist:
		r.begin("list in a ziplist")
		return d.list(appendNode(nil, r.ziplist()))
	case TypeSetIntset:
		r.begin("set in an intset")
		return d.intset()
	case typeZSetZiplist:
		r.begin("sorted set in a ziplist")
		return d.packedZSet(d.tuples(r.ziplist(), 2))
	case typeHashZiplist:
		r.begin("hash in a ziplist")
		return d.packedHash(d.tuples(r.ziplist(), 2))
	case typeListQuicklist, typeListQuicklist2:
		r.begin("list in nodes")
		return d.nodes(typ)
	case TypeHashListpack:
		r.begin("hash in a listpack")
		return d.packedHash(d.listpack(2))
	case TypeZSetListpack:
		r.begin("sorted set in a listpack")
		return d.packedZSet(d.listpack(2))
	case TypeSetListpack:
		r.begin("set in a listpack")
		return d.packedSet()
	case typeHashTTLPreGA, typeHashTTL:
		r.begin("hash with expiring fields")
		return notEmpty(d.hashTTL(typ))
	case typeHashListpackTTLPreGA, typeHashListpackTTL:
		r.begin("hash with expiring fields in a listpack")
		return notEmpty(d.packedHashTTL(typ))
	case typeStream, typeStream2, typeStream3:
		r.begin("stream")
		return d.stream(typ)
	case typeModule2:
		r.begin("module value")
		return Module{ID: r.length(), Body: r.module()}
	case typeModulePreGA:
		r.begin("module value")
		r.fail(ErrUnsupported, "of Redis 4.0 release candidates, readable by its module only")
	default:
		r.corrupt("value of unknown type %d", typ)
	}
	return nil
}

// notEmpty is v, or nil in place of an empty collection.
func notEmpty[E any, V interface {
	~[]E
	Value
}](v V) Value {
	if len(v) == 0 {
		return nil
	}
	return v
}

// count is a number of elements and the room to make for them in advance: what
// a claim may cost before any element has arrived.
func (d *valueDecoder) count() (n uint64, room int) {
	n = d.r.length()
	return n, int(min(n, 1024))
}

func (d *valueDecoder) strings() [][]byte {
	n, room := d.count()
	v := make([][]byte, 0, room)
	for ; n > 0 && d.r.err == nil; n-- {
		v = append(v, d.r.string())
	}
	return v
}

func (d *valueDecoder) hash() Hash {
	n, room := d.count()
	v := make(Hash, 0, room)
	for ; n > 0 && d.r.err == nil; n-- {
		name := d.r.string()
		v = append(v, Field{Name: name, Value: d.r.string()})
	}
	return v
}

func (d *valueDecoder) zset(typ byte) ZSet {
	r := d.r
	n, room := d.count()
	v := make(ZSet, 0, room)
	for ; n > 0 && r.err == nil; n-- {
		m := Member{Name: r.string()}
		if typ == typeZSet2 {
			m.Score = r.double()
		} else {
			m.Score = r.textDouble()
		}
		if math.IsNaN(m.Score) {
			r.corrupt("score is not a number")
		}
		v = append(v, m)
	}
	return v
}

// textDouble reads a score of the first versions: its length in a byte, and
// text; or a byte that says what is not a number of text.
func (r *reader) textDouble() float64 {
	switch n := r.byte(); n {
	case 255:
		return math.Inf(-1)
	case 254:
		return math.Inf(1)
	case 253:
		return math.NaN()
	default:
		f, ok := parseScore(r.bytes(uint64(n)))
		if !ok {
			r.corrupt("score is not a number")
		}
		return f
	}
}

// parseScore reads a score as strtod does, of which Redis lets it see 127 bytes.
// One too large is infinite.
func parseScore(b []byte) (f float64, ok bool) {
	if len(b) > 127 || bytes.IndexByte(b, '_') >= 0 { // Go's numbers may have that
		return 0, false
	}
	f, err := strconv.ParseFloat(string(b), 64)
	return f, (err == nil || math.IsInf(f, 0)) && !math.IsNaN(f)
}

func (d *valueDecoder) hashTTL(typ byte) Hash {
	r := d.r
	var least uint64
	if typ == typeHashTTL {
		least = r.uint64LE()
	}
	n, room := d.count()
	v := make(Hash, 0, room)
	for ; n > 0 && r.err == nil; n-- {
		ttl := r.length()
		if ttl != 0 && typ == typeHashTTL {
			ttl += least - 1 // 0 is taken
		}
		if ttl > maxTTL {
			r.corrupt("field expires at %d", ttl)
		}
		name := r.string()
		v = append(v, Field{Name: name, Value: r.string(), ExpireAtMs: int64(ttl)})
	}
	return v
}

func (d *valueDecoder) packedHashTTL(typ byte) Hash {
	r := d.r
	if typ == typeHashListpackTTL {
		r.uint64LE() // the least expiry, which the listpack tells too
	}
	l := d.listpack(3)
	if r.err != nil {
		return nil
	}
	items := texts(listpackItems(l))
	v := make(Hash, len(items)/3)
	for i := range v {
		ttl, ok := listpack.ParseInt(items[3*i+2])
		if !ok || ttl < 0 || ttl > maxTTL {
			r.corrupt("field expires at %.100q", items[3*i+2])
			return nil
		}
		v[i] = Field{Name: items[3*i], Value: items[3*i+1], ExpireAtMs: ttl}
	}
	return v
}

// listpack reads a listpack of tuples; see tuples.
func (d *valueDecoder) listpack(tuple int) listpack.List {
	return d.tuples(d.r.listpack(), tuple)
}

// listpack reads a listpack.
func (r *reader) listpack() listpack.List {
	b := r.string()
	if r.err != nil {
		return nil
	}
	if err := listpack.Validate(b); err != nil {
		r.corrupt("%v", err)
		return nil
	}
	return b
}

// tuples passes on a listpack of tuples of which the first are unique.
func (d *valueDecoder) tuples(l listpack.List, tuple int) listpack.List {
	r := d.r
	if r.err != nil {
		return nil
	}
	if n := l.Len(); n%tuple != 0 {
		r.corrupt("%d entries in tuples of %d", n, tuple)
		return nil
	}
	if name, ok := d.unique.check(l, tuple); !ok {
		r.corrupt("%.100q is there twice", name)
		return nil
	}
	return l
}

func (d *valueDecoder) packedHash(l listpack.List) Value {
	if d.r.err != nil || l.First() < 0 {
		return nil
	}
	if d.keepPacked {
		return Packed{TypeHashListpack, l}
	}
	return d.pairs(listpackItems(l))
}

func (d *valueDecoder) packedSet() Value {
	l := d.listpack(1)
	if d.r.err != nil || l.First() < 0 {
		return nil
	}
	if d.keepPacked {
		return Packed{TypeSetListpack, l}
	}
	return Set(texts(listpackItems(l)))
}

// packedZSet unpacks a sorted set also where packed ones are kept if it is not
// in order, since code that walks them relies on that. Redis does not check it.
func (d *valueDecoder) packedZSet(l listpack.List) Value {
	if d.r.err != nil || l.First() < 0 {
		return nil
	}
	if d.keepPacked && d.inOrder(l) {
		return Packed{TypeZSetListpack, l}
	}
	return d.scored(listpackItems(l))
}

// inOrder says whether names and scores in turn ascend. A score that is no
// number fails the reader.
func (d *valueDecoder) inOrder(l listpack.List) bool {
	var last Member
	var scratch [2][20]byte
	for off, i := l.First(), 0; off >= 0; off, i = l.Next(off), i+1 {
		m := Member{Name: l.Get(off, scratch[i%2][:])}
		off = l.Next(off)
		s, n, ok := l.At(off)
		if m.Score = float64(n); !ok {
			m.Score, ok = parseScore(s)
		}
		if !ok {
			d.r.corrupt("score %.100q is not a number", s)
			return false
		}
		if i > 0 && compareMembers(last, m) >= 0 {
			return false
		}
		last = m
	}
	return true
}

func (d *valueDecoder) intset() Value {
	s := Intset(d.r.string())
	if d.r.err != nil {
		return nil
	}
	if err := s.validate(); err != nil {
		d.r.corrupt("%v", err)
		return nil
	}
	if s.Len() == 0 {
		return nil
	}
	if d.keepPacked {
		return Packed{TypeSetIntset, s}
	}
	v := make(Set, s.Len())
	for i := range v {
		v[i] = appendInt(s.At(i))
	}
	return v
}

func (d *valueDecoder) nodes(typ byte) Value {
	r := d.r
	n, room := d.count()
	nodes := make(Nodes, 0, room)
	for ; n > 0 && r.err == nil; n-- {
		container := uint64(nodePacked)
		if typ == typeListQuicklist2 {
			container = r.length()
		}
		switch {
		case container == nodePlain:
			nodes = append(nodes, Node{Plain: true, Data: r.string()})
			if len(nodes[len(nodes)-1].Data) == 0 {
				r.corrupt("plain node is empty") // so says Redis
			}
		case container != nodePacked:
			r.corrupt("node of kind %d", container)
		case typ == typeListQuicklist:
			nodes = appendNode(nodes, r.ziplist())
		default:
			nodes = appendNode(nodes, r.listpack())
		}
	}
	return d.list(nodes)
}

func (d *valueDecoder) list(nodes Nodes) Value {
	switch {
	case len(nodes) == 0:
		return nil
	case d.keepPacked:
		return nodes
	}
	return nodes.list()
}

// appendNode passes over empty nodes, as Redis does, and over none.
func appendNode(nodes Nodes, l listpack.List) Nodes {
	if l == nil || l.First() < 0 {
		return nodes
	}
	return append(nodes, Node{Data: l})
}

func (nodes Nodes) list() List {
	var v List
	for _, n := range nodes {
		if n.Plain {
			v = append(v, n.Data)
			continue
		}
		v = append(v, texts(listpackItems(n.Data))...)
	}
	return v
}

// listpackItems is the text of every entry. Strings are slices of l.
func listpackItems(l listpack.List) [][]byte {
	items := make([][]byte, 0, l.Len())
	for off := l.First(); off >= 0; off = l.Next(off) {
		items = append(items, l.Get(off, nil))
	}
	return items
}

// texts is the items in memory of their own, so that one that is kept does not
// keep all of the packed bytes.
func texts(items [][]byte) [][]byte {
	for i, it := range items {
		items[i] = append(make([]byte, 0, len(it)), it...)
	}
	return items
}

// pairs is names and values in turn.
func (d *valueDecoder) pairs(items [][]byte) Hash {
	if d.r.err != nil {
		return nil
	}
	texts(items)
	v := make(Hash, len(items)/2)
	for i := range v {
		v[i] = Field{Name: items[2*i], Value: items[2*i+1]}
	}
	return v
}

// scored is names and scores in turn.
func (d *valueDecoder) scored(items [][]byte) ZSet {
	if d.r.err != nil {
		return nil
	}
	v := make(ZSet, len(items)/2)
	for i := range v {
		score, ok := parseScore(items[2*i+1])
		if !ok {
			d.r.corrupt("score %.100q is not a number", items[2*i+1])
			return nil
		}
		v[i] = Member{append([]byte(nil), items[2*i]...), score}
	}
	return v
}
