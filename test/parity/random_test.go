package parity

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"limpet/resp"
)

const (
	roundLength  = 400
	batchLength  = 64
	shortTime    = 700 * time.Millisecond // for each family
	tortureTime  = time.Minute
	minimiseTime = 5 * time.Second
)

// Requests made at random get the same replies from both servers, and leave the
// same keys, values and deadlines behind.
func TestRandom_RepliesAndKeyspacesAreTheRealOnes(t *testing.T) {
	seed, given := seedOf(t)
	budget := shortTime
	if os.Getenv("LIMPET_TORTURE") != "" {
		budget = tortureTime
	}
	p := startPair(t)
	names := append(slices.Sorted(maps.Keys(families)), "mixed", "transactions")
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r := &round{conns: [2]*pair{p.again(t), p.again(t)}}
			requests := 0
			for end := time.Now().Add(budget); ; seed++ {
				script := generate(name, seed)
				requests += len(script)
				if err := r.run(script); err != nil {
					t.Fatalf("LIMPET_SEED=%d: %v\nthe shortest script found that shows a difference:\n%s",
						seed, err, r.minimise(script, err))
				}
				if given || time.Now().After(end) {
					break
				}
			}
			t.Logf("%d requests, last seed %d", requests, seed)
		})
	}
}

// seedOf is LIMPET_SEED, or a new one.
func seedOf(t *testing.T) (seed uint64, given bool) {
	text := os.Getenv("LIMPET_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano()), false
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal("LIMPET_SEED: ", err)
	}
	return seed, true
}

// request is one step of a script.
type request struct {
	conn int // 0 or 1
	args [][]byte
	mark byte
}

func (r request) String() string {
	var b strings.Builder
	if r.conn == 1 {
		b.WriteString("[2] ")
	}
	if r.mark != 0 {
		b.WriteByte(r.mark)
		b.WriteByte(' ')
	}
	for i, a := range r.args {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Quote(string(a)))
	}
	return b.String()
}

// difference is a request and how the two replies to it differ.
type difference struct {
	request
	error
}

func (d difference) Error() string { return d.request.String() + d.error.Error() }

// generate makes the script of a round.
func generate(family string, seed uint64) (script []request) {
	g := newGenerator(seed)
	script = append(script, request{args: g.packing()})
	if g.IntN(2) == 0 {
		for conn := range 2 {
			script = append(script, request{conn: conn, args: [][]byte{[]byte("HELLO"), []byte("3")}, mark: '!'})
		}
	}
	for len(script) < roundLength {
		switch {
		case family == "transactions" && g.IntN(3) == 0:
			script = g.transaction(script)
		case family == "transactions" || family == "mixed":
			script = append(script, g.request(g.family()))
		case g.IntN(12) == 0:
			script = append(script, g.request(g.family()))
		default:
			script = append(script, g.request(family))
		}
	}
	return script
}

// packing sets how large packed collections may grow: the defaults, or so small
// that a few elements outgrow them.
func (g *generator) packing() [][]byte {
	settings := []struct{ name, normal, small string }{
		{"hash-max-listpack-entries", "512", "4"}, {"hash-max-listpack-value", "64", "10"}, {"set-max-intset-entries", "512", "3"},
		{"zset-max-listpack-entries", "128", "4"}, {"zset-max-listpack-value", "64", "10"},
		{"list-max-listpack-size", "-2", "3"}, {"stream-node-max-entries", "100", "3"},
	}
	args := [][]byte{[]byte("CONFIG"), []byte("SET")}
	small := g.IntN(2) == 0
	for _, s := range settings {
		value := s.normal
		if small {
			value = s.small
		}
		args = append(args, []byte(s.name), []byte(value))
	}
	return args
}

func (g *generator) family() string {
	names := slices.Sorted(maps.Keys(families))
	return names[g.IntN(len(names))]
}

func (g *generator) request(family string) request {
	templates := families[family]
	t := templates[g.IntN(len(templates))]
	r := request{args: g.fill(t), mark: t.mark}
	if r.mark == 'w' && len(r.args) != 3 {
		r.mark = 0
	}
	return r
}

// plain is a request of any family that one reply is enough to judge.
func (g *generator) plain() request {
	for {
		if r := g.request(g.family()); strings.IndexByte("sorw", r.mark) < 0 || r.mark == 0 {
			return r
		}
	}
}

