package check

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/testredis"
	"limpet/vfs"
)

// home is a data directory with a log of three files; changes replace files, and
// take away those that are "-".
func home(t *testing.T, changes files) files {
	t.Helper()
	f := files{
		"d/appendonlydir/a.aof.manifest":   "file a.aof.2.base.rdb seq 2 type b\nfile a.aof.3.incr.aof seq 3 type i\nfile a.aof.4.incr.aof seq 4 type i\n",
		"d/appendonlydir/a.aof.2.base.rdb": sampleRDB(t, true),
		"d/appendonlydir/a.aof.3.incr.aof": commands("#TS:100", "SELECT 0", "SET a 1", "SET b 1"),
		"d/appendonlydir/a.aof.4.incr.aof": commands("#TS:200", "SELECT 0", "MULTI", "SET c 1", "EXEC"),
	}
	for name, text := range changes {
		name = "d/" + name
		if text == "-" {
			delete(f, name)
			continue
		}
		f[name] = text
	}
	return f
}

// inspect inspects in memory, on a disk that refuses every change.
func inspect(t *testing.T, f files, path string) *Report {
	t.Helper()
	m := vfs.NewMem()
	for name, text := range f {
		must(t, m.MkdirAll(filepath.Dir(name), 0o755))
		file, err := vfs.Create(m, name)
		must(t, err)
		_, err = io.WriteString(file, text)
		must(t, err)
		must(t, file.Close())
	}
	readOnly := vfs.NewFaulty(m, func(op vfs.Op) vfs.Fault {
		if op.Changes() {
			t.Errorf("check writes: %v", op)
		}
		return vfs.Fault{}
	})
	r, err := Inspect(context.Background(), readOnly, path, Options{})
	must(t, err)
	return r
}

