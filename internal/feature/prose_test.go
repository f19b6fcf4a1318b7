package feature

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/bits"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func proseOf(pieces ...string) *Text {
	var p prose
	for _, piece := range pieces {
		p.text([]byte(piece))
	}
	return p.describe()
}

// textOf is what the reader of a page would call its text.
func textOf(html string) *Text {
	r, _ := Extract(pageInput(html))
	return r.Text
}

func TestText_IsWhatAReaderReads(t *testing.T) {
	for html, want := range map[string]string{
		"<p>Fine <b>Sh</b>ells":                                 "Fine Shells",
		"<p>one</p><p>two</p>":                                  "one two",
		"one<br>two<hr>three":                                   "one two three",
		" \n one \t two&nbsp; three \n":                         "one two three",
		"<title>no</title><style>no</style><script>no</script>": "",
		"<textarea>no</textarea><iframe>no</iframe>yes":         "yes",
		"<noscript>yes</noscript>":                              "yes",
		"a&lt;b&amp;c":                                          "a<b&c",
		"<!-- no -->yes":                                        "yes",
		"<b></b>":                                               "",
	} {
		if got := textOf(html); *got != *proseOf(want) {
			t.Errorf("%s: %+v; want as of %q: %+v", html, got, want, proseOf(want))
		}
	}
}

func TestText_Words(t *testing.T) {
	for text, want := range map[string]int{
		"":                          0,
		" .,;- ":                    0,
		"one":                       1,
		"don't":                     2,
		"naïve Ünïcode":             2,
		"e\u0301te\u0301":           1, // combining accents
		"soft\u00adhyphen":          1,
		"3.14":                      2,
		"カサガイは元":                    6,
		"abc貝def":                   3,
		"привет, мир":               2,
		"삿갓조개 붙어":                   2,
		strings.Repeat("é ", 10000): 10000,
	} {
		if got := proseOf(text).Words; got != want {
			t.Errorf("%.20q: %d words, want %d", text, got, want)
		}
	}
}

// However a text is cut into pieces, and in whatever case it is written, the
// sums are those of a plain reading.
func TestText_EqualsAPlainReading(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "B", "1", " ", "\n", "\u00a0", ".", "é", "É", "貝", "か", "\u00ad", "—", "word", "ж", "\xff"})
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(piece, 0, 50).Draw(t, "pieces")
		if rapid.Bool().Draw(t, "long") {
			pieces = append(pieces, strings.Repeat("long text ", flushAt/5))
		}
		whole := strings.Join(pieces, "")
		got := proseOf(pieces...)
		if again := proseOf(whole); *got != *again {
			t.Fatalf("in pieces %+v, whole %+v", got, again)
		}
		plain := strings.Join(strings.Fields(whole), " ")
		sum := sha256.Sum256([]byte(plain))
		if got.SHA256 != hex.EncodeToString(sum[:]) || got.Characters != utf8.RuneCountInString(plain) {
			t.Fatalf("%q: %+v", plain, got)
		}
		if lower := proseOf(strings.ToLower(strings.ToValidUTF8(whole, "\ufffd"))); got.SimHash != lower.SimHash || got.Words != lower.Words {
			t.Fatalf("case matters: %+v, in lower case %+v", got, lower)
		}
	})
}

// plainSimHash is the textbook's, with a counter a bit.
func plainSimHash(words []string) string {
	var counters [64]int
	n := 0
	for i := 2; i < len(words); i++ {
		var h [3]uint64
		for j := range h {
			f := fnv.New64a()
			_, _ = f.Write([]byte(words[i-2+j]))
			h[j] = f.Sum64()
		}
		s := shingle(h[0], h[1], h[2])
		n++
		for bit := range counters {
			if s>>bit&1 == 1 {
				counters[bit]++
			}
		}
	}
	var sum uint64
	for bit, count := range counters {
		if 2*count > n {
			sum |= 1 << bit
		}
	}
	return fmt.Sprintf("%016x", sum)
}

func TestSimHash_EqualsTheTextbook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-c]{1,3}`), 3, 200).Draw(t, "words")
		if got, want := proseOf(strings.Join(words, " ")).SimHash, plainSimHash(words); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func TestSimHash_SimilarTextsAreNear_OthersFar(t *testing.T) {
	var words []string
	for i := range 400 {
		words = append(words, fmt.Sprintf("word%d", i*i%397))
	}
	hash := func(words []string) (h uint64) {
		_, _ = fmt.Sscanf(proseOf(strings.Join(words, " ")).SimHash, "%x", &h)
		return h
	}
	original := hash(words)
	words[100], words[300] = "changed", "too"
	if d := bits.OnesCount64(original ^ hash(words)); d > 8 {
		t.Errorf("two words of 400 changed %d bits", d)
	}
	for i := range words {
		words[i] = "other" + words[i]
	}
	if d := bits.OnesCount64(original ^ hash(words)); d < 16 {
		t.Errorf("another text differs in %d bits only", d)
	}
	if proseOf("a").SimHash == proseOf("b").SimHash || proseOf("a b").SimHash == proseOf("b a").SimHash {
		t.Error("texts of one or two words must differ too")
	}
}
