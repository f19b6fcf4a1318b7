package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"limpet/internal/keyspace"
	"limpet/internal/modeltest"
	"limpet/rdb"
	"limpet/vfs"
)

// picture is every key, as "database key", with its deadline and its value.
type picture map[string]string

// pictureOf copies a keyspace. e.mu is held.
func pictureOf(t *testing.T, e *Engine) picture {
	p := picture{}
	for i := range e.ks.Databases() {
		for key, entry := range e.ks.DB(i).All() {
			var b bytes.Buffer
			enc := rdb.NewEncoder(&b, rdb.EncoderOptions{})
			err := enc.Entry(rdb.Entry{DB: i, Key: []byte(key), ExpireAtMs: entry.Deadline, Value: keyspace.ToRDB(entry.Object)})
			if err := errors.Join(err, enc.Close()); err != nil {
				t.Errorf("%d %s: %v", i, key, err)
			}
			p.addAll(t, &b)
		}
	}
	return p
}

// addAll adds what an RDB holds; no key may come twice.
func (p picture) addAll(t *testing.T, r io.Reader) {
	d := rdb.NewDecoder(r, rdb.DecoderOptions{})
	for {
		entry, err := d.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		name := fmt.Sprintf("%d %s", entry.DB, entry.Key)
		if _, twice := p[name]; twice {
			t.Errorf("%s comes twice", name)
		}
		p[name] = fmt.Sprintf("until %d: %s", entry.ExpireAtMs, plain(entry.Value))
	}
}

// plain is a value in a form that does not depend on how it is kept.
func plain(v rdb.Value) string {
	var items []string
	switch v := v.(type) {
	case rdb.Hash:
		for _, f := range v {
			items = append(items, fmt.Sprintf("%q=%q", f.Name, f.Value))
		}
		slices.Sort(items)
	case rdb.Set:
		for _, m := range v {
			items = append(items, strconv.Quote(string(m)))
		}
		slices.Sort(items)
	case *rdb.Stream: // where one leaf ends and the next begins does not count
		payload, err := rdb.EncodeValue(v)
		if err != nil {
			panic(err)
		}
		decoded, err := rdb.DecodeValue(payload, rdb.DecoderOptions{})
		if err != nil {
			panic(err)
		}
		v = decoded.(*rdb.Stream)
		return fmt.Sprintf("%T %v %v %v %v", v, v.LastID, v.MaxDeletedID, v.Added, v.Entries)
	default:
		return fmt.Sprintf("%T %q", v, v)
	}
	return fmt.Sprintf("%T %s", v, strings.Join(items, " "))
}

func wantSame(t *testing.T, what string, got, want picture) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	shown := 0
	for name := range want {
		if got[name] != want[name] && shown < 5 {
			t.Errorf("%s: %s is %.150s, want %.150s", what, name, got[name], want[name])
			shown++
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok && shown < 5 {
			t.Errorf("%s: %s is there and should not be", what, name)
			shown++
		}
	}
}

// churn changes keys of all types until told to stop: makes, grows, shrinks,
// moves, deletes, and now and then empties a database.
func churn(c *client, rng *rand.Rand, stop <-chan struct{}) {
	key := func(kind string) string { return kind + strconv.Itoa(rng.IntN(600)) }
	text := func() string { return strings.Repeat("x", rng.IntN(120)) }
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		switch rng.IntN(16) {
		case 0:
			c.exec("SELECT", strconv.Itoa(rng.IntN(3)))
		case 1, 2:
			c.exec("SET", key("text"), text())
		case 3:
			c.exec("APPEND", key("text"), text())
		case 4:
			c.exec("SET", key("text"), text(), "PX", "100000000")
		case 5:
			c.exec("INCR", key("number"))
		case 6, 7:
			c.exec("HSET", key("hash"), text(), text(), strconv.Itoa(rng.IntN(1000)), text())
		case 8:
			c.exec("SADD", key("set"), text(), strconv.Itoa(rng.IntN(1000)))
		case 9:
			c.exec("ZADD", key("zset"), strconv.Itoa(rng.IntN(100)), text())
		case 10:
			c.exec("RPUSH", key("list"), text(), text())
		case 11:
			c.exec("LPOP", key("list"))
		case 12:
			c.exec("XADD", key("stream"), "MAXLEN", "10", "*", "f", text())
		case 13:
			c.exec("RENAME", key("hash"), key("hash"))
		case 14:
			c.exec("DEL", key("text"), key("hash"), key("list"), key("set"), key("zset"), key("number"))
		case 15:
			if rng.IntN(200) == 0 {
				c.exec("FLUSHDB")
			} else {
				c.exec("PERSIST", key("text"))
			}
		}
	}
}

