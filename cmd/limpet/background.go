package main

import (
	"io"
	"os"
	"os/exec"
	"syscall"
)

// detachedMark is in the environment of a process that was sent to the
// background, and of no other.
const detachedMark = "LIMPET_DETACHED"

// detached tells whether this is such a process. The mark is taken away, so that
// what it starts in turn is none.
var detached = func() bool {
	_, ok := os.LookupEnv(detachedMark)
	_ = os.Unsetenv(detachedMark)
	return ok
}()

// inBackground tells whether this process is to go to the background and has not
// yet. Under a supervisor nobody goes there.
func (s *storeSettings) inBackground() bool {
	return s.Bool("daemonize") && !s.supervised() && !detached
}

// goToBackground is daemonize. A Go program cannot fork, so it starts itself a
// second time, in a session of its own, with the same arguments and what it has
// read from standard input. It returns once that process runs; what becomes of it
// is said in its log.
func (s *storeSettings) goToBackground() error {
	exe, err := os.Executable()
	if err != nil {
		return failf(exitLocal, "daemonize: %s", err)
	}
	c := exec.Command(exe, os.Args[1:]...)
	c.Args[0] = os.Args[0] // the name decides who the program is
	c.Env = append(os.Environ(), detachedMark+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var in io.WriteCloser
	if s.stdin != "" {
		if in, err = c.StdinPipe(); err != nil {
			return failf(exitLocal, "daemonize: %s", err)
		}
	}
	if err := c.Start(); err != nil {
		return failf(exitLocal, "daemonize: %s", reason(err))
	}
	if in != nil {
		_, err = io.WriteString(in, s.stdin)
		if closeErr := in.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return failf(exitLocal, "daemonize: %s", reason(err))
		}
	}
	return c.Process.Release()
}
