// Package crash takes the store down in every way there is, brings it up again,
// and compares what is there with what was promised:
//
//	power_test.go        the power is cut before every single operation on a file
//	torn_test.go         the log is cut at every byte of its last transaction
//	fault_test.go        full disks, failing disks and short writes at every operation
//	disk_linux_test.go   real disks that fill up, fail or lose their power under a real process
//	kill_test.go         a real process on a real disk, kill -9 under fifty clients
//	directory_test.go    every state of a directory that a start may find, beside a real redis-server
//	interchange_test.go  a directory goes to and fro between a real redis-server and us
//
// The promises are those of the root package: with appendfsync always nothing
// acknowledged is missing; with everysec and no the data is what some first part
// of the writes made, without a hole and without half a unit, and no older than
// the latest sync. When only the process dies, nothing acknowledged is missing
// under any policy. Opening what a crash left never fails.
//
// Random tests print their seed and take it back from LIMPET_SEED;
// LIMPET_TORTURE=1 lengthens them.
package crash
