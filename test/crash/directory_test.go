package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"limpet/rdb"
	"limpet/resp"
	"limpet/vfs"
)

// A directoryCase is a directory that a server may find when it starts, and what
// becomes of it: in a real redis-server, and in our program with the same options.
//
// Each is started twice over it, with an INCR of "probe" and a SHUTDOWN in
// between. What a start comes to is written as the keys that it shows, "n=3", those
// of other databases as "1/n=3", or as "refuses: " and a part of the reason. Unless
// told otherwise the second start shows the same and probe=1. After a refusal there
// is one only if it is of another kind.
type directoryCase struct {
	name  string
	files map[string]string // by path below the data directory; a path that ends in / is a directory
	args  []string

	theirs, theirs2 string // what a real server does, the first and the second time
	theirs3         string // what it does in the end over what we have left; like us, when empty
	ours, ours2     string // what we do; like theirs when empty
	why             string // we do something else

	says       string   // a part of what our log must say when we start
	gone, kept []string // files that are not there any more, or are as they were, after our start
}

const (
	sub      = "appendonlydir/"
	manifest = sub + "appendonly.aof.manifest"
	base1    = sub + "appendonly.aof.1.base.rdb"
	base2    = sub + "appendonly.aof.2.base.rdb"
	incr1    = sub + "appendonly.aof.1.incr.aof"
	incr2    = sub + "appendonly.aof.2.incr.aof"
	single   = "appendonly.aof"

	namesBase1 = "file appendonly.aof.1.base.rdb seq 1 type b\n"
	namesIncr1 = "file appendonly.aof.1.incr.aof seq 1 type i\n"
	namesIncr2 = "file appendonly.aof.2.incr.aof seq 2 type i\n"
	names      = namesBase1 + namesIncr1
)

// logOf is a log of requests, words apart by blanks.
func logOf(requests ...string) string {
	var b []byte
	for _, r := range requests {
		b = resp.AppendCommand(b, request(strings.Fields(r)).bytes()...)
	}
	return string(b)
}

// rdbOf is an RDB of counters: "n=1" or, in another database or with a deadline in
// Unix milliseconds, "3/n=1@1700000000000".
func rdbOf(counters ...string) string {
	var b bytes.Buffer
	e := rdb.NewEncoder(&b, rdb.EncoderOptions{})
	err := errors.Join(e.Aux("redis-ver", "7.0.15"), e.Aux("aof-base", "1"))
	for _, text := range counters {
		entry := rdb.Entry{}
		if db, rest, ok := strings.Cut(text, "/"); ok {
			_, _ = fmt.Sscan(db, &entry.DB)
			text = rest
		}
		text, deadline, _ := strings.Cut(text, "@")
		_, _ = fmt.Sscan(deadline, &entry.ExpireAtMs)
		key, value, _ := strings.Cut(text, "=")
		entry.Key, entry.Value = []byte(key), rdb.String(value)
		err = errors.Join(err, e.Entry(entry))
	}
	if err = errors.Join(err, e.Close()); err != nil {
		panic(err)
	}
	return b.String()
}

// version gives an RDB another version number, and so no checksum.
func version(text, number string) string {
	return "REDIS" + number + text[len("REDIS0010"):len(text)-8] + strings.Repeat("\x00", 8)
}

