package repair

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"limpet/aof"
	"limpet/vfs"
)

// step is what the marker says while a directory is changed in place, so that
// whoever comes after a crash can finish the step or take it back. The manifest
// decides which.
type step struct {
	Manifest string   // its new text
	Path     string   // of the manifest
	New, Old []string // paths that are of no use before, and after, it is in place
}

// Interrupted tells that a repair of a directory was cut short.
func Interrupted(fsys vfs.FS, dir string) bool {
	_, err := fsys.Stat(filepath.Join(dir, marker))
	return err == nil
}

// Recover finishes an earlier [Plan.InPlace] that was cut short, or takes it
// back. It does nothing where there was none. The directory is locked by the
// caller.
func Recover(fsys vfs.FS, dir string) error {
	if info, err := fsys.Stat(dir); err == nil && !info.IsDir() {
		return nil // a single file is replaced in one step
	}
	text, err := vfs.ReadFile(fsys, filepath.Join(dir, marker))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var s step
	// A marker that was not written whole belongs to a step that did nothing yet.
	if json.Unmarshal(text, &s) == nil {
		if err := s.finish(fsys); err != nil {
			return err
		}
	}
	if err := fsys.Remove(filepath.Join(dir, marker)); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

func (s *step) finish(fsys vfs.FS) error {
	useless := s.New
	if s.Path != "" {
		now, err := vfs.ReadFile(fsys, s.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && string(now) == s.Manifest {
			// After a crash the name may not be durable yet.
			if err := fsys.SyncDir(filepath.Dir(s.Path)); err != nil {
				return err
			}
			useless = s.Old
		}
	}
	for _, path := range useless {
		if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, path := range useless {
		if err := fsys.SyncDir(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return nil
}

// InPlace carries the plan out in the directory itself, which the caller has
// locked and nobody has open. All of it is copied first, to where the answer
// says. What is changed gets new files, and one step makes them count.
func (p *Plan) InPlace(ctx context.Context, fsys vfs.FS, now func() time.Time) (kept string, err error) {
	if p.Single {
		return p.oneInPlace(ctx, fsys, now)
	}
	w := &writer{ctx: ctx, fsys: fsys, p: p, home: p.From, now: now}
	if p.Log != nil {
		w.logDir = p.Log.Dir
	}
	kept = fmt.Sprintf("%s.before-repair-%d", strings.TrimRight(p.From, "/"), now().UnixMilli())
	if err := w.copyAll(p.From, kept); err != nil {
		return "", fmt.Errorf("copy %s to %s: %w", p.From, kept, err)
	}
	s := w.renumber()
	text, err := json.Marshal(s)
	if err != nil {
		return kept, err
	}
	if err := write(fsys, filepath.Join(p.From, marker), text); err != nil {
		return kept, err
	}
	if err := fsys.SyncDir(p.From); err != nil {
		return kept, err
	}
	if err := w.changed(); err != nil {
		return kept, err
	}
	if err := w.unchanged(); err != nil {
		return kept, err
	}
	if err := w.switchOver(s); err != nil {
		return kept, err
	}
	if err := s.finish(fsys); err != nil {
		return kept, err
	}
	if err := w.verify(); err != nil {
		return kept, err
	}
	if err := fsys.Remove(filepath.Join(p.From, marker)); err != nil {
		return kept, err
	}
	return kept, fsys.SyncDir(p.From)
}

// sameFile tells that a file may stay as it is.
func (d *FilePlan) sameFile() bool { return len(d.Cuts) == 0 && !d.Dropped }

// renumber gives new names to files that change, and to those behind them, so
// that old and new ones lie side by side until the manifest decides.
func (w *writer) renumber() *step {
	p := w.p
	s := &step{}
	if p.names == nil {
		for _, d := range append(slices.Clone(p.Files), p.Dumps...) {
			if !d.sameFile() {
				s.New = append(s.New, filepath.Join(filepath.Dir(d.Source.Path), temporary(d.Name)))
			}
		}
		return s
	}
	highest := map[aof.Type]aof.Seq{}
	for _, f := range p.Log.Files {
		t := aof.Base
		if strings.HasSuffix(f.Name, ".incr.aof") {
			t = aof.Incr
		}
		highest[t] = max(highest[t], f.Seq)
	}
	moved := false // an incr was, so all behind it must follow
	for _, d := range p.Files {
		if d.sameFile() && !(moved && d.entry.Type == aof.Incr) {
			continue
		}
		if d.Source.Size > 0 || !d.Dropped {
			s.Old = append(s.Old, d.Source.Path)
		}
		if d.Dropped {
			continue
		}
		highest[d.entry.Type]++
		moved = moved || d.entry.Type == aof.Incr
		suffix := ".base.rdb"
		if d.entry.Type == aof.Incr {
			suffix = ".incr.aof"
		} else if !strings.HasSuffix(d.Name, ".rdb") {
			suffix = ".base.aof"
		}
		d.entry.Seq = highest[d.entry.Type]
		d.entry.Name = fmt.Sprintf("%s.%d%s", p.Log.Name, d.entry.Seq, suffix)
		s.New = append(s.New, filepath.Join(w.logDir, d.entry.Name))
	}
	p.names = p.manifest()
	s.Path = filepath.Join(w.logDir, p.manifestName())
	s.Manifest = string(p.names.Encode())
	return s
}

// changed writes the new files, and beside them what is cut.
func (w *writer) changed() error {
	for _, d := range append(slices.Clone(w.p.Files), w.p.Dumps...) {
		name := d.entry.Name
		if w.p.names == nil || d.entry.Type == 0 {
			name = temporary(d.Name)
		}
		if d.sameFile() && (d.entry.Name == d.Name || w.p.names == nil || d.entry.Type == 0) {
			continue
		}
		if err := w.file(d, filepath.Dir(d.Source.Path), name); err != nil {
			return err
		}
		if err := w.fsys.SyncDir(filepath.Dir(d.Source.Path)); err != nil {
			return err
		}
	}
	return nil
}

// switchOver makes the new files count.
func (w *writer) switchOver(s *step) error {
	if w.p.names != nil {
		return w.manifest(w.p.names)
	}
	for _, path := range s.New {
		dir := filepath.Dir(path)
		if err := w.fsys.Rename(path, filepath.Join(dir, strings.TrimPrefix(filepath.Base(path), temporary("")))); err != nil {
			return err
		}
		if err := w.fsys.SyncDir(dir); err != nil {
			return err
		}
	}
	s.New = nil
	return nil
}

// copyAll copies a directory with everything in it, durably. The manifest is
// among it, so a marker tells as long as it is not whole.
func (w *writer) copyAll(from, to string) error {
	if err := w.fsys.Mkdir(to, 0o755); err != nil {
		return err
	}
	if err := write(w.fsys, filepath.Join(to, marker), []byte("This copy is not complete.\n")); err != nil {
		return err
	}
	if err := w.fsys.SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if err := w.copyDir(from, to); err != nil {
		return err
	}
	if err := w.fsys.Remove(filepath.Join(to, marker)); err != nil {
		return err
	}
	return w.fsys.SyncDir(to)
}

func (w *writer) copyDir(from, to string) error {
	entries, err := w.fsys.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		info, err := w.fsys.Stat(source)
		switch {
		case err != nil:
			return err
		case info.IsDir():
			if err = w.fsys.Mkdir(target, 0o755); err == nil {
				err = w.copyDir(source, target)
			}
		case info.Mode().IsRegular() && e.Name() != marker:
			err = w.copyFile(source, target, info.Size())
		}
		if err != nil {
			return err
		}
	}
	return w.fsys.SyncDir(to)
}

func (w *writer) copyFile(from, to string, size int64) error {
	in, err := vfs.Open(w.fsys, from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := w.create(to, from, vfs.O_TRUNC)
	if err != nil {
		return err
	}
	err = w.copy(out, in, 0, size)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
