package tracking_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/testredis"
	"limpet/internal/tracking"
	"limpet/internal/tracking/trackingtest"
	"limpet/internal/weburl"
)

const seed = weburl.Seed("test.com")

func pages(depth, from, to int) []tracking.PageRef {
	var refs []tracking.PageRef
	for i := from; i < to; i++ {
		refs = append(refs, tracking.PageRef{URL: fmt.Sprintf("https://test.com/%d", i), Depth: depth})
	}
	return refs
}

func submit(t *testing.T, tracker *tracking.Tracker, n int) {
	t.Helper()
	_, err := tracker.Submit(t.Context(), tracking.SubmitRequest{Seed: seed, URLs: pages(0, 0, n)})
	if err != nil {
		t.Fatal(err)
	}
}

func completeOne(t *testing.T, tracker *tracking.Tracker, children ...tracking.PageRef) {
	t.Helper()
	leases, _, err := tracker.Claim(t.Context(), seed, 1, time.Hour)
	if err != nil || len(leases) != 1 {
		t.Fatalf("claimed %d, %v", len(leases), err)
	}
	r, err := tracker.Complete(t.Context(), leases[0], tracking.Completion{Record: []byte("record"), Children: children})
	if err != nil || r.Outcome != tracking.Done {
		t.Fatalf("complete: %+v, %v", r, err)
	}
}

