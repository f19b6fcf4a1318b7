package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
		var written bytes.Buffer
		var want picture
		var changesAtCut uint64
		if err := e.snapshot(t.Context(), &written, func() { want, changesAtCut = pictureOf(t, e), e.seq }); err != nil {
			t.Fatal(err)
		}
		got := picture{}
		got.addAll(t, &written)
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

// stuckWriter takes nothing until it is let go.
type stuckWriter struct {
	bytes.Buffer
	reached chan struct{} // closed by the first Write
	once    sync.Once
	gate    chan struct{} // Write waits until it is closed
}

func newStuckWriter() *stuckWriter {
	return &stuckWriter{reached: make(chan struct{}), gate: make(chan struct{})}
}

func (w *stuckWriter) Write(b []byte) (int, error) {
	w.once.Do(func() { close(w.reached) })
	<-w.gate
	return w.Buffer.Write(b)
}

// keys counts the keys of the RDB that was written.
func (w *stuckWriter) keys(t *testing.T) int {
	t.Helper()
	p := picture{}
	p.addAll(t, &w.Buffer)
	return len(p)
}

// fill puts n keys of so many incompressible bytes into a store. What a dump has
// encoded comes in pieces of 128 KiB: less than that leaves only when the walk is
// over.
func fill(t *testing.T, c *client, n, size int) {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], modeltest.Rand(t).Uint64())
	random := rand.NewChaCha8(seed)
	value := make([]byte, size)
	for i := range n {
		_, _ = random.Read(value)
		c.exec("SET", key(i), string(value))
	}
}

// inBackground takes a snapshot that a test waits for later.
func inBackground(ctx context.Context, e *Engine, w io.Writer) <-chan error {
	done := make(chan error, 1)
	go func() { done <- e.Snapshot(ctx, w) }()
	return done
}

// await gives what comes, which must not take for ever.
func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
	}
	return v
}

// wantSound checks that a store takes writes, snapshots and saves, and that no
// snapshot is left behind.
func wantSound(t *testing.T, c *client) {
	t.Helper()
	c.must("SET", "sound", "1")
	var written bytes.Buffer
	if err := c.e.Snapshot(t.Context(), &written); err != nil {
		t.Errorf("the next snapshot: %v", err)
	}
	c.must("SAVE")
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.e.dump != nil || c.e.saves.busy() || c.e.dumping.size.Load() != 0 {
		t.Errorf("something is left: dump %v, busy %v, %d bytes", c.e.dump, c.e.saves.busy(), c.e.dumping.size.Load())
	}
}

// A writer that is stuck holds nobody up until as much is on its way as may be;
// what is beyond that waits; and the context frees everybody at once, though the
// writer is still stuck.
func TestSnapshot_StuckWriter_HoldsWritersUpAtTheBoundAndNotBefore(t *testing.T) {
	e := start(t, vfs.NewMem(), Options{NoAppendOnly: true})
	c := connect(t, e)
	const n, bound = 1000, 4 << 20
	e.dumping.limit = bound
	fill(t, c, n, 10_000)
	w := newStuckWriter()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := inBackground(ctx, e, w)
	<-w.reached

	var overwritten sync.WaitGroup
	var count atomic.Int64
	overwritten.Go(func() {
		for i := range n { // each saves its bucket's 10 KB values first
			c.must("SET", key(i), "small")
			count.Add(1)
		}
	})
	eventually(t, "the bound is reached", func() bool { return e.dumping.size.Load() > bound })
	passed := make(chan struct{})
	go func() { e.dumping.throttle(); close(passed) }()
	select {
	case <-passed:
		t.Error("a batch passes though the bound is reached")
	case <-time.After(20 * time.Millisecond):
	}
	if most := e.dumping.peak.Load(); most > bound+1<<20 { // one bucket more
		t.Errorf("%d bytes on their way", most)
	}
	cancel()
	await(t, "the writers are free", passed)
	overwritten.Wait()
	if count.Load() != n {
		t.Errorf("%d of %d writes", count.Load(), n)
	}
	if _, err := c.do("SAVE"); err != nil {
		t.Errorf("SAVE while the writer is still stuck: %v", err)
	}
	wantSound(t, c)
	select {
	case err := <-done:
		t.Errorf("Snapshot has left its writer behind: %v", err)
	default:
	}
	close(w.gate)
	if err := await(t, "Snapshot returns", done); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantSound(t, c)
}

