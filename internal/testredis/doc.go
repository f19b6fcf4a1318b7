// Package testredis runs a real redis-server for tests that compare with one:
// on a port of the system's choosing, in a temporary directory, stopped by its
// process id when the test ends.
//
// It is for tests only. A machine without redis-server fails the test and says
// how to get it, since a comparison that did not happen proves nothing.
package testredis
