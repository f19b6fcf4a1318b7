package repair

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"limpet/aof"
	"limpet/internal/check"
	"limpet/vfs"
)

// Options of [MakePlan]; the zero value keeps a prefix.
type Options struct {
	KeepAfterGap bool // keep the files behind a gap
	Resync       bool // go on behind damage where it can be told where
	SalvageBase  bool // keep the entries before the damage of an RDB

	Begin    func(total int64) // as in check.Options
	Progress func(bytes int64)
}

// Plan says what a repair would do.
type Plan struct {
	From   string        `json:"from"`
	Single bool          `json:"single,omitempty"` // From is a file, not a directory
	Report *check.Report `json:"report"`
	// Rebuilt says from what a new manifest is made, "" when the old one is good.
	Rebuilt string          `json:"rebuilt,omitempty"`
	Files   []*FilePlan     `json:"files"`
	Dumps   []*FilePlan     `json:"dumps,omitempty"`
	Notes   []string        `json:"notes,omitempty"`
	Log     *check.Log      `json:"-"` // nil when there are only dumps
	names   *aof.Manifest   // the new manifest, nil for a single file
	said    map[string]bool // notes that were
}

// FilePlan is what becomes of one file.
type FilePlan struct {
	Source   *check.File `json:"-"`
	Name     string      `json:"name"`
	Keep     []Piece     `json:"keep"`              // nothing: the file is dropped
	Commands int         `json:"commands"`          // whole ones kept
	Salvage  bool        `json:"salvage,omitempty"` // Keys entries are written anew
	Keys     int         `json:"keys,omitempty"`
	Cuts     []*Cut      `json:"cuts,omitempty"`

	// Dropped files are not named any more: nothing of them is kept, or they are
	// missing.
	Dropped bool `json:"dropped,omitempty"`

	entry aof.Entry
}

// Piece is a range of the source, or else bytes that are not in it.
type Piece struct {
	From    int64  `json:"from"`
	To      int64  `json:"to"`
	Literal string `json:"literal,omitempty"`
}

// Cut is a range of the source that is not kept in the log.
type Cut struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Why  string `json:"why"`
	Lost Lost   `json:"lost"`
	// SavedAs is the file that holds the bytes, once the plan is carried out.
	SavedAs string `json:"saved_as,omitempty"`
}

// Refused says why no plan can be made. Nothing has been changed.
type Refused struct {
	Why  string
	Flag string // the option that would allow it, "" for none
	From string // what could be mended instead, "" for nothing
}

func (e *Refused) Error() string { return e.Why }

func refusef(flag, format string, args ...any) error {
	return &Refused{Why: fmt.Sprintf(format, args...), Flag: flag}
}

// Nothing tells that there is nothing to mend.
func (p *Plan) Nothing() bool {
	if p.Rebuilt != "" {
		return false
	}
	for _, f := range append(append([]*FilePlan{}, p.Files...), p.Dumps...) {
		if len(f.Cuts) > 0 || f.Dropped {
			return false
		}
	}
	return true
}

// MakePlan decides what to keep of a data directory, or of a single log or RDB. It
// only reads.
func MakePlan(ctx context.Context, fsys vfs.FS, from string, o Options) (*Plan, error) {
	info, err := fsys.Stat(from)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		if err := alone(fsys, from); err != nil {
			return nil, err
		}
	case Interrupted(fsys, from):
		return nil, refusef("--in-place", "an earlier repair of %s was cut short", from)
	}
	r, err := check.Inspect(ctx, fsys, from, check.Options{Begin: o.Begin, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	p := &Plan{From: from, Report: r, Single: !info.IsDir(), said: map[string]bool{}}
	for path, problem := range r.All {
		switch problem.Code {
		case check.Unreadable:
			return nil, refusef("", "%s cannot be read: %s", path, problem.Text)
		case check.Changing, check.BeingWritten:
			return nil, refusef("", "a server is at work in it: %s", problem.Text)
		}
	}
	var logs []string
	for _, l := range r.Logs {
		logs = append(logs, filepath.Join(l.Dir, l.Name))
	}
	switch {
	case len(logs)+len(r.Dumps) == 0:
		return nil, refusef("", "there is no log and no dump of a store")
	case len(logs) > 1:
		return nil, refusef("", "it holds more than one log: %s; give each a directory of its own first", strings.Join(logs, ", "))
	case len(logs) == 1:
		p.Log = r.Logs[0]
		if err := p.planLog(fsys, o); err != nil {
			return nil, err
		}
	}
	return p, p.planDumps(o)
}

// planDumps keeps dumps as they are. A damaged one is only mended where it is
// all there is: beside a log nobody reads it.
func (p *Plan) planDumps(o Options) error {
	for _, f := range p.Report.Dumps {
		d := whole(f)
		switch bad := damage(f); {
		case bad == nil:
		case p.Log != nil:
			p.notef("%s is damaged and taken over as it is; a server with a log does not read it", f.Name)
		default:
			if err := d.salvage(bad, o); err != nil {
				return err
			}
		}
		p.Dumps = append(p.Dumps, d)
	}
	return nil
}

func (p *Plan) notef(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); !p.said[note] {
		p.said[note] = true
		p.Notes = append(p.Notes, note)
	}
}

