package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"limpet/vfs"
)

// Landing is a data directory that is being filled. Until Commit, all of it is
// in a directory inside, which no server looks at; then it moves out in one step.
// So a server that is started too early, or after a kill, finds nothing, and
// never half of a log, which a Redis would take for an empty one and write over.
type Landing struct {
	fs   vfs.FS
	dir  string
	lock io.Closer
	tops []string // what is to move out: files and directories, in the order of their making
	dirs []string // made so far, within
}

const (
	landingName = ".limpet-restore" // within the directory
	landingLock = "lock"            // within that
)

// OccupiedError says that a directory to restore into is not empty, or that
// another restore is filling it.
type OccupiedError struct {
	Dir   string
	Found string // one of the things in it
	By    error  // the lock of another restore, or nil
}

func (e *OccupiedError) Error() string {
	if e.By != nil {
		return fmt.Sprintf("restore into %s: another restore is under way: %v", e.Dir, e.By)
	}
	return fmt.Sprintf("restore into %s: want a missing or an empty directory, have %s in it", e.Dir, e.Found)
}

func (e *OccupiedError) Unwrap() error { return e.By }

// Vacant looks whether a directory can be restored into. What an interrupted
// restore has left is nothing, and so is lost+found.
func Vacant(fsys vfs.FS, dir string) error {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != landingName && e.Name() != "lost+found" {
			return &OccupiedError{Dir: dir, Found: e.Name()}
		}
	}
	return nil
}

// Land begins to fill a directory, which is made when it is missing.
func Land(fsys vfs.FS, dir string) (*Landing, error) {
	if err := Vacant(fsys, dir); err != nil {
		return nil, err
	}
	l := &Landing{fs: fsys, dir: dir}
	if err := vfs.MkdirDurable(fsys, l.within(""), 0o755); err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(l.within(landingLock))
	var taken *vfs.LockedError
	if errors.As(err, &taken) {
		return nil, &OccupiedError{Dir: dir, By: err}
	}
	if err != nil {
		return nil, err
	}
	l.lock = lock
	// An earlier restore may have ended between the look above and the lock.
	err = Vacant(fsys, dir)
	if err == nil {
		err = l.clear()
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return l, nil
}

func (l *Landing) within(name string) string {
	return filepath.Join(l.dir, landingName, filepath.FromSlash(name))
}

// clear removes what an interrupted restore has left.
func (l *Landing) clear() error {
	entries, err := l.fs.ReadDir(l.within(""))
	for _, e := range entries {
		if err == nil && e.Name() != landingLock {
			err = removeAll(l.fs, l.within(e.Name()))
		}
	}
	return err
}

func removeAll(fsys vfs.FS, name string) error {
	entries, err := fsys.ReadDir(name)
	if err == nil {
		for _, e := range entries {
			if err := removeAll(fsys, filepath.Join(name, e.Name())); err != nil {
				return err
			}
		}
	}
	err = fsys.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Write makes a file of the directory, durably. name has slashes and comes from
// a catalogue, which may be hostile.
func (l *Landing) Write(name string, fill func(w io.Writer) error) error {
	if !fs.ValidPath(name) || name == "." || strings.HasPrefix(name, landingName) {
		return fmt.Errorf("restore into %s: the backup names a file %q", l.dir, name)
	}
	top, _, _ := strings.Cut(name, "/")
	if !slices.Contains(l.tops, top) {
		l.tops = append(l.tops, top)
	}
	if parent := path.Dir(name); parent != "." && !slices.Contains(l.dirs, parent) {
		if err := l.fs.MkdirAll(l.within(parent), 0o755); err != nil {
			return err
		}
		l.dirs = append(l.dirs, parent)
	}
	f, err := l.fs.OpenFile(l.within(name), vfs.O_WRONLY|vfs.O_CREATE|vfs.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Commit makes what was written the content of the directory, durably. A log is
// one directory, so it appears in one step, its manifest with it.
func (l *Landing) Commit() error {
	for _, dir := range l.dirs {
		for ; dir != "."; dir = path.Dir(dir) {
			if err := l.fs.SyncDir(l.within(dir)); err != nil {
				return err
			}
		}
	}
	if err := l.fs.SyncDir(l.within("")); err != nil {
		return err
	}
	for _, top := range l.tops {
		if err := l.fs.Rename(l.within(top), filepath.Join(l.dir, top)); err != nil {
			return err
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	return l.leave()
}

// Abandon removes what was written. The directory inside stays, with the lock: a
// lock file may only go when whoever has opened it meanwhile finds the directory
// occupied. The next restore takes no offence at it.
func (l *Landing) Abandon() error { return errors.Join(l.clear(), l.lock.Close()) }

// leave removes the directory inside. The lock is held until its name has gone.
func (l *Landing) leave() error {
	err := l.fs.Remove(l.within(landingLock))
	if errors.Is(err, fs.ErrNotExist) { // not every file system keeps locks in files
		err = nil
	}
	err = errors.Join(err, l.lock.Close())
	if err == nil {
		err = l.fs.Remove(l.within(""))
	}
	if err == nil {
		err = l.fs.SyncDir(l.dir)
	}
	return err
}
