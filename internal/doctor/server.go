package doctor

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"limpet/vfs"
)

// server looks at a store that runs.
func (e *examination) server() {
	var err error
	if e.info, err = e.Server.Info(e.ctx); err != nil {
		e.add(StoreSilent, Critical, "the store does not answer", "redis-cli INFO persistence", "%v", err)
		return
	}
	e.failures()
	e.version()
	if e.config, err = e.Server.Config(e.ctx); err != nil || e.config == nil {
		e.config = nil
		return
	}
	e.persistence()
	e.logSettings()
	e.eviction()
	e.doors()
}

func (e *examination) ours() bool { return e.info["redis_build_id"] == "limpet" }

func (e *examination) persistence() {
	on, saves := e.config["appendonly"] == "yes", strings.TrimSpace(e.config["save"]) != ""
	if on {
		e.wants = "appendonly yes in the running server"
	}
	switch {
	case !on && !saves:
		e.add(NoPersistence, Critical, "nothing is written to disk: a restart loses everything", "redis-cli CONFIG SET appendonly yes && redis-cli CONFIG REWRITE", `appendonly no, save ""`)
	case !on:
		e.add(AOFOff, Warning, "the log is off: a crash loses everything since the last save point", "redis-cli CONFIG SET appendonly yes && redis-cli CONFIG REWRITE", "appendonly no, save %q", e.config["save"])
	case !saves && !e.ours():
		e.add(NoSavePoints, Info, "there are no save points: the log is all there is, and no dump.rdb to fall back on", `redis-cli CONFIG SET save "3600 1"`, `save ""`)
	}
	// The file decides at the next start, and so does the command line over it,
	// which nobody can see from here.
	if path := e.info["config_file"]; path != "" {
		if text, err := vfs.ReadFile(e.FS, path); err == nil {
			file := directive(string(text), "appendonly", "no")
			if file == "yes" {
				e.wants = "appendonly yes in " + path
			}
			if (file == "yes") != on {
				e.add(AOFDiffers, Critical, "whether there is a log differs between the running server and its configuration file; at its next start it loads other files than it writes now", "redis-cli CONFIG REWRITE", "appendonly is %s in %s, and %s in the server", file, path, e.config["appendonly"])
			}
		}
	}
	if on && e.config["appendfsync"] == "no" {
		e.add(SyncNever, Warning, "the log is never synced: a power cut loses what the kernel had not written, 30 seconds and more", "redis-cli CONFIG SET appendfsync everysec", "appendfsync no")
	}
}

// directive is the last value of a directive in a configuration file.
func directive(text, name, otherwise string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && strings.EqualFold(f[0], name) {
			otherwise = strings.ToLower(strings.Trim(f[1], `"'`))
		}
	}
	return otherwise
}

func (e *examination) logSettings() {
	if e.config["appendonly"] != "yes" || e.ours() {
		return
	}
	if e.config["aof-load-truncated"] == "yes" {
		e.add(LoadTruncated, Warning, "after a crash the server cuts its log by itself, also inside a transaction and in a file that is not the last: counts can then be wrong without a word",
			"set aof-load-truncated no, and after a crash: limpet check "+e.orAnyDir()+"; limpet repair", "aof-load-truncated yes, redis_version %s", e.info["redis_version"])
	}
	if e.config["auto-aof-rewrite-percentage"] == "0" {
		e.add(RewriteOff, Warning, "the log is never rewritten: it grows until the disk is full, and starts take ever longer", "redis-cli CONFIG SET auto-aof-rewrite-percentage 100", "auto-aof-rewrite-percentage 0")
	}
	if e.config["aof-disable-auto-gc"] == "yes" {
		e.add(HistoryKept, Warning, "files that a rewrite has replaced are never removed: a backup may have forgotten to switch this back", "redis-cli CONFIG SET aof-disable-auto-gc no", "aof-disable-auto-gc yes")
	}
}

func (e *examination) orDir() string {
	if e.Dir != "" {
		return e.Dir
	}
	return e.config["dir"]
}

// failures are what the server says of its own writes.
func (e *examination) failures() {
	for _, f := range []struct {
		field string
		code  Code
		text  string
	}{
		{"aof_last_write_status", WriteFailing, "the last write to the log failed: writes are refused, or will be lost"},
		{"rdb_last_bgsave_status", SaveFailing, "the last save failed: the dump is older than the save points promise, and writes may be refused"},
		{"aof_last_bgrewrite_status", RewriteFailing, "the last rewrite of the log failed: it goes on growing"},
	} {
		if v := e.info[f.field]; v != "" && v != "ok" {
			e.add(f.code, Critical, f.text, "look into the server's log, then: df -h", "%s is %s", f.field, v)
		}
	}
}

// version warns of releases with known traps.
func (e *examination) version() {
	v := e.info["redis_version"]
	if e.ours() || e.info["server_name"] == "valkey" {
		return
	}
	n := numbers(v)
	before := func(other ...int) bool { return slices.Compare(n, other) < 0 }
	const do = "move to the latest release of the same minor version"
	switch {
	case len(n) < 3 || before(7):
	case before(7, 0, 5):
		e.add(OldVersion, Critical, "this release can lose the end of the log in a power cut around a rewrite (the old file is closed without a sync)", do, "redis_version %s", v)
	case before(7, 0, 12):
		e.add(OldVersion, Warning, "this release can leave the last second of an idle server unsynced after a rewrite", do, "redis_version %s", v)
	case before(7, 2):
		e.add(OldVersion, Info, "7.0 takes a base that was cut down to nothing for an empty data set", "limpet check before every start", "redis_version %s", v)
	}
}

func numbers(version string) (n []int) {
	for part := range strings.SplitSeq(version, ".") {
		i, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		n = append(n, i)
	}
	return n
}

// eviction looks for a policy that throws keys away that nobody said may go.
func (e *examination) eviction() {
	policy := e.config["maxmemory-policy"]
	if !strings.HasPrefix(policy, "allkeys-") {
		return
	}
	evidence := fmt.Sprintf("maxmemory %s, maxmemory-policy %s", e.config["maxmemory"], policy)
	const do = "redis-cli CONFIG SET maxmemory-policy noeviction"
	seeds, err := e.Server.Seeds(e.ctx)
	switch {
	case e.config["maxmemory"] == "0":
		e.add(EvictsKeys, Info, "the policy would throw away any key once there is a memory limit", do, "%s", evidence)
	case err == nil && seeds:
		e.add(EvictsKeys, Critical, "when memory is short the server throws away any key, also those that a crawl is tracked in: counts will be wrong", do, "%s, and there are keys of fcrawler:", evidence)
	default:
		e.add(EvictsKeys, Warning, "when memory is short the server throws away any key", do, "%s", evidence)
	}
}

// doors looks for a server that anybody may command. No address at all is every
// address.
func (e *examination) doors() {
	bind, told := e.config["bind"]
	if !told || e.config["requirepass"] != "" || e.config["protected-mode"] == "yes" || e.config["port"] == "0" {
		return
	}
	loopback := func(addr string) bool {
		ip := net.ParseIP(strings.TrimPrefix(addr, "-"))
		return ip != nil && ip.IsLoopback()
	}
	addrs := strings.Fields(bind)
	if len(addrs) > 0 && !slices.ContainsFunc(addrs, func(addr string) bool { return !loopback(addr) }) {
		return
	}
	e.add(OpenToWorld, Critical, "anybody who reaches the port may read, change and delete everything, and on most machines become its master", "redis-cli CONFIG SET requirepass '...' && redis-cli CONFIG REWRITE",
		"bind %q, protected-mode no, no requirepass", bind)
}
