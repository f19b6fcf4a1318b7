package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet"
	"limpet/aof"
	"limpet/internal/modeltest"
	"limpet/internal/testredis"
	"limpet/rdb"
	"limpet/server"
	"limpet/vfs"
)

// TestFollower_LiveUnderRewrites_ReadsEveryWriteOnceAndEveryBaseFits follows a
// server that writes and rewrites as fast as it can. The writers count, so that
// a write that is missing or given twice shows, and a base must hold exactly
// what had been counted before the incr it stands before.
func TestFollower_LiveUnderRewrites_ReadsEveryWriteOnceAndEveryBaseFits(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) (dir string, client *redis.Client){
		"Redis": func(t *testing.T) (string, *redis.Client) {
			s := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--aof-timestamp-enabled", "yes"}})
			return s.Dir(), s.Client()
		},
		"Limpet": startLimpet,
	} {
		t.Run(name, func(t *testing.T) {
			dir, client := start(t)
			followLive(t, dir, client, modeltest.Rounds(3)/3)
		})
	}
}

func startLimpet(t *testing.T) (string, *redis.Client) {
	t.Helper()
	dir := t.TempDir()
	db, err := limpet.Open(dir, &limpet.Options{Timestamps: true})
	must(t, err)
	srv := server.New(db, server.Options{})
	client := redis.NewClient(&redis.Options{Dialer: srv.Dial})
	t.Cleanup(func() {
		_ = client.Close()
		_ = srv.Close()
		must(t, db.Close())
	})
	return dir, client
}

const liveWriters = 8

func followLive(t *testing.T, dir string, client *redis.Client, seconds int) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	must(t, client.Set(ctx, "first", 1, 0).Err()) // the log is there
	f := New(vfs.OS(), dir, Options{})
	defer f.Close()
	must(t, f.Start())

	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { f.Watch(ctx) })
	writing, endWriting := context.WithTimeout(ctx, time.Duration(2*seconds)*time.Second)
	defer endWriting()
	var rewrites int
	writers := make(chan error, liveWriters+1)
	for i := range liveWriters {
		go func() { writers <- write(writing, client, i) }()
	}
	go func() {
		for writing.Err() == nil {
			if client.Do(ctx, "BGREWRITEAOF").Err() == nil { // refused while one runs
				rewrites++
			}
			select {
			case <-writing.Done():
			case <-time.After(20 * time.Millisecond): // a file that lives shorter than a look takes is a gap
			}
		}
		writers <- nil
	}()

	c := &counting{t: t, before: map[aof.Seq]map[string]int{}, counted: map[string]int{}}
	for running := liveWriters + 1; running > 0; {
		select {
		case err := <-writers:
			must(t, err)
			running--
		case <-time.After(20 * time.Millisecond): // reading is slower than the rewrites
		}
		c.read(f)
	}
	deadline := time.After(20 * time.Second)
	for c.behind(ctx, client) {
		select {
		case <-deadline:
			t.Fatalf("read %v", c.counted)
		case <-time.After(10 * time.Millisecond):
		}
		c.read(f)
	}
	t.Logf("%d blocks, %d commands, %d rewrites, %d files, %d bases", c.blocks, c.commands, rewrites, len(c.before), c.bases)
	if c.bases == 0 || len(c.before) < 4 {
		t.Errorf("too few rewrites to prove anything")
	}
}

// write counts in three ways that reach the log differently: bare, in a MULTI,
// and through a script.
func write(ctx context.Context, client *redis.Client, id int) error {
	script := redis.NewScript(`redis.call('INCR', KEYS[1]); redis.call('LPUSH', KEYS[2], ARGV[1]); return redis.call('LTRIM', KEYS[2], 0, 9)`)
	key := strconv.Itoa(id)
	for ctx.Err() == nil {
		err := errors.Join(client.Incr(context.WithoutCancel(ctx), "bare:"+key).Err(), script.Run(context.WithoutCancel(ctx), client, []string{"script:" + key, "list:" + key}, "x").Err())
		if err == nil {
			_, err = client.TxPipelined(context.WithoutCancel(ctx), func(p redis.Pipeliner) error {
				p.Incr(ctx, "left:"+key)
				p.Incr(ctx, "right:"+key)
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// counting replays what matters of the blocks.
type counting struct {
	t        *testing.T
	incr     aof.Seq
	counted  map[string]int
	before   map[aof.Seq]map[string]int // what had been counted at the beginning of a file
	blocks   int
	commands int
	bases    int
}

func (c *counting) read(f *Follower) {
	c.t.Helper()
	for {
		b, err := f.Next()
		if err == io.EOF {
			break
		}
		must(c.t, err)
		c.block(b)
		c.base(f)
	}
	c.base(f)
}

func (c *counting) block(b *Block) {
	c.t.Helper()
	c.blocks++
	c.commands += b.Commands
	for ; c.incr < b.Incr; c.incr++ {
		at := map[string]int{}
		for k, n := range c.counted {
			at[k] = n
		}
		c.before[c.incr+1] = at
	}
	units := aof.NewReader(bytesAt(b.Data), b.Name, 0)
	for {
		u, err := units.NextUnit()
		if err == io.EOF {
			return
		}
		must(c.t, err)
		for _, cmd := range u.Commands {
			if name := string(cmd.Args[0]); name == "INCR" || name == "incr" {
				c.counted[string(cmd.Args[1])]++
			}
		}
	}
}

type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// base compares a base with what was counted before the file it stands before.
func (c *counting) base(f *Follower) {
	c.t.Helper()
	base := f.TakeBase()
	if base == nil {
		return
	}
	defer func() { must(c.t, base.File.Close()) }()
	c.bases++
	want, ok := c.before[base.Before]
	if !ok {
		want = c.counted // nothing was written behind it yet
	}
	have := map[string]int{}
	d := rdb.NewDecoder(io.NewSectionReader(base.File, 0, base.Size), rdb.DecoderOptions{})
	for {
		e, err := d.Next()
		if err == io.EOF {
			break
		}
		must(c.t, err)
		if s, ok := e.Value.(rdb.String); ok && string(e.Key) != "first" {
			n, err := strconv.Atoi(string(s))
			must(c.t, err)
			have[string(e.Key)] = n
		}
	}
	if fmt.Sprint(have) != fmt.Sprint(want) {
		c.t.Fatalf("base %d before incr %d holds %v, counted before it %v", base.Seq, base.Before, have, want)
	}
}

// behind tells whether the server knows of more than was read. A count above the
// server's is an error at once.
func (c *counting) behind(ctx context.Context, client *redis.Client) bool {
	c.t.Helper()
	for i := range liveWriters {
		for _, kind := range []string{"bare:", "script:", "left:", "right:"} {
			key := kind + strconv.Itoa(i)
			n, err := client.Get(ctx, key).Int()
			must(c.t, err)
			if c.counted[key] > n {
				c.t.Fatalf("%s: read %d, the server has %d", key, c.counted[key], n)
			}
			if c.counted[key] < n {
				return true
			}
		}
	}
	return false
}
