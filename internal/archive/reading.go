package archive

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"limpet/clock"
	"limpet/internal/sealed"
)

// Reader says who reads an archive.
type Reader struct {
	What   string      // for people: restore, history
	Holder string      // host and process
	Clock  clock.Clock // nil is the real one
}

// reading is a reader's lease: while it is fresh, nothing is pruned. One whose
// holder has died goes stale by itself.
type reading struct {
	What   string    `json:"what"`
	Holder string    `json:"holder"`
	Began  time.Time `json:"began"`
}

const (
	readingPrefix = "archive/reading/"
	// readingTTL is how long a target may be out of a reader's reach before what it
	// reads may be pruned, by the target's own clock.
	readingTTL   = 15 * time.Minute
	readingRenew = time.Minute
)

// OpenToRead is [Open] for who reads for some time: until release is called
// nothing that it has found is pruned. Where the target may not be written to, as
// on the day when a copy of it is all there is, it reads without such a promise:
// what is pruned meanwhile is an error then, and never a wrong answer.
func OpenToRead(ctx context.Context, s Store, k sealed.Keys, r Reader) (a *Archive, release func(), err error) {
	// A target that holds nothing, or a path that was mistyped, is left as it is.
	if n, err := newest(ctx, s); err != nil || n == 0 {
		return nil, nil, cmp.Or(err, ErrEmpty)
	}
	release = r.hold(ctx, s)
	if a, err = Open(ctx, s, k); err != nil {
		release()
		return nil, nil, err
	}
	return a, release, nil
}

// hold writes a reader's lease, and again each minute until release is called.
func (r Reader) hold(ctx context.Context, s Store) (release func()) {
	if r.Clock == nil {
		r.Clock = clock.Real()
	}
	text, err := json.Marshal(reading{r.What, r.Holder, r.Clock.Now().UTC()})
	key := readingPrefix + strings.ToLower(rand.Text())
	write := func(ctx context.Context) error { return s.Put(ctx, key, strings.NewReader(string(text)+"\n")) }
	if err != nil || write(ctx) != nil {
		return func() {}
	}
	stop := clock.Every(ctx, r.Clock, readingRenew, func(ctx context.Context) {
		_ = write(ctx) // the next one may succeed, long before it goes stale
	})
	return func() {
		stop()
		// Also when the work was interrupted; else the lease goes stale by itself.
		_ = s.Delete(context.WithoutCancel(ctx), key)
	}
}

// readers are those who read now, and removes the leases that have gone stale.
func readers(ctx context.Context, s Store, c clock.Clock) (now []string, err error) {
	objects, err := s.List(ctx, readingPrefix)
	if err != nil || len(objects) == 0 {
		return nil, err
	}
	at, err := targetNow(ctx, s, c)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if at.Sub(o.ModTime) > readingTTL {
			_ = s.Delete(ctx, o.Key)
			continue
		}
		now = append(now, describeReader(ctx, s, o.Key))
	}
	return now, nil
}

// describeReader is a reader in words. One that cannot be read reads none the less.
func describeReader(ctx context.Context, s Store, key string) string {
	var r reading
	body, err := s.Get(ctx, key)
	if err == nil {
		err = json.NewDecoder(body).Decode(&r)
		_ = body.Close()
	}
	if err != nil || r.What == "" {
		return "a reader"
	}
	return r.What + " by " + r.Holder
}
