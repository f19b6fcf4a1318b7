package doctor

import (
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"
)

// How old a backup and a drill may be, and how far an archive behind. An archiver
// is heard of every few seconds.
const (
	oldBackup   = 26 * time.Hour // a daily one, and time to make it
	oldDrill    = 8 * 24 * time.Hour
	lagWarning  = time.Minute
	lagCritical = 10 * time.Minute
)

// backups looks at what there is to come back to.
func (e *examination) backups() {
	at := shellescape.Quote(e.Backups.Target())
	now, list := e.Now(), "limpet backups --from "+at
	again, drill := "limpet backup --dir "+e.orAnyDir()+" --to "+at, "limpet verify --from "+at
	s, err := e.Backups.State(e.ctx)
	switch {
	case err != nil:
		e.add(CatalogueSilent, Critical, "the catalogue of backups cannot be read, so nobody knows whether there are any", list, "%v", err)
		return
	case s.Last.IsZero():
		e.add(NoBackup, Critical, "there is no backup", again, "the catalogue of %s is empty", e.Backups.Target())
		return
	case now.Sub(s.Last) > oldBackup:
		e.add(BackupOld, Warning, "the last backup is old", again, "it holds the state of %s, %v ago", s.Last.UTC().Format(time.RFC3339), now.Sub(s.Last).Round(time.Minute))
	}
	if len(s.Bad) > 0 {
		e.add(BackupBad, Critical, "a drill found backups that cannot be restored", again+"; "+drill+" --all", "%s", strings.Join(s.Bad, ", "))
	}
	switch {
	case s.Verified.IsZero():
		e.add(NoDrill, Warning, "no backup was ever restored and found good", drill, "no such drill in the catalogue of %s", e.Backups.Target())
	case now.Sub(s.Verified) > oldDrill:
		e.add(DrillOld, Info, "the last restore drill is long ago", drill, "it was %s, %v ago", s.Verified.UTC().Format(time.RFC3339), now.Sub(s.Verified).Round(time.Hour))
	}
}

// archive looks whether every second can be brought back. Of an archiver that is
// gone the archive is behind, too; that it is gone is what there is to say.
func (e *examination) archive() {
	at := shellescape.Quote(e.Archive.Target())
	look, again := "limpet archive --status --to "+at, "limpet archive --dir "+e.orAnyDir()+" --to "+at
	s, err := e.Archive.State(e.ctx)
	runs := len(e.info) > 0 // a store that writes what nobody archives
	switch {
	case err != nil:
		e.add(CatalogueSilent, Critical, "how far the archive is behind cannot be told", look, "%v", err)
	case s.Empty:
		e.add(NoArchive, Critical, "nothing has ever been archived there", again, "no archive in %s", e.Archive.Target())
	case s.Stopped && s.Heard > lagWarning:
		e.add(ArchiverGone, worseIf(runs), "nobody archives: what is written now is lost with this machine", again, "%s stopped in good order %v ago", s.Holder, s.Heard.Round(time.Second))
	case s.Heard > lagWarning:
		e.add(ArchiverGone, worseIf(runs || s.Heard > lagCritical), "the archiver is gone: what is written now is lost with this machine", again, "%s was heard of %v ago", s.Holder, s.Heard.Round(time.Second))
	case s.Lag > lagWarning:
		evidence := ""
		if s.Trouble != "" {
			evidence = ": it " + s.Trouble
		}
		e.add(ArchiveBehind, worseIf(s.Lag > lagCritical), "the archive is behind: what it lacks is lost with this machine", look, "%v behind%s", s.Lag.Round(time.Second), evidence)
	}
}

func worseIf(worse bool) Severity {
	if worse {
		return Critical
	}
	return Warning
}

// orAnyDir is the data directory as it is typed, as far as it is known.
func (e *examination) orAnyDir() string {
	if dir := e.orDir(); dir != "" {
		return shellescape.Quote(dir)
	}
	return "DIRECTORY"
}
