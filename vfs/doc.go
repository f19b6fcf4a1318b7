// Package vfs is the only way from this module to the files that hold data.
//
// [FS] is the part of a file system that durable storage needs, with what
// package os leaves out: syncing a directory and locking a path. There are five:
//
//   - [OS] is the machine's own.
//   - [Mem] lives in memory, for tests and stores that need not survive.
//   - [Crash] lives in memory and remembers what was synced. It can cut the
//     power before any operation and show what the disk may look like after.
//   - [Faulty] puts ENOSPC, EIO, short writes and slow disks over another FS.
//   - [Log] writes down the operations that reach another FS.
//
// A file and its name are durable separately, here as on a disk:
//
//	File.Sync      the bytes, but not the name, of a file
//	FS.SyncDir     the names in a directory: created, renamed, linked, removed
//
// Two names joined by Rename change together or not at all. Nothing else is
// promised: not even that of two unsynced changes the first survives the second.
//
// It builds where flock(2) is: Linux, macOS and the BSDs.
package vfs
