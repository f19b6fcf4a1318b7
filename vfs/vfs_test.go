package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestFS_EveryImplementation_BehavesAsTheSystemDoes runs one suite over all
// file systems; the machine's own is the measure.
func TestFS_EveryImplementation_BehavesAsTheSystemDoes(t *testing.T) {
	harmless := func(Op) Fault { return Fault{} }
	for name, open := range map[string]func(t *testing.T) (FS, string){
		"os":     func(t *testing.T) (FS, string) { return OS(), t.TempDir() },
		"mem":    func(*testing.T) (FS, string) { return NewMem(), "/" },
		"crash":  func(*testing.T) (FS, string) { return NewCrash(), "." },
		"faulty": func(t *testing.T) (FS, string) { return NewFaulty(OS(), harmless), t.TempDir() },
		"log":    func(*testing.T) (FS, string) { return NewLog(NewMem()), "" },
	} {
		for claim, test := range map[string]func(t *testing.T, fsys FS, dir string){
			"FilesReadBackWhatWasWritten":     testReadWrite,
			"AppendGoesToTheEnd":              testAppend,
			"TruncateCutsAndGrowsWithZeros":   testTruncate,
			"OpenFlagsAreObeyed":              testFlags,
			"RenameReplacesAndRemoveUnlinks":  testRename,
			"LinkIsASecondName":               testLink,
			"DirectoriesListTheirNames":       testDirs,
			"LockIsForOneAtATime":             testLock,
			"ReplaceLeavesOnlyTheNewContent":  testReplace,
			"AClosedFileIsClosed":             testClosed,
			"AnOpenFileOutlivesItsLastUnlink": testUnlinkedOpen,
			"AnInodeIsAFileAndNotAName":       testInode,
		} {
			t.Run(name+"/"+claim, func(t *testing.T) {
				fsys, dir := open(t)
				test(t, fsys, dir)
			})
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, fsys FS, name, text string) {
	t.Helper()
	f, err := Create(fsys, name)
	must(t, err)
	_, err = f.Write([]byte(text))
	must(t, err)
	must(t, f.Close())
}

func wantContent(t *testing.T, fsys FS, name, want string) {
	t.Helper()
	got, err := ReadFile(fsys, name)
	must(t, err)
	if string(got) != want {
		t.Fatalf("%s holds %q, want %q", name, got, want)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func testInode(t *testing.T, fsys FS, dir string) {
	name := filepath.Join(dir, "f")
	inode := func(name string) uint64 {
		info, err := fsys.Stat(name)
		must(t, err)
		return Inode(info)
	}
	put(t, fsys, name, "one")
	one := inode(name)
	open, err := Open(fsys, name)
	must(t, err)
	defer func() { must(t, open.Close()) }()
	must(t, fsys.Rename(name, name+".old"))
	put(t, fsys, name, "two")
	info, err := open.Stat()
	must(t, err)
	if one == 0 || inode(name+".old") != one || Inode(info) != one || inode(name) == one {
		t.Fatalf("was %d; renamed %d, open %d, another file under the name %d", one, inode(name+".old"), Inode(info), inode(name))
	}
}

func testReadWrite(t *testing.T, fsys FS, dir string) {
	name := filepath.Join(dir, "f")
	f, err := Create(fsys, name)
	must(t, err)
	n, err := f.Write([]byte("hello world"))
	must(t, err)
	if n != 11 || f.Name() != name {
		t.Fatalf("wrote %d to %s", n, f.Name())
	}
	_, err = f.Seek(6, io.SeekStart)
	must(t, err)
	_, err = f.Write([]byte("there"))
	must(t, err)
	must(t, f.Sync())
	_, err = f.Seek(-5, io.SeekEnd)
	must(t, err)
	rest, err := io.ReadAll(f)
	must(t, err)
	if string(rest) != "there" {
		t.Fatalf("read %q", rest)
	}
	buf := make([]byte, 8)
	if n, err := f.ReadAt(buf, 6); n != 5 || err != io.EOF {
		t.Fatalf("ReadAt past the end: %d %v", n, err)
	}
	if n, err := f.ReadAt(buf[:5], 0); n != 5 || err != nil {
		t.Fatalf("ReadAt: %d %v", n, err)
	}
	info, err := f.Stat()
	must(t, err)
	if info.Size() != 11 || info.Name() != "f" || info.IsDir() {
		t.Fatalf("stat: %v %v", info.Name(), info.Size())
	}
	must(t, f.Close())
	wantContent(t, fsys, name, "hello there")
}

func testAppend(t *testing.T, fsys FS, dir string) {
	name := filepath.Join(dir, "f")
	put(t, fsys, name, "one")
	f, err := fsys.OpenFile(name, O_WRONLY|O_APPEND, 0)
	must(t, err)
	_, err = f.Seek(0, io.SeekStart)
	must(t, err)
	_, err = f.Write([]byte("two"))
	must(t, err)
	must(t, f.Close())
	wantContent(t, fsys, name, "onetwo")
}

func testTruncate(t *testing.T, fsys FS, dir string) {
	name := filepath.Join(dir, "f")
	put(t, fsys, name, "abcdef")
	f, err := fsys.OpenFile(name, O_RDWR, 0)
	must(t, err)
	must(t, f.Truncate(2))
	must(t, f.Truncate(4))
	must(t, f.Close())
	wantContent(t, fsys, name, "ab\x00\x00")
}

func testFlags(t *testing.T, fsys FS, dir string) {
	name := filepath.Join(dir, "f")
	_, err := Open(fsys, name)
	wantErr(t, err, fs.ErrNotExist)
	_, err = Create(fsys, filepath.Join(dir, "no", "f"))
	wantErr(t, err, fs.ErrNotExist)
	put(t, fsys, name, "abc")
	_, err = fsys.OpenFile(name, O_WRONLY|O_CREATE|O_EXCL, 0o644)
	wantErr(t, err, fs.ErrExist)
	_, err = Create(fsys, filepath.Join(name, "below"))
	if err == nil {
		t.Fatal("a file was taken for a directory")
	}
	f, err := Open(fsys, name)
	must(t, err)
	if _, err := f.Write([]byte("x")); err == nil {
		t.Fatal("wrote to a file opened for reading")
	}
	must(t, f.Close())
	f, err = fsys.OpenFile(name, O_WRONLY, 0)
	must(t, err)
	if _, err := f.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Fatalf("read from a file opened for writing: %v", err)
	}
	must(t, f.Close())
	put(t, fsys, name, "")
	wantContent(t, fsys, name, "")
}

func testRename(t *testing.T, fsys FS, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "sub", "b")
	must(t, fsys.Mkdir(filepath.Join(dir, "sub"), 0o755))
	put(t, fsys, a, "new")
	put(t, fsys, b, "old")
	must(t, fsys.Rename(a, b))
	wantContent(t, fsys, b, "new")
	_, err := fsys.Stat(a)
	wantErr(t, err, fs.ErrNotExist)
	wantErr(t, fsys.Rename(a, b), fs.ErrNotExist)
	must(t, fsys.Remove(b))
	wantErr(t, fsys.Remove(b), fs.ErrNotExist)
}

func testLink(t *testing.T, fsys FS, dir string) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	put(t, fsys, a, "same")
	must(t, fsys.Link(a, b))
	wantErr(t, fsys.Link(a, b), fs.ErrExist)
	must(t, fsys.Remove(a))
	wantContent(t, fsys, b, "same")
	wantErr(t, fsys.Link(a, b), fs.ErrNotExist)
}

func testDirs(t *testing.T, fsys FS, dir string) {
	deep := filepath.Join(dir, "x", "y")
	must(t, fsys.MkdirAll(deep, 0o755))
	must(t, fsys.MkdirAll(deep, 0o755))
	wantErr(t, fsys.Mkdir(deep, 0o755), fs.ErrExist)
	put(t, fsys, filepath.Join(deep, "2"), "")
	put(t, fsys, filepath.Join(deep, "1"), "")
	must(t, fsys.SyncDir(deep))
	wantErr(t, fsys.SyncDir(filepath.Join(dir, "none")), fs.ErrNotExist)
	list, err := fsys.ReadDir(deep)
	must(t, err)
	if len(list) != 2 || list[0].Name() != "1" || list[1].Name() != "2" {
		t.Fatalf("listed %v", list)
	}
	if err := fsys.Remove(deep); err == nil {
		t.Fatal("removed a directory that is not empty")
	}
	info, err := fsys.Stat(deep)
	must(t, err)
	if !info.IsDir() {
		t.Fatal("not a directory")
	}
	if err := fsys.MkdirAll(filepath.Join(deep, "1", "z"), 0o755); err == nil {
		t.Fatal("made a directory below a file")
	}
	if err := fsys.Rename(filepath.Join(dir, "x"), filepath.Join(deep, "z")); err == nil {
		t.Fatal("moved a directory into itself")
	}
}

func testLock(t *testing.T, fsys FS, dir string) {
	name := filepath.Join(dir, "lock")
	held, err := fsys.Lock(name)
	must(t, err)
	_, err = fsys.Lock(name)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("second lock: %v", err)
	}
	must(t, held.Close())
	held, err = fsys.Lock(name)
	must(t, err)
	must(t, held.Close())
	if _, err = fsys.Lock(filepath.Join(dir, "none", "lock")); err == nil {
		t.Fatal("locked a path in no directory")
	}
}

