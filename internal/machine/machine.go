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
	// Path is where the directory lies within the file system, from that one's
	// root. A container that sees a volume as /data tells here which one it is.
	Path string
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
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Mount{}, ErrUnknown
	}
	found := Mount{}
	for line := range strings.Lines(string(text)) {
		// Of mounts at the same place the latest counts.
		if m, ok := parseMount(line); ok && within(m.Point, dir) && len(m.Point) >= len(found.Point) {
			found = m
		}
	}
	if found.Point == "" {
		return Mount{}, ErrUnknown
	}
	found.Path = filepath.Join(found.Path, strings.TrimPrefix(dir, found.Point))
	return found, nil
}

// parseMount reads a line of /proc/self/mountinfo, see proc(5). Path is the root
// of the mount.
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext4 /dev/root rw,errors=continue
//	0  1  2    3     4     5                   + 1    2         3
func parseMount(line string) (m Mount, ok bool) {
	of, on, ok := strings.Cut(line, " - ")
	f, g := strings.Fields(of), strings.Fields(on)
	if !ok || len(f) < 6 || len(g) < 3 {
		return m, false
	}
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	readOnly := slices.Contains(strings.Split(f[5]+","+g[2], ","), "ro")
	return Mount{Point: plain.Replace(f[4]), Kind: g[0], Device: g[1], ReadOnly: readOnly, Path: plain.Replace(f[3])}, true
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

// Container is what tells that this program runs in a container of Docker, Podman
// or Kubernetes, "" when nothing does.
func Container() string { return containerAt("/") }

func containerAt(root string) string {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"} {
		if _, err := os.Stat(filepath.Join(root, mark)); err == nil {
			return mark
		}
	}
	return ""
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
