// Package e2e uses Limpet as people do: the program that `go build` makes, real
// web sites, real signals, a real redis-server, the commands that the manuals show.
//
//	user_test.go      submit, watch, stop, start: the same numbers
//	count_test.go     the pages of a site are those that others find
//	kill_test.go      kill -9 at random moments: of Limpet, of Redis, of both
//	handover_test.go  a data directory goes to a redis-server and comes back
//	refusal_test.go   what cannot start says why, and changes nothing
//	manual_test.go    the commands of README.md and docs/cli.md, as they stand there
//
// The sites are HTML documentation that nobody here wrote, from the Debian
// packages python3.11-doc and postgresql-doc-15, served by nginx on loopback under
// the name test.com. Everything listens on ports that the system gives, and dies
// with the test.
//
// Random tests print their seed and take it back from LIMPET_SEED;
// LIMPET_TORTURE=1 kills more often.
package e2e
