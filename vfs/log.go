package vfs

import (
	"slices"
	"strings"
	"sync"
)

// Log is a file system that writes down what is done to it, for tests of the
// order in which files are created, synced and renamed.
type Log struct {
	FS
	mu  sync.Mutex
	ops []Op
}

// NewLog lays an empty log over inner.
func NewLog(inner FS) *Log {
	l := new(Log)
	l.FS = hooked{inner, l.record}
	return l
}

func (l *Log) record(op Op) Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, op)
	return Fault{}
}

// Ops is everything that was asked of the file system, failed or not.
func (l *Log) Ops() []Op {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ops)
}

// Reset forgets what has been written down.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = nil
}

// String is the operations that change something, one a line.
func (l *Log) String() string {
	var b strings.Builder
	for _, op := range l.Ops() {
		if op.Changes() {
			b.WriteString(op.String() + "\n")
		}
	}
	return b.String()
}
