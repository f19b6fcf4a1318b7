package archive

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet"
	"limpet/aof"
	"limpet/internal/modeltest"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/internal/testredis"
	"limpet/vfs"
)

// The archiver that is killed is this test binary, started again with these set.
const (
	victimDirVar    = "LIMPET_ARCHIVE_DIR"
	victimTargetVar = "LIMPET_ARCHIVE_TARGET"
)

const (
	victimInterval = 200 * time.Millisecond
	victimTTL      = 200 * time.Millisecond
	victimMark     = "archiving"
)

// becomeVictim archives until it is killed, or its parent is gone.
func becomeVictim() {
	dir := os.Getenv(victimDirVar)
	if dir == "" {
		return
	}
	store, err := target.OpenDir(vfs.OS(), os.Getenv(victimTargetVar))
	if err == nil {
		fmt.Println(victimMark)
		go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(1) }()
		err = New(store, Options{
			Dir: dir, Interval: victimInterval, TTL: victimTTL, Holder: strconv.Itoa(os.Getpid()),
			Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		}).Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// victim is an archiver in a process of its own.
type victim struct {
	cmd   *exec.Cmd
	stdin io.Closer
	said  *strings.Builder
}

func startVictim(t *testing.T, dir, to string) *victim {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	v := &victim{cmd: exec.Command(self), said: new(strings.Builder)}
	v.cmd.Env = append(os.Environ(), victimDirVar+"="+dir, victimTargetVar+"="+to)
	v.cmd.Stderr = v.said
	v.stdin, err = v.cmd.StdinPipe()
	must(t, err)
	stdout, err := v.cmd.StdoutPipe()
	must(t, err)
	must(t, v.cmd.Start())
	t.Cleanup(v.kill)
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); strings.TrimSpace(line) != victimMark {
		t.Fatalf("the archiver did not start: %q %s", line, v.said)
	}
	return v
}

// kill is kill -9.
func (v *victim) kill() {
	if v.cmd == nil {
		return
	}
	_ = v.cmd.Process.Kill()
	_ = v.stdin.Close()
	_ = v.cmd.Wait()
	v.cmd = nil
}

// counting writes to a server until it is gone, and remembers when each write
// was acknowledged.
type counting struct {
	acked    []time.Time // of counts 1, 2, … since the round began
	from     int         // the count before the first of them
	rewrites int         // that the server has begun
}

func (c *counting) run(ctx context.Context, client *redis.Client, rewrites bool) {
	for i := 0; ctx.Err() == nil; i++ {
		var n *redis.IntCmd
		_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			n = p.Incr(ctx, "n")
			p.Set(ctx, "also", "", 0)
			p.RPush(ctx, "list", i)
			p.LTrim(ctx, "list", -100, -1)
			return nil
		})
		if err != nil {
			return
		}
		if len(c.acked) == 0 {
			c.from = int(n.Val()) - 1
		}
		c.acked = append(c.acked, time.Now())
		if rewrites && i%300 == 10 {
			if client.Do(ctx, "BGREWRITEAOF").Err() == nil { // refused while one runs
				c.rewrites++
			}
		}
	}
}

// checkChains reads all timelines from their first byte to their last, and wants
// each to say why it began, and each but the very first what was before. (That one
// is not among them when its archiver was killed before its base was shipped.)
func checkChains(t *testing.T, a *Archive) (commands int) {
	t.Helper()
	for _, span := range a.Timelines() {
		if span.Reason == "" || span.Why == "" || (span.Number == 1) != (span.Previous == nil) {
			t.Errorf("timeline %d does not say why: %+v", span.Number, span.Timeline)
		}
	}
	must(t, a.History(ctx, Query{}, func(e Event) error {
		if e.Command != nil {
			commands++
		}
		return nil
	}))
	return commands
}

func openDirTarget(t *testing.T, dir string) *Archive {
	t.Helper()
	store, err := target.OpenDir(vfs.OS(), dir)
	must(t, err)
	a, err := Open(ctx, store, sealed.Keys{})
	must(t, err)
	return a
}

