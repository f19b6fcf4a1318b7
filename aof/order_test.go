package aof

import (
	"strings"
	"testing"
	"time"

	"limpet/clock"
	"limpet/vfs"
)

// wantOrder compares the changes that a step made with the golden ones. Names
// are shortened: D/ is the append-only directory, A the file name.
func wantOrder(t *testing.T, log *vfs.Log, step string, want ...string) {
	t.Helper()
	got := strings.NewReplacer(strings.TrimSuffix(inDir, "/"), "D", "appendonly.aof", "A").Replace(log.String())
	if w := strings.Join(want, "\n") + "\n"; got != w {
		t.Errorf("%s: got\n%swant\n%s", step, got, w)
	}
	log.Reset()
}

func manifestSteps(size string) []string {
	return []string{
		"create D/temp-A.manifest", "write D/temp-A.manifest " + size, "sync D/temp-A.manifest",
		"rename D/temp-A.manifest -> D/A.manifest", "syncdir D",
	}
}

func steps(parts ...any) (list []string) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			list = append(list, p)
		case []string:
			list = append(list, p...)
		}
	}
	return list
}

func TestDir_EveryStep_SyncsBeforeItNames(t *testing.T) {
	mem := vfs.NewMem()
	must(t, mem.Mkdir(home, 0o755))
	log := vfs.NewLog(mem)
	s := &store{fs: log}

	must(t, s.open(ledger{"dump"}))
	wantOrder(t, log, "first start", steps(
		"mkdir D", "syncdir /data",
		"create D/temp-A.1.base", "write D/temp-A.1.base 13",
		"syncdir D",
		"create D/A.1.incr.aof", "sync D/A.1.incr.aof", "syncdir D", manifestSteps("44"),
		"sync D/temp-A.1.base", "rename D/temp-A.1.base -> D/A.1.base.rdb", "syncdir D", manifestSteps("88"),
		"write D/A.1.incr.aof 23",
	)...)

	must(t, s.append(2))
	must(t, s.sync())
	must(t, s.sync())
	wantOrder(t, log, "append, sync, and nothing more to sync",
		"write D/A.1.incr.aof 29", "write D/A.1.incr.aof 87", "sync D/A.1.incr.aof")

	must(t, s.append(1))
	must(t, s.rotate())
	wantOrder(t, log, "rotate", steps(
		"write D/A.1.incr.aof 29", "sync D/A.1.incr.aof",
		"create D/A.2.incr.aof", "sync D/A.2.incr.aof", "syncdir D", manifestSteps("132"),
	)...)

	temp, err := s.tempBase()
	must(t, err)
	log.Reset()
	must(t, s.d.CommitBase(temp, s.w.Seq()))
	wantOrder(t, log, "commit", steps(
		"sync D/temp-A.2.base", "rename D/temp-A.2.base -> D/A.2.base.rdb", "syncdir D", manifestSteps("176"),
	)...)

	must(t, s.d.DeleteHistory())
	wantOrder(t, log, "delete history", steps(
		"remove D/A.1.base.rdb", "remove D/A.1.incr.aof", "syncdir D", manifestSteps("88"),
	)...)

	temp, err = s.tempBase()
	must(t, err)
	log.Reset()
	_, err = s.d.ReplaceAll(temp)
	must(t, err)
	wantOrder(t, log, "replace all", steps(
		"create D/A.3.incr.aof", "sync D/A.3.incr.aof", "syncdir D",
		"sync D/temp-A.3.base", "rename D/temp-A.3.base -> D/A.3.base.rdb", "syncdir D", manifestSteps("176"),
	)...)
}

func TestStart_OverATornTail_KeepsItBeforeItCuts(t *testing.T) {
	mem := vfs.NewMem()
	whole, units, _ := sample(2)
	put(t, mem, inDir+"appendonly.aof.1.incr.aof", append(whole, "*1\r\n$5\r\nMUL"...))
	put(t, mem, manifestPath, []byte("file appendonly.aof.1.incr.aof seq 1 type i\n"))
	log := vfs.NewLog(mem)
	now := time.UnixMilli(1767323045678)
	s := &store{fs: log, o: Options{Clock: clock.NewFake(now)}}
	must(t, s.open(nil))
	wantOrder(t, log, "start",
		"create D/A.1.incr.aof.cut-1767323045678", "write D/A.1.incr.aof.cut-1767323045678 11",
		"sync D/A.1.incr.aof.cut-1767323045678", "syncdir D",
		"truncate D/A.1.incr.aof 74", "sync D/A.1.incr.aof",
		"syncdir /data", "sync D/A.1.incr.aof", "sync D/A.manifest", "syncdir D",
		"write D/A.1.incr.aof 23")
	if len(s.units) != len(units) || s.done.Cut.Bytes != 11 || s.done.Cut.Torn.Commands != 2 || s.done.Commands != 2 {
		t.Errorf("replayed %q, %+v", s.units, s.done.Cut)
	}
	if got := content(t, mem, s.done.Cut.SavedAs); string(got) != "*1\r\n$5\r\nMUL" {
		t.Errorf("kept %q", got)
	}
}

func TestUpgrade_FollowsRedissOrder(t *testing.T) {
	mem := vfs.NewMem()
	put(t, mem, home+"/appendonly.aof", nil)
	log := vfs.NewLog(mem)
	d, err := OpenDir(log, home, Options{})
	must(t, err)
	plan, err := d.Load()
	must(t, err)
	if !plan.Upgraded {
		t.Error("the plan does not say so")
	}
	wantOrder(t, log, "upgrade", steps(
		"sync /data/A", "mkdir D", "syncdir /data",
		manifestSteps("33"),
		"rename /data/A -> D/A", "syncdir D", "syncdir /data",
	)...)
}
