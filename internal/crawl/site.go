package crawl

import (
	"slices"
	"time"

	"limpet/internal/fetch"
	"limpet/internal/weburl"
)

// site is what the scheduler knows of a seed that has, or may have, work.
type site struct {
	seed weburl.Seed

	waiting []*page         // claimed and not begun, in the order of the queue
	busy    map[string]int  // pages with workers, by host
	working int             // the sum of busy
	lookAt  time.Time       // before that, no page's host takes a request
	paced   bool            // one of its hosts wants pauses
	met     map[string]bool // hosts that have been asked before

	batch     int       // pages to claim at once
	claiming  bool      // a claim is under way
	again     bool      // what it brings may be out of date already
	claimAt   time.Time // when the next claim is worth a try
	claimedAt time.Time // when the last one was answered
	dry       int       // claims in a row that brought nothing
	failed    int       // claims in a row that the store has not answered
	ended     bool      // by the last claim it does not run

	generation int64
	run        string // of the store
	known      *known // belongs to generation and run
	icons      *icons // belongs to generation, as does
	start      *start
}

func newSite(seed weburl.Seed) *site {
	return &site{seed: seed, busy: make(map[string]int), met: make(map[string]bool), batch: 1}
}

const (
	// slotWait tells a host whose requests are all taken, which changes any
	// moment, from one that wants a pause.
	slotWait = 10 * time.Millisecond
	// settling is the time a worker gets to begin its request, before the host is
	// asked again whether it takes another.
	settling = 2 * time.Millisecond
	// aWhile is how long to wait for what will be told when it happens.
	aWhile = time.Second
	// maxMet bounds the memory for the hosts of a seed that gives each page one.
	maxMet = 4096
)

// ready is the first page whose host takes a request now, or how long none will.
func (site *site) ready(f *fetch.Client) (*page, time.Duration) {
	wait := aWhile
	var asked [4]string // the last few hosts that do not
	for i, p := range site.waiting {
		if slices.Contains(asked[:], p.host) {
			continue
		}
		w := site.hostWait(f, p)
		if w <= 0 {
			return p, 0
		}
		site.paced = site.paced || w > slotWait
		asked[i%len(asked)] = p.host
		wait = min(wait, w)
	}
	return nil, wait
}

// hostWait is how long the page's host is to be left alone. Nobody knows that
// before its robots.txt was read, so its first page goes alone, and a dead host
// keeps no more than one worker waiting.
func (site *site) hostWait(f *fetch.Client, p *page) time.Duration {
	if p.noIcon {
		return 0
	}
	if !site.met[p.host] && site.busy[p.host] > 0 {
		return aWhile
	}
	return f.Ready(p.next)
}

// begin takes a page off the waiting ones.
func (site *site) begin(p *page, now time.Time) {
	i := slices.Index(site.waiting, p)
	site.waiting = slices.Delete(site.waiting, i, i+1)
	site.busy[p.host]++
	site.working++
	if site.paced {
		site.lookAt = now.Add(settling)
	}
}

// postpone puts a page back whose host wants a pause; one that was begun comes
// first.
func (site *site) postpone(p *page) {
	p.host = weburl.Split(p.next).Host
	if p.taken != nil {
		site.waiting = slices.Insert(site.waiting, 0, p)
		return
	}
	site.waiting = append(site.waiting, p)
}

// end is when its worker is done with it.
func (site *site) end(p *page) {
	site.working--
	if site.busy[p.host]--; site.busy[p.host] == 0 {
		delete(site.busy, p.host)
	}
	if len(site.met) >= maxMet {
		clear(site.met)
	}
	site.met[p.host] = true
	site.lookAt = time.Time{}
}

// wake makes the next claim due.
func (site *site) wake() {
	site.claimAt, site.dry = time.Time{}, 0
	site.ended, site.again = false, site.claiming
}

// claimBy makes the next claim due at a time, if it is not due before.
func (site *site) claimBy(t time.Time) {
	if t.Before(site.claimAt) {
		site.claimAt = t
	}
	site.dry, site.again = 0, site.claiming
}

// unused reports whether nothing is left to remember of the seed.
func (site *site) unused() bool {
	return site.ended && !site.claiming && site.working == 0 && len(site.waiting) == 0
}
