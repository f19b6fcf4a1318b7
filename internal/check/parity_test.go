package check

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/aof"
	"limpet/rdb"
	"limpet/vfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files is a directory: names and contents.
type files map[string]string

func (f files) write(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range f {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

func commands(lines ...string) string {
	var b []byte
	for _, line := range lines {
		if strings.HasPrefix(line, "#") {
			b = append(b, line+"\r\n"...)
			continue
		}
		b = aof.AppendCommand(b, strings.Fields(line)...)
	}
	return string(b)
}

func sampleRDB(t *testing.T, base bool) string {
	t.Helper()
	var b bytes.Buffer
	e := rdb.NewEncoder(&b, rdb.EncoderOptions{})
	must(t, e.Aux("redis-ver", "7.0.15"))
	must(t, e.Aux("ctime", "1700000000"))
	must(t, e.Aux("long", strings.Repeat("compressible ", 20)))
	if base {
		must(t, e.Aux("aof-base", "1"))
	}
	must(t, e.Entry(rdb.Entry{Key: []byte("a"), Value: rdb.String("1")}))
	must(t, e.Entry(rdb.Entry{Key: []byte("gone"), ExpireAtMs: 5, Value: rdb.String(strings.Repeat("x", 300))}))
	must(t, e.Entry(rdb.Entry{DB: 7, Key: []byte("l"), ExpireAtMs: 1 << 50, Value: rdb.List{[]byte("x"), []byte("y")}}))
	must(t, e.Entry(rdb.Entry{DB: 7, Key: []byte("h"), Value: rdb.Hash{{Name: []byte("f"), Value: []byte("v")}}}))
	must(t, e.Entry(rdb.Entry{DB: 7, Key: []byte("s"), Value: rdb.Set{[]byte("1"), []byte("m")}}))
	must(t, e.Entry(rdb.Entry{DB: 7, Key: []byte("z"), Value: rdb.ZSet{{Name: []byte("m"), Score: 1.5}}}))
	must(t, e.Close())
	return b.String()
}

// multiPart is a base and two incrs, the last of which is given.
func multiPart(t *testing.T, last string) files {
	return files{
		"d/a.manifest":     "file a.3.base.rdb seq 3 type b\nfile a.2.base.rdb seq 2 type h\nfile a.1.incr.aof seq 1 type i\nfile a.4.incr.aof seq 4 type i\n",
		"d/a.3.base.rdb":   sampleRDB(t, true),
		"d/a.1.incr.aof":   commands("SELECT 0", "SET a 1"),
		"d/a.4.incr.aof":   last,
		"d/a.2.base.rdb.x": "",
	}
}

// with changes one file.
func (f files) with(name, text string) files {
	f[name] = text
	return f
}

const good = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"

// parityCase is a command line over a directory. differs says why our output is
// allowed to be another one; then it must hold want, and the exit code be code.
type parityCase struct {
	name    string
	files   files
	args    []string
	answer  string
	differs string
	want    string
	code    int
}

func aofCases(t *testing.T) []parityCase {
	manifest := []string{"d/a.manifest"}
	fix := []string{"--fix", "d/a.manifest"}
	until := func(ts string) []string { return []string{"--truncate-to-timestamp", ts, "d/a.manifest"} }
	dated := commands("#TS:100", "SELECT 0", "SET a 1", "#TS:200", "MULTI", "SET b 1", "EXEC", "#TS:300", "SET c 1")
	base := sampleRDB(t, true)
	old := func(text string) files { return files{"old.aof": text} }
	oldArgs := []string{"old.aof"}
	inMulti := good + commands("MULTI", "INCR a", "INCR b")
	cases := []parityCase{
		{name: "sound", files: multiPart(t, commands("SELECT 0", "MULTI", "SET b 1", "EXEC")), args: manifest},
		{name: "empty incr", files: multiPart(t, ""), args: manifest},
		{name: "dated", files: multiPart(t, dated), args: manifest},
		{name: "a note at the end", files: multiPart(t, good+"#TS:100\r\n"), args: manifest},
		{name: "only a note", files: multiPart(t, "#TS:100\r\n"), args: manifest},
		{name: "junk", files: multiPart(t, good+"junk"), args: manifest},
		{name: "junk, fixed", files: multiPart(t, good+"junk"), args: fix, answer: "y\n"},
		{name: "junk, not fixed", files: multiPart(t, good+"junk"), args: fix, answer: "n\n"},
		{name: "no answer", files: multiPart(t, good+"junk"), args: fix},
		{name: "a torn file that is not the last", files: multiPart(t, good).with("d/a.1.incr.aof", good[:9]), args: manifest},
		{name: "not the last, fixed", files: multiPart(t, good).with("d/a.1.incr.aof", good[:9]), args: fix, answer: "y\n"},
		{name: "torn MULTI", files: multiPart(t, inMulti), args: manifest},
		{name: "torn MULTI, fixed", files: multiPart(t, inMulti), args: fix, answer: "Yes\n"},
		{name: "torn behind a note", files: multiPart(t, good+"#TS:100\r\n"+good[:11]), args: fix, answer: "y\n"},
		{name: "zeros", files: multiPart(t, good+"\x00\x00\x00\x00"), args: fix, answer: "y\n"},
		{name: "MULTI in MULTI", files: multiPart(t, good+commands("MULTI", "SET a 1", "MULTI", "SET a 1", "EXEC")), args: manifest},
		{name: "EXEC without MULTI", files: multiPart(t, good+commands("EXEC", "SET a 1")), args: manifest},
		{name: "wrong line end", files: multiPart(t, good+"*1\r\n$1\r\nab\r\n"), args: manifest},
		{name: "wrong prefix", files: multiPart(t, good+"*1\r\n*1\r\nab\r\n"), args: manifest},
		{name: "negative length", files: multiPart(t, good+"*1\r\n$-5\r\nab\r\n"), args: manifest},
		{name: "huge length", files: multiPart(t, good+"*1\r\n$400000000\r\nab\r\n"), args: manifest},
		{name: "nothing later", files: multiPart(t, dated), args: until("300")},
		{name: "later in the last", files: multiPart(t, dated), args: until("250")},
		{name: "MULTI is later", files: multiPart(t, dated), args: until("150")},
		{name: "everything is later", files: multiPart(t, dated), args: until("50")},
		{name: "later in one that is not the last", files: multiPart(t, good).with("d/a.1.incr.aof", dated), args: until("150")},
		{name: "later, torn before", files: multiPart(t, good[:9]), args: until("150")},
		{name: "bad timestamp", files: multiPart(t, good), args: until("1x")},
		{name: "missing file", files: files{"d/a.manifest": "file b seq 1 type b\n"}, args: manifest},
		{name: "missing incr", files: files{"d/a.manifest": "file b seq 1 type i\n"}, args: manifest},
		{name: "RESP base", files: multiPart(t, good).with("d/a.manifest", "file b.aof seq 1 type b\n").with("d/b.aof", good), args: manifest},
		{name: "torn RESP base", files: multiPart(t, good).with("d/a.manifest", "file b.aof seq 1 type b\n").with("d/b.aof", good+good[:9]), args: fix, answer: "y\n"},
		{name: "base with a tail", files: multiPart(t, good).with("d/a.manifest", "file b.aof seq 1 type b\n").with("d/b.aof", base+good), args: manifest},
		{name: "base whose checksum is wrong", files: multiPart(t, good).with("d/a.3.base.rdb", base[:len(base)-1]+"\x00"), args: manifest},
		{name: "manifest: unknown type", files: multiPart(t, good).with("d/a.manifest", "file a seq 1 type x\n"), args: manifest},
		{name: "manifest: two bases", files: multiPart(t, good).with("d/a.manifest", "file a seq 1 type b\nfile b seq 1 type b\n"), args: manifest},
		{name: "manifest: path", files: multiPart(t, good).with("d/a.manifest", "file ../a seq 1 type b\n"), args: manifest},
		{name: "manifest: no newline", files: multiPart(t, good).with("d/a.manifest", "file a seq 1 type b"), args: manifest},
		{name: "manifest: not monotonic", files: multiPart(t, good).with("d/a.manifest", "file a seq 2 type i\nfile b seq 1 type i\n"), args: manifest},
		{name: "single file", files: old(good + good), args: oldArgs},
		{name: "single empty file", files: old(""), args: oldArgs},
		{name: "single file with an RDB", files: old(sampleRDB(t, true) + good), args: oldArgs},
		{name: "single file with an RDB, torn", files: old(base + good[:len(good)-1]), args: []string{"--fix", "old.aof"}, answer: "y\n"},
		{name: "no such file", files: files{}, args: []string{"nope.aof"}},

		{name: "no arguments", files: files{}, args: nil},
		{name: "too many arguments", files: files{}, args: []string{"a", "b", "c", "d"}},

		{name: "empty base", files: multiPart(t, good).with("d/a.3.base.rdb", ""), args: fix, answer: "y\n", code: 1,
			want: "is not the RDB that its name says (0 bytes)", differs: "the real tool takes a base of no bytes for a data set of no keys"},
		{name: "short base", files: multiPart(t, good).with("d/a.manifest", "file a.3.base.rdb seq 3 type b\n").with("d/a.3.base.rdb", "REDI"), args: fix, answer: "y\n", code: 1,
			want: "is not the RDB that its name says (4 bytes)", differs: "the real tool cuts it down to nothing"},
		{name: "junk for a manifest", files: multiPart(t, good).with("d/a.manifest", "junk\n"), args: fix, answer: "y\n", code: 1,
			want: "Invalid AOF manifest file format", differs: "the real tool takes it for a log and empties it"},
		{name: "empty manifest", files: multiPart(t, good).with("d/a.manifest", ""), args: manifest, code: 1,
			want: "Found an empty AOF manifest", differs: "the real tool takes it for an empty log, which is sound"},
		{name: "a file listed twice", files: multiPart(t, good).with("d/a.manifest", "file a.4.incr.aof seq 1 type i\nfile a.4.incr.aof seq 2 type i\n"), args: manifest, code: 1,
			want: "listed twice", differs: "everything in it would be counted twice"},
		{name: "a command without arguments", files: multiPart(t, good+"*0\r\n"+good), args: manifest, code: 1,
			want: "ok_up_to=27, ok_up_to_line=21, diff=31", differs: "redis-server refuses it; the real checker does not"},
		{name: "a directory", files: multiPart(t, good), args: []string{"d"}, code: 0,
			want: "All AOF files and manifest are valid", differs: "the real tool cannot read directories"},
		{name: "no question", files: multiPart(t, good+"junk"), args: []string{"--fix", "-y", "d/a.manifest"}, code: 0,
			want: "Successfully truncated AOF a.4.incr.aof", differs: "the real tool has no -y"},
		{name: "no file to fix", files: files{}, args: []string{"--fix"}, code: 1,
			want: aofUsage, differs: "the real tool looks for a file of the name --fix"},
	}
	for i := range good {
		if i > 0 {
			cases = append(cases,
				parityCase{name: "cut at " + good[:i], files: old(good + good[:i]), args: oldArgs},
				parityCase{name: "cut in MULTI at " + good[:i], files: old(inMulti + good[:i]), args: []string{"--fix", "old.aof"}, answer: "y\n"})
		}
	}
	return cases
}

// What comes out differently each time, or is more than the real tool says.
var (
	serverLog = regexp.MustCompile(`(?m)^\d+:C \d\d \w{3} \d{4} [0-9:.]+ # `)
	kept      = regexp.MustCompile(`(?m)^The \d+ bytes that were cut off are kept in .*\n`)
	// The byte behind the end of a line that was cut short is whatever lay there.
	behindEnd = regexp.MustCompile(`(Expected \\r\\n, got: (?:0d|00))[0-9a-f]{2}\n`)
)

func normal(out string) string {
	// The manifest's errors go to the server's log there, with empty lines between.
	if strings.Contains(out, "MANIFEST FILE ERROR") {
		out = strings.ReplaceAll(serverLog.ReplaceAllString(out, ""), "\n\n", "\n")
		out = strings.TrimSpace(strings.ReplaceAll(out, "\n\n", "\n"))
	}
	return behindEnd.ReplaceAllString(kept.ReplaceAllString(out, ""), "$1..\n")
}

// runReal runs Debian's tool in a directory.
func runReal(t *testing.T, dir, tool, answer string, args []string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(answer)
	b, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v (apt-get install redis-tools)", err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

func runOurs(t *testing.T, dir, answer string, run func(Tool) int) (out string, code int) {
	t.Helper()
	t.Chdir(dir)
	var b, errs bytes.Buffer
	code = run(Tool{FS: vfs.OS(), In: strings.NewReader(answer), Out: &b, Err: &errs, Version: "test"})
	return b.String(), code
}

// sizes is the files of a directory, without what was kept.
func contents(t *testing.T, dir string) (all files, saved string) {
	t.Helper()
	all = files{}
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(path, ".cut-") {
			saved += string(b)
			return err
		}
		all[strings.TrimPrefix(path, dir+"/")] = string(b)
		return err
	}))
	return all, saved
}

