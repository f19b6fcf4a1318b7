package tracking_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"limpet/internal/testredis"
	"limpet/internal/tracking/trackingtest"
)

func TestSuite_OnRedis(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	trackingtest.RunSuite(t, func(t *testing.T) redis.UniversalClient {
		server.Do("flushall")
		return server.Client()
	})
}
