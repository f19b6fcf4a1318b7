package usage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"limpet/aof"
	"limpet/internal/hotcopy"
	"limpet/vfs"
)

// Class is what a file is for.
type Class string

// The classes.
const (
	Manifest Class = "manifest" // names the files of the log
	Base     Class = "base"     // the data set as of the last rewrite
	Incr     Class = "incr"     // the commands since then
	Dump     Class = "dump"     // dump.rdb
	History  Class = "history"  // replaced by a rewrite, about to be removed
	Orphan   Class = "orphan"   // looks like a file of the log, and no manifest names it
	Temp     Class = "temp"     // written by a rewrite or save that runs, or left by a crash
	Cut      Class = "cut"      // what was torn off the end of a log, kept for people
	OldLog   Class = "old-log"  // the single-file log of Redis before 7
	Other    Class = "other"    // nothing of the store's
)

// File is one in a data directory.
type File struct {
	Name  string `json:"name"` // in the directory, with slashes
	Class Class  `json:"class"`
	Bytes int64  `json:"bytes"`
}

// Disk is what a data directory takes.
type Disk struct {
	Dir   string `json:"dir"`
	Bytes int64  `json:"bytes"` // of all files
	Files []File `json:"files"` // the largest first
	// Problem says why the classes may be wrong, "" when they are not.
	Problem string `json:"problem,omitempty"`
}

// Of is the bytes of all files of a class.
func (d *Disk) Of(c Class) (n int64) {
	for _, f := range d.Files {
		if f.Class == c {
			n += f.Bytes
		}
	}
	return n
}

// Saving is what a rewrite of the log would save: an estimate, nil where none can
// be made.
type Saving struct {
	Bytes *int64 `json:"bytes"`
	After *int64 `json:"log_bytes_after"`
	How   string `json:"how"` // what the estimate rests on
}

// Saving guesses from the sizes alone; nil when there is no log. SavingAt knows
// better, once the data were loaded.
func (d *Disk) Saving() *Saving {
	base, incr := d.Of(Base), d.Of(Incr)
	switch {
	case base == 0 && incr == 0:
		return nil
	case base < incr/4:
		// The next base may be as small as this one, or as large as the log.
		return &Saving{How: "what came since the last rewrite is much more than the base, and sizes do not tell what it comes to"}
	}
	save := incr + d.Of(History)
	return &Saving{Bytes: &save, After: &base, How: "if the data are as large as at the last rewrite"}
}

// SavingAt is what a rewrite would save whose base takes so many bytes.
func (d *Disk) SavingAt(base int64) *Saving {
	log := d.Of(Base) + d.Of(Incr) + d.Of(History)
	if log == 0 {
		return nil
	}
	save := max(0, log-base)
	return &Saving{Bytes: &save, After: &base, How: "the data were loaded and written anew"}
}

const (
	looks = 50
	pause = 20 * time.Millisecond
)

// Look lists a directory. The server may rewrite its log meanwhile: it looks
// again until the manifest was the same before and after, and takes a file that
// the manifest does not name for an orphan only when it was there twice.
func Look(o hotcopy.Options) (*Disk, error) {
	o = withDefaults(o)
	if _, err := o.FS.Stat(o.Dir); err != nil {
		return nil, err
	}
	var before *Disk
	for n := range looks {
		d, moved, err := lookOnce(o)
		if err != nil {
			return nil, err
		}
		if !moved && (d.Of(Orphan) == 0 && !d.has(Orphan) || before != nil && before.same(d)) {
			return d, nil
		}
		if n == looks-1 {
			d.Problem = "the server changes its files faster than they can be listed"
			return d, nil
		}
		before = d
		<-o.Clock.After(pause)
	}
	return nil, nil // not reached
}

func (d *Disk) has(c Class) bool {
	return slices.ContainsFunc(d.Files, func(f File) bool { return f.Class == c })
}

// same tells whether two looks found the same orphans.
func (d *Disk) same(other *Disk) bool {
	names := func(d *Disk) (n []string) {
		for _, f := range d.Files {
			if f.Class == Orphan {
				n = append(n, f.Name)
			}
		}
		slices.Sort(n)
		return n
	}
	return slices.Equal(names(d), names(other))
}

