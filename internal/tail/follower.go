package tail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"limpet/aof"
	"limpet/clock"
	"limpet/vfs"
)

// Options of a Follower. The zero value follows what Redis's default
// configuration writes.
type Options struct {
	DirName  string // appenddirname; "" is appendonlydir
	FileName string // appendfilename; "" is appendonly.aof
	// MaxBlock is the bytes at which a block ends with the command that reaches
	// them; 0 means 4 MiB. One command is never split.
	MaxBlock int64
	// MaxHeld is how many files may wait to be read; 0 means 256. Each holds its
	// space on the source's disk. More of them are a Gap.
	MaxHeld int
	// Every is how often [Follower.Watch] looks at the manifest; 0 means 10 ms. An
	// incr file is missed when a whole rewrite fits between two looks.
	Every time.Duration
	Clock clock.Clock // nil is the real one
	// Inspect, unless nil, is shown each unit while its block is made, and the #TS
	// in force. The unit's memory is used again.
	Inspect func(u aof.Unit, at time.Time)
}

// Follower reads one append-only directory. Look, Watch, Behind and Close may be
// called while another goroutine reads; reading is for one goroutine.
type Follower struct {
	fs   vfs.FS
	home string
	o    Options

	mu       sync.Mutex // guards what looking and reading share
	attached bool
	seen     []byte      // the manifest as last looked at
	incrs    []*incrFile // incrs[0] is being read, the others wait
	base     baseID      // newest known
	pending  *Base       // that base, until somebody takes it
	stop     *Break      // what comes when incrs have been read

	broken   *Break    // given by Next; final
	caughtUp time.Time // the latest reading that came to the end; zero when none has
}

// incrFile is an incr file from its first sight to its last byte. offset and
// behind it belong to the reader.
type incrFile struct {
	aof.Entry
	path  string
	inode uint64
	file  vfs.File

	offset int64 // end of what was read; guarded by Follower.mu
	prefix hash.Hash
	last   []byte // the bytes before offset, to see when they change
	db     int
}

type baseID struct {
	seq   aof.Seq
	inode uint64
}

// Base is a base file, held open. Whoever takes it closes File. The file does
// not change any more.
type Base struct {
	aof.Entry
	File  vfs.File
	Size  int64
	Inode uint64
	// Before is the incr file at whose beginning the base holds what the log held.
	Before aof.Seq
	// BeforeInode is that file's; 0 when the reading has come beyond it.
	BeforeInode uint64
}

// New returns a Follower of the log in a data directory. It touches nothing yet.
func New(fsys vfs.FS, home string, o Options) *Follower {
	if o.DirName == "" {
		o.DirName = "appendonlydir"
	}
	if o.FileName == "" {
		o.FileName = "appendonly.aof"
	}
	if o.MaxBlock <= 0 {
		o.MaxBlock = 4 << 20
	}
	if o.MaxHeld <= 0 {
		o.MaxHeld = 256
	}
	if o.Every <= 0 {
		o.Every = 10 * time.Millisecond
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	return &Follower{fs: fsys, home: home, o: o}
}

// Start begins anew at what the manifest names now: its base, if any, is the next
// that [Follower.TakeBase] gives, and the first incr is read from its beginning.
// The error matches [ErrNoLog] when there is nothing to follow.
func (f *Follower) Start() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.detach()
	return f.settle(func(m *aof.Manifest) error {
		for _, e := range m.Incrs {
			in, err := f.openIncr(e)
			if err != nil {
				return err
			}
			f.incrs = append(f.incrs, in)
		}
		if m.Base == nil {
			return nil
		}
		return f.openBase(*m.Base, m.Incrs[0].Seq)
	})
}

// Point is where a Follower stopped, as its successor must find it.
type Point struct {
	Base      aof.Seq // of the base that was known
	BaseInode uint64
	Incr      aof.Seq
	Inode     uint64
	Offset    int64
	Prefix    [sha256.Size]byte // of the incr file up to Offset
	DB        int               // selected there
}

