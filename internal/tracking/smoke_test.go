package tracking

import (
	"testing"
	"time"
	"fmt"

	"limpet/internal/testredis"
	"limpet/internal/weburl"
)

func TestSmoke(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	tr := New(s.Client(), Options{})
	ctx := t.Context()
	seed := weburl.Seed("test.com")
	sub, err := tr.Submit(ctx, SubmitRequest{Seed: seed, URLs: []PageRef{{URL: "https://test.com/"}}})
	fmt.Println(sub, err)
	ls, info, err := tr.Claim(ctx, seed, 10, time.Minute)
	fmt.Println(ls, info, err)
	var ch []PageRef
	for i := range 600 {
		ch = append(ch, PageRef{URL: fmt.Sprint("https://test.com/", i), Depth: 1})
	}
	res, err := tr.Complete(ctx, ls[0], Completion{Record: []byte("r"), Children: ch, Event: map[string]string{"status": "200"}})
	fmt.Println(res, err)
	res, err = tr.Complete(ctx, ls[0], Completion{Record: []byte("r"), Children: ch})
	fmt.Println(res, err)
	ls, info, err = tr.Claim(ctx, seed, 5, time.Minute)
	fmt.Println(ls, info, err)
	fmt.Println(tr.Fail(ctx, ls[0], Failure{Err: "x", Retryable: true}))
	fmt.Println(tr.Fail(ctx, ls[1], Failure{Err: "x"}))
	fmt.Println(tr.Skip(ctx, ls[2], "robots"))
	fmt.Println(tr.Release(ctx, ls[3]))
	fmt.Println(tr.Progress(ctx, seed))
	fmt.Println(tr.Audit(ctx, seed, false))
	fmt.Println(tr.RetryFailed(ctx, seed))
	fmt.Println(tr.Cancel(ctx, seed))
	fmt.Println(tr.Complete(ctx, ls[4], Completion{}))
	fmt.Println(tr.Progress(ctx, seed))
	fmt.Println(tr.Audit(ctx, seed, false))
	fmt.Println(tr.Submit(ctx, SubmitRequest{Seed: seed, Recrawl: true, URLs: []PageRef{{URL: "https://test.com/"}}}))
	fmt.Println(tr.Progress(ctx, seed))
	ev, err := tr.Events(ctx, seed, "", 1000)
	for _, e := range ev { fmt.Println(e) }
	fmt.Println(tr.CheckStore(ctx))
	fmt.Println(tr.RepairRegistry(ctx))
}
