//go:build linux || darwin

package machine

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// SpaceOf is the room where a directory lies.
func SpaceOf(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, err
	}
	block := uint64(s.Bsize)
	return Space{uint64(s.Bavail) * block, uint64(s.Blocks) * block, uint64(s.Ffree), uint64(s.Files)}, nil
}

// OwnerOf tells who a file belongs to.
func OwnerOf(path string) (Owner, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Owner{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Owner{}, ErrUnknown
	}
	return Owner{int(stat.Uid), int(stat.Gid), info.Mode()}, nil
}
