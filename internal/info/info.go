package info

import (
	"strconv"
	"strings"
)

// Info is an answer to INFO. The zero value is an empty one.
type Info struct {
	values   map[string]string
	sections map[string][]string // names of fields in their order, by section in lower case
}

// Parse reads an answer. Lines that are no fields are passed over.
func Parse(text string) Info {
	i := Info{map[string]string{}, map[string][]string{}}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if name, isSection := strings.CutPrefix(line, "# "); isSection {
			section = strings.ToLower(strings.TrimSpace(name))
			continue
		}
		if name, value, ok := strings.Cut(line, ":"); ok {
			i.values[name] = value
			i.sections[section] = append(i.sections[section], name)
		}
	}
	return i
}

// Text is the value of a field, "" where there is none.
func (i Info) Text(name string) string { return i.values[name] }

// Has tells whether there is such a field.
func (i Info) Has(name string) bool { _, ok := i.values[name]; return ok }

// Int is the value of a field as a number; ok is false where it is none.
func (i Info) Int(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(i.values[name], 10, 64)
	return n, err == nil
}

// Number is Int with 0 where there is no number.
func (i Info) Number(name string) int64 { n, _ := i.Int(name); return n }

// Flag tells whether a field is 1.
func (i Info) Flag(name string) bool { return i.values[name] == "1" }

// Section is the names of the fields of a section, in their order.
func (i Info) Section(name string) []string { return i.sections[strings.ToLower(name)] }

// Keys is the number of keys in all databases, and how many of them have a
// deadline.
func (i Info) Keys() (keys, volatile int64) {
	for _, name := range i.Section("keyspace") {
		for part := range strings.SplitSeq(i.values[name], ",") {
			what, n, _ := strings.Cut(part, "=")
			count, _ := strconv.ParseInt(n, 10, 64)
			switch what {
			case "keys":
				keys += count
			case "expires":
				volatile += count
			}
		}
	}
	return keys, volatile
}

// Ours tells whether the server is Limpet's own store.
func (i Info) Ours() bool { return i.values["redis_build_id"] == "limpet" }

// Server is the server's name and version, as in "redis 7.0.15".
func (i Info) Server() string {
	switch {
	case i.Ours():
		return "limpet, as redis " + i.values["redis_version"]
	case i.values["server_name"] == "valkey":
		return "valkey " + i.values["valkey_version"]
	case i.values["redis_version"] == "":
		return "unknown server"
	}
	return "redis " + i.values["redis_version"]
}
