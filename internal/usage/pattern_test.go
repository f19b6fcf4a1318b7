package usage

import (
	"maps"
	"strings"
	"testing"

	"limpet/rdb"
)

func TestPattern_TakesIdsOutOfNames(t *testing.T) {
	for key, want := range map[string]string{
		"fcrawler:seed:test.com:total":                 "fcrawler:seed:*:total",
		"fcrawler:seed:www.xn--mnchen-3ya.example:url": "fcrawler:seed:*:url",
		"fcrawler:seed:{test.com}:total":               "fcrawler:seed:{*}:total",
		"fcrawler:registry":                            "fcrawler:registry",
		"user:42":                                      "user:*",
		"user:-42":                                     "user:*",
		"rate:10.0.0.7:1700000000":                     "rate:*:*",
		"session:9f86d081884c7d65":                     "session:*",
		"session:550e8400-e29b-41d4-a716-446655440000": "session:*",
		"mail:someone@example.com":                     "mail:*",
		"page-7":                                       "page-*",
		"item42":                                       "item*",
		"v1:config":                                    "v1:config",
		"facade:deadbeef":                              "facade:deadbeef", // a word, for all we know
		"a::b":                                         "a::b",
		"":                                             "",
		"1.5":                                          "*",
	} {
		if got := (Shape{}).Pattern(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
	if got := (Shape{Depth: 2}).Pattern("a:b:c:d"); got != "a:b:*" {
		t.Error(got)
	}
	if got := (Shape{Separator: "/"}).Pattern("a:1/12/c"); got != "a:1/*/c" {
		t.Error(got)
	}
	if got := (Shape{}).Pattern(strings.Repeat("long", 1_000_000)); len(got) > 2000 {
		t.Errorf("a pattern of %d bytes", len(got))
	}
}

// A single digit is a number where longer ones stand in its place, and a name
// where none do.
func TestMemory_SingleDigits_JoinLongerNumbers(t *testing.T) {
	m := NewMemory(Shape{})
	for _, key := range []string{"k1", "k2", "k33", "v1:config", "v2:config", "user3:name", "user44:name"} {
		m.add(rdb.Entry{Key: []byte(key), Value: rdb.String("x"), ExpireAtMs: 1})
	}
	m.Close()
	got := map[string]int64{}
	for _, g := range m.Groups {
		got[g.Pattern] = g.Keys
		if g.WithTTL != g.Keys || g.Types["string"] != g.Keys {
			t.Errorf("%+v", g)
		}
	}
	want := map[string]int64{"k*": 3, "v1:config": 1, "v2:config": 1, "user*:name": 2}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Names without a system are one group in the end, and are all counted.
func TestMemory_TooManyPatterns_AreFolded(t *testing.T) {
	m := NewMemory(Shape{})
	letters := func(n int) (s string) {
		for range 5 {
			s += string(rune('g' + n%16))
			n /= 16
		}
		return s
	}
	const keys = mostGroups + 1000
	for i := range keys {
		m.add(rdb.Entry{Key: []byte(letters(i)), Value: rdb.String("x")})
	}
	m.Close()
	if m.Keys != keys || m.Folded != 1000 || len(m.Groups) != mostGroups+1 || m.Groups[0].Pattern != foldedPattern {
		t.Errorf("%d keys, %d folded, %d groups, first %q", m.Keys, m.Folded, len(m.Groups), m.Groups[0].Pattern)
	}
}
