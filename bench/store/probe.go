package main

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

// probe asks PING every millisecond on a connection of its own and gives the
// longest wait for an answer in milliseconds.
//
// It waits in the kernel, on a thread of its own with a priority above all others
// where that is allowed, since it is to measure when the server answers, and not
// when a busy machine lets the prober look.
func (p *process) probe(ctx context.Context) (worst float64) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and its priority with it
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), -15)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: p.port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	answer := make([]byte, 64)
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := syscall.Write(fd, []byte("PING\r\n")); err != nil {
			return worst
		}
		if n, err := syscall.Read(fd, answer); err != nil || n == 0 {
			return worst
		}
		worst = max(worst, float64(time.Since(began).Microseconds())/1000)
		_ = syscall.Nanosleep(&syscall.Timespec{Nsec: int64(time.Millisecond)}, nil)
	}
	return worst
}
