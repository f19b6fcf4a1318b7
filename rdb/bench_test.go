package rdb

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// benchEntries is what the tracking of a crawl looks like: short strings, small
// hashes, one large set.
func benchEntries() []Entry {
	var es []Entry
	for i := range 20_000 {
		es = append(es,
			Entry{Key: fmt.Appendf(nil, "fcrawler:page:%d", i), Value: String(fmt.Sprintf("https://test.com/docs/page-%d.html", i))},
			Entry{Key: fmt.Appendf(nil, "fcrawler:meta:%d", i), Value: pairsOf(words(12, 12))})
	}
	return append(es, Entry{Key: []byte("seen"), Value: Set(words(50_000, 24))})
}

func BenchmarkEncode(b *testing.B) {
	es := benchEntries()
	for _, o := range []EncoderOptions{{}, {NoCompression: true}} {
		b.Run(fmt.Sprintf("compress=%v", !o.NoCompression), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e := NewEncoder(io.Discard, o)
				for _, en := range es {
					if err := e.Entry(en); err != nil {
						b.Fatal(err)
					}
				}
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(e.Written())
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	file := encode(b, benchEntries(), EncoderOptions{NoCompression: true})
	for _, keep := range []bool{false, true} {
		b.Run(fmt.Sprintf("packed=%v", keep), func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				if es, err := decode(bytes.NewReader(file), DecoderOptions{KeepPacked: keep}); err != nil || len(es) != 40_001 {
					b.Fatal(len(es), err)
				}
			}
		})
	}
}