// restoreOnDisk restores a plan where a real server can open it.
func restoreOnDisk(t *testing.T, a *Archive, p *Plan) string {
	t.Helper()
	dir := t.TempDir()
	must(t, a.Restore(ctx, p, vfs.OS(), dir))
	return dir
}

// allowed is how old a write may be that is lost with the machine: the interval,
// and time for a segment to be written and synced where many tests run at once.
const allowed = victimInterval + 1300*time.Millisecond

// TestKill_ArchiverAndServerAtRandomMoments_TheChainIsWholeOrSaysWhy writes to a
// real redis-server with rewrites, and kills the archiver, the server or both, as
// when the machine is gone. In the last case the archive alone must hold all but
// the last interval.
func TestKill_ArchiverAndServerAtRandomMoments_TheChainIsWholeOrSaysWhy(t *testing.T) {
	const onlyArchiver, onlyServer, machine = 0, 1, 2
	rng := modeltest.Rand(t)
	to := t.TempDir()
	server := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--aof-timestamp-enabled", "yes"}})
	server.Do("SET", "n", "0")
	victim := startVictim(t, server.Dir(), to)
	gone, worst := 0, time.Duration(0)
	rewritten, calm := 0, 0 // rounds
	first := rng.Perm(3)
	rounds := modeltest.Rounds(6)
	for round := range rounds {
		kind := rng.IntN(6) % 4 % 3 // the machine every sixth time
		if round < len(first) {
			kind = first[round] // each of them at least once
		}
		rewrites := rng.IntN(2) == 0
		switch left := rounds - round; { // a few rounds may draw all the same
		case rewritten == 0 && left <= 2:
			rewrites = true
		case calm == 0 && left <= 2:
			rewrites = false
		}
		while := time.Duration(50+rng.IntN(400)) * time.Millisecond
		if kind == machine {
			awaitCaughtUp(t, to, time.Now())
			while += allowed
		}
		c := new(counting)
		writing, stop := context.WithCancel(ctx)
		var running sync.WaitGroup
		running.Go(func() { c.run(writing, server.Client(), rewrites) })
		<-time.After(while) // the moment is random, there is nothing to wait for
		at := time.Now()
		if kind != onlyArchiver {
			server.Kill()
		}
		if kind != onlyServer {
			victim.kill()
		}
		stop()
		running.Wait()
		switch {
		case c.rewrites > 0:
			rewritten++
		case !rewrites && len(c.acked) > 0:
			calm++
		}
		if kind == machine {
			gone++
			worst = max(worst, checkLoss(t, to, c, at))
		}
		if kind != onlyArchiver {
			server.Restart()
		}
		if kind != onlyServer {
			victim = startVictim(t, server.Dir(), to)
		}
	}
	if rewritten == 0 || calm == 0 || gone == 0 {
		t.Errorf("%d rounds with rewrites, %d without, and the machine gone %d times: want some of each", rewritten, calm, gone)
	}
	want := server.Do("GET", "n")
	awaitCaughtUp(t, to, time.Now())
	victim.kill()
	a := openDirTarget(t, to)
	if have := countIn(t, a); strconv.Itoa(have) != want {
		t.Errorf("restored to %d, the server has %v", have, want)
	}
	commands := checkChains(t, a)
	for _, span := range a.Timelines() {
		t.Logf("timeline %d: %d segments, %s: %s", span.Number, span.Last, span.Reason, span.Why)
	}
	t.Logf("%v counted; %d commands in %d timelines; the machine gone %d times, the oldest write lost was %v old", want, commands, len(a.Timelines()), gone, worst)
}

// awaitCaughtUp waits until everything that was written by a moment is archived.
func awaitCaughtUp(t *testing.T, to string, at time.Time) {
	t.Helper()
	store, err := target.OpenDir(vfs.OS(), to)
	must(t, err)
	eventually(t, "the archiver catches up", func() bool {
		s, err := ReadStatus(ctx, store, time.Now())
		return err == nil && s.Until.After(at) && s.Trouble == ""
	})
}

