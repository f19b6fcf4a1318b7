package aof

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"

	"limpet/vfs"
)

// OpenIncr opens the last incr file for appending, or begins the first. The log
// must have been replayed. What was replayed is made durable first: the process
// that wrote it may have died without a sync, or cp has brought it here, and what
// is built on it from here must not outlive it.
func (d *Dir) OpenIncr() (*Writer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.readable {
		return nil, errors.New("aof: a log that was not replayed to its end cannot be appended to")
	}
	if err := d.makeDir(); err != nil {
		return nil, err
	}
	for _, e := range d.manifest.Live() {
		if err := vfs.SyncFile(d.fs, d.in(e.Name)); err != nil {
			return nil, err
		}
	}
	if len(d.manifest.Incrs) > 0 { // else there is none, or a new one follows
		if err := vfs.SyncFile(d.fs, d.in(d.manifestName())); err != nil {
			return nil, err
		}
	}
	if err := d.fs.SyncDir(d.path); err != nil {
		return nil, err
	}
	if len(d.manifest.Incrs) == 0 {
		return d.nextIncr()
	}
	last := d.manifest.Incrs[len(d.manifest.Incrs)-1]
	f, err := d.fs.OpenFile(d.in(last.Name), vfs.O_WRONLY|vfs.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return newWriter(f, last.Seq, info.Size()), nil
}

// CreateWithBase begins a log whose base is a file from [Dir.CreateTempBase],
// where there was none or an empty one.
//
// The empty incr is named before the base is in place, so that a base without a
// manifest is never a sign of our own crash: until the base is named,
// [Plan.Empty] sends the next start the same way again.
func (d *Dir) CreateWithBase(tempBase string) (*Writer, error) {
	w, err := d.OpenIncr()
	if err != nil {
		return nil, err
	}
	if err := d.CommitBase(tempBase, w.Seq()); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Rotate begins the next incr file behind everything appended to w, and closes
// w. The order closes a hole that Redis has, where the successor is named while
// the end of the old file may still be lost:
//
//  1. sync the old incr
//  2. create the new one, sync it, sync the directory
//  3. publish the manifest that names both
//
// On an error w goes on, unless the disk may already name the successor: then
// w is broken too, since nothing may be appended before a successor.
func (d *Dir) Rotate(w *Writer) (*Writer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.Seq() != d.manifest.lastIncr() {
		return nil, fmt.Errorf("aof: rotate: %s is not the last incr file", w.Name())
	}
	if err := w.Sync(); err != nil {
		return nil, err
	}
	next, err := d.nextIncr()
	if err != nil {
		if errors.Is(err, vfs.ErrUnsure) {
			_ = w.fail(fmt.Errorf("aof: %s: a successor may already be named: %w", w.Name(), err))
		}
		return nil, err
	}
	_ = w.Close() // synced: closing can lose nothing
	return next, nil
}

// CreateTempBase creates a file for a new base, which is to be an RDB. Its writer
// hands the file's name to CommitBase, ReplaceAll, CreateWithBase, Attach or
// CommitAlone, or removes it. An unused one is removed at the next start.
func (d *Dir) CreateTempBase() (vfs.File, error) { return d.createTempBase(tempBaseSuffix) }

// CreateTempRESPBase is [Dir.CreateTempBase] for a base of commands
// (aof-use-rdb-preamble no). It may not be empty: a SELECT is the least.
func (d *Dir) CreateTempRESPBase() (vfs.File, error) { return d.createTempBase(aofBaseSuffix) }

func (d *Dir) createTempBase(suffix string) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.makeDir(); err != nil {
		return nil, err
	}
	d.nextTemp++ // never one name twice: an abandoned writer may still be at work
	return d.fs.OpenFile(d.in(d.tempBase(d.nextTemp, suffix)), vfs.O_RDWR|vfs.O_CREATE|vfs.O_TRUNC, 0o644)
}

// CommitBase makes a temporary base the base, and everything before firstIncr
// history. The base must hold exactly what the log held when firstIncr was
// begun. When the log was replaced since, firstIncr is no longer part of it, and
// CommitBase refuses with [ErrSuperseded].
//
// After any error the log goes on as it was, and the temporary base is gone.
func (d *Dir) CommitBase(tempBase string, firstIncr Seq) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.manifest.clone()
	m.retire(firstIncr)
	if len(m.Incrs) == 0 || m.Incrs[0].Seq != firstIncr {
		_ = d.fs.Remove(tempBase)
		return ErrSuperseded
	}
	if err := d.placeBase(m, tempBase); err != nil {
		return err
	}
	if err := d.publish(m); err != nil {
		d.abandon(err, m.Base.Name)
		return err
	}
	return nil
}

