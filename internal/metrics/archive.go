package metrics

import (
	"context"
	"errors"
	"time"

	"limpet/internal/archive"
)

var (
	archiveUp        = Gauge("limpet_archive_up", "1 while the archive's target answers, 0 while it does not; its other metrics are absent then.")
	archivePresent   = Gauge("limpet_archive_present", "1 when there is an archive at the target, 0 when nobody has archived anything there yet.")
	archiveLag       = Gauge("limpet_archive_lag_seconds", "Time of which nothing is in the archive: what a restore would lack if the machine were gone now.")
	archiveHeartbeat = Gauge("limpet_archive_heartbeat_timestamp_seconds", "When the archiver was last heard of, in Unix time.")
	archiveShipped   = Gauge("limpet_archive_shipped_timestamp_seconds", "When something was last shipped, in Unix time; long ago where nothing is written.")
	archivePending   = Gauge("limpet_archive_pending_bytes", "Size of what waits to be shipped.")
	archiveHeld      = Gauge("limpet_archive_pending_files", "Files that wait to be shipped.")
	archiveCommands  = Counter("limpet_archive_commands_total", "Number of the newest command in the archive.")
	archiveTimeline  = Gauge("limpet_archive_timeline", "Number of the timeline: a new one begins whenever the source does not go on where the archive ends.")
	archiveTrouble   = Gauge("limpet_archive_trouble", "1 while something keeps the archiver from going on; limpet archive --status tells what.")
	archiveStopped   = Gauge("limpet_archive_stopped", "1 when the archiver was stopped in good order.")
)

var archiveMetrics = []*Metric{
	archiveUp, archivePresent, archiveLag, archiveHeartbeat, archiveShipped, archivePending, archiveHeld,
	archiveCommands, archiveTimeline, archiveTrouble, archiveStopped,
}

// How old what a target has told may be before it is asked again, and how long it
// may take to answer.
const (
	archiveFresh  = time.Minute
	backupsFresh  = 5 * time.Minute
	targetTimeout = 30 * time.Second
)

// NewArchive tells how the archive at a target fares, whoever writes it.
func NewArchive(s archive.Store, o Options) *Collector {
	o = o.withDefaults()
	return aboutArchive(&probe[*archive.Status]{
		Options: o, subject: "the archive", fresh: archiveFresh, wait: patience, timeout: targetTimeout,
		ask: func(ctx context.Context) (*archive.Status, error) {
			status, err := archive.ReadStatus(ctx, s, o.Clock.Now())
			if errors.Is(err, archive.ErrEmpty) {
				return nil, nil
			}
			return status, err
		},
	})
}

// NewArchiver tells how an archiver of this process fares. Nothing is asked of its
// target; progress is false while it has not begun.
func NewArchiver(progress func() (archive.Progress, bool), o Options) *Collector {
	o = o.withDefaults()
	return aboutArchive(&probe[*archive.Status]{
		Options: o, subject: "the archiver", wait: patience, timeout: patience,
		ask: func(context.Context) (*archive.Status, error) {
			p, begun := progress()
			if !begun {
				return nil, nil
			}
			s := &archive.Status{Progress: p, Seen: o.Clock.Now()}
			if !p.Until.IsZero() {
				s.Lag = max(0, s.Seen.Sub(p.Until))
			}
			return s, nil
		},
	})
}

func aboutArchive(p *probe[*archive.Status]) *Collector {
	return about(p, archiveUp, archiveMetrics, func(s sink, a *archive.Status) {
		s.flag(archivePresent, a != nil)
		if a == nil {
			return
		}
		if !a.Until.IsZero() { // else nobody knows what is in it
			s.put(archiveLag, a.Lag.Seconds())
		}
		s.moment(archiveHeartbeat, a.Seen)
		s.moment(archiveShipped, a.Shipped)
		s.put(archivePending, float64(a.Bytes))
		s.put(archiveHeld, float64(a.Files))
		s.put(archiveCommands, float64(a.Commands))
		s.put(archiveTimeline, float64(a.Timeline))
		s.flag(archiveTrouble, a.Trouble != "")
		s.flag(archiveStopped, a.Released)
	})
}
