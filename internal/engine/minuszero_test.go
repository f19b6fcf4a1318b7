package engine

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"limpet/internal/testredis"
)

// -0 is a score of its own: replies show it. Where it was added to a large sorted
// set it survives in the log and in RDBs; small ones make it 0, as in Redis. A base of
// commands grows the set through its small form: its first 128 members lose the sign,
// and which these are depends, in a real server, on the random seed of its hash. So
// there the number is compared and not the sign.
func TestRestart_MinusZeroScores_AreWhatTheRealServerKeeps(t *testing.T) {
	for _, form := range []string{"yes", "no"} {
		dir, args := t.TempDir(), []string{"--appendonly", "yes", "--aof-use-rdb-preamble", form}
		real := testredis.Start(t, testredis.Options{Args: args})
		e, err := Open(dir, Options{RESPBase: form == "no"})
		if err != nil {
			t.Fatal(err)
		}
		c := connect(t, e)
		const members = 100 // more than stay packed
		for i := range members {
			for _, words := range [][]string{{"ZADD", "large", "-0", fmt.Sprint("minus", i)}, {"ZADD", "large", "0", fmt.Sprint("plus", i)}} {
				c.must(words...)
				real.Do(words[0], words[1], words[2], words[3])
			}
		}
		c.must("ZADD", "small", "-0", "minus0")
		real.Do("ZADD", "small", "-0", "minus0")
		compare := func(when string, c *client) {
			t.Helper()
			for _, at := range [][2]string{{"small", "minus0"}, {"large", "minus0"}, {"large", "minus99"}, {"large", "plus99"}} {
				theirs := "0"
				if f := real.Do("ZSCORE", at[0], at[1]).(float64); math.Signbit(f) {
					theirs = "-0"
				}
				ours := c.must("ZSCORE", at[0], at[1])
				if grown := form == "no" && when == "from the base"; grown && at[0] == "large" {
					ours, theirs = strings.TrimPrefix(ours, "-"), strings.TrimPrefix(theirs, "-")
				}
				if ours != theirs {
					t.Errorf("preamble %s, %s: %s: have %s, redis-server %s", form, when, at, ours, theirs)
				}
			}
			if ours := c.must("ZSCORE", "large", "minus99"); ours != "-0" && (form == "yes" || when != "from the base") {
				t.Errorf("preamble %s, %s: -0 is %s", form, when, ours)
			}
		}
		compare("before", c)
		real.Restart()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if e, err = Open(dir, Options{RESPBase: form == "no"}); err != nil {
			t.Fatal(err)
		}
		c = connect(t, e)
		compare("from the log", c)
		rewriteNow(t, c)
		real.Do("BGREWRITEAOF")
		awaitRewrite(t, real)
		real.Restart()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if e, err = Open(dir, Options{RESPBase: form == "no"}); err != nil {
			t.Fatal(err)
		}
		compare("from the base", connect(t, e))
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		// And a real server reads our base as its own.
		taken := testredis.Start(t, testredis.Options{Dir: dir, Args: args})
		if f := taken.Do("ZSCORE", "large", "minus99").(float64); f != 0 || form == "yes" && !math.Signbit(f) {
			t.Errorf("preamble %s: redis-server reads %v in our base", form, f)
		}
	}
}
