package crash

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"limpet"
	"limpet/internal/modeltest"
	"limpet/server"
)

// The process that is killed is this test binary, started again with these set.
const (
	serveDirVar    = "LIMPET_CRASH_SERVE_DIR"
	servePolicyVar = "LIMPET_CRASH_SERVE_POLICY"
)

// serveUntilKilled serves a directory and prints where. The log is rewritten
// often, so that many kills hit a rewrite. It ends by itself only when its parent
// has gone.
func serveUntilKilled(dir string) {
	fail := func(err error) {
		fmt.Println(err)
		os.Exit(1)
	}
	policy, err := limpet.ParsePolicy(os.Getenv(servePolicyVar))
	if err != nil {
		fail(err)
	}
	db, err := limpet.Open(dir, &limpet.Options{Fsync: policy, RewriteMinSize: 64 << 10, RewritePercentage: 20})
	if err != nil {
		fail(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	fmt.Println(addressMark + l.Addr().String())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(1) }()
	fail(server.New(db, server.Options{}).Serve(l))
}

const addressMark = "listening on "

// victim is a store in a process of its own.
type victim struct {
	cmd   *exec.Cmd
	addr  string
	stdin io.Closer
}

func startVictim(t *testing.T, dir string, policy limpet.Policy) *victim {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveDirVar+"="+dir, servePolicyVar+"="+policy.String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{cmd: cmd, stdin: stdin}
	t.Cleanup(v.kill)
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), addressMark)
	if !ok {
		t.Fatalf("the store did not start over what a kill left: %s", line)
	}
	v.addr = addr
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

// ack is a reply that a writer has seen.
type ack struct {
	n  int
	at time.Time
}

// writer is one client. For each n it sends INCR of its counter, which answers n;
// SET of a key that belongs to n; and a MULTI that counts in two places. The
// three are one after another, so what survives of them is a first part.
type writer struct {
	id      int
	counted []ack // replies to INCR, in order
	set     int   // newest n whose SET was acknowledged
	paired  int   // newest n whose EXEC was acknowledged
	refused error // an error reply: there is none to be had
}

func (w *writer) counter() string     { return fmt.Sprintf("counter:%d", w.id) }
func (w *writer) unique(n int) string { return fmt.Sprintf("unique:%d:%d", w.id, n) }
func (w *writer) left() string        { return fmt.Sprintf("left:%d", w.id) }
func (w *writer) right() string       { return fmt.Sprintf("right:%d", w.id) }

func (w *writer) acknowledged() int {
	if len(w.counted) == 0 {
		return 0
	}
	return w.counted[len(w.counted)-1].n
}

// run writes until the connection breaks.
func (w *writer) run(addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	r := &remote{conn, bufio.NewReader(conn)}
	for {
		v, err := r.try("INCR", w.counter())
		if err != nil {
			return
		}
		if w.refused = v.Err(); w.refused != nil {
			return
		}
		n := int(v.Int)
		w.counted = append(w.counted, ack{n, time.Now()})
		if v, err = r.try("SET", w.unique(n), strconv.Itoa(n)); err != nil {
			return
		}
		if w.refused = v.Err(); w.refused != nil {
			return
		}
		w.set = n
		for _, words := range []request{{"MULTI"}, {"INCR", w.left()}, {"INCR", w.right()}, {"EXEC"}} {
			if v, err = r.try(words...); err != nil {
				return
			}
			if w.refused = v.Err(); w.refused != nil {
				return
			}
		}
		w.paired = n
	}
}

// check compares what is there with what this writer was told. least is the n up
// to which nothing may be missing. It takes over the counter for the next round.
func (w *writer) check(t *testing.T, p peer, least int) {
	t.Helper()
	number := func(key string) int {
		v := p.do(t, "GET", key)
		n, err := strconv.Atoi(v.Text())
		if err != nil && !v.IsNull() {
			t.Fatalf("%s holds %q", key, v.Text())
		}
		return n
	}
	n, left, right := number(w.counter()), number(w.left()), number(w.right())
	if n < least || n > w.acknowledged()+1 {
		t.Errorf("%s is %d; it must not be below %d, and %d was acknowledged", w.counter(), n, least, w.acknowledged())
	}
	if left != right || left < n-1 || left > n {
		t.Errorf("%s: counter %d, but the pair is %d and %d", w.counter(), n, left, right)
	}
	if least == w.acknowledged() && left < w.paired {
		t.Errorf("%s is %d, acknowledged was %d", w.left(), left, w.paired)
	}
	if n > 0 {
		ask := request{"MGET"}
		for i := 1; i <= n; i++ {
			ask = append(ask, w.unique(i))
		}
		for i, v := range must(t, p, ask...).Elems {
			if i++; v.Text() != strconv.Itoa(i) && (i < n || least == w.acknowledged() && i <= w.set) {
				t.Errorf("%s is missing, the counter stands at %d", w.unique(i), n)
			}
		}
	}
	// The round that was cut off is over: the next one begins with SET and EXEC of
	// n, so that the three stay in step.
	w.counted, w.set, w.paired = []ack{{n, time.Time{}}}, n, n
}

