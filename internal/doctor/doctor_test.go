package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/aof"
	"limpet/internal/machine"
	"limpet/internal/testredis"
	"limpet/vfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quiet is a machine on which nothing is wrong.
func quiet() Machine {
	return Machine{
		Mount: func(string) (machine.Mount, error) { return machine.Mount{Point: "/data", Kind: "ext4"}, nil },
		Space: func(string) (machine.Space, error) {
			return machine.Space{Free: 1 << 40, Total: 1 << 41, FreeInodes: 1 << 20, TotalInodes: 1 << 21}, nil
		},
		Owner: func(string) (machine.Owner, error) {
			return machine.Owner{UID: 999, GID: 999, Mode: os.ModeDir | 0o755}, nil
		},
		Container:   func() string { return "" },
		Overcommit:  func() (string, error) { return "1", nil },
		HugePages:   func() (string, error) { return "madvise", nil },
		SyncLatency: func(string, int) ([]time.Duration, error) { return []time.Duration{time.Millisecond}, nil },
	}
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func examine(t *testing.T, s Subject) []Finding {
	t.Helper()
	s.FS = vfs.OS()
	if s.Machine.Mount == nil {
		s.Machine = quiet()
	}
	s.Now = func() time.Time { return now }
	found, err := Examine(context.Background(), s)
	must(t, err)
	for _, f := range found {
		if f.Text == "" || f.Evidence == "" || f.Do == "" || strings.Contains(f.Evidence, "%!") {
			t.Errorf("%s: text %q, evidence %q, do %q", f.Code, f.Text, f.Evidence, f.Do)
		}
		provoked.add(f.Code)
	}
	return found
}

// codes is the findings as "severity code", in order.
func codes(found []Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, fmt.Sprintf("%v %s", f.Severity, f.Code))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// provoked is the codes that the tests of this package have seen.
type codeSet struct{ seen map[Code]bool }

func (c *codeSet) add(code Code) { c.seen[code] = true }

var provoked = &codeSet{map[Code]bool{}}

// Every finding there is was provoked by a test, and is explained in the manual.
func TestMain(m *testing.M) {
	code := m.Run()
	source, err := os.ReadFile("finding.go")
	if err != nil {
		panic(err)
	}
	all := regexp.MustCompile(`(?m)^\t\w+ +Code = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
	filtered := slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.run") })
	for _, c := range all {
		if !filtered && !provoked.seen[Code(c[1])] {
			fmt.Printf("FAIL: no test provokes %s\n", c[1])
			code = 1
		}
	}
	os.Exit(code)
}

func TestManual_ExplainsEveryCode_AndNoOther(t *testing.T) {
	source, err := os.ReadFile("finding.go")
	must(t, err)
	page, err := os.ReadFile("../../docs/doctor.md")
	must(t, err)
	var want, have []string
	for _, c := range regexp.MustCompile(`(?m)^\t\w+ +Code = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, c[1])
	}
	for _, c := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		have = append(have, c[1])
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("docs/doctor.md explains %v\nthe program knows %v", have, want)
	}
}

