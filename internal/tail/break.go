package tail

import (
	"errors"
	"fmt"
)

// Reason says why what follows cannot be joined to what was read.
type Reason string

// The reasons.
const (
	Gap       Reason = "gap"       // files came and went unread, or too many wait to be read
	Truncated Reason = "truncated" // a file is shorter than what was read of it
	Replaced  Reason = "replaced"  // another file, or other bytes, in the place of what was read
	Torn      Reason = "torn"      // a file ends in the middle of a command though another follows it
	Damaged   Reason = "damaged"   // a file holds what no correct writer wrote
)

// Break ends the following. Nothing read before it is in doubt.
type Break struct {
	Reason Reason
	File   string // where it was seen
	What   string
	Err    error // of the reader, for Torn and Damaged
}

func (b *Break) Error() string {
	return fmt.Sprintf("tail: %s: %s: %s", b.File, b.Reason, b.What)
}

func (b *Break) Unwrap() error { return b.Err }

// ErrNoLog means that there is no multi-part log to follow, or not yet.
var ErrNoLog = errors.New("no append-only log")
