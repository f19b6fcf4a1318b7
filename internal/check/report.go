package check

import (
	"fmt"
	"time"

	"limpet/aof"
)

// Verdict is how bad a thing is. The worst of a report decides.
type Verdict int

const (
	// Sound: a server starts with it as it is, and nothing is lost.
	Sound Verdict = iota
	// Torn: the end of the last log was never finished, as after a power cut.
	// The store cuts it off at the next start; everything before it is whole.
	Torn
	// Damaged: a store refuses it, or would load what never was.
	Damaged
)

func (v Verdict) String() string { return [...]string{"sound", "torn", "damaged"}[v] }

// MarshalText is how a verdict looks in JSON.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Code names a kind of finding. Scripts rely on the spelling.
type Code string

// The codes; docs/repair.md explains them.
const (
	TornTail       Code = "torn-tail"       // the last log ends inside a command
	OpenMulti      Code = "open-multi"      // a log ends inside a transaction, or a second one begins inside
	ZeroTail       Code = "zero-tail"       // zeros behind the last whole command
	LostLength     Code = "lost-length"     // a torn end that holds whole commands: a length is damaged
	Hole           Code = "hole"            // a log ends early, and another follows
	BadCommand     Code = "bad-command"     // bytes that are no command, in the middle
	UnknownCommand Code = "unknown-command" // a command that no server knows, at which every server stops
	ShortBase      Code = "short-base"      // an RDB ends early, perhaps before it begins
	BadRDB         Code = "bad-rdb"         // an RDB is damaged
	BadChecksum    Code = "bad-checksum"    // an RDB can be read to its end, but its sum is another
	NewerRDB       Code = "newer-rdb"       // an RDB of a later version
	NotAnRDB       Code = "not-an-rdb"      // the name says RDB, the bytes do not
	UnexpectedRDB  Code = "unexpected-rdb"  // an incr that begins with an RDB, as when files were exchanged
	BadManifest    Code = "bad-manifest"    // the manifest cannot be read
	Missing        Code = "missing"         // named by the manifest and not there
	Orphans        Code = "orphans"         // logs that a manifest should name and does not
	Unreadable     Code = "unreadable"      // the system does not let us read it
	TimeGoesBack   Code = "time-goes-back"  // a file begins before another ends, as when they were exchanged
	ClockWentBack  Code = "clock-went-back" // annotations of one file are not in order: so was the machine's clock
	SameBytes      Code = "same-bytes"      // two files of one log are equal, as when one was copied over the other
	StrayFile      Code = "stray-file"      // a log file that nothing names, harmless
	StrayTemp      Code = "stray-temp"      // what a crash left behind
	DumpNewer      Code = "dump-newer"      // dump.rdb was written after the log's last change
	TrailingBytes  Code = "trailing-bytes"  // bytes behind the end of an RDB, which nobody reads
	BeingWritten   Code = "being-written"   // the file grows while it is read
	Changing       Code = "changing"        // the manifest changed each time it was read
	NothingHere    Code = "nothing-here"    // no files of a store
)

