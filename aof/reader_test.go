package aof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"limpet/vfs"
)

// sample is a log of units, with the offset behind each.
func sample(n int) (log []byte, units ledger, ends []int64) {
	for i := range n {
		if i == n/2 {
			log = AppendTimestamp(log, time.Unix(1767323045, 0))
		}
		name, b := unit(i)
		units, log = append(units, name), append(log, b...)
		ends = append(ends, int64(len(log)))
	}
	return log, units, ends
}

func readAll(r *Reader) (units ledger, err error) {
	for {
		u, err := r.NextUnit()
		if err != nil {
			return units, err
		}
		must := units.Unit(u)
		if must != nil {
			return units, must
		}
	}
}

func TestReader_WholeFile_GivesEveryUnitWithItsOffsets(t *testing.T) {
	log, want, ends := sample(9)
	r := NewReader(bytes.NewReader(log), "f", 0)
	for i := range want {
		u, err := r.NextUnit()
		must(t, err)
		var got ledger
		must(t, got.Unit(u))
		if got[0] != want[i] || u.End != ends[i] || u.Multi != (i%3 == 2) || r.Offset() != ends[i] || r.CutAt() != ends[i] {
			t.Fatalf("unit %d: %q, %d to %d, multi %v", i, got[0], u.Start, u.End, u.Multi)
		}
		first := NewReader(bytes.NewReader(log), "f", u.Start)
		if again, err := first.NextUnit(); err != nil || again.End != u.End {
			t.Fatalf("reading from %d: %v", u.Start, err)
		}
	}
	if _, err := r.NextUnit(); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
	if _, err := r.NextUnit(); err != io.EOF {
		t.Fatalf("after the end: %v", err)
	}
	if r.Time() != time.Unix(1767323045, 0) {
		t.Errorf("time %v", r.Time())
	}
}

// tornAfter is what a reader must make of a log that ends early at cut.
func tornAfter(units ledger, ends []int64, cut int64) (whole ledger, cutAt int64) {
	for i, end := range ends {
		if end <= cut {
			whole, cutAt = units[:i+1], end
		}
	}
	return whole, cutAt
}

func TestReader_CutAtEveryByte_StopsAfterLastWholeCommandOutsideMulti(t *testing.T) {
	log, units, ends := sample(9)
	for cut := range len(log) {
		for _, zeros := range []int{0, 1, 2, 9, 5000, readChunk + 1} {
			torn := append(slices.Clone(log[:cut]), make([]byte, zeros)...)
			want, cutAt := tornAfter(units, ends, int64(cut))
			got, err := readAll(NewReader(bytes.NewReader(torn), "f", 0))
			if !slices.Equal(got, want) {
				t.Fatalf("cut at %d, %d zeros: %d units, want %d", cut, zeros, len(got), len(want))
			}
			if clean := int64(cut) == cutAt || log[cut-1] == '\n' && bytes.HasPrefix(log[cutAt:], []byte("#")) && bytes.Count(log[cutAt:cut], []byte("\n")) == 1; clean && zeros == 0 {
				if err != io.EOF {
					t.Fatalf("cut at %d: %v, want a clean end", cut, err)
				}
				continue
			}
			var e *TruncatedError
			if !errors.As(err, &e) || !errors.Is(err, ErrTruncated) {
				t.Fatalf("cut at %d, %d zeros: %v", cut, zeros, err)
			}
			if e.CutAt != cutAt || e.Offset < cutAt || e.Offset > int64(len(torn)) {
				t.Fatalf("cut at %d, %d zeros: CutAt %d, want %d; Offset %d", cut, zeros, e.CutAt, cutAt, e.Offset)
			}
		}
	}
}

