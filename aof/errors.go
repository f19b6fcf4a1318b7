package aof

import (
	"errors"
	"fmt"
	"strings"
)

// The two ways a file can be bad, found with errors.Is.
var (
	// ErrTruncated: the file ends early. What is there is sound up to a point.
	ErrTruncated = errors.New("truncated")
	// ErrDamaged: the file holds what no correct writer wrote.
	ErrDamaged = errors.New("damaged")
)

// ErrSuperseded refuses a base that no longer fits: the log behind it has been
// replaced since it was begun.
var ErrSuperseded = errors.New("aof: the base is superseded: its log has been replaced")

// TruncatedError says that a file ends inside a command or a MULTI, or in zeros
// that were never filled. It matches [ErrTruncated].
type TruncatedError struct {
	File      string
	Offset    int64  // where the unfinished item or the zeros begin, in bytes
	What      string // the item, what was wanted and what was found
	CutAt     int64  // end of the last whole command outside MULTI; cutting here loses nothing whole
	Commands  int    // whole commands before CutAt, MULTI and EXEC included
	OpenMulti bool   // CutAt lies before a MULTI that has no EXEC
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("aof: %s: offset %d: %s: truncated", e.File, e.Offset, e.What)
}

func (e *TruncatedError) Unwrap() error { return ErrTruncated }

// FormatError says that a file is damaged. It matches [ErrDamaged].
type FormatError struct {
	File     string
	Offset   int64  // of the first byte that cannot be right
	What     string // the item, what was wanted and what was found
	CutAt    int64  // end of the last whole command outside MULTI before the damage
	Commands int    // whole commands before CutAt
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("aof: %s: offset %d: %s: damaged", e.File, e.Offset, e.What)
}

func (e *FormatError) Unwrap() error { return ErrDamaged }

// HoleError says that a file ends early though others follow it. Cutting it and
// going on would load a state that never was. Nothing has been changed.
type HoleError struct {
	Torn *TruncatedError
	Next string // the file that follows
}

func (e *HoleError) Error() string {
	return fmt.Sprintf("%v, but %s follows it: refusing to load over a hole", e.Torn, e.Next)
}

func (e *HoleError) Unwrap() error { return e.Torn }

// OrphanError says that a directory holds log files that its manifest should
// name and does not, because it is missing or older than they are. A new log
// begun here would overwrite them. Nothing has been changed.
type OrphanError struct {
	Dir      string
	Manifest string // name of the manifest, "" when there is none
	Files    []string
}

func (e *OrphanError) Error() string {
	files := strings.Join(e.Files, ", ")
	if e.Manifest == "" {
		return fmt.Sprintf("aof: %s: no manifest, but %s: refusing to start over files nobody names", e.Dir, files)
	}
	return fmt.Sprintf("aof: %s: %s does not name %s: refusing to start over files newer than the manifest", e.Dir, e.Manifest, files)
}

// MissingError says that the manifest names files that are not there.
type MissingError struct {
	Dir   string
	Files []string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("aof: %s: named by the manifest but missing: %s", e.Dir, strings.Join(e.Files, ", "))
}

// ManifestError says where a manifest is bad. It matches [ErrDamaged].
type ManifestError struct {
	File string
	Line int    // from 1; 0 when it is not about a line
	Text string // the line
	Why  string // in Redis's words where Redis has some
}

func (e *ManifestError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("aof: %s: %s", e.File, e.Why)
	}
	return fmt.Sprintf("aof: %s: line %d: %q: %s", e.File, e.Line, e.Text, e.Why)
}

func (e *ManifestError) Unwrap() error { return ErrDamaged }
