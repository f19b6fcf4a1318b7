package metrics

import (
	"context"

	"limpet/internal/backup"
	"limpet/internal/target"
)

var (
	backupsUp          = Gauge("limpet_backups_up", "1 while the target of the backups answers, 0 while it does not; the other metrics of backups are absent then.")
	backupsCount       = Gauge("limpet_backups", "Backups in the catalogue.")
	backupTime         = Gauge("limpet_backup_last_timestamp_seconds", "The moment whose state the newest backup holds, in Unix time; absent where there is none.")
	backupDuration     = Gauge("limpet_backup_last_duration_seconds", "Time that it took.")
	backupSize         = Gauge("limpet_backup_last_size_bytes", "Size of its files.")
	backupStored       = Gauge("limpet_backup_last_stored_bytes", "Size that they take at the target.")
	backupVerified     = Gauge("limpet_backup_last_verified_timestamp_seconds", "When a backup was last restored, loaded, compared and found good, in Unix time; absent where none was.")
	backupVerification = Gauge("limpet_backup_last_verification_timestamp_seconds", "When a backup was last verified, whatever was found, in Unix time; absent where none was.")
	backupVerdict      = Gauge("limpet_backup_last_verification_ok", "1 when that found nothing wrong, 0 when the backup was bad.")
)

var backupMetrics = []*Metric{
	backupsUp, backupsCount, backupTime, backupDuration, backupSize, backupStored, backupVerified, backupVerification, backupVerdict,
}

// NewBackups tells of the backups at a target.
func NewBackups(t *target.Store, o Options) *Collector {
	p := &probe[*backup.Latest]{
		Options: o.withDefaults(), subject: "the backups", fresh: backupsFresh, wait: patience, timeout: targetTimeout,
		ask: func(ctx context.Context) (*backup.Latest, error) { return backup.ReadLatest(ctx, t) },
	}
	return about(p, backupsUp, backupMetrics, func(s sink, l *backup.Latest) {
		s.put(backupsCount, float64(l.Backups))
		if e := l.Newest; e != nil {
			s.moment(backupTime, e.Time)
			s.put(backupDuration, e.Ended.Sub(e.Began).Seconds())
			s.put(backupSize, float64(e.Size()))
			s.put(backupStored, float64(e.Stored()))
		}
		if l.Verified != nil {
			s.moment(backupVerified, l.Verified.Time)
		}
		if l.Checked != nil {
			s.moment(backupVerification, l.Checked.Time)
			s.flag(backupVerdict, l.Checked.OK)
		}
	})
}
