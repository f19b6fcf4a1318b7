// Package set is a set of byte strings.
//
// A small set of integers is an intset, one sorted row of them in Redis's own
// bytes, which is saved as it is. Any other is a [dict.Map].
//
// Members are copied when they come in. Slices that go out are for reading and
// good until the set changes or, in a loop, until the next step.
package set