// found is the problems of a report, one a line: file, code, offset.
func found(r *Report) string {
	var lines []string
	for path, p := range r.All {
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%s %s %d", filepath.Base(path), p.Code, p.Offset), " 0"))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

const (
	dirName   = "appendonlydir/"
	theBase   = dirName + "a.aof.2.base.rdb"
	firstIncr = dirName + "a.aof.3.incr.aof"
	lastIncr  = dirName + "a.aof.4.incr.aof"
	names     = dirName + "a.aof.manifest"
)

func TestInspect_EachFault_IsNamedWithItsPlace(t *testing.T) {
	base := sampleRDB(t, true)
	longer := strings.Replace(commands("SET k vvvvvvvvvvvvvvvvvvvvv"), "$21\r\n", "$91\r\n", 1)
	for _, row := range []struct {
		name    string
		changes files
		verdict Verdict
		want    string
	}{
		{"nothing", nil, Sound, ""},
		{"an empty last incr", files{lastIncr: ""}, Sound, ""},
		{"a torn end", files{lastIncr: good + good[:9]}, Torn, "a.aof.4.incr.aof torn-tail 35"},
		{"a torn note", files{lastIncr: good + "#TS:1"}, Torn, "a.aof.4.incr.aof torn-tail 27"},
		{"zeros", files{lastIncr: good + strings.Repeat("\x00", 5000)}, Torn, "a.aof.4.incr.aof zero-tail 27"},
		{"an open MULTI", files{lastIncr: good + commands("MULTI", "SET a 1")}, Torn, "a.aof.4.incr.aof open-multi 69"},
		{"an open MULTI that is torn", files{lastIncr: good + commands("MULTI") + good[:9]}, Torn, "a.aof.4.incr.aof open-multi 50"},
		{"a MULTI in a MULTI", files{lastIncr: good + commands("MULTI", "SET a 1", "SELECT 0", "MULTI", "SET b 1", "EXEC")}, Damaged, "a.aof.4.incr.aof open-multi 92"},
		{"an EXEC without MULTI", files{lastIncr: good + commands("EXEC")}, Damaged, "a.aof.4.incr.aof bad-command 27"},
		{"a torn end with another file behind", files{firstIncr: good + good[:9]}, Damaged, "a.aof.3.incr.aof hole 35"},
		{"zeros with another file behind", files{firstIncr: good + "\x00\x00"}, Damaged, "a.aof.3.incr.aof hole 27"},
		{"an open MULTI with another file behind", files{firstIncr: good + commands("MULTI", "SET a 1")}, Damaged, "a.aof.3.incr.aof open-multi 69"},
		{"an open MULTI that ends in the next file", files{firstIncr: commands("MULTI", "SET a 1"), lastIncr: commands("EXEC")}, Damaged,
			"a.aof.3.incr.aof open-multi 42; a.aof.4.incr.aof bad-command"},
		{"junk in the middle", files{firstIncr: good + "junk" + good}, Damaged, "a.aof.3.incr.aof bad-command 27"},
		{"a length that swallows commands", files{lastIncr: good + longer + good}, Damaged, "a.aof.4.incr.aof lost-length 75; a.aof.4.incr.aof torn-tail 52"},

		{"no base", files{theBase: "-"}, Damaged, "a.aof.2.base.rdb missing"},
		{"no incr", files{firstIncr: "-"}, Damaged, "a.aof.3.incr.aof missing"},
		{"an empty base", files{theBase: ""}, Damaged, "a.aof.2.base.rdb short-base"},
		{"four bytes of a base", files{theBase: "REDI"}, Damaged, "a.aof.2.base.rdb short-base"},
		{"half a base", files{theBase: base[:100]}, Damaged, "a.aof.2.base.rdb short-base 100"},
		{"a base without its end", files{theBase: base[:len(base)-1]}, Damaged, fmt.Sprintf("a.aof.2.base.rdb short-base %d", len(base)-8)},
		{"a base of commands", files{theBase: good}, Damaged, "a.aof.2.base.rdb not-an-rdb"},
		{"a base with a wrong sum", files{theBase: base[:len(base)-1] + "\x01"}, Damaged, fmt.Sprintf("a.aof.2.base.rdb bad-checksum %d", len(base)-8)},
		{"a base of a later Redis", files{theBase: "REDIS0099" + base[9:]}, Damaged, "a.aof.2.base.rdb newer-rdb"},
		{"a base with commands behind", files{theBase: base + good}, Sound, ""},
		{"a base with a torn command behind", files{theBase: base + good[:9]}, Damaged, fmt.Sprintf("a.aof.2.base.rdb hole %d", len(base)+8)},
		{"a base of commands by name", files{names: "file a.aof.2.base.aof seq 2 type b\n", dirName + "a.aof.2.base.aof": good, theBase: "-", firstIncr: "-", lastIncr: "-"}, Sound, ""},

		{"base and incr exchanged", files{theBase: commands("SELECT 0"), firstIncr: base}, Damaged, "a.aof.2.base.rdb not-an-rdb; a.aof.3.incr.aof unexpected-rdb"},
		{"two incrs exchanged", files{firstIncr: commands("#TS:200", "SELECT 0", "SET c 1"), lastIncr: commands("#TS:100", "SELECT 0", "SET b 1")}, Damaged,
			"a.aof.4.incr.aof time-goes-back"},
		{"a clock set back", files{lastIncr: commands("#TS:200", "SELECT 0", "SET c 1", "#TS:150", "SET c 2")}, Sound, "a.aof.4.incr.aof clock-went-back 59"},
		{"an incr copied over another", files{lastIncr: commands("#TS:100", "SELECT 0", "SET a 1", "SET b 1")}, Sound, "a.aof.4.incr.aof same-bytes"},

		{"no manifest", files{names: "-"}, Damaged, ". orphans"},
		{"no manifest, and no bytes", files{names: "-", theBase: "-", firstIncr: "", lastIncr: ""}, Sound, "a.aof.3.incr.aof stray-file; a.aof.4.incr.aof stray-file"},
		{"an older manifest", files{names: "file a.aof.2.base.rdb seq 2 type b\nfile a.aof.3.incr.aof seq 3 type i\n"}, Damaged, "a.aof.manifest orphans"},
		{"an older file", files{dirName + "a.aof.2.incr.aof": good, dirName + "a.aof.3.base.rdb": base}, Sound, "a.aof.2.incr.aof stray-file; a.aof.3.base.rdb stray-file"},
		{"history", files{names: "file a.aof.2.base.rdb seq 2 type b\nfile a.aof.3.incr.aof seq 3 type h\nfile a.aof.4.incr.aof seq 4 type i\n", firstIncr: "junk"}, Sound, ""},
		{"an empty manifest", files{names: ""}, Damaged, "a.aof.manifest bad-manifest"},
		{"junk for a manifest", files{names: "junk\n"}, Damaged, "a.aof.manifest bad-manifest"},

		{"what a crash leaves", files{"temp-rewriteaof-7.aof": "x", "temp-7.rdb": "x", dirName + "temp-a.aof.manifest": "x"}, Sound, ". stray-temp; . stray-temp; a.aof.manifest stray-temp"},
		{"a sound dump", files{"dump.rdb": base}, Sound, ""},
		{"a short dump", files{"dump.rdb": base[:20]}, Damaged, "dump.rdb short-base 10"},
		{"a dump with more behind it", files{"dump.rdb": base + "more"}, Sound, fmt.Sprintf("dump.rdb trailing-bytes %d", len(base))},
		{"an old single file", files{"a.aof": good}, Sound, ". stray-file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := inspect(t, home(t, row.changes), "d")
			if got := found(r); got != row.want || r.Verdict != row.verdict {
				t.Errorf("%v: %s\nwant %v: %s", r.Verdict, got, row.verdict, row.want)
				for path, p := range r.All {
					t.Logf("%s: %+v", path, p)
				}
			}
		})
	}
}

func TestInspect_SaysWhatIsIntact(t *testing.T) {
	base := sampleRDB(t, true)
	r := inspect(t, home(t, files{theBase: base + good, lastIncr: commands("SELECT 0", "MULTI", "SET c 1", "EXEC", "MULTI", "SET d 1") + good[:5]}), "d")
	var got []string
	for _, f := range r.Logs[0].Files {
		got = append(got, fmt.Sprintf("%s %s: %d keys, %d commands, %d of %d bytes, last %v", f.Role, f.Name, f.Keys, f.Commands, f.Intact, f.Size, f.Last))
	}
	want := []string{
		fmt.Sprintf("base a.aof.2.base.rdb: 6 keys, 1 commands, %d of %[1]d bytes, last false", len(base+good)),
		fmt.Sprintf("incr a.aof.3.incr.aof: 0 keys, 3 commands, %d of %[1]d bytes, last false", len(commands("#TS:100", "SELECT 0", "SET a 1", "SET b 1"))),
		"incr a.aof.4.incr.aof: 0 keys, 4 commands, 79 of 126 bytes, last true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p := r.Logs[0].Files[2].Problems[0]; p.Command != 5 {
		t.Errorf("%+v", p)
	}
}

func TestInspect_AnyPathLeadsToTheFile(t *testing.T) {
	torn := home(t, files{lastIncr: good + good[:9], "dump.rdb": sampleRDB(t, false), "old.aof": good[:9]})
	for path, want := range map[string]string{
		"d":               "a.aof.4.incr.aof torn-tail 35; old.aof torn-tail 8",
		"d/appendonlydir": "a.aof.4.incr.aof torn-tail 35",
		"d/" + names:      "a.aof.4.incr.aof torn-tail 35",
		"d/" + lastIncr:   "a.aof.4.incr.aof torn-tail 35",
		"d/" + theBase:    "",
		"d/dump.rdb":      "",
		"d/old.aof":       "old.aof torn-tail 8",
	} {
		if got := found(inspect(t, torn, path)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := found(inspect(t, files{"d/x": ""}, "d")); got != ". nothing-here" {
		t.Errorf("an empty directory: %s", got)
	}
}

func TestInspect_DumpNewerThanTheLog_IsANote(t *testing.T) {
	dir := home(t, files{"dump.rdb": sampleRDB(t, false)}).write(t)
	then := time.Now().Add(-time.Hour)
	for _, name := range []string{theBase, firstIncr, lastIncr} {
		must(t, os.Chtimes(filepath.Join(dir, "d", name), then, then))
	}
	r, err := Inspect(context.Background(), vfs.OS(), filepath.Join(dir, "d"), Options{})
	must(t, err)
	if got := found(r); got != "dump.rdb dump-newer" || r.Verdict != Sound {
		t.Errorf("%v: %s", r.Verdict, got)
	}
}

// While a real server writes and rewrites without a pause, its directory is
// sound at every moment.
func TestInspect_BesideAServerAtWork_FindsNothing(t *testing.T) {
	s := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"}})
	client := s.Client()
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		script := "for i = 1, 200 do redis.call('SET', KEYS[1] .. i, string.rep('x', i * 50)) end"
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = client.Do(context.Background(), "EVAL", script, 1, "k").Err()
			if n%20 == 0 {
				_ = client.Do(context.Background(), "BGREWRITEAOF").Err()
			}
		}
	}()
	for range 30 {
		r, err := Inspect(context.Background(), vfs.OS(), s.Dir(), Options{})
		must(t, err)
		if r.Verdict != Sound {
			t.Errorf("%v: %s", r.Verdict, found(r))
			for path, p := range r.All {
				t.Logf("%s: %+v", path, p)
			}
			break
		}
	}
	close(stop)
	<-stopped
}

// What a monitor counts is in the survey, in figures: temporary files beside the
// log and in the data directory.
func TestSurvey_TemporaryFiles_AreListedWithTheirSizes(t *testing.T) {
	m := vfs.NewMem()
	for name, text := range home(t, files{"temp-rewriteaof-77.aof": "12345", "temp-9.rdb": "123", "appendonlydir/temp-a.aof.manifest": "1"}) {
		must(t, m.MkdirAll(filepath.Dir(name), 0o755))
		file, err := vfs.Create(m, name)
		must(t, err)
		_, err = io.WriteString(file, text)
		must(t, err)
		must(t, file.Close())
	}
	r, err := Survey(m, "d")
	must(t, err)
	var got []string
	for _, f := range append(r.Temps, r.Logs[0].Temps...) {
		got = append(got, fmt.Sprint(f.Name, " ", f.Role, " ", f.Size))
	}
	if diff := cmp.Diff([]string{"temp-9.rdb temp 3", "temp-rewriteaof-77.aof temp 5", "temp-a.aof.manifest temp 1"}, got); diff != "" {
		t.Error(diff)
	}
}
