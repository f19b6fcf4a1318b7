package vfs

import "io"

// Fault is what a [Faulty] does to one operation. The zero Fault lets it be.
type Fault struct {
	// Err fails the operation, typically with syscall.ENOSPC or syscall.EIO. It
	// is wrapped with the operation and the path, as the system's errors are.
	Err error
	// Short lets the first so many bytes of a write through before it fails,
	// with Err or else io.ErrShortWrite.
	Short int
	// Until delays the operation until the channel is closed.
	Until <-chan struct{}
}

// err waits as the fault demands and gives the error of the operation.
func (f Fault) err(op Op) error {
	if f.Until != nil {
		<-f.Until
	}
	switch {
	case f.Err != nil:
		return pathError(op, f.Err)
	case f.Short > 0:
		return pathError(op, io.ErrShortWrite)
	}
	return nil
}

// Faulty is a file system that fails when its rule says so.
type Faulty struct{ FS }

// NewFaulty lays a rule over inner. The rule is asked before each operation,
// from the goroutine that performs it, and so from several at a time.
func NewFaulty(inner FS, rule func(Op) Fault) *Faulty {
	return &Faulty{hooked{inner, rule}}
}
