package rdb

import (
	"errors"
	"fmt"
)

// What can be wrong with a file; found with errors.Is in an [*Error].
var (
	// ErrTruncated: the bytes end before the format does.
	ErrTruncated = errors.New("truncated")
	// ErrCorrupt: the bytes cannot be what a correct writer wrote.
	ErrCorrupt = errors.New("damaged")
	// ErrChecksum is ErrCorrupt for a file that could be read to its end and
	// whose checksum is another.
	ErrChecksum = fmt.Errorf("checksum: %w", ErrCorrupt)
	// ErrNewer: written by a later version of the format, or by another
	// product's extension of it.
	ErrNewer = errors.New("newer than this version reads")
	// ErrUnsupported: sound, but holds what this package cannot read or write.
	ErrUnsupported = errors.New("not supported")
)

// Error says where reading stopped making sense.
type Error struct {
	Offset int64  // in bytes, of the item at fault, from the beginning of the file
	What   string // the item, what was wanted and what was found
	Err    error  // one of the errors above, or what the reader below answered
}

func (e *Error) Error() string {
	return fmt.Sprintf("rdb: offset %d: %s: %v", e.Offset, e.What, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }
