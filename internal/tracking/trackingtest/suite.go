package trackingtest

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// RunSuite checks every claim against a store. connect returns a client of an
// empty one; it is called once for each claim, and closes what it opened with
// t.Cleanup.
func RunSuite(t *testing.T, connect func(t *testing.T) redis.UniversalClient) {
	for _, claim := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		// The regression table: what existing crawlers do wrong.
		{"SeenMarkAndQueuePush_KilledAtEveryCall_EveryPageIsFetched", killedAtEveryCall},
		{"PoppingIsNotLosing_KilledBetweenClaimAndComplete_PageComesBack", poppingIsNotLosing},
		{"DoneMarkAndCount_TwoWorkersAndRepeats_CountedOnce", doneIsCountedOnce},
		{"ReSubmit_DropsMarkersTogetherWithCounters", reSubmitStartsAfresh},
		{"LateWorker_IsStaleAndCountsNothing", lateWorkerIsStale},
		{"RestartOfWorkers_LeasedPagesAreNotServedTwice", leasesOutliveWorkers},
		{"SpentAttempts_EndInTheDeadLetters_TotalsAddUp", spentAttemptsFail},

		{"Submit_SameKey_SameAnswer", submitSameKey},
		{"Submit_HundredKeysAreKept", submitKeysAreBounded},
		{"Submit_Running_Joins", submitJoins},
		{"Submit_Finished_AnswersWithoutWriting", submitFinished},
		{"Submit_LostReply_StartsOneGeneration", submitLostReply},
		{"Submit_BadRequest_StoresNothing", submitBadRequest},
		{"Submit_AllRefused_CompletesAtOnce", submitAllRefused},
		{"Claim_DepthFirstThenArrival", claimOrder},
		{"Claim_LostReply_SameLeasesAgain", claimLostReply},
		{"Claim_DelayedPage_WaitsForItsTime", claimDelayed},
		{"Claim_LeaseLapses_ByTheStoresClock", leaseLapses},
		{"ReapAll_TakesEveryPage_LivingWorkersAreStale", reapAll},
		{"Extend_KeepsTheLease", extendKeeps},
		{"Limits_MaxPagesAndMaxDepth_RefusedAndCountedOnce", limits},
		{"Complete_ManyLinks_NoneLostNoneTwice", manyLinks},
		{"Fail_Retryable_UntilAttemptsAreSpent", failUntilSpent},
		{"Skip_And_Release", skipAndRelease},
		{"Pause_Resume_Cancel", pauseResumeCancel},
		{"Cancel_InFlightFinishOrLapse", cancelInFlight},
		{"RetryFailed_RunsAgain", retryFailed},
		{"Completed_EventOnce_WhoeverIsLast", completedOnce},
		{"Events_FollowEveryTransition", eventsFollow},
		{"Pages_ListEveryState", pagesList},
		{"Records_ListEveryCrawledPage", recordsList},
		{"Seeds_FilterAndCursor", seedsList},
		{"Registry_IsRepairedFromTheKeys", registryRepair},
		{"UnknownSeed_IsAnError", unknownSeed},
		{"HashTags_NameTheSameKeysInOneSlot", hashTags},

		{"Audit_NamesAndMendsEveryDamage", auditDamage},
		{"Claim_AfterRestart_AuditsFirst", claimAudits},
		{"Model_RandomStepsWithLostReplies", randomModel},
		{"Crowd_TwentyWorkers_TwoThousandPages", crowd},
	} {
		t.Run(claim.name, func(t *testing.T) {
			client := connect(t)
			claim.test(t, newBench(t, client))
		})
	}
}

const seed = weburl.Seed("test.com")

// bench is a store with a tracker and the shorthands of the tests.
type bench struct {
	*tracking.Tracker
	t       testing.TB
	ctx     context.Context
	client  redis.UniversalClient
	options tracking.Options
}

func newBench(t testing.TB, client redis.UniversalClient) *bench {
	// Every event of a test is kept, and records are made by recordOf.
	_, cluster := client.(*redis.ClusterClient)
	o := tracking.Options{
		HashTags:  cluster,
		EventCap:  100_000,
		RecordURL: func(record []byte) string { return string(record) },
	}
	return &bench{tracking.New(client, o), t, t.Context(), client, o}
}

func recordOf(l tracking.Lease) []byte { return []byte(l.URL) }

// over gives the same store seen through another client.
func (b *bench) over(client redis.UniversalClient) *bench {
	return &bench{tracking.New(client, b.options), b.t, b.ctx, client, b.options}
}

func must[T any](b *bench) func(T, error) T {
	return func(v T, err error) T {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
		return v
	}
}

func page(i int) string { return fmt.Sprintf("https://test.com/%d", i) }

func refs(depth int, numbers ...int) []tracking.PageRef {
	var pages []tracking.PageRef
	for _, i := range numbers {
		pages = append(pages, tracking.PageRef{ID: weburl.ID(page(i)), URL: page(i), Depth: depth})
	}
	return pages
}

// span is lo, lo+1, …, hi-1.
func span(lo, hi int) []int {
	var numbers []int
	for i := lo; i < hi; i++ {
		numbers = append(numbers, i)
	}
	return numbers
}

// submit starts the test seed at the numbered pages.
func (b *bench) submit(numbers ...int) tracking.Submission {
	b.t.Helper()
	return must[tracking.Submission](b)(b.Submit(b.ctx, tracking.SubmitRequest{Seed: seed, URLs: refs(0, numbers...)}))
}

func (b *bench) claim(n int) []tracking.Lease {
	b.t.Helper()
	leases, _, err := b.Claim(b.ctx, seed, n, time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	return leases
}

// claimOne insists on there being one.
func (b *bench) claimOne() tracking.Lease {
	b.t.Helper()
	leases := b.claim(1)
	if len(leases) != 1 {
		b.t.Fatalf("claimed %d pages, want 1", len(leases))
	}
	return leases[0]
}

func (b *bench) complete(l tracking.Lease, children ...tracking.PageRef) tracking.Result {
	b.t.Helper()
	return must[tracking.Result](b)(b.Complete(b.ctx, l, tracking.Completion{Record: recordOf(l), Children: children}))
}

func (b *bench) fail(l tracking.Lease, retryable bool) tracking.Result {
	b.t.Helper()
	return must[tracking.Result](b)(b.Fail(b.ctx, l, tracking.Failure{Err: "503", Retryable: retryable}))
}

func (b *bench) reap() tracking.Reaped {
	b.t.Helper()
	return must[tracking.Reaped](b)(b.Reap(b.ctx, seed, 0))
}

func (b *bench) progress() tracking.Progress {
	b.t.Helper()
	return must[tracking.Progress](b)(b.Progress(b.ctx, seed))
}

// lapse lets the time of a lease pass.
func (b *bench) lapse(ids ...string) {
	b.t.Helper()
	for _, id := range ids {
		b.zset("l", 1, id)
	}
}

// due lets the waiting time of a delayed page pass.
func (b *bench) due(id string) {
	b.t.Helper()
	b.zset("d", 1, id)
}

func (b *bench) zset(key string, score float64, id string) {
	b.t.Helper()
	if err := b.client.ZAdd(b.ctx, b.Key(seed, key), redis.Z{Score: score, Member: id}).Err(); err != nil {
		b.t.Fatal(err)
	}
}

// drain works until nothing is left, and answers how many pages it completed.
func (b *bench) drain() int {
	b.t.Helper()
	for n := 0; ; {
		leases := b.claim(50)
		if len(leases) == 0 {
			return n
		}
		for _, l := range leases {
			if got := b.complete(l).Outcome; got != tracking.Done {
				b.t.Fatalf("complete %s: %s, want done", l.URL, got)
			}
			n++
		}
	}
}

// wantProgress compares what a seed stands at, beginning with its total.
func (b *bench) wantProgress(status tracking.Status, total, crawled, failed, skipped, queued, delayed, inFlight int64) {
	b.t.Helper()
	p := b.progress()
	got := fmt.Sprint(p.Status, p.Total, p.Crawled, p.Failed, p.Skipped, p.Queued, p.Delayed, p.InFlight)
	want := fmt.Sprint(status, total, crawled, failed, skipped, queued, delayed, inFlight)
	if got != want {
		b.t.Fatalf("status total crawled failed skipped queued delayed in flight:\n got %s\nwant %s", got, want)
	}
	b.wantOrder()
}

// wantOrder insists on the invariant and on a clean audit.
func (b *bench) wantOrder() {
	b.t.Helper()
	if err := CheckInvariant(b.ctx, b.client, b.Tracker, seed); err != nil {
		b.t.Fatal(err)
	}
	if report := must[tracking.AuditReport](b)(b.Audit(b.ctx, seed, false)); !report.Clean() {
		b.t.Fatalf("audit: %v", report.Differences)
	}
}

// rounds scales the number of random steps up under LIMPET_TORTURE=1.
func rounds(n int) int {
	if os.Getenv("LIMPET_TORTURE") == "1" {
		return n * 50
	}
	return n
}

// randomSeed is printed and can be given back in LIMPET_SEED.
func randomSeed(t testing.TB) uint64 {
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("LIMPET_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("LIMPET_SEED: %v", err)
		}
	}
	t.Logf("LIMPET_SEED=%d", n)
	return n
}
