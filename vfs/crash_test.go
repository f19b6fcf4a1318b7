package vfs

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// seeded gives a source of chance that a failing run can be repeated with.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("LIMPET_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("LIMPET_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// outcomes is every content of a file (or "absent") found in many crash images.
func outcomes(c *Crash, rng *rand.Rand, name string) map[string]int {
	seen := make(map[string]int)
	for range 600 {
		got, err := ReadFile(c.CrashImage(rng), name)
		if errors.Is(err, fs.ErrNotExist) {
			got = []byte("absent")
		}
		seen[string(got)]++
	}
	return seen
}

func wantOutcomes(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("never seen: %q", w)
		}
		delete(seen, w)
	}
	for s := range seen {
		t.Errorf("must not happen: %q", s)
	}
}

func synced(t *testing.T, fsys FS, name, text string) {
	t.Helper()
	put(t, fsys, name, text)
	must(t, SyncFile(fsys, name))
	must(t, fsys.SyncDir("/"))
}

func TestCrash_SyncedBytesAndNames_AlwaysSurvive(t *testing.T) {
	c := NewCrash()
	synced(t, c, "f", "safe")
	wantOutcomes(t, outcomes(c, seeded(t), "f"), "safe")
}

func TestCrash_UnsyncedAppend_IsLostKeptTornOrZeros(t *testing.T) {
	c := NewCrash()
	synced(t, c, "f", "safe")
	f, err := c.OpenFile("f", O_WRONLY|O_APPEND, 0)
	must(t, err)
	_, err = f.Write([]byte("ab"))
	must(t, err)
	wantOutcomes(t, outcomes(c, seeded(t), "f"),
		"safe", "safea", "safeab", "safe\x00", "safe\x00\x00", "safea\x00")
	wantContent(t, c.LoseUnsynced(), "f", "safe")
	wantContent(t, c.KeepAll(), "f", "safeab")
}

func TestCrash_UnsyncedName_MayBeAbsentThoughItsBytesWereSynced(t *testing.T) {
	c := NewCrash()
	put(t, c, "f", "x")
	must(t, SyncFile(c, "f"))
	wantOutcomes(t, outcomes(c, seeded(t), "f"), "x", "absent")
}

func TestCrash_UnsyncedTruncation_MayComeUndone(t *testing.T) {
	c := NewCrash()
	synced(t, c, "f", "stale")
	put(t, c, "f", "")
	wantOutcomes(t, outcomes(c, seeded(t), "f"), "stale", "")
}

func TestCrash_Rename_HappensWholeOrNot(t *testing.T) {
	c, rng := NewCrash(), seeded(t)
	must(t, c.Mkdir("d", 0o755))
	synced(t, c, "old", "new")
	synced(t, c, "name", "was")
	must(t, c.Rename("old", "name"))
	for range 300 {
		image := c.CrashImage(rng)
		_, err := image.Stat("old")
		content, _ := ReadFile(image, "name")
		if (err == nil) != (string(content) == "was") || (err != nil) != (string(content) == "new") {
			t.Fatalf("half a rename: old exists: %v, name holds %q", err == nil, content)
		}
	}
	must(t, c.SyncDir("/"))
	wantOutcomes(t, outcomes(c, rng, "name"), "new")
}

func TestCrash_RenameAcrossDirectories_IsDurableWithOneOfThem(t *testing.T) {
	c := NewCrash()
	must(t, c.Mkdir("d", 0o755))
	synced(t, c, "f", "x")
	must(t, c.Rename("f", "d/f"))
	must(t, c.SyncDir("d"))
	image := c.LoseUnsynced()
	wantContent(t, image, "d/f", "x")
	_, err := image.Stat("f")
	wantErr(t, err, fs.ErrNotExist)
}

func TestCrash_UnsyncedNames_MayChangeOutOfOrderButNotOnOneName(t *testing.T) {
	c, rng := NewCrash(), seeded(t)
	synced(t, c, "a", "1")
	must(t, c.Link("a", "b"))
	must(t, c.Remove("a"))
	bothGone := 0
	for range 600 {
		image := c.CrashImage(rng)
		_, errA := image.Stat("a")
		_, errB := image.Stat("b")
		if errA != nil && errB != nil {
			bothGone++
		}
	}
	if bothGone == 0 {
		t.Error("the removal never overtook the link to another name")
	}
	synced(t, c, "x", "1")
	must(t, c.Remove("x"))
	put(t, c, "x", "")
	wantOutcomes(t, outcomes(c, rng, "x"), "1", "absent", "")
}

func TestCrash_FilesBelowAnUnsyncedDirectory_AreLostWithIt(t *testing.T) {
	c := NewCrash()
	must(t, c.Mkdir("d", 0o755))
	put(t, c, "d/f", "x")
	must(t, SyncFile(c, "d/f"))
	must(t, c.SyncDir("d"))
	if _, err := c.LoseUnsynced().Stat("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("d: %v", err)
	}
	must(t, c.SyncDir("/"))
	wantContent(t, c.LoseUnsynced(), "d/f", "x")
}

func TestCrash_TwoNamesOfAFile_StayOneFile(t *testing.T) {
	c := NewCrash()
	synced(t, c, "a", "1")
	must(t, c.Link("a", "b"))
	image := c.KeepAll()
	f, err := image.OpenFile("a", O_WRONLY|O_APPEND, 0)
	must(t, err)
	_, err = f.Write([]byte("2"))
	must(t, err)
	wantContent(t, image, "b", "12")
}

func TestCrash_StopBefore_CutsAtEveryChange(t *testing.T) {
	rng := seeded(t)
	cuts := 0
	for n := 0; ; n++ {
		c := NewCrash()
		synced(t, c, "f", "old")
		c.StopBefore(n)
		err := Replace(c, "f", "temp-f", []byte("new"))
		if !c.PowerIsOff() {
			must(t, err)
			break
		}
		cuts++
		wantErr(t, err, ErrPowerCut)
		if _, err := c.Stat("f"); !errors.Is(err, ErrPowerCut) {
			t.Fatalf("the power is off, but Stat gives %v", err)
		}
		for range 50 {
			got, err := ReadFile(c.CrashImage(rng), "f")
			must(t, err)
			if s := string(got); s != "old" && s != "new" {
				t.Fatalf("cut before change %d: f holds %q", n, s)
			}
		}
	}
	if cuts != 5 {
		t.Errorf("Replace makes 5 changes, the power was cut before %d", cuts)
	}
}

func TestCrash_ReplaceWithoutSync_IsCaught(t *testing.T) {
	c := NewCrash()
	synced(t, c, "f", "old")
	put(t, c, "temp", "new")
	must(t, c.Rename("temp", "f"))
	must(t, c.SyncDir("/"))
	seen := outcomes(c, seeded(t), "f")
	if seen[""] == 0 {
		t.Error("a rename of unsynced bytes must be able to leave an empty file")
	}
}

func TestCrash_TheSameSeed_GivesTheSameDisk(t *testing.T) {
	c := NewCrash()
	for i := range 20 {
		put(t, c, "f"+strconv.Itoa(i), strings.Repeat("x", i))
	}
	list := func() string {
		image := c.CrashImage(rand.New(rand.NewPCG(7, 7)))
		entries, err := image.ReadDir("/")
		must(t, err)
		var b strings.Builder
		for _, e := range entries {
			content, err := ReadFile(image, e.Name())
			must(t, err)
			b.WriteString(e.Name() + strconv.Quote(string(content)) + "\n")
		}
		return b.String()
	}
	if first := list(); first != list() {
		t.Error("two images of one seed differ")
	}
}
