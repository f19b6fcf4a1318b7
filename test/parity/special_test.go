package parity

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"limpet/resp"
)

// special runs a request whose reply is partly left to the server.
//
//	's'  SCAN and its kin: whole iterations find the same elements
//	'r'  random picks: elements that are there, as many as the other server gives
//	'o'  SPOP: the same, and they are gone; the key is then deleted on both
//	'w'  PEXPIREAT key now: the key is gone a moment later
func (r *round) special(q request) (err error) {
	p := r.conns[q.conn]
	switch q.mark {
	case 's':
		err = scanBoth(p, q.args)
	case 'r', 'o':
		err = pickBoth(p, q)
	case 'w':
		deadline := time.Now().Add(2 * time.Millisecond)
		at := strconv.AppendInt(nil, deadline.UnixMilli(), 10)
		err = check(0, p.real.do(q.args[0], q.args[1], at), p.ours.do(q.args[0], q.args[1], at))
		for time.Now().Before(deadline.Add(time.Millisecond)) {
			time.Sleep(time.Until(deadline.Add(time.Millisecond)))
		}
	}
	if err != nil {
		return difference{q, err}
	}
	return nil
}

func scanBoth(p *pair, args [][]byte) error {
	at := 2 // of the cursor
	if strings.EqualFold(string(args[0]), "scan") {
		at = 1
	}
	if len(args) > at && string(args[at]) != "0" {
		real, ours := p.both(args...)
		if real[0] == '*' && ours[0] == '*' {
			return nil // a cursor that neither server gave leads anywhere
		}
		return check(0, real, ours)
	}
	whole := func(c *client) (first []byte, found []string) {
		args := slices.Clone(args)
		first = c.do(args...)
		for reply := first; ; reply = c.do(args...) {
			v, _, err := resp.Decode(reply)
			if err != nil || len(v.Elems) != 2 || len(args) <= at {
				return first, found
			}
			found = append(found, texts(reply)[1:]...)
			args[at] = []byte(v.Elems[0].Text())
			if string(args[at]) == "0" {
				slices.Sort(found)
				return nil, slices.Compact(found)
			}
		}
	}
	realFirst, real := whole(p.real)
	oursFirst, ours := whole(p.ours)
	if err := check(0, realFirst, oursFirst); err != nil {
		return err
	}
	if !slices.Equal(real, ours) {
		return fmt.Errorf("\n  redis:  %q\n  limpet: %q", real, ours)
	}
	return nil
}

// pickBoth compares what random picks have in common: how many there are, and
// that each is an element of the collection.
func pickBoth(p *pair, q request) error {
	var members []string
	stride := 1
	if len(q.args) > 1 {
		for _, read := range [][]string{{"SMEMBERS"}, {"HGETALL"}, {"ZRANGE", "0", "-1", "WITHSCORES"}} {
			args := [][]byte{[]byte(read[0]), q.args[1]}
			for _, a := range read[1:] {
				args = append(args, []byte(a))
			}
			if reply := p.ours.do(args...); reply[0] != '-' {
				members = texts(reply)
				if read[0] != "SMEMBERS" {
					stride = 2
				}
				break
			}
		}
	}
	real, ours := p.real.do(q.args...), p.ours.do(q.args...)
	withValues := len(q.args) == 4
	err := check('?', real, ours)
	if err == nil && real[0] == '-' {
		err = check(0, real, ours)
	}
	if err != nil || real[0] == '-' {
		return err
	}
	a, b := texts(real), texts(ours)
	if len(a) != len(b) {
		return check(0, real, ours)
	}
	known := map[string]bool{}
	for i := 0; i < len(members); i += stride {
		if withValues && stride == 2 {
			known[members[i]+"\x00"+members[i+1]] = true
		} else {
			known[members[i]] = true
		}
	}
	many := len(q.args) > 2 && q.args[2][0] != '-' // different ones are asked for
	for _, picked := range [][]string{a, b} {
		seen := map[string]bool{}
		for i := 0; i < len(picked); i++ {
			one := picked[i]
			if withValues && stride == 2 {
				i++
				one += "\x00" + picked[i]
			}
			if real[0] != '_' && !bytes.HasPrefix(real, []byte("$-1")) && !known[one] || many && seen[one] {
				return fmt.Errorf(": %q is not a member, or was picked twice%w", one, check(0, real, ours))
			}
			seen[one] = true
		}
	}
	if q.mark == 'o' {
		return popped(p, q.args[1], members, b)
	}
	return nil
}

// popped looks whether SPOP has taken what it says, and makes the servers equal
// again.
func popped(p *pair, key []byte, before, taken []string) error {
	left := texts(p.ours.do([]byte("SMEMBERS"), key))
	if len(taken) == 1 && len(before) == 0 { // null
		taken = nil
	}
	if got := append(left, taken...); len(got) != len(before) {
		return fmt.Errorf(": had %q, gave %q, has %q", before, taken, left)
	}
	del := []byte("DEL")
	return check(0, p.real.do(del, key), p.ours.do(del, key))
}
