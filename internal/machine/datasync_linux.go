package machine

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync is what the store does to its log.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