// Resume goes on where another Follower has stopped, if the files prove that
// nothing is missing and nothing else was put in their place; a *Break says what
// is. The base is given by [Follower.TakeBase] again, known or not.
func (f *Follower) Resume(p Point) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.detach()
	err := f.settle(func(m *aof.Manifest) error {
		listed := m.Incrs
		for _, e := range m.History {
			if e.Seq >= p.Incr && f.isIncr(e) {
				listed = append(listed, e) // replaced by a rewrite, but there perhaps
			}
		}
		listed = slices.DeleteFunc(slices.Clone(listed), func(e aof.Entry) bool { return e.Seq < p.Incr })
		slices.SortFunc(listed, func(a, b aof.Entry) int { return int(a.Seq - b.Seq) })
		if len(listed) == 0 {
			return &Break{Reason: Replaced, File: f.manifestName(), What: fmt.Sprintf("the log no longer reaches incr %d", p.Incr)}
		}
		if listed[0].Seq != p.Incr {
			return &Break{Reason: Gap, File: f.manifestName(), What: fmt.Sprintf("incr %d is gone, and whether it was read to its end is not known", p.Incr)}
		}
		for _, e := range listed {
			in, err := f.openIncr(e)
			if errors.Is(err, fs.ErrNotExist) && e.Type == aof.History {
				return &Break{Reason: Gap, File: e.Name, What: "it is gone, and whether it was read to its end is not known"}
			}
			if err != nil {
				return err
			}
			f.incrs = append(f.incrs, in)
		}
		if err := f.incrs[0].skipTo(p); err != nil {
			return err
		}
		return f.resumeBase(m, p)
	})
	if err != nil {
		f.detach()
	}
	return err
}

func (f *Follower) resumeBase(m *aof.Manifest, p Point) error {
	if m.Base == nil {
		if p.Base == 0 {
			return nil
		}
		return &Break{Reason: Replaced, File: f.manifestName(), What: "it names no base any more"}
	}
	if err := f.openBase(*m.Base, m.Incrs[0].Seq); err != nil {
		return err
	}
	if f.base.seq <= p.Base && f.base != (baseID{p.Base, p.BaseInode}) {
		return &Break{Reason: Replaced, File: m.Base.Name, What: "not the base that was read"}
	}
	return nil
}

// skipTo goes to the end of what another Follower has read.
func (in *incrFile) skipTo(p Point) error {
	if in.inode != p.Inode {
		return &Break{Reason: Replaced, File: in.Name, What: fmt.Sprintf("inode %d in the place of %d", in.inode, p.Inode)}
	}
	n, err := io.Copy(in.prefix, io.NewSectionReader(in.file, 0, p.Offset))
	if err != nil {
		return err
	}
	if n < p.Offset {
		return &Break{Reason: Truncated, File: in.Name, What: fmt.Sprintf("%d bytes, and %d were read", n, p.Offset)}
	}
	if !bytes.Equal(in.prefix.Sum(nil), p.Prefix[:]) {
		return &Break{Reason: Replaced, File: in.Name, What: fmt.Sprintf("the %d bytes that were read are others now", p.Offset)}
	}
	in.offset, in.db = p.Offset, p.DB
	in.last = make([]byte, min(p.Offset, lastBytes))
	if _, err := in.file.ReadAt(in.last, p.Offset-int64(len(in.last))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// settle attaches to the files of a manifest that was the same before they were
// opened and after. f.mu is held.
func (f *Follower) settle(open func(*aof.Manifest) error) error {
	const tries = 100 // each loses against a rewrite that ended just then
	for range tries {
		text, m, err := f.readManifest()
		if err != nil {
			return err
		}
		if len(m.Incrs) == 0 {
			return fmt.Errorf("tail: %s: %w: the manifest names no incr file", f.dir(), ErrNoLog)
		}
		err = open(m)
		again, _, readErr := f.readManifest()
		switch {
		case readErr != nil:
			f.detach()
			return readErr
		case !bytes.Equal(text, again):
			f.detach()
			continue
		case errors.Is(err, fs.ErrNotExist):
			f.detach()
			return fmt.Errorf("tail: %s: named by the manifest, but: %w", f.dir(), err)
		case err != nil:
			f.detach()
			return err
		}
		f.attached, f.seen = true, text
		return nil
	}
	return fmt.Errorf("tail: %s: the manifest has changed %d times in a row while its files were opened", f.dir(), tries)
}

// Watch looks at the manifest until ctx ends, so that files are opened before a
// rewrite removes them however long reading takes. Errors are left to the next
// read.
func (f *Follower) Watch(ctx context.Context) {
	tick := f.o.Clock.NewTicker(f.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
			_ = f.Look()
		}
	}
}

// Look opens what the manifest names since the last look.
func (f *Follower) Look() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	const tries = 10
	for range tries {
		if !f.attached || f.stop != nil {
			return nil
		}
		text, m, err := f.readManifest()
		if errors.Is(err, ErrNoLog) {
			f.stop = &Break{Reason: Replaced, File: f.manifestName(), What: "it is gone"}
			return nil
		}
		if err != nil {
			return err
		}
		if bytes.Equal(text, f.seen) {
			return nil
		}
		err = f.advance(m)
		if errors.Is(err, fs.ErrNotExist) {
			continue // replaced by a rewrite just now: the next manifest says by what
		}
		var b *Break
		if errors.As(err, &b) {
			f.stop = b
			return nil
		}
		if err != nil {
			return err
		}
		f.seen = text
	}
	return nil
}

