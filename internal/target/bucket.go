package target

import (
	"context"
	"errors"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// bucket keeps objects in a bucket. That an object appears whole or not at all,
// and that a conditional write has one winner, is the service's promise.
type bucket struct{ b *blob.Bucket }

func openBucket(b *blob.Bucket, spec string) *Store { return &Store{spec, bucket{b}} }

func (k bucket) put(ctx context.Context, key string, r io.Reader, exclusive bool) error {
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	w, err := k.b.NewWriter(ctx, key, &blob.WriterOptions{
		IfNotExist:                  exclusive,
		ContentType:                 "application/octet-stream", // else it is guessed
		DisableContentTypeDetection: true,
	})
	if err != nil {
		return known(err)
	}
	if _, err := w.ReadFrom(r); err != nil {
		// Closing would make what has arrived an object. Where it was the service
		// that broke off, it is Close that says why.
		abandon()
		return errors.Join(err, ignoreCancel(known(w.Close())))
	}
	return known(w.Close())
}

// ignoreCancel passes over what an abandoned writer is bound to say.
func ignoreCancel(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || gcerrors.Code(err) == gcerrors.Canceled {
		return nil
	}
	return err
}

func (k bucket) get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := k.b.NewReader(ctx, key, nil)
	if err != nil {
		return nil, known(err)
	}
	return r, nil
}

func (k bucket) getRange(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := k.b.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, known(err)
	}
	return r, nil
}

func (k bucket) list(ctx context.Context, prefix string) (objects []Object, err error) {
	pages := k.b.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := pages.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, known(err)
		case checkKey(o.Key) == nil: // others are not ours
			objects = append(objects, Object{Key: o.Key, Size: o.Size, ModTime: o.ModTime})
		}
	}
}

func (k bucket) remove(ctx context.Context, key string) error {
	err := known(k.b.Delete(ctx, key))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (k bucket) close() error { return k.b.Close() }

// known gives the errors of all services the names they have here.
func known(err error) error {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return errors.Join(ErrNotFound, err)
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return errors.Join(ErrExists, err)
	}
	return err
}
