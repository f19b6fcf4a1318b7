package aof

import (
	"bytes"
	"io"
	"strconv"
)

// block is what a scan has found in a part of a file.
type block struct {
	start    int64 // of its first command, -1 when there was nothing to begin at
	end      int64 // where the next block's first command begins, behind annotations
	lastEnd  int64 // of its last command
	commands int
	odd      bool // there is what only a Reader can judge; nothing else here counts

	// Whether a MULTI is open where the block begins is not known to it. From its
	// first MULTI or EXEC on it is.
	first    event
	open     bool  // at the end
	cutAt    int64 // end of the last command known to be outside MULTI, 0 if none
	cutCount int   // commands up to there

	times times
}

type event byte

const (
	isMulti event = iota + 1
	isExec
)

// scanCursor walks over commands without keeping them. Its buffer never grows:
// values are stepped over, wherever they end.
type scanCursor struct {
	src  io.ReaderAt
	size int64
	buf  []byte
	base int64 // offset of buf[0]
	pos  int   // of the next byte; behind buf when a long value was stepped over
	eof  bool  // buf reaches to the end of the file

	known  func([]byte) bool
	recent [4]string // names found to be known; most logs hold few
	oldest int       // of recent
	block
}

const (
	scanAhead     = 16 << 10 // bytes read at a time behind the block
	longestHeader = len("*1234567890\r\n")
)

// newScanCursor makes room for a block at a time, 0 for none.
func newScanCursor(j *joiner, block int64) *scanCursor {
	return &scanCursor{src: j.src, size: j.size, known: j.known, buf: make([]byte, 0, block+scanAhead)}
}

// guess scans the part of a file from an offset to a limit, beginning at what
// looks like a command: only at the offset itself if that is where one begins.
func (c *scanCursor) guess(from, limit int64, exact bool) block {
	if exact {
		c.seek(from)
		return c.scan(from, limit)
	}
	const lineEnd = "\r\n"
	c.seek(from - int64(len(lineEnd)))
	for at := 0; ; at++ {
		i := bytes.Index(c.buf[at:], []byte(lineEnd+"*"))
		if i < 0 {
			return block{start: -1}
		}
		at += i
		start := c.base + int64(at+len(lineEnd))
		if start >= limit {
			return block{start: -1}
		}
		if rest := bytes.TrimLeft(c.buf[at+len(lineEnd)+1:], "0123456789"); bytes.HasPrefix(rest, []byte(lineEnd+"$")) {
			return c.scan(start, limit)
		}
	}
}

// scan goes through the commands that begin from an offset on and before a limit.
func (c *scanCursor) scan(from, limit int64) block {
	if at := from - c.base; at < 0 || at > int64(len(c.buf)) {
		c.seek(from)
	} else {
		c.pos = int(at)
	}
	c.block = block{start: from, end: from, lastEnd: from}
	for !c.odd {
		c.annotations()
		c.end = c.offset()
		if c.odd || c.end >= limit {
			break
		}
		c.command()
		c.lastEnd = c.offset()
	}
	if c.first != 0 && !c.open {
		c.cutAt, c.cutCount = c.lastEnd, c.commands
	}
	return c.block
}

func (c *scanCursor) offset() int64 { return c.base + int64(c.pos) }

// seek fills the buffer from an offset on.
func (c *scanCursor) seek(to int64) { c.refill(to, cap(c.buf)) }

func (c *scanCursor) refill(from int64, n int) {
	n = int(max(0, min(int64(n), c.size-from)))
	got, err := c.src.ReadAt(c.buf[:n], from)
	c.odd = c.odd || got < n && err != nil // the Reader will say what is wrong
	c.buf, c.base, c.pos = c.buf[:got], from, 0
	c.eof = from+int64(got) >= c.size
}

// near sees to it that a header, or the end of the file, is in the buffer.
func (c *scanCursor) near() {
	if len(c.buf)-c.pos < longestHeader && !c.eof || c.pos > len(c.buf) {
		c.refill(c.offset(), scanAhead)
	}
}