// advance takes in what a changed manifest names. f.mu is held.
func (f *Follower) advance(m *aof.Manifest) error {
	newest := f.incrs[len(f.incrs)-1]
	next, err := f.after(m, newest)
	if err != nil {
		return err
	}
	for _, e := range next {
		if len(f.incrs) >= f.o.MaxHeld {
			return &Break{Reason: Gap, File: e.Name, What: fmt.Sprintf("%d files wait to be read already", len(f.incrs))}
		}
		in, err := f.openIncr(e)
		if errors.Is(err, fs.ErrNotExist) && e.Type == aof.History {
			return &Break{Reason: Gap, File: e.Name, What: "it came and went unread"}
		}
		if err != nil {
			return err
		}
		f.incrs = append(f.incrs, in)
	}
	switch {
	case m.Base == nil && f.base.seq == 0:
		return nil
	case m.Base == nil || m.Base.Seq < f.base.seq:
		return &Break{Reason: Replaced, File: f.manifestName(), What: fmt.Sprintf("base %d is no longer named", f.base.seq)}
	case m.Base.Seq > f.base.seq:
		return f.openBase(*m.Base, m.Incrs[0].Seq)
	}
	info, err := f.fs.Stat(f.pathOf(*m.Base))
	if err == nil && vfs.Inode(info) != f.base.inode {
		err = &Break{Reason: Replaced, File: m.Base.Name, What: "another file under the name of the base"}
	}
	return err
}

// after is the incr files behind the newest one that is known.
func (f *Follower) after(m *aof.Manifest, newest *incrFile) ([]aof.Entry, error) {
	if i := slices.IndexFunc(m.Incrs, func(e aof.Entry) bool { return e.Seq == newest.Seq }); i >= 0 {
		info, err := f.fs.Stat(newest.path)
		if err != nil {
			return nil, err
		}
		if vfs.Inode(info) != newest.inode {
			return nil, &Break{Reason: Replaced, File: newest.Name, What: "another file under its name"}
		}
		return m.Incrs[i+1:], nil
	}
	if len(m.Incrs) == 0 || m.Incrs[0].Seq < newest.Seq {
		return nil, &Break{Reason: Replaced, File: f.manifestName(), What: fmt.Sprintf("the log no longer reaches incr %d", newest.Seq)}
	}
	// A rewrite has ended since. What it made history may still be there.
	var next []aof.Entry
	for seq := newest.Seq + 1; seq < m.Incrs[0].Seq; seq++ {
		i := slices.IndexFunc(m.History, func(e aof.Entry) bool { return e.Seq == seq && f.isIncr(e) })
		if i < 0 {
			return nil, &Break{Reason: Gap, File: f.manifestName(), What: fmt.Sprintf("incr %d came and went unread", seq)}
		}
		next = append(next, m.History[i])
	}
	return append(next, m.Incrs...), nil
}

