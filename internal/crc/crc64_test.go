package crc

import (
	"math/rand/v2"
	"testing"
)

// The check value is the one that Redis's own test (src/crc64.c) asks for.
func TestUpdate_CheckString_IsRedisSum(t *testing.T) {
	if got := Update(0, []byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("got %#x", got)
	}
	if got := Update(0, nil); got != 0 {
		t.Errorf("nothing sums to %#x", got)
	}
}

func TestUpdate_InPieces_EqualsBitByBit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for n := range b {
		cut := r.IntN(n + 1)
		if got, want := Update(Update(0, b[:cut]), b[cut:n]), slow(b[:n]); got != want {
			t.Fatalf("%d bytes cut at %d: got %#x, want %#x", n, cut, got, want)
		}
	}
}

// slow is the definition: one bit after the other, most significant bit first on
// reflected input.
func slow(b []byte) uint64 {
	var sum uint64
	for _, c := range b {
		for bit := range 8 {
			top := sum>>63 ^ uint64(c>>bit&1)
			sum <<= 1
			if top != 0 {
				sum ^= 0xad93d23594c935a9
			}
		}
	}
	var reflected uint64
	for bit := range 64 {
		reflected |= sum >> bit & 1 << (63 - bit)
	}
	return reflected
}

func BenchmarkUpdate(b *testing.B) {
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		Update(0, buf)
	}
}
