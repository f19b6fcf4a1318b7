package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

var (
	// ErrNotFound: there is no object of that key. It matches fs.ErrNotExist.
	ErrNotFound = fmt.Errorf("no such object: %w", fs.ErrNotExist)
	// ErrExists: Create found an object of that key. It matches fs.ErrExist.
	ErrExists = fmt.Errorf("object exists: %w", fs.ErrExist)
	// ErrKey: the key is not one that every kind of target can keep.
	ErrKey = errors.New("invalid key")
)

// Object is what List tells of an object.
type Object struct {
	Key     string
	Size    int64 // bytes
	ModTime time.Time
}

// Store is an open target. It is safe for concurrent use, by other processes
// too.
type Store struct {
	spec string // without secrets
	kind kind
}

// kind is what a directory and a bucket do each in its own way. Keys are valid,
// errors match ErrNotFound and ErrExists.
type kind interface {
	put(ctx context.Context, key string, r io.Reader, exclusive bool) error
	get(ctx context.Context, key string) (io.ReadCloser, error)
	getRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	list(ctx context.Context, prefix string) ([]Object, error)
	remove(ctx context.Context, key string) error
	close() error
}

// String is the spec that the target was opened by, without secrets.
func (s *Store) String() string { return s.spec }

// Close ends what the target holds open. Nothing waits to be written.
func (s *Store) Close() error { return s.kind.close() }

// Put makes all that r gives the object of the key, in place of one that is
// there. After an error the object is what it was, or, where the answer of a
// bucket was lost or a directory could not be synced, the new one.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) error {
	return s.write(ctx, key, r, false)
}

// Create is Put for a key that must be free: it gives ErrExists otherwise, and
// of several at once only one succeeds. An error other than ErrExists may hide
// a success, as with Put.
func (s *Store) Create(ctx context.Context, key string, r io.Reader) error {
	return s.write(ctx, key, r, true)
}

func (s *Store) write(ctx context.Context, key string, r io.Reader, exclusive bool) error {
	err := checkKey(key)
	if err == nil {
		err = s.kind.put(ctx, key, interruptible{ctx, r}, exclusive)
	}
	return s.about(key, err)
}

// Get reads an object. An object that is replaced or deleted meanwhile is read
// on as it was, or the reading fails.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	err := checkKey(key)
	if err != nil {
		return nil, s.about(key, err)
	}
	r, err := s.kind.get(ctx, key)
	return r, s.about(key, err)
}

// GetRange reads length bytes from offset on. A range that is not all within
// the object is an error, from the call or from reading.
func (s *Store) GetRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	err := checkKey(key)
	if err == nil && (offset < 0 || length < 0) {
		err = fmt.Errorf("range of %d bytes at %d: want neither below 0", length, offset)
	}
	if err != nil {
		return nil, s.about(key, err)
	}
	r, err := s.kind.getRange(ctx, key, offset, length)
	if err != nil {
		return nil, s.about(key, err)
	}
	return &exactly{r, length}, nil
}

// List gives the objects whose keys begin with prefix, by key ascending. What
// comes or goes during the call may be in it or not.
func (s *Store) List(ctx context.Context, prefix string) ([]Object, error) {
	objects, err := s.kind.list(ctx, prefix)
	if err != nil {
		return nil, s.about(prefix, err)
	}
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return objects, nil
}

// Delete removes an object. One that is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := checkKey(key)
	if err == nil {
		err = s.kind.remove(ctx, key)
	}
	return s.about(key, err)
}

// interruptible ends a copy when ctx does.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

func (s *Store) about(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("target: %s: %s: %w", s.spec, key, err)
}

// checkKey accepts keys that are the same everywhere: paths of names that no
// file system, bucket or shell treats specially.
func checkKey(key string) error {
	for name := range strings.SplitSeq(key, "/") {
		switch {
		case name == "" || name[0] == '.' || len(name) > 200:
			return fmt.Errorf("%w: want names of 1 to 200 bytes that begin with no dot, joined by slashes", ErrKey)
		case strings.Trim(name, keyBytes) != "" && strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(keyBytes, r) }):
			return fmt.Errorf("%w: want letters, digits and -_.,+=@ only", ErrKey)
		}
	}
	return nil
}

const keyBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.,+=@"

// exactly gives so many bytes or an error.
type exactly struct {
	io.ReadCloser
	left int64
}

func (r *exactly) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err == io.EOF && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
