package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/testredis"
)

// Exit codes, from docs/cli.md.
const (
	exitUsage       = 2
	exitUnreachable = 3
	exitLocal       = 7
)

// refused runs what must not start, and checks that nothing under dir, which may
// be missing, is any different afterwards.
func refused(t *testing.T, dir string, cmd *exec.Cmd, code int, says ...string) {
	t.Helper()
	before := listing(t, dir)
	r := execute(t, cmd)
	if r.code != code {
		t.Errorf("%v: exit code %d, want %d\n%s", cmd.Args[1:], r.code, code, r.err)
	}
	for _, part := range says {
		if !strings.Contains(r.err, part) {
			t.Errorf("%v: no %q in\n%s", cmd.Args[1:], part, r.err)
		}
	}
	if diff := cmp.Diff(before, listing(t, dir)); diff != "" {
		t.Errorf("%v: has changed the directory (-before +after):\n%s", cmd.Args[1:], diff)
	}
}

// listing is all there is to see of a directory or file, contents included. The
// lock's are left out: they name the last process that had it.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), " ", info.ModTime())
		if d.Name() == "appendonly.aof.lock" {
			all[path] = ""
		} else if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[path] += fmt.Sprintf(" %x", sha256.Sum256(content))
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all
}

// used is a data directory with something in it.
func used(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := up(t, "--dir", dir)
	ask(t, s.store, "SET key value")
	s.stopped()
	return dir
}

func TestUp_PortInUse_SaysWhoAndWhatElse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := l.Addr().String()
	_, port, _ := net.SplitHostPort(taken)
	for _, dir := range []string{used(t), filepath.Join(t.TempDir(), "not", "made")} {
		for _, flag := range []string{"--api-addr", "--store-addr"} {
			refused(t, dir, command("--dir", dir, flag, taken), exitLocal,
				"cannot listen on "+taken, "address already in use", "ss -ltnp 'sport = :"+port+"'", flag+" HOST:PORT", "Nothing has been changed")
		}
	}
}

func TestUp_DirectoryIsNone_SaysSo(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, []byte("somebody's notes"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		refused(t, base, command("--dir", dir), exitLocal, "cannot open "+dir, "not a directory", "Nothing has been changed")
	}
}

// The one who may write everywhere has to be somebody else for this.
func TestUp_UnwritableDirectory_SaysWhose(t *testing.T) {
	base, err := os.MkdirTemp("", "limpet-e2e-") // unlike t.TempDir, open to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Chmod(base, 0o755)
		_ = os.RemoveAll(base)
	})
	if err := os.Chmod(base, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{base, filepath.Join(base, "below")} {
		cmd := command("--dir", dir)
		user := os.Getuid()
		if user == 0 {
			user = 65534 // nobody
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
			cmd.Dir = "/"
		}
		refused(t, base, cmd, exitLocal, "cannot open "+dir, "permission denied", fmt.Sprintf("user id %d", user),
			"--dir", "Nothing has been changed")
	}
}

func TestUp_SecondProcessOnTheSameDirectory_NamesTheFirst(t *testing.T) {
	dir := used(t)
	first := up(t, "--dir", dir, "--appendfsync", "always") // so that it writes nothing later
	ask(t, first.store, "SET key other")
	for _, args := range [][]string{{"up", "--api-addr", "127.0.0.1:0"}, {"store"}} {
		cmd := exec.Command(binary, append(args, "--store-addr", "127.0.0.1:0", "--dir", dir)...)
		cmd.Env = environment()
		refused(t, dir, cmd, exitLocal, "cannot open "+dir, fmt.Sprintf("ps -p %d", first.cmd.Process.Pid), "--dir", "Nothing has been changed")
	}
	if got := ask(t, first.store, "GET key"); got != "$5\r\nother\r\n" {
		t.Errorf("the first answers %q", got)
	}
	first.stopped()
	up(t, "--dir", dir).stopped() // the lock went with it
}

// Redis 7.4 gives fields of hashes deadlines, which would be lost here.
func TestUp_DumpOfRedis74_WithExpiringFields_SaysWhatToDoThere(t *testing.T) {
	dir := t.TempDir()
	dump := "REDIS0012\xfe\x00\x18\x08sessions\x00\xd8\xc3,\xbb\x03\x00\x00\x01\x01\x01f\x01v\xff" + strings.Repeat("\x00", 8)
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), []byte(dump), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, filepath.Join(dir, "dump.rdb"), command("--dir", dir), exitLocal, "cannot open "+dir, `db 0 key "sessions": a hash field with a deadline`,
		"not supported", "mend:   HPERSIST", "Nothing has been changed")
}

func TestUp_DamagedLog_IsLeftAsItIs(t *testing.T) {
	dir := used(t)
	logs, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("%v, %v", logs, err)
	}
	content, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	content[0] = 'X' // in the middle of the data is not where a crash leaves a tear
	if err := os.WriteFile(logs[0], content, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, command("--dir", dir), exitLocal, "cannot open "+dir, "is damaged at byte 0", "Nothing has been changed",
		"look:   limpet check "+dir, "mend:   limpet repair --from "+dir+" --to ")
}

func TestUp_BadFlags_SayWhatIsWanted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for args, says := range map[string]string{
		"--workers 0":                      "--workers 0: want 1 or more",
		"--workers many":                   "--workers",
		"--per-host 0":                     "--per-host 0: want 1 or more",
		"--max-pages=-1":                   "--max-pages -1: want 0 or more",
		"--max-depth=-1":                   "--max-depth -1: want 0 or more",
		"--delay=-1s":                      "--delay -1s: want 0 or more",
		"--delay 5":                        "--delay",
		"--lease 1ms":                      "--lease 1ms: want 1s or more",
		"--appendfsync sometimes":          "--appendfsync must be one of \"always\",\"everysec\",\"no\"",
		"--log-format xml":                 "--log-format must be one of",
		"--connect-to test.com":            "--connect-to \"test.com\"",
		"--allow-net 10.0.0.0/99":          "--allow-net",
		"--api-addr 3001":                  "--api-addr \"3001\": want HOST:PORT",
		"--api-addr 0.0.0.0:3001":          "set --api-token, or say --insecure",
		"--store-addr :6379":               "set --store-password, or say --insecure",
		"--store ftp://localhost":          "want a URL like redis://localhost:6379/0",
		"--no-such-flag":                   "unknown flag --no-such-flag",
		"somewhere":                        "unexpected argument somewhere",
		"--user-agent limpet --appendonly": "unknown flag --appendonly",
	} {
		refused(t, dir, command(append([]string{"--dir", dir}, strings.Fields(args)...)...), exitUsage, says, "limpet up --help")
	}
}

func TestUp_StoreThatCannotKeepTheCount_IsRefused(t *testing.T) {
	forgetful := testredis.Start(t, testredis.Options{})
	dir := filepath.Join(t.TempDir(), "data")
	refused(t, dir, command("--store", "redis://"+forgetful.Addr(), "--dir", dir), exitLocal,
		"cannot keep the count through a crash", "appendonly", "Nothing has been changed")
	if n := forgetful.Do("DBSIZE"); n != int64(0) {
		t.Errorf("the refused store has %v keys", n)
	}
	addr := forgetful.Addr()
	forgetful.Stop()
	refused(t, dir, command("--store", "redis://"+addr, "--dir", dir), exitUnreachable, "cannot ask the store", "redis-cli -u redis://"+addr+" ping")
}
