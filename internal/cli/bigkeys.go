package cli

import (
	"strconv"
	"time"

	"limpet/resp"
)

// keyType is what is known about the keys of one type.
type keyType struct {
	name, command, unit string

	count, total, biggest int64
	biggestKey            string // "" when all are of size 0
}

func keyTypes() []*keyType {
	return []*keyType{
		{name: "string", command: "STRLEN", unit: "bytes"},
		{name: "list", command: "LLEN", unit: "items"},
		{name: "set", command: "SCARD", unit: "members"},
		{name: "hash", command: "HLEN", unit: "fields"},
		{name: "zset", command: "ZCARD", unit: "members"},
		{name: "stream", command: "XLEN", unit: "entries"},
	}
}

// sampling is a walk over all keys that looks for the largest.
type sampling struct {
	*session
	types   []*keyType
	memory  bool // by MEMORY USAGE, not by elements
	keys    int64
	sampled int64
	keyLen  int64 // of all names
	pages   int
}

// bigKeys finds the keys with the most elements.
func (s *session) bigKeys() error { return s.sample(false) }

// memKeys finds the keys that take the most memory.
func (s *session) memKeys() error { return s.sample(true) }

func (s *session) sample(memory bool) error {
	v, err := s.ask("DBSIZE")
	if err != nil {
		return exit(1)
	}
	if v.Kind != resp.Integer {
		return complainf("Couldn't determine DBSIZE: %s", v.Str)
	}
	m := &sampling{session: s, types: keyTypes(), memory: memory, keys: v.Int}
	s.printf("\n# Scanning the entire keyspace to find biggest keys as well as\n" +
		"# average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n" +
		"# per 100 SCAN commands (not usually needed).\n\n")
	if err := s.eachPage(m.page); err != nil {
		return err
	}
	m.summary()
	return nil
}

// page asks for the types of the keys, then for their sizes.
func (m *sampling) page(keys []resp.Value) error {
	done := m.percent(m.sampled, m.keys) // before this page
	for _, key := range keys {
		m.c.send("TYPE", string(key.Str))
	}
	types := make([]*keyType, len(keys))
	for i, key := range keys {
		v, err := m.c.receive()
		if err != nil || v.Kind != resp.SimpleString {
			return complainf("Error getting type for key '%s' (%s%v)", key.Str, v.Str, err)
		}
		types[i] = m.typeOf(string(v.Str))
	}
	for i, key := range keys {
		if command := m.sizeCommand(types[i], string(key.Str)); command != nil {
			m.c.send(command...)
		}
	}
	for i, key := range keys {
		command := m.sizeCommand(types[i], string(key.Str))
		size := int64(0)
		if command != nil {
			v, err := m.c.receive()
			if err != nil {
				return complainf("Error getting size for key '%s' (%v)", key.Str, err)
			}
			if size = v.Int; v.Kind != resp.Integer {
				m.warnf("Warning:  %s on '%s' failed (may have changed type)\n", command[0], key.Str)
			}
		}
		if types[i] != nil {
			m.add(types[i], key.Str, size, done)
		}
	}
	_ = m.out.Flush()
	if m.pages++; m.pages%100 == 0 {
		time.Sleep(m.o.interval)
	}
	return nil
}

// typeOf finds a type, or makes one that a module has brought. It is nil for a
// key that is gone.
func (m *sampling) typeOf(name string) *keyType {
	if name == "none" {
		return nil
	}
	for _, t := range m.types {
		if t.name == name {
			return t
		}
	}
	t := &keyType{name: name, unit: "?"}
	m.types = append(m.types, t)
	return t
}

func (m *sampling) sizeCommand(t *keyType, key string) []string {
	switch {
	case t == nil || !m.memory && t.command == "":
		return nil
	case !m.memory:
		return []string{t.command, key}
	case m.o.samples < 0:
		return []string{"MEMORY", "USAGE", key}
	}
	return []string{"MEMORY", "USAGE", key, "SAMPLES", strconv.Itoa(m.o.samples)}
}

func (m *sampling) unit(t *keyType) string {
	if m.memory {
		return "bytes"
	}
	return t.unit
}

func (m *sampling) add(t *keyType, key []byte, size int64, done float64) {
	const milestone = 1000000
	t.count++
	t.total += size
	m.keyLen += int64(len(key))
	m.sampled++
	if size > t.biggest {
		t.biggest, t.biggestKey = size, repr(key)
		m.printf("[%05.2f%%] Biggest %-6s found so far '%s' with %d %s\n", done, t.name, t.biggestKey, size, m.unit(t))
	}
	if m.sampled%milestone == 0 {
		m.printf("[%05.2f%%] Sampled %d keys so far\n", done, m.sampled)
	}
}

func (m *sampling) percent(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

func (m *sampling) summary() {
	average := func(total, count int64) float64 {
		if count == 0 {
			return 0
		}
		return float64(total) / float64(count)
	}
	m.printf("\n-------- summary -------\n\nSampled %d keys in the keyspace!\n", m.sampled)
	m.printf("Total key length in bytes is %d (avg len %.2f)\n\n", m.keyLen, average(m.keyLen, m.sampled))
	for _, t := range m.types {
		if t.biggestKey != "" {
			m.printf("Biggest %6s found '%s' has %d %s\n", t.name, t.biggestKey, t.biggest, m.unit(t))
		}
	}
	m.printf("\n")
	for _, t := range m.types {
		m.printf("%d %ss with %d %s (%05.2f%% of keys, avg size %.2f)\n",
			t.count, t.name, t.total, m.unit(t), m.percent(t.count, m.sampled), average(t.total, t.count))
	}
}
