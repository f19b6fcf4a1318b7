package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"limpet/internal/testredis"
)

// The commands of a manual run as they stand there; behind each stands its exit
// code.
func runPage(t *testing.T, page, dir string, change *strings.Replacer) (ran int) {
	t.Helper()
	text := readFile(t, filepath.Join("../../docs", page))
	for _, c := range regexp.MustCompile(`(?m)^\$ (.*\S)\s+# (\d+)$`).FindAllStringSubmatch(text, -1) {
		cmd := exec.Command("bash", "-c", change.Replace(c[1]))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
		r := execute(t, cmd)
		if want, _ := strconv.Atoi(c[2]); r.code != want {
			t.Errorf("%s: %s: exit code %d, want %d\n%s%s", page, c[1], r.code, want, r.out, r.err)
		}
		ran++
	}
	return ran
}

// volumes is a directory that holds a torn one under the manual's name.
func volumes(t *testing.T) (dir string) {
	t.Helper()
	torn := tornDir(t)
	dir = shortDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "volumes"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "volumes", "redis"), os.DirFS(torn)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestManual_OfRepair_RunsAsItStands(t *testing.T) {
	if ran := runPage(t, "repair.md", volumes(t), strings.NewReplacer()); ran != 10 {
		t.Errorf("%d commands in it", ran)
	}
}

func TestManual_OfRepair_ExplainsEveryFinding(t *testing.T) {
	text := readFile(t, "../../docs/repair.md")
	source := readFile(t, "../../internal/check/report.go")
	codes := regexp.MustCompile(`(?m)^\t\w+ +Code = "([a-z-]+)"`).FindAllStringSubmatch(source, -1)
	rows := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (torn|damaged|note) \\|").FindAllStringSubmatch(text, -1)
	if len(codes) != len(rows) || len(codes) < 20 {
		t.Errorf("docs/repair.md explains %d findings of %d", len(rows), len(codes))
	}
	for _, c := range codes {
		if !strings.Contains(text, "| `"+c[1]+"` |") {
			t.Errorf("docs/repair.md does not explain %s", c[1])
		}
	}
}

func TestManual_OfDoctor_RunsAsItStands(t *testing.T) {
	dir := volumes(t)
	s := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	writeFile(t, filepath.Join(dir, "docker-compose.yml"), "services: {redis: {image: redis:7}}\n")
	if ran := runPage(t, "doctor.md", dir, strings.NewReplacer("127.0.0.1:6379", s.Addr())); ran != 4 {
		t.Errorf("%d commands in it", ran)
	}
}

func TestDoctor_TheExitCodeIsTheWorst_AndNothingIsLeftBehind(t *testing.T) {
	dir := realDir(t)
	before := len(snapshot(t, dir))
	r := execute(t, exec.Command(binary, "doctor", "--dir", dir, "--json"))
	for _, v := range r.lines() {
		switch v["code"] {
		case "not-a-mount", "file-system", "disk-low", "inodes-low": // of the machine that runs the test
			continue
		}
		if v["code"] == "" || v["text"] == "" || v["evidence"] == "" || v["do"] == "" || v["severity"] == "critical" {
			t.Errorf("%v", v)
		}
	}
	if after := len(snapshot(t, dir)); after != before {
		t.Errorf("%d files before, %d after", before, after)
	}
	appendTo(t, filepath.Join(dir, realIncr), "junk")
	execute(t, exec.Command(binary, "doctor", "--dir", dir)).printed(exitSevere, "critical (log-damaged): ", "  seen:   ", "  do:     limpet repair --from "+dir)
	execute(t, exec.Command(binary, "doctor", "--store", "http://x")).want(exitUsage, "--store: ")
	silent := execute(t, exec.Command(binary, "doctor", "--store", "redis://127.0.0.1:1"))
	silent.printed(exitSevere, "critical (store-silent)")
	if silent.err != "" {
		t.Errorf("standard error has %q", silent.err)
	}
}
