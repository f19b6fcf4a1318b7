package repair

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"limpet/aof"
	"limpet/internal/check"
)

// Where a log is damaged, the bytes behind may still be commands. To apply them,
// three things must be known, and each has to follow from the bytes:
//
//  1. Where a command begins. A line that looks like one might lie in a value.
//     So it must lie behind every value whose length can still be read, unless
//     that length is plainly what is damaged; and from it on command must follow
//     upon command to the end of the file or for a long while, unless all before
//     it is one single command.
//  2. That no transaction is open there, half of which would be applied. So the
//     commands begin behind an EXEC or with a MULTI, unless the damage is known
//     to be in one single command that is neither.
//  3. Which database they belong to. So they begin with a SELECT, unless the
//     damage is known to be in one single command that is none.
//
// "In one single command" means that one byte, put right, makes all that lies
// between one whole command. A damaged byte inside a value is nowhere to be seen.
// And a value that is itself a log, and whose own length is what is damaged,
// would be taken for commands: that, and that something is missing before them,
// is why nobody goes on without being told to.
//
// A command that no server knows is damage like any other, of its name.
//
// A fourth case is that of a MULTI that redis-server 7.0 has left open in the
// file (it cuts inside of it) and gone on behind. Servers up to 7.0 begin each
// run with a SELECT and never put one inside a MULTI, so the transaction ends
// before the first SELECT, and never took place.

const (
	longRun     = 16      // commands that are no coincidence
	mostTries   = 1000    // places that are tried
	mostDamaged = 1 << 20 // bytes of a damaged command that are looked into
)

// resyncer looks for the place where a file goes on.
type resyncer struct {
	src       io.ReaderAt
	name      string
	size      int64
	oldServer bool // it never puts a SELECT inside a MULTI
}

// breakage is a place where a file cannot be read on.
type breakage struct {
	cutAt int64 // end of what is whole outside MULTI
	at    int64
	multi bool // a MULTI is open
	why   string
	whole int64 // end of the last command that is, also inside MULTI; see settle
}

// resynced is where a file goes on.
type resynced struct {
	at       int64  // -1: nowhere
	why      string // how that is known, or why it is not
	to       int64  // end of what is whole from there
	commands int
	db       string    // SELECT to put before it; "" for none
	next     *breakage // nil at the end of the file
}

func (r *resynced) pieces() []Piece {
	if r.db == "" {
		return []Piece{{From: r.at, To: r.to}}
	}
	return []Piece{{Literal: string(aof.AppendCommand(nil, "SELECT", r.db))}, {From: r.at, To: r.to}}
}

func nowhere(why string) (*resynced, error) { return &resynced{at: -1, why: why}, nil }

func (s *resyncer) reader(from int64) *aof.Reader {
	return aof.NewReader(io.NewSectionReader(s.src, 0, s.size), s.name, from)
}

// after looks behind a breakage that is settled.
func (s *resyncer) after(b breakage) (*resynced, error) {
	before := s.walk(b.cutAt, b.whole)
	if b.multi && s.oldServer && before.laterSelect >= 0 {
		return s.run(before.laterSelect, "", "a server went on here with a SELECT, and the transaction that is open before it never took place")
	}
	from, claimed := b.whole+1, max(b.at, s.claimed(b.whole, b.at))
	for range mostTries {
		q, err := nextFrame(s.src, from, s.size)
		if err != nil || q < 0 {
			return &resynced{at: -1}, err
		}
		from = q + 1
		single := s.single(b.whole, q)
		if q < claimed && (s.nearlyEnds(claimed) || !single) {
			continue
		}
		if w := s.walk(q, s.size); w.plausible() || single && w.commands > 0 {
			return s.decide(b, before, q, w)
		}
	}
	return nowhere("no place was found where commands go on")
}

// walked is what stands behind a place, to the next thing that is wrong.
type walked struct {
	commands    int
	end         int64 // of the last whole command
	goesOn      bool  // to the end of the file, or up to an EXEC without its MULTI
	exec        int64 // end of that EXEC, -1
	multi       int64 // start of the first MULTI, -1
	lastDB      string
	lastStart   int64 // of the last whole command
	laterSelect int64 // start of the first SELECT that is not the first command, -1
}

// plausible tells that these are commands and no coincidence.
func (w *walked) plausible() bool { return w.commands > 0 && (w.goesOn || w.commands >= longRun) }

// walk reads from one place to another, or to where it breaks.
func (s *resyncer) walk(from, to int64) walked {
	w := walked{end: from, lastStart: -1, exec: -1, multi: -1, laterSelect: -1}
	r := s.reader(from)
	for w.end < to {
		c, err := s.next(r)
		if err != nil {
			var bad *aof.FormatError
			switch {
			case !errors.As(err, &bad):
				w.goesOn = true
			case strings.HasPrefix(bad.What, "EXEC without"):
				w.goesOn = true
				w.exec = bad.Offset + int64(len("*1\r\n$4\r\nEXEC\r\n"))
				w.commands++
			}
			return w
		}
		switch strings.ToLower(string(c.Args[0])) {
		case "multi":
			if w.multi < 0 {
				w.multi = c.Start
			}
		case "select":
			if len(c.Args) == 2 {
				w.lastDB = string(c.Args[1])
			}
			if w.commands > 0 && w.laterSelect < 0 {
				w.laterSelect = c.Start
			}
		}
		w.commands++
		w.lastStart, w.end = c.Start, c.End
	}
	return w
}

