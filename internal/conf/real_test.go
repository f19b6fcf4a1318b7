package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"limpet/resp"
)

// What the real redis-server makes of configurations: the judge of this package.

// verdict is what a server answers to a configuration.
type verdict struct {
	refusal string            // its complaint, "" when it starts
	values  map[string]string // CONFIG GET *
}

// judge starts the real server in a directory of its own with a file, standard
// input and arguments. A server that comes up listens on a Unix socket alone,
// says what it has understood and is killed.
func judge(t *testing.T, file, stdin string, args []string) verdict {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server not found: apt-get install redis-server")
	}
	dir := t.TempDir()
	var argv []string
	if file != "" {
		path := filepath.Join(dir, "redis.conf")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		argv = append(argv, path)
	}
	cmd := exec.Command("redis-server", append(argv, args...)...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	defer func() { _ = cmd.Process.Kill(); <-exited }()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if values, err := ask(filepath.Join(dir, "s")); err == nil {
			return verdict{values: values}
		}
		select {
		case <-exited:
			if complaint.Len() == 0 {
				return verdict{refusal: "exit without a word on standard error"}
			}
			return verdict{refusal: complaint.String()}
		case <-time.After(2 * time.Millisecond):
		}
	}
	t.Fatalf("redis-server %q: neither up nor down", args)
	return verdict{}
}

func ask(socket string) (map[string]string, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "CONFIG GET *\r\nQUIT\r\n"); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(c)
	if err != nil {
		return nil, err
	}
	v, _, err := resp.Decode(b)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		values[v.Elems[i].Text()] = v.Elems[i+1].Text()
	}
	if len(values) == 0 {
		return nil, errors.New("no values")
	}
	return values, nil
}

// ours is what this package makes of the same.
func ours(t *testing.T, file, stdin string, args []string) (*Settings, string) {
	t.Helper()
	if file != "" {
		args = append([]string{"redis.conf"}, args...)
	}
	a, err := SplitArgs(args)
	if err != nil {
		return nil, err.Error()
	}
	p := Parser{Dir: t.TempDir()}
	var sources []Source
	if a.File != "" {
		sources = append(sources, Source{Name: "redis.conf", Text: file})
	}
	if a.Stdin {
		sources = append(sources, Source{Name: Stdin, Text: stdin})
	}
	if a.Options != "" {
		sources = append(sources, Source{Name: CommandLine, Text: a.Options})
	}
	s, err := p.Parse(sources...)
	var bad *Error
	if errors.As(err, &bad) {
		return nil, bad.Fatal()
	}
	if err != nil {
		return nil, err.Error()
	}
	return s, ""
}

// listen makes the real server listen where ask looks, and nowhere else.
const listen = "\nport 0\nunixsocket s\n"

// apart are directives whose values differ between the two for good reasons: the
// listening ones above, and the directory, which is each one's own.
var apart = map[string]bool{"port": true, "unixsocket": true, "dir": true}

func compare(t *testing.T, file, stdin string, args []string) {
	t.Helper()
	real := judge(t, file, stdin, args)
	s, refusal := ours(t, file, stdin, args)
	if refusal != real.refusal {
		t.Fatalf("redis-server: %q\nours: %q", real.refusal, refusal)
	}
	if s == nil {
		return
	}
	for _, d := range directives {
		want, shown := real.values[d.Name]
		if shown && !apart[d.Name] && s.Get(d.Name) != want {
			t.Errorf("%s: redis-server has %q, ours %q", d.Name, want, s.Get(d.Name))
		}
	}
}

