package limpet_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"limpet"
	"limpet/aof"
	"limpet/rdb"
	"limpet/resp"
	"limpet/vfs"
)

// The traps of real Redis that its users fall into, one by one. The long form of
// trap D is in test/crash.

const (
	logDir   = home + "/appendonlydir"
	manifest = logDir + "/appendonly.aof.manifest"
	base1    = logDir + "/appendonly.aof.1.base.rdb"
	incr1    = logDir + "/appendonly.aof.1.incr.aof"
	incr2    = logDir + "/appendonly.aof.2.incr.aof"
)

// command is a request as the log holds it.
func command(words ...string) []byte {
	var args [][]byte
	for _, w := range words {
		args = append(args, []byte(w))
	}
	return resp.AppendCommand(nil, args...)
}

// put writes a file of a disk in memory.
func put(t *testing.T, fsys vfs.FS, path string, b []byte) {
	t.Helper()
	f, err := vfs.Create(fsys, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, fsys vfs.FS, path string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fsys, path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// counting is a disk with a store on it that has counted to three.
func counting(t *testing.T) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	db := open(t, home, limpet.Options{FS: mem})
	for range 3 {
		do(t, db, "INCR", "n")
	}
	closeDB(t, db)
	return mem
}

// wantRefused opens a disk twice; both times it must be refused with the same
// kind of error, and nothing may change.
func wantRefused[E error](t *testing.T, fsys vfs.FS) E {
	t.Helper()
	before := contents(t, fsys, home)
	var refusal E
	for range 2 { // Redis refuses once, and loads with a hole the second time
		db, err := limpet.Open(home, &limpet.Options{FS: fsys})
		if err == nil {
			_ = db.Close()
			t.Fatal("opened")
		}
		if !errors.As(err, &refusal) {
			t.Fatalf("want %T, got %v", refusal, err)
		}
		wantUnchanged(t, before, contents(t, fsys, home))
	}
	return refusal
}

func TestTrapA_TornLogBeforeTheLast_IsRefusedEachTime(t *testing.T) {
	mem := counting(t)
	log := read(t, mem, incr1)
	put(t, mem, incr1, log[:len(log)-3])
	put(t, mem, incr2, append(command("SELECT", "0"), command("INCR", "n")...))
	put(t, mem, manifest, append(read(t, mem, manifest), "file appendonly.aof.2.incr.aof seq 2 type i\n"...))
	hole := wantRefused[*aof.HoleError](t, mem)
	if hole.Torn.File != "appendonly.aof.1.incr.aof" || hole.Next != "appendonly.aof.2.incr.aof" || hole.Torn.CutAt >= int64(len(log)-3) {
		t.Errorf("it does not say where: %v", hole)
	}
}

func TestTrapB_ShortBase_IsDamageAndNotEmptiness(t *testing.T) {
	for _, length := range []int{0, 5, 9, 40, -1} {
		mem := counting(t)
		base := read(t, mem, base1)
		if length < 0 {
			length += len(base)
		}
		put(t, mem, base1, base[:length])
		before := contents(t, mem, home)
		if db, err := limpet.Open(home, &limpet.Options{FS: mem}); err == nil {
			_ = db.Close()
			t.Errorf("a base of %d bytes out of %d was taken", length, len(base))
		}
		wantUnchanged(t, before, contents(t, mem, home))
	}
}

func TestTrapC_LogsWithoutAManifest_AreNotAppendedTo(t *testing.T) {
	mem := counting(t)
	if err := mem.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	orphans := wantRefused[*aof.OrphanError](t, mem)
	if !slices.Contains(orphans.Files, filepath.Base(incr1)) {
		t.Errorf("it does not name them: %v", orphans)
	}
}

func TestTrapD_TornInsideMulti_IsCutBeforeIt(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, home, limpet.Options{FS: mem})
	const script = "if redis.call('SADD', 'pages', ARGV[1]) == 1 then redis.call('INCR', 'crawled') end"
	do(t, db, "EVAL", script, 0, "page 1")
	before := len(read(t, mem, incr1))
	do(t, db, "EVAL", script, 0, "page 2")
	closeDB(t, db)
	log := read(t, mem, incr1)
	if before == len(log) || !bytes.HasPrefix(log[before:], command("MULTI")) {
		before = bytes.LastIndex(log, command("MULTI"))
	}
	put(t, mem, incr1, log[:len(log)-3]) // all of it but the end of EXEC
	for range 3 {
		db := open(t, home, limpet.Options{FS: mem})
		do(t, db, "EVAL", script, 0, "page 2")
		if n, pages := do(t, db, "GET", "crawled").Text(), do(t, db, "SCARD", "pages").Int; n != "2" || pages != 2 {
			t.Fatalf("crawled is %s for %d pages", n, pages)
		}
		closeDB(t, db)
	}
	kept := 0
	for name, text := range contents(t, mem, home) {
		if strings.Contains(name, ".cut-") && text == string(log[before:len(log)-3]) {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("what was cut is kept in %d files, want 1", kept)
	}
}

// Redis names the successor of a log before the log is synced. Under no, the
// policy that syncs least, every operation on logs and manifest comes in this
// order, the new base and its manifest behind it.
func TestTrapE_Rewrite_SyncsTheOldLogBeforeItNamesTheNew(t *testing.T) {
	log := vfs.NewLog(vfs.NewMem())
	db := open(t, home, limpet.Options{FS: log, Fsync: limpet.No})
	log.Reset()
	do(t, db, "SET", "a", "1")
	do(t, db, "BGREWRITEAOF")
	eventually(t, func() bool {
		return strings.Contains(do(t, db, "INFO", "persistence").Text(), "aof_rewrites:1\r\n")
	})
	var got []string
	baseSynced := false
	for _, op := range log.Ops() {
		switch {
		case isTempBase(op.Path) && op.Kind == vfs.OpWrite:
			baseSynced = false
		case isTempBase(op.Path) && op.Kind == vfs.OpSync:
			baseSynced = true
		case isTempBase(op.Path) && op.Kind == vfs.OpRename && !baseSynced:
			t.Error("the new base gets its name before it is synced")
		}
		// The base is written while the logs change over.
		if op.Changes() && (!isTempBase(op.Path) || op.Kind == vfs.OpRename) {
			got = append(got, describe(op))
		}
	}
	want := strings.Split(strings.TrimSpace(goldenRewrite), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("operations:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const goldenRewrite = `
write appendonlydir/appendonly.aof.1.incr.aof
sync appendonlydir/appendonly.aof.1.incr.aof
create appendonlydir/appendonly.aof.2.incr.aof
sync appendonlydir/appendonly.aof.2.incr.aof
syncdir appendonlydir
create appendonlydir/temp-appendonly.aof.manifest
write appendonlydir/temp-appendonly.aof.manifest
sync appendonlydir/temp-appendonly.aof.manifest
rename appendonlydir/temp-appendonly.aof.manifest -> appendonlydir/appendonly.aof.manifest
syncdir appendonlydir
rename appendonlydir/temp-appendonly.aof.2.base -> appendonlydir/appendonly.aof.2.base.rdb
syncdir appendonlydir
create appendonlydir/temp-appendonly.aof.manifest
write appendonlydir/temp-appendonly.aof.manifest
sync appendonlydir/temp-appendonly.aof.manifest
rename appendonlydir/temp-appendonly.aof.manifest -> appendonlydir/appendonly.aof.manifest
syncdir appendonlydir
remove appendonlydir/appendonly.aof.1.base.rdb
remove appendonlydir/appendonly.aof.1.incr.aof
syncdir appendonlydir
create appendonlydir/temp-appendonly.aof.manifest
write appendonlydir/temp-appendonly.aof.manifest
sync appendonlydir/temp-appendonly.aof.manifest
rename appendonlydir/temp-appendonly.aof.manifest -> appendonlydir/appendonly.aof.manifest
syncdir appendonlydir
`

// isTempBase knows a base that has not got its name yet.
func isTempBase(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, "temp-appendonly.aof.") && strings.HasSuffix(name, ".base")
}

// describe is an operation without the parts of it that may change.
func describe(op vfs.Op) string {
	short := func(path string) string { return strings.TrimPrefix(path, home+"/") }
	if op.To != "" {
		return fmt.Sprintf("%s %s -> %s", op.Kind, short(op.Path), short(op.To))
	}
	return fmt.Sprintf("%s %s", op.Kind, short(op.Path))
}

func TestTrapF_ZerosBehindTheLog_AreATornTail(t *testing.T) {
	for _, zeros := range []int{1, 511, 4096, 70000} {
		mem := counting(t)
		log := read(t, mem, incr1)
		put(t, mem, incr1, append(slices.Clone(log), make([]byte, zeros)...))
		db := open(t, home, limpet.Options{FS: mem})
		if v := do(t, db, "INCR", "n"); v.Int != 4 {
			t.Errorf("%d zeros: counted on to %d, want 4", zeros, v.Int)
		}
		closeDB(t, db)
		if v := do(t, open(t, home, limpet.Options{FS: mem}), "GET", "n"); v.Text() != "4" {
			t.Errorf("%d zeros: after another start n is %s", zeros, v.Text())
		}
	}
}

func TestTrapG_OnlyADump_IsLoadedAndBecomesTheFirstBase(t *testing.T) {
	mem := counting(t)
	db := open(t, home, limpet.Options{FS: mem})
	do(t, db, "SAVE")
	closeDB(t, db)
	alone := vfs.NewMem()
	if err := alone.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, alone, home+"/dump.rdb", read(t, mem, home+"/dump.rdb"))
	var said bytes.Buffer
	db = open(t, home, limpet.Options{FS: alone, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if v := do(t, db, "INCR", "n"); v.Int != 4 {
		t.Fatalf("n counts on to %d: the dump was not loaded", v.Int)
	}
	if !strings.Contains(said.String(), "dump.rdb") {
		t.Errorf("it does not say so:\n%s", said.String())
	}
	closeDB(t, db)
	if err := alone.Remove(home + "/dump.rdb"); err != nil {
		t.Fatal(err)
	}
	if v := do(t, open(t, home, limpet.Options{FS: alone}), "GET", "n"); v.Text() != "4" {
		t.Errorf("without the dump n is %q: it had not become the base", v.Text())
	}
}

func TestTrapG_ADumpBesideALog_IsNotLoaded(t *testing.T) {
	mem := counting(t)
	db := open(t, home, limpet.Options{FS: mem})
	do(t, db, "SAVE")
	do(t, db, "FLUSHALL")
	closeDB(t, db)
	if v := do(t, open(t, home, limpet.Options{FS: mem}), "EXISTS", "n"); v.Int != 0 {
		t.Error("an old dump came back over a log that says otherwise")
	}
}

// Redis overwrites dump.rdb with nothing at once. Here it stays what a careless
// FLUSHALL is taken back with, until the next save point.
func TestTrapH_FlushAll_LeavesTheDumpAlone(t *testing.T) {
	mem := vfs.NewMem()
	o := limpet.Options{FS: mem, NoAppendOnly: true, SavePoints: []limpet.SavePoint{{After: time.Hour, Changes: 1}}}
	db := open(t, home, o)
	do(t, db, "SET", "n", "3")
	do(t, db, "SAVE")
	do(t, db, "FLUSHALL")
	before := read(t, mem, home+"/dump.rdb")
	killed := vfs.NewMem() // the machine loses its power here
	if err := killed.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, killed, home+"/dump.rdb", before)
	o.FS = killed
	if v := do(t, open(t, home, o), "GET", "n"); v.Text() != "3" {
		t.Errorf("n is %q: the dump was overwritten", v.Text())
	}
}

func TestTrapI_OwnTemporaryFiles_GoAtTheNextStart_OthersAreReported(t *testing.T) {
	mem := counting(t)
	own := []string{logDir + "/temp-appendonly.aof.1.base", logDir + "/temp-appendonly.aof.17.base", logDir + "/temp-appendonly.aof.manifest", home + "/temp-appendonly.aof.rdb"}
	others := []string{home + "/temp-rewriteaof-815.aof", home + "/temp-rewriteaof-bg-815.aof", home + "/temp-815.rdb", home + "/mine.txt"}
	for _, name := range append(slices.Clone(own), others...) {
		put(t, mem, name, []byte("x"))
	}
	var said bytes.Buffer
	open(t, home, limpet.Options{FS: mem, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	for _, name := range own {
		if _, err := mem.Stat(name); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range others {
		if _, err := mem.Stat(name); err != nil {
			t.Errorf("%s was not ours to remove", name)
		}
		if !strings.HasSuffix(name, ".txt") && !strings.Contains(said.String(), name) {
			t.Errorf("%s is not reported:\n%s", name, said.String())
		}
	}
}

func TestTrapJ_FilesOfANewerRedis_AreRefusedAsSuch(t *testing.T) {
	mem := counting(t)
	put(t, mem, base1, append([]byte("REDIS0099"), read(t, mem, base1)[9:]...))
	before := contents(t, mem, home)
	db, err := limpet.Open(home, &limpet.Options{FS: mem})
	if err == nil {
		_ = db.Close()
		t.Fatal("opened")
	}
	if !errors.Is(err, rdb.ErrNewer) {
		t.Errorf("got %v", err)
	}
	wantUnchanged(t, before, contents(t, mem, home))
}