// decide finds the first command from q on that may be applied.
func (s *resyncer) decide(b breakage, before walked, q int64, w walked) (*resynced, error) {
	single := s.single(b.whole, q)
	p := q
	switch {
	case w.exec >= 0:
		p = w.exec
	case single && !b.multi:
	case w.multi >= 0:
		p = w.multi
	default:
		return nowhere("it cannot be told whether the commands there belong to a transaction")
	}
	if single {
		db := before.lastDB // of a SELECT among what is dropped
		if w.exec >= 0 && w.lastDB != "" {
			db = w.lastDB
		}
		return s.run(p, db, "one command is damaged, and all around it is whole")
	}
	r := s.reader(p)
	for {
		u, err := r.NextUnit()
		if err != nil {
			return nowhere("it cannot be told to which database the commands there belong")
		}
		if strings.EqualFold(string(u.Commands[0].Args[0]), "select") {
			return s.run(u.Start, "", "commands begin anew with a SELECT, outside of any transaction")
		}
	}
}

// run follows the commands from a place on.
func (s *resyncer) run(from int64, db, why string) (*resynced, error) {
	found := &resynced{at: from, why: why, db: db, to: from}
	whole, err := aof.Scan(s.src, s.name, from, s.size, aof.ScanOptions{Known: check.KnownCommand})
	found.to, found.commands = whole.CutAt, whole.Commands
	var torn *aof.TruncatedError
	var bad *aof.FormatError
	switch {
	case errors.As(err, &torn):
		found.next = &breakage{cutAt: torn.CutAt, at: torn.Offset, multi: torn.OpenMulti, why: torn.What}
	case errors.As(err, &bad):
		found.next = &breakage{cutAt: bad.CutAt, at: bad.Offset, multi: strings.HasPrefix(bad.What, "MULTI inside"), why: bad.What}
	case err != nil:
		return nil, err
	}
	if found.next != nil {
		given, err := s.settle(found.next, from)
		if err != nil {
			return nil, err
		}
		found.to, found.commands = found.next.cutAt, found.commands-given
	}
	if found.to == from {
		return nowhere("no whole command stands behind it")
	}
	return found, nil
}

// settle finds the last command before a breakage that can be trusted, and moves
// the cut before one that cannot; it tells how many commands are whole no more.
// from is a place before the breakage where commands begin.
//
// Where the next command should begin and something else stands, the command
// before may be to blame: with another count or another length it would end
// elsewhere. It is not trusted if one byte of it, put right, makes it end where
// commands go on, while no byte of the next one does.
func (s *resyncer) settle(b *breakage, from int64) (given int, err error) {
	w := s.walk(b.cutAt, b.at)
	b.whole = w.end
	if w.end != b.at || s.endsWithOneByte(b.at) {
		return 0, nil
	}
	if w.commands > 0 { // inside a MULTI, all of which goes
		if s.endsWithOneByte(w.lastStart) {
			b.whole = w.lastStart
		}
		return 0, nil
	}
	r := s.reader(from)
	for {
		u, err := r.NextUnit()
		if errors.Is(err, io.EOF) || errors.Is(err, aof.ErrDamaged) || errors.Is(err, aof.ErrTruncated) {
			return 0, nil // nothing stands before it
		}
		if err != nil {
			return 0, err
		}
		if u.End < b.cutAt {
			continue
		}
		last := u.Start
		commands := 1
		if u.Multi {
			commands += 1 + len(u.Commands)
			last = u.End - int64(len("*1\r\n$4\r\nEXEC\r\n"))
		}
		if u.End != b.cutAt || !s.endsWithOneByte(last) {
			return 0, nil
		}
		b.cutAt, b.whole = u.Start, last
		return commands, nil
	}
}

// endsWithOneByte tells whether one byte, put right, makes a command begin at a
// place and end where others go on.
func (s *resyncer) endsWithOneByte(at int64) bool {
	const tries = 20 // a value may hold a few that look like commands
	q := at
	for range tries {
		var err error
		if q, err = nextFrame(s.src, q+1, s.size); err != nil || q < 0 {
			return false
		}
		if one, _ := s.oneByte(at, q); one {
			if w := s.walk(q, s.size); w.commands > 0 {
				return true
			}
		}
	}
	return false
}

// next is the reader's next command, and an error for one that no server knows.
func (s *resyncer) next(r *aof.Reader) (aof.Command, error) {
	c, err := r.Next()
	if err == nil && !check.KnownCommand(c.Args[0]) {
		err = &aof.FormatError{Offset: c.Start, What: "unknown command"}
	}
	return c, err
}

