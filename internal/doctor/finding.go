package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"limpet/internal/machine"
	"limpet/vfs"
)

// Severity is how bad a finding is.
type Severity int

// The severities.
const (
	Info     Severity = iota // worth knowing
	Warning                  // will lose data, or a server, in some event
	Critical                 // loses data now, or at the next start
)

func (s Severity) String() string { return [...]string{"info", "warning", "critical"}[s] }

// MarshalText is how a severity looks in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Code names a kind of finding.
type Code string

// The codes.
const (
	DirUnreadable    Code = "dir-unreadable"
	LogDamaged       Code = "log-damaged"
	LogTorn          Code = "log-torn"
	OpenMulti        Code = "open-multi"
	Orphans          Code = "orphans"
	StrayFiles       Code = "stray-files"
	DumpNewer        Code = "dump-newer"
	DumpIgnored      Code = "dump-ignored"
	NotAMount        Code = "not-a-mount"
	AnonymousVolume  Code = "anonymous-volume"
	WrongOwner       Code = "wrong-owner"
	OpenMode         Code = "open-mode"
	DiskLow          Code = "disk-low"
	InodesLow        Code = "inodes-low"
	FileSystem       Code = "file-system"
	ReadOnly         Code = "read-only"
	SlowSync         Code = "slow-sync"
	Overcommit       Code = "overcommit"
	HugePages        Code = "huge-pages"
	StoreSilent      Code = "store-silent"
	NoPersistence    Code = "no-persistence"
	AOFOff           Code = "aof-off"
	AOFDiffers       Code = "aof-differs"
	NoSavePoints     Code = "no-save-points"
	SyncNever        Code = "sync-never"
	LoadTruncated    Code = "load-truncated"
	WriteFailing     Code = "write-failing"
	SaveFailing      Code = "save-failing"
	RewriteFailing   Code = "rewrite-failing"
	RewriteOff       Code = "rewrite-off"
	HistoryKept      Code = "history-kept"
	EvictsKeys       Code = "evicts-keys"
	OldVersion       Code = "old-version"
	OpenToWorld      Code = "open-to-world"
	ComposeBad       Code = "compose-unreadable"
	ComposeNoVolume  Code = "compose-no-volume"
	ComposeAnonymous Code = "compose-anonymous-volume"
	ComposeNamed     Code = "compose-named-volume"
	ComposeTag       Code = "compose-floating-tag"
	ComposeAOFOff    Code = "compose-aof-off"
	ComposeOpenPort  Code = "compose-open-port"
	NoBackup         Code = "no-backup"
	BackupOld        Code = "backup-old"
	BackupBad        Code = "backup-bad"
	NoDrill          Code = "no-drill"
	DrillOld         Code = "drill-old"
	NoArchive        Code = "no-archive"
	ArchiverGone     Code = "archiver-gone"
	ArchiveBehind    Code = "archive-behind"
	CatalogueSilent  Code = "catalogue-unreadable"
)

// Finding is one thing found.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`         // what is wrong, and what will come of it
	Evidence string   `json:"evidence"`     // what was seen
	Do       string   `json:"do,omitempty"` // what to type
}

// Machine tells facts of the machine. A fact that answers an error is not known.
type Machine struct {
	Mount       func(dir string) (machine.Mount, error)
	Container   func() string // what tells that this is one, "" when nothing does
	Space       func(dir string) (machine.Space, error)
	Owner       func(path string) (machine.Owner, error)
	Overcommit  func() (string, error)
	HugePages   func() (string, error)
	SyncLatency func(dir string, times int) ([]time.Duration, error)
}

// ThisMachine is the one that the program runs on.
func ThisMachine() Machine {
	return Machine{machine.MountOf, machine.Container, machine.SpaceOf, machine.OwnerOf, machine.Overcommit, machine.HugePages, machine.SyncLatency}
}

// Server answers commands of a store that runs.
type Server interface {
	// Info is the fields of INFO, all sections.
	Info(ctx context.Context) (map[string]string, error)
	// Config is the settings of CONFIG GET *, nil where that is not allowed.
	Config(ctx context.Context) (map[string]string, error)
	// Seeds tells whether a crawl is tracked in it.
	Seeds(ctx context.Context) (bool, error)
}

// Backups is a target of backups.
type Backups interface {
	Target() string // as it is typed
	State(ctx context.Context) (BackupState, error)
}

// BackupState is what a catalogue tells. A zero time is never.
type BackupState struct {
	Last     time.Time // whose state the newest backup holds
	Verified time.Time // the newest drill that found a backup good
	Bad      []string  // ids of those whose newest drill found them bad, oldest first
}

// Archive is a target that somebody archives to.
type Archive interface {
	Target() string // as it is typed
	State(ctx context.Context) (ArchiveState, error)
}

// ArchiveState is how an archive fares.
type ArchiveState struct {
	Empty   bool          // nothing has ever been archived there
	Lag     time.Duration // of which nothing is in the archive yet
	Heard   time.Duration // how long ago the archiver was heard of
	Stopped bool          // in good order
	Holder  string        // the archiver
	Trouble string        // what keeps it from going on, "" for nothing
}

// Subject is what is looked at; what is nil or empty is not.
type Subject struct {
	FS      vfs.FS
	Dir     string // data directory
	Compose string // path of a docker-compose file
	Server  Server
	Backups Backups
	Archive Archive
	Machine Machine
	Now     func() time.Time

	Begin    func(total int64) // as in check.Options
	Progress func(bytes int64)
}

// examination collects findings.
type examination struct {
	Subject
	ctx    context.Context
	found  []Finding
	bytes  int64 // of the data directory's log and dumps
	growth int64 // of the log since its base
	base   int64

	config map[string]string // of the server that runs, nil when not known
	info   map[string]string
	wants  string // what says that the log is to be on, "" when nothing does
	image  string // of the compose file's Redis
}

// Examine looks at everything that is there, worst findings first.
func Examine(ctx context.Context, s Subject) ([]Finding, error) {
	e := &examination{Subject: s, ctx: ctx}
	if s.Compose != "" {
		e.compose()
	}
	if s.Server != nil {
		e.server()
	}
	if s.Dir != "" {
		if err := e.directory(); err != nil {
			return nil, err
		}
		e.place()
	}
	if s.Dir != "" || s.Server != nil {
		e.kernel()
	}
	if s.Backups != nil {
		e.backups()
	}
	if s.Archive != nil {
		e.archive()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(e.found, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return e.found, nil
}

// Worst is the severity of the worst finding; not ok when there is none.
func Worst(found []Finding) (worst Severity, ok bool) {
	for _, f := range found {
		worst = max(worst, f.Severity)
	}
	return worst, len(found) > 0
}

func (e *examination) add(code Code, s Severity, text, do, evidence string, args ...any) {
	e.found = append(e.found, Finding{code, s, text, fmt.Sprintf(evidence, args...), do})
}
