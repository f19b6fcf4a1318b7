package aof

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"limpet/vfs"
)

// A log that is being switched on at run time grows beside the old state, which
// stays what a start finds until everything new is in place:
//
//	w, err := d.CreateDetachedIncr()  // temp-appendonly.aof.incr takes what comes …
//	f, err := d.CreateTempBase()      // … while the data as of its beginning is written
//	err = d.Attach(f.Name(), w)       // both become the log, all older files history
//
// Until Attach has published its manifest nothing loads the detached file, and
// from then on nothing loads what an earlier log has left.

// CreateDetachedIncr creates the incr file of a log that is being switched on.
// Its writer is handed to [Dir.Attach] or to [Dir.Discard]; one that neither got
// is removed at the next start. It refuses with an *OrphanError where Load does.
func (d *Dir) CreateDetachedIncr() (*Writer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	listing, err := d.list()
	if err != nil {
		return nil, err
	}
	if err := d.refuseOrphans(listing); err != nil {
		return nil, err
	}
	if err := d.makeDir(); err != nil {
		return nil, err
	}
	f, err := d.fs.OpenFile(d.in(d.detachedIncr()), vfs.O_WRONLY|vfs.O_APPEND|vfs.O_CREATE|vfs.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("aof: detached incr file: %w", err)
	}
	if err := f.Sync(); err != nil { // emptied as it is: it may have been there before
		_ = f.Close()
		_ = d.fs.Remove(f.Name())
		return nil, fmt.Errorf("aof: detached incr file: %w", err)
	}
	return newWriter(f, 0, 0), nil
}

// Attach makes a temporary base and a detached incr the whole log, in one step,
// and everything else history. Appending to w may go on meanwhile: what is in it
// when Attach begins is durable before the log counts, and what follows is as in
// any last incr.
//
// The files get their names while the manifest lists these as history, so that a
// crash in between leaves files to delete, not orphans to puzzle over. After any
// error the log is what it was, the base is gone, and w is to be discarded.
func (d *Dir) Attach(tempBase string, w *Writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	incr, err := d.attachable(w)
	if err == nil {
		err = d.reserve(tempBase, incr)
	}
	if err == nil {
		err = d.rename(w, incr)
	}
	if err != nil {
		_ = d.fs.Remove(tempBase)
		return fmt.Errorf("aof: attach: %w", err)
	}
	return d.supersede(tempBase, incr)
}

// CommitAlone makes a temporary base the whole log, without an incr file, and
// everything else history. It is BGREWRITEAOF while the log is off. After any
// error the log is what it was and the base is gone.
func (d *Dir) CommitAlone(tempBase string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.reserve(tempBase); err != nil {
		_ = d.fs.Remove(tempBase)
		return err
	}
	return d.supersede(tempBase)
}

// Discard closes a detached incr that was not attached and removes it, unless
// the manifest on disk may name it. Nobody appends to it any more.
func (d *Dir) Discard(w *Writer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = w.Close()
	if !slices.ContainsFunc(d.doubtful, func(e Entry) bool { return e.Name == w.Name() }) {
		_ = d.fs.Remove(d.in(w.Name()))
	}
}

// Dormant is the paths of the files that a start with the log on would load. An
// owner who runs with the log off has not loaded them and does not add to them.
func (d *Dir) Dormant() (paths []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	upgrade, err := d.wantsUpgrade()
	if err != nil {
		return nil, err
	}
	if upgrade {
		return []string{filepath.Join(d.home, d.file)}, nil
	}
	for _, e := range d.manifest.Live() {
		paths = append(paths, d.in(e.Name))
	}
	return paths, nil
}

// RemoveTemps removes the temporary files of an earlier run, for an owner with
// the log off; Load does it by itself.
func (d *Dir) RemoveTemps() (removed []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	listing, err := d.list()
	if err != nil {
		return nil, err
	}
	var p Plan
	err = d.removeTemps(&p, listing)
	return p.Removed, err
}

// attachable makes a detached incr durable as far as it is, and gives it its
// place in the log. d.mu is held.
func (d *Dir) attachable(w *Writer) (Entry, error) {
	if w.Seq() != 0 {
		return Entry{}, fmt.Errorf("%s is not detached", w.Name())
	}
	if err := w.Sync(); err != nil {
		return Entry{}, err
	}
	seq, err := d.following(d.manifest.lastIncr(), Incr)
	return Entry{Name: d.incrName(seq), Seq: seq, Type: Incr}, err
}

// reserve lists the names that a base and an incr are about to get as history.
// d.mu is held.
func (d *Dir) reserve(tempBase string, incrs ...Entry) error {
	base, err := d.nextBase(tempBase)
	if err != nil {
		return err
	}
	m := d.manifest.clone()
	for _, e := range append(incrs, base) {
		if !m.names(e.Name) {
			e.Type = History
			m.History = append(m.History, e)
		}
	}
	return d.publish(m)
}

// rename gives a detached incr its name in the log. d.mu is held.
func (d *Dir) rename(w *Writer, e Entry) error {
	if err := d.fs.Rename(d.in(w.Name()), d.in(e.Name)); err != nil {
		return err
	}
	w.become(e)
	return nil
}

// supersede makes a base and the given incrs, which are in place, the whole log.
// d.mu is held.
func (d *Dir) supersede(tempBase string, incrs ...Entry) error {
	m := d.manifest.clone()
	m.retire(math.MaxInt64)
	m.Incrs = incrs
	if err := d.placeBase(m, tempBase); err != nil {
		return err
	}
	err := d.publish(m)
	if err != nil && !errors.Is(err, vfs.ErrUnsure) {
		_ = d.fs.Remove(d.in(m.Base.Name))
	}
	return err
}
