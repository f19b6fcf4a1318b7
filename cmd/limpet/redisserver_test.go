package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"limpet/internal/conf"
	"limpet/internal/testredis"
)

// onSocket makes a server listen on the Unix socket s alone.
var onSocket = []string{"--port", "0", "--unixsocket", "s"}

func startRedisServer(t *testing.T, args ...string) *process {
	t.Helper()
	p := prepare(t, shortDir(t), asRedisServer(t), append(slices.Clone(onSocket), args...)...)
	return p.start().says("eady to accept connections")
}

var logLine = regexp.MustCompile(`^\d+:[CM] \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d\.\d{3} [.\-*#] `)

func TestRedisServer_StartsAndEndsAsRedisDoes(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := startRedisServer(t, "--pidfile", "p", "--appendonly", "yes")
		if got := readFile(t, p.path("p")); got != strconv.Itoa(p.cmd.Process.Pid)+"\n" {
			t.Errorf("pid file %q", got)
		}
		p.ask("SET k v")
		p.signal(syscall.SIGHUP)
		if got := p.ask("GET k")[0].Text(); got != "v" {
			t.Errorf("after SIGHUP: %q", got)
		}
		p.signal(sig)
		if code := p.ends(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if _, err := os.Stat(p.path("p")); !os.IsNotExist(err) {
			t.Errorf("pid file: %v", err)
		}
		rest := p.out.String()
		for _, text := range []string{
			":C ", "# oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo\n", "# Redis version=7.0.15, bits=64,", "# Configuration loaded\n",
			":M ", "* Running mode=standalone, port=0.\n", "# Server initialized\n", "* The server is now ready to accept connections at s\n",
			":signal-handler (", ") Received SIG", " scheduling shutdown...\n", "# User requested shutdown...\n",
			"* Calling fsync() on the AOF file.\n", "* Removing the pid file.\n", "# Redis is now ready to exit, bye bye...\n",
		} {
			_, after, found := strings.Cut(rest, text)
			if !found {
				t.Fatalf("no %q where it should be:\n%s", text, p.out)
			}
			rest = after
		}
		for line := range strings.Lines(p.out.String()) {
			if !logLine.MatchString(line) && !strings.Contains(line, ":signal-handler (") {
				t.Errorf("not a line as redis-server writes it: %q", line)
			}
		}
		p = prepare(t, p.dir, asRedisServer(t), append(slices.Clone(onSocket), "--appendonly", "yes")...).start()
		if got := p.ask("GET k")[0].Text(); got != "v" {
			t.Errorf("after a restart: %q", got)
		}
		p.stop()
	}
}

// The defaults are Redis's: no log, a dump when it ends.
func TestRedisServer_WithoutALog_TheDumpIsWrittenAtTheEnd(t *testing.T) {
	p := startRedisServer(t)
	if got := p.settings("*"); got["appendonly"] != "no" || got["save"] != "3600 1 300 100 60 10000" {
		t.Errorf("appendonly %q, save %q", got["appendonly"], got["save"])
	}
	p.ask("SET k v")
	p.stop()
	if _, err := os.Stat(p.path("appendonlydir")); !os.IsNotExist(err) {
		t.Errorf("a log: %v", err)
	}
	p = prepare(t, p.dir, asRedisServer(t), onSocket...).start()
	if got := p.ask("GET k")[0].Text(); got != "v" {
		t.Errorf("after a restart: %q", got)
	}
	p.stop()
}

// Redis's own harness for tests waits for this.
func TestRedisServer_Logo_HasThePIDBeforeServerInitialized(t *testing.T) {
	p := startRedisServer(t, "--always-show-logo", "yes")
	want := regexp.MustCompile(fmt.Sprintf(`(?s) PID: %d.*Server initialized`, p.cmd.Process.Pid))
	if !want.MatchString(p.out.String()) {
		t.Errorf("no %v in:\n%s", want, p.out)
	}
}

