//go:build !linux

package drill

import "syscall"

// dieWithParent does nothing where the kernel offers nothing of the kind.
func dieWithParent() *syscall.SysProcAttr { return nil }
