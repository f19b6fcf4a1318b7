package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// beGentle puts this process behind all others, so that a backup does not slow
// down the server that it copies. It is a request, and may be refused.
func beGentle() {
	const (
		niceness = 19
		idle     = 3 << 13 // ioprio class "idle": the disk when nobody else wants it
		process  = 1
	)
	// Priorities belong to threads; those made later inherit theirs. Of the class of
	// idle processes the kernel takes the processor away as soon as the server wakes
	// up; niceness counts where that class is refused.
	threads, _ := filepath.Glob("/proc/self/task/*")
	for _, thread := range threads {
		id, err := strconv.Atoi(filepath.Base(thread))
		if err != nil {
			continue
		}
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness)
		_ = unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, process, uintptr(id), idle)
	}
}

// freeMemory is what the kernel thinks can be had without swapping, in bytes; 0
// when it does not say.
func freeMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