func TestReader_OpenMulti_SaysSoAndCountsWhatStays(t *testing.T) {
	log := AppendCommand(nil, "SET", "a", "1")
	end := int64(len(log))
	log = AppendCommand(log, "multi")
	log = AppendCommand(log, "SET", "a", "2")
	r := NewReader(bytes.NewReader(log), "f", 0)
	for range 3 { // command by command the MULTI shows, and its end is missed
		_, err := r.Next()
		must(t, err)
	}
	_, err := r.Next()
	var e *TruncatedError
	if !errors.As(err, &e) || !e.OpenMulti || e.CutAt != end || e.Commands != 1 || e.Offset != int64(len(log)) {
		t.Fatalf("got %+v", err)
	}
	if want := fmt.Sprintf("aof: f: offset %d: MULTI without EXEC: truncated", len(log)); err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestReader_Damage_IsNotTruncation(t *testing.T) {
	good := string(AppendCommand(nil, "SET", "a", "1"))
	for _, c := range []struct {
		name, log, what string
		offset          int64
	}{
		{"not a command", "hello", `command: want '*', have 'h'`, 0},
		{"zeros before more", "\x00\x00*1\r\n", `command: want '*', have '\x00'`, 0},
		{"no arguments", "*0\r\n", "command: not a number of 1 or more", 0},
		{"no number", "*\r\n", "command: not a number of 1 or more", 0},
		{"negative count", "*-1\r\n", `command: want '\r', have '-'`, 1},
		{"junk after count", "*1x\r\n", `command: want '\r', have 'x'`, 2},
		{"count without CR", "*1\n$1\r\na\r\n", `command: want '\r', have '\n'`, 2},
		{"huge count", "*99999999999\r\n", "command: above the limit of 1073741824", 0},
		{"not a bulk", "*1\r\n:1\r\n", `bulk string: want '$', have ':'`, 4},
		{"null bulk", "*1\r\n$-1\r\n", `bulk string: want '\r', have '-'`, 5},
		{"huge bulk", "*1\r\n$536870913\r\n", "bulk string: above the limit of 536870912", 4},
		{"bulk too long for its length", "*1\r\n$1\r\nab\r\n", `bulk string: want '\r', have 'b'`, 9},
		{"bulk without LF", "*1\r\n$1\r\na\rb", `bulk string: want '\n', have 'b'`, 10},
		{"long annotation", "#" + strings.Repeat("x", 2000) + "\n", "annotation: longer than 1024 bytes", 0},
		{"EXEC without MULTI", "*1\r\n$4\r\nEXEC\r\n", "EXEC without MULTI", 0},
		{"MULTI in MULTI", strings.Repeat("*1\r\n$5\r\nMULTI\r\n", 2), "MULTI inside the MULTI at offset 27", 15},
	} {
		_, err := readAll(NewReader(strings.NewReader(good+c.log), "f", 0))
		var e *FormatError
		if !errors.As(err, &e) || !errors.Is(err, ErrDamaged) || errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if at := int64(len(good)); e.Offset != at+c.offset || e.CutAt != at || e.Commands != 1 || e.What != c.what {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func TestReader_Select_IsFollowed(t *testing.T) {
	log := AppendCommand(AppendCommand(nil, "select", "7"), "SET", "a", "1")
	r := NewReader(bytes.NewReader(log), "f", 0)
	if r.DB() != 0 {
		t.Error("a file begins in database 0")
	}
	if _, err := readAll(r); err != io.EOF || r.DB() != 7 {
		t.Errorf("%v, db %d", err, r.DB())
	}
}

func TestReader_Continue_KnowsWhatTheReaderBeforeKnew(t *testing.T) {
	at := time.Unix(1767323045, 0)
	first := AppendCommand(AppendTimestamp(nil, at), "SELECT", "7")
	r := NewReader(bytes.NewReader(AppendCommand(first, "SET", "a", "1")), "f", int64(len(first)))
	r.Continue(7, at)
	if _, err := readAll(r); err != io.EOF || r.DB() != 7 || !r.Time().Equal(at) {
		t.Errorf("%v, db %d, time %v", err, r.DB(), r.Time())
	}
}

func TestReader_Preamble_IsHandedOverAndCommandsFollow(t *testing.T) {
	snapshot := ledger{"x", "y"}
	log, units, _ := sample(5)
	file := append(snapshot.rdb(), log...)
	var got ledger
	r := NewReader(bytes.NewReader(file), "f", 0)
	found, err := r.Preamble(func(src io.Reader) (int64, error) {
		n, err := got.Preamble(src)
		_, _ = io.Copy(io.Discard, src) // a decoder may read ahead
		return n, err
	})
	if !found || err != nil {
		t.Fatal(found, err)
	}
	rest, err := readAll(r)
	if err != io.EOF || !slices.Equal(append(got, rest...), append(snapshot, units...)) {
		t.Fatalf("%q %q: %v", got, rest, err)
	}
	if found, err := NewReader(bytes.NewReader(log), "f", 0).Preamble(nil); found || err != nil {
		t.Error("found an RDB where there is none")
	}
	torn := NewReader(bytes.NewReader(snapshot.rdb()[:7]), "f", 0)
	if _, err := torn.Preamble(got.Preamble); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a torn RDB: %v", err)
	}
	if _, err := torn.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after a torn RDB: %v", err)
	}
}

func TestReader_LargeAndManyArguments_ComeWhole(t *testing.T) {
	large := strings.Repeat("0123456789", 1<<18)
	many := slices.Repeat([]string{"x"}, 20_000)
	var log []byte
	for range 3 {
		log = AppendCommand(log, "SET", "k", large)
		log = AppendCommand(log, many...)
		log = AppendCommand(log, "MULTI")
		log = AppendCommand(log, "SET", "k", large)
		log = AppendCommand(log, "SET", "l", large)
		log = AppendCommand(log, "EXEC")
	}
	r := NewReader(bytes.NewReader(log), "f", 0)
	for range 3 {
		u, err := r.NextUnit()
		must(t, err)
		if string(u.Commands[0].Args[2]) != large {
			t.Fatal("a large argument came back changed")
		}
		u, err = r.NextUnit()
		must(t, err)
		if len(u.Commands[0].Args) != len(many) {
			t.Fatal("arguments are missing")
		}
		u, err = r.NextUnit()
		must(t, err)
		if len(u.Commands) != 2 || string(u.Commands[0].Args[2]) != large || string(u.Commands[1].Args[2]) != large {
			t.Fatal("a large MULTI came back changed")
		}
	}
	if _, err := r.NextUnit(); err != io.EOF {
		t.Fatal(err)
	}
	if cap(r.buf) > maxIdleBuffer {
		t.Errorf("still holds %d bytes", cap(r.buf))
	}
}

func TestReader_HostileLength_TakesNoMemory(t *testing.T) {
	r := NewReader(strings.NewReader("*1000000000\r\n$536870912\r\nabc"), "f", 0)
	if _, err := r.Next(); !errors.Is(err, ErrTruncated) {
		t.Fatal(err)
	}
	if cap(r.buf) > 4*readChunk || cap(r.spans) > 100 {
		t.Errorf("%d bytes, %d spans for 29 bytes of file", cap(r.buf), cap(r.spans))
	}
}

func TestReader_ReadError_IsNeitherTruncationNorDamage(t *testing.T) {
	log, _, _ := sample(5)
	mem := vfs.NewMem()
	put(t, mem, home+"/f", log)
	boom := errors.New("boom")
	faulty := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpRead {
			return vfs.Fault{Err: boom}
		}
		return vfs.Fault{}
	})
	f, err := vfs.Open(faulty, home+"/f")
	must(t, err)
	_, err = NewReader(f, "f", 0).Next()
	if !errors.Is(err, boom) || errors.Is(err, ErrTruncated) || errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func TestReader_DoesNotAllocateForEachCommand(t *testing.T) {
	var log []byte
	for range 10_000 {
		log = AppendCommand(log, "HINCRBY", "key", "field", "1")
	}
	perFile := testing.AllocsPerRun(3, func() {
		if _, err := drain(log); err != io.EOF {
			t.Fatal(err)
		}
	})
	if perFile > 50 {
		t.Errorf("%.0f allocations for 10000 commands", perFile)
	}
}

func drain(log []byte) (n int, err error) {
	r := NewReader(bytes.NewReader(log), "f", 0)
	for {
		if _, err := r.NextUnit(); err != nil {
			return n, err
		}
		n++
	}
}

func BenchmarkReader(b *testing.B) {
	var log []byte
	for range 100_000 {
		log = AppendCommand(log, "HINCRBY", "fcrawler:seed:test.com", "crawled", "1")
	}
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if _, err := drain(log); err != io.EOF {
			b.Fatal(err)
		}
	}
}

