package aof

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"limpet/vfs"
)

// Plan is what a start has to replay, in order.
type Plan struct {
	Files    []PlannedFile
	Upgraded bool     // a single-file log was moved into the directory just now
	Removed  []string // own temporary files of an earlier run, now removed
	Strays   []string // paths of log files that nothing names; left alone

	dir *Dir
}

// PlannedFile is a file to replay.
type PlannedFile struct {
	Entry
	Path string
	Size int64 // bytes
}

// Empty tells that no file holds a byte and none is a base. Redis then starts
// with nothing even where a dump.rdb lies beside; an owner should load that and
// call [Dir.CreateWithBase]. A start that was cut off before its first base was
// in place looks like this too. A base of no commands is a log all the same: the
// one that Redis writes of nothing.
func (p *Plan) Empty() bool {
	return p.Bytes() == 0 && !slices.ContainsFunc(p.Files, func(f PlannedFile) bool { return isRESPBase(f.Name) })
}

// Bytes is the size of all files together.
func (p *Plan) Bytes() int64 {
	var n int64
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}

// Load decides what a start has to replay. It refuses files that nobody names
// (*OrphanError), names without files (*MissingError) and an RDB base of no
// bytes (*FormatError), and has changed nothing then. Else it takes over a
// single-file log as Redis 7 does, and removes its own temporary files.
func (d *Dir) Load() (*Plan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readable = false
	p := &Plan{dir: d}
	listing, err := d.list()
	if err != nil {
		return nil, err
	}
	if err := d.refuseOrphans(listing); err != nil {
		return nil, err
	}
	upgrade, err := d.wantsUpgrade()
	if err != nil {
		return nil, err
	}
	if upgrade {
		if err := d.upgrade(); err != nil {
			return nil, fmt.Errorf("aof: take over %s: %w", d.file, err)
		}
		p.Upgraded = true
	}
	if err := d.refuseMissing(); err != nil {
		return nil, err
	}
	if err := d.removeTemps(p, listing); err != nil {
		return nil, err
	}
	if err := d.findStrays(p, listing); err != nil {
		return nil, err
	}
	for _, e := range d.manifest.Live() {
		info, err := d.fs.Stat(d.in(e.Name))
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, PlannedFile{e, d.in(e.Name), info.Size()})
	}
	d.readable = p.Empty()
	return p, nil
}

// list is the files in the append-only directory and their sizes.
func (d *Dir) list() (map[string]int64, error) {
	entries, err := d.fs.ReadDir(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	sizes := make(map[string]int64, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody tidied up between the listing and now
		}
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			sizes[e.Name()] = info.Size()
		}
	}
	return sizes, nil
}

// refuseOrphans refuses files with data in them that a new log would overwrite:
// any when the manifest names none to replay, else incrs later than the last
// one named. A crash of this package or of Redis leaves no such file, since
// nothing is appended to an incr before a durable manifest names it; a manifest
// lost or restored from an older copy does. Bases are no orphans then: a crash
// at the end of a rewrite leaves one.
func (d *Dir) refuseOrphans(listing map[string]int64) error {
	var orphans []string
	for _, name := range sortedNames(listing) {
		seq, isIncr := d.incrSeq(name)
		later := isIncr && seq > d.manifest.lastIncr()
		fresh := len(d.manifest.Live()) == 0
		if listing[name] > 0 && d.isData(name) && !d.manifest.names(name) && (fresh || later) {
			orphans = append(orphans, name)
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	e := &OrphanError{Dir: d.path, Files: orphans}
	if _, ok := listing[d.manifestName()]; ok {
		e.Manifest = d.manifestName()
	}
	return e
}

// refuseMissing refuses a manifest that names files which are not there, or an
// RDB base without a byte: Redis 7.0 takes that for an empty data set.
func (d *Dir) refuseMissing() error {
	var missing []string
	for _, e := range d.manifest.Live() {
		info, err := d.fs.Stat(d.in(e.Name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, e.Name)
		case err != nil:
			return err
		case info.Size() == 0 && strings.HasSuffix(e.Name, rdbBaseSuffix):
			return notAnRDB(e.Name, 0)
		}
	}
	if len(missing) > 0 {
		return &MissingError{Dir: d.path, Files: missing}
	}
	return nil
}

// notAnRDB says that a base of that name is something else, for which a cut
// would be no cure.
func notAnRDB(name string, size int64) error {
	return &FormatError{File: name, What: fmt.Sprintf("base: want an RDB, have %d bytes of something else", size)}
}

// wantsUpgrade tells whether the single-file log of Redis before 7 is to be
// taken over: nothing is named yet, or an earlier upgrade named the file and
// did not get to move it. A file of that name inside wins over the one outside.
func (d *Dir) wantsUpgrade() (bool, error) {
	outside, err := d.exists(filepath.Join(d.home, d.file))
	if err != nil || !outside {
		return false, err
	}
	m := d.manifest
	if len(m.Live()) == 0 {
		return true, nil
	}
	if m.Base == nil || m.Base.Name != d.file || len(m.Incrs) > 0 {
		return false, nil
	}
	inside, err := d.exists(d.in(d.file))
	return !inside, err
}

// upgrade names the outside file as the base, then moves it in, in the order of
// Redis, which finishes what was begun here and the other way round.
func (d *Dir) upgrade() error {
	outside := filepath.Join(d.home, d.file)
	if err := vfs.SyncFile(d.fs, outside); err != nil {
		return err
	}
	if err := d.makeDir(); err != nil {
		return err
	}
	m := &Manifest{Base: &Entry{Name: d.file, Seq: 1, Type: Base}, History: d.manifest.History}
	if err := d.publish(m); err != nil {
		return err
	}
	if err := d.fs.Rename(outside, d.in(d.file)); err != nil {
		return err
	}
	if err := d.fs.SyncDir(d.path); err != nil {
		return err
	}
	return d.fs.SyncDir(d.home)
}

func (d *Dir) removeTemps(p *Plan, listing map[string]int64) error {
	for _, name := range sortedNames(listing) {
		if !d.isOwnTemp(name) {
			continue
		}
		// An upgrade just now may have written over the temporary manifest.
		if err := d.fs.Remove(d.in(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		p.Removed = append(p.Removed, d.in(name))
	}
	return nil
}

// findStrays reports what Redis leaves behind (trap: nobody ever removes it),
// and what a crash at the end of a rewrite leaves.
func (d *Dir) findStrays(p *Plan, listing map[string]int64) error {
	for _, name := range sortedNames(listing) {
		if d.isData(name) && !d.manifest.names(name) {
			p.Strays = append(p.Strays, d.in(name))
		}
	}
	home, err := d.fs.ReadDir(d.home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range home {
		if ok, _ := filepath.Match("temp-rewriteaof-*.aof", e.Name()); ok {
			p.Strays = append(p.Strays, filepath.Join(d.home, e.Name()))
		}
	}
	return nil
}
