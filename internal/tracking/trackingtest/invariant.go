package trackingtest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// Snapshot is everything a seed's keys hold, read in one step and without any of
// the scripts.
type Snapshot struct {
	Strings map[string]string            // total crawled failed status last_crawled completed_at
	Hashes  map[string]map[string]string // m u url r dlq
	Scores  map[string]map[string]float64
}

// Read takes a snapshot. It reads whole keys: for the seeds of tests.
func Read(ctx context.Context, c redis.UniversalClient, t *tracking.Tracker, seed weburl.Seed) (Snapshot, error) {
	s := Snapshot{map[string]string{}, map[string]map[string]string{}, map[string]map[string]float64{}}
	strs := map[string]*redis.StringCmd{}
	hashes := map[string]*redis.MapStringStringCmd{}
	zsets := map[string]*redis.ZSliceCmd{}
	_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range []string{"total", "crawled", "failed", "status", "last_crawled", "completed_at"} {
			strs[name] = p.Get(ctx, t.Key(seed, name))
		}
		for _, name := range []string{"m", "u", "url", "r", "dlq"} {
			hashes[name] = p.HGetAll(ctx, t.Key(seed, name))
		}
		for _, name := range []string{"q", "d", "l"} {
			zsets[name] = p.ZRangeWithScores(ctx, t.Key(seed, name), 0, -1)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return s, err
	}
	for name, cmd := range strs {
		if cmd.Err() == nil {
			s.Strings[name] = cmd.Val()
		}
	}
	for name, cmd := range hashes {
		s.Hashes[name] = cmd.Val()
	}
	for name, cmd := range zsets {
		s.Scores[name] = map[string]float64{}
		for _, z := range cmd.Val() {
			s.Scores[name][z.Member.(string)] = z.Score
		}
	}
	return s, nil
}

// CheckInvariant recounts a seed and returns what does not add up:
//
//	total = |u|   crawled = #C = |r|   failed = #F = |dlq|   skipped = #X
//	|q| + |d| = #Q   |l| = #L   |url| = |u| - #C
//	total = crawled + failed + skipped + |q| + |d| + |l|
func CheckInvariant(ctx context.Context, c redis.UniversalClient, t *tracking.Tracker, seed weburl.Seed) error {
	s, err := Read(ctx, c, t, seed)
	if err != nil {
		return err
	}
	return s.Check()
}

// Check is CheckInvariant on a snapshot.
func (s Snapshot) Check() error {
	var wrong []string
	count := map[byte]int{}
	for id, value := range s.Hashes["u"] {
		if value == "" {
			return fmt.Errorf("page %s: empty value in u", id)
		}
		count[value[0]]++
		_, q := s.Scores["q"][id]
		_, d := s.Scores["d"][id]
		_, l := s.Scores["l"][id]
		_, url := s.Hashes["url"][id]
		_, dlq := s.Hashes["dlq"][id]
		_, r := s.Hashes["r"][id]
		have := fmt.Sprint(q || d, l, url, dlq, r)
		want := map[byte]string{
			'Q': "true false true false false",
			'L': "false true true false false",
			'C': "false false false false true",
			'F': "false false true true false",
			'X': "false false true false false",
		}[value[0]]
		if have != want || q && d {
			wrong = append(wrong, fmt.Sprintf("page %s in state %q: in queue, leased, url, dead letter, record: have %s, want %s", id, value, have, want))
		}
	}
	equal := func(what, have string, want int) {
		if have != fmt.Sprint(want) {
			wrong = append(wrong, fmt.Sprintf("%s: have %s, want %d", what, have, want))
		}
	}
	equal("total", s.Strings["total"], len(s.Hashes["u"]))
	equal("crawled", s.Strings["crawled"], count['C'])
	equal("failed", s.Strings["failed"], count['F'])
	equal("skipped", s.Hashes["m"]["skipped"], count['X'])
	equal("|q| + |d|", fmt.Sprint(len(s.Scores["q"])+len(s.Scores["d"])), count['Q'])
	equal("|l|", fmt.Sprint(len(s.Scores["l"])), count['L'])
	equal("|r|", fmt.Sprint(len(s.Hashes["r"])), count['C'])
	equal("|dlq|", fmt.Sprint(len(s.Hashes["dlq"])), count['F'])
	equal("|url|", fmt.Sprint(len(s.Hashes["url"])), len(s.Hashes["u"])-count['C'])

	pending := count['Q'] + count['L']
	_, ended := s.Strings["completed_at"]
	if status := s.Strings["status"]; ended != (pending == 0) || (status == "completed") != (pending == 0 && status != "cancelled") {
		wrong = append(wrong, fmt.Sprintf("status %s, ended %v, with %d pages pending", status, ended, pending))
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}
