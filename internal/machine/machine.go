package machine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrUnknown is for facts that this system does not tell.
var ErrUnknown = errors.New("not known on this system")

// Mount is where a directory lies.
type Mount struct {
	Point    string // path of the mount
	Kind     string // of the file system, as in ext4
	Device   string
	ReadOnly bool
}

// Space is the room on a file system, in bytes and in inodes; 0 of the latter in
// all means that it has no such limit.
type Space struct {
	Free, Total             uint64
	FreeInodes, TotalInodes uint64
}

// Owner is who a file belongs to and what may be done with it.
type Owner struct {
	UID, GID int
	Mode     os.FileMode
}

// MountOf finds the mount that a directory lies on.
func MountOf(dir string) (Mount, error) {
	dir, err := realPath(dir)
	if err != nil {
		return Mount{}, err
	}
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return Mount{}, ErrUnknown
	}
	found := Mount{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(f[1])
		// Of mounts at the same place the latest counts.
		if within(point, dir) && len(point) >= len(found.Point) {
			found = Mount{point, f[2], f[0], slices.Contains(strings.Split(f[3], ","), "ro")}
		}
	}
	if found.Point == "" {
		return Mount{}, ErrUnknown
	}
	return found, nil
}

func realPath(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

func within(point, dir string) bool {
	return point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
}

// Overcommit is the kernel's vm.overcommit_memory.
func Overcommit() (string, error) { return setting("/proc/sys/vm/overcommit_memory") }

// HugePages is what the kernel does about transparent huge pages: always,
// madvise or never.
func HugePages() (string, error) {
	text, err := setting("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(text, "[")
	chosen, _, ok := strings.Cut(rest, "]")
	if !ok {
		return "", ErrUnknown
	}
	return chosen, nil
}

func setting(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", ErrUnknown
	}
	return strings.TrimSpace(string(b)), nil
}

// SyncLatency writes a small file in a directory, syncs it a number of times, as
// a log does, and removes it. It gives the times, shortest first.
func SyncLatency(dir string, times int) ([]time.Duration, error) {
	f, err := os.CreateTemp(dir, "limpet-doctor-*.tmp")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	took := make([]time.Duration, times)
	for i := range took {
		if _, err := f.WriteString("some bytes for the log to make durable\n"); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := datasync(f); err != nil {
			return nil, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took, nil
}
