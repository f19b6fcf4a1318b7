package limpet

import (
	"log/slog"

	"limpet/clock"
	"limpet/internal/engine"
	"limpet/vfs"
)

// Options of a store. A nil *Options and the zero value are the safe defaults:
// those of redis.conf, but with a log and without save points. Names in
// parentheses are redis.conf's.
//
// Limits of clients (how many, how long silent) are those of whoever serves them:
// see server.Options.
type Options struct {
	// Fsync says when what is acknowledged is on disk (appendfsync). The default,
	// EverySec, costs nothing that can be felt; Always costs each writer the wait
	// for a sync, shared by all who wait; No costs nothing and leaves it to the
	// kernel, about 30 seconds on Linux.
	Fsync Policy
	// RewritePercentage is the growth of the log over its size after the last
	// rewrite at which it is rewritten, in per cent (auto-aof-rewrite-percentage);
	// 0 means 100, negative never. A rewrite costs a pass over all keys; without,
	// the log and the time that Open takes grow for ever.
	RewritePercentage int
	// RewriteMinSize is the size of the log in bytes below which it is not rewritten
	// by itself (auto-aof-rewrite-min-size); 0 means 64 MiB.
	RewriteMinSize int64
	// RefuseTruncated makes Open fail on a torn tail (aof-load-truncated no). The
	// default cuts it off and keeps it beside the file, since it is what every power
	// cut may leave.
	RefuseTruncated bool
	// Timestamps writes the time into the log at the first record of each second
	// (aof-timestamp-enabled), which lets tools cut it at a moment; not by default.
	// It costs 16 bytes a second.
	Timestamps bool
	// Password is what clients must give before anything else (requirepass); empty,
	// the default, asks for none. [DB.Do] and [DB.Pipeline] never need it, a
	// [Session] does.
	Password string
	// AppendDirName, AppendFileName and DBFileName are the names of the log's
	// directory, its files and the dump, all inside the store's directory
	// (appenddirname, appendfilename, dbfilename); empty means appendonlydir,
	// appendonly.aof and dump.rdb.
	AppendDirName, AppendFileName, DBFileName string
	// NoAppendOnly is for a store without a log (appendonly no); there is one by
	// default. It saves the log's space and loses with the process what was not saved
	// to the dump.
	NoAppendOnly bool
	// RESPBase writes the log's bases as commands, which people can read
	// (aof-use-rdb-preamble no); the default, an RDB, is a fraction of the size and
	// of the time to load.
	RESPBase bool
	// SavePoints say when the dump is written by itself, and that it is on Close
	// (save); none by default, since the log has it all. Each costs a pass over all
	// keys.
	SavePoints []SavePoint
	// IgnoreSaveErrors takes writes though saves of save points fail
	// (stop-writes-on-bgsave-error no). The default refuses them: without a log, they
	// may all be lost.
	IgnoreSaveErrors bool
	// KeepOld keeps the files that a rewrite has replaced (aof-disable-auto-gc); by
	// default they are deleted. It costs their space, for ever.
	KeepOld bool
	// MaxBulk is how long a string may become, in bytes (proto-max-bulk-len); 0 means
	// 512 MiB.
	MaxBulk int
	// Packing says how far collections are kept packed.
	Packing Packing
	// Renamed gives commands other names (rename-command): by a name in lower case
	// the command that it means from now on, "" for none; nil renames nothing. It
	// holds for Do too.
	Renamed map[string]string
	// Databases is how many numbered databases there are; 0 means 16. Open fails on
	// files that hold more.
	Databases int
	// FS is where the files are; nil means the operating system's, and that of
	// vfs.NewMem keeps everything in memory, as tests like it.
	FS vfs.FS
	// Clock is the time for deadlines of keys and for syncs; nil means the machine's.
	Clock clock.Clock
	// Logger is told what the store does by itself and what goes wrong: a few lines
	// for each Open, rewrite and save, none for a command. nil discards.
	Logger *slog.Logger
}

// Policy says when acknowledged writes are synced to disk.
type Policy = engine.Policy

const (
	EverySec = engine.EverySec // within a second: a power cut loses at most that and one sync
	Always   = engine.Always   // before they are acknowledged: a power cut loses nothing
	No       = engine.No       // when the kernel likes
)

// ParsePolicy reads "everysec", "always" or "no".
func ParsePolicy(s string) (Policy, error) { return engine.ParsePolicy(s) }

// SavePoint is a pair of save: a time, and how many changes it takes then.
type SavePoint = engine.SavePoint

// ParseSavePoints reads the value of save, as in "3600 1 300 100"; an empty one
// is none.
func ParseSavePoints(s string) ([]SavePoint, error) { return engine.ParseSavePoints(s) }

// Packing is how large collections may grow before they leave their packed forms,
// which take a fraction of the memory and more time: the settings of redis.conf.
// Zero fields are its defaults, in parentheses here, and -1 stands for its 0.
type Packing struct {
	HashEntries, HashValue int // hash-max-listpack-entries (512), -value in bytes (64)
	SetInts                int // set-max-intset-entries (512)
	ZSetEntries, ZSetValue int // zset-max-listpack-entries (128), -value in bytes (64)
	ListNode               int // list-max-listpack-size (-2): -1 to -5 mean 4 to 64 KiB
	StreamNode             int // stream-node-max-entries (100)
}
