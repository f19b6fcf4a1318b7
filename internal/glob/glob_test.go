package glob

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"limpet/internal/modeltest"
	"limpet/internal/testredis"
)

func random(rnd *rand.Rand, alphabet string, n int) string {
	b := make([]byte, rnd.IntN(n+1))
	for i := range b {
		b[i] = alphabet[rnd.IntN(len(alphabet))]
	}
	return string(b)
}

func TestMatch_RandomPatterns_AgreeWithRedis(t *testing.T) {
	rnd := modeltest.Rand(t)
	ctx := context.Background()
	client := testredis.Start(t, testredis.Options{}).Client()
	names := []string{"", "a", "^", "-", "]", "\\", "*", "\xff", "\x80"}
	for range 300 {
		names = append(names, random(rnd, "aabbcdABz-]^\\[*?\x80\xff\x00", 6))
	}
	for _, name := range names {
		if err := client.Set(ctx, name, "", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	patterns := []string{"", "*", "**", "\\", "[", "[^", "[a", "[a-", "[a-c", "[\\", "a\\", "a*\\", "[z-a]", "[a-\xff]", "[a-]", "[]", "[^]", "*[^]*"}
	for range modeltest.Rounds(3000) {
		patterns = append(patterns, random(rnd, "aabbcd**??[[]]^-\\z\x80\xff\x00", 8))
	}
	for _, p := range patterns {
		got, err := client.Keys(ctx, p).Result()
		if err != nil {
			t.Fatal(err)
		}
		if p == "*" {
			continue // KEYS lists everything without matching: "" too
		}
		slices.Sort(got)
		var ours []string
		for _, name := range names {
			if Match(p, []byte(name)) {
				ours = append(ours, name)
			}
		}
		if !slices.Equal(got, ours) {
			t.Fatalf("pattern %q: redis %q, we %q", p, got, ours)
		}
	}
}

// CONFIG GET matches parameter names without case.
func TestMatchFold_RandomPatterns_AgreeWithRedis(t *testing.T) {
	rnd := modeltest.Rand(t)
	ctx := context.Background()
	client := testredis.Start(t, testredis.Options{}).Client()
	all, err := client.ConfigGet(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for range modeltest.Rounds(500) {
		p := "*" + random(rnd, "aAsSeE-**??[[]]^\\", 7) + "*"
		got, err := client.ConfigGet(ctx, p).Result()
		if err != nil {
			t.Fatal(err)
		}
		for name := range all {
			if _, want := got[name]; MatchFold(p, name) != want {
				t.Fatalf("pattern %q, name %q: redis %v", p, name, want)
			}
		}
	}
}

func TestMatch_ManyStars_TakesNoExponentialTime(t *testing.T) {
	pattern := []byte(strings.Repeat("a*", 5000) + "b")
	s := bytes.Repeat([]byte("a"), 20000)
	start := time.Now()
	if Match(pattern, s) {
		t.Fatal("matched")
	}
	if d := time.Since(start); d > 60*time.Second {
		t.Fatalf("took %v", d)
	}
}

func FuzzMatch_NeverPanics_LiteralsMatchThemselves(f *testing.F) {
	f.Add([]byte("a[^b-\\"), []byte("abc"))
	f.Add([]byte("*[*\\"), []byte("x*"))
	f.Fuzz(func(t *testing.T, pattern, s []byte) {
		Match(pattern, s)
		MatchFold(pattern, s)
		if !bytes.ContainsAny(pattern, "[\\*?") && Match(pattern, s) != bytes.Equal(pattern, s) {
			t.Fatalf("literal %q and %q", pattern, s)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	pattern, s := []byte("fcrawler:seed:*:total"), []byte("fcrawler:seed:www.example.com:total")
	b.ReportAllocs()
	for b.Loop() {
		Match(pattern, s)
	}
}
