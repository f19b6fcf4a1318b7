package limpet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"limpet/clock"
	"limpet/internal/command"
	"limpet/internal/engine"
	"limpet/resp"
	"limpet/vfs"
)

// Policy says when acknowledged writes are synced to disk.
type Policy = engine.Policy

const (
	EverySec = engine.EverySec // within a second: a power cut loses at most that and one sync
	Always   = engine.Always   // before they are acknowledged: a power cut loses nothing
	No       = engine.No       // when the kernel likes
)

// ParsePolicy reads "everysec", "always" or "no".
func ParsePolicy(s string) (Policy, error) { return engine.ParsePolicy(s) }

// Options of a store. A nil *Options and the zero value are the safe defaults.
type Options struct {
	// Fsync is appendfsync. The default, EverySec, costs nothing that can be felt;
	// Always costs each writer the wait for a sync, shared by all who wait; No
	// leaves it to the kernel, about 30 seconds on Linux.
	Fsync Policy
	// RewritePercentage is the growth of the log over its size after the last
	// rewrite at which it is rewritten, in per cent: 0 means 100, negative never.
	RewritePercentage int
	// RewriteMinSize is the size in bytes below which it is not; 0 means 64 MiB.
	RewriteMinSize int64
	// RefuseTruncated makes Open fail on a torn tail instead of cutting it off and
	// keeping it beside the file (aof-load-truncated no).
	RefuseTruncated bool
	// Timestamps writes a #TS line into the log at the first record of each second
	// (aof-timestamp-enabled); it costs 16 bytes a second.
	Timestamps bool
	// Password is requirepass; empty asks for none. [DB.Do] never needs it.
	Password string
	// AppendDirName, AppendFileName and DBFileName are the names of redis.conf for
	// the log's directory, its files and the dump, all inside the store's directory;
	// empty means appendonlydir, appendonly.aof and dump.rdb.
	AppendDirName, AppendFileName, DBFileName string
	// NoAppendOnly is appendonly no: there is no log, and what was not saved to the
	// dump is lost with the process.
	NoAppendOnly bool
	// RESPBase writes the log's bases as commands, which people can read
	// (aof-use-rdb-preamble no); they are larger and load more slowly.
	RESPBase bool
	// SavePoints is save: when the dump is written by itself, and that it is on
	// Close. None by default, since the log has it all.
	SavePoints []SavePoint
	// IgnoreSaveErrors takes writes though such saves fail
	// (stop-writes-on-bgsave-error no); without a log, they may all be lost then.
	IgnoreSaveErrors bool
	// KeepOld keeps the files that a rewrite has replaced (aof-disable-auto-gc).
	KeepOld bool
	// MaxBulk is the longest string in bytes (proto-max-bulk-len); 0 means 512 MiB.
	MaxBulk int
	// Packing says how far collections are kept packed.
	Packing Packing
	// Renamed is rename-command: by a name in lower case the command that it means,
	// "" for none.
	Renamed map[string]string
	// Databases is how many numbered databases there are; 0 means 16.
	Databases int
	// FS and Clock are for tests; nil means the machine's.
	FS    vfs.FS
	Clock clock.Clock
	// Logger is told what the store does by itself and what goes wrong; nil
	// discards.
	Logger *slog.Logger
}

// SavePoint is a pair of save: a time, and how many changes it takes then.
type SavePoint = engine.SavePoint

// ParseSavePoints reads the value of save, as in "3600 1 300 100"; an empty one
// is none.
func ParseSavePoints(s string) ([]SavePoint, error) { return engine.ParseSavePoints(s) }

// Packing is how large collections may grow before they leave their packed forms,
// which take a fraction of the memory and more time: the settings of redis.conf.
// Zero fields are its defaults, and -1 stands for its 0.
type Packing struct {
	HashEntries, HashValue int // hash-max-listpack-entries, -value in bytes
	SetInts                int // set-max-intset-entries
	ZSetEntries, ZSetValue int // zset-max-listpack-entries, -value in bytes
	ListNode               int // list-max-listpack-size: -1 to -5 mean 4 to 64 KiB
	StreamNode             int // stream-node-max-entries
}

// DB is an open store. Its methods may be called by many goroutines.
type DB struct {
	e  *engine.Engine
	do sync.Pool // of *localSession
}

