package main

import (
	"fmt"
	"strings"
	"time"

	"limpet/internal/stat"
)

// tone is what a piece of text says beside its words.
type tone int

const (
	tonePlain tone = iota
	toneTitle      // what the line is about
	toneDim        // of less interest, or old
	toneGood
	toneWatch // look again
	toneBad   // data in danger, or writes refused
)

// piece is some text in one tone.
type piece struct {
	text string
	tone tone
}

// line is one of the panel: a title and what there is to say.
type line struct {
	title  string
	pieces []piece
}

func (l *line) add(n tone, format string, args ...any) *line {
	l.pieces = append(l.pieces, piece{fmt.Sprintf(format, args...), n})
	return l
}

// text is the line without its title and tones.
func (l line) text() string {
	var b strings.Builder
	for _, p := range l.pieces {
		b.WriteString(p.text)
	}
	return b.String()
}

// panel is what a look is shown as.
func panel(v stat.Sample) []line {
	lines := []line{
		operations(v), clients(v), memory(v), keys(v), {},
		logSize(v), rewriteTrigger(v), syncs(v), lastRewrite(v), {},
		dump(v), {}, replication(v),
	}
	if v.Archive != nil {
		lines = append(lines, archived(v.Archive))
	}
	if v.Disk != nil {
		lines = append(lines, disk(v.Disk))
	}
	return lines
}

func operations(v stat.Sample) line {
	l := line{title: "operations"}
	l.add(tonePlain, "%s/s", figure(v.OpsPerSecond))
	if v.ReadsPerSecond != nil && v.WritesPerSecond != nil {
		l.add(tonePlain, ", of which %s read and %s write", figure(*v.ReadsPerSecond), figure(*v.WritesPerSecond))
	}
	if r := v.RefusedPerSecond; r != nil && *r > 0 {
		l.add(toneBad, ", %s refused", figure(*r))
	}
	return l
}

func clients(v stat.Sample) line {
	l := line{title: "clients"}
	n := toneOver(v.MaxClients > 0 && v.Clients*10 >= v.MaxClients*9, toneWatch)
	l.add(n, "%d", v.Clients)
	if v.MaxClients > 0 {
		l.add(n, " of %d", v.MaxClients)
	}
	if v.BlockedClients > 0 {
		l.add(tonePlain, ", %d blocked", v.BlockedClients)
	}
	return l
}

func memory(v stat.Sample) line {
	l := line{title: "memory"}
	if v.MemoryLimitBytes == 0 {
		l.add(tonePlain, "%s, at most %s so far, no limit", bytesText(v.MemoryBytes), bytesText(v.MemoryPeakBytes))
		return l
	}
	n := toneOver(v.MemoryBytes*10 >= v.MemoryLimitBytes*9, toneWatch)
	l.add(n, "%s of %s", bytesText(v.MemoryBytes), bytesText(v.MemoryLimitBytes)).add(tonePlain, ", at most %s so far", bytesText(v.MemoryPeakBytes))
	if e := v.EvictedPerSecond; e != nil && *e > 0 {
		l.add(toneBad, ", %s keys/s evicted", figure(*e))
	}
	return l
}

func keys(v stat.Sample) line {
	l := line{title: "keys"}
	l.add(tonePlain, "%d, %d of them with a deadline", v.Keys, v.KeysWithTTL)
	if e := v.ExpiredPerSecond; e != nil && *e > 0 {
		l.add(tonePlain, ", %s/s expire", figure(*e))
	}
	return l
}

func logSize(v stat.Sample) line {
	l := line{title: "log"}
	if !v.AOFEnabled {
		l.add(toneWatch, "off: a crash loses everything since the last save")
		return l
	}
	if p := v.AOFGrowthPercent; p != nil {
		l.add(tonePlain, "%s = base %s + %s since (%.0f %%)", bytesText(v.AOFBytes), bytesText(v.AOFBaseBytes), bytesText(v.AOFGrowthBytes), *p)
	} else {
		l.add(tonePlain, "%s, with no base yet", bytesText(v.AOFBytes))
	}
	if r := v.AOFGrowthPerSecond; r != nil {
		l.add(tonePlain, ", %s/s", bytesText(int64(*r)))
	}
	return l
}

