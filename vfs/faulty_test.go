package vfs

import (
	"io"
	"syscall"
	"testing"
)

func TestFaulty_ShortWrite_LetsOnlyTheFirstBytesThrough(t *testing.T) {
	mem := NewMem()
	fsys := NewFaulty(mem, func(op Op) Fault {
		if op.Kind == OpWrite && op.Size == 10 {
			return Fault{Short: 4, Err: syscall.ENOSPC}
		}
		if op.Kind == OpWrite && op.Size == 3 {
			return Fault{Short: 1}
		}
		return Fault{}
	})
	f, err := Create(fsys, "f")
	must(t, err)
	n, err := f.Write([]byte("0123456789"))
	wantErr(t, err, syscall.ENOSPC)
	if n != 4 {
		t.Errorf("wrote %d bytes, want 4", n)
	}
	n, err = f.Write([]byte("abc"))
	wantErr(t, err, io.ErrShortWrite)
	if n != 1 {
		t.Errorf("wrote %d bytes, want 1", n)
	}
	wantContent(t, mem, "f", "0123a")
}

func TestFaulty_EveryKindOfOperation_CanFail(t *testing.T) {
	for _, kind := range []OpKind{OpOpen, OpCreate, OpRead, OpWrite, OpTruncate, OpSync, OpRename, OpLink, OpRemove, OpMkdir, OpSyncDir, OpReadDir, OpStat, OpLock} {
		mem := NewMem()
		put(t, mem, "f", "content")
		hit := 0
		fsys := NewFaulty(mem, func(op Op) Fault {
			if op.Kind == kind {
				hit++
				return Fault{Err: syscall.EIO}
			}
			return Fault{}
		})
		failed := 0
		note := func(err error) {
			if err != nil {
				failed++
				wantErr(t, err, syscall.EIO)
			}
		}
		everyOperation(fsys, mem, note)
		if hit == 0 || hit != failed {
			t.Errorf("%s: rule matched %d times, %d errors", kind, hit, failed)
		}
	}
}

func everyOperation(fsys, inner FS, note func(error)) {
	f, err := fsys.OpenFile("f", O_RDWR, 0)
	note(err)
	if err == nil {
		_, err = f.Read(make([]byte, 1))
		note(err)
		_, err = f.ReadAt(make([]byte, 1), 0)
		note(err)
		_, err = f.Write([]byte("x"))
		note(err)
		_, err = f.Stat()
		note(err)
		note(f.Truncate(3))
		note(f.Sync())
		note(f.Close())
	}
	created, err := Create(fsys, "g")
	note(err)
	if err == nil {
		note(created.Close())
	}
	emptied, err := Create(fsys, "f")
	note(err)
	if err == nil {
		note(emptied.Close())
	}
	note(fsys.Link("f", "h"))
	note(fsys.Rename("f", "i"))
	for _, name := range []string{"f", "i"} { // f is there when the rename failed
		if _, err := inner.Stat(name); err == nil {
			note(fsys.Remove(name))
			break
		}
	}
	note(fsys.Mkdir("d", 0o755))
	note(fsys.SyncDir("/"))
	_, err = fsys.ReadDir("/")
	note(err)
	_, err = fsys.Stat("/")
	note(err)
	_, err = fsys.Lock("lock")
	note(err)
}

func TestFaulty_Until_HoldsTheOperationBack(t *testing.T) {
	release, reached := make(chan struct{}), make(chan struct{})
	fsys := NewFaulty(NewMem(), func(op Op) Fault {
		if op.Kind == OpSync {
			close(reached)
			return Fault{Until: release}
		}
		return Fault{}
	})
	f, err := Create(fsys, "f")
	must(t, err)
	done := make(chan error)
	go func() { done <- f.Sync() }()
	<-reached
	select {
	case err := <-done:
		t.Fatalf("the sync did not wait: %v", err)
	default:
	}
	_, err = f.Write([]byte("others go on"))
	must(t, err)
	close(release)
	must(t, <-done)
}
