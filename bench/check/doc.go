// Command check measures limpet check beside Debian's redis-check-aof: both
// read the same log, in turn, from the page cache. It prints bytes a second, the
// ratio, and the most memory that each took. Both must find the log sound.
//
//	cd bench/check && go run . -size 2
package main