// churning starts writers and gives what stops them.
func churning(t *testing.T, e *Engine, rng *rand.Rand) (stop func()) {
	quit := make(chan struct{})
	var writers sync.WaitGroup
	for range 4 {
		c, own := connect(t, e), rand.New(rand.NewPCG(rng.Uint64(), 0))
		writers.Go(func() { churn(c, own, quit) })
	}
	return sync.OnceFunc(func() { close(quit); writers.Wait() })
}

func TestSnapshot_UnderWriters_HoldsEachKeyOnceAsItWasAtTheCut(t *testing.T) {
	rng := modeltest.Rand(t)
	mem := vfs.NewMem()
	e := start(t, mem, Options{Fsync: No})
	stop := churning(t, e, rng)
	defer stop()
	for round := range modeltest.Rounds(4) {
		eventually(t, "the writers get on", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.seq > uint64(3000*(round+1))
		})
		file, err := vfs.Create(mem, "/snapshot.rdb")
		if err != nil {
			t.Fatal(err)
		}
		var want picture
		var changesAtCut uint64
		if err := e.writeDump(file, &rdbForm{e: e, isBase: true}, &e.mu, func() { want, changesAtCut = pictureOf(t, e), e.seq }); err != nil {
			t.Fatal(err)
		}
		b, err := vfs.ReadFile(mem, "/snapshot.rdb")
		if err != nil {
			t.Fatal(err)
		}
		got := picture{}
		got.addAll(t, bytes.NewReader(b))
		wantSame(t, fmt.Sprintf("round %d", round), got, want)
		e.mu.Lock()
		during := e.seq - changesAtCut
		e.mu.Unlock()
		if t.Logf("%d keys, %d changes while the snapshot was written", len(want), during); t.Failed() {
			return
		}
	}
}

func TestRewrite_UnderWriters_LosesNothingBetweenBaseAndLog(t *testing.T) {
	rng := modeltest.Rand(t)
	for range modeltest.Rounds(1) {
		mem := vfs.NewMem()
		e := start(t, mem, Options{})
		stop := churning(t, e, rng)
		c := connect(t, e)
		for i := range 4 {
			eventually(t, "the writers get on", func() bool {
				e.mu.Lock()
				defer e.mu.Unlock()
				return e.seq > uint64(2000*(i+1))
			})
			rewriteNow(t, c)
		}
		stop()
		e.mu.Lock()
		want := pictureOf(t, e)
		e.mu.Unlock()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		again := start(t, mem, Options{})
		again.mu.Lock()
		wantSame(t, "after a restart", pictureOf(t, again), want)
		again.mu.Unlock()
	}
}

func TestSnapshot_SpoolFull_WritersWaitAndMemoryStaysBounded(t *testing.T) {
	gate := newSpoolGate()
	gate.set(maxSpool + 1)
	passed := make(chan struct{})
	go func() { gate.throttle(); close(passed) }()
	select {
	case <-passed:
		t.Fatal("a writer passed a full spool")
	default:
	}
	gate.set(0)
	<-passed
	if gate.peak.Load() != maxSpool+1 {
		t.Errorf("the peak is %d", gate.peak.Load())
	}
}
