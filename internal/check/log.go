package check

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"limpet/aof"
	"limpet/vfs"
)

// log is one file of an append-only log.
type log struct {
	name     string // as it is shown
	path     string
	last     bool // nothing follows it, so that it may be cut
	hasRDB   bool // begins with an RDB
	wantsRDB bool // its name says that it is one
}

// outcome is what came of checking a file that is, or now is, sound.
type outcome int

const (
	sound outcome = iota
	empty
	cutAtTime
	cutAtError
)

// end is how far a log is good.
type end struct {
	okUpTo int64  // bytes
	lines  int    // counted up to the error; notes are none
	format bool   // what follows is nothing that Redis would try to read
	text   string // the error; "" when there is none or Redis has no words for it
	short  bool   // the file ends between two lines of a command, which Redis says nothing about
	late   bool   // okUpTo is where the first note later than the moment asked for stands
}

func (c *aofCheck) file(l log) (outcome, error) {
	flag := vfs.O_RDONLY
	if c.fix || c.until != 0 {
		flag = vfs.O_RDWR
	}
	f, err := c.tool.FS.OpenFile(l.path, flag, 0)
	if err != nil {
		return 0, verdictf("Cannot open file %s: %s, aborting...", l.path, reason(err))
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, verdictf("Cannot stat file: %s, aborting...", l.name)
	}
	size := info.Size()
	switch {
	case l.wantsRDB && !l.hasRDB:
		return 0, verdictf("BASE AOF %s is not the RDB that its name says (%d bytes). Nothing was changed.", l.name, size)
	case size == 0:
		return empty, nil
	}
	e, err := c.read(l, f)
	if err != nil {
		return 0, err
	}
	if e.late {
		return c.cutLate(l, f, e.okUpTo, size)
	}
	if e.format {
		c.sayf("AOF %s format error\n", l.name)
	}
	if e.text != "" {
		c.sayf("%s\n", e.text)
	}
	if e.okUpTo == size && c.until != 0 {
		c.sayf("Truncate nothing in AOF %s to timestamp %d\n", l.name, c.until)
		return sound, nil
	}
	c.sayf("AOF analyzed: filename=%s, size=%d, ok_up_to=%d, ok_up_to_line=%d, diff=%d\n",
		l.name, size, e.okUpTo, e.lines, size-e.okUpTo)
	switch {
	case e.okUpTo == size:
		return sound, nil
	case !c.fix:
		return 0, verdictf("AOF %s is not valid. Use the --fix option to try fixing it.", l.name)
	case !l.last:
		return 0, verdictf("Failed to truncate AOF %s because it is not the last file", l.name)
	}
	c.sayf("This will shrink the AOF %s from %d bytes, with %d bytes, to %d bytes\n", l.name, size, size-e.okUpTo, e.okUpTo)
	if !c.confirmed() {
		return 0, verdict("Aborting...")
	}
	return cutAtError, c.keep(l, f, e.okUpTo, size)
}

func (c *aofCheck) cutLate(l log, f vfs.File, at, size int64) (outcome, error) {
	switch {
	case at == 0:
		return 0, verdictf("AOF %s has nothing before timestamp %d, aborting...", l.path, c.until)
	case !l.last:
		return 0, verdictf("Failed to truncate AOF %s to timestamp %d to offset %d because it is not the last file.\n"+
			"If you insist, please delete all files after this file according to the manifest file "+
			"and delete the corresponding records in manifest file manually. Then re-run redis-check-aof.",
			l.path, c.until, at)
	}
	return cutAtTime, c.keep(l, f, at, size)
}

// confirmed asks; only an answer that begins with y is one.
func (c *aofCheck) confirmed() bool {
	c.sayf("Continue? [y/N]: ")
	if c.yes {
		c.sayf("y\n")
		return true
	}
	_ = c.Flush()
	answer := make([]byte, 1)
	n, _ := c.tool.In.Read(answer)
	return n == 1 && (answer[0] == 'y' || answer[0] == 'Y')
}

// read goes through a file with the reader that a store starts with. The offset
// that it finds good is always outside MULTI.
func (c *aofCheck) read(l log, f vfs.File) (end, error) {
	r := aof.NewReader(f, l.name, 0)
	if l.hasRDB {
		_, err := r.Preamble(func(io.Reader) (int64, error) { return checkRDB(c.report, l.name, f) })
		if err != nil {
			return end{}, verdict("RDB preamble of AOF file is not sane, aborting.")
		}
		c.sayf("RDB preamble is OK, proceeding with AOF tail...\n")
	}
	good := end{okUpTo: r.CutAt(), lines: c.lines}
	for {
		from := r.Offset()
		command, err := r.Next()
		if at, late := c.lateNote(f, r, from); late {
			return end{okUpTo: at, late: true}, nil
		}
		if err != nil {
			return c.ended(l, f, good, err)
		}
		c.lines += 1 + 2*len(command.Args)
		if r.CutAt() == r.Offset() {
			good = end{okUpTo: r.CutAt(), lines: c.lines}
		}
	}
}

// ended words how a file ends behind what is good. err says why the reader went
// no further.
func (c *aofCheck) ended(l log, f vfs.File, good end, err error) (end, error) {
	var torn *aof.TruncatedError
	var bad *aof.FormatError
	switch {
	case errors.Is(err, io.EOF):
		good.okUpTo = newTeller(f, good, l.path).notes() // notes at the end belong to it
		return good, nil
	case errors.As(err, &torn), errors.As(err, &bad):
		told := newTeller(f, good, l.path).tell()
		if told.text == "" && !told.format && !told.short {
			// Redis's tool would find nothing wrong; the store does.
			told.text = err.Error()
		}
		return told, nil
	}
	return end{}, verdictf("Failed to read from AOF %s, aborting...", l.name)
}

// lateNote finds the first time note behind an offset that is later than the
// moment asked for. A cut there must not leave an open MULTI: then it is made
// before that.
func (c *aofCheck) lateNote(f vfs.File, r *aof.Reader, from int64) (at int64, late bool) {
	if c.until == 0 || r.Time().Unix() <= c.until {
		return 0, false
	}
	if r.CutAt() < from {
		return r.CutAt(), true
	}
	t := newTeller(f, end{okUpTo: from}, "")
	for {
		at = t.off
		note, ok := t.note()
		if !ok {
			return at, true
		}
		text, isTime := strings.CutPrefix(strings.TrimRight(note, "\r\n"), "#TS:")
		if seconds, err := strconv.ParseInt(text, 10, 64); isTime && err == nil && seconds > c.until {
			return at, true
		}
	}
}
