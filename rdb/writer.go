package rdb

import (
	"encoding/binary"
	"io"
	"math"
	"strconv"

	"limpet/internal/crc"
	"limpet/internal/listpack"
	"limpet/internal/lzf"
)

// writer turns lengths, strings and numbers into bytes. With dst they pass
// through buf and are summed up on their way; without, they stay in buf.
type writer struct {
	dst     io.Writer
	buf     []byte
	written int64  // bytes that left buf
	sum     uint64 // of those bytes, unless noSum
	noSum   bool
	err     error // the first of dst, or a value that cannot be written; sticky

	lzf     *lzf.Compressor // nil: strings are written as they are
	scratch []byte          // for lzf
}

const (
	writeBuffer = 128 << 10

	// Strings up to this size are never smaller for LZF (Redis's limit).
	minCompress = 20
	// maxCompress keeps the scratch memory small; the larger strings of a real
	// data set (images, archives) are packed already. Redis has no such limit.
	maxCompress = 16 << 20
)

func (w *writer) offset() int64 { return w.written + int64(len(w.buf)) }

// room makes the next small item start a new buffer when this one is full.
func (w *writer) room() {
	if w.dst != nil && len(w.buf) >= writeBuffer {
		w.flush()
	}
}

func (w *writer) flush() {
	w.send(w.buf)
	w.buf = w.buf[:0]
}

// send hands b to dst, or drops it when something went wrong before: the file is
// lost already, and the memory must not grow.
func (w *writer) send(b []byte) {
	if w.err != nil || len(b) == 0 {
		return
	}
	if !w.noSum {
		w.sum = crc.Update(w.sum, b)
	}
	n, err := w.dst.Write(b)
	w.written += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	w.err = err
}

func (w *writer) byte(b byte) {
	w.room()
	w.buf = append(w.buf, b)
}

// raw writes b as it is. Large ones do not pass through the buffer.
func (w *writer) raw(b []byte) {
	if w.dst != nil && len(w.buf)+len(b) > writeBuffer {
		w.flush()
		if len(b) > writeBuffer/2 {
			w.send(b)
			return
		}
	}
	w.buf = append(w.buf, b...)
}

func (w *writer) uint64LE(n uint64) {
	w.room()
	w.buf = binary.LittleEndian.AppendUint64(w.buf, n)
}

func (w *writer) double(f float64) { w.uint64LE(math.Float64bits(f)) }

func (w *writer) length(n uint64) {
	w.room()
	w.buf = appendLength(w.buf, n)
}

// streamID writes an id as the radix tree of Redis has it for a key.
func (w *writer) streamID(id StreamID) {
	w.room()
	w.buf = appendStreamID(w.buf, id)
}

// idLengths writes an id as two lengths.
func (w *writer) idLengths(id StreamID) {
	w.length(id.Ms)
	w.length(id.Seq)
}

// string writes b as an integer where it reads as one, else compressed where
// that is shorter, else as it is.
func (w *writer) string(b []byte) {
	if len(b) <= len("-2147483648") {
		if n, ok := listpack.ParseInt(b); ok && int64(int32(n)) == n {
			w.smallInt(int32(n))
			return
		}
	}
	if w.lzf != nil && len(b) > minCompress && len(b) <= maxCompress && w.compressed(b) {
		return
	}
	w.length(uint64(len(b)))
	w.raw(b)
}

func (w *writer) smallInt(n int32) {
	w.room()
	switch {
	case int32(int8(n)) == n:
		w.buf = append(w.buf, lenSpecial|encInt8, byte(n))
	case int32(int16(n)) == n:
		w.buf = append(w.buf, lenSpecial|encInt16, byte(n), byte(n>>8))
	default:
		w.buf = append(w.buf, lenSpecial|encInt32)
		w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(n))
	}
}

// compressed writes b as LZF if that saves at least four bytes.
func (w *writer) compressed(b []byte) bool {
	room := len(b) - 4
	if cap(w.scratch) < room {
		w.scratch = make([]byte, max(room, 2*cap(w.scratch)))
	}
	packed := w.scratch[:room]
	n := w.lzf.Compress(packed, b)
	if n == 0 {
		return false
	}
	w.byte(lenSpecial | encLZF)
	w.length(uint64(n))
	w.length(uint64(len(b)))
	w.raw(packed[:n])
	return true
}

func appendLength(b []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(b, len6|byte(n))
	case n < 1<<14:
		return append(b, len14|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, len32), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, len64), n)
	}
}

func appendStreamID(b []byte, id StreamID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, id.Ms), id.Seq)
}

// appendScore is a score as the text that Redis reads back to the same number.
func appendScore(b []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case f == math.Trunc(f) && math.Abs(f) < 1<<52 && (f != 0 || !math.Signbit(f)):
		return strconv.AppendInt(b, int64(f), 10)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}
