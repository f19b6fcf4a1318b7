package crash

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownMountsVar marks the process that has mounts of its own.
const ownMountsVar = "LIMPET_CRASH_OWN_MOUNTS"

// runInOwnMounts runs this test binary again, with a mount namespace of its own,
// and gives its exit code. Nobody else sees the disks that tests mount there, and
// they are gone with the last process in it, however the tests end. It is not ok
// where that is not allowed.
func runInOwnMounts() (code int, ok bool) {
	self, err := os.Executable()
	if err != nil {
		return 0, false
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), ownMountsVar+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if cmd.Start() != nil {
		return 0, false
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), true
}

// smallDisk is a real file system of a few megabytes, mounted for one test.
type smallDisk struct {
	dir   string // where it is mounted
	image string // what it lies in, "" for one in memory
	room  string // a file that takes up room
	// trouble is what the system may say when the disk does not do what it should.
	trouble []string
}

const (
	noSpace = "No space left on device"
	ioError = "Input/output error"
)

const smallDiskSize = "24m"

// newTmpfs mounts one that lies in memory.
func newTmpfs(t *testing.T, size string) *smallDisk {
	t.Helper()
	if os.Getenv(ownMountsVar) == "" {
		const why = "to mount a disk takes root, and the right to: sudo -E go test ./test/crash"
		if os.Getenv("CI") != "" {
			t.Fatal(why) // where nothing is skipped
		}
		t.Skip(why)
	}
	d := &smallDisk{dir: t.TempDir(), trouble: []string{noSpace}}
	if err := syscall.Mount("limpet-test", d.dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.unmount(t) })
	d.room = filepath.Join(d.dir, "ballast")
	return d
}

// newExt4 mounts an ext4 that lies in a file.
func newExt4(t *testing.T) *smallDisk {
	t.Helper()
	lies := newTmpfs(t, "40m")
	d := &smallDisk{dir: t.TempDir(), image: filepath.Join(lies.dir, "image"), trouble: []string{noSpace}}
	d.format(t, smallDiskSize)
	d.room = filepath.Join(d.dir, "ballast")
	return d
}

// newThinExt4 mounts an ext4 on a device that has less room than it says: what
// write(2) has taken may then fail to be synced. The room that is taken up is the
// device's; what the file system needs for itself is there.
func newThinExt4(t *testing.T) *smallDisk {
	t.Helper()
	lies := newTmpfs(t, smallDiskSize)
	d := &smallDisk{dir: t.TempDir(), image: filepath.Join(lies.dir, "image"), room: lies.room, trouble: []string{noSpace, ioError}}
	d.format(t, "64m")
	if err := syscall.Unmount(d.dir, 0); err != nil {
		t.Fatal(err)
	}
	d.allocateOwnBlocks(t)
	d.mount(t)
	return d
}

// allocateOwnBlocks writes all blocks of the image that are in use anew, as they
// are: zeros among them had been left out.
func (d *smallDisk) allocateOwnBlocks(t *testing.T) {
	t.Helper()
	report := d.command(t, "dumpe2fs", d.image)
	var blocks, size int64
	free := map[int64]bool{}
	for line := range strings.Lines(report) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch value = strings.TrimSpace(value); name {
		case "Block count":
			blocks, _ = strconv.ParseInt(value, 10, 64)
		case "Block size":
			size, _ = strconv.ParseInt(value, 10, 64)
		case "Free blocks":
			for _, part := range strings.Split(value, ", ") {
				from, to, isRange := strings.Cut(part, "-")
				if !isRange {
					to = from
				}
				first, _ := strconv.ParseInt(from, 10, 64)
				last, err := strconv.ParseInt(to, 10, 64)
				for b := first; err == nil && b <= last; b++ {
					free[b] = true
				}
			}
		}
	}
	f, err := os.OpenFile(d.image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, size)
	for b := range blocks {
		if free[b] {
			continue
		}
		if _, err := f.ReadAt(block, b*size); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(block, b*size); err != nil {
			t.Fatal(err)
		}
	}
}

// format writes an empty file system into the image, all of its own blocks
// included, and mounts it.
func (d *smallDisk) format(t *testing.T, size string) {
	t.Helper()
	d.command(t, "truncate", "--size", size, d.image)
	d.command(t, "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", d.image)
	d.mount(t)
	t.Cleanup(func() { d.unmount(t) })
}

func (d *smallDisk) mount(t *testing.T) {
	t.Helper()
	d.command(t, "mount", "-o", "loop", d.image, d.dir) // the loop device goes with the mount
}

// unmount also serves a disk that has been unmounted already.
func (d *smallDisk) unmount(t *testing.T) {
	t.Helper()
	if err := syscall.Unmount(d.dir, 0); err != nil && !errors.Is(err, syscall.EINVAL) {
		t.Errorf("unmount: %v", err)
		_ = syscall.Unmount(d.dir, syscall.MNT_DETACH)
	}
}

func (d *smallDisk) command(t *testing.T, name string, args ...string) (output string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s(Debian: apt-get install e2fsprogs mount)", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fill takes up all the room but some.
func (d *smallDisk) fill(t *testing.T, leave int64) {
	t.Helper()
	d.settle(t)
	f, err := os.OpenFile(d.room, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for chunk := make([]byte, 1<<20); len(chunk) >= 512; {
		if _, err = f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("not full, but: %v", err)
	}
	size, err := f.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(max(0, size-leave)), f.Sync()); err != nil {
		t.Fatal(err)
	}
}

// settle lets the file system write all that it has put off, so that nothing of its
// own is on the way to a device that has no room.
func (d *smallDisk) settle(t *testing.T) {
	t.Helper()
	f, err := os.Open(d.dir)
	if err == nil {
		err = errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// empty gives the room back.
func (d *smallDisk) empty(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.room); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// cutPower ends the file system at once, as it is on its device: what has not been
// synced is lost, and everything fails from here on. (EXT4_IOC_SHUTDOWN without a
// flush of the journal.)
func (d *smallDisk) cutPower(t *testing.T) {
	t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d.trouble = []string{ioError}
	const shutdown, withoutFlush = 0x8004587d, 2
	var flags [4]byte
	binary.NativeEndian.PutUint32(flags[:], withoutFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		t.Fatal(errno)
	}
}

// restore mounts what the device has.
func (d *smallDisk) restore(t *testing.T) {
	t.Helper()
	if err := syscall.Unmount(d.dir, 0); err != nil {
		t.Fatal(err)
	}
	d.mount(t)
}
