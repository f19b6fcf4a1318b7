package crash

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// unit is requests that take effect together or not at all: one, or a MULTI.
type unit []request

// began is the moment at which every fake clock of these tests begins.
var began = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// Deadlines are far from every moment at which a test may look, so that it does
// not matter how long a step takes: soon has passed after a step of kind pass,
// late never does.
var (
	soon    = began.Add(time.Hour).UnixMilli()
	pass    = 2 * time.Hour
	horizon = began.Add(3 * time.Hour).UnixMilli()
	late    = began.Add(24 * 365 * time.Hour).UnixMilli()
)

// databases is how many of them a workload uses.
const databases = 2

// randomUnit makes one of everything that is logged in a form of its own. Its
// outcome depends on nothing but the units before it.
func randomUnit(rng *rand.Rand) unit {
	if rng.IntN(5) == 0 {
		u := unit{{"MULTI"}}
		other := rng.IntN(2) == 0
		if other {
			u = append(u, request{"SELECT", "1"})
		}
		for range 1 + rng.IntN(4) {
			u = append(u, randomRequest(rng))
		}
		if other {
			u = append(u, request{"SELECT", "0"})
		}
		return append(u, request{"EXEC"})
	}
	return unit{randomRequest(rng)}
}

func randomUnits(rng *rand.Rand, n int) (all []unit) {
	for range n {
		all = append(all, randomUnit(rng))
	}
	return all
}

func randomRequest(rng *rand.Rand) request {
	name := func(kind string) string { return fmt.Sprintf("%s:%d", kind, rng.IntN(3)) }
	small := func() string { return strconv.Itoa(rng.IntN(8)) }
	value := func() string {
		b := make([]byte, rng.IntN(12)*rng.IntN(12))
		for i := range b {
			b[i] = "ab\r\n*$\x00\xff"[rng.IntN(8)]
		}
		return string(b)
	}
	deadline := strconv.FormatInt([]int64{soon, late}[rng.IntN(2)], 10)
	anyKey := name([]string{"text", "number", "list", "hash", "set", "zset", "stream"}[rng.IntN(7)])
	switch rng.IntN(26) {
	case 0:
		return request{"SET", name("text"), value()}
	case 1:
		return request{"SET", name("text"), value(), "PXAT", deadline}
	case 2:
		return request{"APPEND", name("text"), value()}
	case 3:
		return request{"SETRANGE", name("text"), small(), "xyz"}
	case 4, 5:
		return request{"INCRBY", name("number"), small()}
	case 6:
		return request{"INCRBYFLOAT", name("float"), "0." + small()}
	case 7:
		return request{"RPUSH", name("list"), value(), small()}
	case 8:
		return request{"LPOP", name("list")}
	case 9:
		return request{"LMOVE", name("list"), name("list"), "LEFT", "RIGHT"}
	case 10, 11:
		return request{"HSET", name("hash"), small(), value()}
	case 12:
		return request{"HDEL", name("hash"), small(), small()}
	case 13:
		return request{"SADD", name("set"), small(), value()}
	case 14:
		return request{"SREM", name("set"), small()}
	case 15:
		return request{"ZADD", name("zset"), small() + ".5", small()}
	case 16:
		return request{"ZINCRBY", name("zset"), "1", small()}
	case 17:
		return request{"ZPOPMIN", name("zset")}
	case 18:
		return request{"XADD", name("stream"), "MAXLEN", "5", strconv.Itoa(1+rng.IntN(1000)) + "-*", "f", value()}
	case 19:
		return request{"DEL", anyKey, name("number")}
	case 20:
		return request{"PEXPIREAT", anyKey, deadline}
	case 21:
		return request{"PERSIST", anyKey}
	case 22:
		return request{"RENAME", name("list"), name("list")}
	case 23:
		if rng.IntN(8) == 0 {
			return request{"FLUSHALL"}
		}
		return request{"GETDEL", name("text")}
	}
	return request{"EVAL", completeScript, "3", "pages", "states", "crawled", small()}
}