func lookOnce(o hotcopy.Options) (d *Disk, moved bool, err error) {
	d = &Disk{Dir: o.Dir, Files: []File{}}
	before, problem := manifestOf(o)
	if err := d.list(o, before, ""); err != nil {
		return nil, false, err
	}
	after, _ := manifestOf(o)
	if problem != nil {
		d.Problem = problem.Error()
	} else if before != nil && after != nil {
		moved = !slices.Equal(before.Encode(), after.Encode())
	}
	slices.SortStableFunc(d.Files, func(a, b File) int {
		if a.Bytes != b.Bytes {
			return int(max(-1, min(1, b.Bytes-a.Bytes)))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return d, moved, nil
}

// manifestOf is nil when there is none, or none that can be read.
func manifestOf(o hotcopy.Options) (*aof.Manifest, error) {
	dir, err := aof.OpenDir(o.FS, o.Dir, aof.Options{DirName: o.AppendDirName, FileName: o.AppendFileName})
	if err != nil {
		return nil, err
	}
	return dir.Manifest(), nil
}

// list adds the files of a directory below the data directory, "" for itself.
func (d *Disk) list(o hotcopy.Options, m *aof.Manifest, within string) error {
	entries, err := o.FS.ReadDir(filepath.Join(o.Dir, filepath.FromSlash(within)))
	if errors.Is(err, fs.ErrNotExist) && within != "" {
		return nil // gone since
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(within, e.Name())
		if e.IsDir() {
			if err := d.list(o, m, name); err != nil {
				return err
			}
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since
		}
		if err != nil {
			return err
		}
		d.Files = append(d.Files, File{name, classOf(o, m, name), info.Size()})
		d.Bytes += info.Size()
	}
	return nil
}

// classOf tells by the manifest, then by the name.
func classOf(o hotcopy.Options, m *aof.Manifest, name string) Class {
	dir, file := path.Split(name)
	switch path.Clean(dir) {
	case ".":
		switch {
		case file == o.DBFileName:
			return Dump
		case file == o.AppendFileName:
			return OldLog
		case strings.HasPrefix(file, "temp-"):
			return Temp
		}
		return Other
	case o.AppendDirName:
	default:
		return Other
	}
	if m != nil {
		if m.Base != nil && m.Base.Name == file {
			return Base
		}
		named := func(e aof.Entry) bool { return e.Name == file }
		if slices.ContainsFunc(m.Incrs, named) {
			return Incr
		}
		if slices.ContainsFunc(m.History, named) {
			return History
		}
	}
	switch {
	case file == o.AppendFileName+".manifest":
		return Manifest
	case strings.HasPrefix(file, "temp-"):
		return Temp
	case strings.HasPrefix(file, o.AppendFileName) && strings.Contains(file, ".cut-"):
		return Cut
	case isLogName(o.AppendFileName, file):
		return Orphan
	}
	return Other
}

var logName = regexp.MustCompile(`^\.[0-9]+\.(base\.rdb|base\.aof|incr\.aof)$`)

func isLogName(appendfilename, file string) bool {
	rest, ok := strings.CutPrefix(file, appendfilename)
	return ok && logName.MatchString(rest)
}

func withDefaults(o hotcopy.Options) hotcopy.Options {
	for field, name := range map[*string]string{&o.AppendDirName: "appendonlydir", &o.AppendFileName: "appendonly.aof", &o.DBFileName: "dump.rdb"} {
		if *field == "" {
			*field = name
		}
	}
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Clock == nil {
		o.Clock = realClock()
	}
	return o
}

// Share is a part in per cent.
func Share(part, all int64) float64 { return 100 * float64(part) / float64(max(1, all)) }

// String is like "base appendonlydir/appendonly.aof.2.base.rdb, 100 bytes".
func (f File) String() string { return fmt.Sprintf("%s %s, %d bytes", f.Class, f.Name, f.Bytes) }
