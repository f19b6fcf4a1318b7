package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"limpet/internal/check"
	"limpet/vfs"
)

// A single file, a log or an RDB by itself, is mended by the same plan as a
// directory. It is written under a temporary name, inspected, and named in one
// step, so that there is no marker to leave behind.

// ExistsError refuses the name of a file that is there.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string {
	return fmt.Sprintf("%s is there already: a repair writes a new file", e.Path)
}

// alone refuses a file that others belong to: what a server loads is all of them,
// and one that is cut by itself is a hole before the next.
func alone(fsys vfs.FS, path string) error {
	dir := filepath.Dir(path)
	r, err := check.Survey(fsys, dir)
	if err != nil {
		return err
	}
	for _, l := range r.Logs {
		home := dir
		if l.Dir == dir {
			home = filepath.Dir(dir)
		}
		switch {
		case l.Manifest == path:
			return &Refused{Why: "it is the manifest of a log, which is mended as a whole", From: home}
		case l.Names == nil || l.Dir != dir:
		case slices.ContainsFunc(l.Live(), func(f *check.File) bool { return f.Path == path }):
			return &Refused{Why: fmt.Sprintf("%s names it: it is part of a log, which is mended as a whole, since what follows a file that was cut by itself is loaded over a hole", filepath.Base(l.Manifest)), From: home}
		}
	}
	return nil
}

// one is the file of a plan for a single file.
func (p *Plan) one() *FilePlan {
	if len(p.Files) > 0 {
		return p.Files[0]
	}
	return p.Dumps[0]
}

// writeOne carries the plan for a single file out.
func (p *Plan) writeOne(ctx context.Context, fsys vfs.FS, to string, now func() time.Time) error {
	switch _, err := fsys.Stat(to); {
	case err == nil:
		return &ExistsError{to}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := makeDir(fsys, filepath.Dir(to)); err != nil {
		return err
	}
	w := &writer{ctx: ctx, fsys: fsys, p: p, home: filepath.Dir(to), now: now, cutsOf: filepath.Base(to)}
	temp, err := w.one()
	if err != nil {
		return err
	}
	// A name that somebody has taken meanwhile stays theirs, where the file system
	// has links.
	switch err := fsys.Link(temp, to); {
	case errors.Is(err, fs.ErrExist):
		return &ExistsError{to}
	case err == nil:
		err = fsys.Remove(temp)
		return errors.Join(err, fsys.SyncDir(w.home))
	}
	if err := fsys.Rename(temp, to); err != nil {
		return err
	}
	return fsys.SyncDir(w.home)
}

// oneInPlace copies the file, and then replaces it in one step.
func (p *Plan) oneInPlace(ctx context.Context, fsys vfs.FS, now func() time.Time) (kept string, err error) {
	w := &writer{ctx: ctx, fsys: fsys, p: p, home: filepath.Dir(p.From), now: now, cutsOf: filepath.Base(p.From)}
	kept = fmt.Sprintf("%s.before-repair-%d", p.From, now().UnixMilli())
	if err := w.copyFile(p.From, kept, p.one().Source.Size); err != nil {
		return "", fmt.Errorf("copy %s to %s: %w", p.From, kept, err)
	}
	if err := fsys.SyncDir(w.home); err != nil {
		return kept, err
	}
	temp, err := w.one()
	if err != nil {
		return kept, err
	}
	if err := fsys.Rename(temp, p.From); err != nil {
		return kept, err
	}
	return kept, fsys.SyncDir(w.home)
}

// one writes the file under a temporary name, which says as much as the source's
// of what it is, and sees that it is sound.
func (w *writer) one() (temp string, err error) {
	d := w.p.one()
	temp = filepath.Join(w.home, temporary(d.Name))
	defer func() {
		if err != nil && w.ctx.Err() != nil {
			_ = w.fsys.Remove(temp)
		}
	}()
	if err := w.file(d, w.home, temporary(d.Name)); err != nil {
		return "", err
	}
	if err := w.unchanged(); err != nil {
		return "", err
	}
	r, err := check.Inspect(w.ctx, w.fsys, temp, check.Options{})
	if err != nil {
		return "", err
	}
	keys, commands := 0, 0
	for path, problem := range r.All {
		if problem.Verdict != check.Sound {
			return "", fmt.Errorf("what was written is not sound: %s: %s", path, problem.Text)
		}
	}
	for _, l := range r.Logs {
		for _, f := range l.Live() {
			keys, commands = keys+f.Keys, commands+f.Commands
		}
	}
	for _, f := range r.Dumps {
		keys += f.Keys
	}
	if want := w.p.Commands(); keys != d.Keys || commands != want {
		return "", fmt.Errorf("what was written holds %d keys and %d commands, and should hold %d and %d", keys, commands, d.Keys, want)
	}
	return temp, w.fsys.SyncDir(w.home)
}
