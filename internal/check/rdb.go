package check

import (
	"errors"
	"fmt"
	"io"
	"time"

	"limpet/rdb"
	"limpet/vfs"
)

// RDB is redis-check-rdb: args is the command line without the program's name,
// the answer the exit code.
func (t Tool) RDB(args []string) int {
	if len(args) != 1 {
		_, _ = fmt.Fprintln(t.Err, "Usage: redis-check-rdb <rdb-file-name>")
		return 1
	}
	out := newReport(t.Out)
	if args[0] == "-v" || args[0] == "--version" {
		out.sayf("redis-check-rdb %s (limpet %s)\n", RedisVersion, t.Version)
		return out.close(nil)
	}
	f, err := vfs.Open(t.FS, args[0])
	if err != nil {
		out.sayf("[offset 0] Checking RDB file %s\n", shown([]byte(args[0])))
		_, _ = fmt.Fprintf(t.Err, "Cannot open file %s: %s\n", args[0], reason(err))
		return out.close(verdict(""))
	}
	defer func() { _ = f.Close() }()
	_, err = checkRDB(out, args[0], f)
	return out.close(err)
}

// stage is what a check is busy with, in Redis's words.
type stage string

const (
	atStart     stage = "start"
	atType      stage = "read-type"
	atExpire    stage = "read-expire"
	atKey       stage = "read-key"
	atValue     stage = "read-object-value"
	atChecksum  stage = "check-sum"
	atLength    stage = "read-len"
	atAux       stage = "read-aux"
	atModuleAux stage = "read-module-aux"
	atFunctions stage = "read-functions"
)

const (
	noType     = -1
	unexpected = "Unexpected EOF reading RDB file"
)

// rdbCheck goes through one file twice at the same time: the outline names the
// parts and their offsets, the decoder judges the values.
type rdbCheck struct {
	report
	outline
	decoder *rdb.Decoder
	version int

	doing   stage
	key     []byte // being read, nil between keys
	typ     int    // of that key, or noType; Redis begins with 0
	db      uint64
	keys    uint64
	expires uint64
	expired uint64 // of expires
	now     int64  // Unix time in milliseconds
}

// checkRDB checks the RDB at the beginning of a file and answers its length. The
// error is a verdict without words, since everything has been said.
func checkRDB(out report, name string, f vfs.File) (length int64, err error) {
	out.sayf("[offset 0] Checking RDB file %s\n", shown([]byte(name)))
	info, err := f.Stat()
	if err != nil {
		return 0, verdictf("Cannot stat file: %s, aborting...", name)
	}
	c := &rdbCheck{
		report:  out,
		outline: outline{src: f, size: info.Size()},
		decoder: rdb.NewDecoder(io.NewSectionReader(f, 0, info.Size()), rdb.DecoderOptions{KeepPacked: true}),
		doing:   atStart,
		now:     time.Now().UnixMilli(),
	}
	if problem := c.run(); problem != "" {
		c.fail(problem)
		return 0, verdict("")
	}
	c.infof(`\o/ RDB looks OK! \o/`)
	c.counts()
	return c.off, nil
}

func (c *rdbCheck) infof(format string, args ...any) {
	c.sayf("[offset %d] %s\n", c.off, fmt.Sprintf(format, args...))
}

func (c *rdbCheck) counts() {
	c.sayf("[info] %d keys read\n[info] %d expires\n[info] %d already expired\n", c.keys, c.expires, c.expired)
}

func (c *rdbCheck) fail(problem string) {
	c.sayf("--- RDB ERROR DETECTED ---\n")
	c.infof("%s", problem)
	c.sayf("[additional info] While doing: %s\n", c.doing)
	if c.key != nil {
		c.sayf("[additional info] Reading key '%s'\n", shown(c.key))
	}
	if c.typ != noType {
		c.sayf("[additional info] Reading type %d (%s)\n", c.typ, typeName(c.typ))
	}
	c.counts()
}

// run checks everything and answers what is wrong, "" when nothing is.
func (c *rdbCheck) run() (problem string) {
	head, ok := c.take(len("REDIS0000"))
	if !ok {
		return unexpected
	}
	if string(head[:5]) != "REDIS" {
		return "Wrong signature trying to load DB from file"
	}
	if _, err := fmt.Sscanf(string(head[5:]), "%d", &c.version); err != nil || c.version < 1 || c.version > rdb.MaxVersion {
		return fmt.Sprintf("Can't handle RDB format version %d", c.version)
	}
	for {
		c.doing = atType
		op, ok := c.take(1)
		if !ok {
			return unexpected
		}
		switch op := op[0]; {
		case op == opEOF:
			return c.end()
		case op >= opSlotInfo:
			problem = c.operation(op)
		case !knownType(op):
			return fmt.Sprintf("Invalid object type: %d", op)
		default:
			problem = c.entry(op)
		}
		if problem != "" {
			return problem
		}
	}
}

