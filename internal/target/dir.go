package target

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"limpet/clock"
	"limpet/vfs"
)

// dir keeps objects as files below a directory. (gocloud.dev/blob has such a
// driver, too: it does not sync, so an object could be empty after a power cut.)
//
// An object is written to a temporary file, synced, given its name in one step,
// and the directories that lead to it are synced.
type dir struct {
	fs    vfs.FS
	root  string
	clock clock.Clock
}

const (
	partials = ".partial" // the directory of unfinished objects, below root
	nameLock = ".lock"    // see claim

	// abandonedAfter is how long nobody has written to an unfinished object
	// whose writer is taken to be dead. Should one still live, its Put fails.
	abandonedAfter = time.Hour
	// nameTries is how often an object is named anew when its directory was
	// removed at the same time, being empty.
	nameTries = 10
)

// OpenDir opens a directory of any file system as a target; over a vfs.Mem it
// is a target in memory.
func OpenDir(fsys vfs.FS, root string) (*Store, error) {
	abs := root
	if !filepath.IsAbs(root) {
		var err error
		if abs, err = filepath.Abs(root); err != nil {
			return nil, err
		}
	}
	d := dir{fs: fsys, root: abs, clock: clock.Real()}
	d.sweep()
	return &Store{spec: root, kind: d}, nil
}

// sweep removes unfinished objects whose writers have died. That it cannot is
// no reason not to read, and a writer will say so itself.
func (d dir) sweep() {
	files, err := d.fs.ReadDir(filepath.Join(d.root, partials))
	if err != nil {
		return
	}
	for _, file := range files {
		info, err := file.Info()
		if err == nil && d.clock.Now().Sub(info.ModTime()) > abandonedAfter {
			_ = d.fs.Remove(filepath.Join(d.root, partials, file.Name()))
		}
	}
}

func (d dir) file(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

func (d dir) put(_ context.Context, key string, r io.Reader, exclusive bool) error {
	if exclusive { // needless work is saved here; claim decides
		if _, err := d.fs.Stat(d.file(key)); err == nil {
			return ErrExists
		}
	}
	if err := vfs.MkdirDurable(d.fs, filepath.Join(d.root, partials), 0o750); err != nil {
		return err
	}
	temp := filepath.Join(d.root, partials, rand.Text())
	if err := d.writeSynced(temp, r); err != nil {
		_ = d.fs.Remove(temp)
		return err
	}
	err := d.name(temp, d.file(key), exclusive)
	if err != nil {
		_ = d.fs.Remove(temp)
	}
	return err
}

func (d dir) writeSynced(name string, r io.Reader) error {
	f, err := d.fs.OpenFile(name, vfs.O_WRONLY|vfs.O_CREATE|vfs.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// name gives a synced file its name, durably.
func (d dir) name(temp, name string, exclusive bool) (err error) {
	parent := filepath.Dir(name)
	for range nameTries {
		if err = vfs.MkdirDurable(d.fs, parent, 0o750); err != nil {
			return err
		}
		if exclusive {
			err = d.claim(temp, name)
		} else {
			err = d.fs.Rename(temp, name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	return d.fs.SyncDir(parent)
}

// claim gives a file a name that nobody may have yet. A hard link does that in
// one step; file systems without them (exFAT, some of a network) need a lock
// around looking and renaming.
func (d dir) claim(temp, name string) error {
	err := d.fs.Link(temp, name)
	switch {
	case err == nil:
		return d.fs.Remove(temp)
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	case !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOTSUP) && !errors.Is(err, syscall.ENOSYS):
		return err
	}
	lock, err := d.lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if _, err := d.fs.Stat(name); err == nil {
		return ErrExists
	}
	return d.fs.Rename(temp, name)
}

// lock waits for the lock of the whole target, which is held for two operations.
func (d dir) lock() (io.Closer, error) {
	for {
		lock, err := d.fs.Lock(filepath.Join(d.root, nameLock))
		var taken *vfs.LockedError
		if !errors.As(err, &taken) {
			return lock, err
		}
		<-d.clock.After(5 * time.Millisecond)
	}
}

func (d dir) get(_ context.Context, key string) (io.ReadCloser, error) {
	f, err := d.open(key)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d dir) getRange(_ context.Context, key string, offset, _ int64) (io.ReadCloser, error) {
	f, err := d.open(key)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (d dir) open(key string) (vfs.File, error) {
	f, err := vfs.Open(d.fs, d.file(key))
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return nil, errors.Join(ErrNotFound, err)
	case err != nil:
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		_ = f.Close()
		return nil, errors.Join(ErrNotFound, err)
	}
	return f, nil
}

func (d dir) list(ctx context.Context, prefix string) ([]Object, error) {
	l := lister{d: d, ctx: ctx, prefix: prefix}
	within := path.Dir(prefix + "x") // the directory that all such keys are in
	if within == "." {
		within = ""
	}
	err := l.walk(within)
	return l.objects, err
}

type lister struct {
	d       dir
	ctx     context.Context
	prefix  string
	objects []Object
}

// walk lists below a directory, which is a key or "". Directories and files that
// vanish meanwhile were deleted.
func (l *lister) walk(within string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := l.d.fs.ReadDir(l.d.file(within))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		key := path.Join(within, entry.Name())
		if checkKey(key) != nil { // unfinished, or not ours
			continue
		}
		if err := l.visit(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (l *lister) visit(key string) error {
	info, err := l.d.fs.Stat(l.d.file(key))
	switch {
	case err != nil:
		return err
	case info.IsDir():
		if dir := key + "/"; strings.HasPrefix(dir, l.prefix) || strings.HasPrefix(l.prefix, dir) {
			return l.walk(key)
		}
	case strings.HasPrefix(key, l.prefix):
		l.objects = append(l.objects, Object{Key: key, Size: info.Size(), ModTime: info.ModTime()})
	}
	return nil
}

// remove removes an object and the directories that it leaves empty.
func (d dir) remove(_ context.Context, key string) error {
	name := d.file(key)
	err := d.fs.Remove(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return nil
	case err != nil:
		return err
	}
	parent := filepath.Dir(name)
	for parent != d.root && d.fs.Remove(parent) == nil {
		parent = filepath.Dir(parent)
	}
	err = d.fs.SyncDir(parent)
	for errors.Is(err, fs.ErrNotExist) && parent != d.root { // another one has emptied it and removed it
		parent = filepath.Dir(parent)
		err = d.fs.SyncDir(parent)
	}
	return err
}

func (d dir) close() error { return nil }
