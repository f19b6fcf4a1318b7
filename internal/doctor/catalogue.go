package doctor

import "time"

// How old a backup and a drill may be, and how far an archive behind.
const (
	oldBackup   = 26 * time.Hour // a daily one, and time to make it
	oldDrill    = 8 * 24 * time.Hour
	lagWarning  = time.Minute
	lagCritical = 10 * time.Minute
)

// catalogue looks at what there is to come back to.
func (e *examination) catalogue() {
	const list = "limpet backups"
	now := e.Now()
	backup, err := e.Catalogue.LastBackup(e.ctx)
	switch {
	case err != nil:
		e.add(CatalogueSilent, Critical, "the catalogue of backups cannot be read, so nobody knows whether there are any", list, "%v", err)
		return
	case backup.IsZero():
		e.add(NoBackup, Critical, "there is no backup", "limpet backup", "the catalogue is empty")
		return
	case now.Sub(backup) > oldBackup:
		e.add(BackupOld, Warning, "the last backup is old", "limpet backup", "it was made %s, %v ago", backup.UTC().Format(time.RFC3339), now.Sub(backup).Round(time.Minute))
	}
	drill, err := e.Catalogue.LastVerified(e.ctx)
	switch {
	case err != nil:
		e.add(CatalogueSilent, Critical, "the catalogue of backups cannot be read, so nobody knows whether any was verified", list, "%v", err)
	case drill.IsZero():
		e.add(NoDrill, Warning, "no backup was ever restored to see whether it is good", "limpet verify", "no drill in the catalogue")
	case now.Sub(drill) > oldDrill:
		e.add(DrillOld, Info, "the last restore drill is long ago", "limpet verify", "it was %s, %v ago", drill.UTC().Format(time.RFC3339), now.Sub(drill).Round(time.Hour))
	}
	lag, err := e.Catalogue.ArchiveLag(e.ctx)
	switch {
	case err != nil:
		e.add(CatalogueSilent, Critical, "how far the archive is behind cannot be told", "limpet archive --status", "%v", err)
	case lag > lagCritical:
		e.add(ArchiveBehind, Critical, "the archive is far behind: what it lacks is lost with this machine", "limpet archive --status", "%v behind", lag.Round(time.Second))
	case lag > lagWarning:
		e.add(ArchiveBehind, Warning, "the archive is behind: what it lacks is lost with this machine", "limpet archive --status", "%v behind", lag.Round(time.Second))
	}
}
