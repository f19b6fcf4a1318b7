package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"limpet/aof"
	"limpet/vfs"
)

// ErrNotEmpty: a restore goes into an empty directory or one that is yet to be.
var ErrNotEmpty = errors.New("not empty")

// Restore writes a plan as a data directory of Redis 7, which a server of Redis
// or of this project opens. The chain of hashes is checked on the way, and no gap
// is crossed: a damaged archive gives an error and no directory.
//
// The files are written beside their place and synced, the manifest last. One
// rename puts them there together, so that no server ever finds files without
// their manifest, over which Redis would begin an empty log.
func (a *Archive) Restore(ctx context.Context, p *Plan, fsys vfs.FS, dir string) (err error) {
	r := &restore{ctx: ctx, a: a, p: p, fs: fsys, dir: dir}
	r.dirName, r.fileName = orDefault(p.Timeline.DirName, "appendonlydir"), orDefault(p.Timeline.FileName, "appendonly.aof")
	r.temp = filepath.Join(dir, r.dirName+partial)
	if err := r.prepare(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.clear())
		}
	}()
	if err := r.base(); err != nil {
		return err
	}
	if err := r.incrs(); err != nil {
		return err
	}
	return r.publish()
}

const partial = ".partial" // of a directory that is not whole

type restore struct {
	ctx               context.Context
	a                 *Archive
	p                 *Plan
	fs                vfs.FS
	dir, temp         string
	dirName, fileName string

	manifest aof.Manifest
	file     vfs.File // the incr that is being written
}

func orDefault(name, def string) string {
	if name == "" {
		return def
	}
	return name
}

// prepare makes the directory, which must be empty but for what a restore has
// left that was killed.
func (r *restore) prepare() error {
	if err := r.clear(); err != nil {
		return err
	}
	entries, err := r.fs.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("archive: restore into %s: it holds %s: %w", r.dir, entries[0].Name(), ErrNotEmpty)
	}
	return vfs.MkdirDurable(r.fs, r.temp, 0o755)
}

// clear removes an unfinished restore.
func (r *restore) clear() error {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
	entries, err := r.fs.ReadDir(r.temp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.fs.Remove(filepath.Join(r.temp, e.Name())); err != nil {
			return err
		}
	}
	return r.fs.Remove(r.temp)
}

// base writes the base, if the log begins with one.
func (r *restore) base() error {
	b, body, err := r.a.base(r.ctx, r.p.basePlace)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if b.Seq == 0 {
		return nil
	}
	name := b.Name
	if name != filepath.Base(name) || name == "." {
		return fmt.Errorf("archive: %s: %q is no name of a file: %w", r.p.basePlace.key, name, ErrDamaged)
	}
	file, err := r.create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, interruptible{r.ctx, body})
	if err == nil {
		err = file.Sync()
	}
	r.manifest.Base = &aof.Entry{Name: name, Seq: b.Seq, Type: aof.Base}
	return errors.Join(err, file.Close())
}

func (r *restore) create(name string) (vfs.File, error) {
	return r.fs.OpenFile(filepath.Join(r.temp, name), vfs.O_WRONLY|vfs.O_CREATE|vfs.O_EXCL, 0o644)
}

// incrs writes the segments up to the cut into files of the names they had.
func (r *restore) incrs() error {
	if err := r.next(r.p.Base.Incr); err != nil {
		return err
	}
	if r.p.Segment >= r.p.Base.Segment {
		err := r.a.segments(r.ctx, r.p.Timeline.Number, r.p.Base.Segment, r.p.Segment, r.p.Base.Prev, r.segment)
		if err != nil {
			return err
		}
	}
	return r.end()
}

func (r *restore) segment(s *Segment, data []byte) error {
	if last := r.manifest.Incrs[len(r.manifest.Incrs)-1].Seq; s.Incr != last {
		if err := r.end(); err != nil {
			return err
		}
		if err := r.next(s.Incr); err != nil {
			return err
		}
	}
	if s.Number == r.p.Segment {
		data = data[:r.p.Cut-s.Start]
	}
	_, err := r.file.Write(data)
	return err
}

// next begins an incr file.
func (r *restore) next(seq aof.Seq) (err error) {
	e := aof.Entry{Name: fmt.Sprintf("%s.%d.incr.aof", r.fileName, seq), Seq: seq, Type: aof.Incr}
	r.manifest.Incrs = append(r.manifest.Incrs, e)
	r.file, err = r.create(e.Name)
	return err
}

// end makes an incr file durable.
func (r *restore) end() error {
	err := errors.Join(r.file.Sync(), r.file.Close())
	r.file = nil
	return err
}

func (r *restore) publish() error {
	name := filepath.Join(r.temp, r.fileName+".manifest")
	if err := r.fs.SyncDir(r.temp); err != nil {
		return err
	}
	temp := filepath.Join(r.temp, "temp-"+r.fileName+".manifest")
	if err := vfs.Replace(r.fs, name, temp, r.manifest.Encode()); err != nil {
		return err
	}
	if err := r.fs.Rename(r.temp, filepath.Join(r.dir, r.dirName)); err != nil {
		return err
	}
	return r.fs.SyncDir(r.dir)
}
