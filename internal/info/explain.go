package info

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Verdict says whether a value is good.
type Verdict string

// The verdicts.
const (
	Fact    Verdict = "fact"    // neither good nor bad by itself
	Good    Verdict = "good"    // as it should be
	Watch   Verdict = "watch"   // passing, or a reason to look again
	Bad     Verdict = "bad"     // data are in danger, or writes are refused
	Unknown Verdict = "unknown" // a field that is not known here
)

// Field is one explained.
type Field struct {
	Name    string  `json:"field"`
	Value   string  `json:"value"`           // as the server gave it
	Reads   string  `json:"reads,omitempty"` // the value for people, where it needs that
	Means   string  `json:"means"`
	Verdict Verdict `json:"verdict"`
	Do      string  `json:"do,omitempty"` // what to do, where there is something
}

// subject is what a judgement may look at.
type subject struct {
	Info
	now time.Time // by this machine's clock
}

// rule explains a field. Without judge a value is a mere fact.
type rule struct {
	name  string
	means string
	reads func(value string, s subject) string
	judge func(value string, s subject) (Verdict, string)
}

// Explain explains the section Persistence, in the order of the server.
func Explain(i Info, now time.Time) []Field {
	var all []Field
	s := subject{i, now}
	for _, name := range i.Section("persistence") {
		all = append(all, explain(name, s))
	}
	return all
}

func explain(name string, s subject) Field {
	f := Field{Name: name, Value: s.Text(name), Verdict: Fact}
	for _, r := range rules {
		if r.name != name {
			continue
		}
		f.Means = r.means
		if r.reads != nil {
			f.Reads = r.reads(f.Value, s)
		}
		if r.judge != nil {
			f.Verdict, f.Do = r.judge(f.Value, s)
		}
		return f
	}
	f.Means, f.Verdict = "not known to this version of limpet", Unknown
	return f
}

// Bytes words a number of bytes.
func Bytes(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n > -1024 && n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for ; (v >= 1024 || v <= -1024) && i < len(units)-1; i++ {
		v /= 1024
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

func bytesOf(value string, _ subject) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1024 {
		return ""
	}
	return Bytes(n)
}

// momentOf reads Unix seconds.
func momentOf(value string, s subject) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n <= 0 {
		return ""
	}
	at := time.Unix(n, 0)
	return fmt.Sprintf("%s, %s ago", at.UTC().Format("2006-01-02 15:04:05 UTC"), max(0, s.now.Sub(at)).Round(time.Second))
}

// secondsOf reads a duration of which -1 says that there is none.
func secondsOf(value string, _ subject) string {
	if value == "-1" {
		return "none"
	}
	return value + " s"
}

func percentOf(value string, _ subject) string { return value + " %" }

func yesNo(value string, _ subject) string {
	return map[string]string{"0": "no", "1": "yes"}[value]
}

// must is good at one value and bad at any other.
func must(good, do string) func(string, subject) (Verdict, string) {
	return func(value string, _ subject) (Verdict, string) {
		if value == good {
			return Good, ""
		}
		return Bad, do
	}
}

// zero is good at 0, and worth a look at any other value.
func zero(do string) func(string, subject) (Verdict, string) {
	return func(value string, _ subject) (Verdict, string) {
		if value == "0" {
			return Good, ""
		}
		return Watch, do
	}
}

// passing is a fact while it is 0, and passes by itself otherwise.
func passing(do string) func(string, subject) (Verdict, string) {
	return func(value string, _ subject) (Verdict, string) {
		if value == "0" {
			return Fact, ""
		}
		return Watch, do
	}
}

// Copies made while a child saves: a fork needs memory for them.
func copyOnWrite(value string, s subject) (Verdict, string) {
	n, _ := strconv.ParseInt(value, 10, 64)
	if used := s.Number("used_memory"); !s.Ours() && used > 0 && n > used/2 && n > 64<<20 {
		return Watch, "a save copies more than half of the memory: leave as much free, or save when less is written; limpet doctor looks at huge pages, which multiply it"
	}
	return Fact, ""
}

// slow is worth a look above a number of seconds.
func slow(limit int64, do string) func(string, subject) (Verdict, string) {
	return func(value string, _ subject) (Verdict, string) {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > limit {
			return Watch, do
		}
		return Fact, ""
	}
}

func logIsOn(value string, s subject) (Verdict, string) {
	if value == "1" {
		return Good, ""
	}
	if s.Number("rdb_last_save_time") > 0 && s.Number("rdb_saves") > 0 {
		return Watch, "a crash loses everything since the last save; to keep a log:  redis-cli CONFIG SET appendonly yes && redis-cli CONFIG REWRITE"
	}
	return Bad, "nothing is written before the next save; to keep a log:  redis-cli CONFIG SET appendonly yes && redis-cli CONFIG REWRITE"
}

func changes(value string, s subject) (Verdict, string) {
	n, _ := strconv.ParseInt(value, 10, 64)
	switch {
	case n == 0:
		return Good, ""
	case s.Flag("aof_enabled"):
		return Fact, "" // the log has them
	}
	return Watch, "a crash loses these changes, since there is no log; save them now:  redis-cli BGSAVE"
}

func growth(_ string, s subject) (Verdict, string) {
	base, size := s.Number("aof_base_size"), s.Number("aof_current_size")
	// Redis's own rule rewrites at 100 % above 64 MiB.
	if size > 256<<20 && size > 4*max(base, 1) {
		return Watch, "the log is more than four times its base: is the automatic rewrite off (redis-cli CONFIG GET auto-aof-rewrite-*)? rewrite it:  limpet rewrite --watch"
	}
	return Fact, ""
}

func buffered(value string, _ subject) (Verdict, string) {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 16<<20 {
		return Watch, "the disk does not keep up: iostat -x 1"
	}
	return Good, ""
}

