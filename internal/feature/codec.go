package feature

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A stored record is its JSON in one zstd frame, compressed against a
// dictionary: a typical record and the statistics of some hundred, so that what
// all records share costs next to nothing. On the pages of the PostgreSQL
// manual a record takes 360 bytes, 990 without the dictionary, and the time is
// the same.
//
// The frame names its dictionary by ID. A dictionary that has once been
// released must never change; a better one gets the next ID, and readers keep
// both. `zstd -d -D dictionary-40001.zdict` reads a record without this package
// (IDs from 32768 on are free for private use).
//
//go:embed dictionary-40001.zdict
var dictionary []byte

var (
	// ErrDamaged says that bytes are not a record that Marshal wrote.
	ErrDamaged = errors.New("feature: record is damaged")
	// ErrNewer says that a record has a schema version above Version.
	ErrNewer = errors.New("feature: record is newer than this program")
)

// maxRecord bounds the memory that reading a stored record may take, in bytes
// of JSON. The limits in record.go keep Extract's records far below.
const maxRecord = 1 << 20

var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderDict(dictionary),
		zstd.WithWindowSize(64<<10))
	if err != nil {
		panic(err) // options and dictionary are constants
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderDicts(dictionary),
		zstd.WithDecoderMaxMemory(maxRecord))
	if err != nil {
		panic(err) // options and dictionary are constants
	}
	return d
})

var scratch = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Marshal returns the stored form of a record. It is safe for concurrent use.
func Marshal(r Record) ([]byte, error) {
	buf := scratch.Get().(*bytes.Buffer)
	defer scratch.Put(buf)
	buf.Reset()
	if err := WriteJSON(buf, r); err != nil {
		return nil, err
	}
	return encoder().EncodeAll(buf.Bytes(), nil), nil
}

// WriteJSON writes a record as one line of JSON.
func WriteJSON(buf *bytes.Buffer, r Record) error {
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false) // an & in a URL would take six bytes
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("feature: record: %w", err)
	}
	return nil
}

// StoredJSON returns the JSON line of a stored record, as it was written.
// The error is ErrDamaged.
func StoredJSON(stored []byte) ([]byte, error) {
	line, err := decoder().DecodeAll(stored, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return line, nil
}

// Unmarshal reads a stored record of this schema version or an older one. The
// error is ErrDamaged or ErrNewer.
func Unmarshal(stored []byte) (Record, error) {
	line, err := StoredJSON(stored)
	if err != nil {
		return Record{}, err
	}
	var version struct{ V int }
	if err := json.Unmarshal(line, &version); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch {
	case version.V < 1:
		return Record{}, fmt.Errorf("%w: it has no version", ErrDamaged)
	case version.V > Version:
		return Record{}, fmt.Errorf("%w: version %d, want at most %d", ErrNewer, version.V, Version)
	}
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}
