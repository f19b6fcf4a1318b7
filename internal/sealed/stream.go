package sealed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

var (
	// ErrNeedsKey: the stream is encrypted and there is no key.
	ErrNeedsKey = errors.New("encrypted, and no key was given")
	// ErrWrongKey: the stream is encrypted for others.
	ErrWrongKey = errors.New("encrypted for another key")
	// ErrTruncated: the stream ends early.
	ErrTruncated = errors.New("truncated")
	// ErrDamaged: the stream is not as it was written.
	ErrDamaged = errors.New("damaged")
)

// Keys say who can open what is sealed, and open it. The zero value encrypts
// nothing.
type Keys struct {
	Recipients []age.Recipient // any one of them can open it; none: it is not encrypted
	Identities []age.Identity  // tried in turn
}

// maxWindow bounds the memory that a stream can ask of its reader, in bytes;
// ours ask for 8 MiB at most.
const maxWindow = 64 << 20

// ageMagic begins every encrypted stream.
const ageMagic = "age-encryption.org/"

// Writer seals what is written to it into w. What is missing before Close has
// returned nil makes the stream a truncated one; w is not closed.
func Writer(w io.Writer, k Keys) (io.WriteCloser, error) {
	s := &writer{}
	if len(k.Recipients) > 0 {
		locked, err := age.Encrypt(w, k.Recipients...)
		if err != nil {
			return nil, fmt.Errorf("sealed: %w", err)
		}
		s.locked, w = locked, locked
	}
	packed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, fmt.Errorf("sealed: %w", err)
	}
	s.packed = packed
	return s, nil
}

type writer struct {
	packed *zstd.Encoder
	locked io.Closer // nil when it is not encrypted
}

func (w *writer) Write(p []byte) (int, error) { return w.packed.Write(p) }

func (w *writer) Close() error {
	err := w.packed.Close()
	if err == nil && w.locked != nil {
		err = w.locked.Close()
	}
	return err
}

// Seal is [Writer] the other way round: a reader of the sealed bytes of what r
// gives. An error of r is given by the reader, after bytes that are not a whole
// stream. It must be closed.
func Seal(r io.Reader, k Keys) io.ReadCloser {
	out, in := io.Pipe()
	go func() {
		w, err := Writer(in, k)
		if err == nil {
			if _, err = io.Copy(w, r); err == nil {
				err = w.Close()
			}
		}
		_ = in.CloseWithError(err) // nil is the end
	}()
	return out
}

// Reader opens a sealed stream. That it is encrypted is seen by its first bytes.
func Reader(r io.Reader, k Keys) (io.ReadCloser, error) {
	source := &watched{r: r}
	buffered := bufio.NewReader(source)
	head, err := buffered.Peek(len(ageMagic))
	switch {
	case source.err != nil:
		return nil, err
	case len(head) == 0:
		return nil, fmt.Errorf("sealed: no bytes at all: %w", ErrTruncated)
	case !bytes.Equal(head, []byte(ageMagic)):
		return unpack(buffered, source)
	case len(k.Identities) == 0:
		return nil, fmt.Errorf("sealed: %w", ErrNeedsKey)
	}
	open, err := age.Decrypt(buffered, k.Identities...)
	var others *age.NoIdentityMatchError
	switch {
	case errors.As(err, &others):
		return nil, fmt.Errorf("sealed: %w: %w", ErrWrongKey, err)
	case err != nil:
		return nil, source.explain(err)
	}
	return unpack(unlocked{open}, source)
}

// unlocked gives the end that came too early a name that the layer above does
// not take for an end.
type unlocked struct{ r io.Reader }

func (u unlocked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTruncated
	}
	return n, err
}

func unpack(r io.Reader, source *watched) (io.ReadCloser, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, source.explain(err)
	}
	return &reader{z, source}, nil
}

type reader struct {
	z      *zstd.Decoder
	source *watched
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.z.Read(p)
	if err != nil && err != io.EOF {
		err = r.source.explain(err)
	}
	return n, err
}

func (r *reader) Close() error {
	r.z.Close()
	return nil
}

// watched remembers how its reader failed, since the layers above give all
// errors words of their own.
type watched struct {
	r   io.Reader
	err error // the first other than io.EOF
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF && w.err == nil {
		w.err = err
	}
	return n, err
}

// explain says what an error of the layers above means.
func (w *watched) explain(err error) error {
	switch {
	case w.err != nil:
		return fmt.Errorf("sealed: %w", w.err)
	case errors.Is(err, ErrTruncated):
		return fmt.Errorf("sealed: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("sealed: %w: %w", ErrTruncated, err)
	}
	return fmt.Errorf("sealed: %w: %w", ErrDamaged, err)
}
