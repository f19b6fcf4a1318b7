package tail

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"limpet/aof"
	"limpet/vfs"
)

func TestNext_WholeCommandsOnly_TheRestOnceItIsThere(t *testing.T) {
	s := newSource(t)
	f := s.follow(Options{})
	r := new(reading)
	transaction := aof.AppendCommand(aof.AppendCommand(aof.AppendCommand(nil, "MULTI"), "SET", "n", "3"), "EXEC")
	s.write(2)
	for i := range transaction {
		must(t, readNothingFrom(r, t, f, i > 0))
		s.append(transaction[i : i+1])
	}
	s.n++
	s.write(1)
	if b := r.readAll(t, f); b != nil {
		t.Fatal(b)
	}
	r.wantNumbers(t, 1, 4)
	if r.commands != 6 {
		t.Errorf("%d commands, want 6 with MULTI and EXEC", r.commands)
	}
}

// readNothingFrom reads to the end; with nothing, there must be no block.
func readNothingFrom(r *reading, t *testing.T, f *Follower, nothing bool) error {
	t.Helper()
	before := len(r.blocks)
	if b := r.readAll(t, f); b != nil {
		return b
	}
	if nothing && len(r.blocks) > before {
		return errors.New("a block of an unfinished transaction")
	}
	return nil
}

func TestNext_DatabaseAndTimes_AreCarriedOverTheCut(t *testing.T) {
	s := newSource(t)
	f := s.follow(Options{})
	r := new(reading)
	at := time.Unix(1767323000, 0)
	s.append(aof.AppendCommand(nil, "SELECT", "3"))
	r.readOn(t, f)
	caughtUp := s.clock.Now()
	s.clock.Advance(time.Second)
	s.append(aof.AppendTimestamp(nil, at))
	s.write(1)
	s.append(aof.AppendTimestamp(nil, at.Add(time.Second)))
	s.write(1)
	s.append(aof.AppendTimestamp(nil, at.Add(2*time.Second))) // what it dates is not there yet
	r.readOn(t, f)
	s.rotate()
	s.write(1)
	r.readOn(t, f)
	if len(r.blocks) != 3 {
		t.Fatalf("%d blocks", len(r.blocks))
	}
	first, b, next := r.blocks[0], r.blocks[1], r.blocks[2]
	if first.DB != 0 || b.DB != 3 || b.EndDB != 3 || next.DB != 0 {
		t.Errorf("databases %d, %d to %d, %d in the next file", first.DB, b.DB, b.EndDB, next.DB)
	}
	if !first.FirstTS.IsZero() || !b.FirstTS.Equal(at) || !b.LastTS.Equal(at.Add(time.Second)) || !next.FirstTS.IsZero() {
		t.Errorf("annotations %v; %v to %v; %v", first.FirstTS, b.FirstTS, b.LastTS, next.FirstTS)
	}
	if !b.Since.Equal(caughtUp) || !b.ReadAt.Equal(s.clock.Now()) {
		t.Errorf("read between %v and %v", b.Since, b.ReadAt)
	}
}

func TestNext_MaxBlock_EndsBlocksAtCommands(t *testing.T) {
	s := newSource(t)
	s.write(50)
	f := s.follow(Options{MaxBlock: 100})
	r := new(reading)
	r.readOn(t, f)
	r.wantNumbers(t, 1, 50)
	if len(r.blocks) < 10 {
		t.Errorf("%d blocks", len(r.blocks))
	}
}

func TestNext_Rotations_EveryFileIsReadToItsEndThoughItIsGone(t *testing.T) {
	s := newSource(t)
	f := s.follow(Options{})
	r := new(reading)
	bases := 0
	for range 5 {
		s.write(3)
		must(t, f.Look()) // as Watch does
		s.write(2)
		s.rewrite()
		must(t, f.Look())
	}
	s.write(1)
	for base := f.TakeBase(); base != nil; base = f.TakeBase() {
		t.Fatalf("base %d, before incr %d, is given while incr 1 is still to be read", base.Seq, base.Before)
	}
	if b := r.readAll(t, f); b != nil {
		t.Fatal(b)
	}
	r.wantNumbers(t, 1, 26)
	for base := f.TakeBase(); base != nil; base = f.TakeBase() {
		bases++
		if base.Seq != 5 || base.Before != 6 || base.Size != int64(len(emptyBase)) {
			t.Errorf("base %+v", base)
		}
		must(t, base.File.Close())
	}
	if bases != 1 {
		t.Errorf("%d bases, want the newest", bases)
	}
}

