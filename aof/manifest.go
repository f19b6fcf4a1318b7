package aof

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Seq numbers base files and, independently, incr files. A file in use has one
// above zero.
type Seq int64

// Type says what part a file plays.
type Type byte

// The types, as a manifest spells them.
const (
	Base    Type = 'b'
	Incr    Type = 'i'
	History Type = 'h'
)

// Entry is one line of a manifest.
type Entry struct {
	Name string // of the file, without directory
	Seq  Seq
	Type Type
}

// Manifest names the files that count. Written form, one line a file: the base,
// then history, then the incrs ascending.
//
//	file appendonly.aof.2.base.rdb seq 2 type b
//	file appendonly.aof.1.incr.aof seq 1 type h
//	file appendonly.aof.2.incr.aof seq 2 type i
type Manifest struct {
	Base    *Entry // nil when there is none
	History []Entry
	Incrs   []Entry // Seq strictly rising, gaps allowed
}

// maxManifestLine is the longest line Redis reads, with its newline, in bytes.
const maxManifestLine = 1024

// Redis's words (aof.c), so that whoever knows them finds the same here.
const (
	whyEmpty        = "Found an empty AOF manifest"
	whyLong         = "The AOF manifest file contains too long line"
	whyFormat       = "Invalid AOF manifest file format"
	whyPath         = "File can't be a path, just a filename"
	whyTwoBases     = "Found duplicate base file information"
	whyNotMonotonic = "Found a non-monotonic sequence number"
	whyType         = "Unknown AOF file type"
)

// whyTwice refuses what Redis reads: a file listed twice would be replayed
// twice, and everything in it counted twice.
const whyTwice = "Found a file that is listed twice"

// ParseManifest reads a manifest as redis-server 7.0 does: `#` in the first
// column is a comment, keys come in any order and case, and unknown keys are
// ignored, which lets it read what later versions write. name is for errors,
// which are all a *ManifestError.
func ParseManifest(name string, text []byte) (*Manifest, error) {
	m := new(Manifest)
	if len(text) == 0 {
		return nil, &ManifestError{File: name, Why: whyEmpty}
	}
	for line := 1; len(text) > 0; line++ {
		var raw []byte
		raw, text = nextLine(text)
		if raw[0] == '#' {
			continue
		}
		if why := m.addLine(raw); why != "" {
			return nil, &ManifestError{File: name, Line: line, Text: string(bytes.TrimRight(raw, "\r\n")), Why: why}
		}
	}
	return m, nil
}

// nextLine is C's fgets into Redis's buffer: up to a newline or the longest line.
func nextLine(text []byte) (line, rest []byte) {
	n := min(len(text), maxManifestLine)
	if i := bytes.IndexByte(text[:n], '\n'); i >= 0 {
		n = i + 1
	}
	return text[:n], text[n:]
}

// addLine adds the file that a line names, or says why it cannot.
func (m *Manifest) addLine(raw []byte) (why string) {
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		raw = raw[:i] // a C string ends here, and so without its newline
	}
	if !bytes.HasSuffix(raw, []byte("\n")) {
		return whyLong
	}
	words, ok := splitArgs(strings.Trim(string(raw), " \t\r\n"))
	if !ok || len(words) < 6 || len(words)%2 != 0 {
		return whyFormat
	}
	var e Entry
	for i := 0; i < len(words); i += 2 {
		switch value := words[i+1]; strings.ToLower(words[i]) {
		case "file":
			e.Name = value
			if !isBaseName(value) {
				return whyPath
			}
		case "seq":
			e.Seq = Seq(atoll(value))
		case "type":
			e.Type = 0
			if value != "" {
				e.Type = Type(value[0])
			}
		}
	}
	if e.Name == "" || e.Seq == 0 || e.Type == 0 {
		return whyFormat
	}
	return m.add(e)
}

func (m *Manifest) add(e Entry) (why string) {
	if e.Type != History && slices.ContainsFunc(m.Live(), func(l Entry) bool { return l.Name == e.Name }) {
		if e.Type == Base && m.Base != nil {
			return whyTwoBases
		}
		return whyTwice
	}
	switch e.Type {
	case Base:
		if m.Base != nil {
			return whyTwoBases
		}
		m.Base = &e
	case History:
		m.History = append(m.History, e)
	case Incr:
		if e.Seq <= m.lastIncr() {
			return whyNotMonotonic
		}
		m.Incrs = append(m.Incrs, e)
	default:
		return whyType
	}
	return ""
}

// Encode is the written form, as redis-server 7.0 writes it.
func (m *Manifest) Encode() []byte {
	var b []byte
	line := func(e Entry) {
		b = fmt.Appendf(b, "file %s seq %d type %c\n", quoteArg(e.Name), e.Seq, e.Type)
	}
	if m.Base != nil {
		line(*m.Base)
	}
	for _, e := range m.History {
		line(e)
	}
	for _, e := range m.Incrs {
		line(e)
	}
	return b
}

// Live is the files to replay, in order.
func (m *Manifest) Live() []Entry {
	var live []Entry
	if m.Base != nil {
		live = append(live, *m.Base)
	}
	return append(live, m.Incrs...)
}

// names tells whether the manifest names a file, history included.
func (m *Manifest) names(name string) bool {
	is := func(e Entry) bool { return e.Name == name }
	return slices.ContainsFunc(m.Live(), is) || slices.ContainsFunc(m.History, is)
}

func (m *Manifest) lastIncr() Seq {
	if len(m.Incrs) == 0 {
		return 0
	}
	return m.Incrs[len(m.Incrs)-1].Seq
}

func (m *Manifest) lastBase() Seq {
	if m.Base == nil {
		return 0
	}
	return m.Base.Seq
}

func (m *Manifest) clone() *Manifest {
	c := &Manifest{History: slices.Clone(m.History), Incrs: slices.Clone(m.Incrs)}
	if m.Base != nil {
		base := *m.Base
		c.Base = &base
	}
	return c
}

// retire moves the base and all incrs below keep to history, newest base first
// as Redis does.
func (m *Manifest) retire(keep Seq) {
	if m.Base != nil {
		old := *m.Base
		old.Type = History
		m.History = slices.Insert(m.History, 0, old)
		m.Base = nil
	}
	var kept []Entry
	for _, e := range m.Incrs {
		if e.Seq >= keep {
			kept = append(kept, e)
			continue
		}
		e.Type = History
		m.History = append(m.History, e)
	}
	m.Incrs = kept
}

// isBaseName refuses, beyond what Redis refuses, the names of directories.
func isBaseName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, `/\`)
}

// atoll reads a leading integer as C does: blanks, a sign, digits, the rest
// ignored, out of range clamped.
func atoll(s string) int64 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	if end < len(s) && (s[end] == '+' || s[end] == '-') {
		end++
	}
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil && n != math.MaxInt64 && n != math.MinInt64 {
		return 0
	}
	return n
}
