// Package check reads a store's files and says whether they are sound.
//
// [Inspect] looks at everything a directory holds, as fast as it can, and gives
// a report for people and programs: each file, each problem with its place and
// what is intact before it, and a [Verdict].
//
// [Tool] is redis-check-aof and redis-check-rdb: one log or one RDB, in the words
// of Redis 7.0.15.
//
// What a file is worth is decided by packages aof and rdb, the readers that the
// store itself starts with; the wording, the offsets and the counting of lines
// follow Debian's tools, so that scripts and people find what they know. Three
// things differ, and each differs on purpose:
//
//   - Nothing is lost. What --fix or --truncate-to-timestamp cuts off lies in a
//     file beside the log, and one more line of output says where.
//   - A base named .rdb that is no RDB is damage and is never cut: the real tool
//     calls an empty one sound, and cuts a short one down to nothing.
//   - A damaged manifest is a damaged manifest. The real tool takes one that it
//     cannot recognise for a log, and --fix then empties it.
//
// Checking alone never writes.
package check