// Problem is one finding.
type Problem struct {
	Code    Code    `json:"code"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	// Offset is where in the file, in bytes, and Command is the number of the
	// command there, counting from 1; both 0 where that has no meaning.
	Offset  int64 `json:"offset,omitempty"`
	Command int   `json:"command,omitempty"`

	Err error `json:"-"` // what the reader said, nil where no reader was asked
}

// Role is what a file is for.
type Role string

// The roles.
const (
	RoleManifest Role = "manifest"
	RoleBase     Role = "base"
	RoleIncr     Role = "incr"
	RoleHistory  Role = "history" // replaced by a rewrite, to be unlinked; not read
	RoleLog      Role = "log"     // the single file of Redis before 7
	RoleDump     Role = "dump"    // dump.rdb
	RoleOther    Role = "other"   // orphans, which are read, and strays, which are not
	RoleTemp     Role = "temp"    // of an unfinished step, or of one under way
)

// File is one file and what was found in it.
type File struct {
	Name string `json:"name"` // without directory
	Path string `json:"path"`
	Role Role   `json:"role"`
	Size int64  `json:"size"`
	// What is intact before the first problem: entries of an RDB, commands
	// (MULTI and EXEC included) and bytes. Intact is where the file may be cut.
	Keys     int   `json:"keys,omitempty"`
	Commands int   `json:"commands,omitempty"`
	Intact   int64 `json:"intact"`
	// From and To are the first and the latest time annotation.
	From     *time.Time `json:"from,omitempty"`
	To       *time.Time `json:"to,omitempty"`
	Problems []Problem  `json:"problems,omitempty"`

	Seq     aof.Seq   `json:"-"`
	Last    bool      `json:"-"` // nothing follows it in its log
	ModTime time.Time `json:"-"`
	RDB     int64     `json:"-"` // length of the RDB at its beginning
	Begun   time.Time `json:"-"` // when that RDB was begun, by its own word
	Writer  string    `json:"-"` // and the version of Redis that it says it is of
}

// Verdict is that of its worst problem.
func (f *File) Verdict() Verdict { return worst(f.Problems) }

func (f *File) add(code Code, v Verdict, format string, args ...any) *Problem {
	f.Problems = append(f.Problems, Problem{Code: code, Verdict: v, Text: fmt.Sprintf(format, args...)})
	return &f.Problems[len(f.Problems)-1]
}

// Log is an append-only log: its manifest and the files that this names, or the
// single file of Redis before 7.
type Log struct {
	Dir      string        `json:"dir"`
	Name     string        `json:"name"` // appendfilename
	Manifest string        `json:"manifest,omitempty"`
	Files    []*File       `json:"files"` // in the order of loading, history and others behind
	Problems []Problem     `json:"problems,omitempty"`
	Temps    []*File       `json:"-"` // beside the log's files
	Names    *aof.Manifest `json:"-"` // nil when there is none or it is bad
	Err      error         `json:"-"` // why the manifest is bad
}

func (l *Log) add(code Code, v Verdict, format string, args ...any) {
	l.Problems = append(l.Problems, Problem{Code: code, Verdict: v, Text: fmt.Sprintf(format, args...)})
}

// Live is the files that a server loads, in order.
func (l *Log) Live() (live []*File) {
	for _, f := range l.Files {
		if f.Role == RoleBase || f.Role == RoleIncr || f.Role == RoleLog {
			live = append(live, f)
		}
	}
	return live
}

// Report is what [Inspect] found.
type Report struct {
	Path     string    `json:"path"`
	Verdict  Verdict   `json:"verdict"`
	Bytes    int64     `json:"bytes"` // read
	Logs     []*Log    `json:"logs"`
	Dumps    []*File   `json:"dumps,omitempty"`
	Problems []Problem `json:"problems,omitempty"` // of the directory as a whole
	Temps    []*File   `json:"-"`                  // in the data directory itself
}

func (r *Report) add(code Code, v Verdict, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{Code: code, Verdict: v, Text: fmt.Sprintf(format, args...)})
}

func worst(problems []Problem) (v Verdict) {
	for _, p := range problems {
		v = max(v, p.Verdict)
	}
	return v
}

func (r *Report) judge() {
	r.Verdict = worst(r.Problems)
	for _, f := range r.Dumps {
		r.Verdict = max(r.Verdict, f.Verdict())
	}
	for _, l := range r.Logs {
		r.Verdict = max(r.Verdict, worst(l.Problems))
		for _, f := range l.Files {
			r.Verdict = max(r.Verdict, f.Verdict())
		}
	}
}

// All is every problem with the file it is about, "" for none.
func (r *Report) All(yield func(path string, p Problem) bool) {
	for _, p := range r.Problems {
		if !yield("", p) {
			return
		}
	}
	for _, l := range r.Logs {
		for _, p := range l.Problems {
			if !yield(l.Manifest, p) {
				return
			}
		}
		for _, f := range l.Files {
			for _, p := range f.Problems {
				if !yield(f.Path, p) {
					return
				}
			}
		}
	}
	for _, f := range r.Dumps {
		for _, p := range f.Problems {
			if !yield(f.Path, p) {
				return
			}
		}
	}
}
