package aof

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Scanned is what [Scan] found in a file, up to where it is good.
type Scanned struct {
	Commands int   // whole ones outside an open MULTI, MULTI and EXEC included
	CutAt    int64 // end of the last of them
	// First and Last are the first and the latest time annotation before the
	// error, zero where there is none.
	First, Last time.Time
	// TimeGoesBack is the offset of the first annotation that is earlier than one
	// before it, which no writer writes; 0 when there is none.
	TimeGoesBack int64
}

// ScanOptions of a [Scan]; the zero value uses all processors.
type ScanOptions struct {
	// Progress is told of bytes that were read, from several goroutines.
	Progress func(bytes int64)
	// Known tells whether there is a command of a name. One that there is not is
	// a *FormatError, as servers have it. nil knows all.
	Known func(name []byte) bool

	block   int64 // bytes that are scanned at a time; 0 is scanBlock
	workers int   // 0 is one for each processor
}

// scanBlock is large enough that finding a place to begin costs nothing, and
// small enough for the cache.
const scanBlock = 1 << 20

// Scan reads the commands of a file from offset start to size, as a [Reader]
// does, only to tell whether they are whole. It ends with nil where the Reader
// ends with io.EOF, and otherwise with the Reader's error.
//
// It is several times as fast. The file is cut into blocks, and each processor
// takes one, guesses where in it the first command begins, and goes on from
// there. Then the blocks are joined in order: a guess counts only where the
// command before it ends exactly there, and is made good otherwise. Whatever
// looks odd is read again by a Reader, which alone finds errors.
func Scan(src io.ReaderAt, name string, start, size int64, o ScanOptions) (Scanned, error) {
	if o.block == 0 {
		o.block = scanBlock
	}
	if o.workers == 0 {
		o.workers = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	j := &joiner{src: src, name: name, size: size, known: o.Known, at: start, cutAt: start}
	j.join(start, o)
	if j.odd {
		return j.read()
	}
	return j.scanned(), nil
}

// joiner puts blocks together.
type joiner struct {
	src  io.ReaderAt
	name string
	size int64

	known func([]byte) bool

	at    int64 // where the next command begins
	cutAt int64
	whole int  // commands before cutAt
	since int  // commands since then
	open  bool // a MULTI is
	times times
	odd   bool // a Reader must have a look
}

func (j *joiner) scanned() Scanned {
	return Scanned{Commands: j.whole, CutAt: j.cutAt, First: j.times.first(), Last: j.times.last(), TimeGoesBack: j.times.backAt}
}

func (j *joiner) join(start int64, o ScanOptions) {
	count := (j.size - start + o.block - 1) / o.block
	blocks := make([]chan block, count)
	for i := range blocks {
		blocks[i] = make(chan block, 1)
	}
	var next atomic.Int64
	var stop atomic.Bool
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop.Store(true)
	for range min(int64(o.workers), count) {
		workers.Go(func() {
			c := newScanCursor(j, o.block)
			for !stop.Load() {
				i := next.Add(1) - 1
				if i >= count {
					return
				}
				from := start + i*o.block
				blocks[i] <- c.guess(from, min(from+o.block, j.size), i == 0)
				o.Progress(min(o.block, j.size-from))
			}
		})
	}
	own := newScanCursor(j, 0)
	for i := range blocks {
		b, limit := <-blocks[i], min(start+int64(i+1)*o.block, j.size)
		if j.at >= limit {
			continue // all of it is in a value that began earlier
		}
		if b.start != j.at {
			b = own.scan(j.at, limit)
		}
		if !j.add(b) {
			return
		}
	}
	// The last block's scan reaches the end of the file; else it was odd.
	j.odd = j.odd || j.open
}

// add takes a block that begins where the one before has ended.
func (j *joiner) add(b block) (ok bool) {
	if b.odd || b.first == isMulti && j.open || b.first == isExec && !j.open {
		j.odd = true
	}
	if j.odd {
		return false
	}
	j.at = b.end
	switch {
	case b.commands == 0:
	case b.first == 0 && !j.open:
		j.whole, j.cutAt = j.whole+b.commands, b.lastEnd
	case b.cutAt == 0:
		j.since += b.commands
	default:
		j.whole, j.cutAt, j.since = j.whole+j.since+b.cutCount, b.cutAt, b.commands-b.cutCount
	}
	if b.first != 0 {
		j.open = b.open
	}
	j.times.join(b.times)
	return true
}

// read has a Reader judge what lies behind the last good place.
func (j *joiner) read() (Scanned, error) {
	r := NewReader(io.NewSectionReader(j.src, 0, j.size), j.name, j.cutAt)
	r.timesAt = j.at
	for {
		cutAt, whole := r.CutAt(), r.whole
		c, err := r.Next()
		switch {
		case err != nil:
		case j.known != nil && !j.known(c.Args[0]):
			r.cutAt, r.whole = cutAt, whole
			err = &FormatError{File: j.name, Offset: c.Start, What: fmt.Sprintf("unknown command %.40q", c.Args[0]), CutAt: cutAt, Commands: whole}
		default:
			continue
		}
		var torn *TruncatedError
		var bad *FormatError
		switch {
		case errors.As(err, &torn):
			torn.Commands += j.whole
		case errors.As(err, &bad):
			bad.Commands += j.whole
		case errors.Is(err, io.EOF):
			err = nil
		}
		j.whole, j.cutAt = j.whole+r.whole, r.CutAt()
		j.times.join(r.times)
		return j.scanned(), err
	}
}

// times follows time annotations, in Unix seconds.
type times struct {
	from, to int64 // the first and the latest
	fromAt   int64 // offset of the first
	backAt   int64 // offset of the first that is earlier than one before it
	any      bool
}

func (t *times) add(seconds, at int64) {
	t.join(times{from: seconds, to: seconds, fromAt: at, any: true})
}

// join adds what follows.
func (t *times) join(next times) {
	switch {
	case !next.any:
		return
	case !t.any:
		*t = next
		return
	case t.backAt == 0 && next.from < t.to:
		t.backAt = next.fromAt
	case t.backAt == 0:
		t.backAt = next.backAt
	}
	t.to = max(t.to, next.to)
}

func (t *times) first() time.Time { return t.moment(t.from) }
func (t *times) last() time.Time  { return t.moment(t.to) }

func (t *times) moment(seconds int64) time.Time {
	if !t.any {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
