package doctor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"limpet/internal/machine"
)

// ownMountsVar marks the process that has mounts of its own.
const ownMountsVar = "LIMPET_DOCTOR_OWN_MOUNTS"

// What the seams of the other tests stand for, for real: file systems that were
// mounted for it, owners, modes, the kernel's files. It happens in a process with
// a mount namespace of its own, so that nobody else sees any of it and nothing is
// left behind.
func TestPlace_OnRealMounts(t *testing.T) {
	if os.Getenv(ownMountsVar) == "" {
		if os.Getuid() != 0 {
			const why = "to mount a disk takes root: sudo -E go test ./internal/doctor"
			if os.Getenv("CI") != "" {
				t.Fatal(why) // where nothing is skipped
			}
			t.Skip(why)
		}
		self, err := os.Executable()
		must(t, err)
		cmd := exec.Command(self, "-test.run", "^TestPlace_OnRealMounts$", "-test.v")
		cmd.Env = append(os.Environ(), ownMountsVar+"=yes")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for _, row := range []struct {
		name string
		make func(t *testing.T, m *Machine) Subject
		want string
	}{
		{"in memory", func(t *testing.T, m *Machine) Subject {
			m.Mount = machine.MountOf
			return Subject{Dir: mount(t, "tmpfs", "", "size=1m")}
		}, "critical file-system"},
		{"in memory, read-only", func(t *testing.T, m *Machine) Subject {
			*m = ThisMachine()
			m.Space, m.Container = quiet().Space, quiet().Container
			m.Overcommit, m.HugePages = quiet().Overcommit, quiet().HugePages
			return Subject{Dir: mount(t, "tmpfs", "", "size=1m,mode=755,ro")}
		}, "critical file-system, critical read-only"},
		{"an overlay", func(t *testing.T, m *Machine) Subject {
			m.Mount = machine.MountOf
			return Subject{Dir: overlay(t)}
		}, "critical file-system, critical not-a-mount"},
		{"an ext4", func(t *testing.T, m *Machine) Subject {
			m.Mount, m.Space = machine.MountOf, machine.SpaceOf
			return Subject{Dir: ext4(t, "160m")}
		}, ""},
		{"a disk without room for a base", func(t *testing.T, m *Machine) Subject {
			m.Space = machine.SpaceOf
			return Subject{Dir: ext4(t, "40m")}
		}, "critical disk-low"},
		{"a disk without room for two", func(t *testing.T, m *Machine) Subject {
			m.Space = machine.SpaceOf
			dir := ext4(t, "160m")
			dump(t, dir, 8<<20)
			s, err := machine.SpaceOf(dir)
			must(t, err)
			ballast(t, dir, int64(s.Free)-int64(machine.NeedOf(0, 0).Rewrite)-12<<20)
			return Subject{Dir: dir}
		}, "warning disk-low"},
		{"a disk without inodes", func(t *testing.T, m *Machine) Subject {
			m.Space = machine.SpaceOf
			return Subject{Dir: ext4(t, "160m", "-N", "500")}
		}, "warning inodes-low"},
		{"in a container, beside its volumes", func(t *testing.T, m *Machine) Subject {
			m.Mount, m.Container = machine.MountOf, machine.Container
			must(t, syscall.Mount("limpet-test", "/run", "tmpfs", 0, ""))
			t.Cleanup(func() { _ = syscall.Unmount("/run", 0) })
			must(t, os.WriteFile("/run/.containerenv", nil, 0o644))
			dir, err := os.MkdirTemp("/", "limpet-doctor-")
			must(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			return Subject{Dir: dir}
		}, "critical not-a-mount"},
		{"a volume of a container that nobody has named", func(t *testing.T, m *Machine) Subject {
			m.Mount = machine.MountOf
			source, dir := filepath.Join(ext4(t, "40m"), "docker/volumes", digits, "_data"), t.TempDir()
			must(t, os.MkdirAll(source, 0o755))
			must(t, syscall.Mount(source, dir, "", syscall.MS_BIND, ""))
			t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
			return Subject{Dir: dir}
		}, "critical anonymous-volume"},
		{"another owner, and everybody may write", func(t *testing.T, m *Machine) Subject {
			m.Owner = machine.OwnerOf
			dir, file := t.TempDir(), filepath.Join(t.TempDir(), "c.yml")
			must(t, os.WriteFile(file, []byte("services: {r: {image: 'redis:7.2.6', command: redis-server --appendonly yes, volumes: ['./r:/data']}}"), 0o644))
			must(t, os.Chown(dir, 1000, 1000))
			must(t, os.Chmod(dir, 0o777))
			return Subject{Dir: dir, Compose: file}
		}, "warning open-mode, warning wrong-owner"},
		{"the owner of the image", func(t *testing.T, m *Machine) Subject {
			m.Owner = machine.OwnerOf
			dir, file := t.TempDir(), filepath.Join(t.TempDir(), "c.yml")
			must(t, os.WriteFile(file, []byte("services: {r: {image: 'redis:7.2.6', command: redis-server --appendonly yes, volumes: ['./r:/data']}}"), 0o644))
			must(t, os.Chown(dir, redisUID, redisUID))
			return Subject{Dir: dir, Compose: file}
		}, ""},
		{"a kernel that may refuse forks, and makes them dear", func(t *testing.T, m *Machine) Subject {
			m.Overcommit, m.HugePages = machine.Overcommit, machine.HugePages
			cover(t, "/proc/sys/vm/overcommit_memory", "0\n")
			cover(t, "/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
			return Subject{Dir: t.TempDir()}
		}, "info huge-pages, info overcommit"},
		{"a kernel as it should be", func(t *testing.T, m *Machine) Subject {
			m.Overcommit, m.HugePages = machine.Overcommit, machine.HugePages
			cover(t, "/proc/sys/vm/overcommit_memory", "1\n")
			cover(t, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
			return Subject{Dir: t.TempDir()}
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := quiet()
			s := row.make(t, &m)
			s.Machine = m
			if got := codes(examine(t, s)); got != row.want {
				t.Errorf("found %s\nwant  %s", got, row.want)
			}
		})
	}
}

// mount mounts a file system on a directory of its own.
func mount(t *testing.T, kind, device, options string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	readOnly := uintptr(0)
	if rest, ro := strings.CutSuffix(options, ",ro"); ro {
		options, readOnly = rest, syscall.MS_RDONLY
	}
	if device == "" {
		device = "limpet-test"
	}
	must(t, syscall.Mount(device, dir, kind, readOnly, options))
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	return dir
}

func overlay(t *testing.T) (dir string) {
	t.Helper()
	lies := mount(t, "tmpfs", "", "size=1m")
	options := ""
	for _, part := range []string{"lower", "upper", "work"} {
		must(t, os.Mkdir(filepath.Join(lies, part), 0o755))
		options += fmt.Sprintf(",%sdir=%s", part, filepath.Join(lies, part))
	}
	return mount(t, "overlay", "", options[1:])
}

// ext4 mounts one that lies in a file.
func ext4(t *testing.T, size string, options ...string) (dir string) {
	t.Helper()
	image := filepath.Join(mount(t, "tmpfs", "", "size=200m"), "image")
	run(t, "truncate", "-s", size, image)
	run(t, "mkfs.ext4", append(append([]string{"-q", "-m", "0"}, options...), image)...)
	dir = t.TempDir()
	run(t, "mount", "-o", "loop", image, dir) // the loop device goes with the mount
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	return dir
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s(Debian: apt-get install e2fsprogs mount)", name, strings.Join(args, " "), err, out)
	}
}

// dump writes a log whose base is at least so large.
func dump(t *testing.T, dir string, size int) {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(dir, "appendonlydir"), 0o755))
	for name, text := range map[string]string{
		"appendonly.aof.manifest": "file appendonly.aof.1.base.aof seq 1 type b\n" + named, "appendonly.aof.1.base.aof": strings.Repeat(good, size/len(good)+1), "appendonly.aof.1.incr.aof": good,
	} {
		must(t, os.WriteFile(filepath.Join(dir, "appendonlydir", name), []byte(text), 0o644))
	}
}

// ballast takes so many bytes of a disk.
func ballast(t *testing.T, dir string, size int64) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	must(t, syscall.Fallocate(int(f.Fd()), 0, 0, size))
	must(t, f.Close())
}

// cover puts other text in the place of a file of the kernel.
func cover(t *testing.T, path, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(file, []byte(text), 0o644))
	must(t, syscall.Mount(file, path, "", syscall.MS_BIND, ""))
	t.Cleanup(func() { must(t, syscall.Unmount(path, 0)) })
}
