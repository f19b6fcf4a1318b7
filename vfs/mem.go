package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Mem is a file system in memory. Relative and absolute names meet in one root.
type Mem struct {
	mu      sync.Mutex // guards everything below and every node
	root    *node
	locks   map[string]bool
	journal *journal // nil when nobody will ask what a crash leaves
}

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{root: newDir(0o755), locks: make(map[string]bool)} }

// node is a file or a directory. It may have several names, or none and be open.
type node struct {
	inode   uint64
	mode    fs.FileMode
	mtime   time.Time
	data    []byte
	entries map[string]*node // nil for a file
	durable durable          // kept only when there is a journal
}

// inodes counts the nodes of this process: a file that a crash has left keeps its
// number, and no new one may get it.
var inodes atomic.Uint64

func newFile(perm fs.FileMode) *node {
	return &node{inode: inodes.Add(1), mode: perm.Perm(), mtime: time.Now()}
}

func newDir(perm fs.FileMode) *node {
	n := newFile(perm)
	n.mode, n.entries = fs.ModeDir|n.mode, make(map[string]*node)
	return n
}

func (n *node) isDir() bool { return n.entries != nil }

// find walks to a cleaned name. All the lookups below need mu.
func (m *Mem) find(name string) (*node, error) {
	n := m.root
	for part := range strings.SplitSeq(clean(name), "/") {
		if part == "" {
			continue
		}
		if !n.isDir() {
			return nil, syscall.ENOTDIR
		}
		if n = n.entries[part]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// parent finds the directory that holds, or would hold, name.
func (m *Mem) parent(name string) (dir *node, base string, err error) {
	name = clean(name)
	if name == "/" {
		return nil, "", syscall.EINVAL
	}
	dir, err = m.find(filepath.Dir(name))
	if err == nil && !dir.isDir() {
		err = syscall.ENOTDIR
	}
	return dir, filepath.Base(name), err
}

func clean(name string) string { return filepath.Clean("/" + name) }

// enter performs edits of directories that belong together.
func (m *Mem) enter(edits ...edit) {
	for _, e := range edits {
		e.applyTo(e.dir.entries)
		e.dir.mtime = time.Now()
	}
	if m.journal != nil {
		m.journal.pending = append(m.journal.pending, change(edits))
	}
}

// OpenFile is FS.OpenFile.
func (m *Mem) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.open(name, flag, perm)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &memFile{fs: m, node: n, name: name, flag: flag}, nil
}

func (m *Mem) open(name string, flag int, perm fs.FileMode) (*node, error) {
	n, err := m.find(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&O_CREATE != 0:
		dir, base, err := m.parent(name)
		if err != nil {
			return nil, err
		}
		n = newFile(perm)
		m.enter(edit{dir, base, n})
		return n, nil
	case err != nil:
		return nil, err
	case flag&O_CREATE != 0 && flag&O_EXCL != 0:
		return nil, syscall.EEXIST
	case n.isDir() && writable(flag):
		return nil, syscall.EISDIR
	case flag&O_TRUNC != 0:
		m.truncate(n, 0)
	}
	return n, nil
}

func writable(flag int) bool { return flag&(O_WRONLY|O_RDWR) != 0 }

// Rename is FS.Rename.
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (m *Mem) rename(oldname, newname string) error {
	n, err := m.find(oldname)
	if err != nil {
		return err
	}
	from, oldbase, err := m.parent(oldname)
	if err != nil {
		return err
	}
	to, newbase, err := m.parent(newname)
	if err != nil {
		return err
	}
	if n.isDir() && strings.HasPrefix(clean(newname)+"/", clean(oldname)+"/") && clean(newname) != clean(oldname) {
		return syscall.EINVAL
	}
	if there := to.entries[newbase]; there != nil {
		switch {
		case there == n:
			return nil
		case there.isDir() && !n.isDir():
			return syscall.EISDIR
		case !there.isDir() && n.isDir():
			return syscall.ENOTDIR
		case len(there.entries) > 0:
			return syscall.ENOTEMPTY
		}
	}
	m.enter(edit{from, oldbase, nil}, edit{to, newbase, n})
	return nil
}

// Link is FS.Link.
func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fail := func(err error) error {
		return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: err}
	}
	n, err := m.find(oldname)
	if err != nil {
		return fail(err)
	}
	if n.isDir() {
		return fail(syscall.EPERM)
	}
	dir, base, err := m.parent(newname)
	if err != nil {
		return fail(err)
	}
	if dir.entries[base] != nil {
		return fail(syscall.EEXIST)
	}
	m.enter(edit{dir, base, n})
	return nil
}

// Remove is FS.Remove.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && len(n.entries) > 0 {
		err = syscall.ENOTEMPTY
	}
	if err == nil {
		var dir *node
		var base string
		if dir, base, err = m.parent(name); err == nil {
			m.enter(edit{dir, base, nil})
		}
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// Mkdir is FS.Mkdir.
func (m *Mem) Mkdir(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err == nil && dir.entries[base] != nil {
		err = syscall.EEXIST
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	m.enter(edit{dir, base, newDir(perm)})
	return nil
}

// MkdirAll is FS.MkdirAll.
func (m *Mem) MkdirAll(name string, perm fs.FileMode) error {
	name = clean(name)
	if info, err := m.Stat(name); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if err := m.MkdirAll(filepath.Dir(name), perm); err != nil {
		return err
	}
	if err := m.Mkdir(name, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// ReadDir is FS.ReadDir.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && !n.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	list := make([]fs.DirEntry, 0, len(n.entries))
	for base, n := range n.entries {
		list = append(list, fs.FileInfoToDirEntry(infoOf(base, n)))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// Stat is FS.Stat.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return infoOf(filepath.Base(clean(name)), n), nil
}

// SyncDir is FS.SyncDir.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && !n.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return &fs.PathError{Op: "syncdir", Path: name, Err: err}
	}
	if m.journal != nil {
		m.journal.syncDir(n)
	}
	return nil
}

// Lock is FS.Lock. It leaves no file behind.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, _, err := m.parent(name); err != nil {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	name = clean(name)
	if m.locks[name] {
		return nil, &LockedError{Path: name, PID: os.Getpid()}
	}
	m.locks[name] = true
	return &memLock{m, name}, nil
}

type memLock struct {
	fs   *Mem
	name string
}

func (l *memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}

type memInfo struct {
	name  string
	size  int64
	mode  fs.FileMode
	mtime time.Time
	inode uint64
}

func infoOf(base string, n *node) fs.FileInfo {
	return memInfo{base, int64(len(n.data)), n.mode, n.mtime, n.inode}
}

func (i memInfo) Name() string        { return i.name }
func (i memInfo) Size() int64         { return i.size }
func (i memInfo) Mode() fs.FileMode   { return i.mode }
func (i memInfo) ModTime() time.Time  { return i.mtime }
func (i memInfo) IsDir() bool         { return i.mode.IsDir() }
func (i memInfo) Sys() any            { return nil }
func (i memInfo) inodeNumber() uint64 { return i.inode }
