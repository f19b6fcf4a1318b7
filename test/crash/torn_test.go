package crash

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"limpet"
	"limpet/internal/testredis"
	"limpet/resp"
	"limpet/vfs"
)

// completeScript counts a page once, however often it is completed: the shape of
// every script that keeps count.
const completeScript = `
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return redis.call('GET', KEYS[3]) end
redis.call('HSET', KEYS[2], ARGV[1], 'crawled')
return redis.call('INCR', KEYS[3])`

// complete counts a page.
func complete(t *testing.T, p peer, page int) {
	t.Helper()
	must(t, p, "EVAL", completeScript, "3", "pages", "states", "crawled", "page:"+strconv.Itoa(page))
}

// counted gives the counter and what it counts.
func counted(t *testing.T, p peer) (counter, pages, states int64) {
	t.Helper()
	n, err := strconv.ParseInt(must(t, p, "GET", "crawled").Text(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n, must(t, p, "SCARD", "pages").Int, must(t, p, "HLEN", "states").Int
}

// incrName is the log of a store that was never rewritten.
const incrName = "appendonly.aof.1.incr.aof"

// tenPages makes a directory in which ten pages were completed, and says where
// the last transaction begins in its log.
func tenPages(t *testing.T) (dir string, log []byte, last int) {
	t.Helper()
	dir = t.TempDir()
	db := open(t, dir, limpet.Options{Fsync: limpet.Always})
	s := session(db)
	for page := range 10 {
		complete(t, s, page)
	}
	closeDB(t, db)
	log, err := os.ReadFile(filepath.Join(dir, "appendonlydir", incrName))
	if err != nil {
		t.Fatal(err)
	}
	last = bytes.LastIndex(log, resp.AppendCommand(nil, []byte("MULTI")))
	if last < 0 || !bytes.HasSuffix(log, resp.AppendCommand(nil, []byte("EXEC"))) {
		t.Fatalf("the script's effects are not one transaction: %q", log)
	}
	return dir, log, last
}

// copyTorn copies a data directory to a disk, with another log.
func copyTorn(t *testing.T, disk vfs.FS, to, dir string, log []byte) {
	t.Helper()
	in := filepath.Join(to, "appendonlydir")
	if err := disk.MkdirAll(in, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, disk, filepath.Join(in, incrName), log)
	for _, name := range []string{"appendonly.aof.1.base.rdb", "appendonly.aof.manifest"} {
		b, err := os.ReadFile(filepath.Join(dir, "appendonlydir", name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, disk, filepath.Join(in, name), b)
	}
}

// put writes a file.
func put(t *testing.T, disk vfs.FS, path string, b []byte) {
	t.Helper()
	f, err := vfs.Create(disk, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, disk vfs.FS, path string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(disk, path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Trap D of the on-disk rules: the log ends inside a MULTI, at any of its bytes;
// restart, complete the page again, restart.
func TestTorn_EveryByteOfTheLastTransaction_CountsStayExact(t *testing.T) {
	dir, log, last := tenPages(t)
	for cut := last; cut <= len(log); cut++ {
		disk := vfs.NewMem()
		copyTorn(t, disk, home, dir, log[:cut])
		for restart := range 3 {
			db := open(t, home, limpet.Options{FS: disk, Fsync: limpet.Always})
			s := session(db)
			if restart == 0 {
				want := int64(9)
				if cut == len(log) {
					want = 10
				}
				if counter, pages, states := counted(t, s); counter != want || pages != want || states != want {
					t.Fatalf("cut at %d: counter %d, %d pages, %d states, want %d of each", cut, counter, pages, states, want)
				}
				complete(t, s, 9) // its worker tries again
				complete(t, s, 9) // and once more, since the first reply was lost
			}
			if counter, pages, states := counted(t, s); counter != 10 || pages != 10 || states != 10 {
				t.Fatalf("cut at %d, restart %d: counter %d, %d pages, %d states, want 10 of each", cut, restart, counter, pages, states)
			}
			closeDB(t, db)
		}
		if cut > last && cut < len(log) {
			wantKept(t, disk, log[last:cut])
		}
	}
}

// wantKept checks that what was cut off lies in one file beside the log.
func wantKept(t *testing.T, disk vfs.FS, bytesCut []byte) {
	t.Helper()
	entries, err := disk.ReadDir(filepath.Join(home, "appendonlydir"))
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, e := range entries {
		if ok, _ := filepath.Match(incrName+".cut-*", e.Name()); !ok {
			continue
		}
		kept++
		if b, err := vfs.ReadFile(disk, filepath.Join(home, "appendonlydir", e.Name())); err != nil || !bytes.Equal(b, bytesCut) {
			t.Errorf("kept %q, want %q (%v)", b, bytesCut, err)
		}
	}
	if kept != 1 {
		t.Errorf("%d files of what was cut off, want 1", kept)
	}
}

// Why the test above is not an idle one: redis-server 7.0.15, given the same
// files, the same script and the same restarts, counts a page twice.
func TestTorn_RealRedis_CountsAPageTwice(t *testing.T) {
	dir, log, last := tenPages(t)
	// Whole commands of the open MULTI are left: MULTI SADD HSET INCR without EXEC.
	cut := bytes.LastIndex(log, resp.AppendCommand(nil, []byte("EXEC"))) + 3
	if cut < last {
		t.Fatal("no EXEC in the last transaction")
	}
	torn := t.TempDir()
	copyTorn(t, vfs.OS(), torn, dir, log[:cut])
	o := testredis.Options{Dir: torn, Args: []string{"--appendonly", "yes", "--appendfsync", "always"}}
	server := testredis.Start(t, o)
	redis := dial(t, server.Addr())
	if counter, pages, _ := counted(t, redis); counter != 9 || pages != 9 {
		t.Fatalf("after the first start: counter %d, %d pages", counter, pages)
	}
	complete(t, redis, 9)
	server.Stop()
	server = testredis.Start(t, o)
	counter, pages, _ := counted(t, dial(t, server.Addr()))
	if pages != 10 || counter != 11 {
		t.Errorf("counter %d for %d pages: this redis-server is not the one that trap D was found in", counter, pages)
	}

	// The same directory in our hands first: then the real one counts right too.
	torn = t.TempDir()
	copyTorn(t, vfs.OS(), torn, dir, log[:cut])
	db := open(t, torn, limpet.Options{Fsync: limpet.Always})
	complete(t, session(db), 9)
	closeDB(t, db)
	server = testredis.Start(t, testredis.Options{Dir: torn, Args: o.Args})
	if counter, pages, states := counted(t, dial(t, server.Addr())); counter != 10 || pages != 10 || states != 10 {
		t.Errorf("a real server over what we have mended: counter %d, %d pages, %d states", counter, pages, states)
	}
}
