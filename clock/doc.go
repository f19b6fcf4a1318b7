// Package clock is the one source of time for everything whose correctness
// depends on it: key expiry, crawl leases, the once-a-second fsync.
//
// Code takes a [Clock]. In production it is [Real]; in a test it is a [Fake],
// whose time stands still until the test turns it with [Fake.Advance]. So no
// test has to sleep, and none depends on how loaded the machine is.
package clock