// The settings are those of a real server that runs with them.
func TestServer_EachSetting(t *testing.T) {
	const always = "info old-version" // 7.0.15 is what Debian has
	logged := []string{"--appendonly", "yes", "--save", "3600 1", "--aof-load-truncated", "no"}
	for _, row := range []struct {
		name string
		args []string
		do   func(s *testredis.Server)
		want string
	}{
		{"nothing wrong", logged, nil, always},
		{"nothing is written", nil, nil, "critical no-persistence, " + always},
		{"only save points", []string{"--save", "3600 1"}, nil, always + ", warning aof-off"},
		{"only the log", append(logged, "--save", ""), nil, "info no-save-points, " + always},
		{"never synced", append(logged, "--appendfsync", "no"), nil, always + ", warning sync-never"},
		{"cuts by itself", append(logged, "--aof-load-truncated", "yes"), nil, always + ", warning load-truncated"},
		{"never rewritten", append(logged, "--auto-aof-rewrite-percentage", "0"), nil, always + ", warning rewrite-off"},
		{"history kept", append(logged, "--aof-disable-auto-gc", "yes"), nil, always + ", warning history-kept"},
		{"a policy without a limit", append(logged, "--maxmemory-policy", "allkeys-lru"), nil, "info evicts-keys, " + always},
		{"evicts", append(logged, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), nil, always + ", warning evicts-keys"},
		{"evicts what a crawl needs", append(logged, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
			func(s *testredis.Server) { s.Do("HSET", "fcrawler:seed:test.com:m", "total", "1") }, "critical evicts-keys, " + always},
		// An address that this machine has not, and that the server may do without.
		{"open", append(logged, "--bind", "127.0.0.1 -192.0.2.1", "--protected-mode", "no"), nil, "critical open-to-world, " + always},
		{"open, with a password", append(logged, "--bind", "127.0.0.1 -192.0.2.1", "--protected-mode", "no"),
			func(s *testredis.Server) { s.Do("CONFIG", "SET", "requirepass", "x") }, always},
		{"a save that fails", logged, func(s *testredis.Server) {
			must(t, os.Mkdir(filepath.Join(s.Dir(), "dump.rdb"), 0o755))
			s.Do("SET", "k", "v")
			s.Do("BGSAVE")
			awaitInfo(t, s, "rdb_last_bgsave_status:err")
		}, "critical save-failing, " + always},
		{"a rewrite that fails", logged, func(s *testredis.Server) {
			must(t, os.Mkdir(filepath.Join(s.Dir(), "appendonlydir", "appendonly.aof.2.base.rdb"), 0o755))
			s.Do("BGREWRITEAOF")
			awaitInfo(t, s, "aof_last_bgrewrite_status:err")
		}, "critical rewrite-failing, " + always},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := testredis.Start(t, testredis.Options{Args: row.args})
			if row.do != nil {
				row.do(s)
			}
			if got := codes(examine(t, Subject{Server: NewServer(s.Client())})); got != row.want {
				t.Errorf("found %s\nwant  %s", got, row.want)
			}
		})
	}
}

func awaitInfo(t *testing.T, s *testredis.Server, field string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.Do("INFO", "persistence").(string), field); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", field)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// command starts a redis-server by a command line of the shell's; it listens on
// the socket s in the directory.
func command(t *testing.T, dir, line string) *redis.Client {
	t.Helper()
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir = dir
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: filepath.Join(dir, "s"), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	for deadline := time.Now().Add(20 * time.Second); client.Ping(context.Background()).Err() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the server does not come up")
		}
		<-time.After(2 * time.Millisecond)
	}
	return client
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "doctor")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestServer_DiffersFromItsFile(t *testing.T) {
	dir := shortDir(t)
	conf := filepath.Join(dir, "redis.conf")
	must(t, os.WriteFile(conf, []byte("port 0\nunixsocket "+dir+"/s\ndir "+dir+"\nappendonly no\nappendonly yes\nsave 3600 1\naof-load-truncated no\n"), 0o644))
	client := command(t, dir, "exec redis-server "+conf+" >/dev/null")
	must(t, client.ConfigSet(context.Background(), "appendonly", "no").Err())
	if got := codes(examine(t, Subject{Server: NewServer(client)})); !strings.Contains(got, "critical aof-differs") {
		t.Errorf("found %s", got)
	}
}

// A limit on the size of files stands for a disk that is full.
func TestServer_WritesThatFail(t *testing.T) {
	dir := shortDir(t)
	client := command(t, dir, "trap '' XFSZ; ulimit -f 16; exec redis-server --port 0 --unixsocket s --appendonly yes --save '' >/dev/null")
	for n := 0; n < 1000; n++ {
		if client.Set(context.Background(), "k", strings.Repeat("x", 4096), 0).Err() != nil {
			break
		}
	}
	if got := codes(examine(t, Subject{Server: NewServer(client)})); !strings.Contains(got, "critical write-failing") {
		t.Errorf("found %s", got)
	}
}

func TestServer_ThatDoesNotAnswer(t *testing.T) {
	s := testredis.Start(t, testredis.Options{})
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = client.Close() }()
	s.Stop()
	if got := codes(examine(t, Subject{Server: NewServer(client)})); got != "critical store-silent" {
		t.Errorf("found %s", got)
	}
}

// old is a server of which only the version is known.
type old string

func (v old) Info(context.Context) (map[string]string, error) {
	return map[string]string{"redis_version": string(v)}, nil
}
func (old) Config(context.Context) (map[string]string, error) { return nil, errors.New("NOPERM") }
func (old) Seeds(context.Context) (bool, error)               { return false, nil }

func TestServer_VersionsWithTraps(t *testing.T) {
	for version, want := range map[string]string{
		"7.0.4": "critical old-version", "7.0.5": "warning old-version", "7.0.15": "info old-version",
		"7.2.6": "", "6.2.14": "", "8.0.0": "", "255.255.255": "", "unstable": "",
	} {
		if got := codes(examine(t, Subject{Server: old(version)})); got != want {
			t.Errorf("%s: found %s, want %s", version, got, want)
		}
	}
}