func testReplace(t *testing.T, fsys FS, dir string) {
	name, temp := filepath.Join(dir, "f"), filepath.Join(dir, "temp-f")
	put(t, fsys, name, "a much longer old content")
	put(t, fsys, temp, "left by a crash")
	must(t, Replace(fsys, name, temp, []byte("new")))
	wantContent(t, fsys, name, "new")
	_, err := fsys.Stat(temp)
	wantErr(t, err, fs.ErrNotExist)
	must(t, SyncFile(fsys, name))
}

func testClosed(t *testing.T, fsys FS, dir string) {
	f, err := Create(fsys, filepath.Join(dir, "f"))
	must(t, err)
	must(t, f.Close())
	_, err = f.Write([]byte("x"))
	wantErr(t, err, fs.ErrClosed)
	_, err = f.Stat()
	wantErr(t, err, fs.ErrClosed)
	wantErr(t, f.Sync(), fs.ErrClosed)
	wantErr(t, f.Close(), fs.ErrClosed)
}

func testUnlinkedOpen(t *testing.T, fsys FS, dir string) {
	name := filepath.Join(dir, "f")
	put(t, fsys, name, "still here")
	f, err := Open(fsys, name)
	must(t, err)
	must(t, fsys.Remove(name))
	got, err := io.ReadAll(f)
	must(t, err)
	if string(got) != "still here" {
		t.Fatalf("read %q", got)
	}
	must(t, f.Close())
}

