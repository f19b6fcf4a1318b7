package check

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"limpet/aof"
	"limpet/vfs"
)

const aofUsage = `Usage: redis-check-aof [--fix [-y]|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>`

// AOF is redis-check-aof: args is the command line without the program's name,
// the answer the exit code.
func (t Tool) AOF(args []string) int {
	c := &aofCheck{tool: t, report: newReport(t.Out), lines: 1}
	path, err := c.parse(args)
	if err == nil {
		err = c.check(path)
	}
	return c.close(err)
}

// aofCheck is one run of redis-check-aof.
type aofCheck struct {
	tool Tool
	report

	fix bool
	yes bool // no question before a fix
	// until, when it is not 0, asks to cut everything later than this moment, in
	// Unix seconds.
	until int64

	lines int    // read so far in all files together, from 1: so Redis counts
	kept  string // says where the bytes are that were cut off the last file
}

func (c *aofCheck) parse(args []string) (path string, err error) {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--fix":
			c.fix = true
		case arg == "-y":
			c.yes = true
		case arg == "--truncate-to-timestamp" && i+1 < len(args):
			i++
			if c.until, err = strconv.ParseInt(args[i], 10, 64); err != nil {
				return "", verdict("Invalid timestamp, aborting...")
			}
		case strings.HasPrefix(arg, "-") || path != "":
			return "", verdict(aofUsage)
		default:
			path = arg
		}
	}
	if path == "" || c.fix && c.until != 0 || c.yes && !c.fix {
		return "", verdict(aofUsage)
	}
	return path, nil
}

// check finds out what the path is: a manifest, a directory that holds one, or a
// log by itself, perhaps with an RDB at its beginning.
func (c *aofCheck) check(path string) error {
	info, err := c.tool.FS.Stat(path)
	if err != nil {
		return verdictf("Cannot open file %s: %s", path, reason(err))
	}
	if info.IsDir() {
		if path, err = c.manifestIn(path); err != nil {
			return err
		}
	}
	manifest, err := isManifest(c.tool.FS, path)
	if err != nil {
		return verdictf("Cannot open file %s: %s", path, reason(err))
	}
	if manifest {
		return c.multiPart(path)
	}
	return c.oldStyle(path)
}

// manifestIn finds the one manifest of an append-only directory, or of the data
// directory above it.
func (c *aofCheck) manifestIn(dir string) (path string, err error) {
	for _, dir := range []string{dir, filepath.Join(dir, "appendonlydir")} {
		entries, err := c.tool.FS.ReadDir(dir)
		if err != nil {
			continue
		}
		var found []string
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".manifest") && !strings.HasPrefix(e.Name(), "temp-") {
				found = append(found, filepath.Join(dir, e.Name()))
			}
		}
		if len(found) > 1 {
			return "", verdictf("Directory %s holds more than one manifest, name one: %s", dir, strings.Join(found, ", "))
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return "", verdictf("Cannot read file: %s", dir)
}

// multiPart checks the manifest and all files that it names. Only the last one
// may be cut.
func (c *aofCheck) multiPart(path string) error {
	c.sayf("Start checking Multi Part AOF\n")
	text, err := vfs.ReadFile(c.tool.FS, path)
	if err != nil {
		return verdictf("Cannot open file %s: %s", path, reason(err))
	}
	m, err := aof.ParseManifest(filepath.Base(path), text)
	if err != nil {
		c.manifestError(err)
		return verdict("")
	}
	live := m.Live()
	for i, e := range live {
		l := log{
			name: e.Name,
			path: filepath.Dir(path) + "/" + e.Name,
			last: i == len(live)-1,
			// From here on Redis goes by the name alone.
			wantsRDB: e.Type == aof.Base && strings.HasSuffix(e.Name, ".base.rdb"),
		}
		kind := "INCR AOF"
		if e.Type == aof.Base {
			kind = "BASE AOF"
			if l.hasRDB, err = c.beginsWithRDB(l.path); err != nil {
				return err
			}
			c.sayf("Start to check BASE AOF (%s format).\n", map[bool]string{true: "RDB", false: "RESP"}[l.hasRDB])
		} else if len(live)-i == len(m.Incrs) {
			c.sayf("Start to check INCR files.\n")
		}
		if err := c.single(l, kind+" "+e.Name); err != nil {
			return err
		}
	}
	c.sayf("All AOF files and manifest are valid\n")
	return nil
}

func (c *aofCheck) manifestError(err error) {
	c.sayf("\n*** FATAL AOF MANIFEST FILE ERROR ***\n")
	var bad *aof.ManifestError
	if !errors.As(err, &bad) {
		c.sayf("%v\n", err)
		return
	}
	if bad.Line > 0 && !strings.Contains(bad.Why, "too long line") {
		c.sayf("Reading the manifest file, at line %d\n>>> '%s'\n", bad.Line, shown([]byte(bad.Text)))
	}
	c.sayf("%s\n", bad.Why)
}

func (c *aofCheck) oldStyle(path string) error {
	c.sayf("Start checking Old-Style AOF\n")
	l := log{name: path, path: path, last: true}
	var err error
	if l.hasRDB, err = c.beginsWithRDB(path); err != nil {
		return err
	}
	return c.single(l, "AOF "+path)
}

// beginsWithRDB tells whether there is an RDB at the beginning of a file.
func (c *aofCheck) beginsWithRDB(path string) (bool, error) {
	const leastHeader = 8 // bytes, below which Redis does not look
	head, err := headOf(c.tool.FS, path, leastHeader)
	if err != nil {
		return false, verdictf("Cannot open file %s: %s", path, reason(err))
	}
	return len(head) == leastHeader && string(head[:5]) == "REDIS", nil
}

// single checks one file and says in Redis's words what came of it. what is the
// file's kind and name.
func (c *aofCheck) single(l log, what string) error {
	outcome, err := c.file(l)
	if err != nil {
		return err
	}
	switch outcome {
	case sound:
		c.sayf("%s is valid\n", what)
	case empty:
		c.sayf("%s is empty\n", what)
	case cutAtTime:
		c.sayf("Successfully truncated AOF %s to timestamp %d\n", l.name, c.until)
	case cutAtError:
		c.sayf("Successfully truncated AOF %s\n", l.name)
	}
	c.sayf("%s", c.kept)
	return nil
}

// keep moves the end of a log, from an offset on, into a file beside it: the
// bytes are durable there before they are cut off here.
func (c *aofCheck) keep(l log, f vfs.File, from, size int64) error {
	saved, err := keepEnd(c.tool.FS, l.path, f, from, size)
	if err == nil {
		err = f.Truncate(from)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return verdictf("Failed to truncate AOF %s: %s", l.name, reason(err))
	}
	c.kept = fmt.Sprintf("The %d bytes that were cut off are kept in %s\n", size-from, saved)
	return nil
}