func TestRedisServer_ShutdownCommand_EndsWithCode0(t *testing.T) {
	p := startRedisServer(t)
	c, err := net.Dial("unix", p.path("s"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = tryTalk(c, "SHUTDOWN NOSAVE")
	if code := p.ends(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.out)
	}
}

func TestRedisServer_KnownButNotImplemented_IsSaidOnce(t *testing.T) {
	p := startRedisServer(t, "--maxmemory", "1gb", "--hz", "10")
	line := "# settings that are known but not implemented: "
	if strings.Count(p.out.String(), line) != 1 || !strings.Contains(p.out.String(), "maxmemory 1073741824") || strings.Contains(p.out.String(), "hz") {
		t.Error(p.out)
	}
}

var startOfLogLine = regexp.MustCompile(`(?m)^\d+:[CM] \d\d \w{3} \d{4} [\d:.]+ `)

// lastWords are what a program that did not start has said: its exit code, its
// standard error, and the last line of its log without process id and time.
func lastWords(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	c := exec.Command(program, args...)
	c.Dir = dir
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	c.SysProcAttr = dieWithTest()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(processPatience, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	code := exitCode(t, c.Wait())
	lines := strings.Split(strings.TrimSpace(startOfLogLine.ReplaceAllString(out.String(), "")), "\n")
	return fmt.Sprintf("%d\n%s\n%s", code, errs.String(), lines[len(lines)-1])
}

func TestRedisServer_BadStarts_AreRefusedAsByTheRealOne(t *testing.T) {
	real, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server not found: apt-get install redis-server")
	}
	ours := asRedisServer(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	dir := shortDir(t)
	writeFile(t, filepath.Join(dir, "bad.conf"), "timeout 1\n\nport x # here\n")
	writeFile(t, filepath.Join(dir, "includes.conf"), "include bad.conf\n")
	writeFile(t, filepath.Join(dir, "file"), "")
	for _, args := range []string{
		"--port " + port,
		"--port " + port + " --bind 127.0.0.1",
		"--port " + port + " --bind 127.0.0.1 -::1",
		"--port 1 --bind 192.0.2.1",
		"--port 0",
		"--port 0 --unixsocket /nonexistent/s",
		"--nosuch 1",
		"bad.conf",
		"includes.conf",
		"nothere.conf",
		"file --timeout",
		"--include nothere.conf",
		"--dir /nonexistent",
		"--dir file",
		"--logfile /nonexistent/log",
		"--logfile .",
		"--port",
		"-x",
	} {
		want, got := lastWords(t, dir, real, strings.Fields(args)...), lastWords(t, dir, ours, strings.Fields(args)...)
		if want != got {
			t.Errorf("%s\nredis-server: %s\nours: %s", args, want, got)
		}
	}
	for _, args := range []string{"--replicaof 127.0.0.1 1", "--sentinel", "--tls-port 1 --port 0", "--user x on", "--check-system"} {
		if got := lastWords(t, dir, ours, strings.Fields(args)...); !strings.HasPrefix(got, "1\n") {
			t.Errorf("%s: %s", args, got)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "append*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestRedisServer_TheDirectoryIsTaken_EndsWithCode1(t *testing.T) {
	p := startRedisServer(t)
	second := prepare(t, p.dir, asRedisServer(t), "--port", "0", "--unixsocket", "s2").start()
	if code := second.ends(); code != 1 || !strings.Contains(second.out.String(), "Only one process may have a directory open") {
		t.Errorf("exit code %d:\n%s", code, second.out)
	}
}

func TestRedisServer_VersionAndHelp(t *testing.T) {
	link := asRedisServer(t)
	for _, flag := range []string{"-v", "--version"} {
		execute(t, exec.Command(link, flag)).want(0, "Redis server v=7.0.15 ")
	}
	for _, flag := range []string{"-h", "--help"} {
		if r := execute(t, exec.Command(link, flag)); r.code != 1 || !strings.Contains(r.err, "Usage: ./redis-server [/path/to/redis.conf] [options] [-]") {
			t.Errorf("%+v", r)
		}
	}
}

func TestRedisServer_Daemonize_StdinReachesTheBackground(t *testing.T) {
	dir := shortDir(t)
	p := prepare(t, dir, asRedisServer(t), "-", "--daemonize", "yes")
	p.cmd.Stdin = strings.NewReader("port 0\nunixsocket s\npidfile p\nlogfile log\nmaxclients 77\n")
	p.start()
	if code := p.ends(); code != 0 || p.out.String() != "" {
		t.Fatalf("exit code %d:\n%s", code, p.out)
	}
	var pid int
	eventually(t, "a pid file", func() bool {
		b, _ := os.ReadFile(p.path("p"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return pid > 0
	})
	ended := false
	defer func() {
		if !ended {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	if got := p.settings("maxclients")["maxclients"]; got != "77" {
		t.Errorf("maxclients %q", got)
	}
	if sid, err := getSession(pid); err != nil || sid != pid {
		t.Errorf("session %d of process %d, %v", sid, pid, err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end", func() bool { return strings.Contains(readFile(t, p.path("log")), "bye bye...") })
	eventually(t, "the process to be gone", func() bool { return syscall.Kill(pid, 0) != nil || isZombie(pid) })
	ended = true
	if _, err := os.Stat(p.path("p")); !os.IsNotExist(err) {
		t.Errorf("pid file: %v", err)
	}
}

func TestRedisServer_LogFile_IsOpenedAnew(t *testing.T) {
	p := prepare(t, shortDir(t), asRedisServer(t), append(slices.Clone(onSocket), "--logfile", "log")...).start()
	p.ask("PING")
	eventually(t, "a log", func() bool { return strings.Contains(readFile(t, p.path("log")), "eady to accept") })
	if err := os.Rename(p.path("log"), p.path("log.1")); err != nil {
		t.Fatal(err)
	}
	p.stop()
	if got := readFile(t, p.path("log")); !strings.Contains(got, "bye bye") || strings.Contains(got, "eady to accept") {
		t.Error(got)
	}
	if p.out.String() != "" {
		t.Errorf("beside the log file: %s", p.out)
	}
}

func TestRedisServer_Systemd_IsToldWhenReady(t *testing.T) {
	dir := shortDir(t)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	// As Debian's unit starts it, on top of Debian's own file.
	p := prepare(t, dir, asRedisServer(t), "/etc/redis/redis.conf", "--supervised", "systemd", "--daemonize", "yes",
		"--dir", dir, "--logfile", "", "--pidfile", "p", "--port", "0", "--unixsocket", "s")
	debian := readFile(t, "/etc/redis/redis.conf")
	writeFile(t, filepath.Join(dir, "redis.conf"), strings.ReplaceAll(debian, "\ndir /var/lib/redis\n", "\n"))
	p.cmd.Args[1] = filepath.Join(dir, "redis.conf")
	p.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	p.start()
	_ = l.SetReadDeadline(time.Now().Add(processPatience))
	b := make([]byte, 1000)
	n, err := l.Read(b)
	if err != nil || !strings.Contains(string(b[:n]), "READY=1\n") {
		t.Fatalf("%q, %v\n%s", b[:n], err, p.out)
	}
	if got := p.ask("INFO server")[0].Text(); !strings.Contains(got, "config_file:"+filepath.Join(dir, "redis.conf")+"\r\n") {
		t.Error(got)
	}
	p.stop()
}

// What a configuration says reaches the store as it reaches the real server.
func TestRedisServer_EverySettingThatIsImplemented_IsAnsweredAsByTheRealOne(t *testing.T) {
	const text = `
bind 127.0.0.1 -::1
appendonly yes
appendfsync always
appenddirname logs
appendfilename "my log.aof"
dbfilename my.rdb
aof-load-truncated no
aof-timestamp-enabled yes
aof-disable-auto-gc yes
auto-aof-rewrite-percentage 0
auto-aof-rewrite-min-size 1mb
databases 5
hash-max-ziplist-entries 7
hash-max-listpack-value 8
list-max-ziplist-size -3
set-max-intset-entries 0
zset-max-listpack-entries 9
zset-max-listpack-value 1k
stream-node-max-entries 11
proto-max-bulk-len 2mb
maxclients 123
timeout 60
tcp-keepalive 0
tcp-backlog 100
protected-mode no
loglevel verbose
pidfile p
unixsocketperm 700
tls-auth-clients optional
tls-protocols "TLSv1.2 TLSv1.3"
aof-use-rdb-preamble no
stop-writes-on-bgsave-error no
save 60 7
save 70 8
`
	ours := prepare(t, shortDir(t), asRedisServer(t), append([]string{"c"}, onSocket...)...)
	writeFile(t, ours.path("c"), text)
	ours.start().says("eady to accept connections")
	server := testredis.Start(t, testredis.Options{})
	server.Stop()
	real := prepare(t, shortDir(t), "redis-server", append([]string{"c"}, onSocket...)...)
	writeFile(t, real.path("c"), text)
	real.start().says("eady to accept connections")
	want, got := real.settings("*"), ours.settings("*")
	for _, d := range conf.All() {
		if d.Support == conf.Done && d.Name != "dir" && got[d.Name] != want[d.Name] {
			t.Errorf("%s: redis-server has %q, ours %q", d.Name, want[d.Name], got[d.Name])
		}
	}
	if got["dir"] != ours.dir {
		t.Errorf("dir %q", got["dir"])
	}
	if _, err := os.Stat(ours.path("logs/my log.aof.manifest")); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(ours.path("s"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("socket: %v, %v", info, err)
	}
	// What can be changed while it runs is changed in both, and refused by both.
	for _, line := range []string{
		"CONFIG SET maxclients 0", "CONFIG SET maxclients 5 timeout 7", "CONFIG SET tcp-keepalive 9", "CONFIG SET protected-mode YES",
		"CONFIG SET protected-mode maybe", "CONFIG SET loglevel warning", "CONFIG SET unixsocket x", "CONFIG SET timeout 1 daemonize yes",
		"CONFIG GET maxclients", "CONFIG GET timeout", "CONFIG GET tcp-keepalive", "CONFIG GET protected-mode", "CONFIG GET loglevel",
	} {
		want, got := real.ask(line)[0], ours.ask(line)[0]
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Errorf("%s: redis-server %v, ours %v", line, want, got)
		}
	}
}

func TestRedisServer_RenamedCommands(t *testing.T) {
	p := startRedisServer(t, "--rename-command", "FLUSHALL", "", "--rename-command", "CONFIG", "b840fc02d524045429941cc15f59e41cb7be6c52")
	v := p.ask("FLUSHALL", "CONFIG GET port", "b840fc02d524045429941cc15f59e41cb7be6c52 GET port")
	if v[0].Err() == nil || v[1].Err() == nil || v[2].Err() != nil {
		t.Errorf("%v", v)
	}
}

func TestHeed_ASecondSIGINT_EndsAtOnce(t *testing.T) {
	var out bytes.Buffer
	log := newRedisLog(&out, slog.LevelInfo)
	signals, loaded, stop, codes := make(chan os.Signal), make(chan struct{}), make(chan struct{}), make(chan int, 1)
	close(loaded)
	done := make(chan struct{})
	go func() { heed(signals, loaded, stop, log, func(code int) { codes <- code }); close(done) }()
	signals <- syscall.SIGTERM
	<-stop
	signals <- syscall.SIGTERM // nothing new
	signals <- syscall.SIGINT
	if code := <-codes; code != 1 {
		t.Errorf("exit code %d", code)
	}
	close(signals)
	<-done
	if !regexp.MustCompile(`^\d+:signal-handler \(\d+\) Received SIGTERM scheduling shutdown...\n\d+:signal-handler \(\d+\) You insist... exiting now.\n$`).MatchString(out.String()) {
		t.Error(out.String())
	}
}

func TestHeed_WhileLoading_EndsAtOnce(t *testing.T) {
	var out bytes.Buffer
	signals, codes := make(chan os.Signal, 1), make(chan int, 1)
	signals <- syscall.SIGTERM
	close(signals)
	heed(signals, make(chan struct{}), make(chan struct{}), newRedisLog(&out, slog.LevelInfo), func(code int) { codes <- code })
	if code := <-codes; code != 0 || !strings.Contains(out.String(), "Received shutdown signal during loading, exiting now.") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

func TestRedisLog_LevelsAndAttributes(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	logger := slog.New(newRedisLog(&out, level)).With("a", 1)
	logger.Debug("hidden")
	level.Set(slog.LevelDebug)
	logger.Debug("d")
	logger.Log(t.Context(), levelVerbose, "v", "b", "two words")
	logger.Info("n", "empty", "")
	logger.Error("e", "quote", `"`)
	got := startOfLogLine.ReplaceAllString(out.String(), "")
	if want := ". d a=1\n- v a=1 b=\"two words\"\n* n a=1 empty=\"\"\n# e a=1 quote=\"\\\"\"\n"; got != want {
		t.Errorf("%q", got)
	}
}