const (
	lookDisk = "look into the server's log, then: df -h; limpet doctor says what is wrong with the place"
	slowDisk = "the disk is slow: limpet doctor measures a sync; iostat -x 1 shows who else writes"
)

// rules, in the order of redis-server 7.0.
var rules = []rule{
	{"loading", "the server is reading its files at start; until then it answers -LOADING", yesNo, passing("wait; loading_eta_seconds tells how long")},
	{"async_loading", "a replica loads a new data set while it serves the old one (repl-diskless-load swapdb)", yesNo, passing("wait")},
	{"loading_start_time", "when the loading began", momentOf, nil},
	{"loading_total_bytes", "size of the files to load", bytesOf, nil},
	{"loading_rdb_used_mem", "memory of the server that wrote the RDB", bytesOf, nil},
	{"loading_loaded_bytes", "of the files, read so far", bytesOf, nil},
	{"loading_loaded_perc", "of the files, read so far", percentOf, nil},
	{"loading_eta_seconds", "until the loading ends, as the server guesses", secondsOf, nil},

	{"current_cow_peak", "most memory copied for writes during the save or rewrite that runs now; Limpet does not fork: what waits in memory for the disk", bytesOf, copyOnWrite},
	{"current_cow_size", "memory copied so far for writes during the save or rewrite that runs now", bytesOf, copyOnWrite},
	{"current_cow_size_age", "how old that figure is", secondsOf, nil},
	{"current_fork_perc", "how far the save or rewrite is that runs now", percentOf, nil},
	{"current_save_keys_processed", "keys that the save or rewrite has written so far", nil, nil},
	{"current_save_keys_total", "keys that there were when it began", nil, nil},

	{"rdb_changes_since_last_save", "changes that dump.rdb does not have", nil, changes},
	{"rdb_bgsave_in_progress", "dump.rdb is being written in the background", yesNo, nil},
	{"rdb_last_save_time", "when dump.rdb was last written in full; the start of the server before the first", momentOf, nil},
	{"rdb_last_bgsave_status", "whether the last save went well; after a failed one Redis may refuse all writes (stop-writes-on-bgsave-error)", nil, must("ok", lookDisk)},
	{"rdb_last_bgsave_time_sec", "how long the last save took", secondsOf, slow(600, "saves take more than ten minutes: they hold copied memory all the time, and a crash loses what came since")},
	{"rdb_current_bgsave_time_sec", "how long the running save has taken so far", secondsOf, nil},
	{"rdb_saves", "saves since the start", nil, nil},
	{"rdb_last_cow_size", "memory copied for writes during the last save; Limpet does not fork: the most that waited for the disk", bytesOf, copyOnWrite},
	{"rdb_last_load_keys_expired", "keys that the last load found expired and left out", nil, nil},
	{"rdb_last_load_keys_loaded", "keys that the last load found in an RDB", nil, nil},

	{"aof_enabled", "there is a log (append-only file): without it a crash loses what came since the last save", yesNo, logIsOn},
	{"aof_rewrite_in_progress", "the log is being rewritten: a new base is made of what is in memory", yesNo, nil},
	{"aof_rewrite_scheduled", "a rewrite waits for the save that runs now", yesNo, nil},
	{"aof_last_rewrite_time_sec", "how long the last rewrite took", secondsOf, slow(600, "rewrites take more than ten minutes: "+slowDisk)},
	{"aof_current_rewrite_time_sec", "how long the running rewrite has taken so far", secondsOf, nil},
	{"aof_last_bgrewrite_status", "whether the last rewrite went well; after a failed one the old files count and the log goes on growing", nil, must("ok", lookDisk+"; then: limpet rewrite --watch")},
	{"aof_rewrites", "rewrites since the start", nil, nil},
	{"aof_rewrites_consecutive_failures", "failed rewrites since the last that went well; the server waits longer after each, up to an hour", nil, zero(lookDisk)},
	{"aof_last_write_status", "whether the last write to the log went well; after a failed one all writes are refused (-MISCONF)", nil, must("ok", "writes are refused: "+lookDisk)},
	{"aof_last_cow_size", "memory copied for writes during the last rewrite; Limpet does not fork: the most that waited for the disk", bytesOf, copyOnWrite},
	{"module_fork_in_progress", "a module runs a child of its own; meanwhile no save and no rewrite begins", yesNo, passing("wait")},
	{"module_fork_last_cow_size", "memory copied for writes while a module's child ran", bytesOf, copyOnWrite},

	{"aof_current_size", "size of the log: base and what was appended since", bytesOf, growth},
	{"aof_base_size", "size of the log just after the last rewrite, or at the start; growth is counted from here", bytesOf, nil},
	{"aof_pending_rewrite", "a rewrite waits until the save that runs now has ended", yesNo, nil},
	{"aof_buffer_length", "bytes of the log that are still in the server's memory", bytesOf, buffered},
	{"aof_rewrite_buffer_length", "changes that wait in memory for the end of the rewrite (Redis before 7)", bytesOf, buffered},
	{"aof_pending_bio_fsync", "a sync of the log waits or runs; a power cut now loses what it covers. Passing under everysec", nil, nil},
	{"aof_delayed_fsync", "how often a sync took so long that writes had to wait, or went on without it, since the start", nil, zero(slowDisk)},
}

// Summary counts verdicts in words, as in "28 good, 1 bad".
func Summary(fields []Field) string {
	count := map[Verdict]int{}
	for _, f := range fields {
		count[f.Verdict]++
	}
	var parts []string
	for _, v := range []Verdict{Bad, Watch, Good, Fact, Unknown} {
		if n := count[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	return strings.Join(parts, ", ")
}
