package repair

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"limpet/internal/check"
	"limpet/vfs"
)

// Guard takes the locks of the stores in a directory, as each store does that
// has it open. A lock that is held gives a *vfs.LockedError. Where there is no
// lock yet, one is made only if the directory is going to be changed. A real
// redis-server knows no locks.
//
// For a single file the stores of its directory count, and no lock is made.
func Guard(fsys vfs.FS, dir string, change bool) (release func(), err error) {
	if info, err := fsys.Stat(dir); err == nil && !info.IsDir() {
		dir, change = filepath.Dir(dir), false
	}
	r, err := check.Survey(fsys, dir)
	if err != nil {
		return nil, err
	}
	var held []io.Closer
	release = func() {
		for _, lock := range held {
			_ = lock.Close()
		}
	}
	for _, l := range r.Logs {
		path := filepath.Join(dir, l.Name+".lock")
		if _, err := fsys.Stat(path); errors.Is(err, fs.ErrNotExist) && !change {
			continue
		}
		lock, err := fsys.Lock(path)
		switch {
		case errors.Is(err, fs.ErrPermission) && !change:
			continue // we may not write here, and will not
		case err != nil:
			release()
			return nil, err
		}
		held = append(held, lock)
	}
	return release, nil
}
