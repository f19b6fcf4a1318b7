package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/testredis"
)

// realDir is what a real server leaves behind: a base, an incr and a dump.
func realDir(t *testing.T) string {
	t.Helper()
	s := testredis.Start(t, testredis.Options{Dir: shortDir(t), Args: []string{"--appendonly", "yes"}})
	s.Do("SET", "a", "1")
	s.Do("BGREWRITEAOF")
	eventually(t, "a rewrite", func() bool {
		info := s.Do("INFO", "persistence").(string)
		return strings.Contains(info, "aof_rewrites:1\r\n") && strings.Contains(info, "aof_rewrite_in_progress:0\r\n")
	})
	s.Do("SET", "b", "2")
	s.Do("SAVE")
	s.Do("EVAL", "for i = 1, 3 do redis.call('INCR', 'n') end", "0")
	s.Stop()
	if err := os.Remove(filepath.Join(s.Dir(), "testredis.log")); err != nil {
		t.Fatal(err)
	}
	return s.Dir()
}

const (
	realIncr     = "appendonlydir/appendonly.aof.2.incr.aof"
	realBase     = "appendonlydir/appendonly.aof.2.base.rdb"
	realManifest = "appendonlydir/appendonly.aof.manifest"
)

// snapshot is everything that can be seen of a directory: names, modes, times
// and bytes.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String() + " " + info.ModTime().String()
		if info.Mode().IsRegular() {
			text += " " + readFile(t, path)
		}
		all[path] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	writeFile(t, path, readFile(t, path)+text)
}

// printed fails the test unless the code fits and standard output has all parts.
func (r result) printed(code int, parts ...string) {
	r.t.Helper()
	if r.code != code {
		r.t.Errorf("limpet %s: exit code %d, want %d\n%s%s", r.args, r.code, code, r.out, r.err)
	}
	for _, part := range parts {
		if !strings.Contains(r.out, part) {
			r.t.Errorf("limpet %s: no %q in\n%s%s", r.args, part, r.out, r.err)
		}
	}
}

func TestCheck_TheExitCodeIsTheVerdict_AndNothingIsTouched(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(dir string)
		code  int
		says  []string
	}{
		{"sound", func(string) {}, 0, []string{": sound\n", realIncr + ": sound, 7 commands", realBase + ": sound, 1 key\n", "dump.rdb: sound, 2 keys"}},
		{"torn", func(dir string) { appendTo(t, filepath.Join(dir, realIncr), "*1\r\n$4\r\nPI") }, exitMild,
			[]string{": torn\n", realIncr + ": torn (torn-tail) at byte ", "in command 8: bulk string: want 4 bytes, have 2",
				"intact before it: 7 commands", "Nothing has been changed.", "limpet repair --from ", ".mended"}},
		{"damaged", func(dir string) { appendTo(t, filepath.Join(dir, realIncr), "junk") }, exitSevere,
			[]string{": damaged\n", realIncr + ": DAMAGED (bad-command)", "want '*', have 'j'", "Do not start a redis-server on it"}},
		{"no manifest", func(dir string) { _ = os.Remove(filepath.Join(dir, realManifest)) }, exitSevere,
			[]string{"DAMAGED (orphans)", "redis-server starts empty and then writes into them"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := realDir(t)
			row.spoil(dir)
			before := snapshot(t, dir)
			execute(t, exec.Command(binary, "check", dir)).printed(row.code, row.says...)
			r := execute(t, exec.Command(binary, "check", "--json", dir))
			r.printed(row.code)
			if report := r.lines()[0]; report["verdict"] != map[int]string{0: "sound", exitMild: "torn", exitSevere: "damaged"}[row.code] || (report["next"] == nil) != (row.code == 0) {
				t.Errorf("%v", report)
			}
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("check has changed the directory:\n%s", diff)
			}
		})
	}
}

func TestCheck_NothingToRead_IsSaidPlainly(t *testing.T) {
	dir := shortDir(t)
	execute(t, exec.Command(binary, "check", filepath.Join(dir, "none"))).want(exitLocal, "there is no such file or directory")
	execute(t, exec.Command(binary, "check", dir)).printed(exitSevere, "no log and no dump of a store here")
	execute(t, exec.Command(binary, "check")).want(exitUsage, "help:   limpet check --help")
}
