package tracking

import (
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/weburl"
)

// Options of a [Tracker]. The zero value suits one server.
type Options struct {
	// HashTags puts the seed into braces, fcrawler:seed:{test.com}, so that all
	// keys of a seed share one slot of a Cluster. Leave it off on one server,
	// where the plain names are the public contract.
	HashTags bool
	// Tries is how often one call is sent before a broken connection, a time-out
	// or a store that is still loading is reported; 0 means 6, spread over about
	// 3 seconds. Repeating is safe: every script knows its own repetition.
	Tries int
	// EventCap is about how many events of a seed are kept; 0 means 10,000.
	EventCap int
	// SyncTimeout is how long Submit waits for the store to confirm that the
	// seed is on disk (WAITAOF, Redis 7.2 and later); 0 means 2 seconds.
	SyncTimeout time.Duration
	// RecordURL reads the URL out of a feature record, for listing crawled pages,
	// of which nothing else keeps the URL. Nil leaves PageInfo.URL of crawled
	// pages empty.
	RecordURL func(record []byte) string
	// OnAudit is told of every audit that Claim makes because the store was
	// restarted, before the first claim after it. Nil ignores them.
	OnAudit func(AuditReport)
}

// Tracker keeps the progress of crawls in a store. It is safe for many
// goroutines, and many processes may share a store. Methods return
// [ErrUnknownSeed] for a seed that was never submitted, and an error that wraps
// [ErrStoreRefuses] when the store answers but does not take writes.
type Tracker struct {
	client  redis.UniversalClient
	options Options
	runs    runs   // the run of the store that was last seen
	active  pulses // when each seed's activity was last noted

	noWaitAOF atomic.Bool // the store has no WAITAOF, or no log to wait for
}

// New makes a tracker over a client, which stays the caller's to close.
func New(client redis.UniversalClient, o Options) *Tracker {
	if o.Tries <= 0 {
		o.Tries = 6
	}
	if o.EventCap <= 0 {
		o.EventCap = 10_000
	}
	if o.SyncTimeout <= 0 {
		o.SyncTimeout = 2 * time.Second
	}
	return &Tracker{client: client, options: o}
}

// Status is what a seed as a whole does.
type Status string

const (
	Running   Status = "running"
	Paused    Status = "paused"    // nothing is claimed; pages in flight finish
	Cancelled Status = "cancelled" // final; what was queued is skipped
	Completed Status = "completed" // nothing queued, delayed or in flight
)

// Finished reports whether a new generation may be started.
func (s Status) Finished() bool { return s == Cancelled || s == Completed }

// State is where one page stands.
type State string

const (
	StateQueued  State = "queued"    // ready to be claimed
	StateDelayed State = "delayed"   // to be claimed again after a wait
	StateLeased  State = "in_flight" // a worker has it
	StateCrawled State = "crawled"
	StateFailed  State = "failed" // in the dead letters, can be retried
	StateSkipped State = "skipped"
)

// PageRef names a page that was found.
type PageRef struct {
	ID    string // weburl.ID of the URL; empty means that it is to be computed
	URL   string // normalised
	Depth int    // links away from the submitted page, 0 to MaxDepth
}

// MaxDepth is the deepest page that can be queued: the queue's score is
// depth * 2^40 + order of arrival, which a float64 holds exactly up to 2^53.
const MaxDepth = 8191

// SubmitRequest starts the crawl of a seed, or joins the one that runs.
type SubmitRequest struct {
	Seed weburl.Seed
	// URLs are where the crawl starts.
	URLs []PageRef
	// MaxPages limits the seed's total; 0 is no limit. The URLs above it are
	// refused and counted in OverLimit, like links found later.
	MaxPages int
	// MaxDepth limits how deep links are followed; 0 is no limit.
	MaxDepth int
	// MaxAttempts is how often a page is claimed before it fails; 0 means 3.
	MaxAttempts int
	// Recrawl starts a new generation when the seed is completed or cancelled:
	// the finished one is dropped whole, with its records.
	Recrawl bool
	// IdempotencyKey gives repetitions of this request the first one's answer.
	// The last 100 keys of a seed are remembered. Empty means a key of its own
	// for this call, so that a lost reply never starts two generations.
	IdempotencyKey string
	// Options is stored with the seed as it is and given back by [Tracker.Config],
	// for what the crawler wants to know again after a restart.
	Options []byte
}

// Submission is the answer to a [SubmitRequest].
type Submission struct {
	Seed       weburl.Seed
	Generation int64
	Status     Status // as it is now
	Created    bool   // a generation was started, the first or a new one
	Joined     bool   // the seed was running or paused; its limits stay as they were
	Repeated   bool   // the answer of an earlier request with this idempotency key
	Added      int    // URLs that were new
	Synced     bool   // the store confirmed that it is on disk; false where it has no WAITAOF
}

// Config is what a seed was submitted with.
type Config struct {
	Generation  int64
	MaxPages    int // 0: no limit
	MaxDepth    int // 0: no limit
	MaxAttempts int
	Options     []byte
	CreatedAt   time.Time // of this generation
}

// Lease is the right to work on one page until Deadline. It is given back
// unchanged to Extend, Discover, Complete, Skip, Release or Fail.
type Lease struct {
	Seed       weburl.Seed
	PageID     string
	URL        string
	Depth      int
	Attempt    int // 1 for the first
	Token      string
	Generation int64
	Deadline   time.Time // by the store's clock
}

