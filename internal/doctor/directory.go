package doctor

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"

	"limpet/internal/check"
)

// directory reports what check finds in the files.
func (e *examination) directory() error {
	r, err := check.Inspect(e.ctx, e.FS, e.Dir, check.Options{Begin: e.Begin, Progress: e.Progress})
	switch {
	case e.ctx.Err() != nil:
		return e.ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		e.add(DirUnreadable, Critical, "the data directory does not exist", "ls -ld "+shellescape.Quote(filepath.Dir(e.Dir)), "%s: no such directory", e.Dir)
		return nil
	case err != nil:
		e.add(DirUnreadable, Critical, "the data directory cannot be read", "ls -la "+e.typed(), "%v", err)
		return nil
	}
	e.measure(r)
	look, mend := "limpet check "+e.typed(), "limpet repair --from "+e.typed()+" --to "+shellescape.Quote(strings.TrimRight(e.Dir, "/")+".mended")
	strays := 0
	for path, p := range r.All {
		place := p.Text
		if path != "" {
			place = filepath.Base(path) + ": " + p.Text
		}
		switch p.Code {
		case check.OpenMulti:
			e.add(OpenMulti, Critical, "a transaction in the log was never finished; redis-server 7 leaves it open in the file and executes it with a later one, so that counts are wrong", mend, "%s (byte %d)", place, p.Offset)
		case check.Orphans:
			e.add(Orphans, Critical, "the log has files that its manifest does not name; redis-server starts without them, and then writes over them", mend, "%s", place)
		case check.DumpNewer:
			e.add(DumpNewer, dumpSeverity(p.Text), "the dump is newer than the log, and a server with appendonly yes ignores it", look, "%s", place)
		case check.StrayFile, check.StrayTemp:
			if strays++; strays == 1 {
				e.add(StrayFiles, Info, "there are files that no server reads and none removes; they only take room", look, "%s", place)
			}
		default:
			switch p.Verdict {
			case check.Torn:
				e.add(LogTorn, Warning, "the end of the log was never finished, as after a power cut; the store cuts it off at its next start", look, "%s (byte %d)", place, p.Offset)
			case check.Damaged:
				if p.Code != check.NothingHere {
					e.add(LogDamaged, Critical, "the files are damaged: a server refuses them, or loads what never was", mend, "%s (byte %d)", place, p.Offset)
				}
			}
		}
	}
	if len(r.Logs) == 0 && len(r.Dumps) > 0 && e.wants != "" {
		e.add(DumpIgnored, Critical, "there is a dump and no log, but the server is told to keep a log: redis-server 7 then starts empty and ignores the dump",
			"start it with appendonly no, then: redis-cli CONFIG SET appendonly yes", "%s beside %s", r.Dumps[0].Name, e.wants)
	}
	return nil
}

// dumpSeverity lets pass what a save point leaves: it comes within the hour.
func dumpSeverity(text string) Severity {
	if f := strings.Fields(text); len(f) > 1 {
		if age, err := time.ParseDuration(f[1]); err == nil && age <= time.Hour {
			return Info
		}
	}
	return Warning
}

// measure adds up what a rewrite will have to write, and what the log has grown by.
func (e *examination) measure(r *check.Report) {
	for _, l := range r.Logs {
		for _, f := range l.Live() {
			e.bytes += f.Size
			if f.Role == check.RoleIncr {
				e.growth += f.Size
			} else {
				e.base += f.Size
			}
		}
	}
	for _, f := range r.Dumps {
		e.bytes += f.Size
		if len(r.Logs) == 0 {
			e.base += f.Size
		}
	}
}
