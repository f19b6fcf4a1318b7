package listpack

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrInvalid is what every error of [Validate] wraps.
var ErrInvalid = errors.New("invalid listpack")

// Validate says whether b is one whole listpack that the methods of [List] may
// be let loose on. It accounts for every byte: the header's size and count, each
// entry's bounds and backlen, the end. Integers and lengths need not be in their
// shortest encoding; Redis does not ask for it either.
func Validate(b []byte) error {
	if len(b) < headerSize+1 {
		return invalid(0, "want at least %d bytes, have %d", headerSize+1, len(b))
	}
	if size := binary.LittleEndian.Uint32(b); uint64(size) != uint64(len(b)) {
		return invalid(0, "header says %d bytes, have %d", size, len(b))
	}
	end, n := len(b)-1, 0
	if b[end] != terminator {
		return invalid(end, "want the end, have 0x%02x", b[end])
	}
	for off := headerSize; off < end; n++ {
		head := headSize(b[off])
		if head == 0 {
			return invalid(off, "unknown encoding 0x%02x", b[off])
		}
		if head > end-off {
			return invalid(off, "entry passes the end")
		}
		size := entrySize(b[off:])
		if size+backlenSize(size) > end-off {
			return invalid(off, "entry of %d bytes passes the end", size)
		}
		off += size
		var want [5]byte
		back := want[:backlenSize(size)]
		writeBacklen(back, size)
		if string(b[off:off+len(back)]) != string(back) {
			return invalid(off, "backlen is not the entry's %d bytes", size)
		}
		off += len(back)
	}
	if count := List(b).count(); count != countUnknown && count != n {
		return invalid(4, "header says %d entries, have %d", count, n)
	}
	return nil
}

func invalid(off int, format string, args ...any) error {
	return fmt.Errorf("%w: offset %d: %s", ErrInvalid, off, fmt.Sprintf(format, args...))
}
