package parity

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"limpet"
	"limpet/internal/stream"
	"limpet/internal/testredis"
	"limpet/resp"
)

// logs is a pair whose append-only files are read along.
type logs struct {
	*round
	dir   string    // ours
	files [2]string // real, ours
	read  [2]int    // bytes of each already compared or dropped
	loose bool      // MULTI and EXEC do not count
}

// unwrapped leaves MULTI and EXEC out.
func unwrapped(records [][][]byte) [][][]byte {
	return slices.DeleteFunc(records, func(r [][]byte) bool {
		return len(r) == 1 && (string(r[0]) == "MULTI" || string(r[0]) == "EXEC")
	})
}

func startLogs(t *testing.T) *logs {
	t.Helper()
	redis := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "no"}})
	dir := t.TempDir()
	addr := startLimpet(t, dir, &limpet.Options{Fsync: limpet.Always})
	p := &pair{t: t, real: dial(t, "redis", redis.Addr()), ours: dial(t, "limpet", addr)}
	l := &logs{round: &round{conns: [2]*pair{p, p.again(t)}}, dir: dir}
	for i, dir := range []string{redis.Dir(), dir} {
		l.files[i] = filepath.Join(dir, "appendonlydir", "appendonly.aof.1.incr.aof")
	}
	return l
}

// news are the records since the last call. Both servers write them before they
// reply.
func (l *logs) news(t *testing.T) (real, ours [][][]byte) {
	t.Helper()
	var out [2][][][]byte
	for i, file := range l.files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fresh := b[l.read[i]:]
		l.read[i] = len(b)
		for p := (&resp.Parser{}); len(fresh) > 0; {
			args, n, err := p.Next(fresh, nil)
			if err != nil || n == 0 {
				t.Fatalf("%s: %v: %.100q", file, err, fresh)
			}
			out[i], fresh = append(out[i], args), fresh[n:]
		}
	}
	return out[0], out[1]
}

// replay has our log read by a store of ours and by a real server, each on a
// copy, and compares what they make of it with what the live ones hold.
func (l *logs) replay(t *testing.T) error {
	t.Helper()
	live := l.conns[0]
	mirror := &pair{t: t, real: live.real, ours: dial(t, "limpet, from the log", startLimpet(t, l.copy(t), nil))}
	if err := (&round{conns: [2]*pair{mirror, mirror}}).compareKeyspaces(); err != nil {
		return fmt.Errorf("our log, read by us: %w", err)
	}
	redis := testredis.Start(t, testredis.Options{Dir: l.copy(t), Args: []string{"--appendonly", "yes"}})
	mirror = &pair{t: t, real: dial(t, "redis, from our log", redis.Addr()), ours: live.ours}
	if err := (&round{conns: [2]*pair{mirror, mirror}}).compareKeyspaces(); err != nil {
		return fmt.Errorf("our log, read by redis-server: %w", err)
	}
	return nil
}

