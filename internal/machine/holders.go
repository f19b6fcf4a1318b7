package machine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder is a process that has a file open.
type Holder struct {
	PID  int
	Name string // of the program
	File string
}

// Holders is the processes, but for this one, that have files in a directory
// open for writing, as far as the system tells: Linux does of one's own
// processes, and of all to root.
func Holders(dir string) (found []Holder) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if file := openIn(process, dir); file != "" {
			name, _ := os.ReadFile(filepath.Join(process, "comm"))
			found = append(found, Holder{pid, strings.TrimSpace(string(name)), file})
		}
	}
	return found
}

// openIn is a file in a directory, or below, that a process may write to.
func openIn(process, dir string) string {
	open, err := os.ReadDir(filepath.Join(process, "fd"))
	if err != nil {
		return "" // gone, or somebody else's
	}
	for _, fd := range open {
		target, err := os.Readlink(filepath.Join(process, "fd", fd.Name()))
		if err != nil || !strings.HasPrefix(target, dir+"/") {
			continue
		}
		const canWrite = 3 // O_WRONLY | O_RDWR
		if info, err := os.ReadFile(filepath.Join(process, "fdinfo", fd.Name())); err == nil && flagsOf(string(info))&canWrite == 0 {
			continue
		}
		return target
	}
	return ""
}

func flagsOf(fdinfo string) int64 {
	for line := range strings.Lines(fdinfo) {
		if text, ok := strings.CutPrefix(line, "flags:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(text), 8, 64)
			return n
		}
	}
	return 0
}
