package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Flags for FS.OpenFile, with the meaning they have in package os.
const (
	O_RDONLY = os.O_RDONLY
	O_WRONLY = os.O_WRONLY
	O_RDWR   = os.O_RDWR
	O_APPEND = os.O_APPEND
	O_CREATE = os.O_CREATE
	O_EXCL   = os.O_EXCL
	O_TRUNC  = os.O_TRUNC
)

// FS is a file system. Implementations are safe for concurrent use. Names are
// joined and cleaned as package path/filepath does; errors match the sentinels
// of io/fs ([fs.ErrNotExist] and so on).
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename replaces newname if it is there, in one step that a crash cannot split.
	Rename(oldname, newname string) error
	// Link gives a file a second name. It fails if newname exists.
	Link(oldname, newname string) error
	// Remove unlinks a file or an empty directory.
	Remove(name string) error
	Mkdir(name string, perm fs.FileMode) error
	MkdirAll(name string, perm fs.FileMode) error
	// ReadDir lists a directory by name, ascending.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Lock takes the path for this process alone until the Closer is closed or
	// the process dies. It does not wait: a path that is taken gives a
	// *LockedError. The file at the path stays behind, unlocked.
	Lock(name string) (io.Closer, error)
}

// File is an open file. It has no descriptor to take out, so that no write can
// go round the FS it came from.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	// Name is the name the file was opened by.
	Name() string
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	// Sync makes the bytes and the size durable. After a failed Sync nothing is
	// known about either, and a later success proves nothing: the kernel may
	// have dropped the pages it could not write.
	Sync() error
}

// LockedError says that somebody else holds a lock.
type LockedError struct {
	Path string
	PID  int // the holder's process id as it wrote it down; 0 when unknown
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("lock %s: held by another process", e.Path)
	}
	return fmt.Sprintf("lock %s: held by process %d", e.Path, e.PID)
}

// Open opens a file for reading.
func Open(fsys FS, name string) (File, error) { return fsys.OpenFile(name, O_RDONLY, 0) }

// Create opens a file for writing and empties it.
func Create(fsys FS, name string) (File, error) {
	return fsys.OpenFile(name, O_RDWR|O_CREATE|O_TRUNC, 0o644)
}

// ReadFile reads a whole file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := Open(fsys, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// SyncFile makes a file's bytes durable, whoever wrote them.
func SyncFile(fsys FS, name string) error {
	f, err := Open(fsys, name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}

// MkdirDurable makes a directory and those above it, where they are missing, each
// durably: a synced file is no use under a name that a power cut takes away.
func MkdirDurable(fsys FS, name string, perm fs.FileMode) error {
	if info, err := fsys.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(name)
	if above != name {
		if err := MkdirDurable(fsys, above, perm); err != nil {
			return err
		}
	}
	if err := fsys.Mkdir(name, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return fsys.SyncDir(above)
}

// ErrUnsure marks a failure after which a file may hold its old or its new
// content, and which of them may change with the next crash.
var ErrUnsure = errors.New("old or new content, unsure which")

// Replace makes a file hold data, durably and in one step: write temp, sync it,
// rename it, sync the directory. temp must be in the directory of name.
//
// An error leaves the old content in place, except one that matches [ErrUnsure].
func Replace(fsys FS, name, temp string, data []byte) error {
	if err := writeSynced(fsys, temp, data); err != nil {
		_ = fsys.Remove(temp)
		return err
	}
	err := fsys.Rename(temp, name)
	if err == nil {
		err = fsys.SyncDir(filepath.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrUnsure)
	}
	return nil
}

func writeSynced(fsys FS, name string, data []byte) error {
	f, err := fsys.OpenFile(name, O_WRONLY|O_CREATE|O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
