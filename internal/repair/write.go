package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"limpet/aof"
	"limpet/internal/check"
	"limpet/vfs"
)

// marker is the file that lies in a directory while it is being written.
const marker = "repair.unfinished"

// NotEmptyError refuses a directory that holds something else.
type NotEmptyError struct{ Dir string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("%s is not empty: a repair writes into a new directory", e.Dir)
}

// WriteTo carries the plan out into a directory that is new or empty: files,
// synced, then what names them, at last. A crash before that leaves a directory
// in which nothing is named, and which the next try writes anew. The files that
// hold what was cut are noted in the plan.
//
// The plan for a single file is carried out into a new file.
func (p *Plan) WriteTo(ctx context.Context, fsys vfs.FS, to string, now func() time.Time) error {
	if p.Single {
		return p.writeOne(ctx, fsys, to, now)
	}
	w := &writer{ctx: ctx, fsys: fsys, p: p, home: to, now: now}
	if p.Log != nil {
		w.logDir = filepath.Join(to, p.dir())
	}
	if err := w.prepare(); err != nil {
		return err
	}
	for _, d := range p.Files {
		if err := w.file(d, w.logDir, w.nameOf(d)); err != nil {
			return err
		}
	}
	for _, d := range p.Dumps {
		if err := w.file(d, to, temporary(d.Name)); err != nil {
			return err
		}
	}
	if err := w.unchanged(); err != nil {
		return err
	}
	if err := w.name(); err != nil {
		return err
	}
	if err := w.verify(); err != nil {
		return err
	}
	if err := fsys.Remove(filepath.Join(to, marker)); err != nil {
		return err
	}
	return fsys.SyncDir(to)
}

// writer writes the files of a plan.
type writer struct {
	ctx          context.Context
	fsys         vfs.FS
	p            *Plan
	home, logDir string
	now          func() time.Time
	cutsOf       string // what files that hold cuts are named for; "" is the source
}

// temporary is what a file is called until it counts, where no manifest tells
// which files do.
func temporary(name string) string { return "temp-repair-" + name }

func (w *writer) nameOf(d *FilePlan) string {
	if w.p.names == nil {
		return temporary(d.Name)
	}
	return d.Name
}

// prepare makes the directories, or empties those of a try before.
func (w *writer) prepare() error {
	switch entries, err := w.fsys.ReadDir(w.home); {
	case errors.Is(err, fs.ErrNotExist):
		if err := makeDir(w.fsys, w.home); err != nil {
			return err
		}
	case err != nil:
		return err
	case len(entries) > 0:
		if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == marker }) {
			return &NotEmptyError{w.home}
		}
		if err := w.empty(); err != nil {
			return err
		}
	}
	if err := write(w.fsys, filepath.Join(w.home, marker), []byte("This directory is being written by limpet repair, from "+w.p.From+".\n")); err != nil {
		return err
	}
	if err := w.fsys.SyncDir(w.home); err != nil {
		return err
	}
	if w.logDir == "" || w.logDir == w.home {
		return nil
	}
	return makeDir(w.fsys, w.logDir)
}

// makeDir makes a directory and those above it, durably.
func makeDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDir(fsys, filepath.Dir(dir)); err != nil {
		return err
	}
	if err := fsys.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(dir))
}