const (
	good  = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
	named = "file appendonly.aof.1.incr.aof seq 1 type i\n"
)

func TestDirectory_EachFault(t *testing.T) {
	multi := string(aof.AppendCommand(nil, "MULTI"))
	for _, row := range []struct {
		name  string
		files map[string]string
		s     Subject
		want  string
	}{
		{"sound", map[string]string{"appendonlydir/appendonly.aof.manifest": named, "appendonlydir/appendonly.aof.1.incr.aof": good}, Subject{}, ""},
		{"empty", nil, Subject{}, ""},
		{"torn", map[string]string{"appendonlydir/appendonly.aof.manifest": named, "appendonlydir/appendonly.aof.1.incr.aof": good + good[:9]}, Subject{}, "warning log-torn"},
		{"damaged", map[string]string{"appendonlydir/appendonly.aof.manifest": named, "appendonlydir/appendonly.aof.1.incr.aof": good + "junk"}, Subject{}, "critical log-damaged"},
		{"a hole: a file ends early and another follows", map[string]string{"appendonlydir/appendonly.aof.manifest": named + "file appendonly.aof.2.incr.aof seq 2 type i\n",
			"appendonlydir/appendonly.aof.1.incr.aof": good + good[:9], "appendonlydir/appendonly.aof.2.incr.aof": good}, Subject{}, "critical log-damaged"},
		{"zeros at the end", map[string]string{"appendonlydir/appendonly.aof.manifest": named, "appendonlydir/appendonly.aof.1.incr.aof": good + "\x00\x00\x00\x00"}, Subject{}, "warning log-torn"},
		{"missing", map[string]string{"appendonlydir/appendonly.aof.manifest": named}, Subject{}, "critical log-damaged"},
		{"open MULTI", map[string]string{"appendonlydir/appendonly.aof.manifest": named, "appendonlydir/appendonly.aof.1.incr.aof": good + multi + good}, Subject{}, "critical open-multi"},
		{"MULTI in MULTI", map[string]string{"appendonlydir/appendonly.aof.manifest": named, "appendonlydir/appendonly.aof.1.incr.aof": multi + good + multi}, Subject{}, "critical open-multi"},
		{"no manifest", map[string]string{"appendonlydir/appendonly.aof.1.incr.aof": good}, Subject{}, "critical orphans"},
		{"strays", map[string]string{"temp-rewriteaof-1.aof": "x", "temp-2.rdb": "x"}, Subject{}, "info stray-files"},
		{"a dump, and a log is wanted", map[string]string{"dump.rdb": "REDIS0010\xff\x00\x00\x00\x00\x00\x00\x00\x00", "c.yml": "services: {r: {image: 'redis:7.2.6', command: redis-server --appendonly yes, volumes: ['./r:/data']}}"},
			Subject{Compose: "c.yml"}, "critical dump-ignored"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range row.files {
				must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
			}
			if row.s.Dir = dir; row.s.Compose != "" {
				row.s.Compose = filepath.Join(dir, row.s.Compose)
			}
			if got := codes(examine(t, row.s)); got != row.want {
				t.Errorf("found %s\nwant  %s", got, row.want)
			}
		})
	}
	if got := codes(examine(t, Subject{Dir: filepath.Join(t.TempDir(), "none")})); got != "critical dir-unreadable" {
		t.Errorf("no directory: found %s", got)
	}
}

func TestDirectory_DumpNewerThanTheLog_IsWorseTheNewerItIs(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "appendonlydir"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "appendonlydir/appendonly.aof.manifest"), []byte(named), 0o644))
	log := filepath.Join(dir, "appendonlydir/appendonly.aof.1.incr.aof")
	must(t, os.WriteFile(log, []byte(good), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "dump.rdb"), []byte("REDIS0010\xff\x00\x00\x00\x00\x00\x00\x00\x00"), 0o644))
	for age, want := range map[time.Duration]string{0: "", 30 * time.Minute: "info dump-newer", 90 * time.Minute: "warning dump-newer", 48 * time.Hour: "warning dump-newer"} {
		then := time.Now().Add(-age)
		must(t, os.Chtimes(log, then, then))
		must(t, os.Chtimes(filepath.Join(dir, "dump.rdb"), time.Now(), then.Add(age)))
		if got := codes(examine(t, Subject{Dir: dir})); got != want {
			t.Errorf("%v: found %s, want %s", age, got, want)
		}
	}
}

