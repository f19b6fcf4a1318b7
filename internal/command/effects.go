package command

import "limpet/resp"

// Effects are what a unit did to the keyspace, in the form in which the log
// keeps it: requests, already encoded, each with the database it is meant for.
type Effects struct {
	buf  []byte
	ends []effectEnd
}

type effectEnd struct {
	end int // offset in buf behind this effect
	db  int
}

func (e *Effects) reset() { e.buf, e.ends = e.buf[:0], e.ends[:0] }

func (e *Effects) add(db int, args ...[]byte) {
	e.buf = resp.AppendCommand(e.buf, args...)
	e.ends = append(e.ends, effectEnd{len(e.buf), db})
}

// Len is the number of effects.
func (e *Effects) Len() int { return len(e.ends) }

// NoDB is the selected database of a log file that has no record yet.
const NoDB = -1

var (
	wordSelect = []byte("SELECT")
	wordMulti  = resp.AppendCommand(nil, []byte("MULTI"))
	wordExec   = resp.AppendCommand(nil, []byte("EXEC"))
)

// AppendTo appends the effects to a log whose selected database is db (NoDB when
// none was selected yet), and gives back the log and the database selected
// afterwards. More than one effect is wrapped in MULTI and EXEC unless the unit
// said that its effects are independent of each other.
func (e *Effects) AppendTo(log []byte, db int, independent bool) ([]byte, int) {
	if len(e.ends) == 0 {
		return log, db
	}
	log, db = appendSelect(log, db, e.ends[0].db)
	wrap := len(e.ends) > 1 && !independent
	if wrap {
		log = append(log, wordMulti...)
	}
	begin := 0
	for _, x := range e.ends {
		log, db = appendSelect(log, db, x.db)
		log = append(log, e.buf[begin:x.end]...)
		begin = x.end
	}
	if wrap {
		log = append(log, wordExec...)
	}
	return log, db
}

func appendSelect(log []byte, from, to int) ([]byte, int) {
	if from == to {
		return log, to
	}
	var digits [20]byte
	return resp.AppendCommand(log, wordSelect, appendInt(digits[:0], int64(to))), to
}
