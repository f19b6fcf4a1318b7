package fetch

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const page = "<!doctype html><title>Limpet</title><p>It comes back to exactly its own spot."

// encode applies codings in the order given.
func encode(t testing.TB, data []byte, codings ...string) []byte {
	t.Helper()
	for _, coding := range codings {
		var b bytes.Buffer
		var w io.WriteCloser
		switch coding {
		case "gzip":
			w = gzip.NewWriter(&b)
		case "br":
			w = brotli.NewWriter(&b)
		case "zstd":
			var err error
			if w, err = zstd.NewWriter(&b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		data = b.Bytes()
	}
	return data
}

// answerWith serves one body with one Content-Encoding.
func answerWith(body []byte, encoding string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if encoding != "" {
			w.Header().Set("Content-Encoding", encoding)
		}
		_, _ = w.Write(body)
	}
}

func TestBody_EveryCoding_ComesOutAsItWentIn(t *testing.T) {
	for _, c := range []struct {
		header string
		wire   []byte
	}{
		{"", []byte(page)},
		{"identity", []byte(page)},
		{"gzip", encode(t, []byte(page), "gzip")},
		{"GZip", encode(t, []byte(page), "gzip")},
		{"x-gzip", encode(t, []byte(page), "gzip")},
		{"br", encode(t, []byte(page), "br")},
		{"zstd", encode(t, []byte(page), "zstd")},
		{"gzip, br", encode(t, []byte(page), "gzip", "br")},
		{"gzip", append(encode(t, []byte(page[:9]), "gzip"), encode(t, []byte(page[9:]), "gzip")...)},
		{"gzip", append(encode(t, []byte(page), "gzip"), "trailing bytes"...)},
		{"zstd", append(encode(t, []byte(page[:9]), "zstd"), encode(t, []byte(page[9:]), "zstd")...)},
	} {
		client := site(t, answerWith(c.wire, c.header))
		for range 3 { // the decoders are used again
			r := get(t, client, "http://test.com/")
			if string(r.Body) != page || r.RawSize != int64(len(c.wire)) || r.Truncated {
				t.Errorf("%s: %d bytes of %d on the wire (cut: %v): %q", c.header, r.RawSize, len(c.wire), r.Truncated, r.Body)
			}
		}
	}
}

func TestBody_AcceptEncoding_NamesWhatCanBeDecoded(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Accept-Encoding"))
	})
	for coding := range strings.SplitSeq(string(get(t, client, "http://test.com/").Body), ", ") {
		if decoders[coding] == nil {
			t.Errorf("%q is asked for and cannot be decoded", coding)
		}
	}
}

func TestBody_OverTheLimit_IsCutAndSaysSo(t *testing.T) {
	const limit = 1000
	for _, c := range []struct {
		size int
		cut  bool
	}{{limit - 1, false}, {limit, false}, {limit + 1, true}, {100 * limit, true}} {
		body := bytes.Repeat([]byte("a"), c.size)
		for _, coding := range []string{"", "gzip", "br", "zstd"} {
			wire := body
			if coding != "" {
				wire = encode(t, body, coding)
			}
			client := site(t, answerWith(wire, coding), func(o *Options) { o.MaxBody = limit })
			r := get(t, client, "http://test.com/")
			if r.Truncated != c.cut || len(r.Body) != min(c.size, limit) || r.RawSize > limit {
				t.Errorf("%d bytes in %q: cut %v, %d bytes, %d on the wire", c.size, coding, r.Truncated, len(r.Body), r.RawSize)
			}
		}
	}
}

// 4 MiB of zeros are 4 KiB in gzip and a few dozen bytes in brotli.
func TestBody_Bomb_StopsAtTheLimit(t *testing.T) {
	zeros := make([]byte, 4<<20)
	for _, codings := range [][]string{{"gzip"}, {"br"}, {"zstd"}, {"gzip", "gzip"}} {
		client := site(t, answerWith(encode(t, zeros, codings...), strings.Join(codings, ", ")),
			func(o *Options) { o.MaxBody = 64 << 10 })
		if r := get(t, client, "http://test.com/"); !r.Truncated || len(r.Body) > 64<<10 {
			t.Errorf("%s: cut %v, %d bytes", codings, r.Truncated, len(r.Body))
		}
	}
}

