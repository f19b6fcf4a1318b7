package limpet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"limpet"
	"limpet/internal/testredis"
	"limpet/vfs"
)

// fillAll puts a value of each type and each way to keep it into a store.
func fillAll(t *testing.T, db *limpet.DB) {
	t.Helper()
	s := db.Session("", "")
	defer s.Close()
	// Less than 128 KiB leaves only when the walk through the keys is over.
	large := make([]byte, 300_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large)
	for _, n := range []int{0, 9} {
		p := s.Pipeline()
		p.Do("SELECT", n)
		p.Do("SET", "text", strings.Repeat("compressible ", 100))
		p.Do("SET", "bytes", []byte{0, 255, '\r', '\n'})
		p.Do("SET", "number", -12345)
		p.Do("SET", "volatile", "v", "PXAT", 9999999999999)
		p.Do("SET", "large", large)
		p.Do("SADD", "ints", 1, 2, 3)
		p.Do("XADD", "stream", "1-1", "f", "v")
		p.Do("XADD", "stream", "2-1", "f", "v")
		p.Do("XGROUP", "CREATE", "stream", "g", 0)
		p.Do("XCLAIM", "stream", "g", "c", 0, "1-1", "FORCE", "JUSTID")
		for i := range 1000 {
			p.Do("RPUSH", "list", i, fmt.Sprint("element ", i))
			p.Do("HSET", "hash", fmt.Sprint("field ", i), i)
			p.Do("SADD", "set", fmt.Sprint("member ", i))
			p.Do("ZADD", "zset", float64(i)/3, fmt.Sprint("member ", i))
		}
		p.Do("HSET", "small hash", "f", "v")
		p.Do("ZADD", "small zset", "inf", "a", -0.5, "b")
		p.Do("RPUSH", "small list", "a", "b")
		for _, v := range exec(t, p) {
			if err := v.Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// digests asks a real server for a digest of every key.
func digests(t *testing.T, real *testredis.Server) map[string]string {
	t.Helper()
	conn := real.Client().Conn()
	defer func() { _ = conn.Close() }()
	found := map[string]string{}
	for _, n := range []int{0, 9} {
		if err := conn.Select(ctx, n).Err(); err != nil {
			t.Fatal(err)
		}
		keys, err := conn.Keys(ctx, "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			values, err := conn.Do(ctx, "DEBUG", "DIGEST-VALUE", key).StringSlice()
			if err != nil {
				t.Fatal(err)
			}
			ttl, err := conn.Do(ctx, "PEXPIRETIME", key).Int64()
			if err != nil {
				t.Fatal(err)
			}
			found[fmt.Sprint(n, " ", key)] = fmt.Sprint(values, ttl)
		}
	}
	return found
}

// What Snapshot has written is a dump.rdb for the real server, and it holds what
// that server reads from the store's own log.
func TestSnapshot_LoadedByTheRealServer_IsWhatTheLogHolds(t *testing.T) {
	dir, dumped := t.TempDir(), t.TempDir()
	db := open(t, dir, limpet.Options{})
	fillAll(t, db)
	file, err := os.Create(filepath.Join(dumped, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Snapshot(ctx, file), file.Close()); err != nil {
		t.Fatal(err)
	}
	do(t, db, "SET", "later", "1")
	do(t, db, "DEL", "later")
	closeDB(t, db)
	fromDump := digests(t, testredis.Start(t, testredis.Options{Dir: dumped}))
	fromLog := digests(t, testredis.Start(t, testredis.Options{Dir: dir, Args: []string{"--appendonly", "yes"}}))
	if len(fromLog) != 28 || len(fromDump) != len(fromLog) {
		t.Errorf("%d keys from the dump, %d from the log, want 28", len(fromDump), len(fromLog))
	}
	for key, want := range fromLog {
		if fromDump[key] != want {
			t.Errorf("%s: %s in the dump, %s in the log", key, fromDump[key], want)
		}
	}
}

// A store opened on what Snapshot has written goes on from there.
func TestSnapshot_OpenedAgain_BecomesTheFirstBase(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, home, limpet.Options{FS: mem})
	fillAll(t, db)
	if err := mem.MkdirAll("/restored", 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := vfs.Create(mem, "/restored/dump.rdb")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Snapshot(ctx, file), file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
	restored := open(t, "/restored", limpet.Options{FS: mem})
	do(t, restored, "SET", "new", "1")
	closeDB(t, restored)
	restored = open(t, "/restored", limpet.Options{FS: mem})
	if n := do(t, restored, "DBSIZE").Int; n != 15 {
		t.Errorf("%d keys, want the 14 of the snapshot and the new one", n)
	}
}

// Transactions that keep a sum hold in a snapshot taken at any moment.
func TestSnapshot_UnderTransactions_IsOfOneMoment(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	const accounts = 500
	begin := db.Pipeline()
	for i := range accounts {
		begin.Do("SET", fmt.Sprint("account ", i), 100)
		begin.Do("SET", fmt.Sprint("ballast ", i), strings.Repeat("x", 1000))
	}
	exec(t, begin)
	quit := make(chan struct{})
	var writers sync.WaitGroup
	for g := range 3 {
		writers.Go(func() {
			tx := db.TxPipeline()
			for i := g; ; i += 7 {
				select {
				case <-quit:
					return
				default:
				}
				tx.Do("DECRBY", fmt.Sprint("account ", i%accounts), i%90)
				tx.Do("INCRBY", fmt.Sprint("account ", (i*31+1)%accounts), i%90)
				if _, err := tx.Exec(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	stop := sync.OnceFunc(func() { close(quit); writers.Wait() })
	defer stop()
	for range 10 {
		mem := vfs.NewMem()
		if err := mem.MkdirAll(home, 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := vfs.Create(mem, home+"/dump.rdb")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Snapshot(ctx, file), file.Close()); err != nil {
			t.Fatal(err)
		}
		copied := open(t, home, limpet.Options{FS: mem, NoAppendOnly: true})
		sum := int64(0)
		for i := range accounts {
			n, err := do(t, copied, "GET", fmt.Sprint("account ", i)).AsInt()
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if sum != accounts*100 {
			t.Errorf("the accounts add up to %d, want %d", sum, accounts*100)
		}
		closeDB(t, copied)
	}
}

var errHungUp = errors.New("the far end has hung up")

type hungUp struct{}

func (hungUp) Write([]byte) (int, error) { return 0, errHungUp }

// Whatever ends a snapshot early, its error says so, the store goes on, and no
// goroutine stays.
func TestSnapshot_EndedEarly_LeavesASoundStoreAndNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	fillAll(t, db)
	if err := db.Snapshot(ctx, hungUp{}); !errors.Is(err, errHungUp) || !strings.HasPrefix(err.Error(), "limpet: snapshot: ") {
		t.Errorf("hung up: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	// Cancelled by the first Write, and so in the middle.
	err := db.Snapshot(cancelled, writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := db.Snapshot(cancelled, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	var whole bytes.Buffer
	if err := db.Snapshot(ctx, &whole); err != nil || whole.Len() < 1000 {
		t.Errorf("the next one: %v, %d bytes", err, whole.Len())
	}
	do(t, db, "SET", "a", 1)
	err = db.Snapshot(ctx, writerFunc(func(b []byte) (int, error) { return len(b), db.Close() }))
	if !errors.Is(err, limpet.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	goleak.VerifyNone(t, before)
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
