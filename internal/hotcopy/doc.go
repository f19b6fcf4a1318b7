// Package hotcopy takes a consistent copy of a data directory whose server runs
// on, ours or a real Redis 7's or Valkey's, without asking it and without
// writing anything beside it:
//
//  1. read the manifest
//  2. open every file that it names
//  3. read the manifest again; where other files count now, begin anew
//  4. take the length of the last file, and cut it at the end of the last whole
//     command outside MULTI
//
// An open file keeps its bytes though the server unlinks its name, so from step
// 3 on rewrites can do no harm, however many happen while the files are read.
// (Hard links would do the same, but litter the directory when the process is
// killed, need the right to write there, and stop at the border of a file
// system.) A log is only appended to, so its first bytes stay what they are.
//
// What the copy holds is the server's state at one moment, after all that was
// acknowledged before Take began. Until the copy is closed, what the server
// deletes takes room on the disk.
//
// A server without a log has its dump.rdb, which it replaces in one step; see
// [Save] for a fresh one.
package hotcopy
