package fetch

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkFetch is a crawl of small pages, 16 at a time, client and server in
// one process.
func BenchmarkFetch(b *testing.B) {
	body := []byte(strings.Repeat("<p>The limpet's home scar fits its shell, naïve as that may sound.</p>\n", 150))
	for _, coding := range []string{"", "gzip", "br", "zstd"} {
		b.Run("coding="+coding, func(b *testing.B) {
			wire := body
			if coding != "" {
				wire = encode(b, body, coding)
			}
			client := site(b, answerWith(wire, coding))
			var n atomic.Int64
			b.SetParallelism(8)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					url := fmt.Sprintf("http://test.com/%d", n.Add(1))
					if _, err := client.Fetch(b.Context(), Request{URL: url, Seed: "test.com"}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
		})
	}
}

// BenchmarkTransport is the least that net/http can do for a page, to compare.
func BenchmarkTransport(b *testing.B) {
	body := []byte(strings.Repeat("<p>The limpet's home scar fits its shell.</p>\n", 200))
	client := site(b, answerWith(body, ""))
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, _ := http.NewRequest(http.MethodGet, "http://test.com/", nil)
			resp, err := client.transport.RoundTrip(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
}

func BenchmarkToUTF8(b *testing.B) {
	ascii := []byte(strings.Repeat("plain text ", 5000))
	for name, text := range map[string][]byte{"ascii": ascii, "utf8": append([]byte("naïve "), ascii...)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				toUTF8(text, "text/html", false)
			}
		})
	}
}

func BenchmarkRules(b *testing.B) {
	r := parseRules([]byte("User-agent: *\n"+strings.Repeat("Disallow: /some/private/place\nDisallow: /*.php$\n", 20)), "limpet")
	b.ReportAllocs()
	for b.Loop() {
		r.Allowed("http://test.com/docs/library/asyncio-task.html?highlight=await")
	}
}
