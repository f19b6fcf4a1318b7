package crash

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"limpet"
	"limpet/internal/testredis"
	"limpet/resp"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDirVar); dir != "" {
		serveUntilKilled(dir)
	}
	if os.Getenv(ownMountsVar) == "" {
		if code, ok := runInOwnMounts(); ok {
			os.Exit(code)
		}
	}
	remove, err := buildOurs()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { remove(); os.Exit(code) }))
}

// home is the data directory on disks in memory.
const home = "/data"

// patience is how long a test waits for what must happen. Nothing that passes
// ever waits so long.
const patience = 30 * time.Second

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// peer answers requests: our store without a socket, or any server with one.
type peer interface {
	// do gives the reply, in which errors are values too, or fails the test.
	do(t *testing.T, words ...string) resp.Value
}

// must is do for requests that cannot be refused.
func must(t *testing.T, p peer, words ...string) resp.Value {
	t.Helper()
	v := p.do(t, words...)
	if err := v.Err(); err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return v
}

// local is a session of a store in this process.
type local struct {
	s   *limpet.Session
	b   limpet.Batch
	out resp.Writer
}

func session(db *limpet.DB) *local { return &local{s: db.Session("test:1", "test:2")} }

// exec runs requests as one batch and gives a reply for each, not yet durable.
func (l *local) exec(t *testing.T, requests ...request) ([]resp.Value, limpet.Ticket) {
	t.Helper()
	l.b.Reset()
	l.out.Reset()
	for _, r := range requests {
		l.b.Add(r.bytes())
	}
	ticket := l.s.Exec(&l.b, &l.out)
	var replies []resp.Value
	for rest := l.out.Buf; len(rest) > 0; {
		v, n, err := resp.Decode(rest)
		if err != nil {
			t.Fatalf("%v: replies %q: %v", requests, l.out.Buf, err)
		}
		replies, rest = append(replies, v.Clone()), rest[n:]
	}
	if len(replies) != len(requests) {
		t.Fatalf("%v: %d replies to %d requests", requests, len(replies), len(requests))
	}
	return replies, ticket
}

func (l *local) do(t *testing.T, words ...string) resp.Value {
	t.Helper()
	replies, ticket := l.exec(t, words)
	if err := l.s.Wait(ticket); err != nil {
		return resp.Value{Kind: resp.ErrorReply, Str: []byte(err.Error())}
	}
	return replies[0]
}

// remote is a connection to a server.
type remote struct {
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, addr string) *remote {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &remote{conn, bufio.NewReader(conn)}
}

func (r *remote) do(t *testing.T, words ...string) resp.Value {
	t.Helper()
	v, err := r.try(words...)
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return v
}

// try is do whose server may be gone.
func (r *remote) try(words ...string) (resp.Value, error) {
	_ = r.conn.SetDeadline(time.Now().Add(patience))
	if _, err := r.conn.Write(resp.AppendCommand(nil, request(words).bytes()...)); err != nil {
		return resp.Value{}, err
	}
	return readReply(r.r)
}

// readReply reads one RESP2 reply.
func readReply(r *bufio.Reader) (resp.Value, error) {
	var raw bytes.Buffer
	if err := copyReply(&raw, r); err != nil {
		return resp.Value{}, err
	}
	v, _, err := resp.Decode(raw.Bytes())
	return v, err
}

