package repair_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"limpet/internal/check"
	"limpet/internal/modeltest"
	"limpet/internal/repair"
	"limpet/vfs"
)

// A log that is one file, torn inside a transaction, and where it goes.
const (
	oneFrom = "/one/appendonly.aof"
	oneTo   = "/mended/appendonly.aof"
)

func oneFile(t testing.TB, fsys vfs.FS) (h *history, whole string) {
	t.Helper()
	h = newHistory("a", 20)
	must(t, fsys.Mkdir("/one", 0o755))
	put(t, fsys, oneFrom, string(h.log)+"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n")
	must(t, fsys.SyncDir("/one"))
	must(t, fsys.SyncDir("/"))
	return h, string(h.log)
}

func put(t testing.TB, fsys vfs.FS, path, text string) {
	t.Helper()
	f, err := vfs.Create(fsys, path)
	must(t, err)
	_, err = f.Write([]byte(text))
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func text(t testing.TB, fsys vfs.FS, path string) string {
	t.Helper()
	b, err := vfs.ReadFile(fsys, path)
	must(t, err)
	return string(b)
}

func TestWriteTo_OneFile_KeepsThePrefixAndTheCutBeside(t *testing.T) {
	disk := vfs.NewMem()
	h, whole := oneFile(t, disk)
	before := text(t, disk, oneFrom)
	p, err := repair.MakePlan(context.Background(), disk, oneFrom, repair.Options{})
	must(t, err)
	if p.Nothing() || len(p.Files) != 1 || p.Files[0].Commands != p.Commands() || int64(len(whole)) != p.Files[0].Cuts[0].From {
		t.Fatalf("plan %+v", p.Files[0])
	}
	must(t, p.WriteTo(context.Background(), disk, oneTo, now))
	if got := text(t, disk, oneTo); got != whole {
		t.Errorf("kept %d bytes of %d units, want %d", len(got), len(h.units), len(whole))
	}
	cut := p.Files[0].Cuts[0].SavedAs
	if !strings.HasPrefix(cut, oneTo+".cut-") || whole+text(t, disk, cut) != before {
		t.Errorf("the cut is in %s", cut)
	}
	if text(t, disk, oneFrom) != before {
		t.Error("the source has changed")
	}
	if all := contents(t, disk, "/mended"); len(all) != 2 {
		t.Errorf("left %d files", len(all))
	}
	var there *repair.ExistsError
	if err := p.WriteTo(context.Background(), disk, oneTo, later()); !errors.As(err, &there) {
		t.Errorf("written over what was there: %v", err)
	}
}

func TestWriteTo_OneFile_PowerCutAtEveryOperation_NothingOrTheWhole(t *testing.T) {
	rng := modeltest.Rand(t)
	for n := 0; ; n++ {
		disk := vfs.NewCrash()
		_, whole := oneFile(t, disk)
		mend := func(disk *vfs.Crash) error {
			p, err := repair.MakePlan(context.Background(), disk, oneFrom, repair.Options{})
			if err != nil {
				return err
			}
			return p.WriteTo(context.Background(), disk, oneTo, later())
		}
		disk.StopBefore(n)
		err := mend(disk)
		off := disk.PowerIsOff()
		if off != (err != nil) {
			t.Fatalf("operation %d: power off %v, yet %v", n, off, err)
		}
		for _, after := range []*vfs.Crash{disk.CrashImage(rng), disk.LoseUnsynced(), disk.KeepAll()} {
			if b, err := vfs.ReadFile(after, oneTo); err == nil && string(b) != whole {
				t.Fatalf("operation %d: %d bytes have the name", n, len(b))
			}
			var there *repair.ExistsError
			if err := mend(after); err != nil && !errors.As(err, &there) {
				t.Fatalf("operation %d, again: %v", n, err)
			}
			if text(t, after, oneTo) != whole {
				t.Fatalf("operation %d, again: not the whole", n)
			}
		}
		if !off {
			return
		}
	}
}

func TestInPlace_OneFile_PowerCutAtEveryOperation_OldOrNewAndACopy(t *testing.T) {
	rng := modeltest.Rand(t)
	for n := 0; ; n++ {
		disk := vfs.NewCrash()
		_, whole := oneFile(t, disk)
		old := text(t, disk, oneFrom)
		mend := func(disk *vfs.Crash) (string, error) {
			p, err := repair.MakePlan(context.Background(), disk, oneFrom, repair.Options{})
			if err != nil || p.Nothing() {
				return "", err
			}
			return p.InPlace(context.Background(), disk, later())
		}
		disk.StopBefore(n)
		kept, err := mend(disk)
		off := disk.PowerIsOff()
		if off != (err != nil) {
			t.Fatalf("operation %d: power off %v, yet %v", n, off, err)
		}
		for _, after := range []*vfs.Crash{disk.CrashImage(rng), disk.LoseUnsynced(), disk.KeepAll()} {
			switch now := text(t, after, oneFrom); {
			case now == whole && text(t, after, kept) == old:
			case now != old:
				t.Fatalf("operation %d: %d bytes, and no copy of the old ones", n, len(now))
			}
			if _, err := mend(after); err != nil {
				t.Fatalf("operation %d, again: %v", n, err)
			}
			if text(t, after, oneFrom) != whole {
				t.Fatalf("operation %d, again: not the whole", n)
			}
		}
		if !off {
			return
		}
	}
}

func TestWriteTo_OneRDB_IsSalvagedOnDemand(t *testing.T) {
	disk := vfs.NewMem()
	good := string(baseRDB(t, 5))
	put(t, disk, "/dump.rdb", good[:len(good)-20])
	var refused *repair.Refused
	if _, err := repair.MakePlan(context.Background(), disk, "/dump.rdb", repair.Options{}); !errors.As(err, &refused) || refused.Flag != "--salvage-base" {
		t.Fatalf("without being told to: %v", err)
	}
	p, err := repair.MakePlan(context.Background(), disk, "/dump.rdb", repair.Options{SalvageBase: true})
	must(t, err)
	must(t, p.WriteTo(context.Background(), disk, "/new.rdb", now))
	r, err := check.Inspect(context.Background(), disk, "/new.rdb", check.Options{})
	must(t, err)
	if r.Verdict != check.Sound || len(r.Dumps) != 1 || r.Dumps[0].Keys != p.Dumps[0].Keys || p.Dumps[0].Keys == 0 {
		t.Errorf("%v: %+v", r.Verdict, r.Dumps)
	}
}

func TestMakePlan_OneFileOfMany_IsRefused_AndTheWholeIsNamed(t *testing.T) {
	d := torn(t)
	disk := d.disk(t, vfs.NewMem())
	for _, name := range []string{baseName, firstName, secondName, manifestName} {
		var refused *repair.Refused
		_, err := repair.MakePlan(context.Background(), disk, from+"/appendonlydir/"+name, repair.Options{})
		if !errors.As(err, &refused) || refused.From != from {
			t.Errorf("%s: %v, instead %q", name, err, refused)
		}
	}
	// A file that no manifest names stands by itself.
	put(t, disk, from+"/appendonlydir/copy.aof", string(d.files[firstName]))
	p, err := repair.MakePlan(context.Background(), disk, from+"/appendonlydir/copy.aof", repair.Options{})
	if err != nil || p.Nothing() {
		t.Errorf("%v", err)
	}
}