func TestPlace_EachFact(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "appendonlydir"), 0o755))
	for name, text := range map[string]string{
		"appendonly.aof.manifest": "file appendonly.aof.1.base.aof seq 1 type b\n" + named, "appendonly.aof.1.base.aof": strings.Repeat(good, 40000), "appendonly.aof.1.incr.aof": good,
	} {
		must(t, os.WriteFile(filepath.Join(dir, "appendonlydir", name), []byte(text), 0o644))
	}
	compose := filepath.Join(t.TempDir(), "c.yml")
	must(t, os.WriteFile(compose, []byte("services: {r: {image: 'redis:7.2.6', command: redis-server --appendonly yes, volumes: ['./r:/data']}}"), 0o644))
	for _, row := range []struct {
		name    string
		change  func(m *Machine)
		compose bool
		want    string
	}{
		{"nothing", func(*Machine) {}, true, ""},
		{"nfs", func(m *Machine) { m.Mount = mounted("nfs4", false) }, false, "warning file-system"},
		{"tmpfs", func(m *Machine) { m.Mount = mounted("tmpfs", false) }, false, "critical file-system"},
		{"the container's layer", func(m *Machine) { m.Mount = mounted("overlay", false) }, false, "critical file-system, critical not-a-mount"},
		{"the container's layer, of an engine without overlays", func(m *Machine) {
			m.Mount, m.Container = liesAt("/", "/x"), func() string { return "/.dockerenv" }
		}, false, "critical not-a-mount"},
		{"a volume in the container", func(m *Machine) {
			m.Mount, m.Container = liesAt("/data", "/srv/volumes/redis"), func() string { return "/.dockerenv" }
		}, false, ""},
		{"an anonymous volume in the container", func(m *Machine) {
			m.Mount, m.Container = liesAt("/data", "/docker/volumes/"+digits+"/_data"), func() string { return "/.dockerenv" }
		}, false, "critical anonymous-volume"},
		{"an anonymous volume on the host", func(m *Machine) { m.Mount = liesAt("/", "/var/lib/docker/volumes/"+digits+"/_data") }, false, "critical anonymous-volume"},
		{"a named volume on the host", func(m *Machine) { m.Mount = liesAt("/", "/var/lib/docker/volumes/redis-data/_data") }, false, ""},
		{"the engine's layer on the host", func(m *Machine) { m.Mount = liesAt("/", "/var/lib/docker/overlay2/"+digits+"/diff/data") }, false, "critical not-a-mount"},
		{"containerd's layer on the host", func(m *Machine) {
			m.Mount = liesAt("/", "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/42/fs/data")
		}, false, "critical not-a-mount"},
		{"read-only", func(m *Machine) { m.Mount = mounted("ext4", true) }, false, "critical read-only"},
		{"no room for a base", func(m *Machine) { m.Space = free(64<<20+1000, 1<<20) }, false, "critical disk-low"},
		{"no room for two", func(m *Machine) { m.Space = free(64<<20+2<<20-500000, 1<<20) }, false, "warning disk-low"},
		{"no inodes", func(m *Machine) { m.Space = free(1<<40, 7) }, false, "warning inodes-low"},
		{"another owner", func(m *Machine) { m.Owner = owned(1000, 0o755) }, true, "warning wrong-owner"},
		{"another owner, and no container", func(m *Machine) { m.Owner = owned(1000, 0o755) }, false, ""},
		{"open to all", func(m *Machine) { m.Owner = owned(999, 0o777) }, false, "warning open-mode"},
		{"a slow disk", func(m *Machine) { m.SyncLatency = syncs(20 * time.Millisecond) }, false, "info slow-sync"},
		{"a very slow disk", func(m *Machine) { m.SyncLatency = syncs(200 * time.Millisecond) }, false, "warning slow-sync"},
		{"overcommit", func(m *Machine) { m.Overcommit = func() (string, error) { return "0", nil } }, true, "warning overcommit"},
		{"overcommit, and nobody forks", func(m *Machine) { m.Overcommit = func() (string, error) { return "0", nil } }, false, "info overcommit"},
		{"huge pages", func(m *Machine) { m.HugePages = func() (string, error) { return "always", nil } }, true, "warning huge-pages"},
		{"nothing is known", func(m *Machine) {
			m.Mount = func(string) (machine.Mount, error) { return machine.Mount{}, machine.ErrUnknown }
			m.Space = func(string) (machine.Space, error) { return machine.Space{}, machine.ErrUnknown }
			m.Owner = func(string) (machine.Owner, error) { return machine.Owner{}, machine.ErrUnknown }
			m.Overcommit = func() (string, error) { return "", machine.ErrUnknown }
			m.HugePages = func() (string, error) { return "", machine.ErrUnknown }
			m.SyncLatency = func(string, int) ([]time.Duration, error) { return nil, machine.ErrUnknown }
		}, true, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := Subject{Dir: dir, Machine: quiet()}
			row.change(&s.Machine)
			if row.compose {
				s.Compose = compose
			}
			if got := codes(examine(t, s)); got != row.want {
				t.Errorf("found %s\nwant  %s", got, row.want)
			}
		})
	}
}