// empty removes what a try before has written: what names files first, the
// marker not at all.
func (w *writer) empty() error {
	ours := map[string]bool{}
	for _, d := range append(slices.Clone(w.p.Files), w.p.Dumps...) {
		ours[d.Name], ours[temporary(d.Name)] = true, true
	}
	if w.p.Log != nil {
		name := w.p.manifestName()
		ours["temp-"+name] = true
		if err := w.fsys.Remove(filepath.Join(w.logDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := w.fsys.SyncDir(w.logDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, dir := range []string{w.logDir, w.home} {
		entries, err := w.fsys.ReadDir(dir)
		if dir == "" || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if ours[e.Name()] || strings.Contains(e.Name(), ".cut-") {
				if err := w.fsys.Remove(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// file writes what is kept of a file and, beside it, what is cut.
func (w *writer) file(d *FilePlan, dir, name string) error {
	for _, c := range d.Cuts {
		if err := w.side(d, c, dir); err != nil {
			return err
		}
	}
	if d.Dropped {
		return nil
	}
	out, err := w.create(filepath.Join(dir, name), d.Source.Path, vfs.O_TRUNC)
	if err != nil {
		return err
	}
	if d.Salvage {
		err = writeSalvaged(w.fsys, d, out)
	} else {
		err = w.pieces(d, out)
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// create creates a file that as many may read as may read its source.
func (w *writer) create(path, source string, flag int) (vfs.File, error) {
	perm := fs.FileMode(0o644)
	if info, err := w.fsys.Stat(source); err == nil && info.Mode().Perm() != 0 {
		perm = info.Mode().Perm() | 0o200
	}
	return w.fsys.OpenFile(path, vfs.O_RDWR|vfs.O_CREATE|flag, perm)
}

func (w *writer) pieces(d *FilePlan, out io.Writer) error {
	if len(d.Keep) == 0 {
		return nil
	}
	in, err := vfs.Open(w.fsys, d.Source.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	for _, piece := range d.Keep {
		if _, err := io.WriteString(out, piece.Literal); err != nil {
			return err
		}
		if err := w.copy(out, in, piece.From, piece.To); err != nil {
			return err
		}
	}
	return nil
}

// copy copies a range, all of it.
func (w *writer) copy(out io.Writer, in io.ReaderAt, from, to int64) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, stoppable{w.ctx, io.NewSectionReader(in, from, to-from)}, make([]byte, 256<<10))
	if err == nil && n < to-from {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// stoppable is a reader that a signal ends.
type stoppable struct {
	ctx context.Context
	io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}

// side keeps what is cut, named as the store names what it cuts itself.
func (w *writer) side(d *FilePlan, c *Cut, dir string) error {
	in, err := vfs.Open(w.fsys, d.Source.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	var out vfs.File
	for ms := w.now().UnixMilli(); out == nil; ms++ {
		c.SavedAs = filepath.Join(dir, fmt.Sprintf("%s.cut-%d", cmp.Or(w.cutsOf, d.Name), ms))
		out, err = w.create(c.SavedAs, d.Source.Path, vfs.O_EXCL)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	err = w.copy(out, in, c.From, c.To)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// unchanged checks that nobody has written to the sources meanwhile.
func (w *writer) unchanged() error {
	for _, d := range append(slices.Clone(w.p.Files), w.p.Dumps...) {
		f := d.Source
		info, err := w.fsys.Stat(f.Path)
		if f.Size == 0 && errors.Is(err, fs.ErrNotExist) {
			continue // missing from the beginning
		}
		if err != nil {
			return err
		}
		if info.Size() != f.Size || !info.ModTime().Equal(f.ModTime) {
			return fmt.Errorf("%s has changed while it was copied: a server is at work in %s", f.Name, w.p.From)
		}
	}
	return nil
}

// name makes the files count: dumps and single files get their names, and the
// manifest is written at last.
func (w *writer) name() error {
	if w.logDir != "" {
		if err := w.fsys.SyncDir(w.logDir); err != nil {
			return err
		}
	}
	for _, d := range w.p.Dumps {
		if err := w.fsys.Rename(filepath.Join(w.home, temporary(d.Name)), filepath.Join(w.home, d.Name)); err != nil {
			return err
		}
	}
	if err := w.fsys.SyncDir(w.home); err != nil || w.p.Log == nil {
		return err
	}
	if w.p.names != nil {
		return w.manifest(w.p.names)
	}
	for _, d := range w.p.Files {
		if err := w.fsys.Rename(filepath.Join(w.logDir, temporary(d.Name)), filepath.Join(w.logDir, d.Name)); err != nil {
			return err
		}
	}
	return w.fsys.SyncDir(w.logDir)
}

func (w *writer) manifest(m *aof.Manifest) error {
	name := w.p.manifestName()
	return vfs.Replace(w.fsys, filepath.Join(w.logDir, name), filepath.Join(w.logDir, "temp-"+name), m.Encode())
}

// verify inspects what was written: a repair that leaves damage is none.
func (w *writer) verify() error {
	r, err := check.Inspect(w.ctx, w.fsys, w.home, check.Options{})
	if err != nil {
		return err
	}
	for path, problem := range r.All {
		if problem.Verdict != check.Sound && !w.takenOver(path) {
			return fmt.Errorf("what was written is not sound: %s: %s", path, problem.Text)
		}
	}
	commands := 0
	for _, l := range r.Logs {
		for _, f := range l.Live() {
			commands += f.Commands
		}
	}
	if want := w.p.Commands(); commands != want {
		return fmt.Errorf("what was written holds %d commands, and should hold %d", commands, want)
	}
	return nil
}

// takenOver tells that a file is a damaged dump beside a log, taken over as it is.
func (w *writer) takenOver(path string) bool {
	return w.p.Log != nil && slices.ContainsFunc(w.p.Dumps, func(d *FilePlan) bool { return filepath.Join(w.home, d.Name) == path })
}

// Commands is the number of whole commands that are kept.
func (p *Plan) Commands() (n int) {
	for _, d := range p.Files {
		n += d.Commands
		for _, piece := range d.Keep {
			if piece.Literal != "" {
				n++
			}
		}
	}
	return n
}

// write writes a small file, durably but for its name.
func write(fsys vfs.FS, path string, text []byte) error {
	f, err := vfs.Create(fsys, path)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
