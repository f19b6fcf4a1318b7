package hotcopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"limpet/aof"
	"limpet/clock"
	"limpet/rdb"
	"limpet/vfs"
)

// Kind says what a data set consists of.
type Kind string

const (
	Auto Kind = ""    // whichever counts when a server with the log on starts
	AOF  Kind = "aof" // base and incr files and their manifest
	RDB  Kind = "rdb" // a dump
)

// Options of Take. The zero value but for Dir is Redis's default configuration.
type Options struct {
	Dir  string // the data directory
	Kind Kind
	// The names of redis.conf; "" are appendonlydir, appendonly.aof, dump.rdb.
	AppendDirName, AppendFileName, DBFileName string
	FS                                        vfs.FS      // nil is the machine's
	Clock                                     clock.Clock // nil is the real one
}

// Copy is a data set at one moment. Its files are open.
type Copy struct {
	Kind  Kind
	Files []File // in the order in which they are to be restored: the manifest is the last

	Time     time.Time // at which the copy was taken
	Dated    time.Time // of its newest command by the server's own clock, zero where it writes no annotations
	Since    time.Time // at which its oldest file was begun, as far as is known
	Position Position
	Server   string // version of the server that wrote the oldest file, "" when it does not say
	Format   int    // highest version of RDB in it, 0 when there is none
}

// Position is where a copy of a log ends.
type Position struct {
	Base     aof.Seq `json:"base,omitempty"`
	Incr     aof.Seq `json:"incr,omitempty"`
	Offset   int64   `json:"offset"`   // in the last file, of the end
	Commands int64   `json:"commands"` // in all files together, without those in an RDB
	Left     int64   `json:"left"`     // bytes behind Offset that were no whole command yet
	DB       int     `json:"db"`       // that a command at Offset would go to
}

// File is a file of a copy.
type File struct {
	Name  string // in the data directory, with slashes
	Size  int64  // bytes that belong to the copy
	Entry *aof.Entry

	src io.ReaderAt
}

// Reader reads the file from its beginning; several may at the same time.
func (f File) Reader() *io.SectionReader { return io.NewSectionReader(f.src, 0, f.Size) }

// Size is the bytes in all files.
func (c *Copy) Size() (n int64) {
	for _, f := range c.Files {
		n += f.Size
	}
	return n
}

// Close closes the files.
func (c *Copy) Close() error {
	var all error
	for _, f := range c.Files {
		if file, ok := f.src.(vfs.File); ok {
			all = errors.Join(all, file.Close())
		}
	}
	return all
}

// NothingError says that a directory holds no data set.
type NothingError struct{ Dir, Missing string }

func (e *NothingError) Error() string {
	return fmt.Sprintf("hotcopy: %s: %s: not there", e.Dir, e.Missing)
}

// StaleError says that it is not clear which of two data sets counts.
type StaleError struct {
	Dir       string
	Log, Dump time.Time // when they were last written
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("hotcopy: %s: the dump of %s is newer than the log of %s: which of them counts depends on the server's appendonly",
		e.Dir, e.Dump.Format(time.RFC3339), e.Log.Format(time.RFC3339))
}

const (
	// tries is how often the manifest may move between two looks. Each takes
	// less than a millisecond, and the fastest rewrite dozens.
	tries = 100
	pause = 10 * time.Millisecond
	// stale is how much newer than the log a dump may be that was saved beside it.
	stale = 5 * time.Minute
)

// settle is how long an acknowledged write may still be in the server's own
// memory: limpet gathers them for up to 5 ms, Redis not at all. Tests change it.
var settle = 20 * time.Millisecond

// Take takes a copy. A log with damage in it, or with a torn file before the
// last, is refused with the errors of package aof: a copy of it could not be
// loaded.
func Take(ctx context.Context, o Options) (*Copy, error) {
	o = o.withDefaults()
	if o.Kind == RDB {
		return takeDump(o)
	}
	for range tries {
		c, err := takeLog(ctx, o)
		if !errors.Is(err, errMoved) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-o.Clock.After(pause):
		}
	}
	return nil, fmt.Errorf("hotcopy: %s: the manifest has changed at each of %d looks", o.Dir, tries)
}

