package archive

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"limpet/aof"
)

// massDelete is how many keys deleted one after another, with no other write
// between them, are worth noting: few programs mean to, and people regret it.
const massDelete = 1000

// notables sees what empties databases go by. It numbers commands as the archive
// does.
type notables struct {
	next  uint64 // number of the next command
	found []Notable
	run   Notable // of deletions that follow one another; Keys is 0 outside one
	told  int     // Keys of the run as last noted
	db    int
}

// begin tells the number of the first command of the next block.
func (n *notables) begin(next uint64) { n.next, n.found = next, nil }

// unit is for tail.Options.Inspect.
func (n *notables) unit(u aof.Unit, at time.Time) {
	number := n.next
	if u.Multi {
		number++ // behind the MULTI
		n.next += 2
	}
	n.next += uint64(len(u.Commands))
	for i, c := range u.Commands {
		n.command(c.Args, number+uint64(i), at)
	}
}

func (n *notables) command(args [][]byte, number uint64, at time.Time) {
	var ts int64
	if !at.IsZero() {
		ts = at.Unix()
	}
	switch name := strings.ToUpper(string(args[0])); name {
	case "SELECT":
		if len(args) > 1 {
			n.db, _ = strconv.Atoi(string(args[1]))
		}
	case "DEL", "UNLINK":
		if n.run.Keys == 0 {
			n.run, n.told = Notable{Command: number, DB: n.db, TS: ts}, 0
		}
		n.run.Keys += len(args) - 1
	case "FLUSHALL", "FLUSHDB":
		n.endRun()
		n.found = append(n.found, Notable{Command: number, What: name, DB: n.db, TS: ts})
	default:
		n.endRun()
	}
}

func (n *notables) endRun() {
	n.note()
	n.run = Notable{}
}

// note notes a run, once more when it has grown.
func (n *notables) note() {
	if n.run.Keys >= massDelete && n.run.Keys > n.told {
		r := n.run
		r.What = fmt.Sprintf("%d keys deleted one after another", r.Keys)
		n.found, n.told = append(n.found, r), r.Keys
	}
}

// take gives what a segment has to note.
func (n *notables) take(seg *Segment) []Notable {
	n.note()
	for i := range n.found {
		if f := &n.found[i]; f.TS == 0 {
			f.TS = seg.Carried
		}
		n.found[i].ReadAt = seg.ReadAt
	}
	return n.found
}