func FuzzReader_NeverPanics_AndItsCutsHold(f *testing.F) {
	log, _, _ := sample(5)
	f.Add(log)
	f.Add(log[:len(log)-3])
	f.Add(append(log, 0, 0, 0))
	f.Add([]byte("*1\r\n$5\r\nMULTI\r\n#TS:1\r\n*1\r\n$4\r\nEXEC\r\n"))
	f.Add([]byte("*2147483647\r\n$536870912\r\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		r := NewReader(bytes.NewReader(log), "f", 0)
		units, err := readAll(r)
		cutAt := r.CutAt()
		if cutAt < 0 || cutAt > int64(len(log)) {
			t.Fatalf("CutAt %d of %d", cutAt, len(log))
		}
		var torn *TruncatedError
		if errors.As(err, &torn) && torn.CutAt != cutAt {
			t.Fatalf("CutAt %d and %d", torn.CutAt, cutAt)
		}
		// What stands before the cut reads the same, and ends cleanly.
		again, err := readAll(NewReader(bytes.NewReader(log[:cutAt]), "f", 0))
		if err != io.EOF || !slices.Equal(units, again) {
			t.Fatalf("cut at %d: %q then %q, %v", cutAt, units, again, err)
		}
		// And what is appended there is read.
		more := append(slices.Clone(log[:cutAt]), AppendCommand(nil, "PING")...)
		again, err = readAll(NewReader(bytes.NewReader(more), "f", 0))
		if err != io.EOF || len(again) != len(units)+1 {
			t.Fatalf("appended after the cut: %q, %v", again, err)
		}
	})
}
