package modeltest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"limpet/internal/testredis"
)

// Rand returns the source of a test's random numbers and logs its seed.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("LIMPET_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("LIMPET_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("LIMPET_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// Rounds is n, or fifty times as many when LIMPET_TORTURE is set.
func Rounds(n int) int {
	if os.Getenv("LIMPET_TORTURE") != "" {
		return 50 * n
	}
	return n
}

// PackedBytes returns the listpack or intset in which the server keeps the
// value of key, taken from its DUMP, and the type byte of the RDB format. The
// server must run with "rdbcompression no".
func PackedBytes(t testing.TB, server *testredis.Server, key string) (rdbType byte, packed []byte) {
	t.Helper()
	dump, err := server.Client().Dump(context.Background(), key).Bytes()
	if err != nil {
		t.Fatalf("DUMP %s: %v", key, err)
	}
	const footer = 2 + 8 // version, CRC64
	body := dump[1 : len(dump)-footer]
	switch body[0] >> 6 { // the length encodings of RDB strings
	case 0:
		return dump[0], body[1:]
	case 1:
		return dump[0], body[2:]
	}
	if n := binary.BigEndian.Uint32(body[1:]); int(n) != len(body)-5 {
		t.Fatalf("DUMP %s: string of %d bytes in a body of %d", key, n, len(body))
	}
	return dump[0], body[5:]
}
