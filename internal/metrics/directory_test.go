package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"limpet/clock"
	"limpet/internal/machine"
	"limpet/internal/testredis"
	"limpet/vfs"
)

const mb = 1 << 20

// room is a file system with so much free.
func room(free uint64) func(string) (machine.Space, error) {
	return func(string) (machine.Space, error) {
		return machine.Space{Free: free, Total: 1 << 40, FreeInodes: 7, TotalInodes: 9}, nil
	}
}

func directoryOf(t *testing.T, d Directory, o Options) *Collector {
	c := NewDirectory(d, o)
	t.Cleanup(c.Close)
	return c
}

const manifest = "appendonlydir/appendonly.aof.manifest"

// whole is a directory with a log of two files and one more that a rewrite has
// replaced.
func whole(changes map[string]string) map[string]string {
	files := map[string]string{
		manifest: "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\nfile appendonly.aof.4.incr.aof seq 4 type i\nfile appendonly.aof.5.incr.aof seq 5 type i\n",
		"appendonlydir/appendonly.aof.2.base.rdb": strings.Repeat("b", 100),
		"appendonlydir/appendonly.aof.1.incr.aof": "h",
		"appendonlydir/appendonly.aof.4.incr.aof": strings.Repeat("i", 20),
		"appendonlydir/appendonly.aof.5.incr.aof": "",
	}
	for name, text := range changes {
		if files[name] = text; text == "-" {
			delete(files, name)
		}
	}
	return files
}

