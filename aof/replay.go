package aof

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"limpet/vfs"
)

// Loader takes what a replay finds.
type Loader interface {
	// Begin announces a file. The database is 0 again at its first command.
	Begin(f PlannedFile)
	// Preamble loads an RDB and answers its length in bytes. It may read further.
	Preamble(r io.Reader) (length int64, err error)
	// Unit applies commands that take effect together. They share memory that is
	// used again after the call.
	Unit(u Unit) error
}

// Replayed says what a replay found.
type Replayed struct {
	Commands int  // whole ones, MULTI and EXEC included, without what an RDB held
	Cut      *Cut // nil when the log ended cleanly
}

// Cut says what was cut off the end of a log.
type Cut struct {
	Torn    *TruncatedError
	SavedAs string // path of the file that holds the bytes now
	Bytes   int64
}

// Replay hands every file of the plan to l, in order. Where the last file ends
// early, the torn end is kept in a file beside it and then cut off. Any other
// file that ends early is a *HoleError and damage is a *FormatError; they leave
// all files as they are, and so does an error of l.
func (p *Plan) Replay(l Loader) (*Replayed, error) {
	done := new(Replayed)
	for i, f := range p.Files {
		torn, err := p.replayFile(f, l, done)
		switch {
		case err != nil:
			return nil, err
		case torn == nil:
			continue
		case i < len(p.Files)-1:
			return nil, &HoleError{Torn: torn, Next: p.Files[i+1].Name}
		case p.dir.o.RefuseTruncated:
			return nil, torn
		}
		if done.Cut, err = p.dir.cutTail(f, torn); err != nil {
			return nil, fmt.Errorf("aof: %s: cut the torn end: %w", f.Name, err)
		}
	}
	p.dir.mu.Lock()
	defer p.dir.mu.Unlock()
	p.dir.readable = true
	return done, nil
}

func (p *Plan) replayFile(f PlannedFile, l Loader, done *Replayed) (*TruncatedError, error) {
	file, err := vfs.Open(p.dir.fs, f.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	l.Begin(f)
	r := NewReader(file, f.Name, 0)
	found, err := r.Preamble(l.Preamble)
	if err != nil {
		return nil, err
	}
	if !found && strings.HasSuffix(f.Name, rdbBaseSuffix) {
		return nil, notAnRDB(f.Name, f.Size)
	}
	for {
		u, err := r.NextUnit()
		if err == nil {
			if err = l.Unit(u); err == nil {
				continue
			}
			return nil, fmt.Errorf("aof: %s: offset %d: %w", f.Name, u.Start, err)
		}
		done.Commands += r.whole
		var torn *TruncatedError
		switch {
		case err == io.EOF:
			return nil, nil
		case errors.As(err, &torn):
			return torn, nil
		}
		return nil, err
	}
}

// cutTail keeps the bytes from torn.CutAt on beside the file, durably, before it
// cuts them off. A crash in between makes the next start keep them once more.
func (d *Dir) cutTail(f PlannedFile, torn *TruncatedError) (*Cut, error) {
	file, err := d.fs.OpenFile(f.Path, vfs.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	cut := &Cut{Torn: torn, Bytes: info.Size() - torn.CutAt}
	if cut.SavedAs, err = d.keep(f.Path, io.NewSectionReader(file, torn.CutAt, cut.Bytes)); err != nil {
		return nil, err
	}
	if err := file.Truncate(torn.CutAt); err != nil {
		return nil, err
	}
	return cut, file.Sync()
}

// keep writes bytes into a new file beside path, durably.
func (d *Dir) keep(path string, bytes io.Reader) (saved string, err error) {
	var out vfs.File
	for ms := d.o.Clock.Now().UnixMilli(); out == nil; ms++ {
		saved = d.cutName(path, ms)
		out, err = d.fs.OpenFile(saved, vfs.O_WRONLY|vfs.O_CREATE|vfs.O_EXCL, 0o644)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	_, err = io.Copy(out, bytes)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		_ = d.fs.Remove(saved)
		return "", err
	}
	return saved, d.fs.SyncDir(d.path)
}

func sortedNames(listing map[string]int64) []string { return slices.Sorted(maps.Keys(listing)) }
