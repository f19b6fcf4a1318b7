// Package zset is a set of members ordered by score, then by their bytes.
//
// A small one is a listpack in Redis's own form, member and score in turn and
// in order, which is saved as it is. A large one is a table from member to
// score and a tree of all (score, member) pairs beside it. Redis has a skip
// list in the tree's place. The tree counts what is below each branch, so a
// rank costs as little as there, while neighbours share cache lines, sixty-four
// pairs are one object to the garbage collector, and nothing is random.
//
// All ranges are intervals of ranks: [ZSet.ScoreRange] and [ZSet.LexRange]
// find the interval in O(log n), its length is the count, and [ZSet.ByRank]
// and [ZSet.DeleteByRank] do the rest.
//
// Members are copied when they come in. Slices that go out belong to the set
// and are good until it changes or, in a loop, until the next step.
package zset
