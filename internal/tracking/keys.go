package tracking

import "limpet/internal/weburl"

const (
	keyRegistry = "fcrawler:registry"     // sorted set: every seed, by first submission
	keyActive   = "fcrawler:active_seeds" // sorted set: hint of seeds with work, by last activity
	seedPrefix  = "fcrawler:seed:"
)

// prefix is the one place that knows what a seed's keys are called.
func (t *Tracker) prefix(seed weburl.Seed) string {
	if t.options.HashTags {
		return seedPrefix + "{" + string(seed) + "}"
	}
	return seedPrefix + string(seed)
}

// Key returns the full name of one of a seed's keys, for operators and tests:
// Key("test.com", "crawled") is fcrawler:seed:test.com:crawled on one server.
func (t *Tracker) Key(seed weburl.Seed, name string) string {
	return t.prefix(seed) + ":" + name
}

// keyNames are a seed's keys, in the order in which every script gets them.
// scripts/_common.lua takes them apart.
var keyNames = [...]string{
	"status", "total", "crawled", "failed", "last_crawled", "completed_at",
	"m", "u", "url", "q", "d", "l", "r", "ev", "dlq",
}

func (t *Tracker) keys(seed weburl.Seed) []string {
	prefix := t.prefix(seed) + ":"
	keys := make([]string, len(keyNames))
	for i, name := range keyNames {
		keys[i] = prefix + name
	}
	return keys
}
