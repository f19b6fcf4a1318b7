package tracking

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"limpet/internal/weburl"
)

// Progress reads all of a seed's figures in one step, so that they add up.
func (t *Tracker) Progress(ctx context.Context, seed weburl.Seed) (Progress, error) {
	r, err := t.run(ctx, scriptProgress, seed)
	if err != nil {
		return Progress{}, err
	}
	if err := r.unknown(scriptProgress, seed); err != nil {
		return Progress{}, err
	}
	return readProgress(seed, r), nil
}

func readProgress(seed weburl.Seed, r reply) Progress {
	p := Progress{
		Seed: seed, Status: Status(r.text(1)), Generation: r.int(2),
		Total: r.int(3), Crawled: r.int(4), Failed: r.int(5), Skipped: r.int(6), OverLimit: r.int(7),
		Queued: r.int(8), Delayed: r.int(9), InFlight: r.int(10),
		CreatedAt: r.seconds(11), LastCrawledAt: r.seconds(12), CompletedAt: r.seconds(13),
	}
	p.Pending = p.Queued + p.Delayed + p.InFlight
	if p.Total > 0 {
		p.Percentage = 100 * float64(p.Crawled+p.Failed+p.Skipped) / float64(p.Total)
	}
	return p
}

// Seeds lists seeds in the order of their first submission, with their progress,
// each of which is consistent in itself. The cursor that comes back is 0 after
// the last one.
func (t *Tracker) Seeds(ctx context.Context, f SeedFilter) ([]Progress, int64, error) {
	if f.N <= 0 {
		f.N = 100
	}
	var found []Progress
	for {
		names, err := t.registered(ctx, f.Cursor, int64(f.N))
		if err != nil {
			return nil, 0, err
		}
		all, err := t.progressOf(ctx, names)
		if err != nil {
			return nil, 0, err
		}
		for i, p := range all {
			f.Cursor++
			if p.Status == "" || (f.Status != "" && p.Status != f.Status) {
				continue
			}
			found = append(found, p)
			if len(found) == f.N && (i+1 < len(all) || len(names) == f.N) {
				return found, f.Cursor, nil
			}
		}
		if len(names) < f.N {
			return found, 0, nil
		}
	}
}

// progressOf reads many seeds in one round trip. The status of a seed that is
// registered but was never submitted (a crash lies between the two) is empty.
func (t *Tracker) progressOf(ctx context.Context, seeds []weburl.Seed) ([]Progress, error) {
	all := make([]Progress, len(seeds))
	cmds := make([]once, len(seeds))
	if len(seeds) > 0 {
		pipe := t.client.Pipeline()
		for i, seed := range seeds {
			cmds[i] = scriptProgress.evalSHA(ctx, t.keys(seed), []any{t.options.EventCap})
			_ = pipe.Process(ctx, cmds[i])
		}
		_, _ = pipe.Exec(ctx) // each command holds its own error
	}
	for i, seed := range seeds {
		r, err := readReply(cmds[i].Val())
		if cmds[i].Err() != nil || err != nil {
			// Not known to this server yet, or the connection broke: alone, then,
			// with all the patience of a single call.
			if r, err = t.run(ctx, scriptProgress, seed); err != nil {
				return nil, err
			}
		}
		if !r.is("unknown") {
			all[i] = readProgress(seed, r)
		}
	}
	return all, nil
}

// Active lists the seeds that workers have to look after, those worked on last
// first: running ones, and paused or cancelled ones that have pages in flight. It
// is a hint that RepairActive brings up to date; a seed may be missing for a while
// or be finished already.
func (t *Tracker) Active(ctx context.Context) ([]weburl.Seed, error) {
	var names []string
	err := t.repeat(ctx, func(int) (err error) {
		names, err = t.client.ZRevRange(ctx, keyActive, 0, -1).Result()
		return err
	})
	if err != nil {
		return nil, explain("active", "seeds", err)
	}
	return asSeeds(names), nil
}

func (t *Tracker) registered(ctx context.Context, from, n int64) ([]weburl.Seed, error) {
	var names []string
	err := t.repeat(ctx, func(int) (err error) {
		names, err = t.client.ZRange(ctx, keyRegistry, from, from+n-1).Result()
		return err
	})
	if err != nil {
		return nil, explain("list", "seeds", err)
	}
	return asSeeds(names), nil
}

func asSeeds(names []string) []weburl.Seed {
	seeds := make([]weburl.Seed, len(names))
	for i, name := range names {
		seeds[i] = weburl.Seed(name)
	}
	return seeds
}

// Events lists a seed's events after the one with the given id, oldest first; an
// empty id starts with the oldest that is kept. Of what is older than the cap of
// the stream nothing is left.
func (t *Tracker) Events(ctx context.Context, seed weburl.Seed, after string, n int) ([]Event, error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	var messages []redis.XMessage
	err := t.repeat(ctx, func(int) (err error) {
		messages, err = t.client.XRangeN(ctx, t.Key(seed, "ev"), from, "+", int64(n)).Result()
		return err
	})
	if err != nil {
		return nil, explain("events", string(seed), err)
	}
	events := make([]Event, len(messages))
	for i, m := range messages {
		events[i] = readEvent(m)
	}
	return events, nil
}

// LastEvent is the id of a seed's newest event, from which Events goes on; empty
// when there is none.
func (t *Tracker) LastEvent(ctx context.Context, seed weburl.Seed) (string, error) {
	var messages []redis.XMessage
	err := t.repeat(ctx, func(int) (err error) {
		messages, err = t.client.XRevRangeN(ctx, t.Key(seed, "ev"), "+", "-", 1).Result()
		return err
	})
	if err != nil || len(messages) == 0 {
		if err != nil {
			err = explain("events", string(seed), err)
		}
		return "", err
	}
	return messages[0].ID, nil
}

func readEvent(m redis.XMessage) Event {
	e := Event{ID: m.ID, Fields: make(map[string]string, len(m.Values))}
	for name, value := range m.Values {
		text := fmt.Sprint(value)
		switch name {
		case "kind":
			e.Kind = text
		case "gen":
			e.Generation = reply{text}.int(0)
		case "page":
			e.Page = text
		default:
			e.Fields[name] = text
		}
	}
	e.At = eventTime(m.ID)
	return e
}