func TestAOF_EveryCase_SaysDoesAndExitsAsTheRealTool(t *testing.T) {
	for _, c := range aofCases(t) {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			theirs, ours := c.files.write(t), c.files.write(t)
			out, code := runOurs(t, ours, c.answer, func(tool Tool) int { return tool.AOF(c.args) })
			after, saved := contents(t, ours)
			if c.differs != "" {
				if code != c.code || !strings.Contains(out, c.want) {
					t.Errorf("exit %d, want %d and %q:\n%s", code, c.code, c.want, out)
				}
				return
			}
			want, wantCode := runReal(t, theirs, "redis-check-aof", c.answer, c.args)
			if len(c.args) != 1 && strings.HasPrefix(want, "Usage") {
				want = aofUsage + "\n"
			}
			if diff := cmp.Diff(normal(want), normal(out)); diff != "" || code != wantCode {
				t.Errorf("exit %d, want %d; output (-redis +limpet):\n%s", code, wantCode, diff)
			}
			wantAfter, _ := contents(t, theirs)
			if diff := cmp.Diff(wantAfter, after); diff != "" {
				t.Errorf("files (-redis +limpet):\n%s", diff)
			}
			for name, before := range c.files {
				if cut := strings.TrimPrefix(before, after[name]); cut != "" && cut != saved {
					t.Errorf("%s: %q was cut off, %q kept", name, cut, saved)
				}
			}
		})
	}
}