// A stream of empty gzip members never yields a byte; the limit on the wire
// ends it.
func TestBody_CodedNothing_StopsAtTheLimit(t *testing.T) {
	empty := encode(t, nil, "gzip")
	client := site(t, answerWith(bytes.Repeat(empty, 10000), "gzip"), func(o *Options) { o.MaxBody = 1000 })
	if r := get(t, client, "http://test.com/"); !r.Truncated || len(r.Body) != 0 || r.RawSize != 1000 {
		t.Errorf("cut %v, %d bytes, %d on the wire", r.Truncated, len(r.Body), r.RawSize)
	}
}

func TestBody_NotAsLabelled_IsABodyError(t *testing.T) {
	gz := encode(t, []byte(strings.Repeat(page, 100)), "gzip")
	for _, c := range []struct {
		name, encoding string
		wire           []byte
		retryable      bool
	}{
		{"plain text as gzip", "gzip", []byte(page), false},
		{"plain text as zstd", "zstd", []byte(page), false},
		{"plain text as brotli", "br", []byte(strings.Repeat(page, 10)), false},
		{"damaged gzip", "gzip", append(bytes.Clone(gz[:10]), bytes.Repeat([]byte{0xff}, 50)...), false},
		{"half a gzip", "gzip", gz[:len(gz)/2], true},
		{"gzip without its checksum", "gzip", gz[:len(gz)-8], true},
		{"a coding not asked for", "compress", []byte(page), false},
		{"three codings", "gzip, gzip, gzip", encode(t, []byte(page), "gzip", "gzip", "gzip"), false},
	} {
		_, e := getErr(t, site(t, answerWith(c.wire, c.encoding)), "http://test.com/")
		if e.Kind != KindBody || e.Retryable != c.retryable {
			t.Errorf("%s: kind %s, retryable %v: %v", c.name, e.Kind, e.Retryable, e)
		}
	}
}

func TestBody_Empty_IsEmptyInAnyCoding(t *testing.T) {
	for _, coding := range []string{"", "gzip", "br", "zstd", "compress"} {
		if r := get(t, site(t, answerWith(nil, coding)), "http://test.com/"); len(r.Body) != 0 || r.Truncated {
			t.Errorf("%q: %d bytes", coding, len(r.Body))
		}
	}
}

func TestBody_WindowTooLarge_IsRefusedNotAllocated(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	// Written in parts, so that the frame does not state its size.
	for range 4 {
		_, _ = w.Write(make([]byte, 4<<20))
	}
	_ = w.Close()
	if _, e := getErr(t, site(t, answerWith(b.Bytes(), "zstd")), "http://test.com/"); e.Kind != KindBody || e.Retryable {
		t.Errorf("kind %s, retryable %v: %v", e.Kind, e.Retryable, e)
	}
}

func TestBody_ShorterThanContentLength_IsRetryable(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\nhalf")
	})
	_, e := getErr(t, newClient(t, addr), "http://test.com/")
	if e.Kind != KindBody || !e.Retryable || !strings.Contains(e.Error(), "body ends after 4 bytes") {
		t.Errorf("kind %s, retryable %v: %v", e.Kind, e.Retryable, e)
	}
}

func TestBody_LongerThanContentLength_EndsThere(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nfour and more")
	})
	if r := get(t, newClient(t, addr), "http://test.com/"); string(r.Body) != "four" {
		t.Errorf("got %q", r.Body)
	}
}

func TestBody_BrokenChunks_AreRetryable(t *testing.T) {
	addr := serveRaw(t, func(c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n")
	})
	if _, e := getErr(t, newClient(t, addr), "http://test.com/"); e.Kind != KindBody || !e.Retryable {
		t.Errorf("kind %s, retryable %v: %v", e.Kind, e.Retryable, e)
	}
}

// The end of a coded body is read too, so the next page needs no new
// connection.
func TestBody_ReadToItsEnd_ConnectionIsUsedAgain(t *testing.T) {
	for _, coding := range []string{"", "gzip", "br", "zstd"} {
		wire := []byte(page)
		if coding != "" {
			wire = encode(t, wire, coding)
		}
		conns := make(map[string]bool)
		client := site(t, func(w http.ResponseWriter, r *http.Request) {
			conns[r.RemoteAddr] = true
			answerWith(wire, coding)(w, r)
		})
		for i := range 5 {
			get(t, client, fmt.Sprintf("http://test.com/%d", i))
		}
		if len(conns) != 1 {
			t.Errorf("%q: %d connections for 5 pages", coding, len(conns))
		}
	}
}