// isIncr tells an incr file among history.
func (f *Follower) isIncr(e aof.Entry) bool {
	return e.Name == fmt.Sprintf("%s.%d.incr.aof", f.o.FileName, e.Seq)
}

func (f *Follower) openIncr(e aof.Entry) (*incrFile, error) {
	path := f.pathOf(e)
	file, info, err := f.open(path)
	if err != nil {
		return nil, err
	}
	return &incrFile{Entry: e, path: path, inode: vfs.Inode(info), file: file, prefix: sha256.New()}, nil
}

// openBase makes a base the pending one.
func (f *Follower) openBase(e aof.Entry, before aof.Seq) error {
	file, info, err := f.open(f.pathOf(e))
	if errors.Is(err, fs.ErrNotExist) && e.Name == f.o.FileName {
		// The log of a Redis before 7 that is named already and not yet moved in.
		file, info, err = f.open(filepath.Join(f.home, e.Name))
	}
	if err != nil {
		return err
	}
	f.dropPending()
	f.pending = &Base{Entry: e, File: file, Size: info.Size(), Inode: vfs.Inode(info), Before: before}
	f.base = baseID{e.Seq, f.pending.Inode}
	return nil
}

func (f *Follower) open(path string) (vfs.File, fs.FileInfo, error) {
	file, err := vfs.Open(f.fs, path)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

// TakeBase gives the newest base that nobody has taken, once the reading has
// come to the incr file before which it stands; nil when there is none.
func (f *Follower) TakeBase() *Base {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.pending
	if b == nil || len(f.incrs) == 0 || f.incrs[0].Seq < b.Before {
		return nil
	}
	f.pending = nil
	if f.incrs[0].Seq == b.Before {
		b.BeforeInode = f.incrs[0].inode
	}
	return b
}

// Behind is how many bytes are there and not read, and in how many files.
func (f *Follower) Behind() (size int64, files int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, in := range f.incrs {
		if info, err := in.file.Stat(); err == nil && info.Size() > in.offset {
			size += info.Size() - in.offset
			files++
		}
	}
	return size, files
}

// At is the incr file that is being read and the end of what was read of it.
func (f *Follower) At() (incr aof.Seq, inode uint64, offset int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.incrs) == 0 {
		return 0, 0, 0
	}
	return f.incrs[0].Seq, f.incrs[0].inode, f.incrs[0].offset
}

// CaughtUp is the latest moment of which everything written has been read, zero
// when there was none since Start or Resume. It is for the goroutine that reads.
func (f *Follower) CaughtUp() time.Time { return f.caughtUp }

// Close lets go of all files.
func (f *Follower) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.detach()
}

// detach forgets everything. f.mu is held.
func (f *Follower) detach() {
	for _, in := range f.incrs {
		_ = in.file.Close()
	}
	f.dropPending()
	f.attached, f.seen, f.incrs, f.base, f.stop, f.broken = false, nil, nil, baseID{}, nil, nil
	f.caughtUp = time.Time{}
}

func (f *Follower) dropPending() {
	if f.pending != nil {
		_ = f.pending.File.Close()
		f.pending = nil
	}
}

func (f *Follower) readManifest() ([]byte, *aof.Manifest, error) {
	text, err := vfs.ReadFile(f.fs, filepath.Join(f.dir(), f.manifestName()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("tail: %s: %w: %s", f.dir(), ErrNoLog, f.whyNone())
	}
	if err != nil {
		return nil, nil, err
	}
	m, err := aof.ParseManifest(f.manifestName(), text)
	return text, m, err
}

// whyNone says what is there instead of a multi-part log.
func (f *Follower) whyNone() string {
	if _, err := f.fs.Stat(filepath.Join(f.home, f.o.FileName)); err == nil {
		return "a log in one file, " + f.o.FileName + ", which Redis 7 takes over at its start"
	}
	return "no manifest: appendonly is off, or no server has started here"
}

func (f *Follower) dir() string               { return filepath.Join(f.home, f.o.DirName) }
func (f *Follower) manifestName() string      { return f.o.FileName + ".manifest" }
func (f *Follower) pathOf(e aof.Entry) string { return filepath.Join(f.dir(), e.Name) }
