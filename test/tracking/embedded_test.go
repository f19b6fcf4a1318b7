package tracking

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"limpet"
	"limpet/internal/tracking/trackingtest"
	"limpet/server"
)

// connect opens an embedded store of its own and dials it in memory.
func connect(t testing.TB, fsync limpet.Policy) redis.UniversalClient {
	t.Helper()
	db, err := limpet.Open(t.TempDir(), &limpet.Options{Fsync: fsync})
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(db, server.Options{})
	client := redis.NewClient(&redis.Options{Dialer: s.Dial})
	t.Cleanup(func() {
		_ = client.Close()
		_ = s.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func TestEmbeddedStore_KeepsEveryClaim(t *testing.T) {
	trackingtest.RunSuite(t, func(t *testing.T) redis.UniversalClient { return connect(t, limpet.EverySec) })
}

func BenchmarkClaimComplete_HundredLinks(b *testing.B) {
	trackingtest.Benchmark(b, connect(b, limpet.EverySec))
}
