package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithTest has the kernel kill a process when the test binary dies.
func dieWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// getSession is the session that a process belongs to.
func getSession(pid int) (int, error) { return unix.Getsid(pid) }

// isZombie tells whether a process has ended and nobody has asked how: in a
// container without an init, orphans stay like that.
func isZombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}
