package aof

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"limpet/clock"
	"limpet/vfs"
)

// Options of a Dir. The zero value is Redis's default configuration.
type Options struct {
	DirName  string // appenddirname, below the data directory; "" is appendonlydir
	FileName string // appendfilename, with which all names begin; "" is appendonly.aof
	// RefuseTruncated is aof-load-truncated no: a torn tail is an error and
	// nothing is cut.
	RefuseTruncated bool
	// KeepHistory is aof-disable-auto-gc: files that a rewrite has replaced are
	// kept, which costs their size on disk each time.
	KeepHistory bool
	// Clock names the files that keep what was cut; nil is the real clock.
	Clock clock.Clock
}

// Dir is one append-only directory. Its methods are safe for concurrent use,
// and each can be repeated after a crash at any point in it. Nobody else may
// change the directory meanwhile: its owner holds a lock on the data directory.
type Dir struct {
	fs   vfs.FS
	home string // the data directory
	path string // the append-only directory in it
	file string // Options.FileName
	o    Options

	mu       sync.Mutex // guards what follows and the manifest on disk
	manifest *Manifest  // as last known to be on disk; replaced, never changed
	readable bool       // replayed to its end, so that appending makes sense
	nextTemp int
	made     bool // the directory is there, durably
	// doubtful is the new files of manifests whose publication failed so that
	// they may be on disk or not. Their numbers are not given out again, and the
	// next manifest lists them as history.
	doubtful []Entry
}

