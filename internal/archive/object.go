package archive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"limpet/internal/target"
)

// Store is where an archive lies: a *target.Store.
type Store interface {
	Put(ctx context.Context, key string, r io.Reader) error
	Create(ctx context.Context, key string, r io.Reader) error
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	List(ctx context.Context, prefix string) ([]target.Object, error)
	Delete(ctx context.Context, key string) error
}

// Hash is a SHA-256.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err == nil && len(b) != len(h) {
		err = fmt.Errorf("hash: want %d bytes, have %d", len(h), len(b))
	}
	copy(h[:], b)
	return err
}

// An object begins with two lines, and the sealed body follows.
//
//	limpet-archive 1 segment
//	{"timeline":3,"number":42, …}
const (
	magic     = "limpet-archive"
	format    = 1
	maxHeader = 1 << 20 // bytes of the second line
)

// What an object holds.
const (
	timelineKind = "timeline"
	baseKind     = "base"
	segmentKind  = "segment"
	leaseKind    = "lease"
)

// ErrDamaged: an object is not what its archiver has written.
var ErrDamaged = errors.New("damaged")

// ErrNewer: an object was written by a later version of this program.
var ErrNewer = errors.New("written by a newer version")

// encodeHeader gives the two lines, and the hash by which the header is known.
func encodeHeader(kind string, header any) ([]byte, Hash, error) {
	line, err := json.Marshal(header)
	if err != nil {
		return nil, Hash{}, err
	}
	return fmt.Appendf(nil, "%s %d %s\n%s\n", magic, format, kind, line), sha256.Sum256(line), nil
}

// object is an object whose header has been read.
type object struct {
	hash Hash
	body io.Reader
	io.Closer
}

// get opens an object and reads its header.
func get(ctx context.Context, s Store, key, kind string, header any) (*object, error) {
	r, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	b := bufio.NewReaderSize(r, 64<<10)
	line, err := readHeader(b, kind)
	if err == nil {
		err = json.Unmarshal(line, header)
		if err != nil {
			err = fmt.Errorf("header: %w: %w", err, ErrDamaged)
		}
	}
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("archive: %s: %w", key, err)
	}
	return &object{sha256.Sum256(line), b, r}, nil
}

// getHeader is get for who wants no body.
func getHeader(ctx context.Context, s Store, key, kind string, header any) (Hash, error) {
	o, err := get(ctx, s, key, kind, header)
	if err != nil {
		return Hash{}, err
	}
	return o.hash, o.Close()
}

func readHeader(b *bufio.Reader, kind string) ([]byte, error) {
	first, err := readLine(b)
	if err != nil {
		return nil, err
	}
	var word, what string
	var version int
	if n, _ := fmt.Sscanf(string(first), "%s %d %s", &word, &version, &what); n != 3 || word != magic {
		return nil, fmt.Errorf("want an object of an archive, it begins with %.40q: %w", first, ErrDamaged)
	}
	if version > format {
		return nil, fmt.Errorf("format %d, and %d is the newest that is known: %w", version, format, ErrNewer)
	}
	if what != kind {
		return nil, fmt.Errorf("want a %s, have a %s: %w", kind, what, ErrDamaged)
	}
	return readLine(b)
}

func readLine(b *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := b.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("header: it ends after %d bytes: %w", len(line), ErrDamaged)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxHeader:
			return nil, fmt.Errorf("header: longer than %d bytes: %w", maxHeader, ErrDamaged)
		}
	}
}