// whole keeps all of a file.
func whole(f *check.File) *FilePlan {
	p := &FilePlan{Source: f, Name: f.Name, Commands: f.Commands, Keys: f.Keys}
	if f.Size > 0 {
		p.Keep = []Piece{{To: f.Size}}
	}
	return p
}

// damage is what a file cannot be kept with, nil for nothing.
func damage(f *check.File) *check.Problem {
	for i, p := range f.Problems {
		if p.Verdict != check.Sound || p.Err != nil {
			return &f.Problems[i]
		}
	}
	return nil
}

// planLog goes through the files in the order of loading.
func (p *Plan) planLog(fsys vfs.FS, o Options) error {
	live, err := p.live()
	if err != nil {
		return err
	}
	gap := "" // what is missing before the file
	for _, f := range live {
		d := whole(f)
		d.entry = entryOf(f)
		bad := damage(f)
		switch {
		case gap != "" && !o.KeepAfterGap:
			d.drop(gap)
		case bad == nil:
		default:
			more, err := p.planFile(fsys, d, bad, o)
			if err != nil {
				return err
			}
			if gap == "" || more != "" {
				gap = more
			}
		}
		for _, c := range d.Cuts {
			if c.Lost, err = lostIn(fsys, f, c); err != nil {
				return err
			}
		}
		p.Files = append(p.Files, d)
	}
	p.describeGap(gap, live, o)
	p.names = p.manifest()
	return nil
}

func entryOf(f *check.File) aof.Entry {
	t := aof.Incr
	if f.Role == check.RoleBase {
		t = aof.Base
	}
	return aof.Entry{Name: f.Name, Seq: f.Seq, Type: t}
}

// drop keeps nothing of a file.
func (d *FilePlan) drop(why string) {
	if d.Source.Size > 0 {
		d.Cuts = []*Cut{{To: d.Source.Size, Why: why}}
	}
	d.Keep, d.Commands, d.Keys, d.Dropped = nil, 0, 0, true
}

// planFile decides about a file that is not whole, and says what gap it leaves
// before the next one, "" for none.
func (p *Plan) planFile(fsys vfs.FS, d *FilePlan, bad *check.Problem, o Options) (gap string, err error) {
	f := d.Source
	var torn *aof.TruncatedError
	var format *aof.FormatError
	switch {
	case bad.Code == check.Missing && f.Role == check.RoleBase:
		return "", refusef("", "the base %s is missing, and without it the log means nothing: bring it back from a backup", f.Name)
	case bad.Code == check.Missing:
		d.drop("")
		return f.Name + " is missing", nil
	case bad.Code == check.TimeGoesBack, bad.Code == check.UnexpectedRDB:
		return "", refusef("", "%s: %s: files have been exchanged, and only somebody who knows which can put them in order", f.Name, bad.Text)
	case bad.Code == check.NewerRDB:
		return "", refusef("", "%s: %s: use the tools of the version that wrote it", f.Name, bad.Text)
	case errors.As(bad.Err, &torn):
		wentOn, err := p.cutLog(fsys, d, breakage{cutAt: torn.CutAt, at: torn.Offset, multi: torn.OpenMulti, why: bad.Text}, o)
		return gapUnless(wentOn, f.Name+" ends early"), err
	case errors.As(bad.Err, &format):
		wentOn, err := p.cutLog(fsys, d, breakage{cutAt: format.CutAt, at: format.Offset, multi: bad.Code == check.OpenMulti, why: bad.Text}, o)
		return gapUnless(wentOn, f.Name+" is damaged"), err
	}
	if err := d.salvage(bad, o); err != nil {
		return "", err
	}
	return f.Name + " is not whole", nil
}