// transaction adds a MULTI block, watched perhaps and perhaps disturbed by the
// other connection.
func (g *generator) transaction(script []request) []request {
	one := func(conn int, words ...string) {
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		script = append(script, request{conn: conn, args: args})
	}
	conn := g.IntN(2)
	disturb := func() {
		if g.IntN(3) == 0 {
			r := g.plain()
			r.conn = g.IntN(2)
			script = append(script, r)
		}
	}
	if g.IntN(2) == 0 {
		one(conn, "WATCH", string(g.place("k")), string(g.place("k")))
		if g.IntN(8) == 0 {
			one(conn, "UNWATCH")
		}
		disturb()
	}
	one(conn, "MULTI")
	for range g.IntN(5) {
		r := g.plain()
		r.conn = conn
		script = append(script, r)
		if g.IntN(3) == 0 {
			other := g.plain()
			other.conn = 1 - conn
			script = append(script, other)
		}
	}
	switch g.IntN(12) {
	case 0:
		one(conn, "DISCARD")
	case 1:
		one(conn, "MULTI")
		one(conn, "EXEC")
	case 2:
		one(conn, "WATCH", "s1")
		one(conn, "EXEC")
	default:
		one(conn, "EXEC")
	}
	return script
}

// round runs scripts on two connections to each of two servers.
type round struct {
	conns  [2]*pair
	queued [2][]byte // of each connection in MULTI, the marks of its requests
}

// run runs a script on empty servers and compares the replies and what is left.
func (r *round) run(script []request) error {
	r.conns[1].reset()
	r.conns[0].reset()
	r.queued = [2][]byte{}
	for i := 0; i < len(script); {
		n := batchAt(script[i:])
		var err error
		if n == 0 {
			n, err = 1, r.special(script[i])
		} else {
			err = r.batch(script[i : i+n])
		}
		if err != nil {
			return err
		}
		i += n
	}
	return r.compareKeyspaces()
}

// batchAt is how many of the requests can be sent at once, 0 when the first
// takes more than that.
func batchAt(script []request) (n int) {
	for n < len(script) && n < batchLength && script[n].conn == script[0].conn &&
		(script[n].mark == 0 || strings.IndexByte("sorw", script[n].mark) < 0) {
		n++
	}
	return n
}

func (r *round) batch(script []request) error {
	var out []byte
	for _, q := range script {
		out = resp.AppendCommand(out, q.args...)
	}
	p := r.conns[script[0].conn]
	p.real.send(out)
	p.ours.send(out)
	for _, q := range script {
		p.real.sent = resp.AppendCommand(nil, q.args...)
		p.ours.sent = p.real.sent
		real, ours := p.real.reply(), p.ours.reply()
		err := check(q.mark, real, ours)
		switch word := strings.ToUpper(string(q.args[0])); {
		case string(real) == "+QUEUED\r\n":
			r.queued[q.conn] = append(r.queued[q.conn], q.mark)
		case word == "EXEC" || word == "DISCARD":
			if err != nil {
				err = checkExec(r.queued[q.conn], real, ours)
			}
			r.queued[q.conn] = nil
		}
		if err != nil {
			p.redial() // a reply cut short would take its end from the next
			return difference{q, err}
		}
	}
	return nil
}

// checkExec compares the replies of a MULTI block one by one.
func checkExec(parts []byte, real, ours []byte) error {
	headA, a := elements(real)
	headB, b := elements(ours)
	if !bytes.Equal(headA, headB) || len(a) != len(parts) || len(b) != len(parts) {
		return check(0, real, ours)
	}
	for i, mark := range parts {
		if err := check(mark, a[i], b[i]); err != nil {
			return err
		}
	}
	return nil
}

// minimise leaves out of a failing script what is not needed for a difference
// in the replies to the same command.
func (r *round) minimise(script []request, why error) string {
	end := time.Now().Add(minimiseTime)
	for size := len(script) / 2; size > 0; size /= 2 {
		for i := 0; i < len(script) && time.Now().Before(end); {
			shorter := slices.Concat(script[:i], script[min(i+size, len(script)):])
			if err := r.run(shorter); sameCommand(err, why) {
				script, why = shorter, err
			} else {
				i += size
			}
		}
	}
	var b strings.Builder
	for _, q := range script {
		fmt.Fprintln(&b, "  ", q)
	}
	return b.String() + why.Error()
}

func sameCommand(a, b error) bool {
	var x, y difference
	return errors.As(a, &x) && errors.As(b, &y) && bytes.EqualFold(x.args[0], y.args[0])
}
