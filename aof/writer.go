package aof

import (
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"limpet/vfs"
)

// Writer appends to one incr file. It is safe for concurrent use; Append goes
// on while a Sync is under way.
//
// The first failed write or sync is final. A file whose write failed may end in
// half a command, and after a failed sync the kernel may have dropped the pages,
// so that a later success would prove nothing. Everything from then on gives the
// same error, and only [Dir.ReplaceAll] gets the log going again. The half
// command is left where it is: should the process die first, the next start cuts it.
type Writer struct {
	file vfs.File // appending

	writing sync.Mutex // held by Append, so that appends do not interleave

	mu     sync.Mutex // guards what follows
	seq    Seq        // 0 while detached
	name   string
	size   int64 // bytes written to the file, durable or not
	synced int64 // bytes known durable; synced <= size, and never falls
	broken error // first failed write or sync; sticky
}

// newWriter appends to a file of which size bytes are written and durable.
func newWriter(f vfs.File, seq Seq, size int64) *Writer {
	return &Writer{seq: seq, name: filepath.Base(f.Name()), file: f, size: size, synced: size}
}

// Seq is the number of the incr file, 0 while it is detached.
func (w *Writer) Seq() Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seq
}

// Name is the name of the incr file, without directory.
func (w *Writer) Name() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.name
}

// become notes the name and the number that the file has got.
func (w *Writer) become(e Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq, w.name = e.Seq, e.Name
}

// Append writes whole commands. It does not sync. On an error some of them, and
// part of one, may be in the file.
func (w *Writer) Append(commands []byte) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.Err(); err != nil || len(commands) == 0 {
		return err
	}
	n, err := w.file.Write(commands)
	if err == nil && n < len(commands) {
		err = io.ErrShortWrite
	}
	w.mu.Lock()
	w.size += int64(n)
	w.mu.Unlock()
	if err != nil {
		return w.fail(fmt.Errorf("aof: %s: append at offset %d: %w", w.Name(), w.Size(), err))
	}
	return nil
}

// Sync makes everything durable that was appended before the call.
func (w *Writer) Sync() error {
	w.mu.Lock()
	size, done, err := w.size, w.synced == w.size, w.broken
	w.mu.Unlock()
	if err != nil || done {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return w.fail(fmt.Errorf("aof: %s: sync: %w", w.Name(), err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken // beside a Sync that failed, this one proves nothing
	}
	w.synced = max(w.synced, size)
	return nil
}

// fail makes err final, unless another error came first, and gives the final one.
func (w *Writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = err
	}
	return w.broken
}

// Err is the error that has become final, nil while the file is sound.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

// Size is the number of bytes written.
func (w *Writer) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// Synced is the number of bytes known to be durable.
func (w *Writer) Synced() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.synced
}

// Close closes the file without syncing it; call Sync before. A broken file is
// closed all the same.
func (w *Writer) Close() error {
	w.writing.Lock()
	defer w.writing.Unlock()
	return w.file.Close()
}
