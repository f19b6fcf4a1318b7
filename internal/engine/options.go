package engine

import (
	"log/slog"
	"time"

	"limpet/clock"
	"limpet/internal/command"
	"limpet/vfs"
)

// Options of an engine. The zero value of each field is the safe default of
// redis.conf, or of Limpet where redis.conf's loses data.
type Options struct {
	FS     vfs.FS       // where the files are; nil is the operating system's
	Clock  clock.Clock  // nil is the machine's
	Logger *slog.Logger // nil discards

	Fsync          Policy // appendfsync; everysec loses at most a second and one sync
	AppendDirName  string // "" is appendonlydir
	AppendFileName string // "" is appendonly.aof
	DBFileName     string // "" is dump.rdb

	// RefuseTruncated is aof-load-truncated no: a torn tail is an error instead of
	// being cut off (and kept beside the file).
	RefuseTruncated bool
	Timestamps      bool // aof-timestamp-enabled: a #TS line at the first record of each second
	KeepOld         bool // aof-disable-auto-gc: files that a rewrite has replaced are kept

	RewritePercentage int   // auto-aof-rewrite-percentage; 0 is 100, negative never
	RewriteMinSize    int64 // auto-aof-rewrite-min-size, bytes; 0 is 64 MiB

	// NoAppendOnly is appendonly no: there is no log, and what was not saved to
	// dump.rdb is lost with the process. The start loads dump.rdb alone.
	NoAppendOnly bool
	// RESPBase is aof-use-rdb-preamble no: bases are written as commands, which is
	// larger and loads more slowly, and which people can read.
	RESPBase bool

	// SavePoints is save: when dump.rdb is written without being asked for, and that
	// it is when the engine is closed. None by default, since the log has it all.
	SavePoints []SavePoint
	// IgnoreSaveErrors is stop-writes-on-bgsave-error no: writes are taken though
	// automatic saves fail. Where the log is off, they may all be lost then.
	IgnoreSaveErrors bool

	Limits command.Limits // zero fields are redis.conf's; where 0 has a meaning, it is written -1
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.AppendDirName, "appendonlydir")
	setDefault(&o.AppendFileName, "appendonly.aof")
	setDefault(&o.DBFileName, "dump.rdb")
	setDefault(&o.RewritePercentage, 100)
	setDefault(&o.RewriteMinSize, 64<<20)
	o.RewritePercentage = max(0, o.RewritePercentage)

	limits := command.DefaultLimits()
	setDefault(&o.Limits.Databases, limits.Databases)
	setDefault(&o.Limits.MaxBulk, limits.MaxBulk)
	setDefault(&o.Limits.HashEntries, limits.HashEntries)
	setDefault(&o.Limits.HashValue, limits.HashValue)
	setDefault(&o.Limits.SetInts, limits.SetInts)
	setDefault(&o.Limits.ZSetEntries, limits.ZSetEntries)
	setDefault(&o.Limits.ZSetValue, limits.ZSetValue)
	setDefault(&o.Limits.ListNodeSize, limits.ListNodeSize)
	setDefault(&o.Limits.StreamNode, limits.StreamNode)
	for _, n := range []*int{&o.Limits.HashEntries, &o.Limits.HashValue, &o.Limits.SetInts,
		&o.Limits.ZSetEntries, &o.Limits.ZSetValue, &o.Limits.StreamNode} {
		*n = max(0, *n)
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// How often the engine looks after itself.
const (
	cronPeriod   = 100 * time.Millisecond
	expirePerRun = 500 // keys deleted by one look at the deadlines
)
