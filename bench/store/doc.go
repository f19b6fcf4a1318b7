// Command store measures `limpet store` beside redis-server, in the same run and
// on the same disk.
//
// Both servers get the same commands from redis-benchmark, or the same bytes over
// a socket, in turn, at least five rounds each. What is printed is Markdown: the
// medians, their ratio, and the spread of the ratios of the rounds, which says how
// much of a difference is noise.
//
// Nothing here is a test: timings on a machine that others use prove little, and
// no build fails on them.
package main
