package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"limpet/internal/crc"
	"limpet/internal/lzf"
)

// reader takes lengths, strings and numbers from bytes, and sums the bytes up on
// their way. After the first error it yields zero values only; loops over a
// count from the file must look at err, or a wrong count keeps them busy.
type reader struct {
	src    io.Reader // nil: buf is all there is
	buf    []byte
	pos    int   // bytes of buf that were taken
	base   int64 // offset of buf[0]
	sum    uint64
	summed int // bytes of buf that sum covers
	noSum  bool

	maxString uint64
	what      string // what is being read, for the error
	start     int64  // where it begins
	err       error
}

const (
	readBuffer = 128 << 10

	// firstChunk is the memory that the mere claim of a length gets; more is
	// added as the bytes really arrive.
	firstChunk = 1 << 20
)

func (r *reader) offset() int64 { return r.base + int64(r.pos) }

// begin names the item that the next errors are about.
func (r *reader) begin(what string) {
	r.what, r.start = what, r.offset()
}

// fail keeps the first error.
func (r *reader) fail(err error, format string, args ...any) {
	if r.err != nil {
		return
	}
	what := r.what
	if format != "" {
		what += ": " + fmt.Sprintf(format, args...)
	}
	r.err = &Error{Offset: r.start, What: what, Err: err}
}

func (r *reader) corrupt(format string, args ...any) { r.fail(ErrCorrupt, format, args...) }

// sumUp covers what was taken from buf.
func (r *reader) sumUp() {
	if !r.noSum {
		r.sum = crc.Update(r.sum, r.buf[r.summed:r.pos])
	}
	r.summed = r.pos
}

// need has at least n bytes waiting in buf, or fails. n is at most a few dozen.
func (r *reader) need(n int) bool {
	if r.err != nil {
		return false
	}
	if len(r.buf)-r.pos >= n {
		return true
	}
	return r.fill(n)
}

func (r *reader) fill(n int) bool {
	if r.src != nil {
		r.sumUp()
		r.base += int64(r.pos)
		if cap(r.buf) == 0 {
			r.buf = make([]byte, 0, readBuffer)
		}
		left := copy(r.buf[:cap(r.buf)], r.buf[r.pos:])
		r.pos, r.summed = 0, 0
		got, err := io.ReadAtLeast(r.src, r.buf[left:cap(r.buf)], n-left)
		r.buf = r.buf[:left+got]
		if err == nil {
			return true
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			r.fail(err, "")
			return false
		}
	}
	r.fail(ErrTruncated, "want %d bytes, have %d", n, len(r.buf)-r.pos)
	return false
}

func (r *reader) byte() byte {
	if !r.need(1) {
		return 0
	}
	b := r.buf[r.pos]
	r.pos++
	return b
}

func (r *reader) uint32LE() uint32 {
	if !r.need(4) {
		return 0
	}
	n := binary.LittleEndian.Uint32(r.buf[r.pos:])
	r.pos += 4
	return n
}

func (r *reader) uint64LE() uint64 {
	if !r.need(8) {
		return 0
	}
	n := binary.LittleEndian.Uint64(r.buf[r.pos:])
	r.pos += 8
	return n
}

func (r *reader) double() float64 { return math.Float64frombits(r.uint64LE()) }

// streamID reads an id in the form of a radix tree's key.
func (r *reader) streamID() StreamID {
	if !r.need(16) {
		return StreamID{}
	}
	id := StreamID{
		Ms:  binary.BigEndian.Uint64(r.buf[r.pos:]),
		Seq: binary.BigEndian.Uint64(r.buf[r.pos+8:]),
	}
	r.pos += 16
	return id
}

// idLengths reads an id in the form of two lengths.
func (r *reader) idLengths() StreamID {
	ms := r.length()
	return StreamID{Ms: ms, Seq: r.length()}
}

// length reads a length or a number in its form.
func (r *reader) length() uint64 {
	n, special := r.lengthOrEncoding()
	if special {
		r.corrupt("want a length, have string encoding %d", n)
		return 0
	}
	return n
}

// lengthOrEncoding reads a length, or the encoding of a special string.
func (r *reader) lengthOrEncoding() (n uint64, special bool) {
	switch b := r.byte(); {
	case b < len14:
		return uint64(b), false
	case b < len32:
		return uint64(b&0x3F)<<8 | uint64(r.byte()), false
	case b >= lenSpecial:
		return uint64(b & 0x3F), true
	case b == len32 && r.need(4):
		n = uint64(binary.BigEndian.Uint32(r.buf[r.pos:]))
		r.pos += 4
	case b == len64 && r.need(8):
		n = binary.BigEndian.Uint64(r.buf[r.pos:])
		r.pos += 8
	case b != len32 && b != len64:
		r.corrupt("unknown form of length 0x%02x", b)
	}
	return n, false
}

// string reads a string into memory of its own.
func (r *reader) string() []byte {
	n, special := r.lengthOrEncoding()
	if !special {
		return r.bytes(n)
	}
	switch n {
	case encInt8:
		return appendInt(int64(int8(r.byte())))
	case encInt16:
		if !r.need(2) {
			return nil
		}
		n := int16(binary.LittleEndian.Uint16(r.buf[r.pos:]))
		r.pos += 2
		return appendInt(int64(n))
	case encInt32:
		return appendInt(int64(int32(r.uint32LE())))
	case encLZF:
		return r.compressed()
	}
	r.corrupt("unknown string encoding %d", n)
	return nil
}

func appendInt(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

func (r *reader) compressed() []byte {
	packedLen, n := r.length(), r.length()
	packed := r.bytes(packedLen)
	if r.err != nil {
		return nil
	}
	if n > packedLen*lzf.MaxExpansion {
		r.corrupt("%d compressed bytes cannot hold %d", packedLen, n)
		return nil
	}
	if !r.allowed(n) {
		return nil
	}
	b := make([]byte, n)
	if err := lzf.Decompress(b, packed); err != nil {
		r.corrupt("%d compressed bytes do not hold %d", packedLen, n)
		return nil
	}
	return b
}

func (r *reader) allowed(n uint64) bool {
	if n > r.maxString {
		r.corrupt("string of %d bytes, more than %d are not accepted", n, r.maxString)
	}
	return r.err == nil
}

// bytes takes the next n bytes into memory of its own.
func (r *reader) bytes(n uint64) []byte {
	if !r.allowed(n) {
		return nil
	}
	if n <= uint64(len(r.buf)-r.pos) {
		b := make([]byte, n)
		r.pos += copy(b, r.buf[r.pos:])
		return b
	}
	if r.src == nil {
		r.fail(ErrTruncated, "want %d bytes, have %d", n, len(r.buf)-r.pos)
		return nil
	}
	return r.longBytes(int(n))
}

// longBytes takes what buf has, and then reads past it.
func (r *reader) longBytes(n int) []byte {
	b := make([]byte, 0, min(n, firstChunk))
	b = append(b, r.buf[r.pos:min(len(r.buf), r.pos+n)]...)
	r.pos = len(r.buf)
	r.sumUp()
	for len(b) < n {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(n, 2*cap(b))), b...)
		}
		got, err := io.ReadFull(r.src, b[len(b):cap(b)])
		fresh := b[len(b) : len(b)+got]
		if !r.noSum {
			r.sum = crc.Update(r.sum, fresh)
		}
		r.base += int64(got)
		b = b[:len(b)+got]
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			r.fail(ErrTruncated, "want %d bytes, have %d", n, len(b))
			return nil
		default:
			r.fail(err, "")
			return nil
		}
	}
	return b
}
