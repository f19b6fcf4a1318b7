package aof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxBulk is the longest argument a Reader accepts, in bytes: what Redis lets a
// value grow to (proto-max-bulk-len).
const MaxBulk = 512 << 20

const (
	maxArgs       = 1 << 30 // arguments of one command
	maxAnnotation = 1024    // bytes of a line that begins with '#', as in Redis
	readChunk     = 64 << 10
	maxIdleBuffer = 4 << 20 // a larger buffer is given back after the unit that needed it
)

// Command is one command of a log. Args share the Reader's memory and are good
// until its next call.
type Command struct {
	Args       [][]byte
	Start, End int64 // in the file; annotations before the command are outside
}

// Unit is what takes effect together: a command, or all of a MULTI/EXEC.
type Unit struct {
	Commands   []Command // without the MULTI and the EXEC
	Multi      bool
	Start, End int64 // with the MULTI and the EXEC
}

// Reader takes the commands out of one file, in order. It is for one goroutine.
// It does not allocate for each command, and takes memory only as bytes arrive,
// whatever lengths the file claims.
//
// It is as strict as redis-check-aof: line ends are checked, and a MULTI inside
// a MULTI, which redis-server would execute wrongly, is damage.
type Reader struct {
	src  io.ReaderAt
	name string

	// buf holds the file from offset base on; buf[:pos] is understood. Within a
	// unit, buf only grows, so positions in it stay good.
	buf  []byte
	base int64
	pos  int
	eof  bool

	spans []span    // of the arguments of the current unit
	cmds  []parsed  // its commands
	args  [][]byte  // backing of Command.Args
	unit  []Command // backing of Unit.Commands

	multiAt  int64 // offset of an open MULTI, -1 when none is open
	cutAt    int64
	whole    int // commands before cutAt
	inMulti  int // commands since the MULTI, with it
	db       int
	time     time.Time
	times    times // for Scan: of annotations from offset timesAt on
	timesAt  int64
	err      error // sticky
	consumed int64
}

// span is a part of Reader.buf.
type span struct{ from, to int }

// parsed is a command as a range of Reader.spans.
type parsed struct {
	first, last int
	start, end  int64
}

// NewReader reads src from offset start on, which must be a boundary between
// commands and outside MULTI. name is for errors.
func NewReader(src io.ReaderAt, name string, start int64) *Reader {
	return &Reader{src: src, name: name, base: start, cutAt: start, consumed: start, multiAt: -1}
}

// Continue tells a Reader that does not begin at the beginning of its file what a
// Reader knew that ended there. Call it first.
func (r *Reader) Continue(db int, t time.Time) { r.db, r.time = db, t }

// Offset is the end of what the latest call gave.
func (r *Reader) Offset() int64 { return r.consumed }

// CutAt is the end of the last whole command outside MULTI: where the file may
// be cut or another reader may begin.
func (r *Reader) CutAt() int64 { return r.cutAt }

// DB is the database that the latest SELECT chose.
func (r *Reader) DB() int { return r.db }

// Time is the latest time annotation, zero when there was none yet.
func (r *Reader) Time() time.Time { return r.time }

// Preamble hands an RDB at the beginning of the file to load, which answers how
// many bytes long it is; the commands follow it. It does nothing, and says so,
// when there is none. Call it first.
func (r *Reader) Preamble(load func(io.Reader) (length int64, err error)) (found bool, err error) {
	const magic = "REDIS"
	if r.base != 0 || r.pos != 0 || r.err != nil || !r.need(len(magic)) || string(r.buf[:len(magic)]) != magic {
		return false, r.err
	}
	n, err := load(io.NewSectionReader(r.src, 0, math.MaxInt64))
	if err != nil {
		r.err = fmt.Errorf("aof: %s: %w", r.name, err)
		return true, r.err
	}
	r.buf, r.base, r.eof = r.buf[:0], n, false
	r.cutAt, r.consumed = n, n
	return true, nil
}

// Next gives the next command, MULTI and EXEC too. It ends with io.EOF where
// the file ends between commands and outside MULTI, and otherwise with a
// *TruncatedError, a *FormatError or what the file answered.
func (r *Reader) Next() (Command, error) {
	r.begin()
	if r.command(); r.err != nil {
		return Command{}, r.err
	}
	return r.commands()[0], nil
}

// NextUnit is [Reader.Next] for units: nothing of a MULTI is given before its
// EXEC was seen. It must not be called inside a MULTI that Next has opened.
func (r *Reader) NextUnit() (Unit, error) {
	r.begin()
	if r.command(); r.err != nil {
		return Unit{}, r.err
	}
	multi := r.multiAt >= 0
	for r.multiAt >= 0 {
		if r.command(); r.err != nil {
			return Unit{}, r.err
		}
	}
	u := Unit{Commands: r.commands(), Multi: multi, Start: r.cmds[0].start, End: r.consumed}
	if multi {
		u.Commands = u.Commands[1 : len(u.Commands)-1]
	}
	return u, nil
}