// annotations steps over lines that begin with '#'.
func (c *scanCursor) annotations() {
	for {
		c.near()
		if c.pos >= len(c.buf) || c.buf[c.pos] != '#' {
			return
		}
		if len(c.buf)-c.pos < maxAnnotation && !c.eof {
			c.refill(c.offset(), scanAhead)
		}
		line := c.buf[c.pos:min(c.pos+maxAnnotation, len(c.buf))]
		n := bytes.IndexByte(line, '\n')
		if n < 0 || bytes.IndexByte(line[:n], 0) >= 0 {
			c.odd = true
			return
		}
		text, isTime := bytes.CutPrefix(bytes.TrimSuffix(line[:n], []byte("\r")), []byte("#TS:"))
		if seconds, err := strconv.ParseInt(string(text), 10, 64); isTime && err == nil {
			c.times.add(seconds, c.offset())
		}
		c.pos += n + 1
	}
}

// command steps over a command and follows MULTI and EXEC.
func (c *scanCursor) command() {
	n := c.header('*', maxArgs)
	if n < 1 {
		c.odd = true
	}
	word := event(0)
	for i := 0; i < n && !c.odd; i++ {
		size := c.header('$', MaxBulk)
		if c.odd {
			return
		}
		if i == 0 {
			word = c.word(size)
		}
		c.pos += size
		if len(c.buf)-c.pos < 2 {
			c.near()
		}
		if len(c.buf)-c.pos < 2 || c.buf[c.pos] != '\r' || c.buf[c.pos+1] != '\n' {
			c.odd = true
			return
		}
		c.pos += 2
	}
	if !c.odd {
		c.follow(word)
		c.commands++
	}
}

// word tells whether the name of a command, which comes next, is MULTI or EXEC,
// and whether there is such a command at all.
func (c *scanCursor) word(size int) event {
	const longest = scanAhead / 2
	if size > longest {
		c.odd = c.known != nil
		return 0
	}
	if len(c.buf)-c.pos < size && !c.eof {
		c.refill(c.offset(), scanAhead)
	}
	if len(c.buf)-c.pos < size {
		return 0 // the file ends here, which is odd enough
	}
	arg := c.buf[c.pos : c.pos+size]
	c.odd = c.odd || c.known != nil && !c.knows(arg)
	switch {
	case isWord(arg, "multi"):
		return isMulti
	case isWord(arg, "exec"):
		return isExec
	}
	return 0
}

func (c *scanCursor) knows(name []byte) bool {
	for _, r := range c.recent {
		if r == string(name) && r != "" {
			return true
		}
	}
	if !c.known(name) {
		return false
	}
	c.recent[c.oldest] = string(name)
	c.oldest = (c.oldest + 1) % len(c.recent)
	return true
}

// follow is called before the command is counted.
func (c *scanCursor) follow(word event) {
	switch {
	case word == 0:
		return
	case c.first == 0:
		c.first = word
	case (word == isMulti) == c.open:
		c.odd = true
		return
	}
	c.open = word == isMulti
	if c.open && c.commands > 0 {
		c.cutAt, c.cutCount = c.lastEnd, c.commands
	}
}

// header steps over a line of a kind byte and a number, the shape of which is
// the plain one; anything else is odd.
func (c *scanCursor) header(kind byte, high int) (n int) {
	if len(c.buf)-c.pos < longestHeader {
		c.near()
	}
	line := c.buf[c.pos:min(c.pos+longestHeader, len(c.buf))]
	if len(line) < 4 || line[0] != kind {
		c.odd = true
		return 0
	}
	i := 1
	for ; i < len(line) && line[i]-'0' <= 9; i++ {
		n = n*10 + int(line[i]-'0')
	}
	if i == 1 || i+1 >= len(line) || line[i] != '\r' || line[i+1] != '\n' || n > high {
		c.odd = true
		return 0
	}
	c.pos += i + 2
	return n
}