func gapUnless(wentOn bool, gap string) string {
	if wentOn {
		return ""
	}
	return gap
}

// cutLog keeps a log up to where it breaks, and what can be found behind. It
// tells whether it went on from there to the end of the file: then the next one
// follows as it should.
func (p *Plan) cutLog(fsys vfs.FS, d *FilePlan, b breakage, o Options) (wentOn bool, err error) {
	f := d.Source
	file, err := vfs.Open(fsys, f.Path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	s := &resyncer{src: file, name: f.Name, size: f.Size, oldServer: p.writerIsOld()}
	given, err := s.settle(&b, f.RDB)
	if err != nil {
		return false, err
	}
	d.Keep, d.Commands = nil, d.Commands-given
	if b.cutAt > 0 {
		d.Keep = []Piece{{To: b.cutAt}}
	}
	for {
		found, err := s.after(b)
		if err != nil {
			return false, err
		}
		if found.at < 0 || !o.Resync {
			d.Cuts = append(d.Cuts, &Cut{From: b.cutAt, To: f.Size, Why: b.why})
			if found.at >= 0 {
				p.notef("%s: commands go on at byte %d (%s): --resync keeps them", f.Name, found.at, found.why)
			} else if o.Resync && found.why != "" {
				p.notef("%s: behind byte %d nothing is kept: %s", f.Name, b.cutAt, found.why)
			}
			return false, nil
		}
		p.notef("%s: goes on at byte %d: %s; what stood between is missing", f.Name, found.at, found.why)
		d.Cuts = append(d.Cuts, &Cut{From: b.cutAt, To: found.at, Why: b.why})
		d.Keep = append(d.Keep, found.pieces()...)
		d.Commands += found.commands
		if found.next == nil {
			return true, nil
		}
		b = *found.next
	}
}

// writerIsOld tells that Redis 7.0 or older, or Limpet, has written the base:
// they never put a SELECT inside a MULTI.
func (p *Plan) writerIsOld() bool {
	for _, f := range p.Log.Files {
		if f.Role == check.RoleBase && f.Writer != "" {
			return strings.HasPrefix(f.Writer, "7.0.") || f.Writer < "7" && !strings.HasPrefix(f.Writer, "1")
		}
	}
	return false
}

// describeGap says what is risked or left out behind a gap.
func (p *Plan) describeGap(gap string, live []*check.File, o Options) {
	if gap == "" {
		return
	}
	after, dropped := 0, 0
	flushed := ""
	for _, d := range p.Files {
		if d.Dropped {
			for _, c := range d.Cuts {
				dropped += c.Lost.Commands
				if c.Lost.Flush {
					flushed = d.Name
				}
			}
		}
		after += d.Commands
	}
	switch {
	case o.KeepAfterGap:
		p.notef("files behind the gap (%s) are kept: commands are missing before them, so the data may be what it never was", gap)
	case dropped > 0:
		p.notef("%d commands behind the gap (%s) are not kept: --keep-after-gap applies them, to data that lacks what is missing before them", dropped, gap)
	}
	if flushed != "" {
		p.notef("%s holds a FLUSHALL: what stands behind that does not depend on the gap", flushed)
	}
}

// manifest names what is kept.
func (p *Plan) manifest() *aof.Manifest {
	if p.Log.Manifest == "" && p.Rebuilt == "" {
		return nil // the single file of Redis before 7
	}
	m := new(aof.Manifest)
	for _, d := range p.Files {
		switch {
		case d.Dropped:
		case d.entry.Type == aof.Base:
			e := d.entry
			m.Base = &e
		default:
			m.Incrs = append(m.Incrs, d.entry)
		}
	}
	return m
}
