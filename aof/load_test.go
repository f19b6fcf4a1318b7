package aof

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/vfs"
)

// layout writes a directory: names below the data directory, and contents.
func layout(t *testing.T, files map[string]string) *vfs.Crash {
	t.Helper()
	disk := newDisk(t)
	for name, text := range files {
		put(t, disk, home+"/"+name, []byte(text))
	}
	return disk
}

const (
	sub      = "appendonlydir/"
	manifest = sub + "appendonly.aof.manifest"
	base1    = sub + "appendonly.aof.1.base.rdb"
	incr1    = sub + "appendonly.aof.1.incr.aof"
	incr2    = sub + "appendonly.aof.2.incr.aof"

	names1  = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
	names12 = names1 + "file appendonly.aof.2.incr.aof seq 2 type i\n"
)

func units(n int) string {
	log, _, _ := sample(n)
	return string(log)
}

// wantUntouched opens a directory that must be refused, and compares its files.
func wantUntouched(t *testing.T, files map[string]string) error {
	t.Helper()
	disk := layout(t, files)
	before := snapshot(t, disk, home)
	err := (&store{fs: disk}).open(nil)
	if err == nil {
		t.Fatal("accepted")
	}
	if diff := cmp.Diff(before, snapshot(t, disk, home)); diff != "" {
		t.Errorf("refused, and yet changed:\n%s", diff)
	}
	return err
}

func TestLoad_FilesWithoutManifest_AreRefusedUntouched(t *testing.T) { // trap C
	for _, files := range []map[string]string{
		{incr1: units(3)},
		{base1: string(ledger{"x"}.rdb()), incr1: ""},
		{sub + "appendonly.aof": units(1)},
		{incr1: units(3), "appendonly.aof": units(2)},
		{incr1: units(3), manifest: "# restored by hand\n"},
	} {
		err := wantUntouched(t, files)
		var e *OrphanError
		if !errors.As(err, &e) || len(e.Files) != 1 {
			t.Errorf("%v: got %v", files, err)
		}
	}
}

