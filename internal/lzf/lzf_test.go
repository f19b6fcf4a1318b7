package lzf

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func roundTrip(t *testing.T, c *Compressor, src []byte) (packed int) {
	t.Helper()
	dst := make([]byte, len(src)*33/32+2)
	n := c.Compress(dst, src)
	if n == 0 && len(src) > 0 {
		t.Fatalf("%d bytes do not fit into %d", len(src), len(dst))
	}
	out := make([]byte, len(src))
	if err := Decompress(out, dst[:n]); err != nil || !bytes.Equal(out, src) {
		t.Fatalf("%d bytes came back otherwise: %v", len(src), err)
	}
	return n
}

func TestCompress_ThenDecompress_IsTheSame(t *testing.T) {
	var c Compressor
	r := rand.New(rand.NewPCG(3, 4))
	for size := range 600 {
		random := make([]byte, size)
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		few := make([]byte, size*7)
		for i := range few {
			few[i] = "abc"[r.IntN(3)]
		}
		roundTrip(t, &c, random)
		roundTrip(t, &c, few)
		roundTrip(t, &c, bytes.Repeat([]byte{'x'}, size))
		roundTrip(t, &c, append(random, random...))
	}
}

func TestCompress_Repetition_GetsSmall(t *testing.T) {
	var c Compressor
	text := []byte(strings.Repeat("https://test.com/a/path?with=a&query=1\n", 100))
	if n := roundTrip(t, &c, text); n > len(text)/20 {
		t.Errorf("%d bytes packed into %d", len(text), n)
	}
	far := append(bytes.Repeat([]byte("0123456789abcdef"), 1), make([]byte, maxBack-16)...)
	roundTrip(t, &c, append(far, "0123456789abcdef..."...))
}

func TestCompress_AfterTheTableIsUsedUp_StillRight(t *testing.T) {
	c := Compressor{base: 1<<32 - 1000}
	for range 5 {
		roundTrip(t, &c, bytes.Repeat([]byte("abcdefg "), 60))
	}
}

func TestCompress_NoRoom_Is0(t *testing.T) {
	var c Compressor
	src := []byte(strings.Repeat("abcabcd", 40))
	n := roundTrip(t, &c, src)
	for room := range n {
		if got := c.Compress(make([]byte, room), src); got != 0 {
			t.Errorf("%d bytes written into %d", got, room)
		}
	}
}

// Packed by redis-server 7.0.15 (DUMP of forty times "a", then "b").
func TestDecompress_WrittenByRedis(t *testing.T) {
	out := make([]byte, 41)
	err := Decompress(out, []byte{0x01, 'a', 'a', 0xe0, 0x1c, 0x00, 0x01, 'a', 'b'})
	if want := strings.Repeat("a", 40) + "b"; err != nil || string(out) != want {
		t.Errorf("got %q, %v", out, err)
	}
}

func FuzzDecompress(f *testing.F) {
	f.Add([]byte{0x01, 'a', 'a', 0xe0, 0x1c, 0x00, 0x01, 'a', 'b'}, 41)
	f.Add([]byte{0x20, 0x00}, 3)
	f.Add([]byte{0xff, 0xff, 0xff}, 264)
	var c Compressor
	f.Fuzz(func(t *testing.T, src []byte, size int) {
		if size < 0 || size > len(src)*MaxExpansion+maxMatch {
			return
		}
		if Decompress(make([]byte, size), src) == nil && size > len(src)*MaxExpansion {
			t.Errorf("%d bytes unpacked to %d", len(src), size)
		}
		roundTrip(t, &c, src)
	})
}

func BenchmarkCompress(b *testing.B) {
	var c Compressor
	src := []byte(strings.Repeat("https://test.com/a/path?with=a&query=1\n", 100))
	dst := make([]byte, len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		c.Compress(dst, src)
	}
}

func BenchmarkDecompress(b *testing.B) {
	var c Compressor
	src := []byte(strings.Repeat("https://test.com/a/path?with=a&query=1\n", 100))
	dst := make([]byte, len(src))
	n := c.Compress(dst, src)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		_ = Decompress(src, dst[:n])
	}
}
