package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The manuals' commands run as they stand there, in a fresh clone, but that ports
// are the system's and that the domains lead to a site on loopback.

// root is the repository.
const root = "../.."

// clone is what a new user has after git clone: what is committed. Where there is
// no git, as in a source archive, it is a copy.
func clone(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "limpet")
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		if err := os.CopyFS(dir, os.DirFS(root)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if r := execute(t, exec.Command("git", "clone", "--quiet", "--depth", "1", "file://"+absolute(t, root), dir)); r.code != 0 {
		t.Fatalf("git clone: exit code %d\n%s", r.code, r.err)
	}
	return dir
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// manual is a page of documentation and the machine on which its commands run.
type manual struct {
	t   *testing.T
	dir string // of the clone
	env []string

	api, store string // where the service listens that was started last
}

func openManual(t *testing.T, domains ...string) *manual {
	t.Helper()
	web := serve(t, pythonDocs)
	dir := clone(t)
	var detours []string
	for _, domain := range domains {
		detours = append(detours, domain+":80:"+web.addr(), domain+":443:127.0.0.1:1")
	}
	return &manual{t: t, dir: dir, env: environment(
		"LIMPET_CONNECT_TO="+strings.Join(detours, ","),
		"LIMPET_ALLOW_NET=127.0.0.0/8",
		"LIMPET_LOG_FORMAT=json",
		"PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"),
	)}
}

// on is the manual for a part of the test.
func (m *manual) on(t *testing.T) *manual {
	part := *m
	part.t = t
	return &part
}

func (m *manual) text(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// blocks are the contents of the fenced blocks in a language.
func blocks(text, language string) (all []string) {
	for _, part := range strings.Split(text, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		all = append(all, block)
	}
	return all
}

// typed are the lines of console blocks that a person types.
func typed(text string) (commands []string) {
	for _, block := range blocks(text, "console") {
		for line := range strings.Lines(block + "\n") {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				commands = append(commands, strings.TrimSpace(command))
			}
		}
	}
	return commands
}

// inline are the pieces of code within the text that begin with a word.
func inline(text, word string) (commands []string) {
	for i, piece := range strings.Split(text, "`") {
		if i%2 == 1 && strings.HasPrefix(piece, word+" ") {
			commands = append(commands, piece)
		}
	}
	return commands
}

func (m *manual) shell(line string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir = m.dir
	cmd.Env = append(m.env, "LIMPET_API="+m.api)
	return cmd
}

// run types a command, and gives what it prints.
func (m *manual) run(line string) string {
	m.t.Helper()
	_, port, _ := strings.Cut(m.store, ":")
	moved := strings.NewReplacer("http://localhost:3001", m.api, "redis-cli ", "redis-cli -p "+port+" ").Replace(line)
	r := execute(m.t, m.shell(moved))
	if r.code != 0 {
		m.t.Fatalf("%s: exit code %d\n%s%s", line, r.code, r.out, r.err)
	}
	return r.out
}

// makeUp is `make up`: what it depends on by make, and its last line by itself,
// so that the service is a process of the test's own, to be killed like others.
func (m *manual) makeUp() *service {
	m.t.Helper()
	if r := execute(m.t, m.shell("make --no-print-directory build")); r.code != 0 {
		m.t.Fatalf("make build: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	plan := strings.TrimSpace(execute(m.t, m.shell("make --no-print-directory --dry-run up")).out)
	last := plan[strings.LastIndex(plan, "\n")+1:]
	cmd := m.shell("exec " + last)
	cmd.Env = append(cmd.Env, "LIMPET_API_ADDR=127.0.0.1:0", "LIMPET_STORE_ADDR=127.0.0.1:0")
	s := &service{process: spawn(m.t, cmd), t: m.t}
	if !s.awaitText(m.t, s.ready) {
		m.t.Fatalf("%s: ended at start:\n%s", last, s.errors)
	}
	m.api, m.store = s.api, s.store
	return s
}

func TestManuals_TheirCommandsDoWhatTheySay(t *testing.T) {
	m := openManual(t, "example.com", "test.com")
	t.Run("README.md", func(t *testing.T) { m.on(t).readme() })
	t.Run("docs/cli.md", func(t *testing.T) { m.on(t).commandLine() })
}

func (m *manual) readme() {
	text := m.text("README.md")
	commands := typed(text)
	if len(commands) < 5 || commands[0] != "make up" {
		m.t.Fatalf("README.md has the commands %q", commands)
	}
	s := m.makeUp()
	printed := make(map[string]string)
	for _, line := range commands[1:] {
		printed[line] = m.run(line)
		m.t.Logf("$ %s\n%s", line, printed[line])
	}
	for line, want := range map[string]string{
		commands[1]: `"success":true`,
		"curl http://localhost:3001/api/fcrawler/seed/example.com": `"progress":{"total":`,
		"bin/limpet progress example.com --watch":                  "completed",
	} {
		if out, ok := printed[line]; !ok || !strings.Contains(out, want) {
			m.t.Errorf("%s: printed %q, want %q in it", line, out, want)
		}
	}
	const count = "redis-cli GET fcrawler:seed:example.com:crawled"
	if n, err := strconv.Atoi(strings.TrimSpace(printed[count])); err != nil || n < 500 {
		m.t.Errorf("%s: printed %q", count, printed[count])
	}

	// "Now pull the plug … and make up again."
	s.kill()
	s = m.makeUp()
	again := inline(text, "bin/limpet")
	if len(again) < 2 {
		m.t.Fatalf("README.md has %q in its text", again)
	}
	for _, line := range again {
		m.t.Logf("$ %s\n%.200s", line, m.run(line))
	}
	if got := m.run(count); got != printed[count] {
		m.t.Errorf("after kill -9 %q are crawled, before %q", got, printed[count])
	}
	if _, err := os.Stat(filepath.Join(m.dir, "volumes", "redis", "appendonlydir")); err != nil {
		m.t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(m.dir, ".git")); err == nil {
		if out := m.run("git status --short"); out != "" {
			m.t.Errorf("git does not ignore what was made:\n%s", out)
		}
	}
	s.stopped()
}

func (m *manual) commandLine() {
	text := m.text("docs/cli.md")
	scripts := blocks(text, "sh")
	if len(scripts) == 0 {
		m.t.Fatal("docs/cli.md has no script")
	}
	s := m.makeUp()
	for _, script := range scripts {
		m.t.Logf("%s\n%s", script, m.run(script))
	}
	table, err := os.ReadFile(filepath.Join(m.dir, "test.com.csv"))
	if rows := strings.Count(string(table), "\n"); err != nil || rows < 500 {
		m.t.Errorf("%d lines in the table, %v; want one for each page", rows, err)
	}
	for _, name := range []string{"submit", "progress", "seeds", "pages", "pause", "resume", "cancel", "retry", "audit", "export", "up", "store"} {
		if !strings.Contains(text, "`limpet "+name) {
			m.t.Errorf("docs/cli.md does not tell of limpet %s", name)
		}
		m.run("limpet " + name + " --help")
	}
	s.stopped()
}