// crawlToTheEnd takes every page whose worker is gone, and crawls what is left.
func crawlToTheEnd(t *testing.T, client redis.UniversalClient, tracker *tracking.Tracker, total int64, links func(tracking.Lease) []tracking.PageRef) {
	t.Helper()
	ctx := t.Context()
	for {
		for _, z := range client.ZRange(ctx, tracker.Key(seed, "l"), 0, -1).Val() {
			client.ZAdd(ctx, tracker.Key(seed, "l"), redis.Z{Score: 1, Member: z}) // its time passes
		}
		if _, err := tracker.Reap(ctx, seed, 0); err != nil {
			t.Fatal(err)
		}
		leases, info, err := tracker.Claim(ctx, seed, 100, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if len(leases) == 0 && info.Status.Finished() {
			break
		}
		for _, l := range leases {
			if _, err := tracker.Complete(ctx, l, tracking.Completion{Children: links(l)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := trackingtest.CheckInvariant(ctx, client, tracker, seed); err != nil {
		t.Fatal(err)
	}
	if p, err := tracker.Progress(ctx, seed); err != nil || p.Crawled != total || p.Total != total {
		t.Fatalf("at the end %+v, %v: want %d pages", p, err, total)
	}
}

// TestTornTransaction_TwoRestartsOnRedis_CountsAreMendedBeforeTheFirstClaim is
// trap D: Redis 7.0 cuts a log that is torn inside a MULTI after the last whole
// command and leaves the MULTI open; at the next restart but one, the torn half
// is executed together with what followed.
func TestTornTransaction_TwoRestartsOnRedis_CountsAreMendedBeforeTheFirstClaim(t *testing.T) {
	whole := writeLog(t)
	last := bytes.LastIndex(whole, []byte("*1\r\n$5\r\nMULTI\r\n"))
	if last < 0 {
		t.Fatal("no transaction in the log")
	}
	cuts := tears(whole, last)
	if os.Getenv("LIMPET_TORTURE") == "1" {
		cuts = nil
		for cut := last + 1; cut < len(whole); cut++ {
			cuts = append(cuts, cut)
		}
	}
	ran, broken := 0, 0
	for _, cut := range cuts {
		t.Run(fmt.Sprintf("cut %d bytes into it", cut-last), func(t *testing.T) {
			server := testredis.Start(t, testredis.Options{Dir: logDir(t, whole[:cut]), Args: []string{"--appendonly", "yes"}})
			client := server.Client()
			tracker := tracking.New(client, tracking.Options{})
			// Written by a worker that does not know of the restart: a lease of
			// before, extended until it is completed.
			if l, ok := anyLease(t, client, tracker); ok {
				if _, err := tracker.Complete(t.Context(), l, tracking.Completion{}); err != nil {
					t.Fatal(err)
				}
			}
			server.Restart()
			client = server.Client()
			tracker = tracking.New(client, tracking.Options{})
			if trackingtest.CheckInvariant(t.Context(), client, tracker, seed) != nil {
				broken++
			}
			ran++
			crawlToTheEnd(t, client, tracker, 9, func(tracking.Lease) []tracking.PageRef { return pages(1, 5, 9) })
		})
	}
	if broken < ran/2 {
		t.Errorf("%d of %d cuts broke the count: the test does not show what it is for", broken, ran)
	}
	t.Logf("%d of %d cuts broke the count on this Redis", broken, ran)
}

// writeLog makes a log that ends in the completion of a page, with another page
// in flight, and returns its bytes.
func writeLog(t *testing.T) []byte {
	server := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	tracker := tracking.New(server.Client(), tracking.Options{})
	submit(t, tracker, 5)
	completeOne(t, tracker)
	if _, _, err := tracker.Claim(t.Context(), seed, 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	completeOne(t, tracker, pages(1, 5, 9)...)
	server.Stop()
	whole, err := os.ReadFile(filepath.Join(server.Dir(), "appendonlydir", "appendonly.aof.1.incr.aof"))
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// logDir is a directory of Redis with nothing but the given log.
func logDir(t *testing.T, log []byte) string {
	dir := t.TempDir()
	sub := filepath.Join(dir, "appendonlydir")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"appendonly.aof.1.incr.aof": log,
		"appendonly.aof.manifest":   []byte("file appendonly.aof.1.incr.aof seq 1 type i\n"),
	} {
		if err := os.WriteFile(filepath.Join(sub, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tears are places inside each command of a transaction after its MULTI. Between
// two commands Redis itself finds the way back.
func tears(log []byte, from int) []int {
	var cuts []int
	for at := from + 1; ; at++ {
		next := bytes.Index(log[at:], []byte("\r\n*"))
		if next < 0 {
			return cuts
		}
		at += next
		cuts = append(cuts, at+10)
	}
}

// anyLease is one that a worker holds, the same one each time.
func anyLease(t *testing.T, client *redis.Client, tracker *tracking.Tracker) (tracking.Lease, bool) {
	states := client.HGetAll(t.Context(), tracker.Key(seed, "u")).Val()
	for _, id := range slices.Sorted(maps.Keys(states)) {
		if parts := strings.Split(states[id], ","); parts[0] == "L1" {
			return tracking.Lease{Seed: seed, PageID: id, Token: parts[2]}, true
		}
	}
	return tracking.Lease{}, false
}

// TestKilledRedis_WorkersGoOn_EveryPageCountedOnce kills the server under
// working crawlers and starts it again on the same files.
func TestKilledRedis_WorkersGoOn_EveryPageCountedOnce(t *testing.T) {
	const total = 1000
	kills := 3
	if os.Getenv("LIMPET_TORTURE") == "1" {
		kills = 60
	}
	server := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "everysec"}})
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer func() { _ = client.Close() }()
	tracker := tracking.New(client, tracking.Options{Tries: 12})
	if _, err := tracker.Submit(t.Context(), tracking.SubmitRequest{Seed: seed, URLs: pages(0, 0, 1), MaxAttempts: 1000}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { crawlTree(t, tracker, treeLinks(total)) })
	}
	for i := range kills {
		await(t, "the crawl to move on", func() bool {
			p, err := tracker.Progress(t.Context(), seed)
			return err == nil && (p.Crawled >= int64(total*(i+1)/(kills+1)) || p.Status.Finished())
		})
		server.Kill()
		server.Restart()
	}
	wg.Wait()
	crawlToTheEnd(t, client, tracker, total, treeLinks(total))
}

// treeLinks are those of a site of pages 0 to total-1, each leading to two more.
func treeLinks(total int) func(tracking.Lease) []tracking.PageRef {
	return func(l tracking.Lease) []tracking.PageRef {
		var n int
		_, _ = fmt.Sscanf(l.URL, "https://test.com/%d", &n)
		return pages(l.Depth+1, min(2*n+1, total), min(2*n+3, total))
	}
}

func crawlTree(t *testing.T, tracker *tracking.Tracker, links func(tracking.Lease) []tracking.PageRef) {
	for t.Context().Err() == nil {
		leases, info, err := tracker.Claim(t.Context(), seed, 4, 300*time.Millisecond)
		if err != nil {
			t.Error(err)
			return
		}
		if info.Status.Finished() {
			return
		}
		for _, l := range leases {
			if _, err := tracker.Complete(t.Context(), l, tracking.Completion{Record: []byte("r"), Children: links(l)}); err != nil {
				t.Error(err)
				return
			}
		}
		if len(leases) == 0 {
			if _, err := tracker.Reap(t.Context(), seed, 0); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

// TestFinishedPage_HoldsUnder100Bytes measures what u holds of a finished page:
// 50,000 pages in the long form, fewer in the short one.
func TestFinishedPage_HoldsUnder100Bytes(t *testing.T) {
	n := 5_000
	if os.Getenv("LIMPET_TORTURE") == "1" {
		n = 50_000
	}
	server := testredis.Start(t, testredis.Options{})
	client := server.Client()
	size := func(tracker *tracking.Tracker, key string) float64 {
		used, err := client.MemoryUsage(t.Context(), tracker.Key(seed, key), 0).Result()
		if err != nil && err != redis.Nil {
			t.Fatal(err)
		}
		return float64(used) / float64(n)
	}
	tracker, p := trackingtest.Crawl(t, client, n)
	if p.Crawled != int64(n) {
		t.Fatalf("%+v", p)
	}
	u := size(tracker, "u")
	t.Logf("%d finished pages: %.1f bytes a page in u", n, u)
	if u > 100 {
		t.Errorf("%.1f bytes a finished page in u, want at most 100", u)
	}
	for _, key := range []string{"q", "d", "l", "url"} {
		if size(tracker, key) != 0 {
			t.Errorf("%s still holds something of finished pages", key)
		}
	}
}
