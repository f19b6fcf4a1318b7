// Package digest sums a data set up, so that two can be compared: what was
// backed up with what comes back, or what one server loads with what another
// does.
//
// It is computed from an RDB, which every server of the family writes of what it
// holds; how the keys are ordered and encoded there makes no difference. Per
// database:
//
//	sum = XOR over the keys of SHA-256(key, deadline, type, value)
//
// Names in a collection have no order, so a set, hash or sorted set goes in as
// the number and the XOR of the SHA-256 of its members. Deadlines count to the
// millisecond. What only remembers when somebody looked (idle times, access
// counters, when a consumer was last seen) is left out: loading changes it.
//
// Redis's own DEBUG DIGEST is blind to deadlines and to consumer groups, is not
// allowed by default, and can be asked of a running server only.
package digest
