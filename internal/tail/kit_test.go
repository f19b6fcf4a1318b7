package tail

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"limpet/aof"
	"limpet/clock"
	"limpet/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// source is a log in memory, written as the store writes its own.
type source struct {
	t     *testing.T
	fs    *vfs.Mem
	dir   *aof.Dir
	w     *aof.Writer
	clock *clock.Fake
	n     int // commands written so far
}

func newSource(t *testing.T) *source {
	s := &source{t: t, fs: vfs.NewMem(), clock: clock.NewFake(time.Unix(1767323045, 0))}
	must(t, s.fs.MkdirAll("/data", 0o755))
	s.open()
	return s
}

func (s *source) open() {
	s.t.Helper()
	var err error
	s.dir, err = aof.OpenDir(s.fs, "/data", aof.Options{})
	must(s.t, err)
	plan, err := s.dir.Load()
	must(s.t, err)
	_, err = plan.Replay(ignore{})
	must(s.t, err)
	s.w, err = s.dir.OpenIncr()
	must(s.t, err)
}

type ignore struct{}

func (ignore) Begin(aof.PlannedFile)               {}
func (ignore) Preamble(r io.Reader) (int64, error) { return int64(len(emptyBase)), nil }
func (ignore) Unit(aof.Unit) error                 { return nil }

// emptyBase begins as an RDB does, which is all that this package and aof look at.
const emptyBase = "REDIS0010"

// write appends commands that are numbered over the whole life of the log.
func (s *source) write(commands int) {
	s.t.Helper()
	for range commands {
		s.n++
		s.append(aof.AppendCommand(nil, "SET", "n", fmt.Sprint(s.n)))
	}
}

func (s *source) append(b []byte) {
	s.t.Helper()
	must(s.t, s.w.Append(b))
}

// rotate begins the next incr.
func (s *source) rotate() {
	s.t.Helper()
	var err error
	s.w, err = s.dir.Rotate(s.w)
	must(s.t, err)
}

// rewrite is a whole rewrite, after which the old files are gone.
func (s *source) rewrite() {
	s.t.Helper()
	s.rotate()
	base, err := s.dir.CreateTempBase()
	must(s.t, err)
	_, err = io.WriteString(base, emptyBase)
	must(s.t, err)
	must(s.t, base.Close())
	must(s.t, s.dir.CommitBase(base.Name(), s.w.Seq()))
	must(s.t, s.dir.DeleteHistory())
}

// follow starts a follower.
func (s *source) follow(o Options) *Follower {
	s.t.Helper()
	f := s.follower(o)
	must(s.t, f.Start())
	return f
}

func (s *source) follower(o Options) *Follower {
	o.Clock = s.clock
	f := New(s.fs, "/data", o)
	s.t.Cleanup(f.Close)
	return f
}

// reading collects what a follower gives.
type reading struct {
	blocks   []*Block
	numbers  []string // the values of the SETs, in order
	commands int
}

// readAll reads to the end, which must be io.EOF, or to a Break.
func (r *reading) readAll(t *testing.T, f *Follower) *Break {
	t.Helper()
	for {
		b, err := f.Next()
		var broken *Break
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &broken):
			return broken
		}
		must(t, err)
		r.take(t, b)
	}
}

// readOn is readAll where nothing is to break.
func (r *reading) readOn(t *testing.T, f *Follower) {
	t.Helper()
	if broken := r.readAll(t, f); broken != nil {
		t.Fatal(broken)
	}
}

// take checks a block against the one before.
func (r *reading) take(t *testing.T, b *Block) {
	t.Helper()
	if n := len(r.blocks); n > 0 {
		last := r.blocks[n-1]
		switch {
		case last.Incr == b.Incr && (last.End != b.Start || last.Inode != b.Inode || last.EndDB != b.DB):
			t.Fatalf("block %d begins at %d in database %d, the one before ends at %d in %d", n, b.Start, b.DB, last.End, last.EndDB)
		case last.Incr != b.Incr && (b.Start != 0 || b.Incr < last.Incr):
			t.Fatalf("block %d begins at %d of incr %d, after incr %d", n, b.Start, b.Incr, last.Incr)
		}
	}
	units := aof.NewReader(strings.NewReader(string(b.Data)), b.Name, 0)
	for {
		u, err := units.NextUnit()
		if err == io.EOF {
			break
		}
		must(t, err)
		for _, c := range u.Commands {
			if string(c.Args[0]) == "SET" {
				r.numbers = append(r.numbers, string(c.Args[2]))
			}
		}
	}
	r.blocks = append(r.blocks, b)
	r.commands += b.Commands
}

// wantNumbers checks that each command from first to last was read once.
func (r *reading) wantNumbers(t *testing.T, first, last int) {
	t.Helper()
	if len(r.numbers) != last-first+1 {
		t.Fatalf("read %d commands, want %d to %d: %v", len(r.numbers), first, last, r.numbers)
	}
	for i, n := range r.numbers {
		if n != fmt.Sprint(first+i) {
			t.Fatalf("command %s where %d belongs", n, first+i)
		}
	}
}

// wantBreak checks why a following ended.
func wantBreak(t *testing.T, b *Break, reason Reason, what string) {
	t.Helper()
	if b == nil || b.Reason != reason || !strings.Contains(b.Error(), what) {
		t.Fatalf("got %v, want %s with %q", b, reason, what)
	}
}

// point is where a reading stopped, for a successor.
func (r *reading) point() Point {
	b := r.blocks[len(r.blocks)-1]
	return Point{Base: b.Base, BaseInode: b.BaseInode, Incr: b.Incr, Inode: b.Inode, Offset: b.End, Prefix: b.Prefix, DB: b.EndDB}
}
