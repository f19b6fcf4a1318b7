package rdb

import (
	"fmt"
	"io"

	"limpet/internal/lzf"
)

// EncoderOptions of an [Encoder]; the zero value is what Redis does by default.
type EncoderOptions struct {
	// NoCompression writes strings as they are: about twice as fast, and larger
	// (rdbcompression no).
	NoCompression bool
	// NoChecksum writes 0 where the checksum is, which readers take for "do not
	// check" (rdbchecksum no). Damage on the disk then goes unseen.
	NoChecksum bool
}

// Encoder writes one file. It is for one goroutine.
//
// The calls come in the order of the format: Aux and Function, then for each
// database SelectDB and ResizeDB if wanted, then entries, at last Close. Each
// key must be written exactly once: Redis refuses a file that repeats one.
//
// The first error is final; every later call answers it again.
type Encoder struct {
	w      writer
	db     int // the one selected; -1 at first
	closed bool
}

// NewEncoder returns an Encoder of a file that begins at w. It buffers, so
// nothing is complete before Close.
func NewEncoder(w io.Writer, o EncoderOptions) *Encoder {
	e := &Encoder{db: -1}
	e.w = writer{dst: w, noSum: o.NoChecksum, buf: make([]byte, 0, writeBuffer+writeBuffer/8)}
	if !o.NoCompression {
		e.w.lzf = new(lzf.Compressor)
	}
	e.w.buf = fmt.Appendf(e.w.buf, "%s%04d", magic, WriteVersion)
	return e
}

// Aux writes a fact about the file. Readers pass over names they do not know.
func (e *Encoder) Aux(name, value string) error {
	e.w.byte(opAux)
	e.w.string([]byte(name))
	e.w.string([]byte(value))
	return e.w.err
}

// Function writes the source of a function library.
func (e *Encoder) Function(source []byte) error {
	e.w.byte(opFunction2)
	e.w.string(source)
	return e.w.err
}

// SelectDB says which database the entries belong to that follow.
func (e *Encoder) SelectDB(db int) error {
	if db < 0 {
		return e.fail(fmt.Errorf("rdb: database %d", db))
	}
	e.w.byte(opSelectDB)
	e.w.length(uint64(db))
	e.db = db
	return e.w.err
}

// ResizeDB says how many keys the selected database will have, and how many of
// them expire, for the reader to make room. It may be wrong.
func (e *Encoder) ResizeDB(keys, expires int) error {
	e.w.byte(opResizeDB)
	e.w.length(uint64(max(keys, 0)))
	e.w.length(uint64(max(expires, 0)))
	return e.w.err
}

// Entry writes one key, after selecting its database if that is another.
func (e *Encoder) Entry(en Entry) error {
	if e.w.err != nil {
		return e.w.err
	}
	if en.DB != e.db {
		if err := e.SelectDB(en.DB); err != nil {
			return err
		}
	}
	if en.ExpireAtMs != 0 {
		e.w.byte(opExpireMs)
		e.w.uint64LE(uint64(en.ExpireAtMs))
	}
	body, err := encodingOf(en.Value)
	if err != nil {
		return e.fail(fmt.Errorf("rdb: key %q: %w", en.Key, err))
	}
	e.w.byte(body.typ)
	e.w.string(en.Key)
	if err := body.write(&e.w); err != nil {
		return e.fail(fmt.Errorf("rdb: key %q: %w", en.Key, err))
	}
	return e.w.err
}

// Written is the number of bytes encoded so far, some of them still in memory.
func (e *Encoder) Written() int64 { return e.w.offset() }

// Close ends the file with its checksum and hands the last bytes to the writer,
// which stays open. A file that was not closed reads as truncated.
func (e *Encoder) Close() error {
	if e.w.err != nil || e.closed {
		return e.w.err
	}
	e.closed = true
	e.w.byte(opEOF)
	e.w.flush()
	e.w.uint64LE(e.w.sum)
	e.w.flush()
	return e.w.err
}

func (e *Encoder) fail(err error) error {
	if e.w.err == nil {
		e.w.err = err
	}
	return e.w.err
}