func (o Options) withDefaults() Options {
	for field, name := range map[*string]string{&o.AppendDirName: "appendonlydir", &o.AppendFileName: "appendonly.aof", &o.DBFileName: "dump.rdb"} {
		if *field == "" {
			*field = name
		}
	}
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	return o
}

// errMoved says that other files count now.
var errMoved = errors.New("the manifest has moved")

func takeLog(ctx context.Context, o Options) (*Copy, error) {
	before, err := manifest(o)
	if err != nil {
		return nil, err
	}
	c := &Copy{Kind: AOF}
	whole := false
	defer func() {
		if !whole {
			_ = c.Close()
		}
	}()
	switch live := before.Live(); {
	case len(live) == 0:
		if found, err := c.openOld(o); found || err != nil {
			whole = err == nil
			return c, err
		}
		if o.Kind == AOF {
			return nil, &NothingError{o.Dir, path.Join(o.AppendDirName, o.AppendFileName+".manifest")}
		}
		return takeDump(o)
	case o.Kind == Auto:
		if err := refuseStale(o, live); err != nil {
			return nil, err
		}
	}
	for _, e := range before.Live() {
		name := path.Join(o.AppendDirName, e.Name)
		if err := c.open(o, name, &e); errors.Is(err, fs.ErrNotExist) {
			// Unlinked since, or missing for good; another look tells.
			if now, again := manifest(o); again == nil && slices.Equal(now.Live(), before.Live()) {
				return nil, &aof.MissingError{Dir: filepath.Join(o.Dir, o.AppendDirName), Files: []string{e.Name}}
			}
			return nil, errMoved
		} else if err != nil {
			return nil, err
		}
	}
	after, err := manifest(o)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(before.Live(), after.Live()) {
		return nil, errMoved
	}
	if err := c.cut(ctx, o); err != nil {
		return nil, err
	}
	named := aof.Manifest{Base: before.Base, Incrs: before.Incrs}
	c.addManifest(o, named.Encode())
	whole = true
	return c, nil
}

func manifest(o Options) (*aof.Manifest, error) {
	d, err := aof.OpenDir(o.FS, o.Dir, aof.Options{DirName: o.AppendDirName, FileName: o.AppendFileName})
	if err != nil {
		return nil, err
	}
	return d.Manifest(), nil
}