// ReplaceAll makes a temporary base and a fresh incr file the whole log, in one
// step, and everything else history. It is how a log goes on whose writer is
// broken: the base must hold everything that was acknowledged. After any error
// the temporary base is gone.
func (d *Dir) ReplaceAll(tempBase string) (*Writer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.manifest.clone()
	m.retire(math.MaxInt64)
	w, err := d.createIncr(m)
	if err != nil {
		_ = d.fs.Remove(tempBase)
		return nil, err
	}
	if err = d.placeBase(m, tempBase); err == nil {
		if err = d.publish(m); err == nil {
			return w, nil
		}
		d.abandon(err, m.Base.Name)
	}
	_ = w.Close()
	d.abandon(err, w.Name())
	return nil, err
}

// placeBase gives a temporary base its name in the directory, durably, and
// enters it in m. It leaves nothing behind when it fails.
func (d *Dir) placeBase(m *Manifest, tempBase string) (err error) {
	at := tempBase
	defer func() {
		if err != nil {
			_ = d.fs.Remove(at)
			err = fmt.Errorf("aof: new base: %w", err)
		}
	}()
	if err := d.syncBase(tempBase); err != nil {
		return err
	}
	e, err := d.nextBase(tempBase)
	if err != nil {
		return err
	}
	if err := d.fs.Rename(tempBase, d.in(e.Name)); err != nil {
		return err
	}
	at, m.Base = d.in(e.Name), &e
	return d.fs.SyncDir(d.path)
}

// nextBase is the entry that a temporary base will have. Its name says what is
// in it, as the temporary one does. d.mu is held.
func (d *Dir) nextBase(tempBase string) (Entry, error) {
	suffix := rdbBaseSuffix
	if isRESPBase(tempBase) {
		suffix = aofBaseSuffix
	}
	seq, err := d.following(d.manifest.lastBase(), Base)
	return Entry{Name: d.baseName(seq, suffix), Seq: seq, Type: Base}, err
}

func isRESPBase(path string) bool { return strings.HasSuffix(path, aofBaseSuffix) }

// syncBase makes a file durable and looks whether it begins as an RDB or as
// commands do: the name it is about to get says which.
func (d *Dir) syncBase(path string) error {
	f, err := vfs.Open(d.fs, path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	magic := make([]byte, 5)
	n, err := f.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	begins := string(magic[:n])
	switch {
	case !isRESPBase(path) && begins != "REDIS":
		return fmt.Errorf("%s: want an RDB, it begins with %q", path, begins)
	case isRESPBase(path) && !strings.HasPrefix(begins, "*") && !strings.HasPrefix(begins, "#"):
		return fmt.Errorf("%s: want commands, it begins with %q", path, begins)
	}
	return f.Sync()
}

// nextIncr creates the next incr file and publishes it.
func (d *Dir) nextIncr() (*Writer, error) {
	m := d.manifest.clone()
	w, err := d.createIncr(m)
	if err != nil {
		return nil, err
	}
	if err := d.publish(m); err != nil {
		_ = w.Close()
		d.abandon(err, w.Name())
		return nil, err
	}
	return w, nil
}

// createIncr creates the next incr file, durably, and enters it in m.
func (d *Dir) createIncr(m *Manifest) (*Writer, error) {
	seq, err := d.following(d.manifest.lastIncr(), Incr)
	if err != nil {
		return nil, err
	}
	e := Entry{Name: d.incrName(seq), Seq: seq, Type: Incr}
	f, err := d.fs.OpenFile(d.in(e.Name), vfs.O_WRONLY|vfs.O_APPEND|vfs.O_CREATE|vfs.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("aof: new incr file: %w", err)
	}
	// The file first, emptied as it is, then its name: only then may it be named.
	if err = f.Sync(); err == nil {
		err = d.fs.SyncDir(d.path)
	}
	if err != nil {
		_ = f.Close()
		d.abandon(err, e.Name)
		return nil, fmt.Errorf("aof: new incr file: %w", err)
	}
	m.Incrs = append(m.Incrs, e)
	return newWriter(f, seq, 0), nil
}

// abandon removes a new file that failed with err to become part of the log,
// unless the manifest on disk may name it.
func (d *Dir) abandon(err error, name string) {
	if !errors.Is(err, vfs.ErrUnsure) {
		_ = d.fs.Remove(d.in(name))
	}
}

// DeleteHistory unlinks what the manifest lists as history and then forgets it,
// unless [Options.KeepHistory]. Call it after OpenIncr, CommitBase and
// ReplaceAll, where the log's owner has time: unlinking a large file is slow.
// What could not be unlinked stays listed, for the next call.
func (d *Dir) DeleteHistory() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.o.KeepHistory || len(d.manifest.History) == 0 {
		return nil
	}
	m := d.manifest.clone()
	m.History = nil
	var failed error
	for _, e := range d.manifest.History {
		if m.names(e.Name) {
			continue // in use under this name again: only the line is history
		}
		if err := d.fs.Remove(d.in(e.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
			m.History = append(m.History, e)
		}
	}
	// Durable first, else a file could come back that nothing names any more.
	if err := d.fs.SyncDir(d.path); err != nil {
		return errors.Join(failed, err)
	}
	return errors.Join(failed, d.publish(m))
}