// claimed is the end of the value that the damaged command's last readable
// length speaks of, as far as that lies in the file.
func (s *resyncer) claimed(from, at int64) int64 {
	line := make([]byte, 16)
	header := func(kind byte) (n, after int64, ok bool) {
		got, _ := s.src.ReadAt(line, from)
		w := words{b: line[:got]}
		v, ok := w.number(kind)
		return int64(v), from + int64(got-len(w.b)), ok
	}
	count, next, ok := header('*')
	for ; ok && count > 0; count-- {
		from = next
		var n int64
		if n, next, ok = header('$'); !ok {
			return at
		}
		end := next + n
		if end > s.size {
			return at
		}
		if end+2 > at {
			return end
		}
		next = end + 2
	}
	return at
}

// nearlyEnds tells whether a value that ends at an offset might be meant to: one
// byte at most is wrong in the line end behind it.
func (s *resyncer) nearlyEnds(at int64) bool {
	b := make([]byte, 2)
	n, _ := s.src.ReadAt(b, at)
	return n == 2 && (b[0] == '\r' || b[1] == '\n')
}

// single tells whether all that lies between two places is one command but for
// one byte, and surely no SELECT, MULTI or EXEC.
func (s *resyncer) single(from, to int64) bool {
	one, risky := s.oneByte(from, to)
	return one && !risky
}

// oneByte tells whether one byte, put right, makes one command of all that lies
// between two places, and whether that can be a SELECT, MULTI or EXEC.
func (s *resyncer) oneByte(from, to int64) (one, risky bool) {
	if to <= from || to-from > mostDamaged {
		return false, false
	}
	b := make([]byte, to-from)
	if n, _ := s.src.ReadAt(b, from); n < len(b) {
		return false, false
	}
	for _, l := range lines(skipNotes(b), '*', 1) {
		if l.n > 0 {
			fits(l.rest, l.n, 1-l.wrong, nil, func(name []byte) {
				one, risky = true, risky || !harmless(name)
			})
		}
	}
	return one, risky
}

// line is one way to read a line of a kind byte and a number.
type line struct {
	n, wrong int // the number, and how many bytes had to be put right: 0 or 1
	rest     []byte
}

// lines is all ways to read the line that b begins with, with at most so many
// bytes put right.
func lines(b []byte, kind byte, most int) (all []line) {
	const digits = 10
	for n := 1; n <= digits && n+3 <= len(b); n++ {
		wrong, at := 0, 0
		for i := range n + 3 {
			ok := false
			switch i {
			case 0:
				ok = b[i] == kind
			case n + 1:
				ok = b[i] == '\r'
			case n + 2:
				ok = b[i] == '\n'
			default:
				ok = b[i] >= '0' && b[i] <= '9'
			}
			if !ok {
				wrong, at = wrong+1, i
			}
		}
		rest, text := b[n+3:], bytes.Clone(b[1:n+1])
		number := func() int { v, _ := strconv.Atoi(string(text)); return v }
		isDigit := at >= 1 && at <= n
		if wrong > most {
			continue
		}
		if wrong == 0 || !isDigit {
			all = append(all, line{number(), wrong, rest})
		}
		for i := range text { // one digit is another one
			if was := text[i]; wrong == 0 && most > 0 || wrong == 1 && isDigit && at == i+1 {
				for d := byte('0'); d <= '9'; d++ {
					if text[i] = d; d != was {
						all = append(all, line{number(), 1, rest})
					}
				}
				text[i] = was
			}
		}
	}
	return all
}

// fits tells of each way in which b is so many arguments and nothing else, with
// at most so many bytes put right. name is the command's, nil as long as it is
// not known.
func fits(b []byte, args, most int, name []byte, found func(name []byte)) {
	if args == 0 {
		if len(b) == 0 {
			found(name)
		}
		return
	}
	for _, l := range lines(b, '$', most) {
		if len(l.rest) < l.n+2 {
			continue
		}
		wrong := l.wrong
		for i, c := range []byte("\r\n") {
			if l.rest[l.n+i] != c {
				wrong++
			}
		}
		arg := name
		if arg == nil {
			arg = l.rest[:l.n]
		}
		if wrong <= most {
			fits(l.rest[l.n+2:], args-1, most-wrong, arg, found)
		}
	}
}

// harmless is a command that neither opens nor closes a transaction nor chooses
// a database, and none of which that could be said before a byte of its name was
// damaged.
func harmless(name []byte) bool {
	for _, word := range []string{"multi", "exec", "select"} {
		if len(name) != len(word) {
			continue
		}
		other := 0
		for i, c := range name {
			const toLower = 0x20 // for letters, which is enough
			if c|toLower != word[i] {
				other++
			}
		}
		if other <= 1 {
			return false
		}
	}
	return len(name) > 0
}

// skipNotes passes over annotations.
func skipNotes(b []byte) []byte {
	for len(b) > 0 && b[0] == '#' {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return b
		}
		b = b[i+1:]
	}
	return b
}
