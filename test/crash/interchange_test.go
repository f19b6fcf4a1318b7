package crash

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"limpet"
	"limpet/internal/modeltest"
	"limpet/resp"
)

// fill makes collections that are too large for their packed forms, and texts
// that a log and a dump write in forms of their own.
func fill(t *testing.T, p peer, rng *rand.Rand) {
	t.Helper()
	hash, set, ints := request{"HSET", "big:hash"}, request{"SADD", "big:set"}, request{"SADD", "big:ints"}
	zset, list := request{"ZADD", "big:zset"}, request{"RPUSH", "big:list"}
	for i := range 700 {
		n := strconv.Itoa(i)
		hash = append(hash, "field:"+n, strings.Repeat("v", rng.IntN(90)))
		set = append(set, "member:"+n)
		ints = append(ints, strconv.Itoa(rng.IntN(1<<30)-1<<29))
		zset = append(zset, strconv.FormatFloat(rng.NormFloat64(), 'g', 17, 64), "member:"+n)
		list = append(list, strings.Repeat("x", rng.IntN(300)))
	}
	zset = append(zset, "inf", "top", "-inf", "bottom")
	requests := []request{hash, set, ints, zset, list,
		{"SET", "big:text", strings.Repeat("compressible ", 20000)},
		{"SET", "number:max", "9223372036854775807"}, {"SET", "number:min", "-9223372036854775808"},
		{"SET", "binary \r\n\x00\xff", "\x00\xff\r\n"}, {"SET", "", "empty key"}, {"SET", "empty", ""},
		{"SET", "session", "x", "PX", "100000000"}, {"GETEX", "session", "EX", "200000"},
		{"SPOP", "big:set", "50"}, {"SPOP", "big:ints"}, {"LTRIM", "big:list", "10", "-10"}, {"LINSERT", "big:list", "BEFORE", "x", "y"},
		{"ZUNIONSTORE", "union", "2", "big:zset", "big:set"}, {"SINTERSTORE", "inter", "big:set", "big:ints"},
		{"HINCRBYFLOAT", "big:hash", "rate", "1.25"},
	}
	for i := range 250 {
		requests = append(requests, request{"XADD", "big:stream", "*", "n", strconv.Itoa(i), "text", strings.Repeat("s", rng.IntN(50))})
	}
	requests = append(requests, request{"XTRIM", "big:stream", "MAXLEN", "200"})
	for _, r := range requests {
		must(t, p, r...)
	}
}

// work runs random units. Replies of error are part of it; unknown commands are not.
func work(t *testing.T, p peer, rng *rand.Rand, units int) {
	t.Helper()
	for range units {
		for _, r := range randomUnit(rng) {
			if v := p.do(t, r...); v.Kind == resp.ErrorReply && strings.Contains(v.Text(), "unknown command") {
				t.Fatalf("%v: %s", r, v.Text())
			}
		}
	}
}

// wantSoundFiles asks Redis's own tools; that of the log looks at its base, too.
func wantSoundFiles(t *testing.T, where, dir string) {
	t.Helper()
	for tool, file := range map[string]string{"redis-check-aof": "appendonlydir/appendonly.aof.manifest", "redis-check-rdb": "dump.rdb"} {
		if out, err := exec.Command(tool, filepath.Join(dir, file)).CombinedOutput(); err != nil {
			t.Errorf("%s: %s: %v\n%s", where, tool, err, out)
		}
	}
}

// TestInterchange_ADirectoryGoesToAndFro works on a directory with us, with a
// real server, with us again and so on, with rewrites on both sides, and kills
// either of them as often as it ends them. Whoever opens it finds what the other
// left, and Redis's tools find it sound.
func TestInterchange_ADirectoryGoesToAndFro(t *testing.T) {
	rng := modeltest.Rand(t)
	for range modeltest.Rounds(1) {
		dir := t.TempDir()
		want := state{}
		for hop := range 8 {
			kill, policy := rng.IntN(2) == 0, limpet.Policy(rng.IntN(3))
			if kill {
				policy = limpet.Always // a real server that is killed may lose something under the others
			}
			l := launch{program: []string{ourProgram, theirProgram(t)}[hop%2], dir: dir, args: []string{"--appendonly", "yes", "--appendfsync", policy.String(),
				"--aof-timestamp-enabled", yesNo(rng.IntN(2) == 0), "--aof-use-rdb-preamble", yesNo(rng.IntN(4) > 0)}}
			where := fmt.Sprintf("hop %d, %s, killed: %v", hop, l, kill)
			r, refused := l.start(t)
			if r == nil {
				t.Fatalf("%s: %s", where, refused)
			}
			want = visit(t, r, rng, want, where)
			switch {
			case kill && l.program == ourProgram && rng.IntN(2) == 0:
				must(t, r, "BGREWRITEAOF") // a real server's child would live on
				r.kill()
			case kill:
				r.kill()
			default:
				r.stop(t)
			}
			wantSoundFiles(t, where, dir)
		}
	}
}

func yesNo(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

// visit checks what the last visitor left, works on it, and gives what is there.
func visit(t *testing.T, p peer, rng *rand.Rand, want state, where string) state {
	t.Helper()
	if diff := difference(dump(t, p, databases, 0), want); diff != "" {
		t.Fatalf("%s:\n%s", where, diff)
	}
	rewriteAt, fillAt := rng.IntN(4), rng.IntN(4)
	for part := range 4 {
		work(t, p, rng, 90)
		if part == fillAt {
			must(t, p, "DEL", "big:hash", "big:set", "big:ints", "big:zset", "big:list", "big:stream")
			fill(t, p, rng)
		}
		if part == rewriteAt {
			rewrite(t, p)
		}
	}
	must(t, p, "SAVE")
	return dump(t, p, databases, 0)
}

// The numbers of a stream that its entries do not tell, and consumer groups,
// which we keep without serving them.
func TestInterchange_StreamsKeepTheirNumbersAndGroups(t *testing.T) {
	dir := t.TempDir()
	server, redis := realRedis(t, dir)
	for _, words := range []request{
		{"XADD", "s", "5-1", "a", "1"}, {"XADD", "s", "6-1", "a", "2"}, {"XADD", "s", "7-1", "a", "3"}, {"XADD", "s", "8-1", "a", "4"},
		{"XDEL", "s", "6-1", "8-1"}, {"XGROUP", "CREATE", "s", "workers", "0"},
		{"XREADGROUP", "GROUP", "workers", "w1", "COUNT", "1", "STREAMS", "s", ">"}, {"XGROUP", "CREATECONSUMER", "s", "workers", "w2"},
	} {
		must(t, redis, words...)
	}
	rewrite(t, redis) // into the base: the log of groups is not ours to replay
	numbers := func() string {
		return strings.Join(texts(must(t, redis, "XINFO", "STREAM", "s", "FULL")), " ")
	}
	want := numbers()
	server.Stop()

	db := open(t, dir, limpet.Options{Fsync: limpet.Always})
	rewrite(t, session(db))
	closeDB(t, db)

	_, redis = realRedis(t, dir)
	if got := numbers(); got != want {
		t.Errorf("after we had rewritten the log:\n%s\nwant\n%s", got, want)
	}
}