func TestFiles_JudgedAsByTheRealServer(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"",
		"# a comment\n\n \t\r\n  # another\r\nTIMEOUT 7\r\n",
		`syslog-ident "a \"b\" \x41\n\t\\ c"`,
		`syslog-ident 'it\'s "so" \x41'`,
		`syslog-ident ab"c d"`,
		`syslog-ident "open`,
		`syslog-ident "closed"early`,
		`syslog-ident 'open`,
		"appendonly yes # no comment here",
		"nosuch 1",
		"port",
		"port 1 2",
		"timeout 007",
		"timeout +7",
		"timeout 0x10",
		"timeout 1e3",
		"timeout 99999999999999999999999",
		"timeout -1",
		"slowlog-log-slower-than -2",
		"slowlog-log-slower-than -1",
		"daemonize maybe",
		"appendonly YES\nappendfsync ALWAYS",
		"appendfsync sometimes",
		"loglevel Verbose",
		"maxclients 0",
		"maxclients 4294967296",
		"auto-aof-rewrite-min-size 1k\nhash-max-listpack-value 1KB\nproto-max-bulk-len 3mB\nhll-sparse-max-bytes 2b",
		"auto-aof-rewrite-min-size 2g\nhash-max-listpack-value 10M\nrepl-backlog-size 1gb\nmaxmemory 100",
		"auto-aof-rewrite-min-size 1.5mb",
		"auto-aof-rewrite-min-size mb",
		"auto-aof-rewrite-min-size 1 mb",
		`auto-aof-rewrite-min-size "1 mb"`,
		"auto-aof-rewrite-min-size 1tb",
		"auto-aof-rewrite-min-size -1",
		`auto-aof-rewrite-min-size ""`,
		"proto-max-bulk-len 1kb",
		"maxmemory-clients 5%\n",
		"maxmemory-clients 101%\n",
		"maxmemory-clients 1mb\n",
		"unixsocketperm 700",
		"unixsocketperm 0770",
		"unixsocketperm 888",
		"unixsocketperm 1000",
		"unixsocketperm -1",
		"save 900 1\nsave 300 10\n",
		"save 900 1 300 10\n",
		`save "900 1 300 10"`,
		"save 900 1\nsave \"\"\n",
		"save 900 1\nsave \"\"\nsave 7 7",
		`save ""`,
		"save ''",
		"save",
		"save 900",
		"save 0 1",
		"save 1 -1",
		"save a b",
		`save "900  1"`,
		"bind 127.0.0.1 -::1",
		`bind "127.0.0.1 -::1"`,
		`bind ""`,
		"bind",
		"bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
		"client-output-buffer-limit normal 1mb 2 3\nclient-output-buffer-limit REPLICA 0 0 0",
		"client-output-buffer-limit normal 1mb 2",
		"client-output-buffer-limit master 1mb 2 3",
		"client-output-buffer-limit normal x 2 3",
		"client-output-buffer-limit normal 1 2 x",
		"oom-score-adj-values 1 2 3",
		"oom-score-adj-values 1 2",
		"oom-score-adj-values 1 2 2001",
		"oom-score-adj-values 3 2 1",
		`shutdown-on-sigterm default`,
		`shutdown-on-sigint "force  default"`,
		"latency-tracking-info-percentiles 50 99.9",
		`latency-tracking-info-percentiles ""`,
		"latency-tracking-info-percentiles 101",
		"latency-tracking-info-percentiles x",
		"notify-keyspace-events q",
		"dbfilename a/b",
		`dbfilename ""`,
		`appendfilename ""`,
		`appendfilename "with space.aof"`,
		"appendfilename a\\b",
		"appenddirname a/b",
		"proc-title-template {foo}",
		"proc-title-template {title",
		"proc-title-template plain",
		"cluster-announce-hostname a_b",
		"shutdown-on-sigterm now force",
		`shutdown-on-sigterm "now save"`,
		"shutdown-on-sigterm x",
		"hash-max-ziplist-entries 7\nzset-max-ziplist-value 8\nlua-time-limit 9\nlist-max-ziplist-size -3\nslave-priority 3",
		"list-max-ziplist-entries 1\nlist-max-ziplist-value 2\nlua-replicate-commands yes",
		"list-max-ziplist-entries 1 2",
		"rename-command",
		"rename-command GET",
		"rename-command nosuch x",
		"rename-command GET set",
		"rename-command GET \"\"\nrename-command GET x",
		"rename-command GET \"\"\nrename-command SET get\nrename-command KEYS b840fc02d524045429941cc15f59e41cb7be6c52aaa",
		"include",
		"include a b",
		"include none*.conf",
		"dir /nonexistent",
		"dir /etc/passwd",
		`dir ""`,
		"sentinel monitor x",
		"sentinel",
		"user",
		"loadmodule",
		"user u on\nuser u on",
		"tls-auth-clients Optional",
		"supervised SYSTEMD",
		"replicaof 127.0.0.1",
		"replicaof 127.0.0.1 x",
		"replicaof no one",
		"tcp-backlog 1\ntcp-keepalive 0\ntimeout 5\ndatabases 3",
		"databases 0",
		"server_cpulist 0\nserver-cpulist 0",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			compare(t, text+listen, "", nil)
		})
	}
}

