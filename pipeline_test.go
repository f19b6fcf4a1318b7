package limpet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"limpet"
	"limpet/internal/modeltest"
	"limpet/resp"
	"limpet/vfs"
)

// exec runs a pipeline that cannot fail.
func exec(t *testing.T, p *limpet.Pipeline) []resp.Value {
	t.Helper()
	replies, err := p.Exec(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return replies
}

func shown(replies []resp.Value) string {
	var all []string
	for _, v := range replies {
		all = append(all, v.String())
	}
	return strings.Join(all, ", ")
}

func TestPipeline_RepliesComeInOrder_ErrorsAmongThem(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	const all = "OK, 1, (error) WRONGTYPE Operation against a key holding the wrong kind of value, " +
		"(error) ERR wrong number of arguments for 'get' command, \"text\", (nil)"
	fill := func(p *limpet.Pipeline) {
		p.Do("SET", "a", "text")
		p.Do("RPUSH", "l", 1)
		p.Do("INCR", "l")
		p.Do("GET")
		p.Do("GET", "a")
		p.Do("GET", "none")
	}
	p := db.Pipeline()
	for range 2 { // it can be used again
		fill(p)
		if p.Len() != 6 {
			t.Errorf("Len is %d", p.Len())
		}
		if got := shown(exec(t, p)); got != all {
			t.Errorf("got  %s\nwant %s", got, all)
		}
		if replies := exec(t, p); len(replies) != 0 {
			t.Errorf("an empty pipeline has replies: %v", replies)
		}
		do(t, db, "DEL", "l")
	}
}

func TestPipeline_WhatCannotBeAdded_MakesThatNothingIsRun(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	s := db.Session("", "")
	defer s.Close()
	for name, begin := range map[string]func() *limpet.Pipeline{
		"DB.Pipeline": db.Pipeline, "DB.TxPipeline": db.TxPipeline, "Session.Pipeline": s.Pipeline, "Session.TxPipeline": s.TxPipeline,
	} {
		for _, bad := range [][]any{{}, {"SET", "k", true}, {"SELECT", 1}} {
			if len(bad) == 2 && name == "Session.Pipeline" {
				continue // it may
			}
			p := begin()
			p.Do("SET", "ran", 1)
			p.Do(bad...)
			p.Do("SET", "ran", 1)
			if replies, err := p.Exec(ctx); err == nil || replies != nil || !strings.Contains(err.Error(), "nothing was run: command 1: ") {
				t.Errorf("%s: %v: %v, %v", name, bad, replies, err)
			}
		}
	}
	if v := do(t, db, "EXISTS", "ran"); v.Int != 0 {
		t.Error("something ran")
	}
}

func TestPipeline_Cancelled_RunsNothing(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, p := range []*limpet.Pipeline{db.Pipeline(), db.TxPipeline()} {
		p.Do("SET", "a", 1)
		if _, err := p.Exec(cancelled); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if v := do(t, db, "EXISTS", "a"); v.Int != 0 {
		t.Error("it ran all the same")
	}
}

// hanging is a disk whose syncs of the log wait, once it is told to hang.
func hanging(hang *atomic.Bool, gate <-chan struct{}) vfs.FS {
	return vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) vfs.Fault {
		if hang.Load() && op.Kind == vfs.OpSync && strings.HasSuffix(op.Path, ".incr.aof") {
			return vfs.Fault{Until: gate}
		}
		return vfs.Fault{}
	})
}

// Nobody waits for a disk that hangs longer than they want to, and what they are
// told is that it has run.
func TestContext_WhileTheDiskHangs_EndsTheWait(t *testing.T) {
	gate := make(chan struct{})
	var hang atomic.Bool
	db := open(t, home, limpet.Options{FS: hanging(&hang, gate), Fsync: limpet.Always})
	hang.Store(true)
	release := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	s := db.Session("", "")
	defer s.Close()
	for name, call := range map[string]func(ctx context.Context) error{
		"DB.Do":      func(ctx context.Context) error { _, err := db.Do(ctx, "INCR", "a"); return err },
		"Session.Do": func(ctx context.Context) error { _, err := s.Do(ctx, "INCR", "a"); return err },
		"Pipeline": func(ctx context.Context) error {
			p := db.TxPipeline()
			p.Do("INCR", "a")
			_, err := p.Exec(ctx)
			return err
		},
	} {
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		err := call(short)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "run, but not known to be durable") {
			t.Errorf("%s: %v", name, err)
		}
	}
	release()
	long, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if v, err := db.Do(long, "GET", "a"); err != nil || v.Text() != "3" {
		t.Errorf("a is %v (%v), want 3: all of them have run", v, err)
	}
}

