package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// acceptEncoding names the content codings that decode knows.
const acceptEncoding = "gzip, br, zstd"

// maxWindow is the largest zstd window a decoder of HTTP has to support, and
// the largest one that ours allocates (RFC 9659).
const maxWindow = 8 << 20

// keepBuffer is the capacity up to which a scratch buffer is worth keeping; a
// few huge pages must not make every buffer huge.
const keepBuffer = 1 << 20

var scratch = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// payload is a body as it came over the wire and after its content codings
// were undone.
type payload struct {
	data *bytes.Buffer // back to scratch when done with
	raw  int64         // bytes read off the wire
	cut  bool          // there was more than the limit
}

func (p *payload) release() {
	if p.data != nil && p.data.Cap() <= keepBuffer {
		p.data.Reset()
		scratch.Put(p.data)
	}
	p.data = nil
}

// readBody reads and decodes a body. The limit, in bytes, holds for the wire
// and for what comes out of the decoders, whichever reaches it first. A body
// that was decoded to its end has been read to its end, so that its connection
// can be used again.
func readBody(body io.Reader, codings []string, limit int64) (payload, error) {
	wire := &wireReader{r: body, left: limit + 1}
	p := payload{data: scratch.Get().(*bytes.Buffer)}
	err := decode(p.data, wire, codings, limit)
	if len(codings) > 0 {
		// After a failure too: only then is it known whether there was a body.
		if end := wire.drain(); err == nil {
			err = end
		}
	}
	p.raw = limit + 1 - wire.left
	p.cut = wire.left == 0 || int64(p.data.Len()) > limit
	if p.cut {
		p.raw = min(p.raw, limit)
		p.data.Truncate(int(min(int64(p.data.Len()), limit)))
		return p, nil
	}
	switch {
	case wire.err != nil && wire.err != io.EOF:
		err = wire.err // the decoder's complaint is only its consequence
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = &bodyError{fmt.Errorf("body ends after %d bytes: %w", p.raw, err)}
		}
	case p.raw == 0:
		err = nil // nothing at all is an empty body in any coding
	case err != nil:
		err = &bodyError{err}
	}
	return p, err
}

// decode copies from wire to dst, undoing the codings, and stops one byte
// behind the limit.
func decode(dst *bytes.Buffer, wire io.Reader, codings []string, limit int64) error {
	if len(codings) > maxCodings {
		return fmt.Errorf("content-encoding: %d codings on top of each other", len(codings))
	}
	r := wire
	for _, name := range codings {
		d := decoders[name]
		if d == nil {
			return fmt.Errorf("content-encoding %q was not asked for", name)
		}
		reader, release, err := d(r)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer release()
		r = reader
	}
	_, err := dst.ReadFrom(io.LimitReader(r, limit+1))
	if err == nil || len(codings) == 0 {
		return err
	}
	if errors.Is(err, gzip.ErrHeader) && dst.Len() > 0 {
		return nil // bytes after the last gzip member; browsers ignore them too
	}
	return fmt.Errorf("%s: %w", strings.Join(codings, ", "), err)
}

// codingsOf reads Content-Encoding values into the order of decoding, which is
// the reverse of the order of encoding.
func codingsOf(values []string) []string {
	var codings []string
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "" && name != "identity" {
				codings = append([]string{name}, codings...)
			}
		}
	}
	return codings
}

// wireReader counts what is read and stops after left bytes. It remembers the
// first error, which decoders tend to hide.
type wireReader struct {
	r    io.Reader
	left int64
	err  error
}

func (w *wireReader) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > w.left {
		p = p[:w.left]
	}
	n, err := w.r.Read(p)
	w.left -= int64(n)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// drain reads what a decoder had no use for: mostly nothing but the end.
func (w *wireReader) drain() error {
	const trailer = 4 << 10
	_, err := io.CopyN(io.Discard, w, trailer)
	if err == io.EOF {
		return nil
	}
	return err
}

// A decoder starts to decode r. The release function gives its state back for
// the next body.
type decoder func(r io.Reader) (decoded io.Reader, release func(), err error)

// maxCodings bounds a chain of codings: each has its own window.
const maxCodings = 2

var decoders = map[string]decoder{
	"gzip":   decodeGzip,
	"x-gzip": decodeGzip, // RFC 9110 section 8.4.1.3
	"br":     decodeBrotli,
	"zstd":   decodeZstd,
}

var gzipPool, brotliPool, zstdPool sync.Pool

func decodeGzip(r io.Reader) (io.Reader, func(), error) {
	z, _ := gzipPool.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	release := func() { gzipPool.Put(z) }
	if err := z.Reset(r); err != nil {
		release()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, nil, err
	}
	return z, release, nil
}

func decodeBrotli(r io.Reader) (io.Reader, func(), error) {
	z, _ := brotliPool.Get().(*brotli.Reader)
	if z == nil {
		z = brotli.NewReader(nil)
	}
	if err := z.Reset(r); err != nil {
		return nil, nil, err
	}
	return z, func() { brotliPool.Put(z) }, nil
}

func decodeZstd(r io.Reader) (io.Reader, func(), error) {
	z, _ := zstdPool.Get().(*zstd.Decoder)
	if z == nil {
		var err error
		// Concurrency 1 decodes in the caller's goroutine, so a decoder that
		// the pool drops needs no Close.
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
	}
	if err := z.Reset(r); err != nil {
		return nil, nil, err
	}
	return z, func() { _ = z.Reset(nil); zstdPool.Put(z) }, nil
}
