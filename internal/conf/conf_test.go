package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parse(t *testing.T, dir, text string) *Settings {
	t.Helper()
	s, err := (&Parser{Dir: dir}).Parse(Source{Name: "redis.conf", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestParse_DebiansOwnFile_IsAcceptedAndAsksForNothingMissing(t *testing.T) {
	text, err := os.ReadFile("/etc/redis/redis.conf")
	if err != nil {
		t.Fatalf("%v: apt-get install redis-server", err)
	}
	dir := t.TempDir()
	s := parse(t, "", strings.ReplaceAll(string(text), "\ndir /var/lib/redis\n", "\ndir "+dir+"\n"))
	for name, want := range map[string]string{
		"bind": "127.0.0.1 -::1", "daemonize": "yes", "pidfile": "/run/redis/redis-server.pid", "dir": dir,
		"logfile": "/var/log/redis/redis-server.log", "auto-aof-rewrite-min-size": "67108864", "port": "6379",
	} {
		if got := s.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(s.Refused()) != 0 {
		t.Errorf("refused: %q", s.Refused())
	}
	if len(s.Missing()) != 0 {
		t.Errorf("asks for %q", s.Missing())
	}
}

func TestParse_LastLineWins_AndErrorsNameTheirLine(t *testing.T) {
	_, err := (&Parser{}).Parse(
		Source{Name: "a.conf", Text: "port 1\n\nport 2\n"},
		Source{Name: Stdin, Text: "timeout 1\n"},
		Source{Name: CommandLine, Text: "port \"3\" \nnosuch"},
	)
	var bad *Error
	if !errors.As(err, &bad) || *bad != (Error{Source: CommandLine, Line: 2, Joined: 7, Text: "nosuch", Reason: badDirective}) {
		t.Fatalf("%+v", err)
	}
	if want := "the command line: line 2: 'nosuch': Bad directive or wrong number of arguments"; err.Error() != want {
		t.Error(err)
	}
	s, err := (&Parser{}).Parse(Source{Name: "a", Text: "port 1\nport 2"}, Source{Name: CommandLine, Text: "port \"3\" "})
	if err != nil || s.Int("port") != 3 || !s.Given("port") || s.Given("timeout") {
		t.Errorf("%v, %v", s, err)
	}
}

func TestInclude_ReadsPatternsInOrder_RelativeToTheWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "conf.d", "b.conf"), "timeout 2\nrename-command KEYS \"\"")
	write(t, filepath.Join(dir, "conf.d", "a.conf"), "timeout 1\ndatabases 5\n")
	write(t, filepath.Join(dir, "conf.d", ".hidden.conf"), "nosuch")
	write(t, filepath.Join(dir, "data", "more.conf"), "tcp-keepalive 9\n")
	s := parse(t, dir, "include conf.d/*.conf\ninclude none/*\ndir data\ninclude more.conf\n")
	if s.Int("timeout") != 2 || s.Int("databases") != 5 || s.Int("tcp-keepalive") != 9 || s.Renamed["keys"] != "" || s.Get("dir") != filepath.Join(dir, "data") {
		t.Errorf("%+v", s)
	}
}

func TestInclude_ErrorsNameTheIncludedFile(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "inner.conf")
	write(t, inner, "port 1\nport many")
	_, err := (&Parser{Dir: dir}).Parse(Source{Name: "outer", Text: "timeout 1\ninclude inner.conf"})
	var bad *Error
	if !errors.As(err, &bad) || bad.Source != inner || bad.Line != 2 {
		t.Errorf("%v", err)
	}
	_, err = (&Parser{Dir: dir}).Parse(Source{Name: "outer", Text: "include gone.conf"})
	var file *FileError
	if !errors.As(err, &file) || !errors.Is(err, fs.ErrNotExist) ||
		err.Error() != "can't open config file 'gone.conf': No such file or directory" {
		t.Errorf("%v", err)
	}
}

func TestInclude_OfItself_EndsWithAnError(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "self.conf"), "include self.conf")
	_, err := (&Parser{Dir: dir}).Parse(Source{Name: "outer", Text: "include self.conf"})
	if err == nil || !strings.Contains(err.Error(), "include one another more than 32 deep") {
		t.Errorf("%v", err)
	}
}

func TestRename_FollowsTheLines(t *testing.T) {
	s := parse(t, "", "rename-command GET fetch\nrename-command Fetch GOT\nrename-command set \"\"\nrename-command del set")
	want := map[string]string{"get": "", "fetch": "", "got": "get", "set": "del", "del": ""}
	if !maps.Equal(s.Renamed, want) {
		t.Errorf("%q, want %q", s.Renamed, want)
	}
}

