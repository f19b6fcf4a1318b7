package rdb

import (
	"encoding/binary"
	"fmt"
	"sync"

	"limpet/internal/crc"
	"limpet/internal/lzf"
)

var compressors = sync.Pool{New: func() any { return new(lzf.Compressor) }}

// EncodeValue is the payload that DUMP answers: the value's type and body, the
// version of the format (2 bytes) and a checksum (8 bytes), both little endian.
func EncodeValue(v Value) ([]byte, error) {
	enc, err := encodingOf(v)
	if err != nil {
		return nil, fmt.Errorf("rdb: %w", err)
	}
	w := writer{lzf: compressors.Get().(*lzf.Compressor)}
	defer compressors.Put(w.lzf)
	w.byte(enc.typ)
	if err := enc.write(&w); err != nil {
		return nil, fmt.Errorf("rdb: %w", err)
	}
	w.buf = binary.LittleEndian.AppendUint16(w.buf, WriteVersion)
	return binary.LittleEndian.AppendUint64(w.buf, crc.Update(0, w.buf)), nil
}

// DecodeValue is the value of a payload that DUMP answered, here or in a Redis.
// Unlike in a file, the checksum is always checked, and nothing may be empty.
func DecodeValue(payload []byte, o DecoderOptions) (Value, error) {
	r := reader{maxString: o.maxString(), noSum: true}
	r.begin("payload")
	size := len(payload) - footerSize
	if size < 0 {
		r.fail(ErrChecksum, "want %d bytes behind the value, have %d", footerSize, len(payload))
		return nil, r.err
	}
	if version := binary.LittleEndian.Uint16(payload[size:]); version > MaxVersion {
		r.fail(ErrNewer, "version %d, this reads up to %d", version, MaxVersion)
		return nil, r.err
	}
	sumAt := len(payload) - checksumSize
	if crc.Update(0, payload[:sumAt]) != binary.LittleEndian.Uint64(payload[sumAt:]) {
		r.fail(ErrChecksum, "")
		return nil, r.err
	}
	r.buf = payload[:size]
	d := valueDecoder{r: &r, keepPacked: o.KeepPacked}
	v := d.value(r.byte())
	switch {
	case r.err != nil:
		return nil, r.err
	case v == nil:
		r.corrupt("empty collection")
	case r.pos < size:
		r.corrupt("%d bytes behind the value", size-r.pos)
	}
	if r.err != nil {
		return nil, r.err
	}
	return v, nil
}

// IsNewer says whether a payload that [DecodeValue] takes is too new for what
// reads [WriteVersion].
func IsNewer(payload []byte) bool {
	size := len(payload) - footerSize
	return binary.LittleEndian.Uint16(payload[size:]) > WriteVersion || payload[0] > typeStream2
}