// TestDirectory_FromItsFilesAlone_TellsWhatIsWrong has each state of a directory,
// and what is told of it.
func TestDirectory_FromItsFilesAlone_TellsWhatIsWrong(t *testing.T) {
	for _, row := range []struct {
		name  string
		files map[string]string
		want  map[string]any
	}{
		{"sound", whole(nil), map[string]any{
			"limpet_directory_up": 1, "limpet_manifest_present": 1, "limpet_manifest_readable": 1, "limpet_manifest_sound": 1, "limpet_manifest_missing_files": 0,
			`limpet_manifest_sequence{type="base"}`: 2, `limpet_manifest_sequence{type="incr"}`: 5, `limpet_manifest_sequence{type="history"}`: "absent",
			`limpet_manifest_files{type="base"}`: 1, `limpet_manifest_files{type="incr"}`: 2, `limpet_manifest_files{type="history"}`: 1,
			`limpet_manifest_files_bytes{type="base"}`: 100, `limpet_manifest_files_bytes{type="incr"}`: 20, `limpet_manifest_files_bytes{type="history"}`: 1,
			"limpet_orphan_files": 0, "limpet_orphan_bytes": 0, "limpet_temp_files": 0, "limpet_stray_files": 0, "limpet_dump_size_bytes": "absent",
			"limpet_disk_free_bytes": float64(7 * mb), "limpet_disk_size_bytes": float64(1 << 40), "limpet_disk_free_inodes": 7, "limpet_disk_inodes": 9,
			"limpet_disk_need_bytes": float64(64*mb + 220), "limpet_disk_rewrite_need_bytes": float64(64*mb + 100),
		}},
		{"a file is missing", whole(map[string]string{"appendonlydir/appendonly.aof.4.incr.aof": "-"}), map[string]any{
			"limpet_manifest_readable": 1, "limpet_manifest_sound": 0, "limpet_manifest_missing_files": 1,
		}},
		{"an empty base", whole(map[string]string{"appendonlydir/appendonly.aof.2.base.rdb": ""}), map[string]any{
			"limpet_manifest_readable": 1, "limpet_manifest_sound": 0, "limpet_manifest_missing_files": 0,
		}},
		{"a newer incr that is not named", whole(map[string]string{"appendonlydir/appendonly.aof.6.incr.aof": "orphan"}), map[string]any{
			"limpet_manifest_sound": 0, "limpet_orphan_files": 1, "limpet_orphan_bytes": 6, `limpet_manifest_sequence{type="incr"}`: 5,
		}},
		{"an old base that is not named", whole(map[string]string{"appendonlydir/appendonly.aof.1.base.rdb": "old"}), map[string]any{
			"limpet_manifest_sound": 1, "limpet_orphan_files": 0, "limpet_stray_files": 1, "limpet_stray_bytes": 3,
		}},
		{"no manifest", whole(map[string]string{manifest: "-"}), map[string]any{
			"limpet_manifest_present": 0, "limpet_manifest_readable": "absent", "limpet_manifest_sound": 0, "limpet_orphan_files": 3, "limpet_orphan_bytes": 121,
		}},
		{"a manifest that is torn", whole(map[string]string{manifest: "file appendonly.aof.2.base.rdb seq 2 ty"}), map[string]any{
			"limpet_manifest_present": 1, "limpet_manifest_readable": 0, "limpet_manifest_sound": 0, "limpet_orphan_files": 0, "limpet_manifest_missing_files": "absent",
		}},
		{"sequence numbers that fall", whole(map[string]string{manifest: "file appendonly.aof.5.incr.aof seq 5 type i\nfile appendonly.aof.4.incr.aof seq 4 type i\n"}), map[string]any{
			"limpet_manifest_readable": 0, "limpet_manifest_sound": 0,
		}},
		{"temporary files", whole(map[string]string{"temp-rewriteaof-77.aof": "123", "temp-77.rdb": "1", "appendonlydir/temp-appendonly.aof.incr": "12"}), map[string]any{
			"limpet_temp_files": 3, "limpet_temp_bytes": 6, "limpet_stray_files": 3, "limpet_stray_bytes": 6, "limpet_manifest_sound": 1,
		}},
		{"a dump alone", map[string]string{"dump.rdb": "12345", "old.rdb": "1"}, map[string]any{
			"limpet_manifest_present": 0, "limpet_manifest_sound": "absent", "limpet_dump_size_bytes": 5, "limpet_disk_rewrite_need_bytes": float64(64*mb + 6),
		}},
		{"nothing", map[string]string{"readme": ""}, map[string]any{
			"limpet_directory_up": 1, "limpet_manifest_present": 0, "limpet_manifest_sound": "absent", "limpet_orphan_files": 0, "limpet_disk_need_bytes": float64(64 * mb),
		}},
		{"another server's log", map[string]string{"appendonlydir/other.aof.1.incr.aof": "x"}, map[string]any{
			"limpet_manifest_present": 0, "limpet_manifest_sound": "absent", "limpet_orphan_files": 0,
		}},
	} {
		mem := vfs.NewMem()
		lay(t, mem, "/d", row.files)
		later := clock.NewFake(time.Now().Add(time.Hour))
		c := directoryOf(t, Directory{Dir: "/d/", FS: mem, Space: room(7 * mb)}, Options{Clock: later})
		scraped(t, c).want(t, row.name, row.want)
	}
}

// A temporary file that grows is somebody's work and no stray.
func TestDirectory_TemporaryFileOfNow_IsNoStray(t *testing.T) {
	mem := vfs.NewMem()
	lay(t, mem, "/d", whole(map[string]string{"temp-rewriteaof-77.aof": "123", "appendonlydir/appendonly.aof.1.base.rdb": "old"}))
	c := directoryOf(t, Directory{Dir: "/d", FS: mem, Space: room(1)}, Options{})
	scraped(t, c).want(t, "now", map[string]any{"limpet_temp_files": 1, "limpet_stray_files": 0, "limpet_stray_bytes": 0})
}