func TestDir_Missing_IsAnErrorUnlessAllowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new")
	source := Source{Name: "c", Text: "dir " + path}
	if _, err := (&Parser{}).Parse(source); err == nil || !strings.HasSuffix(err.Error(), ": No such file or directory") {
		t.Errorf("%v", err)
	}
	if s, err := (&Parser{MissingDirOK: true}).Parse(source); err != nil || s.Get("dir") != path {
		t.Errorf("%v", err)
	}
}

func TestBuiltIn_IsOverruledByAllOthers(t *testing.T) {
	dir := t.TempDir()
	p := Parser{Dir: dir, MissingDirOK: true, BuiltIn: "dir built/in\nsave 1 1\ntimeout 5\nport 7"}
	s, err := p.Parse(Source{Name: "c", Text: "dir data\nsave 2 2\nport 8"})
	if err != nil || s.Get("dir") != filepath.Join(dir, "data") || s.Get("save") != "2 2" || s.Int("timeout") != 5 || s.Int("port") != 8 || s.Given("timeout") {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = p.Parse(); err != nil || s.Get("dir") != filepath.Join(dir, "built", "in") {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestMissingAndRefused_NameOnlyWhatIsAskedFor(t *testing.T) {
	s := parse(t, "", "appendonly yes\nsave \"\"\nhz 10\nmaxmemory 100mb\nuser joe on\nreplicaof h 1\nloadmodule /m.so x\ntimeout 9")
	if got := fmt.Sprint(s.Missing()); got != "[maxmemory 104857600]" {
		t.Error(got)
	}
	if got := fmt.Sprint(s.Refused()); got != "[replicaof h 1 user joe loadmodule /m.so]" {
		t.Error(got)
	}
}

func TestMemory_HugeSizes_AreTheLargest(t *testing.T) {
	for text, want := range map[string]int64{"9223372036854775807": math.MaxInt64, "9223372036854775808": math.MaxInt64, "9999999999gb": math.MaxInt64, "8gb": 8 << 30} {
		if got, err := Memory(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}

func TestSplitArgs_Sentinel_IsRefused(t *testing.T) {
	if _, err := SplitArgs([]string{"x.conf", "--sentinel"}); !errors.Is(err, ErrSentinel) {
		t.Error(err)
	}
}

func FuzzParse_NeverPanics_ErrorsNameALineThatExists(f *testing.F) {
	for _, seed := range []string{"port 1\nsave 60 1\nsave \"\"", "bind \"a b\" c", "rename-command get \"\"\nrename-command set get",
		"client-output-buffer-limit normal 1mb 2 3", "include self", "proc-title-template \"{\"", "dir /", "# x\n\t'\\''"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := Parser{Dir: "/", MissingDirOK: true, ReadFile: func(string) ([]byte, error) { return []byte(text), nil }}
		s, err := p.Parse(Source{Name: "fuzz", Text: text})
		var bad *Error
		if errors.As(err, &bad) {
			if lines := strings.Split(text, "\n"); bad.Line < 1 || bad.Line > len(lines) || !strings.Contains(lines[bad.Line-1], bad.Text) {
				t.Errorf("line %d: %q", bad.Line, bad.Text)
			}
			return
		}
		if err != nil {
			return
		}
		for _, d := range directives {
			if args := strings.Split(s.Get(d.Name), " "); d.check != nil && d.Name != "dir" && s.Given(d.Name) {
				if d.Name == "client-output-buffer-limit" {
					continue // its value is that of all classes, not of a line
				}
				if !d.multi {
					args = []string{s.Get(d.Name)}
				}
				if _, err := d.check(args, d.Default, false); err != nil {
					t.Errorf("%s: its own value %q: %v", d.Name, s.Get(d.Name), err)
				}
			}
		}
	})
}

func FuzzSplitArgs_QuotedWordsComeBack(f *testing.F) {
	f.Add("--timeout", "7", "-")
	f.Add("--save", "--x", "a \"b\x00\xff\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if strings.ContainsRune(a+b+c, 0) || a+b+c == "--sentinel" {
			return // no argument of a program has a zero byte
		}
		args, err := SplitArgs([]string{"--syslog-ident", a + b + c, "-"})
		if err != nil || !args.Stdin && a+b+c != "-" {
			return
		}
		s, err := (&Parser{}).Parse(Source{Name: CommandLine, Text: args.Options})
		if err != nil || s.Get("syslog-ident") != a+b+c {
			t.Errorf("%q: %v", args.Options, err)
		}
		_, _ = SplitArgs([]string{a, b, c})
	})
}