func TestLoad_FilesNewerThanTheManifest_AreRefusedUntouched(t *testing.T) {
	err := wantUntouched(t, map[string]string{manifest: names1, base1: string(ledger{"x"}.rdb()), incr1: units(2), incr2: units(1)})
	const want = "aof: /data/appendonlydir: appendonly.aof.manifest does not name appendonly.aof.2.incr.aof: refusing to start over files newer than the manifest"
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestLoad_MissingFile_IsRefusedUntouched(t *testing.T) {
	err := wantUntouched(t, map[string]string{manifest: names12, base1: string(ledger{"x"}.rdb())})
	var e *MissingError
	if !errors.As(err, &e) || !slices.Equal(e.Files, []string{"appendonly.aof.1.incr.aof", "appendonly.aof.2.incr.aof"}) {
		t.Errorf("got %v", err)
	}
}

func TestReplay_TornFileBeforeAnother_IsRefusedUntouched(t *testing.T) { // trap A
	_, torn := unit(2)
	for _, last := range []string{"", units(1)} {
		err := wantUntouched(t, map[string]string{
			manifest: names12, base1: string(ledger{"x"}.rdb()),
			incr1: units(2) + string(torn[:40]), incr2: last,
		})
		var hole *HoleError
		if !errors.As(err, &hole) || !errors.Is(err, ErrTruncated) || hole.Next != "appendonly.aof.2.incr.aof" || hole.Torn.Commands != 2 {
			t.Errorf("got %v", err)
		}
	}
}

func TestReplay_ShortBase_IsDamageNotEmptiness(t *testing.T) { // trap B
	whole := string(ledger{"x", "y"}.rdb())
	for _, short := range []string{"", "R", "REDI", strings.Repeat("\x00", 50)} {
		err := wantUntouched(t, map[string]string{manifest: names1, base1: short, incr1: ""})
		if !errors.Is(err, ErrDamaged) || errors.Is(err, ErrTruncated) {
			t.Errorf("base of %q: %v", short, err)
		}
	}
	if err := wantUntouched(t, map[string]string{manifest: names1, base1: whole[:len(whole)-1], incr1: units(1)}); errors.Is(err, ErrTruncated) {
		t.Errorf("a torn RDB: %v", err)
	}
}

func TestReplay_Damage_IsRefusedUntouched(t *testing.T) {
	err := wantUntouched(t, map[string]string{manifest: names1, base1: string(ledger{"x"}.rdb()), incr1: units(2) + "garbage" + units(1)})
	var e *FormatError
	if !errors.As(err, &e) || e.Commands != 2 || e.File != "appendonly.aof.1.incr.aof" {
		t.Errorf("got %v", err)
	}
}

func TestReplay_RefuseTruncated_LeavesATornTail(t *testing.T) {
	disk := layout(t, map[string]string{manifest: names1, base1: string(ledger{"x"}.rdb()), incr1: units(2) + "*1\r\n"})
	before := snapshot(t, disk, home)
	s := &store{fs: disk, o: Options{RefuseTruncated: true}}
	if err := s.open(nil); !errors.Is(err, ErrTruncated) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.d.OpenIncr(); err == nil {
		t.Error("a log that was not replayed to its end was opened for appending")
	}
	if diff := cmp.Diff(before, snapshot(t, disk, home)); diff != "" {
		t.Error(diff)
	}
}

// TestReplay_CutAtEveryByte_RestartedTwiceWithWritesBetween is the claim on which
// right counts rest (traps D and F).
func TestReplay_CutAtEveryByte_RestartedTwiceWithWritesBetween(t *testing.T) {
	log, all, ends := sample(6)
	for cut := range len(log) + 1 {
		for _, zeros := range []int{0, 1, 4096} {
			torn := string(log[:cut]) + strings.Repeat("\x00", zeros)
			disk := layout(t, map[string]string{manifest: names1, base1: string(ledger{"x"}.rdb()), incr1: torn})
			want, cutAt := tornAfter(all, ends, int64(cut))
			s := &store{fs: disk}
			must(t, s.open(nil))
			if !slices.Equal(s.units, append(ledger{"x"}, want...)) {
				t.Fatalf("cut at %d, %d zeros: %q", cut, zeros, s.units)
			}
			if s.done.Cut != nil {
				if kept := content(t, disk, s.done.Cut.SavedAs); string(kept) != torn[cutAt:] {
					t.Fatalf("cut at %d, %d zeros: kept %q", cut, zeros, kept)
				}
			}
			must(t, errors.Join(s.append(3), s.sync()))
			must(t, s.verify(disk.LoseUnsynced(), nil))
		}
	}
}

func TestLoad_OwnTemporaryFiles_AreRemovedAndOthersReported(t *testing.T) { // trap I
	own := []string{
		sub + "temp-appendonly.aof.manifest", sub + "temp-appendonly.aof.incr",
		sub + "temp-appendonly.aof.17.base", sub + "temp-appendonly.aof.18.base.aof",
	}
	others := []string{
		"appendonlydir/appendonly.aof.2.base.rdb", "temp-rewriteaof-4711.aof", "temp-rewriteaof-bg-4711.aof",
	}
	alone := []string{sub + "temp-other.aof.manifest", sub + "appendonly.aof.1.incr.aof.cut-1", sub + "other.aof.3.incr.aof", "dump.rdb"}
	files := map[string]string{manifest: names1, base1: string(ledger{"x"}.rdb()), incr1: units(1)}
	for _, name := range slices.Concat(own, others, alone) {
		files[name] = "something"
	}
	disk := layout(t, files)
	s := &store{fs: disk}
	must(t, s.open(nil))
	below := func(names []string) (paths []string) {
		for _, n := range names {
			paths = append(paths, home+"/"+n)
		}
		slices.Sort(paths)
		return paths
	}
	slices.Sort(s.plan.Removed)
	slices.Sort(s.plan.Strays)
	if diff := cmp.Diff(below(own), s.plan.Removed) + cmp.Diff(below(others), s.plan.Strays); diff != "" {
		t.Error(diff)
	}
	after := snapshot(t, disk, home)
	for _, name := range own {
		if _, ok := after[home+"/"+name]; ok {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range slices.Concat(others, alone) {
		if after[home+"/"+name] != "something" {
			t.Errorf("%s was touched", name)
		}
	}
}

func TestLoad_History_IsDeletedUnlessKept(t *testing.T) {
	files := map[string]string{
		manifest: "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.base.rdb seq 1 type h\n" +
			"file gone.incr.aof seq 1 type h\nfile appendonly.aof.2.incr.aof seq 1 type h\nfile appendonly.aof.2.incr.aof seq 2 type i\n",
		sub + "appendonly.aof.2.base.rdb": string(ledger{"x"}.rdb()), base1: "old", incr2: units(1),
	}
	keep := &store{fs: layout(t, files), o: Options{KeepHistory: true}}
	must(t, keep.open(nil))
	if _, err := keep.fs.Stat(home + "/" + base1); err != nil {
		t.Errorf("history was not kept: %v", err)
	}
	if len(keep.d.Manifest().History) != 3 {
		t.Errorf("manifest: %+v", keep.d.Manifest())
	}
	keep.d.SetKeepHistory(false)
	must(t, keep.d.DeleteHistory())
	if _, err := keep.fs.Stat(home + "/" + base1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("history was kept: %v", err)
	}
	if _, err := keep.fs.Stat(home + "/" + incr2); err != nil {
		t.Errorf("a file in use was unlinked because history names it too: %v", err)
	}
	if len(keep.d.Manifest().History) != 0 {
		t.Errorf("manifest: %+v", keep.d.Manifest())
	}
}

func TestUpgrade_ConditionsAreRediss(t *testing.T) {
	for _, c := range []struct {
		name     string
		files    map[string]string
		upgraded bool
		units    int
	}{
		{"no directory", map[string]string{"appendonly.aof": units(4)}, true, 4},
		{"manifest lists nothing", map[string]string{"appendonly.aof": units(4), manifest: "# nothing\n"}, true, 4},
		{"named and not moved", map[string]string{"appendonly.aof": units(4), manifest: "file appendonly.aof seq 1 type b\n"}, true, 4},
		{"named and moved, the outer is left", map[string]string{"appendonly.aof": units(4), sub + "appendonly.aof": units(2), manifest: "file appendonly.aof seq 1 type b\n"}, false, 2},
		{"a log of its own, the outer is left", map[string]string{"appendonly.aof": units(4), manifest: names1, base1: string(ledger{"x"}.rdb()), incr1: units(1)}, false, 2},
		{"RDB with commands behind", map[string]string{"appendonly.aof": string(ledger{"x", "y"}.rdb()) + units(2)}, true, 4},
		{"torn", map[string]string{"appendonly.aof": units(3) + "*1\r\n$4\r\nPI"}, true, 3},
	} {
		disk := layout(t, c.files)
		s := &store{fs: disk}
		if err := s.open(nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s.plan.Upgraded != c.upgraded || len(s.units) != c.units {
			t.Errorf("%s: upgraded %v, %d units", c.name, s.plan.Upgraded, len(s.units))
		}
		if _, err := disk.Stat(home + "/appendonly.aof"); (err == nil) == c.upgraded {
			t.Errorf("%s: the outer file: %v", c.name, err)
		}
		must(t, errors.Join(s.append(2), s.rewrite(1), s.sync()))
		must(t, s.verify(disk.LoseUnsynced(), nil))
	}
}

func TestDir_Sizes_AreOfWhatCounts(t *testing.T) {
	s := &store{fs: layout(t, map[string]string{manifest: names12, base1: string(ledger{"x"}.rdb()), incr1: units(2), incr2: units(1)})}
	must(t, s.open(nil))
	base, incrs, err := s.d.Sizes()
	must(t, err)
	if want := int64(len(units(2)) + len(units(1)) + len(AppendCommand(nil, "SELECT", "0"))); base != int64(len(ledger{"x"}.rdb())) || incrs != want {
		t.Errorf("base %d, incrs %d, want %d", base, incrs, want)
	}
	if s.d.Path() != home+"/appendonlydir" || s.w.Name() != "appendonly.aof.2.incr.aof" {
		t.Errorf("%s, %s", s.d.Path(), s.w.Name())
	}
}

func TestOpenDir_NamesThatArePaths_AreRefused(t *testing.T) {
	for _, o := range []Options{{DirName: "a/b"}, {FileName: `a\b`}, {DirName: ".."}} {
		if _, err := OpenDir(vfs.NewMem(), home, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	long := Options{FileName: strings.Repeat("ü", 120)} // too long for a line, once escaped
	s := &store{fs: newDisk(t), o: long}
	if err := s.open(nil); err == nil {
		must(t, (&store{fs: s.fs, o: long}).open(nil))
	}
	longer := &store{fs: newDisk(t), o: Options{FileName: strings.Repeat("\x01", 300)}}
	if err := longer.open(nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("a manifest that cannot be read back was written: %v", err)
	}
}
