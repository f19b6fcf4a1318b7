package usage

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"

	"limpet/clock"
	"limpet/rdb"
)

func realClock() clock.Clock { return clock.Real() }

// Key is one of the largest.
type Key struct {
	DB    int    `json:"db"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Bytes int64  `json:"bytes"`
}

// Group is the keys of one pattern in one database.
type Group struct {
	DB      int              `json:"db"`
	Pattern string           `json:"pattern"`
	Keys    int64            `json:"keys"`
	WithTTL int64            `json:"keys_with_ttl"`
	Bytes   int64            `json:"bytes"`         // an estimate, as all bytes here
	Share   float64          `json:"share_percent"` // of the bytes of all keys
	Types   map[string]int64 `json:"types"`         // how many keys of each
	Biggest Key              `json:"biggest"`
}

// Memory is what the keys of a data set take.
type Memory struct {
	Keys    int64            `json:"keys"`
	WithTTL int64            `json:"keys_with_ttl"`
	Bytes   int64            `json:"bytes"`
	Types   map[string]int64 `json:"types"`
	Groups  []Group          `json:"patterns"` // the largest first
	Folded  int64            `json:"keys_folded,omitempty"`

	shape  Shape
	groups map[groupName]*Group
}

type groupName struct {
	db      int
	pattern string
}

// mostGroups is how many patterns are told apart. Keys of further ones are one
// group, so that names without a system do not take all memory.
const mostGroups = 50_000

// foldedPattern is that group.
const foldedPattern = "(further patterns)"

// NewMemory begins an account.
func NewMemory(s Shape) *Memory {
	return &Memory{Types: map[string]int64{}, shape: s, groups: map[groupName]*Group{}}
}

// AddRDB adds all entries of an RDB. After an error the entries before it are in
// the account.
func (m *Memory) AddRDB(r io.Reader) error {
	d := rdb.NewDecoder(r, rdb.DecoderOptions{KeepPacked: true})
	for {
		e, err := d.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		m.add(e)
	}
}

func (m *Memory) add(e rdb.Entry) {
	bytes, kind := sizeOf(e)
	name := groupName{e.DB, m.shape.Pattern(string(e.Key))}
	g := m.groups[name]
	if g == nil && len(m.groups) >= mostGroups {
		m.Folded++
		name = groupName{0, foldedPattern}
		g = m.groups[name]
	}
	if g == nil {
		name.pattern = strings.Clone(name.pattern)
		g = &Group{DB: name.db, Pattern: name.pattern, Types: map[string]int64{}}
		m.groups[name] = g
	}
	for _, n := range []*int64{&m.Keys, &g.Keys} {
		*n++
	}
	if e.ExpireAtMs != 0 {
		m.WithTTL++
		g.WithTTL++
	}
	m.Bytes += bytes
	g.Bytes += bytes
	m.Types[kind]++
	g.Types[kind]++
	if bytes > g.Biggest.Bytes {
		g.Biggest = Key{e.DB, string(e.Key), kind, bytes}
	}
}

// Close sorts the groups and works out their shares. A group whose names end in
// one digit joins that of the longer numbers, where there is one.
func (m *Memory) Close() {
	for name, g := range m.groups {
		loose := groupName{name.db, m.shape.loosen(name.pattern)}
		if other := m.groups[loose]; other != nil && other != g {
			other.join(g)
			delete(m.groups, name)
		}
	}
	m.Groups = []Group{}
	for _, g := range m.groups {
		g.Share = float64(int64(Share(g.Bytes, m.Bytes)*100)) / 100
		m.Groups = append(m.Groups, *g)
	}
	slices.SortFunc(m.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.DB, b.DB), strings.Compare(a.Pattern, b.Pattern))
	})
}

// join adds another group.
func (g *Group) join(other *Group) {
	g.Keys += other.Keys
	g.WithTTL += other.WithTTL
	g.Bytes += other.Bytes
	for kind, n := range other.Types {
		g.Types[kind] += n
	}
	if other.Biggest.Bytes > g.Biggest.Bytes {
		g.Biggest = other.Biggest
	}
}