// A server that rotates its log between our reading of the manifest and of the
// directory is not called unsound for it.
func TestDirectory_ManifestChangesMeanwhile_IsLookedAtAgain(t *testing.T) {
	mem := vfs.NewMem()
	lay(t, mem, "/d", whole(nil))
	var reads atomic.Int32
	moving := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if strings.HasSuffix(op.Path, ".manifest") && op.Kind == vfs.OpOpen && reads.Add(1) == 1 {
			lay(t, mem, "/d", map[string]string{"appendonlydir/appendonly.aof.6.incr.aof": "new"})
			_ = mem.Remove("/d/appendonlydir/appendonly.aof.2.base.rdb")
			lay(t, mem, "/d", map[string]string{manifest: "file appendonly.aof.5.incr.aof seq 5 type i\nfile appendonly.aof.6.incr.aof seq 6 type i\n"})
		}
		return vfs.Fault{}
	})
	c := directoryOf(t, Directory{Dir: "/d", FS: moving, Space: room(1)}, Options{})
	scraped(t, c).want(t, "rotated meanwhile", map[string]any{
		"limpet_manifest_sound": 1, "limpet_manifest_missing_files": 0, "limpet_orphan_files": 0,
		`limpet_manifest_sequence{type="incr"}`: 6, `limpet_manifest_files{type="base"}`: 0,
	})
	if reads.Load() < 2 {
		t.Errorf("the manifest was read %d times", reads.Load())
	}
}

func TestDirectory_ThatCannotBeRead_IsDownAndNothingElse(t *testing.T) {
	gone := directoryOf(t, Directory{Dir: filepath.Join(t.TempDir(), "gone")}, Options{})
	if s := scraped(t, gone); len(s) != 1 || s["limpet_directory_up"] != 0 {
		t.Errorf("%v", s)
	}
	mem := vfs.NewMem()
	lay(t, mem, "/d", whole(nil))
	unknown := directoryOf(t, Directory{Dir: "/d", FS: mem, Space: func(string) (machine.Space, error) { return machine.Space{}, machine.ErrUnknown }}, Options{})
	scraped(t, unknown).want(t, "no space known", map[string]any{"limpet_disk_free_bytes": "absent", "limpet_disk_free_inodes": "absent", "limpet_manifest_sound": 1})
}

// TestDirectory_OfARealServer looks at what redis-server writes, with it running
// and dead.
func TestDirectory_OfARealServer(t *testing.T) {
	real := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	c := directoryOf(t, Directory{Dir: real.Dir()}, Options{})
	real.Do("SET", "k", "v")
	scraped(t, c).want(t, "fresh", map[string]any{
		"limpet_directory_up": 1, "limpet_manifest_sound": 1, `limpet_manifest_sequence{type="incr"}`: 1, "limpet_dump_size_bytes": "absent",
	})
	for n := 2; n <= 4; n++ {
		real.Do("BGREWRITEAOF")
		for done := false; !done; { // looked at all the time while it rotates
			info := fmt.Sprint(real.Do("INFO", "persistence"))
			done = strings.Contains(info, fmt.Sprintf("aof_rewrites:%d\r", n-1)) && strings.Contains(info, "aof_rewrite_in_progress:0\r")
			scraped(t, c).want(t, "rewriting", map[string]any{"limpet_directory_up": 1, "limpet_manifest_sound": 1, "limpet_orphan_files": 0, "limpet_stray_files": 0})
		}
	}
	real.Do("SAVE")
	scraped(t, c).want(t, "rewritten", map[string]any{`limpet_manifest_sequence{type="base"}`: 4, `limpet_manifest_files{type="incr"}`: 1})
	real.Kill()
	s := scraped(t, c)
	s.want(t, "dead", map[string]any{"limpet_directory_up": 1, "limpet_manifest_sound": 1})
	if s["limpet_dump_size_bytes"] < 50 || time.Since(time.Unix(int64(s["limpet_dump_modified_timestamp_seconds"]), 0)) > time.Minute {
		t.Errorf("the dump: %v", s)
	}
	if err := os.Remove(filepath.Join(real.Dir(), "appendonlydir", "appendonly.aof.manifest")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	scraped(t, c).want(t, "manifest lost", map[string]any{"limpet_manifest_present": 0, "limpet_manifest_sound": 0})
}