func mounted(kind string, readOnly bool) func(string) (machine.Mount, error) {
	return func(string) (machine.Mount, error) {
		return machine.Mount{Point: "/x", Kind: kind, ReadOnly: readOnly}, nil
	}
}

// digits is what engines call what nobody has named.
var digits = strings.Repeat("0123456789abcdef", 4)

func liesAt(point, path string) func(string) (machine.Mount, error) {
	return func(string) (machine.Mount, error) {
		return machine.Mount{Point: point, Kind: "ext4", Path: path}, nil
	}
}

func free(bytes, inodes uint64) func(string) (machine.Space, error) {
	return func(string) (machine.Space, error) {
		return machine.Space{Free: bytes, Total: 1 << 41, FreeInodes: inodes, TotalInodes: 1 << 21}, nil
	}
}

func owned(uid int, mode os.FileMode) func(string) (machine.Owner, error) {
	return func(string) (machine.Owner, error) { return machine.Owner{UID: uid, Mode: os.ModeDir | mode}, nil }
}

func syncs(d time.Duration) func(string, int) ([]time.Duration, error) {
	return func(string, int) ([]time.Duration, error) { return []time.Duration{d, d, d}, nil }
}

// On the real machine nothing is left behind, and every finding makes sense.
func TestPlace_OnThisMachine(t *testing.T) {
	dir := t.TempDir()
	for _, f := range examine(t, Subject{Dir: dir, Machine: ThisMachine()}) {
		if f.Code == DirUnreadable || f.Code == WrongOwner {
			t.Errorf("%+v", f)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestCompose_EachMistake(t *testing.T) {
	const fine = "image: redis:7.2.6\n    command: redis-server --appendonly yes\n    volumes: ['./r:/data']\n"
	for _, row := range []struct{ name, service, want string }{
		{"nothing wrong", fine, ""},
		{"by digest", "image: redis@sha256:0123\n    command: [redis-server, --appendonly, 'yes']\n    volumes: [{type: bind, source: ./r, target: /data}]\n", ""},
		{"not a Redis", "image: oliver006/redis_exporter\n", ""},
		{"no volume", "image: redis:7.2.6\n    command: redis-server --appendonly yes\n", "critical compose-no-volume"},
		{"in memory", "image: redis:7.2.6\n    command: redis-server --appendonly yes\n    tmpfs: /data\n", "critical compose-no-volume"},
		{"an anonymous volume", "image: redis:7.2.6\n    command: redis-server --appendonly yes\n    volumes: [/data]\n", "critical compose-anonymous-volume"},
		{"a named volume", "image: redis:7.2.6\n    command: redis-server --appendonly yes\n    volumes: ['redis-data:/data']\n", "info compose-named-volume"},
		{"a floating tag", strings.Replace(fine, "7.2.6", "7", 1), "warning compose-floating-tag"},
		{"a floating tag by default", strings.Replace(fine, "redis:7.2.6", "'${IMAGE:-redis:latest}'", 1), "warning compose-floating-tag"},
		{"no tag", strings.Replace(fine, ":7.2.6", "", 1), "warning compose-floating-tag"},
		{"no log", "image: valkey/valkey:8.0.1\n    volumes: ['./r:/data']\n", "warning compose-aof-off"},
		{"a configuration file", "image: redis:7.2.6\n    command: redis-server /etc/redis.conf\n    volumes: ['./r:/data']\n    ports: ['6379:6379']\n", ""},
		{"an open port", fine + "    ports: ['6379:6379']\n", "critical compose-open-port"},
		{"an open port, spelled out", fine + "    ports: [{target: 6379, published: 6379}]\n", "critical compose-open-port"},
		{"a port on loopback", fine + "    ports: ['127.0.0.1:6379:6379']\n", ""},
		{"a port with a password", strings.Replace(fine, "yes", "yes --requirepass x", 1) + "    ports: ['6379:6379']\n", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "docker-compose.yml")
			must(t, os.WriteFile(path, []byte("services:\n  store:\n    "+row.service), 0o644))
			if got := codes(examine(t, Subject{Compose: path})); got != row.want {
				t.Errorf("found %s\nwant  %s", got, row.want)
			}
		})
	}
	bad := filepath.Join(t.TempDir(), "c.yml")
	must(t, os.WriteFile(bad, []byte("services: ["), 0o644))
	for _, path := range []string{bad, bad + ".none"} {
		if got := codes(examine(t, Subject{Compose: path})); got != "warning compose-unreadable" {
			t.Errorf("%s: found %s", path, got)
		}
	}
}

// shelf is a catalogue of backups.
type shelf struct {
	BackupState
	err error
}

func (shelf) Target() string                               { return "/a shelf" }
func (s shelf) State(context.Context) (BackupState, error) { return s.BackupState, s.err }

func TestBackups_EachState(t *testing.T) {
	hours := func(n int) time.Time { return now.Add(-time.Duration(n) * time.Hour) }
	for _, row := range []struct {
		name string
		s    shelf
		want string
	}{
		{"all is well", shelf{BackupState: BackupState{Last: hours(5), Verified: hours(30)}}, ""},
		{"nothing", shelf{}, "critical no-backup"},
		{"old", shelf{BackupState: BackupState{Last: hours(30), Verified: hours(24 * 9)}}, "info drill-old, warning backup-old"},
		{"never verified", shelf{BackupState: BackupState{Last: hours(1)}}, "warning no-drill"},
		{"found bad", shelf{BackupState: BackupState{Last: hours(1), Verified: hours(30), Bad: []string{"20261123T"}}}, "critical backup-bad"},
		{"unreadable", shelf{err: errors.New("no route to host")}, "critical catalogue-unreadable"},
	} {
		found := examine(t, Subject{Backups: row.s})
		if got := codes(found); got != row.want {
			t.Errorf("%s: found %s, want %s", row.name, got, row.want)
		}
		for _, f := range found {
			if !strings.Contains(f.Do, "'/a shelf'") {
				t.Errorf("%s: do %s", f.Code, f.Do)
			}
		}
	}
}

// record is an archive.
type record struct {
	ArchiveState
	err error
}

func (record) Target() string                                { return "/a shelf" }
func (r record) State(context.Context) (ArchiveState, error) { return r.ArchiveState, r.err }

func TestArchive_EachState(t *testing.T) {
	for _, row := range []struct {
		name string
		s    ArchiveState
		runs bool // a server does
		want string
	}{
		{"all is well", ArchiveState{Lag: time.Second, Heard: 3 * time.Second}, true, ""},
		{"nothing", ArchiveState{Empty: true}, false, "critical no-archive"},
		{"behind", ArchiveState{Lag: 2 * time.Minute, Trouble: "cannot ship a segment: no route to host"}, false, "warning archive-behind"},
		{"far behind", ArchiveState{Lag: time.Hour}, false, "critical archive-behind"},
		{"silent", ArchiveState{Lag: 2 * time.Minute, Heard: 2 * time.Minute}, false, "warning archiver-gone"},
		{"silent, and the server runs", ArchiveState{Lag: 2 * time.Minute, Heard: 2 * time.Minute}, true, "critical archiver-gone"},
		{"long silent", ArchiveState{Lag: time.Hour, Heard: time.Hour}, false, "critical archiver-gone"},
		{"stopped", ArchiveState{Lag: time.Hour, Heard: time.Hour, Stopped: true}, false, "warning archiver-gone"},
		{"stopped, and the server runs", ArchiveState{Lag: time.Hour, Heard: time.Hour, Stopped: true}, true, "critical archiver-gone"},
		{"stopped just now", ArchiveState{Stopped: true}, true, ""},
	} {
		s := Subject{Archive: record{ArchiveState: row.s}}
		if row.runs {
			s.Server = old("7.2.6")
		}
		if got := codes(examine(t, s)); got != row.want {
			t.Errorf("%s: found %s, want %s", row.name, got, row.want)
		}
	}
	if got := codes(examine(t, Subject{Archive: record{err: errors.New("no route to host")}})); got != "critical catalogue-unreadable" {
		t.Errorf("unreadable: found %s", got)
	}
}
