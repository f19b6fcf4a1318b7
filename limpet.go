package limpet

import (
	"context"
	"fmt"
	"io"
	"sync"

	"limpet/internal/command"
	"limpet/internal/engine"
)

// DB is an open store. Its methods may be called by many goroutines.
type DB struct {
	e    *engine.Engine
	idle sync.Pool // of *Session, for Do and Pipeline
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
	db.idle.New = db.newIdle
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

// Snapshot writes an RDB of everything, as it was at one moment during the call,
// to w: redis-server loads it as its dump.rdb, and so does Open with
// [Options.NoAppendOnly] or in a directory that has no log yet. Everything
// acknowledged before the call is in it. The store goes on meanwhile.
//
// It waits for a rewrite, a save or another snapshot that is under way; those that
// become due meanwhile wait for it, and so does the mending of a log that has
// broken. A slow w holds up nobody until 64 MiB, and what one batch changes, wait
// for it in memory; then everybody waits for it. So give ctx a deadline where w may
// be slow, and let w not call the store. When ctx is done, and with [DB.Close] and
// SHUTDOWN, the store is free at once, though Snapshot returns only when the Write
// under way does; it is of 256 KiB at most.
//
// An error means that what w has got is of no use: it is w's, that of ctx, or
// [ErrClosed]. Nothing is synced here: that is for whoever owns w.
func (db *DB) Snapshot(ctx context.Context, w io.Writer) error {
	if err := db.e.Snapshot(ctx, w); err != nil {
		return fmt.Errorf("limpet: snapshot: %w", err)
	}
	return nil
}

// ErrClosed is in the error of a [DB.Snapshot] that Close or SHUTDOWN has ended.
var ErrClosed = engine.ErrClosed
