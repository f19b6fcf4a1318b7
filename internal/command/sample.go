package command

import (
	"iter"
	"math"
	"math/rand/v2"

	"limpet/internal/keyspace"
)

// What HRANDFIELD, SRANDMEMBER and ZRANDMEMBER, and what HSCAN, SSCAN and ZSCAN
// have in common.

// randomCount reads "count [WITH…]" at position 2.
func (c *Ctx) randomCount(with string) (count int64, pairs, ok bool) {
	count, ok = c.int(2)
	if !ok {
		return 0, false, false
	}
	if count == math.MinInt64 {
		c.fail("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
		return 0, false, false
	}
	switch {
	case len(c.Args) == 3:
	case len(c.Args) == 4 && equalFold(c.Args[3], with):
		pairs = true
	default:
		c.fail(errSyntax)
		return 0, false, false
	}
	if pairs && (count < -math.MaxInt64/2 || count > math.MaxInt64/2) {
		c.fail("ERR value is out of range")
		return 0, false, false
	}
	return count, pairs, true
}

type pair struct{ name, value []byte }

// samplePairs picks pairs at random: count different ones, or all when there
// are no more; with a negative count that many, the same ones perhaps again.
func samplePairs(all iter.Seq2[[]byte, []byte], n int, count int64, random func() ([]byte, []byte)) []pair {
	if count < 0 {
		out := make([]pair, 0, min(-count, 1024))
		for range -count {
			name, value := random()
			out = append(out, pair{name, value})
		}
		return out
	}
	want := int(min(count, int64(n)))
	out := make([]pair, 0, want)
	if want == 0 {
		return out
	}
	if want*3 < n { // few of many: draw until enough differ
		seen := make(map[string]bool, want)
		for len(out) < want {
			if name, value := random(); !seen[string(name)] {
				seen[string(name)] = true
				out = append(out, pair{append([]byte(nil), name...), append([]byte(nil), value...)})
			}
		}
		return out
	}
	left, need := n, want // selection sampling: each is taken with chance need/left
	for name, value := range all {
		if rand.IntN(left) < need {
			out = append(out, pair{append([]byte(nil), name...), append([]byte(nil), value...)})
			need--
		}
		left--
	}
	return out
}

// writePairs writes names, or names with values: in RESP3 each pair as an array.
func (c *Ctx) writePairs(pairs []pair, values bool, writeValue func([]byte)) {
	switch {
	case !values:
		c.W.Array(len(pairs))
	case c.W.Proto == 3:
		c.W.Array(len(pairs))
	default:
		c.W.Array(2 * len(pairs))
	}
	for _, p := range pairs {
		if values && c.W.Proto == 3 {
			c.W.Array(2)
		}
		c.W.Bulk(p.name)
		if values {
			writeValue(p.value)
		}
	}
}

// scanTarget reads the cursor, the collection and the words of HSCAN, SSCAN and
// ZSCAN, in this order: the words behind a key that does not exist may be
// anything. ok is false when the reply has been written.
func scanTarget[T keyspace.Object](c *Ctx) (o scanOptions, v T, ok bool) {
	if o.cursor, ok = parseCursor(c.Args[2]); !ok {
		c.fail(errInvalidCursor)
		return o, v, false
	}
	v, found, ok := viewAs[T](c, c.Args[1])
	if !ok {
		return o, v, false
	}
	if !found {
		writeScan(c.W, 0, nil)
		return o, v, false
	}
	return o, v, o.parse(c, 3, false)
}

// scanSteps moves a cursor on until enough elements were seen, or too many empty
// buckets passed.
func scanSteps(o scanOptions, seen *int, step func(cursor uint64) uint64) uint64 {
	cursor := o.cursor
	for range o.count * emptyBucketsPerCount {
		cursor = step(cursor)
		if cursor == 0 || *seen >= o.count {
			break
		}
	}
	return cursor
}