// Open opens the store in a directory, which is created when it is missing, and
// replays its files. Only one process has a directory open at a time.
//
// The error tells a torn or damaged log from a missing file, and says that
// nothing has been changed; errors.As finds *aof.TruncatedError,
// *aof.FormatError, *vfs.LockedError and others in it.
func Open(dir string, o *Options) (*DB, error) {
	if o == nil {
		o = &Options{}
	}
	e, err := engine.Open(dir, engine.Options{
		FS: o.FS, Clock: o.Clock, Logger: o.Logger, Fsync: o.Fsync,
		RefuseTruncated: o.RefuseTruncated, Timestamps: o.Timestamps,
		RewritePercentage: o.RewritePercentage, RewriteMinSize: o.RewriteMinSize,
		AppendDirName: o.AppendDirName, AppendFileName: o.AppendFileName, DBFileName: o.DBFileName, KeepOld: o.KeepOld,
		NoAppendOnly: o.NoAppendOnly, RESPBase: o.RESPBase, SavePoints: o.SavePoints, IgnoreSaveErrors: o.IgnoreSaveErrors,
		Limits: command.Limits{
			Databases: o.Databases, Password: o.Password, MaxBulk: o.MaxBulk, Renamed: o.Renamed,
			HashEntries: o.Packing.HashEntries, HashValue: o.Packing.HashValue, SetInts: o.Packing.SetInts,
			ZSetEntries: o.Packing.ZSetEntries, ZSetValue: o.Packing.ZSetValue,
			ListNodeSize: o.Packing.ListNode, StreamNode: o.Packing.StreamNode,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("limpet: open %s: %w", dir, err)
	}
	db := &DB{e: e}
	db.do.New = func() any { return db.local() }
	return db, nil
}

// Close syncs everything and releases the directory. Writes are refused from then
// on. An error means that acknowledged writes may be missing on disk.
func (db *DB) Close() error { return db.e.Close() }

// Done is closed when a client has sent SHUTDOWN. The owner then closes the
// store.
func (db *DB) Done() <-chan struct{} { return db.e.Done() }

// RunID names this opening of the store, as INFO's run_id does.
func (db *DB) RunID() string { return db.e.RunID() }

// SetPort tells INFO which TCP port the store is served on.
func (db *DB) SetPort(port int) { db.e.SetPort(port) }

// SetConfigFile tells INFO where the store's configuration was read from.
func (db *DB) SetConfigFile(path string) { db.e.SetConfigFile(path) }

// SetMaxClients tells INFO how many connections are served at a time.
func (db *DB) SetMaxClients(n int) { db.e.SetMaxClients(n) }

// AsksPassword tells whether clients must give one.
func (db *DB) AsksPassword() bool { return db.e.AsksPassword() }

// Setting is a name of CONFIG for which whoever serves the store answers.
type Setting = engine.Setting

// Configure adds settings to CONFIG, in the place of those of the same name.
func (db *DB) Configure(settings ...Setting) { db.e.Configure(settings...) }

// Rejected counts a connection that a server turned away, for INFO.
func (db *DB) Rejected() { db.e.Rejected() }

// Do runs one command in database 0 and returns its reply once it is as durable
// as the policy promises. Arguments are strings, []byte or integers. An error
// reply is returned as a [resp.ServerError]; the reply's strings are the
// caller's.
//
// Commands that belong to a connection (SELECT, MULTI, WATCH, CLIENT …) need a
// [Session].
func (db *DB) Do(ctx context.Context, args ...any) (resp.Value, error) {
	if err := ctx.Err(); err != nil {
		return resp.Value{}, err
	}
	s := db.do.Get().(*localSession)
	v, err := s.do(args)
	if !s.session.Closing() { // after SHUTDOWN a session runs nothing more
		db.do.Put(s)
	}
	return v, err
}

// localSession is a session with the buffers that Do needs.
type localSession struct {
	session *Session
	batch   Batch
	args    [][]byte
	out     resp.Writer
}

func (db *DB) local() *localSession {
	s := command.NewSession(0, "", "", true, 0)
	return &localSession{session: &Session{db: db, s: s}}
}

func (l *localSession) do(args []any) (resp.Value, error) {
	l.args = l.args[:0]
	for i, a := range args {
		b, err := argument(a)
		if err != nil {
			return resp.Value{}, fmt.Errorf("limpet: argument %d: %w", i, err)
		}
		l.args = append(l.args, b)
	}
	if len(l.args) == 0 {
		return resp.Value{}, fmt.Errorf("limpet: no command given")
	}
	if cmd := l.session.db.e.Names(l.args[0]); cmd != nil && cmd.Stateful() {
		return resp.Value{}, fmt.Errorf("limpet: %s belongs to a connection: use a Session", cmd.Name)
	}
	l.batch.Reset()
	l.batch.Add(l.args)
	l.out.Reset()
	ticket := l.session.Exec(&l.batch, &l.out)
	if err := l.session.Wait(ticket); err != nil {
		return resp.Value{}, err
	}
	if len(l.out.Buf) == 0 && l.session.Closing() {
		l.out.OK() // SHUTDOWN ends a connection without a reply
	}
	v, _, err := resp.Decode(l.out.Buf)
	if err != nil {
		return resp.Value{}, err
	}
	v = v.Clone()
	return v, v.Err()
}

func argument(a any) ([]byte, error) {
	switch v := a.(type) {
	case string:
		return []byte(v), nil
	case []byte:
		return v, nil
	case int:
		return fmt.Appendf(nil, "%d", v), nil
	case int64:
		return fmt.Appendf(nil, "%d", v), nil
	case uint64:
		return fmt.Appendf(nil, "%d", v), nil
	}
	return nil, fmt.Errorf("%T is not a string, []byte or integer", a)
}
