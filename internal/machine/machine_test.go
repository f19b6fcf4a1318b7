package machine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// On the machine that runs the test every fact is there and makes sense.
func TestFacts_OfThisMachine(t *testing.T) {
	dir := t.TempDir()
	m, err := MountOf(dir)
	must(t, err)
	if m.Kind == "" || m.ReadOnly || !within(m.Point, dir) {
		t.Errorf("mount %+v of %s", m, dir)
	}
	if m.Path != filepath.Join("/", m.Path) || !strings.HasSuffix(m.Path, strings.TrimPrefix(dir, m.Point)) {
		t.Errorf("path %s of %s on %s", m.Path, dir, m.Point)
	}
	if proc, err := MountOf("/proc/self"); err != nil || proc.Kind != "proc" || proc.Point != "/proc" {
		t.Errorf("mount %+v of /proc/self: %v", proc, err)
	}
	s, err := SpaceOf(dir)
	if err != nil || s.Free == 0 || s.Free > s.Total || s.FreeInodes > s.TotalInodes {
		t.Errorf("space %+v: %v", s, err)
	}
	must(t, os.Chmod(dir, 0o751))
	if o, err := OwnerOf(dir); err != nil || o.UID != os.Getuid() || o.Mode.Perm() != 0o751 {
		t.Errorf("owner %+v: %v", o, err)
	}
	if v, err := Overcommit(); err != nil || !slices.Contains([]string{"0", "1", "2"}, v) {
		t.Errorf("overcommit %q: %v", v, err)
	}
	if v, err := HugePages(); err != nil && !errors.Is(err, ErrUnknown) || err == nil && !slices.Contains([]string{"always", "madvise", "never"}, v) {
		t.Errorf("huge pages %q: %v", v, err)
	}
}

func TestSyncLatency_MeasuresAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	took, err := SyncLatency(dir, 5)
	must(t, err)
	if len(took) != 5 || took[0] <= 0 || !slices.IsSorted(took) {
		t.Errorf("took %v", took)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if _, err := SyncLatency(filepath.Join(dir, "none"), 1); err == nil {
		t.Error("measured in a directory that is not there")
	}
}

func TestHolders_FindsWhoWrites_AndNotWhoReads(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, []byte("x"), 0o644))
	start := func(flag int) *exec.Cmd {
		f, err := os.OpenFile(path, flag, 0)
		must(t, err)
		cmd := exec.Command("sleep", "60")
		cmd.Stdin = f
		must(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		must(t, f.Close())
		return cmd
	}
	start(os.O_RDONLY)
	if found := Holders(dir); len(found) != 0 {
		t.Errorf("a reader: %+v", found)
	}
	writer := start(os.O_RDWR)
	found := Holders(dir)
	if len(found) != 1 || found[0].PID != writer.Process.Pid || found[0].Name != "sleep" || filepath.Base(found[0].File) != "file" {
		t.Errorf("found %+v, want process %d", found, writer.Process.Pid)
	}
}

func TestNeedOf_ARewriteNeedsANewBase_AndSafetyTheGrowthToo(t *testing.T) {
	const mb = 1 << 20
	if n := NeedOf(100*mb, 30*mb); n.Rewrite != 164*mb || n.Safe != 294*mb {
		t.Errorf("%+v", n)
	}
	if n := NeedOf(0, 0); n.Rewrite != 64*mb || n.Safe != 64*mb {
		t.Errorf("of nothing: %+v", n)
	}
}

func TestParseMount_LinesOfTheKernel(t *testing.T) {
	for line, want := range map[string]Mount{
		"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext4 /dev/root rw,errors=continue\n": {Point: "/mnt2", Kind: "ext4", Device: "/dev/root", Path: "/mnt1"},
		`36 35 98:0 / /a\040b rw - tmpfs none ro`:                                          {Point: "/a b", Kind: "tmpfs", Device: "none", Path: "/", ReadOnly: true},
		"36 35 98:0 / /a ro,nodev - xfs /dev/sda rw":                                       {Point: "/a", Kind: "xfs", Device: "/dev/sda", Path: "/", ReadOnly: true},
	} {
		if have, ok := parseMount(line); !ok || have != want {
			t.Errorf("%q: %+v, want %+v", line, have, want)
		}
	}
	for _, line := range []string{"", "\n", "36 35 98:0 / /a rw", "- - -"} {
		if m, ok := parseMount(line); ok {
			t.Errorf("%q is taken for %+v", line, m)
		}
	}
}

func TestContainer_IsToldByWhatTheEngineLeavesInIt(t *testing.T) {
	root := t.TempDir()
	if mark := containerAt(root); mark != "" {
		t.Errorf("no container, and %s", mark)
	}
	must(t, os.MkdirAll(filepath.Join(root, "run"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "run/.containerenv"), nil, 0o644))
	if mark := containerAt(root); mark != "/run/.containerenv" {
		t.Errorf("told by %q", mark)
	}
}
