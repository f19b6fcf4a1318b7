package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"limpet/clock"
	"limpet/internal/digest"
	"limpet/internal/hotcopy"
	"limpet/internal/sealed"
	"limpet/internal/target"
)

// TakeOptions of Take.
type TakeOptions struct {
	Keys   sealed.Keys // without recipients nothing is encrypted
	Source Source
	Tool   string      // name and version of this program
	Clock  clock.Clock // nil is the real one
	Began  time.Time   // when the copy was begun; zero is now
	Data   *digest.Sum // what the copy comes to, where that is known
	// Progress is told how many more bytes have been read.
	Progress func(n int64)
}

// Take makes a copy a backup. The entry is written last. When it fails, what it
// has uploaded is removed as far as the target lets it; [Prune] sees to the rest.
func Take(ctx context.Context, s *target.Store, c *hotcopy.Copy, o TakeOptions) (e *Entry, err error) {
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Began.IsZero() {
		o.Began = o.Clock.Now()
	}
	e = &Entry{
		Format: entryFormat, ID: newID(c.Time), Kind: c.Kind, Source: o.Source, Tool: o.Tool,
		Began: o.Began.UTC(), Time: c.Time.UTC(), Since: utc(c.Since), Dated: utc(c.Dated),
		Server: c.Server, RDB: c.Format, Encrypted: len(o.Keys.Recipients) > 0, Data: o.Data,
	}
	if c.Kind == hotcopy.AOF {
		end := c.Position
		e.End = &end
	}
	release, err := hold(ctx, s, o.Clock, lease{Backup: e.ID, What: "backup", Host: o.Source.Host})
	if err != nil {
		return nil, err
	}
	defer release()
	sum := e.Data == nil && c.Kind == hotcopy.RDB
	for n, f := range c.Files {
		stored, data, err := upload(ctx, s, f, objectKey(e.ID, n+1, f.Name, e.Encrypted), o, sum)
		if err != nil {
			forget(ctx, s, e)
			return nil, err
		}
		e.Files = append(e.Files, *stored)
		if data != nil {
			e.Data = data
		}
	}
	e.Ended = o.Clock.Now().UTC()
	if err := createJSON(ctx, s, entryKey(e.ID), e); err != nil {
		// The answer may be lost and the entry there: its files must stay.
		return nil, err
	}
	return e, nil
}

// utc keeps a time that is not known zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// forget removes the objects of a backup that will never have an entry.
func forget(ctx context.Context, s *target.Store, e *Entry) {
	ctx = context.WithoutCancel(ctx)
	found, err := s.List(ctx, objects+e.ID+"/")
	if err != nil {
		return
	}
	for _, o := range found {
		_ = s.Delete(ctx, o.Key)
	}
}

// upload reads a file once: it is hashed, sealed, sent, and, when it is a dump,
// summed up on the way.
func upload(ctx context.Context, s *target.Store, f hotcopy.File, key string, o TakeOptions, sum bool) (*File, *digest.Sum, error) {
	hash := sha256.New()
	watchers := []io.Writer{hash}
	var summing *summer
	if sum {
		summing = newSummer()
		defer summing.stop()
		watchers = append(watchers, summing.in)
	}
	plain := &counter{r: io.TeeReader(f.Reader(), io.MultiWriter(watchers...)), told: o.Progress}
	seal := sealed.Seal(plain, o.Keys)
	defer func() { _ = seal.Close() }()
	stored := &counter{r: seal}
	if err := s.Create(ctx, key, stored); err != nil {
		return nil, nil, fmt.Errorf("back up %s: %w", f.Name, err)
	}
	if plain.n != f.Size {
		return nil, nil, fmt.Errorf("back up %s: want %d bytes, have %d: the file was cut while it was read", f.Name, f.Size, plain.n)
	}
	done := &File{Name: f.Name, Size: f.Size, SHA256: hex.EncodeToString(hash.Sum(nil)), Object: key, Stored: stored.n}
	if summing == nil {
		return done, nil, nil
	}
	data, err := summing.result()
	if err != nil {
		return nil, nil, fmt.Errorf("back up %s: %w", f.Name, err)
	}
	return done, data, nil
}

// counter counts what is read through it.
type counter struct {
	r    io.Reader
	n    int64
	told func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.told != nil {
		c.told(int64(n))
	}
	return n, err
}

// summer sums up an RDB that is written to it.
type summer struct {
	in   *io.PipeWriter
	out  *io.PipeReader
	done chan struct{}
	sum  digest.Sum
	err  error
}

func newSummer() *summer {
	s := &summer{done: make(chan struct{})}
	s.out, s.in = io.Pipe()
	go func() {
		defer close(s.done)
		s.sum, _, s.err = digest.Of(s.out)
		// What is behind the end, or behind damage, must not hold up the writer.
		_, _ = io.Copy(io.Discard, s.out)
	}()
	return s
}

func (s *summer) result() (*digest.Sum, error) {
	s.stop()
	if s.err != nil {
		return nil, s.err
	}
	return &s.sum, nil
}

func (s *summer) stop() {
	_ = s.in.Close()
	<-s.done
}

// errHash says that what came back is not what was put there.
var errHash = errors.New("not what was backed up")

// IsBad tells whether an error of Restore says that the backup itself is bad, and
// not that it could not be reached, opened or written down.
func IsBad(err error) bool {
	for _, bad := range []error{errHash, sealed.ErrDamaged, sealed.ErrTruncated, target.ErrNotFound} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}

// fetch reads a file of a backup into w and sees that it is the right one.
func fetch(ctx context.Context, s *target.Store, f File, k sealed.Keys, w io.Writer, progress func(int64)) error {
	object, err := s.Get(ctx, f.Object)
	if err != nil {
		return err
	}
	defer func() { _ = object.Close() }()
	r, err := sealed.Reader(object, k)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", s, f.Object, err)
	}
	defer func() { _ = r.Close() }()
	hash := sha256.New()
	// One byte more than there should be tells of a longer one.
	plain := &counter{r: io.LimitReader(r, f.Size+1), told: progress}
	if _, err := io.Copy(io.MultiWriter(w, hash), plain); err != nil {
		return fmt.Errorf("%s: %s: %w", s, f.Object, err)
	}
	if plain.n != f.Size {
		return fmt.Errorf("%s: %s: want %d bytes, have %d: %w", s, f.Object, f.Size, plain.n, errHash)
	}
	if have := hex.EncodeToString(hash.Sum(nil)); have != f.SHA256 {
		return fmt.Errorf("%s: %s: sha256: want %s, have %s: %w", s, f.Object, f.SHA256, have, errHash)
	}
	return nil
}
