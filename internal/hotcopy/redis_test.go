package hotcopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/aof"
	"limpet/clock"
	"limpet/internal/testredis"
)

func take(t *testing.T, o Options) *Copy {
	t.Helper()
	c, err := Take(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// write lays a copy down as a data directory.
func write(t *testing.T, c *Copy) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range c.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		text, err := io.ReadAll(f.Reader())
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, text, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var logOn = []string{"--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"}

// load is writers that count: each sets its own key to 1, 2, 3 … and appends to
// its own list in one transaction, so that any state of a server is known by it.
type load struct {
	acked [4]atomic.Int64
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func startLoad(t *testing.T, c *redis.Client) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop}
	for w := range l.acked {
		l.done.Go(func() {
			key := fmt.Sprintf("w%d", w)
			for n := int64(1); ctx.Err() == nil; n++ {
				_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
					p.Set(ctx, key, n, 0)
					p.RPush(ctx, key+":list", strings.Repeat("x", int(n%100)))
					p.Select(ctx, 3)
					p.Incr(ctx, key)
					p.Select(ctx, 0)
					return nil
				})
				if err == nil {
					l.acked[w].Store(n)
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) end() { l.stop(); l.done.Wait() }

func (l *load) snapshot() (all [4]int64) {
	for w := range l.acked {
		all[w] = l.acked[w].Load()
	}
	return all
}

// check sees that a server which loaded a copy has, of each writer, all up to a
// number between what was acknowledged before and begun after.
func check(t *testing.T, s *testredis.Server, before, after [4]int64) {
	t.Helper()
	for w := range before {
		key := fmt.Sprintf("w%d", w)
		text, _ := s.Do("GET", key).(string)
		n, _ := strconv.ParseInt(text, 10, 64)
		if n < before[w] || n > after[w]+1 {
			t.Errorf("%s is %d: want %d to %d", key, n, before[w], after[w]+1)
		}
		if got := s.Do("LLEN", key+":list"); got != n {
			t.Errorf("%s:list has %v elements, %s is %d: half a transaction", key, got, key, n)
		}
		in3, err := s.Client().Do(context.Background(), "EVAL", "redis.call('SELECT', 3) return redis.call('GET', KEYS[1])", 1, key).Text()
		if n > 0 && (err != nil || in3 != text) {
			t.Errorf("%s in database 3 is %s (%v): want %s", key, in3, err, text)
		}
	}
}

// A rewrite is asked for again and again while copies are taken.
func TestTake_RealRedisUnderLoadWithRewrites_IsAPrefixWithAllThatWasAcknowledged(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: append(logOn, "--appendfsync", "everysec")})
	l := startLoad(t, server.Client())
	ctx, stop := context.WithCancel(context.Background())
	var rewriter sync.WaitGroup
	rewriter.Go(func() {
		for ctx.Err() == nil {
			_ = server.Client().BgRewriteAOF(ctx).Err() // refused while one runs
			<-clock.Real().After(20 * time.Millisecond)
		}
	})
	defer rewriter.Wait()
	defer stop()
	bases := map[aof.Seq]bool{}
	for range 6 {
		before := l.snapshot()
		c := take(t, Options{Dir: server.Dir()})
		after := l.snapshot()
		bases[c.Position.Base] = true
		// The files are read late, when the server has deleted them.
		await(t, func() bool {
			now, err := manifest(Options{Dir: server.Dir()}.withDefaults())
			return err == nil && now.Base != nil && now.Base.Seq > c.Position.Base
		})
		copied := testredis.Start(t, testredis.Options{Dir: write(t, c), Args: append(logOn, "--aof-load-truncated", "no")})
		check(t, copied, before, after)
		copied.Kill()
	}
	if len(bases) < 3 {
		t.Errorf("only %d bases seen: no rewrite happened in between", len(bases))
	}
}

func await(t *testing.T, happened func() bool) {
	t.Helper()
	for range 2000 {
		if happened() {
			return
		}
		<-clock.Real().After(5 * time.Millisecond)
	}
	t.Fatal("it has not happened within 10 s")
}

func TestSave_ServerWithoutLog_DumpHasAllThatWasAcknowledged(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	l := startLoad(t, server.Client())
	await(t, func() bool { return l.snapshot()[0] > 100 })
	before := l.snapshot()
	if err := Save(context.Background(), server.Client(), clock.Real()); err != nil {
		t.Fatal(err)
	}
	c := take(t, Options{Dir: server.Dir()})
	after := l.snapshot()
	if c.Kind != RDB || c.Server == "" || c.Format != 10 {
		t.Errorf("%+v", c)
	}
	dir := write(t, c)
	copied := testredis.Start(t, testredis.Options{Dir: dir})
	check(t, copied, before, after)

	asked, err := Ask(context.Background(), server.Client())
	if err != nil || asked.Log || asked.Keys < 12 || asked.Version == "" {
		t.Errorf("%+v, %v", asked, err)
	}
}

func TestSave_ServerCannot_IsTold(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	server.Do("SET", "k", "v")
	if err := os.Mkdir(filepath.Join(server.Dir(), "dump.rdb"), 0o755); err != nil { // the rename will fail
		t.Fatal(err)
	}
	if err := Save(context.Background(), server.Client(), clock.Real()); err == nil || !strings.Contains(err.Error(), "rdb_last_bgsave_status:err") {
		t.Errorf("got %v", err)
	}
}
