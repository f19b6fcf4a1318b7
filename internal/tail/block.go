package tail

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"limpet/aof"
	"limpet/vfs"
)

// lastBytes is how many of the bytes read last are read again each time, to see
// whether they have changed under us.
const lastBytes = 256

// Block is a run of whole commands, outside MULTI at both ends, as they stand in
// one incr file.
type Block struct {
	Base       aof.Seq // newest known when it was read; 0 is none
	BaseInode  uint64
	Incr       aof.Seq
	Name       string // of the incr file
	Inode      uint64
	Start, End int64             // in the incr file
	DB, EndDB  int               // selected at Start and at End
	Prefix     [sha256.Size]byte // of the incr file up to End
	Commands   int               // MULTI and EXEC included
	// ReadAt is when every command was there, and Since when none was: the latest
	// reading before that had come to the end; zero when there was none.
	Since, ReadAt time.Time
	// FirstTS and LastTS are the times that #TS annotations in the block give its
	// first and its last command, zero where none does.
	FirstTS, LastTS time.Time
	Data            []byte
}

// Next gives the next block. It ends with io.EOF where everything that is there
// has been read, which more may follow, and with a *Break where what follows
// cannot be joined; other errors are the file system's and may pass.
func (f *Follower) Next() (*Block, error) {
	if f.broken != nil {
		return nil, f.broken
	}
	for {
		// A file that has a successor before it is read is complete.
		if err := f.Look(); err != nil {
			return nil, err
		}
		before := f.o.Clock.Now()
		in, complete := f.current()
		if in == nil {
			return nil, fmt.Errorf("tail: %s: not started", f.dir())
		}
		b, err := f.read(in)
		switch {
		case b != nil:
			return b, nil
		case errors.Is(err, aof.ErrTruncated) && !complete, err == io.EOF && !complete:
			if err = f.stillThere(in); err == io.EOF {
				f.caughtUp = before
			}
			return nil, err
		case err == io.EOF && f.release(in):
			continue
		case err == io.EOF:
			return nil, f.give(f.stop)
		case errors.Is(err, aof.ErrTruncated):
			return nil, f.giveOr(in, &Break{Reason: Torn, File: in.Name, What: err.Error(), Err: err})
		case errors.Is(err, aof.ErrDamaged):
			return nil, f.give(&Break{Reason: Damaged, File: in.Name, What: err.Error(), Err: err})
		}
		var broken *Break
		if errors.As(err, &broken) {
			return nil, f.give(broken)
		}
		return nil, err
	}
}

// current is the file to read, and whether nothing can be added to it any more.
func (f *Follower) current() (in *incrFile, complete bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.incrs) == 0 {
		return nil, false
	}
	return f.incrs[0], len(f.incrs) > 1 || f.stop != nil
}

// release goes on to the next file, if there is one.
func (f *Follower) release(in *incrFile) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.incrs) < 2 {
		return false
	}
	_ = in.file.Close()
	f.incrs = f.incrs[1:]
	return true
}

func (f *Follower) give(b *Break) error {
	f.broken = b
	return b
}

// giveOr tells a torn end of a file that another follows from one that a server
// left which is gone with its directory.
func (f *Follower) giveOr(in *incrFile, torn *Break) error {
	f.mu.Lock()
	followed, stop := len(f.incrs) > 1, f.stop
	f.mu.Unlock()
	if !followed && stop != nil {
		return f.give(stop)
	}
	return f.give(torn)
}

// stillThere is io.EOF when the file being read is still the one of its name.
// Where the name is gone or another's, the manifest will say why at the next
// look, or else that is a Break.
func (f *Follower) stillThere(in *incrFile) error {
	info, err := f.fs.Stat(in.path)
	switch {
	case err == nil && vfs.Inode(info) == in.inode:
		return io.EOF
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := f.Look(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.incrs) < 2 && f.stop == nil {
		f.stop = &Break{Reason: Replaced, File: in.Name, What: "the file that was being read is gone, and the manifest still names it"}
	}
	return io.EOF // what is left of it comes first
}

// read makes a block of what is behind the offset. Without a whole command
// there, the error says what is: io.EOF for nothing.
func (f *Follower) read(in *incrFile) (*Block, error) {
	info, err := in.file.Stat()
	if err != nil {
		return nil, err
	}
	now, size := f.o.Clock.Now(), info.Size()
	if size < in.offset {
		return nil, &Break{Reason: Truncated, File: in.Name, What: fmt.Sprintf("%d bytes, and %d were read", size, in.offset)}
	}
	if err := in.unchanged(); err != nil {
		return nil, err
	}
	if size == in.offset {
		return nil, io.EOF
	}
	r := aof.NewReader(io.NewSectionReader(in.file, 0, size), in.Name, in.offset)
	r.Continue(in.db, time.Time{})
	b := &Block{Incr: in.Seq, Name: in.Name, Inode: in.inode, Start: in.offset, DB: in.db, Since: f.caughtUp, ReadAt: now}
	for r.CutAt()-in.offset < f.o.MaxBlock {
		u, err := r.NextUnit()
		if err != nil && b.Commands == 0 {
			return nil, err
		}
		if err != nil {
			break // told again when it is all that is left
		}
		if b.Commands == 0 {
			b.FirstTS = r.Time()
		}
		b.LastTS = r.Time()
		b.Commands += len(u.Commands)
		if u.Multi {
			b.Commands += 2
		}
		if f.o.Inspect != nil {
			f.o.Inspect(u, r.Time())
		}
	}
	b.End, b.EndDB = r.CutAt(), r.DB()
	b.Data = make([]byte, b.End-b.Start)
	if n, err := in.file.ReadAt(b.Data, b.Start); n < len(b.Data) {
		if errors.Is(err, io.EOF) {
			err = &Break{Reason: Truncated, File: in.Name, What: fmt.Sprintf("it shrank to %d bytes while it was read", b.Start+int64(n))}
		}
		return nil, err
	}
	_, _ = in.prefix.Write(b.Data)
	copy(b.Prefix[:], in.prefix.Sum(nil))
	in.last = append(in.last, b.Data[max(0, len(b.Data)-lastBytes):]...)
	in.last = in.last[max(0, len(in.last)-lastBytes):]
	in.db = b.EndDB
	f.mu.Lock()
	in.offset = b.End
	b.Base, b.BaseInode = f.base.seq, f.base.inode
	f.mu.Unlock()
	return b, nil
}

// unchanged looks at the bytes that were read last.
func (in *incrFile) unchanged() error {
	have := make([]byte, len(in.last))
	_, err := in.file.ReadAt(have, in.offset-int64(len(have)))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(have, in.last) {
		return &Break{Reason: Replaced, File: in.Name, What: fmt.Sprintf("the bytes before %d, which were read, are others now", in.offset)}
	}
	return nil
}
