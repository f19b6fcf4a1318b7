package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"limpet/internal/testredis"
)

// victims are the processes of one crawl of test.com, each of which is killed.
type victims struct {
	t      *testing.T
	random *rand.Rand
	args   []string // of each of them
	size   int      // pages that will be crawled in the end
}

// reserve is how many pages are kept for the time in which a slow machine has not
// noticed yet that it is time for a kill.
const reserve = 80

// slowly keeps the crawl from being over before it can be killed often.
var slowly = []string{"--delay", "2ms"}

// killSometime starts Limpet and kills it at a moment of no particular kind: at
// one of its first lines, or some pages further on, meanwhile having been called on
// the way. left is how many kills are still to come, for which pages must be left.
// It reports false when the crawl was over before.
func (v *victims) killSometime(left int, meanwhile func(*service)) (inTime bool) {
	v.t.Helper()
	if v.random.IntN(5) == 0 {
		p := spawn(v.t, command(v.args...))
		lines := 1 // that it logs until it is ready
		if v.embedded() {
			lines = 3
		}
		p.awaitLines(v.t, v.random.IntN(lines+1))
		p.kill()
		v.wantNothingMended(p)
		return true
	}
	s := up(v.t, v.args...)
	defer s.kill()
	defer v.wantNothingMended(s.process)
	now := s.progress()
	// As many on average as leave some for each kill to come.
	goal := now.Crawled + v.random.IntN(max(1, 2*(v.size-now.Crawled-reserve)/(left+2)))
	onTheWay := now.Crawled + v.random.IntN(goal-now.Crawled+1)
	reached := func(pages int) func() bool {
		return func() bool {
			now = s.progress()
			return now.Crawled >= pages || now.Status == "completed"
		}
	}
	await(v.t, "the crawl goes on", reached(onTheWay))
	meanwhile(s)
	await(v.t, "the crawl goes on", reached(goal))
	return now.Status != "completed"
}

// wantNothingMended looks through the log. At its first claim Limpet counts anew
// and mends; of its own store there must be nothing to mend, ever.
func (v *victims) wantNothingMended(p *process) {
	v.t.Helper()
	if log := p.errors.String(); v.embedded() && strings.Contains(log, "mended") {
		v.t.Errorf("after a kill the count was wrong:\n%s", log)
	}
}

func (v *victims) embedded() bool { return slices.Contains(v.args, "--dir") }

// expectation crawls the site without a kill.
func expectation(t *testing.T, s *site) account {
	t.Helper()
	service := up(t, append(reaching(s), "--dir", t.TempDir())...)
	service.crawl()
	a := service.account()
	service.stopped()
	return a
}

// rewriteLog has the store begin a new log, which the kill may well meet halfway.
func rewriteLog(s *service) {
	if reply := ask(s.t, s.store, "BGREWRITEAOF"); !strings.HasPrefix(reply, "+Background") {
		s.t.Errorf("BGREWRITEAOF answers %q", reply)
	}
}

func TestKill9_TwentyTimes_SameSetSameTotal(t *testing.T) {
	// The longer run needs more pages to be killed at.
	web := serve(t, pythonDocs)
	if torture(0, 1) == 1 {
		web = serve(t, postgresDocs)
	}
	kills := torture(20, 110)
	want := expectation(t, web)
	for _, fsync := range []string{"everysec", "always"} {
		t.Run(fsync, func(t *testing.T) {
			v := victims{t: t, random: randomness(t), size: want.Progress.Crawled,
				args: slices.Concat(reaching(web), slowly, []string{"--dir", t.TempDir(), "--appendfsync", fsync})}
			s := up(t, v.args...)
			s.must("submit", "test.com")
			s.kill()

			seen := len(web.requests(t))
			for n := range kills {
				if !v.killSometime(kills-n-1, rewriteLog) {
					t.Fatalf("the crawl was over before kill %d", n+1)
				}
			}
			s = up(t, v.args...)
			s.awaitCompleted()
			v.wantNothingMended(s.process)
			if log := s.errors.String(); strings.Contains(log, "leases had run out") {
				t.Errorf("the crawl has waited for the leases of the dead:\n%s", log)
			}
			a := s.account()
			a.want(t, want)
			a.wantEachPageCountedOnce(t, dial(t, s.store))
			t.Logf("%d kills, %d requests for %d pages", kills, len(web.requests(t))-seen, a.Progress.Total)
			s.stopped()
		})
	}
}

// Redis is killed below a crawl that goes on, and the crawl above it, in turns.
func TestKill9_OfRedisAndOfLimpet_SameSetSameTotal(t *testing.T) {
	web := serve(t, pythonDocs)
	kills := torture(8, 40)
	want := expectation(t, web)
	store := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	v := victims{t: t, random: randomness(t), size: want.Progress.Crawled,
		args: slices.Concat(reaching(web), slowly, []string{"--store", fmt.Sprintf("redis://%s/0", store.Addr()), "--lease", "3s"})}
	s := up(t, v.args...)
	s.must("submit", "test.com")
	s.kill()

	for n := range kills {
		inTime := v.killSometime(kills-n-1, func(*service) {
			store.Kill()
			store.Restart()
		})
		if !inTime {
			t.Fatalf("the crawl was over before kill %d", n+1)
		}
	}
	s = up(t, v.args...)
	s.awaitCompleted()
	a := s.account()
	a.want(t, want)
	a.wantEachPageCountedOnce(t, store.Client())
	wantContract(t, store.Client(), a.Progress)
	s.stopped()
}

// wantContract reads the keys that are everyone's to read.
func wantContract(t *testing.T, c *redis.Client, p progress) {
	t.Helper()
	for key, want := range map[string]int{"total": p.Total, "crawled": p.Crawled, "failed": p.Failed} {
		if got, err := c.Get(t.Context(), "fcrawler:seed:test.com:"+key).Int(); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", key, got, err, want)
		}
	}
}