// fullAfter takes so many bytes and then fails.
type fullAfter struct{ left int }

var errFull = errors.New("the far end has hung up")

func (w *fullAfter) Write(b []byte) (int, error) {
	if w.left < len(b) {
		return w.left, errFull
	}
	w.left -= len(b)
	return len(b), nil
}

func TestSnapshot_WriterFailsAnywhere_IsItsErrorAndTheStoreIsSound(t *testing.T) {
	e := start(t, vfs.NewMem(), Options{})
	c := connect(t, e)
	for i := range 20000 {
		c.exec("SET", key(i), key(i))
	}
	var whole bytes.Buffer
	if err := e.Snapshot(t.Context(), &whole); err != nil {
		t.Fatal(err)
	}
	for part := range 10 {
		if err := e.Snapshot(t.Context(), &fullAfter{left: whole.Len() * part / 10}); !errors.Is(err, errFull) {
			t.Errorf("after %d tenths: %v", part, err)
		}
		wantSound(t, c)
	}
	if err := e.Snapshot(t.Context(), shortWriter{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a writer that says nothing: %v", err)
	}
	wantSound(t, c)
}

type shortWriter struct{}

func (shortWriter) Write(b []byte) (int, error) { return len(b) / 2, nil }

type panicWriter struct{}

func (panicWriter) Write([]byte) (int, error) { panic(errFull) }

// An HTTP server recovers from the panics of its handlers, and goes on.
func TestSnapshot_WriterPanics_TheStoreIsSound(t *testing.T) {
	e := start(t, vfs.NewMem(), Options{})
	c := connect(t, e)
	fill(t, c, 1000, 1000)
	func() {
		defer func() {
			if recover() != errFull {
				t.Error("the panic did not come through")
			}
		}()
		_ = e.Snapshot(t.Context(), panicWriter{})
	}()
	wantSound(t, c)
}

func TestSnapshot_BesideAnother_WaitsForItsTurnOrTheContext(t *testing.T) {
	e := start(t, vfs.NewMem(), Options{})
	c := connect(t, e)
	fill(t, c, 1000, 1000)
	first, second := newStuckWriter(), newStuckWriter()
	close(second.gate)
	firstDone := inBackground(t.Context(), e, first)
	<-first.reached

	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := e.Snapshot(short, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in vain: %v", err)
	}
	secondDone := inBackground(t.Context(), e, second)
	c.must("SET", "b", "1") // not in the first, which is cut; in the second, which is not
	close(first.gate)
	for _, done := range []<-chan error{firstDone, secondDone} {
		if err := await(t, "a snapshot", done); err != nil {
			t.Error(err)
		}
	}
	if a, b := first.keys(t), second.keys(t); a != 1000 || b != 1001 {
		t.Errorf("%d and %d keys, want 1000 and 1001", a, b)
	}
	wantSound(t, c)
}

// What BGSAVE and BGREWRITEAOF answer beside each other, they answer beside a
// snapshot; and what was put off is done before the next snapshot.
func TestSnapshot_BesideRewriteAndSave_OneAfterTheOther(t *testing.T) {
	mem := vfs.NewMem()
	e := start(t, mem, Options{})
	c := connect(t, e)
	fill(t, c, 1000, 1000)
	first, second := newStuckWriter(), newStuckWriter()
	close(second.gate)
	firstDone := inBackground(t.Context(), e, first)
	<-first.reached
	if _, err := c.do("SAVE"); err == nil || !strings.HasPrefix(err.Error(), "ERR A snapshot is being written") {
		t.Errorf("SAVE: %v", err)
	}
	if _, err := c.do("BGSAVE"); err == nil || !strings.HasPrefix(err.Error(), "ERR Another child process is active") {
		t.Errorf("BGSAVE: %v", err)
	}
	if s := c.must("BGREWRITEAOF"); s != "Background append only file rewriting scheduled" {
		t.Error(s)
	}
	if s := c.must("BGSAVE", "SCHEDULE"); s != "Background saving scheduled" {
		t.Error(s)
	}
	secondDone := inBackground(t.Context(), e, second)
	close(first.gate)
	if err := await(t, "the first snapshot", firstDone); err != nil {
		t.Error(err)
	}
	if err := await(t, "the second snapshot", secondDone); err != nil {
		t.Error(err)
	}
	if rewrites(e) != 1 {
		t.Error("the second snapshot went before the rewrite that was scheduled")
	}
	eventually(t, "the save is done", func() bool { return dumpKeys(t, mem) == 1000 })
}

func TestSnapshot_DuringARewrite_WaitsForIt(t *testing.T) {
	var f fault
	gate := make(chan struct{})
	e := start(t, vfs.NewFaulty(vfs.NewMem(), f.ask), Options{})
	c := connect(t, e)
	c.must("SET", "a", "1")
	f.set(func(op vfs.Op) vfs.Fault {
		if strings.HasSuffix(op.Path, ".base") && op.Kind == vfs.OpSync {
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
	c.must("BGREWRITEAOF")
	w := newStuckWriter()
	close(w.gate)
	done := inBackground(t.Context(), e, w)
	select {
	case <-w.reached:
		t.Error("two walks at once")
	case <-time.After(20 * time.Millisecond):
	}
	close(gate)
	if err := await(t, "the snapshot", done); err != nil || w.keys(t) != 1 {
		t.Errorf("%v, %d keys", err, w.keys(t))
	}
}

// Whoever ends the store does not wait for the writer of a snapshot.
func TestSnapshot_CloseAndShutdown_GiveItUp(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, c *client){
		"Close": func(t *testing.T, c *client) {},
		"SHUTDOWN SAVE": func(t *testing.T, c *client) {
			var b Batch
			b.Add(bytesOf([]string{"SHUTDOWN", "SAVE"}))
			c.e.Exec(c.s, &b, newWriter())
			await(t, "SHUTDOWN", c.e.Done())
		},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			e := start(t, mem, Options{})
			c := connect(t, e)
			fill(t, c, 1000, 1000)
			w := newStuckWriter()
			done := inBackground(t.Context(), e, w)
			<-w.reached
			waiting := inBackground(t.Context(), e, io.Discard)
			end(t, c)
			closed := make(chan error, 1)
			go func() { closed <- e.Close() }()
			if err := await(t, "Close", closed); err != nil {
				t.Error(err)
			}
			// The one whose turn had not come may have had it between SHUTDOWN and Close.
			if err := await(t, "the one that waits", waiting); err != nil && !errors.Is(err, ErrClosed) {
				t.Errorf("the one that waits: %v", err)
			}
			close(w.gate)
			if err := await(t, "Snapshot", done); !errors.Is(err, ErrClosed) {
				t.Errorf("got %v", err)
			}
			if err := e.Snapshot(t.Context(), io.Discard); !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

// A flush takes nothing out of a snapshot that has begun.
func TestSnapshot_Flush_KeepsWhatWasThere(t *testing.T) {
	e := start(t, vfs.NewMem(), Options{})
	c := connect(t, e)
	for i := range 5000 {
		c.exec("SET", key(i), strings.Repeat("v", 100))
	}
	w := newStuckWriter()
	done := inBackground(t.Context(), e, w)
	<-w.reached
	c.must("FLUSHALL")
	c.must("SET", "new", "1")
	close(w.gate)
	if err := await(t, "the snapshot", done); err != nil || w.keys(t) != 5000 {
		t.Errorf("%v, %d keys, want 5000", err, w.keys(t))
	}
}

// A walk makes no garbage of what one string holds on disk: for millions of keys it
// would set off the collector in the middle of a rewrite, which takes both cores.
func TestRDBForm_SmallValues_CostNoAllocation(t *testing.T) {
	e := start(t, vfs.NewMem(), Options{})
	c := connect(t, e)
	c.must("SET", "text", "value")
	c.must("SET", "number", "7")
	c.must("HSET", "hash", "f", "v")
	c.must("SADD", "ints", "1", "2")
	c.must("ZADD", "zset", "1", "m")
	f := &rdbForm{enc: rdb.NewEncoder(io.Discard, rdb.EncoderOptions{})}
	for key, entry := range e.ks.DB(0).All() {
		if n := testing.AllocsPerRun(1000, func() {
			if err := f.entry(0, key, entry); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", key, n)
		}
	}
}