func rewriteTrigger(v stat.Sample) line {
	l := line{title: "rewrite"}
	switch {
	case v.RewriteRunning:
		l.add(toneGood, "under way for %s", seconds(float64(max(0, v.RewriteForSeconds))))
		if p := v.ProgressPercent; p != nil {
			l.add(toneGood, ", %s %.0f %%", barText(*p, 20), *p)
		}
	case v.RewriteScheduled:
		l.add(toneWatch, "scheduled, waits for its turn")
	case !v.AOFEnabled:
		l.add(toneDim, "there is no log")
	case v.RewriteAtBytes == nil:
		l.add(toneWatch, "never by itself, or the store does not say")
	case v.AOFBytes >= *v.RewriteAtBytes:
		l.add(tonePlain, "due: %s are reached", bytesText(*v.RewriteAtBytes))
	default:
		l.add(tonePlain, "by itself at %s: %s to go", bytesText(*v.RewriteAtBytes), bytesText(*v.RewriteAtBytes-v.AOFBytes))
		if left := v.RewriteInSeconds; left != nil && *left < (100*time.Hour).Seconds() {
			l.add(tonePlain, ", in about %s", seconds(*left))
		}
	}
	return l
}

func syncs(v stat.Sample) line {
	l := line{title: "sync"}
	switch {
	case !v.AOFEnabled:
		l.add(toneDim, "there is no log")
		return l
	case !v.AOFWriteOK:
		l.add(toneBad, "the last write to the log failed")
	case v.SyncPending:
		l.add(tonePlain, "appendfsync %s, one waits or runs", v.AOFSync)
	default:
		l.add(toneGood, "appendfsync %s, nothing waits", v.AOFSync)
	}
	if v.AOFBufferBytes > 0 {
		l.add(tonePlain, ", %s in memory", bytesText(v.AOFBufferBytes))
	}
	lately := v.SyncsDelayedLately != nil && *v.SyncsDelayedLately > 0
	l.add(toneOver(lately, toneWatch), ", %d delayed", v.SyncsDelayed)
	if lately {
		l.add(toneWatch, " (%d just now)", *v.SyncsDelayedLately)
	}
	return l
}

func lastRewrite(v stat.Sample) line {
	l := line{title: "last rewrite"}
	switch {
	case !v.RewriteLastOK:
		l.add(toneBad, "failed, %d in a row; the old files count", max(1, v.RewriteFailures))
	case v.RewriteLastSeconds < 0:
		l.add(toneDim, "none since the start")
	default:
		l.add(toneGood, "ok").add(tonePlain, ", took %s; %d since the start", seconds(float64(v.RewriteLastSeconds)), v.Rewrites)
	}
	return l
}

func dump(v stat.Sample) line {
	l := line{title: "dump.rdb"}
	switch {
	case v.SaveRunning:
		l.add(toneGood, "being saved for %s", seconds(float64(max(0, v.SaveForSeconds))))
		if p := v.ProgressPercent; p != nil {
			l.add(toneGood, ", %s %.0f %%", barText(*p, 20), *p)
		}
	case !v.SaveLastOK:
		l.add(toneBad, "the last save failed")
	case v.SaveLastSeconds < 0 && v.Saves == 0:
		l.add(toneOver(!v.AOFEnabled, toneWatch), "not saved since the start, %s ago", seconds(v.SaveLastAgoSeconds))
	default:
		l.add(toneGood, "ok").add(tonePlain, ", saved %s ago", seconds(v.SaveLastAgoSeconds))
		if v.SaveLastSeconds >= 0 {
			l.add(tonePlain, ", took %s", seconds(float64(v.SaveLastSeconds)))
		}
	}
	l.add(toneOver(!v.AOFEnabled && v.ChangesSinceSave > 0, toneWatch), ", %d changes since", v.ChangesSinceSave)
	return l
}

