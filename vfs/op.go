package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OpKind names an operation on a file system or an open file.
type OpKind string

// The operations. OpCreate is an open that creates the file and OpTruncate
// includes an open that empties it; any other open is OpOpen.
const (
	OpOpen     OpKind = "open"
	OpCreate   OpKind = "create"
	OpRead     OpKind = "read"
	OpWrite    OpKind = "write"
	OpTruncate OpKind = "truncate"
	OpSync     OpKind = "sync"
	OpRename   OpKind = "rename"
	OpLink     OpKind = "link"
	OpRemove   OpKind = "remove"
	OpMkdir    OpKind = "mkdir"
	OpSyncDir  OpKind = "syncdir"
	OpReadDir  OpKind = "readdir"
	OpStat     OpKind = "stat"
	OpLock     OpKind = "lock"
)

// Op is one operation, as [Faulty] and [Log] see it before it happens.
type Op struct {
	Kind OpKind
	Path string
	To   string // the new name, for OpRename and OpLink
	Size int64  // bytes to read or write; the new size, for OpTruncate
}

// Changes tells whether the operation changes the disk or what is durable on
// it. These are the operations that [Crash.StopBefore] counts.
func (o Op) Changes() bool {
	switch o.Kind {
	case OpCreate, OpWrite, OpTruncate, OpSync, OpRename, OpLink, OpRemove, OpMkdir, OpSyncDir:
		return true
	}
	return false
}

// String is like "rename a -> b" or "write a 12".
func (o Op) String() string {
	switch o.Kind {
	case OpRename, OpLink:
		return fmt.Sprintf("%s %s -> %s", o.Kind, o.Path, o.To)
	case OpRead, OpWrite, OpTruncate:
		return fmt.Sprintf("%s %s %d", o.Kind, o.Path, o.Size)
	}
	return fmt.Sprintf("%s %s", o.Kind, o.Path)
}

// hooked asks before each operation whether it may happen. Closing is not asked
// about: it must work for a process that cleans up after an error.
type hooked struct {
	inner  FS
	before func(Op) Fault
}

func (h hooked) ask(op Op) error { return h.before(op).err(op) }

func (h hooked) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if err := h.ask(h.openOp(name, flag)); err != nil {
		return nil, err
	}
	f, err := h.inner.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return hookedFile{f, h}, nil
}

func (h hooked) openOp(name string, flag int) Op {
	info, err := h.inner.Stat(name)
	switch {
	case err != nil && flag&O_CREATE != 0:
		return Op{Kind: OpCreate, Path: name}
	case err == nil && flag&O_TRUNC != 0 && info.Size() > 0:
		return Op{Kind: OpTruncate, Path: name}
	}
	return Op{Kind: OpOpen, Path: name}
}

func (h hooked) Rename(oldname, newname string) error {
	if err := h.ask(Op{Kind: OpRename, Path: oldname, To: newname}); err != nil {
		return err
	}
	return h.inner.Rename(oldname, newname)
}

func (h hooked) Link(oldname, newname string) error {
	if err := h.ask(Op{Kind: OpLink, Path: oldname, To: newname}); err != nil {
		return err
	}
	return h.inner.Link(oldname, newname)
}

func (h hooked) Remove(name string) error {
	if err := h.ask(Op{Kind: OpRemove, Path: name}); err != nil {
		return err
	}
	return h.inner.Remove(name)
}

func (h hooked) Mkdir(name string, perm fs.FileMode) error {
	if err := h.ask(Op{Kind: OpMkdir, Path: name}); err != nil {
		return err
	}
	return h.inner.Mkdir(name, perm)
}

func (h hooked) MkdirAll(name string, perm fs.FileMode) error {
	if info, err := h.inner.Stat(name); err == nil && info.IsDir() {
		return h.ask(Op{Kind: OpStat, Path: name})
	}
	if err := h.ask(Op{Kind: OpMkdir, Path: name}); err != nil {
		return err
	}
	return h.inner.MkdirAll(name, perm)
}

func (h hooked) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := h.ask(Op{Kind: OpReadDir, Path: name}); err != nil {
		return nil, err
	}
	return h.inner.ReadDir(name)
}

func (h hooked) Stat(name string) (fs.FileInfo, error) {
	if err := h.ask(Op{Kind: OpStat, Path: name}); err != nil {
		return nil, err
	}
	return h.inner.Stat(name)
}

func (h hooked) SyncDir(name string) error {
	if err := h.ask(Op{Kind: OpSyncDir, Path: name}); err != nil {
		return err
	}
	return h.inner.SyncDir(name)
}

func (h hooked) Lock(name string) (io.Closer, error) {
	if err := h.ask(Op{Kind: OpLock, Path: name}); err != nil {
		return nil, err
	}
	return h.inner.Lock(name)
}

type hookedFile struct {
	File
	fs hooked
}

func (f hookedFile) Read(p []byte) (int, error) {
	if err := f.fs.ask(Op{Kind: OpRead, Path: f.Name(), Size: int64(len(p))}); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f hookedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.ask(Op{Kind: OpRead, Path: f.Name(), Size: int64(len(p))}); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f hookedFile) Write(p []byte) (int, error) {
	op := Op{Kind: OpWrite, Path: f.Name(), Size: int64(len(p))}
	fault := f.fs.before(op)
	if err := fault.err(op); err != nil {
		n, innerErr := 0, error(nil)
		if fault.Short > 0 {
			n, innerErr = f.File.Write(p[:min(fault.Short, len(p))])
		}
		if innerErr != nil {
			err = innerErr
		}
		return n, err
	}
	return f.File.Write(p)
}

func (f hookedFile) Truncate(size int64) error {
	if err := f.fs.ask(Op{Kind: OpTruncate, Path: f.Name(), Size: size}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f hookedFile) Sync() error {
	if err := f.fs.ask(Op{Kind: OpSync, Path: f.Name()}); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f hookedFile) Stat() (fs.FileInfo, error) {
	if err := f.fs.ask(Op{Kind: OpStat, Path: f.Name()}); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

// pathError words an injected error as the operating system's would be.
func pathError(op Op, err error) error {
	if op.To != "" {
		return &os.LinkError{Op: string(op.Kind), Old: op.Path, New: op.To, Err: err}
	}
	return &fs.PathError{Op: string(op.Kind), Path: op.Path, Err: err}
}
