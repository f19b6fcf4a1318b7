package crash

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"limpet"
	"limpet/internal/modeltest"
	"limpet/resp"
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

// writer is one client. For each n it sends INCR of its counter, which answers n;
// SET of a key that belongs to n; and a MULTI that counts in two places. The
// three are one after another, so what survives of them is a first part.
type writer struct {
	id      int
	counted int   // newest n that INCR has answered
	set     int   // newest n whose SET was acknowledged
	paired  int   // newest n whose EXEC was acknowledged
	refused error // an error reply
}

func (w *writer) counter() string     { return fmt.Sprintf("counter:%d", w.id) }
func (w *writer) unique(n int) string { return fmt.Sprintf("unique:%d:%d", w.id, n) }
func (w *writer) left() string        { return fmt.Sprintf("left:%d", w.id) }
func (w *writer) right() string       { return fmt.Sprintf("right:%d", w.id) }

// run writes until the connection breaks or a request is refused.
func (w *writer) run(addr string) {
	network := "tcp"
	if filepath.IsAbs(addr) {
		network = "unix"
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	r := &remote{conn, bufio.NewReader(conn)}
	acknowledged := func(words ...string) (resp.Value, bool) {
		v, err := r.try(words...)
		if err == nil {
			w.refused = v.Err()
		}
		return v, err == nil && w.refused == nil
	}
	for {
		v, ok := acknowledged("INCR", w.counter())
		if !ok {
			return
		}
		w.counted = int(v.Int)
		if _, ok := acknowledged("SET", w.unique(w.counted), strconv.Itoa(w.counted)); !ok {
			return
		}
		w.set = w.counted
		for _, words := range []request{{"MULTI"}, {"INCR", w.left()}, {"INCR", w.right()}, {"EXEC"}} {
			if _, ok := acknowledged(words...); !ok {
				return
			}
		}
		w.paired = w.counted
	}
}

// check compares what is there with what this writer was told: nothing
// acknowledged is missing, and of the rest no more is there than was sent. It
// answers what is wrong.
func (w *writer) check(t *testing.T, p peer) (wrong []string) {
	t.Helper()
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	number := func(key string) int {
		v := p.do(t, "GET", key)
		n, err := strconv.Atoi(v.Text())
		if err != nil && !v.IsNull() {
			t.Fatalf("%s holds %q", key, v.Text())
		}
		return n
	}
	n, left, right := number(w.counter()), number(w.left()), number(w.right())
	if n < w.counted || n > w.counted+1 {
		add("%s is %d, acknowledged was %d", w.counter(), n, w.counted)
	}
	if left != right || left < w.paired || left > w.paired+1 {
		add("the pair of %s is %d and %d, acknowledged was %d", w.counter(), left, right, w.paired)
	}
	if w.set == 0 {
		return wrong
	}
	ask := request{"MGET"}
	for i := 1; i <= w.set; i++ {
		ask = append(ask, w.unique(i))
	}
	for i, v := range must(t, p, ask...).Elems {
		if v.Text() != strconv.Itoa(i+1) {
			add("%s is missing, acknowledged was %d", w.unique(i+1), w.set)
		}
	}
	return wrong
}

// settle brings the three writes of each writer into step again after a round was
// cut off.
func settle(t *testing.T, p peer, writers []*writer) {
	t.Helper()
	all := request{"MSET"}
	for _, w := range writers {
		n := strconv.Itoa(w.counted)
		all = append(all, w.counter(), n, w.unique(w.counted), n, w.left(), n, w.right(), n)
		w.set, w.paired = w.counted, w.counted
	}
	must(t, p, all...)
}

// checkAll is check for all writers.
func checkAll(t *testing.T, p peer, writers []*writer) (wrong []string) {
	t.Helper()
	for _, w := range writers {
		wrong = append(wrong, w.check(t, p)...)
	}
	return wrong
}

const killWriters = 50

// killRound lets all writers run for a while, begins a rewrite a moment before
// the end, or leaves that to the growth rule, and kills the process.
func killRound(t *testing.T, v *victim, p *remote, writers []*writer, rng *rand.Rand) {
	t.Helper()
	var running sync.WaitGroup
	for _, w := range writers {
		running.Go(func() { w.run(v.addr) })
	}
	pause := func(most time.Duration) { <-time.After(time.Duration(rng.Int64N(int64(most)))) } // a random moment: there is nothing to wait for
	pause(80 * time.Millisecond)
	if rng.IntN(2) == 0 {
		_, _ = io.WriteString(p.conn, "BGREWRITEAOF\r\n") // the answer is nobody's business
		pause(10 * time.Millisecond)
	}
	v.kill()
	running.Wait()
	for _, w := range writers {
		if w.refused != nil {
			t.Fatalf("a writer was refused: %v", w.refused)
		}
	}
}

func newWriters() []*writer {
	writers := make([]*writer, killWriters)
	for i := range writers {
		writers[i] = &writer{id: i}
	}
	return writers
}

func total(writers []*writer) (n int) {
	for _, w := range writers {
		n += w.counted
	}
	return n
}

// killedInRewrite tells whether a rewrite was under way: its base has not got its
// name yet, or the log before it is still named beside the new one.
func killedInRewrite(t *testing.T, dir string) bool {
	t.Helper()
	in := filepath.Join(dir, "appendonlydir")
	temps, err := filepath.Glob(filepath.Join(in, "temp-*.base"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadFile(filepath.Join(in, "appendonly.aof.manifest"))
	if err != nil {
		t.Fatal(err)
	}
	return len(temps) > 0 || strings.Count(string(names), " type i\n") > 1
}

func TestKill_Always_NoAcknowledgedWriteIsMissing(t *testing.T) { killAgainAndAgain(t, limpet.Always) }

// A killed process leaves behind what the kernel was given, synced or not. So
// under everysec and no, too, a kill loses nothing that was acknowledged; that a
// power cut may is the matter of power_test.go.
func TestKill_EverySec_NoAcknowledgedWriteIsMissing(t *testing.T) {
	killAgainAndAgain(t, limpet.EverySec)
}

func TestKill_No_NoAcknowledgedWriteIsMissing(t *testing.T) { killAgainAndAgain(t, limpet.No) }

// roundsInADirectory is after how many rounds a new directory is begun, so that
// the last of a thousand rounds takes as long as the first.
const roundsInADirectory = 50

func killAgainAndAgain(t *testing.T, policy limpet.Policy) {
	rng := modeltest.Rand(t)
	rounds := min(modeltest.Rounds(30), 1000)
	acknowledged, inRewrite := 0, 0
	for left := rounds; left > 0; left -= roundsInADirectory {
		dir, writers := t.TempDir(), newWriters()
		for round := range min(left, roundsInADirectory) {
			v := startVictim(t, dir, policy)
			p := dial(t, v.addr)
			settle(t, p, writers)
			before := total(writers)
			killRound(t, v, p, writers, rng)
			_ = p.conn.Close()
			acknowledged += total(writers) - before
			if killedInRewrite(t, dir) {
				inRewrite++
			}
			if round%10 == 9 {
				checkInRealRedis(t, dir, writers)
			}
			v = startVictim(t, dir, policy)
			p = dial(t, v.addr)
			if wrong := checkAll(t, p, writers); len(wrong) > 0 {
				t.Fatalf("after kill %d of %d:\n%s", rounds-left+round+1, rounds, strings.Join(wrong, "\n"))
			}
			_ = p.conn.Close()
			v.kill() // while nobody writes: the next start is over files that a start has made
		}
	}
	t.Logf("%d kills, %d of them during a rewrite; %d times INCR, SET and EXEC acknowledged and found again", rounds, inRewrite, acknowledged)
	if inRewrite == 0 {
		t.Error("no kill has met a rewrite")
	}
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
	if wrong := checkAll(t, redis, writers); len(wrong) > 0 {
		t.Fatalf("a real server over what a kill left:\n%s", strings.Join(wrong, "\n"))
	}
}