// OpenDir looks at the append-only directory of a data directory and reads its
// manifest, if there is one. It changes nothing. A bad manifest is a
// *ManifestError.
func OpenDir(fsys vfs.FS, home string, o Options) (*Dir, error) {
	if o.DirName == "" {
		o.DirName = "appendonlydir"
	}
	if o.FileName == "" {
		o.FileName = "appendonly.aof"
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	for option, name := range map[string]string{"appenddirname": o.DirName, "appendfilename": o.FileName} {
		if !isBaseName(name) {
			return nil, fmt.Errorf("aof: %s %q: must be the name of a file, not a path", option, name)
		}
	}
	d := &Dir{fs: fsys, home: home, path: filepath.Join(home, o.DirName), file: o.FileName, o: o}
	m, err := d.readManifest()
	if err != nil {
		return nil, err
	}
	d.manifest = m
	return d, nil
}

func (d *Dir) readManifest() (*Manifest, error) {
	text, err := vfs.ReadFile(d.fs, d.in(d.manifestName()))
	if errors.Is(err, fs.ErrNotExist) {
		return new(Manifest), nil
	}
	if err != nil {
		return nil, err
	}
	return ParseManifest(d.manifestName(), text)
}

// Path is the append-only directory itself.
func (d *Dir) Path() string { return d.path }

// Manifest is a copy of the manifest, empty when none was written yet.
func (d *Dir) Manifest() *Manifest {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.manifest.clone()
}

// Sizes is the bytes in the base and in all incr files, as far as written.
func (d *Dir) Sizes() (base, incrs int64, err error) {
	for _, e := range d.Manifest().Live() {
		info, err := d.fs.Stat(d.in(e.Name))
		switch {
		case err != nil:
			return 0, 0, err
		case e.Type == Base:
			base = info.Size()
		default:
			incrs += info.Size()
		}
	}
	return base, incrs, nil
}

// SetKeepHistory changes Options.KeepHistory.
func (d *Dir) SetKeepHistory(keep bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.o.KeepHistory = keep
}

// publish makes m the manifest. Until it returns nil the old manifest counts,
// except after an error that matches vfs.ErrUnsure: then either may be on disk,
// and what is done next must be right for both. d.mu is held.
//
// A name in use is no history, whatever it was: Redis would unlink the file.
func (d *Dir) publish(m *Manifest) error {
	for _, e := range d.doubtful {
		if !m.names(e.Name) {
			e.Type = History
			m.History = append(m.History, e)
		}
	}
	m.History = slices.DeleteFunc(m.History, func(h Entry) bool {
		return slices.ContainsFunc(m.Live(), func(e Entry) bool { return e.Name == h.Name })
	})
	text := m.Encode()
	if len(text) == 0 {
		text = []byte("# no files\n") // Redis refuses to start over an empty manifest
	}
	if _, err := ParseManifest(d.manifestName(), text); err != nil {
		return fmt.Errorf("refusing to write what could not be read back: %w", err)
	}
	err := vfs.Replace(d.fs, d.in(d.manifestName()), d.in(d.tempManifest()), text)
	if err == nil {
		d.manifest, d.doubtful = m, nil
		return nil
	}
	if errors.Is(err, vfs.ErrUnsure) {
		for _, e := range m.Live() {
			if !slices.Contains(d.manifest.Live(), e) {
				d.doubtful = append(d.doubtful, e)
			}
		}
	}
	return fmt.Errorf("aof: publish the manifest: %w", err)
}

// following is the next number of a base or incr file. d.mu is held.
func (d *Dir) following(last Seq, t Type) (Seq, error) {
	for _, e := range d.doubtful {
		if e.Type == t {
			last = max(last, e.Seq)
		}
	}
	if last == math.MaxInt64 {
		return 0, errors.New("aof: the manifest has used up the numbers of files")
	}
	return max(last, 0) + 1, nil
}

// makeDir creates the append-only directory, durably. d.mu is held.
func (d *Dir) makeDir() error {
	if d.made {
		return nil
	}
	if err := d.fs.MkdirAll(d.path, 0o755); err != nil {
		return err
	}
	err := d.fs.SyncDir(d.home)
	d.made = err == nil
	return err
}

// exists tells whether there is a file of any kind at a path.
func (d *Dir) exists(path string) (bool, error) {
	_, err := d.fs.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// The names in the directory.

func (d *Dir) in(name string) string { return filepath.Join(d.path, name) }

func (d *Dir) manifestName() string              { return d.file + ".manifest" }
func (d *Dir) tempManifest() string              { return "temp-" + d.file + ".manifest" }
func (d *Dir) detachedIncr() string              { return "temp-" + d.file + ".incr" }
func (d *Dir) tempBase(n int, x string) string   { return fmt.Sprintf("temp-%s.%d%s", d.file, n, x) }
func (d *Dir) baseName(s Seq, x string) string   { return fmt.Sprintf("%s.%d%s", d.file, s, x) }
func (d *Dir) incrName(s Seq) string             { return fmt.Sprintf("%s.%d%s", d.file, s, incrSuffix) }
func (d *Dir) cutName(f string, ms int64) string { return fmt.Sprintf("%s.cut-%d", f, ms) }

const (
	rdbBaseSuffix  = ".base.rdb"
	aofBaseSuffix  = ".base.aof" // of a temporary base of commands, too
	tempBaseSuffix = ".base"
	incrSuffix     = ".incr.aof"
)

// isOwnTemp knows the temporary files of this package, and Redis's of the same
// name and use.
func (d *Dir) isOwnTemp(name string) bool {
	if name == d.tempManifest() || name == d.detachedIncr() {
		return true
	}
	rest, ok := strings.CutPrefix(name, "temp-"+d.file+".")
	number, suffix, _ := strings.Cut(rest, ".")
	return ok && isNumber(number) && ("."+suffix == tempBaseSuffix || "."+suffix == aofBaseSuffix)
}

// incrSeq is the number in the name of an incr file.
func (d *Dir) incrSeq(name string) (Seq, bool) { return d.seqIn(name, incrSuffix) }

// isData knows files that hold a log or a part of one, named or not.
func (d *Dir) isData(name string) bool {
	for _, suffix := range []string{rdbBaseSuffix, aofBaseSuffix, incrSuffix} {
		if _, ok := d.seqIn(name, suffix); ok {
			return true
		}
	}
	return name == d.file
}

func (d *Dir) seqIn(name, suffix string) (Seq, bool) {
	rest, hasPrefix := strings.CutPrefix(name, d.file+".")
	number, hasSuffix := strings.CutSuffix(rest, suffix)
	if !hasPrefix || !hasSuffix || !isNumber(number) {
		return 0, false
	}
	n, err := strconv.ParseInt(number, 10, 64)
	return Seq(n), err == nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