// operation passes over what stands between the entries.
func (c *rdbCheck) operation(op byte) (problem string) {
	var ok bool
	switch op {
	case opExpireMs:
		c.doing = atExpire
		ok = c.skip(8)
	case opExpire:
		c.doing = atExpire
		ok = c.skip(4)
	case opFreq:
		ok = c.skip(1)
	case opIdle:
		ok = c.lengths(1)
	case opSlotInfo:
		ok = c.lengths(3)
	case opResizeDB:
		c.doing = atLength
		ok = c.lengths(2)
	case opSelectDB:
		c.doing = atLength
		if c.db, ok = c.length(); ok {
			c.infof("Selecting DB ID %d", c.db)
		}
	case opAux:
		c.doing = atAux
		var name, value []byte
		if name, ok = c.string(); ok {
			value, ok = c.string()
		}
		if ok {
			c.infof("AUX FIELD %s = '%s'", shown(name), shown(value))
		}
	case opFunction2:
		c.doing = atFunctions
		_, ok = c.string()
	case opFunctionPreGA:
		c.doing = atFunctions
		ok = c.functionPreGA()
	case opModuleAux:
		c.doing = atModuleAux
		var id uint64
		if id, ok = c.length(); ok {
			ok = c.lengths(2)
		}
		if ok {
			c.infof("MODULE AUX for: %s", rdb.Module{ID: id}.Name())
			ok = c.moduleParts()
		}
	}
	if !ok {
		return unexpected
	}
	return ""
}

// entry reads a key, and has the decoder read the value. The outline goes on
// where the decoder stopped.
func (c *rdbCheck) entry(typ byte) (problem string) {
	c.typ = int(typ)
	c.doing = atKey
	var ok bool
	if c.key, ok = c.string(); !ok {
		return unexpected
	}
	c.keys++
	c.doing = atValue
	empty := c.decoder.SkippedEmpty()
	e, err := c.decoder.Next()
	switch {
	case errors.Is(err, io.EOF):
		// The rest were empty collections: Redis loads a file that has them.
		c.off = c.size - checksumSize
		return c.end()
	case err != nil:
		c.off = max(c.off, c.decoder.Consumed())
		return problemOf(err)
	}
	c.keys += uint64(c.decoder.SkippedEmpty() - empty)
	c.off = c.decoder.Consumed()
	if name, twice := repeated(e.Value); twice {
		return fmt.Sprintf("Duplicate name %q in a collection", shown(name))
	}
	if e.ExpireAtMs != 0 {
		c.expires++
		if e.ExpireAtMs < c.now {
			c.expired++
		}
	}
	c.key, c.typ = nil, noType
	return ""
}

// end has the decoder compare the checksum, which it does on its way to io.EOF.
func (c *rdbCheck) end() (problem string) {
	if c.version < checksumSince {
		return ""
	}
	c.doing = atChecksum
	c.key, c.typ = nil, noType
	sum, ok := c.take(checksumSize)
	if !ok {
		return unexpected
	}
	_, err := c.decoder.Next()
	switch {
	case errors.Is(err, rdb.ErrChecksum):
		return "RDB CRC error"
	case !errors.Is(err, io.EOF):
		return problemOf(err)
	case string(sum) == "\x00\x00\x00\x00\x00\x00\x00\x00":
		c.infof("RDB file was saved with checksum disabled: no check performed.")
	default:
		c.infof("Checksum OK")
	}
	return ""
}

// problemOf words what the decoder found.
func problemOf(err error) string {
	var e *rdb.Error
	switch {
	case err == nil:
		return "More entries than the outline has"
	case errors.Is(err, rdb.ErrTruncated):
		return unexpected
	case errors.As(err, &e):
		return fmt.Sprintf("%s: %v (item at offset %d)", e.What, e.Err, e.Offset)
	}
	return err.Error()
}

// repeated finds a name that a plain collection has twice. The decoder looks for
// them in packed ones only.
func repeated(v rdb.Value) (name []byte, twice bool) {
	seen := map[string]bool{}
	again := func(b []byte) bool {
		if twice = seen[string(b)]; twice {
			name = b
		}
		seen[string(b)] = true
		return twice
	}
	switch v := v.(type) {
	case rdb.Set:
		for _, m := range v {
			if again(m) {
				return name, twice
			}
		}
	case rdb.Hash:
		for _, f := range v {
			if again(f.Name) {
				return name, twice
			}
		}
	case rdb.ZSet:
		for _, m := range v {
			if again(m.Name) {
				return name, twice
			}
		}
	}
	return nil, false
}
