package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"limpet/internal/testredis"
)

// appendOnly is what a redis-server is told that takes over a data directory.
var appendOnly = []string{"--appendonly", "yes"}

func TestHandOver_ToARedisServerAndBack(t *testing.T) {
	dir := t.TempDir()
	web := serve(t, pythonDocs)
	flags := reaching(web)

	// Limpet crawls.
	s := up(t, append(flags, "--dir", dir)...)
	s.crawl()
	first := s.account()
	s.stopped()

	// A redis-server has the same numbers, and Limpet goes on upon it.
	store := testredis.Start(t, testredis.Options{Dir: dir, Args: appendOnly})
	wantContract(t, store.Client(), first.Progress)
	s = up(t, append(flags, "--store", "redis://"+store.Addr())...)
	s.account().want(t, first)
	s.must("submit", "test.com", "--recrawl")
	s.awaitCompleted()
	s.account().want(t, first)
	s.stopped()
	generation := store.Do("HGET", "fcrawler:seed:test.com:m", "gen")
	if generation != "2" {
		t.Errorf("generation %v, want the second", generation)
	}
	store.Do("SET", "theirs", "kept")
	store.Stop()

	// And back: what the redis-server wrote is Limpet's again.
	s = up(t, append(flags, "--dir", dir)...)
	s.account().want(t, first)
	wantContract(t, dial(t, s.store), first.Progress)
	if got := ask(t, s.store, "GET theirs"); got != "$4\r\nkept\r\n" {
		t.Errorf("a key of the redis-server's time answers %q", got)
	}
	s.must("submit", "test.com", "--recrawl")
	s.awaitCompleted()
	s.account().want(t, first)
	s.stopped()
}

// A crawl moves in the middle, both ways, and each side takes over what the other
// was killed with. A crashed redis-server rewrites its log meanwhile.
func TestHandOver_InTheMiddleOfACrawl_SameSetSameTotal(t *testing.T) {
	dir := t.TempDir()
	web := serve(t, pythonDocs)
	want := expectation(t, web)
	flags := append(reaching(web), slowly...)

	s := up(t, append(flags, "--dir", dir)...)
	s.must("submit", "test.com")
	reached := func(pages int) {
		t.Helper()
		await(t, fmt.Sprintf("%d pages are crawled", pages), func() bool { return s.progress().Crawled >= pages })
	}
	reached(100)
	s.kill()

	store := testredis.Start(t, testredis.Options{Dir: dir, Args: appendOnly})
	s = up(t, append(flags, "--store", "redis://"+store.Addr(), "--lease", "3s")...)
	reached(250)
	store.Do("BGREWRITEAOF")
	reached(300)
	store.Kill()
	s.kill()

	if _, err := os.Stat(filepath.Join(dir, "appendonlydir")); err != nil {
		t.Fatal(err)
	}
	s = up(t, append(flags, "--dir", dir)...)
	s.awaitCompleted()
	a := s.account()
	a.want(t, want)
	a.wantEachPageCountedOnce(t, dial(t, s.store))
	s.stopped()
}