// countIn restores the newest state and reads the count.
func countIn(t *testing.T, a *Archive) int {
	t.Helper()
	p, err := a.PlanEnd(ctx)
	must(t, err)
	db, err := limpet.Open(restoreOnDisk(t, a, p), nil)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	v, err := db.Do(ctx, "GET", "n")
	must(t, err)
	n, err := strconv.Atoi(v.Text())
	must(t, err)
	return n
}

// checkLoss restores from the target alone and tells how old the oldest write is
// that is missing.
func checkLoss(t *testing.T, to string, c *counting, gone time.Time) time.Duration {
	t.Helper()
	have := countIn(t, openDirTarget(t, to))
	missing := c.acked[max(0, min(len(c.acked), have-c.from)):]
	if len(missing) == 0 {
		return 0
	}
	lost := gone.Sub(missing[0])
	if lost > allowed {
		t.Errorf("restored to %d of %d, the oldest write lost was %v old, want at most %v", have, c.from+len(c.acked), lost, allowed)
	}
	return lost
}

// TestRestore_LiveRedisUnderRewrites_EveryCutIsAStateThatWas archives a real
// server that writes and rewrites, and restores moments and commands of it: the
// server must open each, and find both sides of every transaction.
func TestRestore_LiveRedisUnderRewrites_EveryCutIsAStateThatWas(t *testing.T) {
	rng := modeltest.Rand(t)
	to := t.TempDir()
	server := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--aof-timestamp-enabled", "yes"}})
	store, err := target.OpenDir(vfs.OS(), to)
	must(t, err)
	archiver := New(store, Options{Dir: server.Dir(), Interval: 50 * time.Millisecond, Holder: "test"})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- archiver.Run(running) }()

	writing, endWriting := context.WithTimeout(ctx, 3*time.Second)
	defer endWriting()
	counted, moments := map[time.Time]int{}, []time.Time{}
	for n, last := 0, time.Now(); writing.Err() == nil; {
		n++
		_, err := server.Client().TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "left", n, 0)
			p.Set(ctx, "right", n, 0)
			return nil
		})
		must(t, err)
		server.Do("HSET", "hash", n%50, n)
		if now := time.Now().Truncate(time.Second); now.After(last) {
			last = now
			moments = append(moments, now)
		}
		counted[time.Now().Truncate(time.Second)] = n
		if n%200 == 0 {
			_ = server.Client().Do(ctx, "BGREWRITEAOF").Err()
		}
	}
	stop() // in the middle of a segment perhaps, which must not be left out then
	must(t, <-ended)
	server.Stop()

	a := openDirTarget(t, to)
	checkChains(t, a)
	spans := a.Timelines()
	if len(spans) != 1 {
		t.Fatalf("%d timelines; the last: %+v", len(spans), spans[len(spans)-1].Timeline)
	}
	var plans []*Plan
	for _, at := range moments[:len(moments)-1] {
		p, err := a.PlanAt(ctx, at)
		must(t, err)
		plans = append(plans, p)
	}
	for range 4 {
		p, err := a.PlanBeforeCommand(ctx, spans[0].First+uint64(rng.Int64N(int64(spans[0].Commands))))
		must(t, err)
		plans = append(plans, p)
	}
	bases := map[aof.Seq]bool{}
	for i, p := range plans {
		bases[p.Base.Seq] = true
		r := testredis.Start(t, testredis.Options{Dir: restoreOnDisk(t, a, p), Args: []string{"--appendonly", "yes"}})
		left, right := r.Do("GET", "left"), r.Do("GET", "right")
		if left != right {
			t.Errorf("%s: left %v, right %v", p.At, left, right)
		}
		// Redis takes its second from a cached clock, so that a write at the turn
		// of a second may be dated before or after it.
		if i < len(moments)-1 && left != nil {
			n, err := strconv.Atoi(left.(string))
			must(t, err)
			if low, high := counted[moments[i].Add(-time.Second)], counted[moments[i].Add(time.Second)]; n < low || high > 0 && n > high {
				t.Errorf("%s: %d, the second before ended at %d, the one after at %d", moments[i], n, low, high)
			}
		}
		r.Kill()
	}
	t.Logf("%d segments, %d commands, restores from bases %v", spans[0].Last, spans[0].Commands, slices.Sorted(maps.Keys(bases)))
}