func TestNext_RotatedTwiceUnseen_IsAGap(t *testing.T) {
	s := newSource(t)
	f := s.follow(Options{})
	r := new(reading)
	s.write(3)
	s.rewrite()
	s.write(3)
	s.rewrite() // incr 2 came and went
	s.write(3)
	wantBreak(t, r.readAll(t, f), Gap, "incr 2 came and went unread")
	r.wantNumbers(t, 1, 3)
	wantBreak(t, r.readAll(t, f), Gap, "incr 2")

	must(t, f.Start())
	r = new(reading)
	if b := r.readAll(t, f); b != nil {
		t.Fatal(b)
	}
	r.wantNumbers(t, 7, 9)
	base := f.TakeBase()
	if base == nil || base.Before != 3 {
		t.Fatalf("base %+v, want the one before incr 3", base)
	}
	must(t, base.File.Close())
}

func TestNext_HistoryThatIsKept_ClosesTheGap(t *testing.T) {
	s := newSource(t)
	s.dir.SetKeepHistory(true)
	f := s.follow(Options{})
	r := new(reading)
	for range 3 {
		s.write(2)
		s.rewrite()
	}
	if b := r.readAll(t, f); b != nil {
		t.Fatal(b)
	}
	r.wantNumbers(t, 1, 6)
}

func TestLook_MoreFilesThanMayBeHeld_IsAGapAfterWhatIsHeld(t *testing.T) {
	s := newSource(t)
	f := s.follow(Options{MaxHeld: 3})
	r := new(reading)
	for range 5 {
		s.write(1)
		s.rewrite()
		must(t, f.Look())
	}
	wantBreak(t, r.readAll(t, f), Gap, "wait to be read")
	r.wantNumbers(t, 1, 3)
}

func TestNext_SourceChangedUnderUs_IsABreakWithItsReason(t *testing.T) {
	const incr = "/data/appendonlydir/appendonly.aof.1.incr.aof"
	for claim, c := range map[string]struct {
		change func(t *testing.T, s *source)
		reason Reason
		what   string
	}{
		"Truncated": {func(t *testing.T, s *source) {
			file, err := s.fs.OpenFile(incr, vfs.O_RDWR, 0)
			must(t, err)
			must(t, file.Truncate(40))
			must(t, file.Close())
		}, Truncated, "40 bytes, and 108 were read"},
		"OtherBytes": {func(t *testing.T, s *source) {
			file, err := s.fs.OpenFile(incr, vfs.O_RDWR, 0)
			must(t, err)
			_, err = file.Seek(80, io.SeekStart)
			must(t, err)
			_, err = file.Write([]byte("x"))
			must(t, err)
			must(t, file.Close())
		}, Replaced, "the bytes before 108"},
		"AnotherFile": {func(t *testing.T, s *source) {
			must(t, s.fs.Rename(incr, incr+".old"))
			copyFile(t, s.fs, incr+".old", incr)
		}, Replaced, "is gone"},
		"RestoredLog": {func(t *testing.T, s *source) {
			for _, name := range []string{"1.incr.aof", "manifest"} {
				must(t, s.fs.Remove("/data/appendonlydir/appendonly.aof."+name))
			}
			s.open()
			s.write(1)
		}, Replaced, ""},
		"NoManifest": {func(t *testing.T, s *source) {
			must(t, s.fs.Remove("/data/appendonlydir/appendonly.aof.manifest"))
		}, Replaced, "it is gone"},
		"TornThenFollowed": {func(t *testing.T, s *source) {
			s.append([]byte("*3\r\n$3\r\nSET"))
			s.rotate()
		}, Torn, "offset"},
		"Damaged": {func(t *testing.T, s *source) {
			s.append([]byte("*3\r\n$3\r\nSETTLE\r\n"))
		}, Damaged, "bulk string"},
	} {
		t.Run(claim, func(t *testing.T) {
			s := newSource(t)
			s.write(4)
			f := s.follow(Options{})
			r := new(reading)
			r.readOn(t, f)
			c.change(t, s)
			var b *Break
			for range 3 { // what is left of a file that is gone comes first
				if b = r.readAll(t, f); b != nil {
					break
				}
			}
			wantBreak(t, b, c.reason, c.what)
			r.wantNumbers(t, 1, 4)
		})
	}
}

func copyFile(t *testing.T, fsys vfs.FS, from, to string) {
	t.Helper()
	data, err := vfs.ReadFile(fsys, from)
	must(t, err)
	file, err := vfs.Create(fsys, to)
	must(t, err)
	_, err = file.Write(data)
	must(t, err)
	must(t, file.Close())
}

