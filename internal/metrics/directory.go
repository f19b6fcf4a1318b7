package metrics

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"limpet/aof"
	"limpet/internal/check"
	"limpet/internal/machine"
	"limpet/vfs"
)

// Directory is a data directory, and what its server calls the files in it.
type Directory struct {
	Dir      string
	DirName  string // appenddirname; "" is appendonlydir
	FileName string // appendfilename; "" is appendonly.aof
	DumpName string // dbfilename; "" is dump.rdb
	FS       vfs.FS // nil is the machine's
	Space    func(dir string) (machine.Space, error)
}

func (d Directory) withDefaults() Directory {
	for name, byDefault := range map[*string]string{&d.DirName: "appendonlydir", &d.FileName: "appendonly.aof", &d.DumpName: "dump.rdb"} {
		if *name == "" {
			*name = byDefault
		}
	}
	if d.FS == nil {
		d.FS = vfs.OS()
	}
	if d.Space == nil {
		d.Space = machine.SpaceOf
	}
	d.Dir = filepath.Clean(d.Dir)
	return d
}

var (
	directoryUp      = Gauge("limpet_directory_up", "1 while the data directory can be read, 0 while it cannot; its other metrics are absent then.")
	manifestPresent  = Gauge("limpet_manifest_present", "1 when the directory has the manifest of a log.")
	manifestReadable = Gauge("limpet_manifest_readable", "1 when the manifest follows its grammar, 0 when a server refuses it; absent where there is none.")
	manifestSound    = Gauge("limpet_manifest_sound", "1 when manifest and files agree: every file that is named is there, no base is empty, none that ought to be named is missing from it. Absent where there is no log.")
	manifestMissing  = Gauge("limpet_manifest_missing_files", "Files that the manifest names and that are not there.")
	manifestSequence = Gauge("limpet_manifest_sequence", "Highest sequence number of a type of file (base, incr).", "type")
	manifestFiles    = Gauge("limpet_manifest_files", "Files that the manifest names, by type (base, incr, history).", "type")
	manifestSize     = Gauge("limpet_manifest_files_bytes", "Size of these files, by type (base, incr, history).", "type")
	orphanFiles      = Gauge("limpet_orphan_files", "Files of a log with data in them that its manifest ought to name and does not: a server starts without them, and then writes over them.")
	orphanBytes      = Gauge("limpet_orphan_bytes", "Size of these files.")
	tempFiles        = Gauge("limpet_temp_files", "Temporary files of saves and rewrites, those under way included.")
	tempBytes        = Gauge("limpet_temp_bytes", "Size of these files.")
	strayFiles       = Gauge("limpet_stray_files", "Files that nobody has written to for ten minutes, no server reads and none removes: temporary ones, and old ones of a log.")
	strayBytes       = Gauge("limpet_stray_bytes", "Size of these files.")
	dumpSize         = Gauge("limpet_dump_size_bytes", "Size of dump.rdb; absent where there is none.")
	dumpModified     = Gauge("limpet_dump_modified_timestamp_seconds", "When dump.rdb was written, in Unix time; absent where there is none.")
	diskFree         = Gauge("limpet_disk_free_bytes", "Room that is left on the file system of the directory.")
	diskSize         = Gauge("limpet_disk_size_bytes", "Size of this file system.")
	diskNeed         = Gauge("limpet_disk_need_bytes", "Free room that the log wants to be safe: two bases, its growth since the last rewrite, and 64 MiB.")
	diskRewriteNeed  = Gauge("limpet_disk_rewrite_need_bytes", "Free room without which the next rewrite fails: a base and 64 MiB.")
	diskFreeInodes   = Gauge("limpet_disk_free_inodes", "Inodes that are left on the file system; absent where it has no limit.")
	diskInodes       = Gauge("limpet_disk_inodes", "Inodes of the file system; absent where it has no limit.")
)

var directoryMetrics = []*Metric{
	directoryUp, manifestPresent, manifestReadable, manifestSound, manifestMissing, manifestSequence, manifestFiles, manifestSize,
	orphanFiles, orphanBytes, tempFiles, tempBytes, strayFiles, strayBytes, dumpSize, dumpModified,
	diskFree, diskSize, diskNeed, diskRewriteNeed, diskFreeInodes, diskInodes,
}

// idle is how long nobody has written to a file that is called a stray: the one
// of a rewrite under way grows.
const idle = 10 * time.Minute

// NewDirectory tells what the files of a data directory say, without their server.
// It reads the manifest, and of other files only the sizes.
func NewDirectory(d Directory, o Options) *Collector {
	o, d = o.withDefaults(), d.withDefaults()
	p := &probe[*surveyed]{
		Options: o, subject: "the directory " + d.Dir, wait: patience, timeout: patience,
		ask: func(ctx context.Context) (*surveyed, error) { return d.look(ctx, o) },
	}
	return about(p, directoryUp, directoryMetrics, func(s sink, found *surveyed) { found.tell(s) })
}

