// Package archive ships an append-only log to a target while it is written, and
// brings back any second of it. The log may be this project's or a real Redis
// 7's; only its files are read.
//
//	archive/lease/000007                         who may write now, and how far it is
//	archive/timeline/000003                      how the third timeline began, and why
//	archive/data/000003/base/000000000042-5      base 5, which stands before segment 42
//	archive/data/000003/segment/000000000/000000000042
//
// A timeline is one unbroken history: a base and the segments behind it, numbered
// from 1 without a gap. Segments are immutable and hold whole commands outside
// MULTI as they stand in one incr file. Each names the hash of the header before
// it, and its own header the hash of its commands, so that the chain proves that
// nothing is missing, was changed or came from elsewhere. Later bases are short
// cuts: a restore begins at the newest one that lies before the moment asked for.
//
// Where the source cannot prove that it goes on where the archive ends, a new
// timeline begins with a fresh base and says why. What an archiver knows it reads
// from the target; it keeps no state of its own.
//
// Two archivers on one target are kept apart twice. A lease lets one write at a
// time, whose expiry is told by the target's clock alone. And since a segment's
// number is taken in one step that only one can win, a chain never forks, even
// where an archiver that has lost its lease did not notice yet.
//
// Headers are readable: numbers, hashes and times, no key or value. The commands
// behind them are sealed (see package sealed), so that an archiver that encrypts
// needs no secret to go on.
//
// Times are those of the log's #TS annotations where the server writes them, to
// the second and by its own clock; else the moment at which the archiver has read
// a command, which is later by up to the interval. Both are kept, and whoever
// asks is told which of the two the answer rests on.
package archive