func TestStart_NothingToFollow_SaysWhatIsThere(t *testing.T) {
	fsys := vfs.NewMem()
	must(t, fsys.MkdirAll("/data", 0o755))
	f := New(fsys, "/data", Options{})
	if err := f.Start(); !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), "appendonly is off") {
		t.Errorf("got %v", err)
	}
	copyText(t, fsys, "/data/appendonly.aof", "*1\r\n$8\r\nFLUSHALL\r\n")
	if err := f.Start(); !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), "in one file") {
		t.Errorf("got %v", err)
	}
}

func copyText(t *testing.T, fsys vfs.FS, path, text string) {
	t.Helper()
	file, err := vfs.Create(fsys, path)
	must(t, err)
	_, err = io.WriteString(file, text)
	must(t, err)
	must(t, file.Close())
}

func TestStart_LogOfOneFile_IsTheBaseOnceItIsTakenOver(t *testing.T) {
	old := string(aof.AppendCommand(nil, "SET", "old", "1"))
	fsys := vfs.NewMem()
	must(t, fsys.MkdirAll("/data/appendonlydir", 0o755))
	copyText(t, fsys, "/data/appendonly.aof", old)
	f := New(fsys, "/data", Options{})
	defer f.Close()
	for _, moved := range []bool{false, true} {
		copyText(t, fsys, "/data/appendonlydir/appendonly.aof.manifest", "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n")
		copyText(t, fsys, "/data/appendonlydir/appendonly.aof.1.incr.aof", "")
		if moved {
			must(t, fsys.Rename("/data/appendonly.aof", "/data/appendonlydir/appendonly.aof"))
		}
		must(t, f.Start())
		base := f.TakeBase()
		if base == nil || base.Name != "appendonly.aof" || base.Before != 1 || base.Size != int64(len(old)) {
			t.Fatalf("moved %v: base %+v", moved, base)
		}
		must(t, base.File.Close())
	}
}

func TestResume_NothingMissing_GoesOnAtTheByte(t *testing.T) {
	s := newSource(t)
	s.append(aof.AppendCommand(nil, "SELECT", "5"))
	s.write(3)
	r := new(reading)
	f := s.follow(Options{})
	r.readOn(t, f)
	f.Close()
	s.write(2)
	s.rotate() // a rewrite that has not ended: both files are named
	s.write(2)
	f = s.follower(Options{})
	must(t, f.Resume(r.point()))
	if b := r.readAll(t, f); b != nil {
		t.Fatal(b)
	}
	r.wantNumbers(t, 1, 7)
	if base := f.TakeBase(); base != nil {
		t.Errorf("base %+v where there is none", base)
	}
	if at := f.CaughtUp(); !at.Equal(s.clock.Now()) {
		t.Errorf("caught up at %v", at)
	}
	f.Close()
	s.rewrite()
	s.write(1)
	s.dir.SetKeepHistory(true)
	if err := f.Resume(r.point()); err == nil {
		t.Error("resumed though the file that was being read is gone")
	} else {
		var b *Break
		errors.As(err, &b)
		wantBreak(t, b, Gap, "incr 2 is gone")
	}
}

func TestResume_SourceIsAnother_SaysWhy(t *testing.T) {
	for claim, c := range map[string]struct {
		change func(*Point)
		reason Reason
	}{
		"Inode":    {func(p *Point) { p.Inode++ }, Replaced},
		"Bytes":    {func(p *Point) { p.Prefix[3]++ }, Replaced},
		"Shorter":  {func(p *Point) { p.Offset++ }, Truncated},
		"EarlySeq": {func(p *Point) { p.Incr-- }, Gap},
		"LateSeq":  {func(p *Point) { p.Incr++ }, Replaced},
		"Base":     {func(p *Point) { p.Base, p.BaseInode = 2, 1 }, Replaced},
		"NoBase":   {func(p *Point) { p.BaseInode++ }, Replaced},
	} {
		t.Run(claim, func(t *testing.T) {
			s := newSource(t)
			s.rewrite()
			s.write(4)
			f := s.follow(Options{})
			r := new(reading)
			r.readOn(t, f)
			p := r.point()
			c.change(&p)
			var b *Break
			errors.As(f.Resume(p), &b)
			wantBreak(t, b, c.reason, "")
		})
	}
}

func TestResume_NewerBase_IsPendingAgain(t *testing.T) {
	s := newSource(t)
	s.rewrite()
	s.write(1)
	f := s.follow(Options{})
	r := new(reading)
	r.readOn(t, f)
	p := r.point()
	p.Base, p.BaseInode = 0, 0 // as if it had been read before that base
	must(t, f.Resume(p))
	base := f.TakeBase()
	if base == nil || base.Seq != 1 || base.Before != 2 {
		t.Fatalf("base %+v", base)
	}
	must(t, base.File.Close())
}