func TestCommandLines_JudgedAsByTheRealServer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ args, stdin string }{
		{args: "--timeout 7"},
		{args: "--timeout 7 --databases 3 --save 60 1"},
		{args: "--save 60 1 300 10 --timeout 7"},
		{args: "--save --timeout 7"},
		{args: "--timeout 7 --save"},
		{args: "--save|"},
		{args: "--save||--timeout|7"},
		{args: "--save|60 1"},
		{args: "--timeout 7|--databases 3"},
		{args: "--timeout 7 |--databases 3"},
		{args: "--timeout"},
		{args: "--timeout --databases 3"},
		{args: "--syslog-ident --databases --timeout 3"},
		{args: "--syslog-ident|a \"b\"\n\t\\\xff"},
		{args: "--syslog-ident|"},
		{args: "--timeout=7"},
		{args: "-timeout 7"},
		{args: "--"},
		{args: "-- --timeout 7"},
		{args: "--timeout 7 rest"},
		{args: "--bind 127.0.0.1 -::1 --timeout 7"},
		{args: "--TIMEOUT 8"},
		{args: "--nosuch 1"},
		{args: "--databases 2 --nosuch 1"},
		{args: "- --timeout 7", stdin: "databases 3\ntimeout 6\n"},
		{args: "--timeout 7 -", stdin: "databases 3\ntimeout 6\n"},
		{args: "--timeout 7 - --databases 2", stdin: "databases 3\n"},
		{args: "--timeout - --databases 2", stdin: "databases 3\n"},
		{args: "- --nosuch 7", stdin: "databases 3"},
		{args: "- --nosuch 7", stdin: "databases 3\n\n"},
		{args: "-", stdin: "databases 3\nnosuch"},
		{args: "--include|nothing*"},
		{args: "--timeout 1 --timeout 2"},
	} {
		t.Run(row.args, func(t *testing.T) {
			t.Parallel()
			args := strings.Split(row.args, "|")
			if len(args) == 1 {
				args = strings.Split(row.args, " ")
			}
			compare(t, "save 5 5"+listen, row.stdin, args)
			compare(t, "", row.stdin+listen, append([]string{"-"}, args...))
		})
	}
}

// Every directive, with its default, its name in CONFIG GET, and its answers to
// words and numbers that it may or may not have.
func TestTable_AgreesWithTheRealServer(t *testing.T) {
	t.Parallel()
	real := judge(t, listen, "", nil)
	for name, value := range real.values {
		switch d := Lookup(name); {
		case d == nil:
			t.Errorf("no %s", name)
		case value != d.Default && !apart[name]:
			t.Errorf("%s: default %q, want %q", name, d.Default, value)
		}
	}
	for _, d := range directives {
		if _, known := real.values[d.Name]; !known && d.Support == Done {
			t.Errorf("%s: not a directive of redis-server's", d.Name)
		}
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			if d.Name == "activedefrag" || d.Name == "logfile" {
				return // depend on how the server was built, and on the machine
			}
			for _, value := range []string{"zzz", "-2147483649", "4294967296"} {
				text := fmt.Sprintf("%s %s\nend", d.Name, value)
				if d.Name == "dir" {
					text = "dir /zzz"
				}
				_, got := ours(t, text, "", nil)
				want := judge(t, text, "", nil).refusal
				if got != want {
					t.Fatalf("redis-server: %q\nours: %q", want, got)
				}
				if !strings.Contains(want, "integer") && !strings.Contains(want, "memory") && !strings.Contains(want, "between") {
					break // numbers are words to it
				}
			}
		})
	}
}

// The commands that may be renamed are the real server's.
func TestCommandNames_AreTheRealServers(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	names := strings.Fields(commandNames)
	for _, name := range names {
		fmt.Fprintf(&text, "rename-command %s \"\"\n", name)
	}
	out, err := exec.Command("redis-server", "--version").Output()
	if err != nil || !strings.Contains(string(out), Version) {
		t.Fatalf("%s: %v", out, err)
	}
	if got := judge(t, text.String()+"end", "", nil).refusal; !strings.Contains(got, fmt.Sprintf("at line %d\n>>> 'end'", len(names)+1)) {
		t.Errorf("redis-server: %s", got)
	}
}