func TestPipeline_ManyGoroutines_NothingComesInBetween(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem(), Fsync: limpet.Always})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			p := db.Pipeline()
			if g%2 == 1 {
				p = db.TxPipeline()
			}
			within, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			for range 100 {
				p.Do("SET", "turn", g)
				p.Do("INCR", "n")
				p.Do("GET", "turn")
				replies, err := p.Exec(within)
				if err != nil {
					t.Error(err)
					return
				}
				if turn, err := replies[2].AsInt(); err != nil || turn != int64(g) {
					t.Errorf("goroutine %d reads %v, %v", g, replies[2], err)
				}
			}
		})
	}
	all.Wait()
	if v := do(t, db, "GET", "n"); v.Text() != "800" {
		t.Errorf("counted to %v", v)
	}
}

func TestTxPipeline_Replies_AreThoseOfTheCommands(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	p := db.TxPipeline()
	p.Do("SET", "a", "text")
	p.Do("INCR", "a") // fails when it is run, and undoes nothing
	p.Do("GET", "a")
	if p.Len() != 3 {
		t.Errorf("Len is %d", p.Len())
	}
	if got, want := shown(exec(t, p)), `OK, (error) ERR value is not an integer or out of range, "text"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if replies := exec(t, p); len(replies) != 0 {
		t.Error(replies)
	}
}

func TestTxPipeline_CommandThatIsNone_RunsNoneOfThem(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	for _, bad := range [][]any{{"NOSUCH"}, {"GET"}} {
		p := db.TxPipeline()
		p.Do("SET", "a", 1)
		p.Do(bad...)
		var wire resp.ServerError
		if replies, err := p.Exec(ctx); !errors.As(err, &wire) || !strings.Contains(err.Error(), "nothing was run: command 1: ERR ") {
			t.Errorf("%v: %v, %v", bad, replies, err)
		}
		p.Do("EXISTS", "a")
		if v := exec(t, p)[0]; v.Int != 0 {
			t.Errorf("%v: a was set", bad)
		}
	}
}

// With MULTI renamed, its commands would run one by one.
func TestTxPipeline_MultiRenamed_RunsNothing(t *testing.T) {
	for _, renamed := range []map[string]string{{"multi": ""}, {"exec": ""}, {"exec": "discard"}} {
		db := open(t, home, limpet.Options{FS: vfs.NewMem(), Renamed: renamed})
		p := db.TxPipeline()
		p.Do("SET", "a", 1)
		if _, err := p.Exec(ctx); err == nil || !strings.Contains(err.Error(), "no transactions") {
			t.Errorf("%v: %v", renamed, err)
		}
		if v := do(t, db, "EXISTS", "a"); v.Int != 0 {
			t.Errorf("%v: a was set", renamed)
		}
	}
}

func TestSession_Watch_OfTwoOnlyOneSucceeds(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	const goroutines, each = 4, 50
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			s := db.Session("", "")
			defer s.Close()
			for done := 0; done < each; {
				_, err := s.Do(ctx, "WATCH", "n")
				if err != nil {
					t.Error(err)
					return
				}
				n, err := s.Do(ctx, "GET", "n")
				if err != nil {
					t.Error(err)
					return
				}
				old, err := n.AsInt()
				if err != nil && !errors.Is(err, resp.ErrNull) {
					t.Error(err)
					return
				}
				tx := s.TxPipeline()
				tx.Do("SET", "n", old+1)
				switch _, err := tx.Exec(ctx); {
				case err == nil:
					done++
				case !errors.Is(err, limpet.ErrWatched):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if v := do(t, db, "GET", "n"); v.Text() != fmt.Sprint(goroutines*each) {
		t.Errorf("n is %v", v)
	}
}

func TestSession_Do_KeepsWhatTheSessionHas(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	s := db.Session("", "")
	defer s.Close()
	var got []resp.Value
	for _, args := range [][]any{{"SELECT", 3}, {"MULTI"}, {"SET", "a", 1}} {
		v, err := s.Do(ctx, args...)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, v)
	}
	p := s.TxPipeline()
	p.Do("SET", "b", 1)
	if _, err := p.Exec(ctx); err == nil || !strings.Contains(err.Error(), "between MULTI and EXEC already") {
		t.Error(err)
	}
	p = s.Pipeline()
	p.Do("EXEC")
	p.Do("KEYS", "*")
	got = append(got, exec(t, p)...)
	if all := shown(got); all != `OK, OK, QUEUED, [OK], ["a"]` {
		t.Error(all)
	}
	if v := do(t, db, "DBSIZE"); v.Int != 0 {
		t.Error("database 0 has it")
	}
	p.Do("SET", "a", 2)
	p.Do("QUIT")
	p.Do("SET", "a", 3)
	if _, err := p.Exec(ctx); err == nil || err.Error() != "limpet: command 2 has ended the session: those behind it were not run" {
		t.Error(err)
	}
	if _, err := s.Do(ctx, "PING"); err == nil {
		t.Error("a session that has ended answers")
	}
}

// What a browser is tricked into sending ends a connection without a reply.
func TestDo_LinesOfHTTP_AreNoCommands(t *testing.T) {
	db := open(t, home, limpet.Options{FS: vfs.NewMem()})
	if v, err := db.Do(ctx, "POST", "/"); err == nil {
		t.Errorf("got %v", v)
	}
	for _, p := range []*limpet.Pipeline{db.Pipeline(), db.TxPipeline()} {
		p.Do("SET", "a", 1)
		p.Do("POST", "/")
		if replies, err := p.Exec(ctx); err == nil {
			t.Errorf("got %v", replies)
		}
	}
	do(t, db, "PING")
}

// A power cut keeps all of a transaction or nothing of it, and of a pipeline a
// first part; what was answered under always is there.
func TestPipeline_PowerCut_KeepsTransactionsWhole(t *testing.T) {
	rng := modeltest.Rand(t)
	for range modeltest.Rounds(30) {
		disk := vfs.NewCrash()
		db := open(t, home, limpet.Options{FS: disk, Fsync: limpet.Always})
		disk.StopBefore(1 + rng.IntN(40))
		answered := 0
		for i := range 20 {
			tx := db.TxPipeline()
			for k := range 5 {
				tx.Do("SET", fmt.Sprint("tx", k), i+1)
			}
			plain := db.Pipeline()
			for k := range 5 {
				plain.Do("SET", fmt.Sprint("plain", k), i+1)
			}
			if _, err := tx.Exec(ctx); err != nil {
				break
			}
			if _, err := plain.Exec(ctx); err != nil {
				break
			}
			answered = i + 1
		}
		after := open(t, home, limpet.Options{FS: disk.CrashImage(rand.New(rand.NewPCG(rng.Uint64(), 0)))})
		read := func(prefix string) (all []int64) {
			for k := range 5 {
				n, err := do(t, after, "GET", fmt.Sprint(prefix, k)).AsInt()
				if err != nil && !errors.Is(err, resp.ErrNull) {
					t.Fatal(err)
				}
				all = append(all, n)
			}
			return all
		}
		tx, plain := read("tx"), read("plain")
		if slices.Min(tx) != slices.Max(tx) || tx[0] < int64(answered) {
			t.Errorf("answered %d, transactions are at %v", answered, tx)
		}
		sorted := slices.IsSortedFunc(plain, func(a, b int64) int { return int(b - a) }) // each a first part
		if !sorted || slices.Min(plain) < int64(answered) {
			t.Errorf("answered %d, pipelines are at %v", answered, plain)
		}
	}
}