// with is a directory with other files in it.
func with(files map[string]string, more ...string) map[string]string {
	files = maps.Clone(files)
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

func without(files map[string]string, names ...string) map[string]string {
	files = maps.Clone(files)
	for _, n := range names {
		delete(files, n)
	}
	return files
}

// whole is a directory as a server leaves it, which has counted n to 3.
var whole = map[string]string{
	base1: rdbOf("n=1"), incr1: logOf("SELECT 0", "INCR n", "INCR n"), manifest: names,
}

// two is one after a rewrite that failed: two incr files.
var two = with(whole, incr2, logOf("SELECT 0", "INCR n"), manifest, names+namesIncr2)

// torn is a log cut inside its last command.
func torn(log string) string { return log[:len(log)-4] }

const transaction = "MULTI|INCR n|INCR m|EXEC"

var passed = time.Now().Add(-time.Hour).UnixMilli()

func TestDirectory_EveryCase_DoesWhatRedisDoesOrWhatIsSafer(t *testing.T) {
	for _, c := range directoryCases() {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func (c directoryCase) run(t *testing.T) {
	theirs, ours := c.expected()
	if differ := !slices.EqualFunc(theirs, ours, sameDeed); differ == (c.why == "") {
		t.Errorf("there is a difference: %v; why: %q", differ, c.why)
	}
	dir := c.make(t)
	for i, want := range theirs {
		got, _ := outcome(t, c.launch(theirProgram(t), dir))
		wantOutcome(t, fmt.Sprintf("redis-server, start %d", i+1), got, want)
	}

	dir = c.make(t)
	before := filesBelow(t, dir)
	for i, want := range ours {
		got, log := outcome(t, c.launch(ourProgram, dir))
		wantOutcome(t, fmt.Sprintf("we, start %d", i+1), got, want)
		if i == 0 && !strings.Contains(log, c.says) {
			t.Errorf("our log does not say %q:\n%s", c.says, log)
		}
		if strings.HasPrefix(got, refuses) {
			if diff := cmp.Diff(before, filesBelow(t, dir)); diff != "" {
				t.Errorf("we refused, and yet changed:\n%s", diff)
			}
		}
	}
	after := filesBelow(t, dir)
	for _, name := range c.gone {
		if _, ok := after[name]; ok {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range c.kept {
		if after[name] != before[name] {
			t.Errorf("%s was touched", name)
		}
	}
	if last := ours[len(ours)-1]; !strings.HasPrefix(last, refuses) {
		want := c.theirs3
		if want == "" {
			want = strings.Replace(last, "probe=1", "probe=2", 1)
		}
		got, _ := outcome(t, c.launch(theirProgram(t), dir))
		wantOutcome(t, "redis-server over what we have left", got, want)
	}
}

// expected is what the starts of a real server and of ours come to, one after
// another. One that refuses is not asked again, unless there is more to it.
func (c directoryCase) expected() (theirs, ours []string) {
	starts := func(first, second string) []string {
		switch {
		case second != "":
			return []string{first, second}
		case strings.HasPrefix(first, refuses):
			return []string{first}
		}
		return []string{first, strings.TrimSpace(first + " probe=1")}
	}
	theirs = starts(c.theirs, c.theirs2)
	switch {
	case c.ours != "":
		ours = starts(c.ours, c.ours2)
	case c.ours2 != "":
		ours = starts(c.theirs, c.ours2)
	default:
		return theirs, theirs
	}
	if len(ours) < len(theirs) {
		ours = append(ours, ours[0])
	}
	return theirs, ours
}

// sameDeed compares what two servers do; a refusal is one, whatever the words.
func sameDeed(a, b string) bool {
	return a == b || strings.HasPrefix(a, refuses) && strings.HasPrefix(b, refuses)
}

// launch is a start over the directory, with a log unless the case says otherwise.
func (c directoryCase) launch(program, dir string) launch {
	return launch{program: program, dir: dir, args: append([]string{"--appendonly", "yes"}, c.args...)}
}

const refuses = "refuses: "

func wantOutcome(t *testing.T, who, got, want string) {
	t.Helper()
	if reason, ok := strings.CutPrefix(want, refuses); ok && strings.HasPrefix(got, refuses) && strings.Contains(got, reason) {
		return
	}
	if got != want {
		t.Errorf("%s:\n%s\nwant %s", who, got, want)
	}
}

// outcome starts a server, looks, counts the probe, and ends it.
func outcome(t *testing.T, l launch) (what, log string) {
	t.Helper()
	r, refused := l.start(t)
	if r == nil {
		return refuses + refused, refused
	}
	what = shown(t, r)
	must(t, r, "INCR", "probe")
	r.stop(t)
	return what, r.log.String()
}

// shown is the keys of all databases that a server has.
func shown(t *testing.T, p peer) string {
	t.Helper()
	var all []string
	for db := range 4 {
		if p.do(t, "SELECT", fmt.Sprint(db)).Err() != nil {
			break
		}
		var keys []string
		for _, k := range must(t, p, "KEYS", "*").Elems {
			keys = append(keys, k.Text())
		}
		slices.Sort(keys)
		for _, k := range keys {
			name := k
			if db > 0 {
				name = fmt.Sprintf("%d/%s", db, k)
			}
			all = append(all, name+"="+must(t, p, "GET", k).Text())
		}
	}
	must(t, p, "SELECT", "0")
	return strings.Join(all, " ")
}

// make writes the directory.
func (c directoryCase) make(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range c.files {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// filesBelow is everything in a directory but the file of our lock.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || filepath.Ext(path) == ".lock":
			return err
		case d.IsDir():
			files[path+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Two servers may share a directory where their files have other names. Neither
// touches what the other has left, finished or not.
func TestDirectory_TwoServersWithOtherFileNames_ShareIt(t *testing.T) {
	for _, second := range []string{ourProgram, theirProgram(t)} {
		dir := t.TempDir()
		start := func(program, name string) *running {
			r, refused := launch{program: program, dir: dir, args: []string{"--appendonly", "yes", "--appendfilename", name, "--dbfilename", name + ".rdb"}}.start(t)
			if r == nil {
				t.Fatalf("%s over %s:\n%s", program, name, refused)
			}
			return r
		}
		a, b := start(ourProgram, "a.aof"), start(second, "b.aof")
		for n := range 3 {
			for name, r := range map[string]*running{"a": a, "b": b} {
				if v := must(t, r, "INCR", name); v.Int != int64(n+1) {
					t.Fatalf("%s counts to %d, want %d", name, v.Int, n+1)
				}
				rewrite(t, r)
				must(t, r, "SAVE")
			}
			unfinished := filepath.Join(dir, "appendonlydir", "temp-b.aof.manifest")
			put(t, vfs.OS(), unfinished, []byte("x"))
			a.kill()
			a = start(ourProgram, "a.aof")
			if _, err := os.Stat(unfinished); err != nil {
				t.Errorf("an unfinished file of the other server is gone: %v", err)
			}
			b.kill()
			b = start(second, "b.aof")
		}
		if got := shown(t, a) + " " + shown(t, b); got != "a=3 b=3" {
			t.Errorf("with %s: %s", second, got)
		}
		a.kill()
		b.kill()
	}
}

// The other way round than Redis, which does not notice.
func TestDirectory_SecondServerWithTheSameNames_IsRefused(t *testing.T) {
	dir := t.TempDir()
	l := launch{program: ourProgram, dir: dir, args: []string{"--appendonly", "yes", "--appendfsync", "always"}}
	first, refused := l.start(t)
	if first == nil {
		t.Fatal(refused)
	}
	must(t, first, "SET", "k", "v")
	before := filesBelow(t, dir)
	second, refused := l.start(t)
	if second != nil || !strings.Contains(refused, fmt.Sprintf("held by process %d", first.cmd.Process.Pid)) {
		t.Errorf("a second server: %s", refused)
	}
	if diff := cmp.Diff(before, filesBelow(t, dir)); diff != "" {
		t.Errorf("it has changed what is there:\n%s", diff)
	}
	first.stop(t)
}

// Neither of us starts where it could not write; both leave everything as it is.
func TestDirectory_NotWritable_IsRefused(t *testing.T) {
	for name, files := range map[string]map[string]string{"empty": nil, "with a log": whole, "with a single file": {single: logOf("SET n 3")}} {
		for _, program := range []string{theirProgram(t), ourProgram} {
			dir := directoryCase{files: files}.make(t)
			before := filesBelow(t, dir)
			for d := dir; d != os.TempDir(); d = filepath.Dir(d) {
				if err := os.Chmod(d, 0o755); err != nil { // t.TempDir keeps others out
					t.Fatal(err)
				}
			}
			readOnly(t, dir, true)
			r, refused := launch{program: program, dir: dir, args: []string{"--appendonly", "yes"}, nobody: true}.start(t)
			readOnly(t, dir, false)
			if r != nil || !strings.Contains(strings.ToLower(refused), "permission denied") {
				t.Errorf("%s over a directory %s: %s", program, name, refused)
			}
			if program == ourProgram && !strings.Contains(refused, "The directory must be writable for user id") {
				t.Errorf("we do not say for whom: %s", refused)
			}
			if diff := cmp.Diff(before, filesBelow(t, dir)); diff != "" {
				t.Errorf("%s over a directory %s has changed it:\n%s", program, name, diff)
			}
		}
	}
}

// readOnly takes the right to write from a directory and all that is in it, or
// gives it back.
func readOnly(t *testing.T, dir string, yes bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0o444)
		if d.IsDir() {
			mode = 0o555
		}
		if !yes {
			mode |= 0o200
		}
		return errors.Join(err, os.Chmod(path, mode))
	})
	if err != nil {
		t.Fatal(err)
	}
}
