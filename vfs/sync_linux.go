package vfs

import (
	"io/fs"
	"os"
	"syscall"
)

// datasync is fdatasync: the bytes and the size, without the time stamps that
// would cost a journal commit of their own.
func datasync(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	err = conn.Control(func(fd uintptr) {
		for {
			syncErr = syscall.Fdatasync(int(fd))
			if syncErr != syscall.EINTR {
				return
			}
		}
	})
	switch {
	case err != nil: // the poller's only reason, in words of its own
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: fs.ErrClosed}
	case syncErr != nil:
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: syncErr}
	}
	return nil
}