// begin forgets the unit before and makes room.
func (r *Reader) begin() {
	r.spans, r.cmds = r.spans[:0], r.cmds[:0]
	rest := r.buf[r.pos:]
	switch {
	case cap(r.buf) > maxIdleBuffer && len(rest) < readChunk:
		r.buf = append(make([]byte, 0, 2*readChunk), rest...)
	case r.pos > cap(r.buf)/2:
		r.buf = r.buf[:copy(r.buf, rest)]
	default:
		return
	}
	r.base += int64(r.pos)
	r.pos = 0
}

// commands gives the parsed commands their arguments. Only now, since parsing
// may have moved the buffer.
func (r *Reader) commands() []Command {
	r.args, r.unit = r.args[:0], r.unit[:0]
	for _, s := range r.spans {
		r.args = append(r.args, r.buf[s.from:s.to:s.to])
	}
	for _, c := range r.cmds {
		r.unit = append(r.unit, Command{r.args[c.first:c.last:c.last], c.start, c.end})
	}
	return r.unit
}

// command parses one command onto r.cmds and follows MULTI, EXEC and SELECT. It
// reports by r.err.
func (r *Reader) command() {
	if r.err != nil || !r.annotations() {
		return
	}
	start, first := r.pos, len(r.spans)
	n, ok := r.header('*', "command", 1, maxArgs)
	for range n {
		if !ok {
			return
		}
		ok = r.bulk()
	}
	if !ok {
		return
	}
	c := parsed{first, len(r.spans), r.base + int64(start), r.base + int64(r.pos)}
	r.cmds = append(r.cmds, c)
	r.follow(c)
}

// annotations skips the lines before a command. It is not ok at the end of the
// file.
func (r *Reader) annotations() (ok bool) {
	for {
		if !r.need(1) {
			if r.err == nil && r.multiAt >= 0 {
				r.truncated(r.pos, "MULTI without EXEC")
			} else if r.err == nil {
				r.err = io.EOF
			}
			return false
		}
		if r.buf[r.pos] != '#' {
			return true
		}
		if !r.annotation() {
			return false
		}
	}
}

func (r *Reader) annotation() (ok bool) {
	for i := r.pos; ; i++ {
		switch {
		case i-r.pos == maxAnnotation:
			return r.damaged(r.pos, "annotation: longer than "+strconv.Itoa(maxAnnotation)+" bytes")
		case !r.need(i - r.pos + 1):
			return r.truncated(r.pos, "annotation: no end of line")
		case r.buf[i] == 0:
			return r.mismatch(i, "annotation")
		case r.buf[i] == '\n':
			r.stamp(r.buf[r.pos:i])
			r.pos = i + 1
			return true
		}
	}
}

// stamp takes the time from a #TS line; Redis skips what it does not know.
func (r *Reader) stamp(line []byte) {
	text, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\r")), []byte("#TS:"))
	if seconds, err := strconv.ParseInt(string(text), 10, 64); ok && err == nil {
		r.time = time.Unix(seconds, 0)
		if at := r.base + int64(r.pos); at >= r.timesAt {
			r.times.add(seconds, at)
		}
	}
}

