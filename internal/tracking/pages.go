package tracking

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/weburl"
)

// Pages lists about n pages of a seed in the given state, or in any for an empty
// one. The cursor is "" to start and the last call's answer to go on; it comes
// back empty after the last page. As with Redis's SCAN, every page that is in
// the state throughout is listed at least once, and one that moves meanwhile may
// be listed twice or not at all.
func (t *Tracker) Pages(ctx context.Context, seed weburl.Seed, state State, cursor string, n int) ([]PageInfo, string, error) {
	index, err := indexOf(state)
	if err != nil {
		return nil, "", err
	}
	if n <= 0 {
		n = 100
	}
	at, err := readCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	var found []PageInfo
	// A rare state among many pages: come back with few, or none, and a cursor,
	// rather than hold the caller up.
	for range 64 {
		ids, next, err := t.scanOnce(ctx, seed, index, at, int64(n))
		if err != nil {
			return nil, "", err
		}
		for len(ids) > 0 {
			chunk := ids[:min(len(ids), maxBatch)]
			ids = ids[len(chunk):]
			if found, err = t.describe(ctx, seed, found, state, chunk); err != nil {
				return nil, "", err
			}
		}
		if at = next; at == 0 || len(found) >= n {
			break
		}
	}
	if at == 0 {
		return found, "", nil
	}
	return found, strconv.FormatUint(at, 10), nil
}

// indexOf names the shortest key that has all pages of a state.
func indexOf(state State) (string, error) {
	switch state {
	case "", StateCrawled, StateSkipped:
		return "u", nil
	case StateQueued:
		return "q", nil
	case StateDelayed:
		return "d", nil
	case StateLeased:
		return "l", nil
	case StateFailed:
		return "dlq", nil
	}
	return "", fmt.Errorf("tracking: pages: state %q: want queued, delayed, in_flight, crawled, failed or skipped", state)
}

func readCursor(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	at, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("tracking: cursor %q: want one that an earlier call gave", cursor)
	}
	return at, nil
}

// scanOnce takes one step through the ids in a hash or sorted set.
func (t *Tracker) scanOnce(ctx context.Context, seed weburl.Seed, index string, cursor uint64, count int64) (ids []string, next uint64, err error) {
	key := t.Key(seed, index)
	var pairs []string
	err = t.repeat(ctx, func(int) (err error) {
		switch index {
		case "q", "d", "l":
			pairs, next, err = t.client.ZScan(ctx, key, cursor, "", count).Result()
		default:
			pairs, next, err = t.client.HScan(ctx, key, cursor, "", count).Result()
		}
		return err
	})
	if err != nil {
		return nil, 0, explain("scan "+index, string(seed), err)
	}
	for i := 0; i < len(pairs); i += 2 {
		ids = append(ids, pairs[i])
	}
	return ids, next, nil
}

// scan calls do with all ids in a hash or sorted set, some at a time.
func (t *Tracker) scan(ctx context.Context, seed weburl.Seed, index string, do func(ids []string) error) error {
	for cursor := uint64(0); ; {
		ids, next, err := t.scanOnce(ctx, seed, index, cursor, maxBatch)
		if err != nil {
			return err
		}
		if err := do(ids); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// describe appends what is known of the pages that are in the state, read in one
// step.
func (t *Tracker) describe(ctx context.Context, seed weburl.Seed, found []PageInfo, state State, ids []string) ([]PageInfo, error) {
	var pages, urls, letters, records *redis.SliceCmd
	var delayed *redis.FloatSliceCmd
	err := t.repeat(ctx, func(int) error {
		_, err := t.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pages = pipe.HMGet(ctx, t.Key(seed, "u"), ids...)
			urls = pipe.HMGet(ctx, t.Key(seed, "url"), ids...)
			letters = pipe.HMGet(ctx, t.Key(seed, "dlq"), ids...)
			delayed = pipe.ZMScore(ctx, t.Key(seed, "d"), ids...)
			if t.options.RecordURL != nil && (state == "" || state == StateCrawled) {
				records = pipe.HMGet(ctx, t.Key(seed, "r"), ids...)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, explain("pages", string(seed), err)
	}
	for i, id := range ids {
		p, ok := readPage(id, reply(pages.Val()).text(i))
		if !ok {
			continue
		}
		if p.State == StateQueued && delayed.Val()[i] != 0 {
			p.State = StateDelayed
		}
		if state != "" && p.State != state {
			continue
		}
		p.URL = reply(urls.Val()).text(i)
		p.readLetter(reply(letters.Val()).text(i))
		if p.State == StateCrawled && records != nil {
			p.URL = t.options.RecordURL([]byte(reply(records.Val()).text(i)))
		}
		found = append(found, p)
	}
	return found, nil
}

// readPage reads a value of u: state letter and attempts, depth, token, reason.
func readPage(id, value string) (PageInfo, bool) {
	parts := strings.SplitN(value, ",", 4)
	if len(parts) < 2 || len(parts[0]) < 2 || stateOf(parts[0][:1]) == "" {
		return PageInfo{}, false
	}
	attempts, err1 := strconv.Atoi(parts[0][1:])
	depth, err2 := strconv.Atoi(parts[1])
	p := PageInfo{ID: id, State: stateOf(parts[0][:1]), Attempts: attempts, Depth: depth}
	if len(parts) == 4 {
		p.Reason = parts[3]
	}
	return p, err1 == nil && err2 == nil
}

// readLetter reads a dead letter: attempts, Unix milliseconds, error.
func (p *PageInfo) readLetter(letter string) {
	parts := strings.SplitN(letter, " ", 3)
	if len(parts) < 3 {
		return
	}
	p.FailedAt = time.UnixMilli(reply{parts[1]}.int(0))
	p.Error = parts[2]
}

// Records lists about n feature records; the cursor works as in [Tracker.Pages].
func (t *Tracker) Records(ctx context.Context, seed weburl.Seed, cursor string, n int) ([]Record, string, error) {
	at, err := readCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	if n <= 0 {
		n = 100
	}
	var pairs []string
	var next uint64
	err = t.repeat(ctx, func(int) (err error) {
		pairs, next, err = t.client.HScan(ctx, t.Key(seed, "r"), at, "", int64(n)).Result()
		return err
	})
	if err != nil {
		return nil, "", explain("records", string(seed), err)
	}
	records := make([]Record, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		records = append(records, Record{ID: pairs[i], Bytes: []byte(pairs[i+1])})
	}
	if next == 0 {
		return records, "", nil
	}
	return records, strconv.FormatUint(next, 10), nil
}

// Record returns the feature record of one page, and whether it has one.
func (t *Tracker) Record(ctx context.Context, seed weburl.Seed, id string) ([]byte, bool, error) {
	var b []byte
	err := t.repeat(ctx, func(int) (err error) {
		b, err = t.client.HGet(ctx, t.Key(seed, "r"), id).Bytes()
		return err
	})
	if err == redis.Nil {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, explain("record", string(seed), err)
	}
	return b, true, nil
}

// eventTime is when an event was written: the first half of a stream's id.
func eventTime(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return time.UnixMilli(n)
}
