package vfs

import (
	"io/fs"
	"syscall"
)

// Inode is the number by which a file system knows a file, whatever it is called
// at the moment: a name that was given to another file has another one. The
// number of a file that is gone and open nowhere may be given out again. 0 means
// that the file system has none.
func Inode(info fs.FileInfo) uint64 {
	switch i := info.(type) {
	case interface{ inodeNumber() uint64 }:
		return i.inodeNumber()
	default:
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			return s.Ino
		}
	}
	return 0
}
