// Package fetch gets pages over HTTP the way a guest would: it asks robots.txt
// first, keeps a pace that the host can bear, and goes nowhere it was not
// invited.
//
// A [Client] fetches one URL at a time, from any number of goroutines. The path
// of a fetch, and the file that tells it:
//
//	client.go    one URL, redirects hop by hop, http where https does not answer
//	robots.go    may this URL be fetched at all? (rules.go reads robots.txt)
//	pace.go      when may this host be asked again?
//	exchange.go  one request and its answer
//	dial.go      names to connections (connectto.go: --connect-to)
//	guard.go     addresses that are refused
//	body.go      content codings and size limits (charset.go: text to UTF-8)
//	errors.go    what went wrong, and whether to come back
//
// What always holds:
//
//  1. No socket is opened to an address that the guard refuses. The check is
//     made on the address the kernel is about to connect to, after name
//     resolution, --connect-to and redirects, so nothing can get between the
//     check and the use. Proxies named in the environment are not used.
//  2. No request carries a cookie, a credential or a Referer.
//  3. No request is sent to a URL that the host's robots.txt disallows, and
//     none while it is unknown what robots.txt says (RFC 9309).
//  4. Memory per fetch is bounded by Options.MaxBody, whatever the server
//     sends: about three times that at the worst, when a legacy charset is
//     turned into UTF-8.
//
// A certificate that does not verify is no reason not to look at a page; it is
// something to know about it. The page is fetched and
// [Response.TLSVerifyError] says what is wrong.
package fetch