// copy copies our directory as it is now.
func (l *logs) copy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "appendonlydir"), os.DirFS(filepath.Join(l.dir, "appendonlydir"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// compare compares the records since the last call.
func (l *logs) compare(t *testing.T) error {
	t.Helper()
	real, ours := l.news(t)
	if l.loose {
		real, ours = unwrapped(real), unwrapped(ours)
	}
	for i := range max(len(real), len(ours)) {
		if i >= len(real) || i >= len(ours) || !sameRecord(real[i], ours[i]) {
			return fmt.Errorf("the logs differ from record %d on:\n  redis:\n%s  limpet:\n%s", i, listing(real, i), listing(ours, i))
		}
	}
	return nil
}

func listing(records [][][]byte, from int) string {
	var b strings.Builder
	for i := max(0, from-3); i < min(len(records), from+6); i++ {
		fmt.Fprintf(&b, "    %q\n", records[i])
	}
	return b.String()
}

// sameRecord compares two records, but for what ours say in another way:
//
//   - a condition that held is left out: SET NX, SETNX, PEXPIREAT GT
//   - a *STORE that has nothing to store is the DEL that it comes to
//   - the id of XADD is whole: 5-0 where 5 was asked for
//   - a trim made exact has no LIMIT, and its MINID is the oldest entry that is
//     left, where Redis counts deleted ones that their node still holds
func sameRecord(real, ours [][]byte) bool {
	if isStore(real) && string(ours[0]) == "DEL" && len(ours) == 2 {
		return bytes.Equal(real[1], ours[1])
	}
	real, ours = canonical(real), canonical(ours)
	if len(real) != len(ours) {
		return false
	}
	for i := range real {
		if !bytes.Equal(real[i], ours[i]) && !sameMoment(real[i], ours[i]) {
			return false
		}
	}
	return true
}

func isStore(record [][]byte) bool {
	return len(record) > 2 && bytes.HasSuffix(bytes.ToUpper(record[0]), []byte("STORE"))
}

// canonical is a record in the form that both servers' have in common.
func canonical(record [][]byte) (out [][]byte) {
	name := bytes.ToUpper(record[0]) // as typed or not
	switch string(name) {
	case "SETNX", "MSETNX":
		name = bytes.TrimSuffix(name, []byte("NX"))
	case "XADD", "XTRIM":
		return canonicalTrim(record)
	}
	out = append(out, name)
	for i, arg := range record[1:] {
		word := strings.ToUpper(string(arg))
		switch option := i >= 2 && (string(name) == "SET" || string(name) == "PEXPIREAT"); {
		case option && slices.Contains([]string{"NX", "XX", "GT", "LT"}, word):
		case option:
			out = append(out, []byte(word))
		default:
			out = append(out, arg)
		}
	}
	return out
}

// canonicalTrim leaves LIMIT and the bound of MINID out and makes an id whole.
func canonicalTrim(record [][]byte) (out [][]byte) {
	out = append(out, bytes.ToUpper(record[0]), record[1])
	i := 2
	for ; i < len(record); i++ {
		switch word := strings.ToUpper(string(record[i])); word {
		case "LIMIT":
			i++
		case "MINID":
			if i++; string(record[i]) == "=" {
				i++
			}
			out = append(out, []byte(word))
		case "MAXLEN":
			out = append(out, []byte(word))
			if i++; string(record[i]) == "=" {
				i++
			}
			out = append(out, record[i])
		case "NOMKSTREAM":
			out = append(out, []byte(word))
		default: // the id, behind which are fields
			id, ok := stream.ParseID(record[i], 0)
			if !ok {
				return record
			}
			return append(append(out, []byte(id.String())), record[i+1:]...)
		}
	}
	return out
}

// moment is a Unix time in milliseconds, or the id of a stream entry made of one.
var moment = regexp.MustCompile(`^(\d{13})(-\d+)?$`)

func sameMoment(a, b []byte) bool {
	x, y := moment.FindSubmatch(a), moment.FindSubmatch(b)
	if x == nil || y == nil || !bytes.Equal(x[2], y[2]) {
		return false
	}
	m, _ := strconv.ParseInt(string(x[1]), 10, 64)
	n, _ := strconv.ParseInt(string(y[1]), 10, 64)
	return max(m-n, n-m) <= clockSlack*1000
}

// effects are requests whose forms in the log are not the requests themselves,
// or that leave none. "wait" lets 30 milliseconds pass.
const effects = `
# SET with a deadline
SET k v EX 100
SET k v PX 100000
SET k v EXAT 4102444800
SET k v PXAT 4102444800000
set new v ex 100 nx
SET k v NX
SET new v NX EX 100
SET k v XX KEEPTTL
SET k v EX 100 GET
SET k v GET
SET k w GET KEEPTTL
SET k w get NX
SETEX k 100 v
PSETEX k 100000 v
SETNX k v
SETNX k2 v
GETSET k v
MSET a 1 b 2
MSETNX a 1 c 3
MSETNX d 1 e 3
APPEND k x
SETRANGE k 2 yy
SETRANGE k 2 ""
SETRANGE none 0 ""

# EXPIRE and its kin
SET k v
EXPIRE k 100
EXPIRE k 200 NX
EXPIRE k 300 XX
EXPIRE k 400 GT
EXPIRE k 100 GT
EXPIRE k 50 LT
PEXPIRE k 100000
EXPIREAT k 4102444800
PEXPIREAT k 4102444800000
PEXPIREAT k 4102444800000 XX
EXPIRE none 100
PERSIST k
PERSIST k
EXPIRE k 100
EXPIRE k -1
SET k v
EXPIREAT k 1
SET k v
PEXPIREAT k 0
SET k v
PEXPIRE k -1 NX

# GETEX and GETDEL
SET k v
GETEX k
GETEX k EX 100
GETEX k PX 100000
GETEX k EXAT 4102444800
GETEX k PXAT 4102444800000
GETEX k PERSIST
GETEX k PERSIST
GETEX k EXAT 1
GETEX none EX 100
SET k v
GETDEL k
GETDEL k

# sums
INCR n
DECRBY n 5
INCRBYFLOAT n 0.5
SET n 1 EX 100
INCRBYFLOAT n 1e3
HINCRBY h f 2
HINCRBYFLOAT h f 0.5
ZINCRBY z 1.5 m
ZADD z INCR 2 m
ZADD z NX INCR 2 m
ZADD z 3.5 m
ZADD z 3.5 m
ZADD z XX 5 none
ZADD z CH GT 9 m 1 n

# random picks
SADD s a
SPOP s
SADD s a b c
SPOP s 10
SADD s a
SPOP s 1
SPOP s
SPOP s 3
SADD s a
SPOP s 0

# pops
RPUSH l a b c d e f
LPOP l
RPOP l 2
LMPOP 2 none l LEFT
LMPOP 1 l RIGHT COUNT 9
LMPOP 1 l RIGHT
LPOP l
LPOP l 3
RPUSH l a b
LMOVE l m LEFT RIGHT
RPOPLPUSH l m
RPOPLPUSH l m
ZADD z 1 a 2 b 3 c 4 d
ZPOPMIN z
ZPOPMAX z 1
ZMPOP 2 none z MIN
ZMPOP 1 z MAX COUNT 9
ZMPOP 1 z MAX
ZPOPMIN z

# RESTORE
RESTORE k 0 "\x00\x05hello\x0a\x00cr\xdfve4 \x0a"
RESTORE k 0 "\x00\x05hello\x0a\x00cr\xdfve4 \x0a"
SET k v EX 100
restore k 100000 "\x00\x05hello\x0a\x00cr\xdfve4 \x0a" REPLACE
RESTORE k 0 "\x00\x05hello\x0a\x00cr\xdfve4 \x0a" REPLACE FREQ 3
RESTORE k 4102444800000 "\x00\x05hello\x0a\x00cr\xdfve4 \x0a" ABSTTL REPLACE
RESTORE k 1 "\x00\x05hello\x0a\x00cr\xdfve4 \x0a" ABSTTL REPLACE
RESTORE k 1 "\x00\x05hello\x0a\x00cr\xdfve4 \x0a" ABSTTL REPLACE
RESTORE k 0 "" REPLACE
RESTORE-ASKING k 100000 "\x00\x05hello\x0a\x00cr\xdfve4 \x0a" IDLETIME 5
RESTORE z 0 "\x0c##\x00\x00\x00\x1b\x00\x00\x00\x06\x00\x00\x01a\x03\x04-1.5\x06\x01b\x03\xf3\x02\x01c\x03\x051e+30\xff\x09\x00\x90j\x14\xc2\x17TBw"
RESTORE x 0 "\x0f\x01\x10\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01@DD\x00\x00\x00\x18\x00\x02\x01\x01\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x83one\x04\x04\x01\x03\x01\x00\x01\x04\x01\x84gone\x05\x04\x01\x00\x01\x03\x01\xdf\xff\x02\x02\x01\x81f\x02\x81x\x02\x81g\x02\x81y\x02\x08\x01\xff\x02\x0d\x00\x01\x01g\x0a\x01\x01\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01\xf4\x01\x00\x00\x00\x00\x00\x00\x02\x01\x01cX\x02\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x01\x09\x00O\x1c\x09\xf0\xfe/6\xdd"
EVAL "return redis.call('RESTORE', KEYS[1], 100000, ARGV[1], 'REPLACE')" 1 k "\x00\x05hello\x0a\x00cr\xdfve4 \x0a"
MULTI
RESTORE l 0 "\x0a//\x00\x00\x00$\x00\x00\x00\x08\x00\x00\x01a\x03\x00\x02\xfe\x0d\x03\xfe\xff\x03\xc0\x00\x80\x04\xf0@\x9c\x00\x05\xd0\x00\x00\x80\x00\x06\xe0\xff\xff\xff\xff\xff\xff\xff\x7f\xff\x09\x00\xd8b\x0e\xd2\xf0F\x82m"
RESTORE l 5000000 "\x0e\x02\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf2\xff//\x00\x00\x00$\x00\x00\x00\x08\x00\x00\x01a\x03\x00\x02\xfe\x0d\x03\xfe\xff\x03\xc0\x00\x80\x04\xf0@\x9c\x00\x05\xd0\x00\x00\x80\x00\x06\xe0\xff\xff\xff\xff\xff\xff\xff\x7f\xff\x09\x00\xee\xdeo\xd6\xe2]\xb3Q" REPLACE
EXEC
DUMP k

# streams
XADD x * f v
XADD x 9999999999999-* f v
XADD x 9999999999999-7 f v
XADD x * f v
XADD x MAXLEN 2 * f v
XADD x MAXLEN ~ 1 * f v
XADD x NOMKSTREAM MAXLEN = 1 * f v
XADD none NOMKSTREAM * f v
XADD x MINID ~ 1 * f v
XADD x MAXLEN ~ 1 LIMIT 10 * f v
XTRIM x MAXLEN 100
XTRIM x MAXLEN ~ 0
XTRIM x MAXLEN 1
XTRIM x MINID 9999999999999-20
XDEL x 1-1
XSETID x 99999999999999-1
XSETID x 99999999999999-1 ENTRIESADDED 50 MAXDELETEDID 1-1

# groups
XADD gs 1-1 f 1
XADD gs 2-1 f 2
XADD gs 3-1 f 3
XGROUP CREATE gs g 0
XGROUP CREATE gs g 0
XGROUP CREATE gs h $ ENTRIESREAD 2
XGROUP CREATE ms g $ MKSTREAM
XGROUP SETID gs g 1-1
XGROUP SETID gs nope 1-1
XGROUP CREATECONSUMER gs g c
XGROUP CREATECONSUMER gs g c
XCLAIM gs g c 0 1-1
XCLAIM gs g c 0 1-1 2-1 FORCE TIME 1000 JUSTID
XCLAIM gs g d 0 1-1 RETRYCOUNT 7 LASTID 2-1 TIME 2000
XCLAIM gs g d 0 1-1 FORCE LASTID 9-9 TIME 3000
XGROUP CREATECONSUMER gs h d
XCLAIM gs h d 0 LASTID 9-9
XCLAIM gs g d 0 9-9 FORCE
XCLAIM gs g d 0 3-1 FORCE TIME 4000
XDEL gs 2-1
XCLAIM gs g d 0 2-1
XACK gs g 1-1 3-1
XACK gs g 1-1
XGROUP DELCONSUMER gs g d
XGROUP DELCONSUMER gs g d
XGROUP DESTROY gs h
XGROUP DESTROY gs h

# approximate trims that drop whole nodes
CONFIG SET stream-node-max-entries 3
XADD x 1 f v
XADD x 2 f v
XADD x 3 f v
XADD x 4 f v
XADD x 5 f v
XADD x MAXLEN ~ 2 6 f v
XADD x MAXLEN ~ 2 7 f v
XADD x MAXLEN ~ 1 LIMIT 3 8 f v
XADD x MINID ~ 7 9 f v
XTRIM x MAXLEN ~ 1
XTRIM x MINID ~ 100
XTRIM x MAXLEN ~ 0
CONFIG SET stream-node-max-entries 100

# nothing changes, nothing is logged
DEL none
UNLINK none
SREM none m
HDEL none f
ZREM none m
LREM none 0 v
LTRIM none 0 1
LPUSHX none v
LINSERT none BEFORE a b
SADD s m
SADD s m
SMOVE s t none
SMOVE s s m
HSET h f v
HSET h f v
HSETNX h f v
RENAMENX s h
RENAME s s
XTRIM none MAXLEN 0
ZREMRANGEBYRANK none 0 -1
GET none
SET none v XX
INCR s
LPUSH s v
LSET l 0 v

# what stores and what removes
SADD a 1 2 3
SADD b 2 3 4
SINTERSTORE dst a b
SUNIONSTORE dst a none
SDIFFSTORE dst a a
SDIFFSTORE dst a a
ZUNIONSTORE zd 2 a b
ZINTERSTORE zd 2 a none
ZINTERSTORE zd 2 a none
ZDIFFSTORE zd 1 a
ZRANGESTORE ze zd 0 1
ZRANGESTORE ze none 0 1
ZRANGESTORE ze none 0 1
RPUSH l a b c
LTRIM l 5 10
RPUSH l a
LTRIM l 0 -1
LREM l 0 a
RENAME a c
RENAMENX b d
SMOVE c d 1
UNLINK c none d
DEL zd none

# databases
SELECT 2
SET k v
SELECT 0
SET k v
SELECT 2
GET k
FLUSHDB
FLUSHDB
SELECT 0
FLUSHALL
FLUSHALL ASYNC
FLUSHDB SYNC
SET k v

# scripts
EVAL "return 1" 0
EVAL "return redis.call('SET', 'k', 'v')" 0
EVAL "redis.call('SET', 'k', 'v', 'EX', 100) redis.call('INCR', 'n')" 0
EVAL "redis.call('GET', 'k') redis.call('DEL', 'none')" 0
EVAL "redis.call('SET', 'k', 1) redis.call('INCRBYFLOAT', 'k', '0.5') redis.call('SPOP', 'none')" 0
EVAL "redis.call('SELECT', 3) redis.call('SET', 'k', 'v') redis.call('SELECT', 4) redis.call('SET', 'k', 'v')" 0
EVAL "redis.call('SET', 'k', 'v') error('after a write')" 0
EVAL "redis.call('SET', 'a', 1) redis.call('SET', 'b', 2) return redis.call('LPUSH', 'a', 1)" 0
EVAL "redis.pcall('LPUSH', 'a', 1) redis.call('SET', 'c', 3)" 0
EVAL "redis.call('EXPIRE', 'a', 100) redis.call('EXPIRE', 'b', -1)" 0
EVAL "redis.call('XADD', 'x', '*', 'f', 'v')" 0
DEL x
EVAL "for i = 1, 3 do redis.call('RPUSH', 'l', i) end" 0
SET k v

# transactions
MULTI
SET k v
EXEC
MULTI
SET k v EX 100
GET k
INCR n
DEL none
EXEC
MULTI
GET k
DEL none
EXEC
MULTI
EXEC
MULTI
SET k v
DISCARD
MULTI
SET k v
LPUSH k v
SET k w
EXEC
MULTI
SELECT 1
SET k v
SELECT 0
SET k v
EXEC
MULTI
EVAL "redis.call('SET', 'a', 1) redis.call('SET', 'b', 2)" 0
INCR n
EXEC
MULTI
FLUSHALL
SET k v
EXEC
MULTI
INCRBYFLOAT f 0.5
LMPOP 1 none LEFT
GETDEL f
EXEC
WATCH k
SET k other
MULTI
SET k v
EXEC

# a key is found expired
SET k v PX 20
wait
SET k w
SET k v PX 20
wait
SETNX k w
SET k v PX 20
wait
GET k
DEL k
RPUSH l a
PEXPIRE l 20
wait
RPUSH l b
LRANGE l 0 -1
SADD s a
PEXPIRE s 20
wait
SMEMBERS s
SET k v PX 20
wait
EXPIRE k 100
EXISTS k
SET k v PX 20
SET j v
wait
RENAME j k
SET k v PX 20
wait
EVAL "return redis.call('GET', 'k')" 0
EXISTS k
`

// What is in the log is what a real server would have written there, record by
// record; moments may differ by clockSlack.
func TestEffects_EachCommandIsLoggedAsTheRealServerLogsIt(t *testing.T) {
	l := startLogs(t)
	for part := range strings.SplitSeq(effects, "\n# ") {
		title, lines, _ := strings.Cut(strings.TrimSpace(part), "\n")
		if lines == "" {
			continue
		}
		t.Run(title, func(t *testing.T) {
			p := l.conns[0].again(t)
			p.both(words(t, "FLUSHALL")...)
			l.news(t)
			// A key that is due is deleted with the request that finds it or, by
			// itself, just before: that depends on the moment.
			l.loose = strings.Contains(title, "expired")
			for line := range strings.Lines(lines) {
				line = strings.TrimSpace(line)
				if line == "wait" {
					for end := time.Now().Add(30 * time.Millisecond); time.Now().Before(end); {
						time.Sleep(time.Until(end))
					}
					continue
				}
				if line == "" {
					continue
				}
				p.both(words(t, line)...)
				if err := l.compare(t); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
			if err := l.replay(t); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEffects_RandomRequests_AreLoggedAlike(t *testing.T) {
	seed, given := seedOf(t)
	budget := shortTime
	if os.Getenv("LIMPET_TORTURE") != "" {
		budget = tortureTime
	}
	l := startLogs(t)
	for end := time.Now().Add(budget); ; seed++ {
		g := newGenerator(seed)
		g.future = true
		script := []request{{args: g.packing()}}
		for len(script) < roundLength {
			if g.IntN(6) == 0 {
				script = g.transaction(script)
			} else {
				script = append(script, g.plain())
			}
		}
		l.news(t)
		err := l.run(script)
		if err == nil {
			err = l.compare(t)
		}
		if err != nil {
			t.Fatalf("LIMPET_SEED=%d: %v", seed, err)
		}
		if given || time.Now().After(end) {
			if err := l.replay(t); err != nil {
				t.Errorf("LIMPET_SEED=%d: %v", seed, err)
			}
			return
		}
	}
}
