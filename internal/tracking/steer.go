package tracking

import (
	"context"
	"fmt"
	"slices"

	"limpet/internal/weburl"
)

// Pause keeps pages of a running seed from being claimed; those in flight
// finish. It answers the status that results: a finished seed stays as it is.
func (t *Tracker) Pause(ctx context.Context, seed weburl.Seed) (Status, error) {
	status, inFlight, err := t.steer(ctx, scriptPause, seed)
	if err == nil && status == Paused && inFlight == 0 {
		t.noteIdle(ctx, seed)
	}
	return status, err
}

// Resume lets a paused seed run on, and answers the status that results.
func (t *Tracker) Resume(ctx context.Context, seed weburl.Seed) (Status, error) {
	status, _, err := t.steer(ctx, scriptResume, seed)
	if err == nil && status == Running {
		t.noteSubmitted(ctx, seed)
	}
	return status, err
}

func (t *Tracker) steer(ctx context.Context, s *script, seed weburl.Seed) (status Status, inFlight int64, err error) {
	r, err := t.run(ctx, s, seed)
	if err != nil {
		return "", 0, err
	}
	return Status(r.text(1)), r.int(2), r.unknown(s, seed)
}

// Cancel skips everything queued and delayed; pages in flight finish or lapse. A
// completed seed stays completed. A cancel that breaks off is finished by the
// next Cancel or Reap; nothing is claimed meanwhile.
func (t *Tracker) Cancel(ctx context.Context, seed weburl.Seed) (Status, error) {
	for {
		r, err := t.run(ctx, scriptCancel, seed, maxBatch)
		if err != nil {
			return "", err
		}
		if err := r.unknown(scriptCancel, seed); err != nil {
			return "", err
		}
		status := Status(r.text(1))
		if left := r.int(2); left > 0 && status == Cancelled {
			continue
		}
		if r.int(3) == 0 {
			t.noteIdle(ctx, seed)
		}
		return status, nil
	}
}

// Reap takes up to limit pages (at most 256) from workers that let their leases
// run out: back to the queue, or to the dead letters when their attempts are
// spent. Of a cancelled seed they are skipped.
func (t *Tracker) Reap(ctx context.Context, seed weburl.Seed, limit int) (Reaped, error) {
	if limit <= 0 || limit > maxBatch {
		limit = maxBatch
	}
	return t.reap(ctx, seed, limit, 0)
}

// ReapAll takes every page from its worker, whatever time its lease has left. It
// is for a caller who knows that no worker is alive, and spares the wait for the
// leases of the dead. A worker that lives after all finds its leases stale.
func (t *Tracker) ReapAll(ctx context.Context, seed weburl.Seed) (Reaped, error) {
	var sum Reaped
	for {
		r, err := t.reap(ctx, seed, maxBatch, 1)
		sum.Requeued += r.Requeued
		sum.Failed += r.Failed
		sum.Skipped += r.Skipped
		sum.SeedCompleted = sum.SeedCompleted || r.SeedCompleted
		if err != nil || r.Requeued+r.Failed+r.Skipped < maxBatch {
			return sum, err
		}
	}
}

func (t *Tracker) reap(ctx context.Context, seed weburl.Seed, limit, all int) (Reaped, error) {
	r, err := t.run(ctx, scriptReap, seed, limit, all)
	if err != nil {
		return Reaped{}, err
	}
	if err := r.unknown(scriptReap, seed); err != nil {
		return Reaped{}, err
	}
	reaped := Reaped{
		Requeued: int(r.int(2)), Failed: int(r.int(3)), Skipped: int(r.int(4)),
		SeedCompleted: r.int(5) == 1,
	}
	if left := r.int(6); left > 0 && Status(r.text(1)) == Cancelled {
		_, err = t.Cancel(ctx, seed)
	}
	if reaped.SeedCompleted {
		t.noteIdle(ctx, seed)
	}
	return reaped, err
}

// RetryFailed queues failed pages again with all their attempts; without ids,
// every failed page. A completed seed runs again, a paused one stays paused, a
// cancelled one refuses with [ErrCancelled]. Ids of pages that have not failed
// are passed over. It answers how many pages were queued.
func (t *Tracker) RetryFailed(ctx context.Context, seed weburl.Seed, ids ...string) (int, error) {
	queued := 0
	retry := func(ids []string) error {
		for chunk := range slices.Chunk(ids, maxBatch) {
			args := make([]any, len(chunk))
			for i, id := range chunk {
				args[i] = id
			}
			r, err := t.run(ctx, scriptRetry, seed, args...)
			if err != nil {
				return err
			}
			if err := r.unknown(scriptRetry, seed); err != nil {
				return err
			}
			if r.is("cancelled") {
				return fmt.Errorf("%w: retry %s: submit it again", ErrCancelled, seed)
			}
			queued += int(r.int(2))
		}
		return nil
	}
	err := error(nil)
	if len(ids) > 0 {
		err = retry(ids)
	} else {
		err = t.eachFailed(ctx, seed, retry)
	}
	if queued > 0 {
		t.noteSubmitted(ctx, seed)
	}
	return queued, err
}

// eachFailed calls do with the ids in the dead letters, some at a time. Entries
// may be removed meanwhile: HSCAN still shows each of the others.
func (t *Tracker) eachFailed(ctx context.Context, seed weburl.Seed, do func(ids []string) error) error {
	if _, err := t.Progress(ctx, seed); err != nil {
		return err
	}
	return t.scan(ctx, seed, "dlq", do)
}

// unknown turns a script's answer that there is no such seed into an error.
func (r reply) unknown(s *script, seed weburl.Seed) error {
	if r.is("unknown") {
		return fmt.Errorf("%w: %s %s", ErrUnknownSeed, s.name, seed)
	}
	return nil
}