func replication(v stat.Sample) line {
	l := line{title: "replication"}
	if v.Master == "" {
		l.add(tonePlain, "%s, %s", v.Role, count(int(v.Replicas), "replica"))
		return l
	}
	l.add(tonePlain, "%s of %s, ", v.Role, v.Master)
	if v.MasterLinkUp != nil && *v.MasterLinkUp {
		l.add(toneGood, "link up")
	} else {
		l.add(toneBad, "link DOWN")
	}
	if ago := v.MasterLastIOSeconds; ago != nil {
		l.add(tonePlain, ", heard of it %s ago", seconds(float64(*ago)))
	}
	return l
}

// An archive is worth a look above the first of these, and in danger above the
// second, as for limpet doctor.
const (
	archiveLate     = 60.0  // seconds
	archiveVeryLate = 600.0 // seconds
)

func archived(a *stat.Archive) line {
	l := line{title: "archive"}
	switch {
	case a.LagSeconds == nil && a.Trouble != "":
		l.add(toneBad, "%s", a.Trouble)
		return l
	case a.LagSeconds == nil:
		l.add(toneDim, "not asked yet")
		return l
	}
	lag := *a.LagSeconds
	switch {
	case a.Stopped:
		l.add(toneWatch, "the archiver has stopped, %s ago", seconds(lag))
	case lag > archiveVeryLate:
		l.add(toneBad, "%s behind", seconds(lag))
	case lag > archiveLate:
		l.add(toneWatch, "%s behind", seconds(lag))
	default:
		l.add(toneGood, "%s behind", seconds(lag))
	}
	if a.WaitingBytes > 0 {
		l.add(tonePlain, ", %s wait", bytesText(a.WaitingBytes))
	}
	if a.AskedSeconds > archiveTimeout.Seconds() {
		l.add(toneWatch, ", as of %s ago", seconds(a.AskedSeconds))
	}
	if a.Trouble != "" {
		l.add(toneBad, ", %s", a.Trouble)
	}
	return l
}

func disk(d *stat.Disk) line {
	l := line{title: "disk"}
	n := toneGood
	if d.Low() {
		n = toneBad
	}
	l.add(n, "%s free", bytesText(d.FreeBytes)).add(tonePlain, " of %s; a rewrite needs %s", bytesText(d.TotalBytes), bytesText(d.NeedBytes))
	l.add(toneDim, "  %s", d.Dir)
	return l
}

// statLine is a look in one line, for logs.
func statLine(v stat.Sample) string {
	parts := []string{
		operations(v).text(), count(int(v.Clients), "client"), bytesText(v.MemoryBytes), fmt.Sprintf("%d keys", v.Keys),
	}
	if v.AOFEnabled {
		parts = append(parts, "log "+logSize(v).text(), "rewrite "+rewriteTrigger(v).text())
		if v.SyncPending {
			parts = append(parts, "sync pending")
		}
	} else {
		parts = append(parts, "log off", fmt.Sprintf("%d changes since the save", v.ChangesSinceSave))
	}
	if v.Archive != nil {
		parts = append(parts, "archive "+archived(v.Archive).text())
	}
	if v.Disk != nil && v.Disk.Low() {
		parts = append(parts, "DISK LOW: "+bytesText(v.Disk.FreeBytes)+" free")
	}
	if v.RefusesWrites {
		parts = append(parts, "WRITES ARE REFUSED: "+v.RefusesBecause)
	}
	if v.Loading {
		parts = append(parts, "loading")
	}
	return strings.Join(parts, "; ")
}

func toneOver(over bool, n tone) tone {
	if over {
		return n
	}
	return tonePlain
}

// figure is a rate for people.
func figure(v float64) string {
	switch {
	case v < 10 && v != float64(int64(v)):
		return fmt.Sprintf("%.1f", v)
	case v < 100_000:
		return fmt.Sprintf("%.0f", v)
	case v < 10_000_000:
		return fmt.Sprintf("%.0fk", v/1000)
	}
	return fmt.Sprintf("%.0fM", v/1_000_000)
}

func seconds(s float64) string { return roughly(time.Duration(s * float64(time.Second))) }

func barText(percent float64, width int) string {
	full := min(width, max(0, int(percent*float64(width)/100)))
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
}