// header parses a line of a kind byte, a number and a line end.
func (r *Reader) header(kind byte, item string, low, high int) (n int, ok bool) {
	const maxDigits = 10 // enough for both limits
	start, i := r.pos, r.pos
	var v int64 // the limits fit an int anywhere, a digit more does not
	for ; ; i++ {
		if i == len(r.buf) && !r.need(i-start+1) {
			return 0, r.truncated(start, item+": no end of line")
		}
		c := r.buf[i]
		if i == start {
			if c != kind {
				return 0, r.mismatch(i, fmt.Sprintf("%s: want %q, have %q", item, kind, c))
			}
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if v = v*10 + int64(c-'0'); i-start > maxDigits || v > int64(high) {
			return 0, r.damaged(start, fmt.Sprintf("%s: above the limit of %d", item, high))
		}
	}
	if !r.lineEnd(i, item) {
		return 0, false
	}
	if i == start+1 || v < int64(low) {
		return 0, r.damaged(start, item+": not a number of "+strconv.Itoa(low)+" or more")
	}
	r.pos = i + 2
	return int(v), true
}

// bulk parses one argument onto r.spans.
func (r *Reader) bulk() (ok bool) {
	n, ok := r.header('$', "bulk string", 0, MaxBulk)
	if !ok {
		return false
	}
	if !r.need(n) {
		return r.truncated(r.pos, fmt.Sprintf("bulk string: want %d bytes, have %d", n, len(r.buf)-r.pos))
	}
	end := r.pos + n
	if !r.lineEnd(end, "bulk string") {
		return false
	}
	r.spans = append(r.spans, span{r.pos, end})
	r.pos = end + 2
	return true
}

// lineEnd checks for CRLF at a position of the buffer.
func (r *Reader) lineEnd(at int, item string) (ok bool) {
	for i, want := range []byte("\r\n") {
		if at+i >= len(r.buf) && !r.need(at+i-r.pos+1) {
			return r.truncated(r.pos, item+": no end of line")
		}
		if c := r.buf[at+i]; c != want {
			return r.mismatch(at+i, fmt.Sprintf("%s: want %q, have %q", item, want, c))
		}
	}
	return true
}

// follow keeps MULTI, EXEC and SELECT in mind.
func (r *Reader) follow(c parsed) {
	name := r.arg(c.first)
	switch {
	case isWord(name, "multi"):
		if r.multiAt >= 0 {
			r.damaged(int(c.start-r.base), fmt.Sprintf("MULTI inside the MULTI at offset %d", r.multiAt))
			return
		}
		r.multiAt, r.inMulti = c.start, 0
	case isWord(name, "exec"):
		if r.multiAt < 0 {
			r.damaged(int(c.start-r.base), "EXEC without MULTI")
			return
		}
		r.multiAt = -1
	case isWord(name, "select") && c.last-c.first == 2:
		if n, err := strconv.Atoi(string(r.arg(c.first + 1))); err == nil {
			r.db = n
		}
	}
	r.consumed = c.end
	r.inMulti++
	if r.multiAt < 0 {
		r.cutAt, r.whole, r.inMulti = c.end, r.whole+r.inMulti, 0
	}
}

func (r *Reader) arg(i int) []byte { return r.buf[r.spans[i].from:r.spans[i].to] }

func isWord(arg []byte, word string) bool {
	return len(arg) == len(word) && strings.EqualFold(string(arg), word)
}

// need sees to it that n bytes from pos on are in the buffer.
func (r *Reader) need(n int) bool {
	for len(r.buf)-r.pos < n {
		if !r.more() {
			return false
		}
	}
	return true
}

// more reads more of the file behind what is in the buffer. The buffer at most
// doubles at a time.
func (r *Reader) more() bool {
	if r.err != nil || r.eof {
		return false
	}
	if cap(r.buf)-len(r.buf) < readChunk {
		r.buf = append(make([]byte, 0, 2*cap(r.buf)+2*readChunk), r.buf...)
	}
	n, err := r.src.ReadAt(r.buf[len(r.buf):cap(r.buf)], r.base+int64(len(r.buf)))
	r.buf = r.buf[:len(r.buf)+n]
	if errors.Is(err, io.EOF) {
		r.eof = true
	} else if err != nil {
		r.err = fmt.Errorf("aof: %s: %w", r.name, err)
	}
	return n > 0
}

// truncated, mismatch and damaged end the reading and answer false. An error of
// the file itself, which looks like an early end, goes before.
func (r *Reader) truncated(at int, what string) bool {
	if r.err == nil {
		r.err = &TruncatedError{
			File: r.name, Offset: r.base + int64(at), What: what,
			CutAt: r.cutAt, Commands: r.whole, OpenMulti: r.multiAt >= 0,
		}
	}
	return false
}

// mismatch tells a tail of zeros from damage: after a power cut a file system
// may have grown the file without filling it.
func (r *Reader) mismatch(at int, what string) bool {
	if r.err == nil && r.zerosFrom(at) {
		return r.truncated(at, "nothing but zeros to the end")
	}
	return r.damaged(at, what)
}

func (r *Reader) damaged(at int, what string) bool {
	if r.err == nil {
		r.err = &FormatError{
			File: r.name, Offset: r.base + int64(at), What: what,
			CutAt: r.cutAt, Commands: r.whole,
		}
	}
	return false
}

// zerosFrom reads on, past the buffer, to the end of the file or to the first
// byte that is not zero.
func (r *Reader) zerosFrom(at int) bool {
	chunk := make([]byte, readChunk)
	for off := r.base + int64(at); ; {
		n, err := r.src.ReadAt(chunk, off)
		if len(bytes.TrimLeft(chunk[:n], "\x00")) > 0 {
			return false
		}
		off += int64(n)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			r.err = fmt.Errorf("aof: %s: %w", r.name, err)
			return false
		}
	}
}
