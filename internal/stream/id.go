package stream

import (
	"bytes"
	"cmp"
	"math"
	"strconv"

	"limpet/internal/listpack"
)

// ID names an entry: by convention the time it was added, as Unix time in
// milliseconds, and a number to tell it from others of that millisecond.
type ID struct{ Ms, Seq uint64 }

// MaxID is the highest id, written "+" in ranges. The zero ID, "-", is the
// lowest.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// Compare is -1, 0 or 1, as a is below, equal to or above b.
func (a ID) Compare(b ID) int { return cmp.Or(cmp.Compare(a.Ms, b.Ms), cmp.Compare(a.Seq, b.Seq)) }

// Next is the id above; there is none above MaxID.
func (a ID) Next() (id ID, ok bool) {
	switch {
	case a.Seq < math.MaxUint64:
		return ID{a.Ms, a.Seq + 1}, true
	case a.Ms < math.MaxUint64:
		return ID{a.Ms + 1, 0}, true
	}
	return ID{}, false
}

// Prev is the id below; there is none below the zero ID.
func (a ID) Prev() (id ID, ok bool) {
	switch {
	case a.Seq > 0:
		return ID{a.Ms, a.Seq - 1}, true
	case a.Ms > 0:
		return ID{a.Ms - 1, math.MaxUint64}, true
	}
	return ID{}, false
}

// Append appends the id as "ms-seq".
func (a ID) Append(dst []byte) []byte {
	dst = append(strconv.AppendUint(dst, a.Ms, 10), '-')
	return strconv.AppendUint(dst, a.Seq, 10)
}

func (a ID) String() string { return string(a.Append(nil)) }

// maxIDText is more than any id needs; Redis reads no more.
const maxIDText = 127

// ParseID reads "ms-seq", or "ms" to which missingSeq is added.
func ParseID(b []byte, missingSeq uint64) (id ID, ok bool) {
	id, anySeq, ok := parse(b, missingSeq)
	return id, ok && !anySeq
}

// ParseRangeID is ParseID for the ends of a range, where "-" is the lowest id
// and "+" the highest.
func ParseRangeID(b []byte, missingSeq uint64) (id ID, ok bool) {
	switch string(b) {
	case "-":
		return ID{}, true
	case "+":
		return MaxID, true
	}
	return ParseID(b, missingSeq)
}

// ParseNewID reads an id for XADD other than "*": as ParseID does, and "ms-*",
// for which anySeq is true; see [Stream.NextSeq].
func ParseNewID(b []byte) (id ID, anySeq, ok bool) { return parse(b, 0) }

func parse(b []byte, missingSeq uint64) (id ID, anySeq, ok bool) {
	if len(b) > maxIDText {
		return id, false, false
	}
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end] // where C sees the end
	}
	ms, seq, both := bytes.Cut(b, []byte{'-'})
	id.Seq = missingSeq
	if id.Ms, ok = parseUint(ms); !ok || !both {
		return id, false, ok
	}
	if string(seq) == "*" {
		return ID{Ms: id.Ms}, true, true
	}
	id.Seq, ok = parseUint(seq)
	return id, false, ok
}

// parseUint reads a number as Redis does (string2ull in util.c): what is not
// the canonical text of a number goes to C's strtoull, which passes over
// leading space and takes a sign, a minus counting from 1<<64 downwards.
func parseUint(b []byte) (n uint64, ok bool) {
	if n, ok := listpack.ParseInt(b); ok {
		return uint64(n), n >= 0
	}
	b = bytes.TrimLeft(b, " \t\n\v\f\r")
	minus := len(b) > 0 && b[0] == '-'
	if minus || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if minus {
		n = -n
	}
	return n, err == nil
}
