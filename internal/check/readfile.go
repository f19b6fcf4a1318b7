package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"limpet/aof"
	"limpet/rdb"
	"limpet/vfs"
)

func parseManifest(path string, text []byte) (*aof.Manifest, error) {
	return aof.ParseManifest(filepath.Base(path), text)
}

// source is an open file of which a part is read, and reading can be stopped.
type source struct {
	ctx context.Context
	vfs.File
	progress func(int64)
}

func (s source) ReadAt(p []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.File.ReadAt(p, off)
}

// readFile finds what is wrong in a file. The error is one of reading.
func readFile(ctx context.Context, fsys vfs.FS, f *File, progress func(int64)) error {
	file, err := vfs.Open(fsys, f.Path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	s := source{ctx, file, progress}
	isRDB, err := f.preamble(s)
	if err != nil || len(f.Problems) > 0 && worst(f.Problems) == Damaged {
		return err
	}
	if f.Role == RoleDump {
		if left := f.Size - f.RDB; left > 0 {
			f.add(TrailingBytes, Sound, "%d bytes behind the end of the RDB, which nobody reads", left).Offset = f.RDB
		}
		return nil
	}
	if isRDB && (f.Role == RoleIncr || strings.HasSuffix(f.Name, ".incr.aof")) {
		f.add(UnexpectedRDB, Damaged, "begins with an RDB, which an incr never does: it was exchanged with another file")
		return nil
	}
	return f.commands(s)
}

// preamble reads the RDB at the beginning of a file, which is all of a dump.
func (f *File) preamble(s source) (found bool, err error) {
	const magic = "REDIS"
	head := make([]byte, len(magic))
	n, err := s.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	must := f.Role == RoleDump || strings.HasSuffix(f.Name, ".base.rdb")
	switch {
	case string(head[:n]) == magic || string(head[:n]) == "VALKE" && must:
	case !must:
		return false, nil
	case n < len(magic) && strings.HasPrefix(magic, string(head[:n])):
		f.add(ShortBase, Damaged, "%d bytes: an RDB that ends before it begins; redis-server 7.0 takes that for an empty data set", f.Size)
		return false, nil
	default:
		f.add(NotAnRDB, Damaged, "want an RDB, have %d bytes that begin with %q", f.Size, head[:n])
		return false, nil
	}
	d := rdb.NewDecoder(&counted{io.NewSectionReader(s, 0, f.Size), s.progress}, rdb.DecoderOptions{KeepPacked: true})
	for {
		before := d.Consumed()
		e, err := d.Next()
		if err == nil {
			if name, twice := repeated(e.Value); twice {
				err = &rdb.Error{Offset: before, What: fmt.Sprintf("key %.100q: name %.100q twice in a collection", e.Key, name), Err: rdb.ErrCorrupt}
			}
		}
		switch {
		case err == nil:
			f.Keys++
			continue
		case errors.Is(err, io.EOF):
			f.RDB = d.Consumed()
			f.facts(d.Aux())
			f.Intact = f.RDB
			return true, nil
		}
		return true, f.badRDB(err, before)
	}
}

func (f *File) facts(aux map[string]string) {
	f.Writer = aux["redis-ver"]
	if seconds, err := strconv.ParseInt(aux["ctime"], 10, 64); err == nil {
		f.Begun = time.Unix(seconds, 0)
	}
}

// badRDB words what the decoder found behind an offset up to which all was well.
func (f *File) badRDB(err error, intact int64) error {
	var e *rdb.Error
	if !errors.As(err, &e) {
		return err
	}
	f.Intact = intact
	code := BadRDB
	switch {
	case errors.Is(err, rdb.ErrChecksum):
		code = BadChecksum
	case errors.Is(err, rdb.ErrTruncated):
		code = ShortBase
	case errors.Is(err, rdb.ErrNewer):
		code = NewerRDB
	case !errors.Is(err, rdb.ErrCorrupt) && !errors.Is(err, rdb.ErrUnsupported):
		return e.Err
	}
	p := f.add(code, Damaged, "%s: %v", e.What, e.Err)
	p.Offset, p.Err = e.Offset, err
	return nil
}

// commands reads the log behind an RDB, or all of the file. A file that has
// grown meanwhile is read on: its end was not torn but unfinished.
func (f *File) commands(s source) error {
	const tries = 10
	f.Intact = f.RDB
	for try := 1; ; try++ {
		told := s.progress
		if try > 1 {
			told = nil
		}
		found, err := aof.Scan(s, f.Name, f.Intact, f.Size, aof.ScanOptions{Progress: told, Known: KnownCommand})
		f.Commands, f.Intact = f.Commands+found.Commands, found.CutAt
		if f.From == nil {
			f.From = moment(found.First)
		}
		if to := moment(found.Last); to != nil && (f.To == nil || to.After(*f.To)) {
			f.To = to
		}
		if found.TimeGoesBack > 0 {
			f.add(ClockWentBack, Sound, "the machine's clock was set back: a restore by time takes the later of two moments").Offset = found.TimeGoesBack
		}
		var torn *aof.TruncatedError
		if !errors.As(err, &torn) {
			return f.ended(err)
		}
		info, statErr := s.Stat()
		switch {
		case statErr != nil:
			return statErr
		case !f.Last || info.Size() <= f.Size:
			return f.torn(s, torn)
		case try == tries:
			f.add(BeingWritten, Sound, "a server is writing it; at byte %d it had not finished a command", f.Size)
			return nil
		}
		f.Size, f.ModTime = info.Size(), info.ModTime()
	}
}

func (f *File) ended(err error) error {
	var bad *aof.FormatError
	if !errors.As(err, &bad) {
		return err
	}
	code := BadCommand
	if strings.HasPrefix(bad.What, "MULTI inside") {
		code = OpenMulti
	} else if strings.HasPrefix(bad.What, "unknown command") {
		code = UnknownCommand
	}
	p := f.add(code, Damaged, "%s", bad.What)
	p.Offset, p.Command, p.Err = bad.Offset, f.Commands+1, bad
	return nil
}

// torn words an end that is none.
func (f *File) torn(s source, torn *aof.TruncatedError) error {
	torn.Commands = f.Commands
	code := TornTail
	switch {
	case torn.OpenMulti:
		code = OpenMulti
	case strings.Contains(torn.What, "zeros"):
		code = ZeroTail
	}
	p := f.add(code, Torn, "%s", torn.What)
	p.Offset, p.Command, p.Err = torn.Offset, f.Commands+1, torn
	inside, at, err := commandsInside(s, torn, f.Size)
	if err == nil && inside > 0 {
		f.add(LostLength, Damaged, "what looks like a torn end of %d bytes ends in whole commands (%d at least, from byte %d on): a length before them is damaged, or they are part of a value",
			f.Size-torn.CutAt, inside, at).Offset = at
	}
	return err
}

// commandsInside looks at the last bytes of a torn end for commands that go on
// to the end of the file. A write that was cut short ends in the middle of
// something; a length that was made longer swallows whole commands.
func commandsInside(s source, torn *aof.TruncatedError, size int64) (commands int, at int64, err error) {
	const most = 64 << 10 // bytes; enough to find one, and little to search
	from := max(torn.Offset, size-most)
	tail := make([]byte, size-from)
	if n, err := s.ReadAt(tail, from); err != nil && (!errors.Is(err, io.EOF) || int64(n) < size-from) {
		return 0, 0, err
	}
	for i := 0; ; i++ {
		next := bytes.Index(tail[i:], []byte("\r\n*"))
		if next < 0 {
			return 0, 0, nil
		}
		i += next
		r := aof.NewReader(bytes.NewReader(tail[i+2:]), "", 0)
		n := -1
		for err = nil; err == nil; n++ {
			_, err = r.Next()
		}
		if errors.Is(err, io.EOF) && n > 0 {
			return n, from + int64(i) + 2, nil
		}
	}
}

// counted tells of the bytes that go through.
type counted struct {
	io.Reader
	progress func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.progress(int64(n))
	return n, err
}
