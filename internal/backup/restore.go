package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"limpet/clock"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/vfs"
)

// RestoreOptions of Restore.
type RestoreOptions struct {
	Keys     sealed.Keys
	FS       vfs.FS      // nil is the machine's
	Clock    clock.Clock // nil is the real one
	Host     string      // who restores, for others to see
	Progress func(n int64)
}

func (o RestoreOptions) withDefaults() RestoreOptions {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	return o
}

// Restore fills a missing or empty directory with a backup. On an error the
// directory is as empty as it was.
func Restore(ctx context.Context, s *target.Store, e *Entry, dir string, o RestoreOptions) error {
	o = o.withDefaults()
	return reading(ctx, s, e, o, "restore", func() error { return restore(ctx, s, e, dir, o) })
}

// reading does something with the files of a backup that nobody deletes meanwhile.
func reading(ctx context.Context, s *target.Store, e *Entry, o RestoreOptions, what string, do func() error) error {
	release, err := hold(ctx, s, o.Clock, lease{Backup: e.ID, What: what, Host: o.Host})
	if err != nil {
		return err
	}
	defer release()
	// That it is there is to be known under the lease.
	if err := readJSON(ctx, s, entryKey(e.ID), new(Entry)); errors.Is(err, target.ErrNotFound) {
		return &NotFoundError{s.String(), e.ID}
	} else if err != nil {
		return err
	}
	return do()
}

func restore(ctx context.Context, s *target.Store, e *Entry, dir string, o RestoreOptions) error {
	l, err := Land(o.FS, dir)
	if err != nil {
		return err
	}
	for _, f := range e.Files {
		err = l.Write(f.Name, func(w io.Writer) error { return fetch(ctx, s, f, o.Keys, w, o.Progress) })
		if err != nil {
			return errors.Join(fmt.Errorf("restore %s: %w", f.Name, err), l.Abandon())
		}
	}
	return l.Commit()
}
