package tracking_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/testredis"
	"limpet/internal/tracking"
	"limpet/internal/tracking/trackingtest"
)

func TestSuite_OnRedis(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	trackingtest.RunSuite(t, func(t *testing.T) redis.UniversalClient {
		server.Do("flushall")
		return server.Client()
	})
}

func TestSuite_OnCluster(t *testing.T) {
	client := startCluster(t)
	trackingtest.RunSuite(t, func(t *testing.T) redis.UniversalClient {
		err := client.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
			return node.FlushAll(ctx).Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		return client
	})
	t.Run("CheckStore_EveryMasterIsAsked", func(t *testing.T) {
		for _, c := range []struct {
			tags bool
			want int // findings: appendonly off, and plain names where there are
		}{{true, 2}, {false, 4}} {
			findings, err := tracking.New(client, tracking.Options{HashTags: c.tags}).CheckStore(t.Context())
			if err != nil || len(findings) != c.want || tracking.Refusal(findings) == nil {
				t.Errorf("hash tags %v: %v, %v", c.tags, findings, err)
			}
		}
	})
}

// startCluster makes a Cluster of two masters.
func startCluster(t *testing.T) *redis.ClusterClient {
	var servers []*testredis.Server
	var addrs []string
	var bus []string
	for range 2 {
		bus = append(bus, freePort(t))
		s := testredis.Start(t, testredis.Options{Args: []string{"--cluster-enabled", "yes", "--cluster-port", bus[len(bus)-1]}})
		servers = append(servers, s)
		addrs = append(addrs, s.Addr())
	}
	servers[0].Do("cluster", "addslotsrange", 0, 8191)
	servers[1].Do("cluster", "addslotsrange", 8192, 16383)
	servers[1].Do("cluster", "set-config-epoch", 2)
	servers[0].Do("cluster", "meet", "127.0.0.1", servers[1].Port(), bus[1])
	for _, s := range servers {
		await(t, "the Cluster to be formed", func() bool {
			info := s.Client().ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2")
		})
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, MaxRedirects: 8})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited 20 s for %s", what)
		case <-tick.C:
		}
	}
}

func BenchmarkClaimComplete_HundredLinks(b *testing.B) {
	server := testredis.Start(b, testredis.Options{Args: []string{"--appendonly", "yes"}})
	trackingtest.Benchmark(b, server.Client())
}
