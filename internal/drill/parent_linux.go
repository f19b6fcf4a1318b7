package drill

import "syscall"

// dieWithParent has the kernel kill the server when this process dies. Linux
// ties that to the thread that started it, which Go keeps unless a goroutine
// exits while locked to it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