// lockHelper is set in the child of the test below.
const lockHelper = "LIMPET_TEST_LOCK_HELPER"

func TestOS_Lock_NamesTheOtherProcessAndEndsWithIt(t *testing.T) {
	if name := os.Getenv(lockHelper); name != "" {
		if _, err := OS().Lock(name); err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("locked\n")
		_, _ = io.ReadAll(os.Stdin) // until it is killed
		return
	}
	name := filepath.Join(t.TempDir(), "lock")
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), lockHelper+"="+name)
	stdin, err := child.StdinPipe()
	must(t, err)
	defer func() { _ = stdin.Close() }()
	stdout, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	_, err = io.ReadFull(stdout, make([]byte, len("locked\n")))
	must(t, err)

	_, err = OS().Lock(name)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != child.Process.Pid {
		t.Errorf("want the lock held by %d, got %v", child.Process.Pid, err)
	}
	must(t, child.Process.Kill())
	_ = child.Wait()
	held, err := OS().Lock(name)
	must(t, err)
	must(t, held.Close())
}

func TestLog_ShowsTheOrderOfReplace(t *testing.T) {
	l := NewLog(NewMem())
	must(t, Replace(l, "d", "temp-d", []byte("12345")))
	const want = "create temp-d\nwrite temp-d 5\nsync temp-d\nrename temp-d -> d\nsyncdir .\n"
	if l.String() != want {
		t.Errorf("got:\n%swant:\n%s", l, want)
	}
	l.Reset()
	if len(l.Ops()) != 0 {
		t.Error("Reset forgot nothing")
	}
}

func TestOp_ChangesAreWhatALogShows(t *testing.T) {
	reads := []OpKind{OpOpen, OpRead, OpReadDir, OpStat, OpLock}
	for _, k := range []OpKind{OpOpen, OpCreate, OpRead, OpWrite, OpTruncate, OpSync, OpRename, OpLink, OpRemove, OpMkdir, OpSyncDir, OpReadDir, OpStat, OpLock} {
		if (Op{Kind: k}).Changes() == slices.Contains(reads, k) {
			t.Errorf("%s: Changes() is wrong", k)
		}
	}
}
