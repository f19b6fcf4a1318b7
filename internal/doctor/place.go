package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"al.essio.dev/pkg/shellescape"

	"limpet/internal/machine"
)

// redisUID is the user that the official image runs its server as.
const redisUID = 999

// badKinds are file systems on which a sync may promise what it does not keep,
// or renames and locks work differently.
var badKinds = map[string]string{
	"tmpfs":      "lives in memory: everything is gone when the machine or the container ends",
	"ramfs":      "lives in memory: everything is gone when the machine ends",
	"overlay":    "is the container's own layer: everything is gone when the container is removed",
	"nfs":        "is on another machine: a sync depends on its settings, and locks may not hold",
	"nfs4":       "is on another machine: a sync depends on its settings, and locks may not hold",
	"cifs":       "is on another machine: a sync depends on its settings",
	"smb3":       "is on another machine: a sync depends on its settings",
	"9p":         "is shared by the host of a virtual machine: a sync may not reach the disk",
	"virtiofs":   "is shared by the host of a virtual machine: a sync may not reach the disk",
	"vfat":       "has no journal: a power cut may damage it",
	"exfat":      "has no journal: a power cut may damage it",
	"fuseblk":    "runs outside the kernel: a sync may not reach the disk",
	"fuse.sshfs": "is on another machine: a sync may not reach the disk",
}

// place looks at where the directory lies.
func (e *examination) place() {
	if m, err := e.Machine.Mount(e.Dir); err == nil {
		e.mount(m)
	}
	if s, err := e.Machine.Space(e.Dir); err == nil {
		e.room(s.Free, s.FreeInodes, s.TotalInodes)
	}
	if o, err := e.Machine.Owner(e.Dir); err == nil {
		if e.image != "" && o.UID != redisUID && o.UID != 0 {
			e.add(WrongOwner, Warning, "the directory belongs to another user than the one that the container's server runs as", fmt.Sprintf("chown -R %d:%d %s", redisUID, redisUID, e.typed()), "%s belongs to user %d, and %s runs as %d", e.Dir, o.UID, e.image, redisUID)
		}
		if o.Mode.Perm()&0o002 != 0 {
			e.add(OpenMode, Warning, "anybody on the machine may change the files", "chmod o-w "+e.typed(), "%s has mode %v", e.Dir, o.Mode)
		}
	}
	e.sync()
}

// volatile are file systems that end with the machine or the container.
var volatile = []string{"tmpfs", "ramfs", "overlay"}

func (e *examination) mount(m machine.Mount) {
	if bad := badKinds[m.Kind]; bad != "" {
		e.add(FileSystem, worseIf(slices.Contains(volatile, m.Kind)), "the file system of the directory "+bad, "move the directory to a local disk, as in ext4 or xfs", "%s on %s is %s", e.Dir, m.Point, m.Kind)
	}
	if m.ReadOnly {
		e.add(ReadOnly, Critical, "the file system is mounted read-only: no write can be kept", fmt.Sprintf("mount -o remount,rw %s; look into dmesg why it became so", shellescape.Quote(m.Point)), "%s is mounted ro", m.Point)
	}
	e.volume(m)
}

// Where engines keep what is written in a container without a volume, and
// volumes that nobody has named: theirs is a number of 64 digits.
var (
	layers = regexp.MustCompile(`/overlay2?/[0-9a-f]{64}(-init)?/(diff|merged)(/|$)|/(btrfs/subvolumes|zfs/graph|vfs/dir)/[0-9a-f]{64}(/|$)|/snapshots/\d+/fs(/|$)`)
	nobody = regexp.MustCompile(`/volumes/[0-9a-f]{64}/_data(/|$)`)
)

// volume looks whether the directory outlives its container. In one, everything
// that is not mounted from outside lies on the mount at /.
func (e *examination) volume(m machine.Mount) {
	const do = "mount a volume there, as in volumes: [./volumes/redis:/data]"
	const gone = "the directory is the container's own: docker compose down, or a new image, throws the data away"
	inside := e.Machine.Container()
	switch {
	case m.Kind == "overlay":
		e.add(NotAMount, Critical, gone, do, "%s lies on %s, an overlay", e.Dir, m.Point)
	case layers.MatchString(m.Path):
		e.add(NotAMount, Critical, gone, do, "%s lies in a layer of the engine, %s", e.Dir, m.Path)
	case inside != "" && m.Point == "/":
		e.add(NotAMount, Critical, gone, do, "%s lies on / in a container (there is %s)", e.Dir, inside)
	case nobody.MatchString(m.Path):
		e.add(AnonymousVolume, Critical, "the directory is a volume without a name: every docker compose down leaves it behind, and the next up starts empty with another", "volumes: [./volumes/redis:/data]", "%s is %s", e.Dir, m.Path)
	}
}

func (e *examination) room(free, freeInodes, inodes uint64) {
	need := machine.NeedOf(e.base, e.growth)
	do := "df -h " + e.typed() + "; make room, or move the directory to a larger disk"
	switch {
	case free < need.Rewrite:
		e.add(DiskLow, Critical, "the disk has no room for a rewrite of the log: it will fill up, and then writes are refused", do, "%s free; the data take %s", size(free), size(uint64(e.base)))
	case free < need.Safe:
		e.add(DiskLow, Warning, "the disk is short of room: a rewrite needs a new base beside the old one, and the log grows meanwhile", do, "%s free; two bases and the growth of the log take %s", size(free), size(uint64(2*e.base+e.growth)))
	}
	if inodes > 0 && freeInodes < machine.LeastInodes {
		e.add(InodesLow, Warning, "the file system runs out of inodes: no file can be created, whatever room there is", "df -i "+e.typed(), "%d of %d inodes free", freeInodes, inodes)
	}
}

// typed is the data directory as it is typed.
func (e *examination) typed() string { return shellescape.Quote(e.Dir) }

// size is a number of bytes for people.
func size(n uint64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// sync measures how long one takes. The median counts: single slow ones happen
// on any disk.
func (e *examination) sync() {
	const times = 15
	took, err := e.Machine.SyncLatency(e.Dir, times)
	if err != nil || len(took) == 0 {
		return
	}
	median := took[len(took)/2]
	switch evidence := fmt.Sprintf("of %d syncs half took more than %v, the slowest %v", len(took), median.Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond)); {
	case median > 100*time.Millisecond:
		e.add(SlowSync, Warning, "a sync takes very long: under appendfsync always every write waits for one, under everysec writers stall", "use a faster disk, or see what else writes: iostat -x 1", "%s", evidence)
	case median > 10*time.Millisecond:
		e.add(SlowSync, Info, "a sync takes long: under appendfsync always every write waits for one", "iostat -x 1", "%s", evidence)
	}
}

// kernel looks at settings that a server which forks depends on; Limpet does not.
func (e *examination) kernel() {
	severity := Warning
	if e.info["redis_build_id"] == "limpet" || e.info == nil && e.image == "" {
		severity = Info
	}
	if v, err := e.Machine.Overcommit(); err == nil && v != "1" {
		e.add(Overcommit, severity, "the kernel may refuse a fork: then redis-server can neither save nor rewrite its log (Limpet does not fork)", "sysctl vm.overcommit_memory=1, and the same in /etc/sysctl.d", "vm.overcommit_memory is %s", v)
	}
	if v, err := e.Machine.HugePages(); err == nil && v == "always" {
		e.add(HugePages, severity, "transparent huge pages make every write during a save copy two megabytes: redis-server stalls and needs twice the memory (Limpet does not fork)", "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled", "transparent_hugepage is [%s]", v)
	}
}
