package vfs

import (
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"
)

// memFile is an open file of a Mem. fs.mu guards its fields and its node.
type memFile struct {
	fs     *Mem
	node   *node
	name   string
	flag   int
	pos    int64
	closed bool
}

// write is one change of a file's bytes: data put at an offset or, when cut is
// set, the file brought to the size at.
type write struct {
	at   int64
	data []byte
	cut  bool
}

func (w write) applyTo(data []byte) []byte {
	end := w.at
	if !w.cut {
		end += int64(len(w.data))
	}
	if grow := end - int64(len(data)); grow > 0 {
		data = append(data, make([]byte, grow)...)
	}
	if w.cut {
		return data[:end:end] // capacity clipped: growing again must show zeros
	}
	copy(data[w.at:], w.data)
	return data
}

// put and truncate need mu.
func (m *Mem) put(n *node, at int64, data []byte) {
	m.change(n, write{at: at, data: data})
}

func (m *Mem) truncate(n *node, size int64) {
	m.change(n, write{at: size, cut: true})
}

func (m *Mem) change(n *node, w write) {
	n.data = w.applyTo(n.data)
	n.mtime = time.Now()
	if m.journal != nil {
		w.data = append([]byte(nil), w.data...)
		n.durable.pending = append(n.durable.pending, w)
	}
}

// begin locks the file system and checks that the file may be used for the
// operation. The caller unlocks.
func (f *memFile) begin(op string, writes bool) error {
	f.fs.mu.Lock()
	switch {
	case f.closed:
		return f.fail(op, fs.ErrClosed)
	case writes && !writable(f.flag):
		return f.fail(op, syscall.EBADF)
	case !writes && f.flag&O_WRONLY != 0:
		return f.fail(op, syscall.EBADF)
	case f.node.isDir() && op != "stat" && op != "sync":
		return f.fail(op, syscall.EISDIR)
	}
	return nil
}

func (f *memFile) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *memFile) Read(p []byte) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.begin("read", false); err != nil {
		return 0, err
	}
	n, err := f.readAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil // like a real file, the end is told alone
	}
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.begin("read", false); err != nil {
		return 0, err
	}
	return f.readAt(p, off)
}

func (f *memFile) readAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, f.fail("read", syscall.EINVAL)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.begin("write", true); err != nil {
		return 0, err
	}
	if f.flag&O_APPEND != 0 {
		f.pos = int64(len(f.node.data))
	}
	if len(p) > 0 {
		f.fs.put(f.node, f.pos, p)
	}
	f.pos += int64(len(p))
	return len(p), nil
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, f.fail("seek", fs.ErrClosed)
	}
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += int64(len(f.node.data))
	}
	if offset < 0 {
		return 0, f.fail("seek", syscall.EINVAL)
	}
	f.pos = offset
	return offset, nil
}

func (f *memFile) Truncate(size int64) error {
	defer f.fs.mu.Unlock()
	if err := f.begin("truncate", true); err != nil {
		return err
	}
	if size < 0 {
		return f.fail("truncate", syscall.EINVAL)
	}
	f.fs.truncate(f.node, size)
	return nil
}

func (f *memFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return f.fail("sync", fs.ErrClosed)
	}
	f.node.durable.sync()
	return nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return nil, f.fail("stat", fs.ErrClosed)
	}
	return infoOf(filepath.Base(f.name), f.node), nil
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return f.fail("close", fs.ErrClosed)
	}
	f.closed = true
	return nil
}