// ClaimInfo is what else a claim has learned. The waits say why there was not more
// to claim: they are known when fewer pages came back than were asked for, else zero.
type ClaimInfo struct {
	Status Status
	// Run is the run of the store that answered, empty where it tells none. When
	// it changes, the store was restarted and may have lost its last writes, so
	// what a worker remembers of earlier answers is to be forgotten.
	Run string
	// NextReadyIn is how long until the next delayed page is due; negative when
	// none is delayed.
	NextReadyIn time.Duration
	// NextLapseIn is how long until the next lease runs out, which is when Reap
	// is worth calling; negative when nothing is in flight.
	NextLapseIn time.Duration
}

// Discovered counts what became of links.
type Discovered struct {
	New       int // queued
	Known     int // seen before
	OverLimit int // refused: too many pages, too deep, or the seed is cancelled
}

// Completion is what a page gave.
type Completion struct {
	// Record is the feature record, kept as it is.
	Record []byte
	// Children are the links of the page, any number of them.
	Children []PageRef
	// OverLimit is the sum of Discovered.OverLimit of the Discover calls made
	// under this lease; it is counted here, so that it is counted once.
	OverLimit int
	// Event is added to the seed's event; "url" and what [Event] names are taken.
	Event map[string]string
}

// Outcome says what became of a call that ends a lease.
type Outcome string

const (
	Done  Outcome = "done"  // this call moved the page
	Dup   Outcome = "dup"   // an earlier sending of this call had moved it; nothing written
	Stale Outcome = "stale" // the lease is no longer held; nothing written
)

// Result is the answer to a call that ends a lease.
type Result struct {
	Outcome Outcome
	// State is where the page stands after Done and Dup.
	State State
	// SeedCompleted reports that this call took the last page: the seed has
	// become completed, or is cancelled and drained. One call is told, or none
	// when its reply is lost; what must not be missed reads [EventCompleted].
	SeedCompleted bool
	// Discovered counts the links given with Complete.
	Discovered Discovered
}

// Failure is why a page could not be crawled.
type Failure struct {
	Err       string // for people; cut at 1,000 bytes
	Retryable bool
	// Delay is how long the page waits before its next attempt, if it has one.
	Delay time.Duration
	Event map[string]string
}

// Reaped counts the pages whose leases had run out.
type Reaped struct {
	Requeued, Failed, Skipped int
	SeedCompleted             bool
}

// Progress is one consistent look at a seed.
type Progress struct {
	Seed       weburl.Seed
	Generation int64
	Status     Status

	Total    int64
	Crawled  int64
	Failed   int64
	Skipped  int64
	Queued   int64
	Delayed  int64
	InFlight int64
	Pending  int64 // queued, delayed and in flight
	// OverLimit counts refused links, not distinct pages.
	OverLimit int64
	// Percentage of the pages that are done: crawled, failed or skipped.
	Percentage float64

	CreatedAt     time.Time // of this generation
	LastCrawledAt time.Time // zero before the first page
	CompletedAt   time.Time // zero while anything is pending
}

// AuditReport is what a recount of a seed found.
type AuditReport struct {
	Seed       weburl.Seed
	Generation int64
	// Total and Counts are the recount by page states, not the counters.
	Total       int64
	Counts      map[State]int64
	Differences []Difference
	// Truncated is how many differences were found beyond those listed.
	Truncated int
	// Repaired reports that every difference was mended.
	Repaired bool
}

// Clean reports that the counters and indexes agree with the pages.
func (r AuditReport) Clean() bool { return len(r.Differences) == 0 }

// Difference is one disagreement between the pages' states and an index or a
// counter.
type Difference struct {
	What string // the index or counter, as in "q" or "crawled"
	Page string // the page's id; empty for counters
	Want string // what the states ask for
	Have string // what was found
}

// PageInfo describes one page of a seed.
type PageInfo struct {
	ID       string
	URL      string // of crawled pages only with Options.RecordURL
	State    State
	Depth    int
	Attempts int       // claims so far
	Error    string    // of failed pages
	FailedAt time.Time // of failed pages
	Reason   string    // of skipped pages
}

// Record is the feature record of one crawled page.
type Record struct {
	ID    string
	Bytes []byte
}

// Event is one entry of a seed's outbox. Consumers that must act once key on
// seed, generation and page: a repeated event has the same three.
type Event struct {
	ID         string // orders the events of a seed
	At         time.Time
	Kind       string // one of the Event constants
	Generation int64
	Page       string            // page id; empty for events of the whole seed
	Fields     map[string]string // url, error, … and what the caller gave
}

// Kinds of [Event].
const (
	EventStarted   = "started"   // the seed: submitted, or a new generation
	EventPaused    = "paused"    // the seed
	EventResumed   = "resumed"   // the seed
	EventCancelled = "cancelled" // the seed; field pages: how many were skipped by this step
	EventRetried   = "retried"   // the seed; field pages: how many were queued again
	EventCompleted = "completed" // the seed: nothing is left; field status: completed or cancelled
	EventRepaired  = "repaired"  // the seed: an audit has mended differences
	EventCrawled   = "crawled"   // a page
	EventFailed    = "failed"    // a page, for good; fields error, attempts
	EventDelayed   = "delayed"   // a page, to be tried again; fields error, attempts
	EventSkipped   = "skipped"   // a page; field reason
	EventRequeued  = "requeued"  // a page: its lease ran out, or it was released
)

// SeedFilter selects seeds for [Tracker.Seeds].
type SeedFilter struct {
	Status Status // empty: all
	Cursor int64  // 0 to start, then the cursor that came back
	N      int    // 0 means 100
}

// Finding is one thing about a store that bears on the promise.
type Finding struct {
	Code    string // as in "appendonly-off"
	Fatal   bool   // the promise cannot be kept
	Message string // what is wrong, and what to type
}
