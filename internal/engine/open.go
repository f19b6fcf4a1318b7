package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"limpet/aof"
	"limpet/internal/command"
	"limpet/internal/keyspace"
	"limpet/rdb"
	"limpet/resp"
	"limpet/vfs"
)

// Open opens the store in a directory: it takes the directory for itself,
// replays the files, and begins or continues the log. Until it has replayed
// everything it changes nothing that holds data; see aof.Plan for what is cut
// and kept then.
func Open(dir string, o Options) (*Engine, error) {
	e := newEngine(dir, o)
	if err := e.take(); err != nil {
		return nil, err
	}
	if err := e.load(); err != nil {
		_ = e.unlock.Close()
		return nil, err
	}
	e.background.Go(e.cron)
	return e, nil
}

// take creates the directory if it is missing and locks it.
func (e *Engine) take() error {
	fsys := e.options.FS
	if err := makeDir(fsys, filepath.Clean(e.dir)); err != nil {
		return err
	}
	lock, err := fsys.Lock(filepath.Join(e.dir, e.options.AppendFileName+".lock"))
	if err != nil {
		return err
	}
	e.unlock = lock
	return nil
}

// makeDir creates a directory and those above it, where they are missing, each of
// them durably: a synced file is no use under a name that a power cut takes away.
// One that is there may have been made by a process that died before it was
// durable, so its name is synced all the same.
func makeDir(fsys vfs.FS, dir string) error {
	above := filepath.Dir(dir)
	_, err := fsys.Stat(dir)
	missing := errors.Is(err, fs.ErrNotExist)
	if missing {
		if err = makeDir(fsys, above); err == nil {
			err = fsys.Mkdir(dir, 0o755)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	err = fsys.SyncDir(above)
	switch {
	case err != nil && missing:
		_ = fsys.Remove(dir)
	case errors.Is(err, fs.ErrPermission):
		return nil // somebody else made it, long ago
	}
	return err
}

// loadStats is what the last start has read.
type loadStats struct {
	keys    int64 // from RDB files
	expired int64 // of dump.rdb, dropped
}

// load replays the files and begins or continues the log.
func (e *Engine) load() error {
	files, err := aof.OpenDir(e.options.FS, e.dir, aof.Options{
		DirName: e.options.AppendDirName, FileName: e.options.AppendFileName,
		RefuseTruncated: e.options.RefuseTruncated, KeepHistory: e.options.KeepOld, Clock: e.clock,
	})
	if err != nil {
		return err
	}
	e.files = files
	if e.options.NoAppendOnly {
		if err := e.loadWithoutLog(); err != nil {
			return err
		}
		e.begun(nil)
		return nil
	}
	plan, err := files.Load()
	if err != nil {
		return err
	}
	for _, path := range plan.Strays {
		e.logger.Warn("a log file that nothing names was left alone", "file", path)
	}
	began := e.clock.Now()
	l := newLoader(e)
	replayed, err := plan.Replay(l)
	if err != nil {
		return err
	}
	if cut := replayed.Cut; cut != nil {
		e.logger.Warn("the log ended in the middle of a command or a transaction, as after a power cut; what was unfinished is kept beside it",
			"file", cut.Torn.File, "offset", cut.Torn.CutAt, "bytes", cut.Bytes, "kept_as", cut.SavedAs)
	}
	if err := e.tidy(); err != nil {
		return err
	}
	writer, err := e.begin(plan)
	if err != nil {
		return err
	}
	if err := e.measure(writer.Size()); err != nil {
		_ = writer.Close()
		return err
	}
	e.rewriteBase, e.logging = e.baseSize, true
	e.begun(writer)
	l.report(e.clock.Now().Sub(began), replayed.Commands)
	if err := files.DeleteHistory(); err != nil {
		e.logger.Warn("files that a rewrite has replaced could not be deleted yet", "error", err)
	}
	return nil
}

// begun starts counting, and the log: in a file, or off for nil.
func (e *Engine) begun(file logFile) {
	e.unit.Changes = 0
	e.ks.Stats = keyspace.Stats{}
	e.log = newCommitLog(file, e.options.Fsync, e.clock, e.logger)
}

// begin opens the log for writing. A directory without one gets a first base: of
// dump.rdb if there is one, since a server that is told to keep a log for the
// first time must not start empty (as Redis does), else of nothing.
func (e *Engine) begin(plan *aof.Plan) (*aof.Writer, error) {
	if !plan.Empty() {
		return e.files.OpenIncr()
	}
	if err := e.loadDump(); err != nil {
		return nil, err
	}
	base, form, err := e.createBase()
	if err != nil {
		return nil, err
	}
	if err := e.writeDump(base, form, noLock{}, nil); err != nil {
		return nil, err
	}
	return e.files.CreateWithBase(base.Name())
}

// loadDump reads dump.rdb, if there is one.
func (e *Engine) loadDump() error {
	path := filepath.Join(e.dir, e.options.DBFileName)
	file, err := vfs.Open(e.options.FS, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	l := newLoader(e)
	l.expect(info.Size())
	l.dropExpired = true
	if _, err := l.Preamble(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if e.logState == logOn {
		e.logger.Info("there was no log yet: its first base is made of the dump", "file", path, "keys", e.loaded.keys)
	} else {
		e.logger.Info("the dump is loaded", "file", path, "keys", e.loaded.keys)
	}
	return nil
}

// measure takes the sizes of the files; live is that of the newest incr file.
func (e *Engine) measure(live int64) error {
	base, incrs, err := e.files.Sizes()
	if err != nil {
		return err
	}
	e.baseSize, e.oldSize = base, max(0, incrs-live)
	return nil
}

// A file's word for how many keys it has is believed up to a number, and as far
// as so many have room in it: the smallest key with its value takes four bytes.
const (
	maxReserved = 8 << 20 // 50 MB of empty buckets
	smallestKey = 4
)

// loader is the end of a replay that changes the keyspace.
type loader struct {
	e           *Engine
	file        string
	session     *command.Session
	out         resp.Writer
	dropExpired bool
	ahead       []located
	keys        [][]byte // of ahead
	began       int64    // Unix µs; nothing expires while loading, so it need not be exact
	reserved    int      // the database that room was made in last, or NoDB
	room        int64    // keys that room may still be made for
	failed      int      // commands that answered with an error
	firstError  string
}

// located is an entry with the place where it begins.
type located struct {
	rdb.Entry
	at int64 // offset in bytes
}

func newLoader(e *Engine) *loader {
	return &loader{e: e, session: command.NewSession(0, "", "", true, 0),
		began: e.clock.Now().UnixMicro(), reserved: command.NoDB}
}

// Begin announces a file.
func (l *loader) Begin(f aof.PlannedFile) {
	l.file = f.Name
	l.session.DB = 0
	l.expect(f.Size)
}

// expect says how large the next file is.
func (l *loader) expect(size int64) { l.room = min(maxReserved, size/smallestKey) }

// Preamble loads an RDB.
func (l *loader) Preamble(r io.Reader) (length int64, err error) {
	d := rdb.NewDecoder(r, rdb.DecoderOptions{KeepPacked: true})
	for {
		entry, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if db := entry.DB; db != l.reserved && db < l.e.ks.Databases() {
			keys, _ := d.SizeHint()
			keys = min(keys, uint64(l.room))
			l.room -= int64(keys)
			l.e.ks.DB(db).Reserve(int(keys))
			l.reserved = db
		}
		if l.ahead = append(l.ahead, located{entry, d.EntryAt()}); len(l.ahead) == readAhead {
			if err := l.store(); err != nil {
				return 0, err
			}
		}
	}
	if err := l.store(); err != nil {
		return 0, err
	}
	if names := d.Modules(); len(names) > 0 {
		return 0, fmt.Errorf("holds data of the modules %s: %w", strings.Join(names, ", "), rdb.ErrUnsupported)
	}
	if n := d.SkippedEmpty(); n > 0 {
		l.e.logger.Warn("empty collections were passed over, as Redis does; some releases of it have written them by mistake", "keys", n)
	}
	l.e.functions = append(l.e.functions, d.Functions()...)
	return d.Consumed(), nil
}

// readAhead is how many entries are read before they are stored, so that the
// memory they go to can be fetched for all of them at once.
const readAhead = 32

// store puts what was read ahead into the keyspace.
func (l *loader) store() error {
	now := l.e.clock.Now().UnixMilli()
	l.keys = l.keys[:0]
	for _, entry := range l.ahead {
		l.keys = append(l.keys, entry.Key)
	}
	if len(l.ahead) > 0 && l.ahead[0].DB < l.e.ks.Databases() { // nearly always all of one database
		l.e.ks.DB(l.ahead[0].DB).Fetch(l.keys)
	}
	for _, entry := range l.ahead {
		if err := l.entry(entry.Entry, now); err != nil {
			return &rdb.Error{Offset: entry.at, What: fmt.Sprintf("db %d key %.64q", entry.DB, entry.Key), Err: err}
		}
	}
	l.ahead = l.ahead[:0]
	return nil
}

func (l *loader) entry(entry rdb.Entry, now int64) error {
	if entry.DB >= l.e.ks.Databases() {
		return fmt.Errorf("only %d databases are configured", l.e.ks.Databases())
	}
	if l.dropExpired && entry.ExpireAtMs != 0 && entry.ExpireAtMs <= now {
		l.e.loaded.expired++
		return nil
	}
	db := l.e.ks.DB(entry.DB)
	isNew := false
	if text, ok := entry.Value.(rdb.String); ok {
		isNew = db.SetText(entry.Key, text, entry.ExpireAtMs)
	} else {
		object, err := keyspace.FromRDB(entry.Value, l.e.unit.Limits.Packing())
		if err != nil {
			return err
		}
		isNew = db.Set(entry.Key, object, entry.ExpireAtMs)
	}
	if !isNew {
		return fmt.Errorf("the key occurs twice: %w", rdb.ErrCorrupt)
	}
	l.e.loaded.keys++
	return nil
}

// Unit applies a command or a transaction of the log.
func (l *loader) Unit(u aof.Unit) error {
	unit := l.e.unit
	unit.Loading = true
	defer func() { unit.Loading = false }()
	unit.Begin(l.began)
	for _, c := range u.Commands {
		l.out.Reset()
		if err := unit.Replay(l.session, c.Args, &l.out); err != nil {
			return fmt.Errorf("%s: offset %d: %w", l.file, c.Start, err)
		}
		if len(l.out.Buf) > 0 && l.out.Buf[0] == '-' {
			if strings.EqualFold(string(c.Args[0]), "select") {
				// Going on would put what follows into another database.
				return fmt.Errorf("SELECT %.20q, but only %d databases are configured", c.Args[1], l.e.ks.Databases())
			}
			if l.failed++; l.failed == 1 {
				l.firstError = fmt.Sprintf("%s: offset %d: %.40q: %s", l.file, c.Start, c.Args[0], strings.TrimSpace(string(l.out.Buf)))
			}
		}
	}
	return nil
}

func (l *loader) report(took time.Duration, commands int) {
	if l.failed > 0 {
		l.e.logger.Warn("commands of the log were answered with an error, which redis-server would pass over in silence",
			"commands", l.failed, "first", l.firstError)
	}
	l.e.logger.Info("the store is loaded", "keys", l.e.ks.Len(), "from_rdb", l.e.loaded.keys, "commands", commands, "took", took)
}

// reason is the operating system's word for a failure, in Redis's spelling.
func reason(err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
	case errors.Is(err, io.ErrShortWrite):
		errno = syscall.ENOSPC // as Redis reads it
	default:
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