// surveyed is a directory at one moment.
type surveyed struct {
	log    *check.Log // the server's; nil where there is none
	dump   *check.File
	sound  bool
	counts [4]struct { // by what
		files int
		bytes int64
	}
	space  machine.Space
	spaced bool // space is known
	need   machine.Need
}

const (
	missing = iota
	orphans
	temps
	strays
)

func (d *surveyed) count(what int, f *check.File) {
	d.counts[what].files++
	d.counts[what].bytes += f.Size
}

// looks is how often a log that is not sound is looked at: its server may have
// changed it between the reading of the manifest and of the directory.
const (
	looks     = 3
	lookPause = 50 * time.Millisecond
)

func (d Directory) look(ctx context.Context, o Options) (found *surveyed, err error) {
	for n := 1; ; n++ {
		r, err := check.Survey(d.FS, d.Dir)
		if err != nil {
			return nil, err
		}
		found = d.sum(r, o.Clock.Now())
		if found.sound || found.log == nil || n == looks {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookPause):
		}
	}
	if space, err := d.Space(d.Dir); err == nil {
		found.space, found.spaced = space, true
	}
	return found, nil
}

func (d Directory) sum(r *check.Report, now time.Time) *surveyed {
	found := &surveyed{}
	var base, growth int64
	for _, l := range r.Logs {
		for _, f := range l.Live() {
			if f.Role == check.RoleIncr {
				growth += f.Size
			} else {
				base += f.Size
			}
		}
		d.temporary(found, l.Temps, now)
		if l.Name == d.FileName && l.Dir == filepath.Join(d.Dir, d.DirName) {
			found.log = l
			found.judge(now)
		}
	}
	d.temporary(found, r.Temps, now)
	for _, f := range r.Dumps {
		if f.Name == d.DumpName {
			found.dump = f
		}
		if len(r.Logs) == 0 {
			base += f.Size
		}
	}
	found.need = machine.NeedOf(base, growth)
	return found
}

func (d Directory) temporary(found *surveyed, files []*check.File, now time.Time) {
	for _, f := range files {
		found.count(temps, f)
		if now.Sub(f.ModTime) > idle {
			found.count(strays, f)
		}
	}
}

// judge looks at the files of the server's log.
func (d *surveyed) judge(now time.Time) {
	d.sound = d.log.Err == nil
	for _, f := range d.log.Files {
		switch {
		case f.Role == check.RoleOther && len(f.Problems) > 0:
			if now.Sub(f.ModTime) > idle {
				d.count(strays, f)
			}
		case f.Role == check.RoleOther && d.log.Err == nil:
			d.count(orphans, f)
			d.sound = false
		case f.Role != check.RoleOther && len(f.Problems) > 0:
			d.count(missing, f)
			d.sound = false
		case f.Role == check.RoleBase && f.Size == 0 && strings.HasSuffix(f.Name, ".rdb"):
			d.sound = false
		}
	}
}

func (d *surveyed) tell(s sink) {
	d.tellLog(s)
	for what, m := range map[int][2]*Metric{orphans: {orphanFiles, orphanBytes}, temps: {tempFiles, tempBytes}, strays: {strayFiles, strayBytes}} {
		s.put(m[0], float64(d.counts[what].files))
		s.put(m[1], float64(d.counts[what].bytes))
	}
	if d.dump != nil {
		s.put(dumpSize, float64(d.dump.Size))
		s.moment(dumpModified, d.dump.ModTime)
	}
	s.put(diskNeed, float64(d.need.Safe))
	s.put(diskRewriteNeed, float64(d.need.Rewrite))
	if d.spaced {
		s.put(diskFree, float64(d.space.Free))
		s.put(diskSize, float64(d.space.Total))
		if d.space.TotalInodes > 0 {
			s.put(diskFreeInodes, float64(d.space.FreeInodes))
			s.put(diskInodes, float64(d.space.TotalInodes))
		}
	}
}

func (d *surveyed) tellLog(s sink) {
	s.flag(manifestPresent, d.log != nil && d.log.Manifest != "")
	if d.log == nil {
		return
	}
	s.flag(manifestSound, d.sound)
	if d.log.Manifest == "" {
		return
	}
	s.flag(manifestReadable, d.log.Err == nil)
	names := d.log.Names
	if names == nil {
		return
	}
	s.put(manifestMissing, float64(d.counts[missing].files))
	for t, entries := range map[check.Role][]aof.Entry{check.RoleBase: baseOf(names), check.RoleIncr: names.Incrs, check.RoleHistory: names.History} {
		highest, size := aof.Seq(0), int64(0)
		for _, e := range entries {
			highest = max(highest, e.Seq)
		}
		for _, f := range d.log.Files {
			if f.Role == t {
				size += f.Size
			}
		}
		s.put(manifestFiles, float64(len(entries)), string(t))
		s.put(manifestSize, float64(size), string(t))
		if t != check.RoleHistory && len(entries) > 0 {
			s.put(manifestSequence, float64(highest), string(t))
		}
	}
}

func baseOf(m *aof.Manifest) []aof.Entry {
	if m.Base == nil {
		return nil
	}
	return []aof.Entry{*m.Base}
}
