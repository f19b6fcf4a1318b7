// Package api is Limpet's HTTP door: it submits seeds, tells their progress,
// steers them, hands out their features, and shows how the store is.
//
// Every request walks the same way, outermost first:
//
//	observe    counts and logs it, answers 500 when something panics
//	guard      who may ask: Host, token, no page of another origin
//	router     net/http's; its 404 and 405 are put into JSON
//	handler    checks all of the input before it touches the store,
//	           and answers once, or returns an error that becomes the answer
//
// Two things hold for every answer. It is a JSON object that begins with
// "success" (but for metrics and exports), and an answer 4xx means that nothing
// was stored. docs/api.md describes the endpoints; its examples are run as a
// test.
package api