func copyReply(raw *bytes.Buffer, r *bufio.Reader) error {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	raw.Write(line)
	n, err := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	if err != nil || n < 0 {
		return nil
	}
	switch line[0] {
	case '$':
		_, err = io.CopyN(raw, r, int64(n)+2)
		return err
	case '*':
		for range n {
			if err := copyReply(raw, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// request is a command and its arguments.
type request []string

func (r request) bytes() [][]byte {
	args := make([][]byte, len(r))
	for i, w := range r {
		args[i] = []byte(w)
	}
	return args
}

// state is everything a store shows: for each "database/key" its type, its
// deadline and its value in a canonical form.
type state map[string]string

// dump asks for the state. Keys whose deadline is at or before horizon, in Unix
// ms, are left out: whether they have been deleted yet is nobody's business.
func dump(t *testing.T, p peer, databases int, horizon int64) state {
	t.Helper()
	s := state{}
	for db := range databases {
		must(t, p, "SELECT", strconv.Itoa(db))
		for _, k := range must(t, p, "KEYS", "*").Elems {
			key := string(k.Str)
			deadline := must(t, p, "PEXPIRETIME", key).Int
			if deadline >= 0 && deadline <= horizon {
				continue
			}
			typ := string(must(t, p, "TYPE", key).Str)
			s[fmt.Sprintf("%d/%s", db, key)] = fmt.Sprintf("%s until %d: %s", typ, deadline, valueOf(t, p, typ, key))
		}
	}
	must(t, p, "SELECT", "0")
	return s
}

// valueOf gives a value in a form that does not depend on the order in which
// sets and hashes happen to be kept.
func valueOf(t *testing.T, p peer, typ, key string) string {
	t.Helper()
	ask := map[string]request{
		"string": {"GET", key}, "list": {"LRANGE", key, "0", "-1"}, "hash": {"HGETALL", key}, "set": {"SMEMBERS", key},
		"zset": {"ZRANGE", key, "0", "-1", "WITHSCORES"}, "stream": {"XRANGE", key, "-", "+"},
	}[typ]
	v := must(t, p, ask...)
	items := texts(v)
	switch typ {
	case "hash":
		pairs := make([]string, 0, len(items)/2)
		for i := 0; i+1 < len(items); i += 2 {
			pairs = append(pairs, items[i]+"="+items[i+1])
		}
		items = pairs
		sort.Strings(items)
	case "set":
		sort.Strings(items)
	}
	return strings.Join(items, " ")
}

// texts flattens a reply.
func texts(v resp.Value) []string {
	if v.Kind != resp.ArrayReply {
		return []string{strconv.Quote(v.Text())}
	}
	items := []string{}
	for _, e := range v.Elems {
		items = append(items, texts(e)...)
	}
	return items
}

// difference tells two states apart in words, "" when they are the same.
func difference(got, want state) string {
	var lines []string
	keys := map[string]bool{}
	for k := range got {
		keys[k] = true
	}
	for k := range want {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if got[k] != want[k] {
			lines = append(lines, fmt.Sprintf("%s: got %.200q, want %.200q", k, got[k], want[k]))
		}
	}
	if len(lines) > 10 {
		lines = append(lines[:10], fmt.Sprintf("and %d more", len(lines)-10))
	}
	return strings.Join(lines, "\n")
}

// open opens a store or fails the test.
func open(t *testing.T, dir string, o limpet.Options) *limpet.DB {
	t.Helper()
	db, err := limpet.Open(dir, &o)
	if err != nil {
		t.Fatalf("opening %s failed: %v", dir, err)
	}
	return db
}

func closeDB(t *testing.T, db *limpet.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// realRedis starts a redis-server on a data directory, as a user who moves there
// would.
func realRedis(t *testing.T, dir string) (*testredis.Server, *remote) {
	t.Helper()
	server := testredis.Start(t, testredis.Options{Dir: dir, Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	return server, dial(t, server.Addr())
}

// info reads one field of INFO persistence.
func info(t *testing.T, p peer, field string) string {
	t.Helper()
	for line := range strings.SplitSeq(must(t, p, "INFO", "persistence").Text(), "\r\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return value
		}
	}
	t.Fatalf("INFO persistence has no field %s", field)
	return ""
}

// rewrite runs BGREWRITEAOF to its end.
func rewrite(t *testing.T, p peer) {
	t.Helper()
	must(t, p, "BGREWRITEAOF")
	eventually(t, "the rewrite ends", func() bool {
		return info(t, p, "aof_rewrite_in_progress") == "0" && info(t, p, "aof_rewrite_scheduled") == "0"
	})
	if status := info(t, p, "aof_last_bgrewrite_status"); status != "ok" {
		t.Fatalf("the rewrite ended with %s", status)
	}
}