// refuseStale looks whether the log may be one that was switched off long ago.
func refuseStale(o Options, live []aof.Entry) error {
	dump, err := o.FS.Stat(filepath.Join(o.Dir, o.DBFileName))
	if err != nil {
		return nil // no dump, no doubt
	}
	var newest time.Time
	for _, e := range live {
		if info, err := o.FS.Stat(filepath.Join(o.Dir, o.AppendDirName, e.Name)); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if newest.IsZero() || dump.ModTime().Sub(newest) < stale {
		return nil
	}
	return &StaleError{Dir: o.Dir, Log: newest, Dump: dump.ModTime()}
}

func (c *Copy) open(o Options, name string, e *aof.Entry) error {
	f, err := vfs.Open(o.FS, filepath.Join(o.Dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	c.Files = append(c.Files, File{Name: name, Entry: e, src: f})
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c.Files[len(c.Files)-1].Size = info.Size()
	return nil
}

// openOld takes the single file that Redis before 7 wrote.
func (c *Copy) openOld(o Options) (found bool, err error) {
	err = c.open(o, o.AppendFileName, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = c.cut(context.Background(), o)
	}
	return true, err
}

// cut ends the last file at a command boundary outside MULTI, and sees that those
// before are whole.
func (c *Copy) cut(ctx context.Context, o Options) error {
	<-o.Clock.After(settle)
	c.Time = o.Clock.Now()
	for i := range c.Files {
		f := &c.Files[i]
		isLast := i == len(c.Files)-1
		info, err := f.src.(vfs.File).Stat()
		if err != nil {
			return err
		}
		f.Size = info.Size()
		if i == 0 {
			c.Since = info.ModTime()
		}
		if err := c.walk(ctx, f, isLast); err != nil {
			return err
		}
		if f.Entry != nil && f.Entry.Type == aof.Base {
			c.Position.Base = f.Entry.Seq
		} else if f.Entry != nil {
			c.Position.Incr = f.Entry.Seq
		}
	}
	return nil
}

// walk reads the commands of a file. An RDB at its beginning is left to whoever
// reads the copy, if it is all there is.
func (c *Copy) walk(ctx context.Context, f *File, isLast bool) error {
	r := aof.NewReader(f.Reader(), path.Base(f.Name), 0)
	c.Position.Offset, c.Position.Left = f.Size, 0
	if isRDB, err := c.facts(f); err != nil {
		return err
	} else if isRDB {
		if f.Entry != nil && strings.HasSuffix(f.Name, ".rdb") {
			return nil
		}
		if _, err := r.Preamble(skip); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		unit, err := r.NextUnit()
		c.Position.Commands += int64(len(unit.Commands))
		if t := r.Time(); !t.IsZero() {
			c.Dated = t
		}
		var torn *aof.TruncatedError
		switch {
		case err == nil:
		case err == io.EOF:
			c.Position.DB = r.DB()
			return nil
		case errors.As(err, &torn) && isLast:
			c.Position.Offset, c.Position.Left, c.Position.DB = torn.CutAt, f.Size-torn.CutAt, r.DB()
			f.Size = torn.CutAt
			return nil
		case errors.As(err, &torn):
			return &aof.HoleError{Torn: torn, Next: path.Base(c.Files[slices.IndexFunc(c.Files, func(o File) bool { return o.Name == f.Name })+1].Name)}
		default:
			return err
		}
	}
}

// skip finds the length of an RDB.
func skip(r io.Reader) (int64, error) {
	d := rdb.NewDecoder(r, rdb.DecoderOptions{KeepPacked: true})
	for {
		if _, err := d.Next(); err == io.EOF {
			return d.Consumed(), nil
		} else if err != nil {
			return 0, err
		}
	}
}

// facts reads what an RDB says of itself. A base that is named one must be one.
func (c *Copy) facts(f *File) (isRDB bool, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(f.Reader(), head); err != nil || string(head) != "REDIS" {
		if strings.HasSuffix(f.Name, ".rdb") {
			return false, &aof.FormatError{File: path.Base(f.Name), What: fmt.Sprintf("want an RDB, have %d bytes of something else", f.Size)}
		}
		return false, nil
	}
	d := rdb.NewDecoder(f.Reader(), rdb.DecoderOptions{KeepPacked: true})
	if _, err := d.Next(); err != nil && err != io.EOF {
		return true, fmt.Errorf("%s: %w", path.Base(f.Name), err)
	}
	aux := d.Aux()
	c.Format = max(c.Format, d.Version())
	if c.Server == "" {
		c.Server = aux["redis-ver"]
	}
	if began := seconds(aux["ctime"]); !began.IsZero() {
		c.Since = began
	}
	return true, nil
}

func seconds(text string) time.Time {
	var s int64
	if _, err := fmt.Sscan(text, &s); err != nil || s <= 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}

func (c *Copy) addManifest(o Options, text []byte) {
	c.Files = append(c.Files, File{
		Name: path.Join(o.AppendDirName, o.AppendFileName+".manifest"),
		Size: int64(len(text)), src: strings.NewReader(string(text)),
	})
}

// takeDump takes the dump that is there. Its server replaces it by renaming.
func takeDump(o Options) (*Copy, error) {
	c := &Copy{Kind: RDB, Time: o.Clock.Now()}
	err := c.open(o, o.DBFileName, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NothingError{o.Dir, o.DBFileName}
	}
	if err == nil {
		_, err = c.facts(&c.Files[0])
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	c.Dated = c.Since // a dump is of one moment, and tells it
	return c, nil
}