func rdbCases(t *testing.T) []parityCase {
	sample := sampleRDB(t, false)
	one := func(text string) files { return files{"dump.rdb": text} }
	args := []string{"dump.rdb"}
	cases := []parityCase{
		{name: "sound", files: one(sample), args: args},
		{name: "empty", files: one(""), args: args},
		{name: "no RDB", files: one("this is not one"), args: args},
		{name: "no keys", files: one("REDIS0010\xff\x00\x00\x00\x00\x00\x00\x00\x00"), args: args},
		{name: "version 3 without a checksum", files: one("REDIS0003\xfe\x00\x00\x01a\x01b\xff"), args: args},
		{name: "version of the future", files: one("REDIS0099\xff"), args: args},
		{name: "version no number", files: one("REDISabcd\xff"), args: args},
		{name: "wrong checksum", files: one(sample[:len(sample)-1] + "\x01"), args: args},
		{name: "no checksum", files: one(sample[:len(sample)-8] + "\x00\x00\x00\x00\x00\x00\x00\x00"), args: args},
		{name: "unknown type", files: one("REDIS0010\x2a\x01a\x01b\xff"), args: args},
		{name: "idle and freq", files: one("REDIS0010\xf8\x0a\x00\x01a\x01b\xf9\x05\x00\x01b\x01b\xff\x00\x00\x00\x00\x00\x00\x00\x00"), args: args},
		{name: "expiry in seconds", files: one("REDIS0010\xfd\x0a\x00\x00\x00\x00\x01a\x01b\xff\x00\x00\x00\x00\x00\x00\x00\x00"), args: args},
		{name: "no such file", files: files{}, args: args},
		{name: "no arguments", files: files{}, args: nil},
		{name: "two arguments", files: files{}, args: []string{"a", "b"}},
		{name: "version 11", files: one("REDIS0011\x00\x01a\x01b\xff\x00\x00\x00\x00\x00\x00\x00\x00"), args: args, code: 0,
			want: "RDB looks OK", differs: "7.0.15 reads up to version 10, this up to 12"},
		{name: "corrupt listpack", files: one("REDIS0010\x10\x01a\x05\x05\x00\x00\x00\xff\xff"), args: args, code: 1,
			want: "Reading type 16 (hash-listpack)", differs: "the real tool words it by its own functions and line numbers"},
		{name: "a name twice", files: one("REDIS0010\x02\x01a\x02\x01m\x01m\xff\x00\x00\x00\x00\x00\x00\x00\x00"), args: args, code: 1,
			want: "Duplicate name", differs: "the real tool words it by its own functions and line numbers"},
		{name: "the version", files: files{}, args: []string{"-v"}, code: 0,
			want: "redis-check-rdb 7.0.15 (limpet test)", differs: "it says whose it is"},
	}
	for i := range sample {
		cases = append(cases, parityCase{name: "cut", files: one(sample[:i]), args: args})
	}
	return cases
}

// Where in a value the file ends is counted by whole reads there, and they are
// others here.
var eofOffset = regexp.MustCompile(`\[offset \d+\] (Unexpected EOF reading RDB file\n.*read-object-value)`)

func TestRDB_EveryCase_SaysAndExitsAsTheRealTool(t *testing.T) {
	for i, c := range rdbCases(t) {
		if c.name == "cut" && i%5 != 0 && os.Getenv("LIMPET_TORTURE") != "1" {
			continue // each is a process
		}
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			dir := c.files.write(t)
			out, code := runOurs(t, dir, "", func(tool Tool) int { return tool.RDB(c.args) })
			if c.differs != "" {
				if code != c.code || !strings.Contains(out, c.want) {
					t.Errorf("exit %d, want %d and %q:\n%s", code, c.code, c.want, out)
				}
				return
			}
			want, wantCode := runReal(t, dir, "redis-check-rdb", "", c.args)
			want, out = eofOffset.ReplaceAllString(want, "$1"), eofOffset.ReplaceAllString(out, "$1")
			if diff := cmp.Diff(want, out); diff != "" || code != wantCode {
				t.Errorf("exit %d, want %d; output (-redis +limpet):\n%s", code, wantCode, diff)
			}
		})
	}
}
