package parity

import (
	"fmt"
	"slices"
)

// compareKeyspaces compares every key of the databases that random requests
// use: its type, its value, and its deadline.
func (r *round) compareKeyspaces() error {
	p := r.conns[0]
	for _, c := range []*client{p.real, p.ours} {
		c.do([]byte("RESET")) // out of MULTI, if a script was cut there
	}
	for _, db := range []string{"0", "1", "2"} {
		both := func(mark byte, words ...string) ([]byte, error) {
			args := make([][]byte, len(words))
			for i, w := range words {
				args[i] = []byte(w)
			}
			real, ours := p.both(args...)
			if err := check(mark, real, ours); err != nil {
				return nil, difference{request{args: args, mark: mark}, fmt.Errorf(" afterwards, in database %s%w", db, err)}
			}
			return real, nil
		}
		if _, err := both(0, "SELECT", db); err != nil {
			return err
		}
		keys, err := both('~', "KEYS", "*")
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(slices.Values(texts(keys))) {
			kind, err := both(0, "TYPE", key)
			if err != nil {
				return err
			}
			if _, err := both('p', "PTTL", key); err != nil {
				return err
			}
			switch string(kind) {
			case "+string\r\n":
				_, err = both(0, "GET", key)
			case "+hash\r\n":
				_, err = both('%', "HGETALL", key)
			case "+list\r\n":
				_, err = both(0, "LRANGE", key, "0", "-1")
			case "+set\r\n":
				_, err = both('~', "SMEMBERS", key)
			case "+zset\r\n":
				_, err = both(0, "ZRANGE", key, "0", "-1", "WITHSCORES")
			case "+stream\r\n":
				_, err = both(0, "XRANGE", key, "-", "+")
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