// settle brings the three writes of each writer's n into step again after a round
// was cut off.
func settle(t *testing.T, p peer, writers []*writer) {
	t.Helper()
	all := request{"MSET"}
	for _, w := range writers {
		n := strconv.Itoa(w.acknowledged())
		all = append(all, w.counter(), n, w.unique(w.acknowledged()), n, w.left(), n, w.right(), n)
	}
	must(t, p, all...)
}

const killWriters = 50

// killRound lets all writers run for a while and then kills the process.
func killRound(t *testing.T, v *victim, writers []*writer, while time.Duration) (killed time.Time) {
	t.Helper()
	var running sync.WaitGroup
	for _, w := range writers {
		running.Go(func() { w.run(v.addr) })
	}
	<-time.After(while) // the moment is random, there is nothing to wait for
	killed = time.Now()
	v.kill()
	running.Wait()
	for _, w := range writers {
		if w.refused != nil {
			t.Fatalf("a writer was refused: %v", w.refused)
		}
	}
	return killed
}

func newWriters() []*writer {
	writers := make([]*writer, killWriters)
	for i := range writers {
		writers[i] = &writer{id: i}
	}
	return writers
}

func TestKill_Always_NoAcknowledgedWriteIsMissing(t *testing.T) {
	rng := modeltest.Rand(t)
	dir, writers := t.TempDir(), newWriters()
	rounds, acknowledged := modeltest.Rounds(50), 0
	for round := 0; ; round++ {
		v := startVictim(t, dir, limpet.Always)
		p := dial(t, v.addr)
		for _, w := range writers {
			w.check(t, p, w.acknowledged())
		}
		if t.Failed() {
			t.Fatalf("after %d kills", round)
		}
		if round == rounds {
			v.kill()
			break
		}
		settle(t, p, writers)
		before := total(writers)
		killRound(t, v, writers, time.Duration(10+rng.IntN(90))*time.Millisecond)
		acknowledged += total(writers) - before
		if round%10 == 9 {
			checkInRealRedis(t, dir, writers)
		}
	}
	t.Logf("%d rounds of INCR, SET and EXEC acknowledged and found again", acknowledged)
}

// checkInRealRedis opens a copy of what a kill left in a real server.
func checkInRealRedis(t *testing.T, dir string, writers []*writer) {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	server, redis := realRedis(t, copied)
	defer server.Kill()
	for _, w := range writers {
		seen := *w // check takes the counter over, and the next round needs it as it is
		seen.check(t, redis, seen.acknowledged())
	}
}

func total(writers []*writer) (n int) {
	for _, w := range writers {
		n += w.acknowledged()
	}
	return n
}

// Under everysec a reply is sent before its record reaches the kernel, so a kill
// may lose what was acknowledged since the last write(2): no longer ago than one
// sync takes, for the log's goroutine writes whatever has gathered as soon as the
// sync before it is done. A second is promised; a power cut is another matter
// (see power_test.go).
func TestKill_EverySec_LosesAtMostTheLastSecondAndNeverFromTheMiddle(t *testing.T) {
	const promised = time.Second
	rng := modeltest.Rand(t)
	dir, writers := t.TempDir(), newWriters()
	for range modeltest.Rounds(3) {
		v := startVictim(t, dir, limpet.EverySec)
		p := dial(t, v.addr)
		settle(t, p, writers)
		killed := killRound(t, v, writers, promised+time.Duration(100+rng.IntN(400))*time.Millisecond)
		v = startVictim(t, dir, limpet.EverySec)
		p = dial(t, v.addr)
		for _, w := range writers {
			least := 0
			for _, a := range w.counted {
				if killed.Sub(a.at) > promised {
					least = a.n
				}
			}
			w.check(t, p, least)
		}
		v.kill()
	}
}
