package tracking

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/redis/go-redis/v9"

	"limpet/internal/weburl"
)

// Submit starts the crawl of a seed, joins the one that runs, or tells that it
// is finished. The registry learns of the seed first: an entry without a seed
// does no harm, a seed without an entry would be forgotten.
func (t *Tracker) Submit(ctx context.Context, q SubmitRequest) (Submission, error) {
	if err := q.check(); err != nil {
		return Submission{}, err
	}
	if err := t.register(ctx, q.Seed); err != nil {
		return Submission{}, err
	}
	key, remember := q.IdempotencyKey, 1
	if key == "" {
		key = nonce() + nonce()
		if !q.Recrawl {
			remember = 0 // only what changed something: the same answer is found again anyway
		}
	}
	recrawl := 0
	if q.Recrawl {
		recrawl = 1
	}
	if q.MaxAttempts == 0 {
		q.MaxAttempts = 3
	}
	args := []any{
		keyDigest(key), remember, recrawl,
		q.MaxPages, q.MaxDepth, q.MaxAttempts, q.Options, len(q.URLs),
	}
	r, err := t.run(ctx, scriptSubmit, q.Seed, append(args, flatten(q.URLs)...)...)
	if err != nil {
		return Submission{}, err
	}
	if r.is("damaged") {
		return Submission{}, fmt.Errorf("%w: submit %s: its status is missing, its pages are not", ErrDamaged, q.Seed)
	}
	s := Submission{
		Seed: q.Seed, Generation: r.int(2), Status: Status(r.text(3)),
		Created: r.text(1) == "c", Joined: r.text(1) == "j",
		Repeated: r.int(4) == 1, Added: int(r.int(5)),
	}
	if s.Status == Running {
		t.noteSubmitted(ctx, q.Seed)
	}
	if s.Created || s.Joined {
		s.Synced = t.confirm(ctx, q.Seed, s.Generation)
	}
	return s, nil
}

func (q *SubmitRequest) check() error {
	switch {
	case q.Seed == "":
		return fmt.Errorf("tracking: submit: no seed")
	case len(q.URLs) == 0:
		return fmt.Errorf("tracking: submit %s: no URL to start from", q.Seed)
	case len(q.URLs) > maxBatch:
		return fmt.Errorf("tracking: submit %s: %d URLs: want at most %d", q.Seed, len(q.URLs), maxBatch)
	case q.MaxPages < 0 || q.MaxDepth < 0 || q.MaxAttempts < 0:
		return fmt.Errorf("tracking: submit %s: limits cannot be negative", q.Seed)
	}
	for _, p := range q.URLs {
		if p.URL == "" {
			return fmt.Errorf("tracking: submit %s: empty URL", q.Seed)
		}
	}
	return nil
}

// keyDigest gives idempotency keys one length, so that 100 of them stay small.
func keyDigest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// confirm waits until the seed's writes are on the store's disk, where the store
// can tell. WAITAOF speaks of the writes of its own connection, so a small one
// goes before it; everything written earlier is then on disk as well.
func (t *Tracker) confirm(ctx context.Context, seed weburl.Seed, generation int64) bool {
	if t.noWaitAOF.Load() {
		return false
	}
	node, err := t.node(ctx, seed)
	if err != nil {
		return false
	}
	pipe := node.Pipeline()
	pipe.HSet(ctx, t.Key(seed, "m"), "confirmed", generation)
	wait := pipe.Do(ctx, "waitaof", 1, 0, t.options.SyncTimeout.Milliseconds())
	_, _ = pipe.Exec(ctx) // wait holds the error that counts
	if err := wait.Err(); err != nil {
		if redis.HasErrorPrefix(err, "unknown command") || redis.HasErrorPrefix(err, "WAITAOF cannot") {
			t.noWaitAOF.Store(true)
		}
		return false
	}
	counts, err := wait.Int64Slice()
	return err == nil && len(counts) > 0 && counts[0] >= 1
}

// node is the server that holds a seed's keys.
func (t *Tracker) node(ctx context.Context, seed weburl.Seed) (redis.UniversalClient, error) {
	if c, ok := t.client.(cluster); ok {
		return c.MasterForKey(ctx, t.Key(seed, "u"))
	}
	return t.client, nil
}

// cluster is the part of a *redis.ClusterClient by which one is known.
type cluster interface {
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
}

// Config returns what the seed's present generation was submitted with.
func (t *Tracker) Config(ctx context.Context, seed weburl.Seed) (Config, error) {
	var v []any
	err := t.repeat(ctx, func(int) (err error) {
		v, err = t.client.HMGet(ctx, t.Key(seed, "m"),
			"gen", "max_pages", "max_depth", "max_attempts", "options", "created").Result()
		return err
	})
	if err != nil {
		return Config{}, explain("config", string(seed), err)
	}
	r := reply(v)
	if r.text(0) == "" {
		return Config{}, fmt.Errorf("%w: config %s", ErrUnknownSeed, seed)
	}
	return Config{
		Generation: r.int(0), MaxPages: int(r.int(1)), MaxDepth: int(r.int(2)),
		MaxAttempts: int(r.int(3)), Options: []byte(r.text(4)), CreatedAt: r.seconds(5),
	}, nil
}
