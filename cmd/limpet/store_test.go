package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSplitStoreArgs_BothFacesKeepTheirOrder(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"", "--"},
		{"--dir /d", "--dir /d -- --dir /d"},
		{"--dir=/d --insecure", "--dir=/d --insecure -- --dir /d"},
		{"redis.conf --port 7000", "-- redis.conf --port 7000"},
		{"--log-level debug redis.conf --port 7000", "--log-level debug -- redis.conf --port 7000"},
		{"--dir /d redis.conf", "--dir /d -- redis.conf --dir /d"},
		{"--port 7000 --store-addr [::1]:8 --port 9", "--store-addr [::1]:8 -- --port 7000 --bind ::1 --port 8 --port 9"},
		{"--store-addr :8", "--store-addr :8 -- --bind * --port 8"},
		{"--store-addr [::]:8", "--store-addr [::]:8 -- --bind ::* --port 8"},
		{"--requirepass --dir --timeout 5", "-- --requirepass --dir --timeout 5"},
		{"--save --appendfsync no", "--appendfsync no -- --save --appendfsync no"},
		{"--bind 127.0.0.1 -::1 --help", "--help -- --bind 127.0.0.1 -::1"},
		{"-", "-- -"},
		{"-h", "-h --"},
	} {
		if got := strings.Join(splitStoreArgs(strings.Fields(row.args)), " "); got != row.want {
			t.Errorf("%s: %q, want %q", row.args, got, row.want)
		}
	}
}

// startStore starts `limpet store` in a directory of its own; it listens on the
// socket s.
func startStore(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := prepare(t, shortDir(t), binary, append([]string{"store"}, args...)...)
	p.cmd.Env = append(os.Environ(), env...)
	return p.start().says("the store is ready for Redis clients")
}

func TestStore_DefaultsAreSafe(t *testing.T) {
	dir := shortDir(t)
	p := prepare(t, dir, binary, "store", "--unixsocket", filepath.Join(dir, "s"), "--store-addr", "127.0.0.1:0").start()
	s := p.settings("*")
	for name, want := range map[string]string{
		"appendonly": "yes", "save": "", "bind": "127.0.0.1", "appendfsync": "everysec", "protected-mode": "yes",
		"dir": filepath.Join(dir, "volumes", "redis"),
	} {
		if s[name] != want {
			t.Errorf("%s: %q, want %q", name, s[name], want)
		}
	}
	if strings.Contains(p.out.String(), "not implemented") {
		t.Error(p.out)
	}
	p.stop()
}

func TestStore_WhatStandsLaterWins_OptionOverVariableOverFile(t *testing.T) {
	for _, row := range []struct {
		name, args string
		env        []string
		want       map[string]string
	}{
		{"the file", "c", nil, map[string]string{"appendfsync": "always", "maxclients": "50", "requirepass": ""}},
		{"a variable over the file", "c", []string{"LIMPET_APPENDFSYNC=no"}, map[string]string{"appendfsync": "no"}},
		{"a flag over the variable", "c --appendfsync everysec", []string{"LIMPET_APPENDFSYNC=no"}, map[string]string{"appendfsync": "everysec"}},
		{"an option over the file", "c --maxclients 60 --timeout 9", nil, map[string]string{"maxclients": "60", "timeout": "9"}},
		{"the later option", "--maxclients 60 --maxclients 70", nil, map[string]string{"maxclients": "70"}},
		{"a flag is an option", "--store-addr 127.0.0.1:0 --bind 127.0.0.2 127.0.0.1 --appendfsync always --appendfsync no", nil,
			map[string]string{"bind": "127.0.0.2 127.0.0.1", "appendfsync": "no"}},
		{"the log's level", "c --loglevel warning --log-level debug", nil, map[string]string{"loglevel": "warning"}},
		{"two save lines", "--save 60 1 --save 70 2", nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := shortDir(t)
			args := append([]string{"store"}, strings.Fields(row.args)...)
			args = append(args, "--dir", dir, "--port", "0", "--unixsocket", "s")
			p := prepare(t, dir, binary, args...)
			p.cmd.Env = append(os.Environ(), row.env...)
			writeFile(t, p.path("c"), "appendfsync always\nmaxclients 50\n")
			p.start()
			got := p.settings("*")
			for name, want := range row.want {
				if got[name] != want {
					t.Errorf("%s: %q, want %q", name, got[name], want)
				}
			}
			p.stop()
		})
	}
}

func TestStore_BadConfiguration_NamesFileAndLine_AndTouchesNothing(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, filepath.Join(dir, "c"), "timeout 1\nnosuch 1\n")
	for _, row := range []struct {
		args string
		code int
		says string
	}{
		{"c", exitUsage, "/c: line 2: 'nosuch 1': Bad directive or wrong number of arguments"},
		{"none", exitUsage, "none': No such file or directory"},
		{"--timeout many", exitUsage, `the command line: line 1: 'timeout "many"': argument couldn't be parsed into an integer`},
		{"--replicaof h 1", exitUsage, "the store cannot do what the configuration asks for: replicaof h 1"},
		{"--sentinel", exitUsage, "sentinel mode is not implemented"},
		{"--store-addr 7000", exitUsage, "want HOST:PORT"},
		{"--store-addr 0.0.0.0:0", exitUsage, "set --store-password, or say --insecure"},
		{"--bind 192.0.2.1", exitLocal, "cannot listen on 192.0.2.1:6379: cannot assign requested address"},
		{"--port 0", exitLocal, "configured to not listen anywhere"},
		{"--tls-port 1 --port 0", exitLocal, "no tls-cert-file configured"},
	} {
		c := exec.Command(binary, append([]string{"store"}, strings.Fields(row.args)...)...)
		c.Dir = dir
		execute(t, c).want(row.code, row.says)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestStore_UnixSocket_StaleOnesAreReplaced_LivingOnesAreNot(t *testing.T) {
	p := startStore(t, nil, "--dir", ".", "--port", "0", "--unixsocket", "s", "--unixsocketperm", "750")
	if info, err := os.Stat(p.path("s")); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", info, err)
	}
	second := exec.Command(binary, "store", "--dir", "other", "--port", "0", "--unixsocket", p.path("s"))
	second.Dir = p.dir
	execute(t, second).want(exitLocal, "cannot listen on "+p.path("s")+": address already in use")
	p.signal(syscall.SIGKILL)
	p.ends()
	if _, err := os.Lstat(p.path("s")); err != nil {
		t.Fatalf("no stale socket: %v", err)
	}
	again := prepare(t, p.dir, binary, "store", "--dir", ".", "--port", "0", "--unixsocket", "s").start().says("ready for Redis clients")
	if got := again.ask("PING")[0].Text(); got != "PONG" {
		t.Error(got)
	}
	again.stop()
	if _, err := os.Lstat(p.path("s")); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	a := &authority{t: t}
	a.key, a.cert = a.issue(dir, "ca", &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// issue writes NAME.crt and NAME.key.
func (a *authority) issue(dir, name string, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	writeFile(a.t, filepath.Join(dir, name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(a.t, filepath.Join(dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func TestStore_TLS_ClientsNeedACertificateAsConfigured(t *testing.T) {
	dir := shortDir(t)
	a := newAuthority(t, dir)
	for i, name := range []string{"server", "client"} {
		a.issue(dir, name, &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 2)), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		})
	}
	client, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	for _, row := range []struct {
		auth            string
		without, within bool // may connect without, with a certificate
	}{{"yes", false, true}, {"no", true, true}, {"optional", true, true}} {
		port := freePort(t)
		p := prepare(t, dir, binary, "store", "--dir", ".", "--port", "0", "--tls-port", port, "--tls-auth-clients", row.auth,
			"--tls-cert-file", "server.crt", "--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.crt", "--tls-protocols", "TLSv1.3")
		p.start().says("ready for Redis clients")
		connect := func(config *tls.Config) bool {
			config.RootCAs = roots
			c, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
			if err != nil {
				return false
			}
			v, err := tryTalk(c, "INFO server")
			return err == nil && strings.Contains(v[0].Text(), "\r\ntcp_port:"+port+"\r\n")
		}
		if got := connect(&tls.Config{}); got != row.without {
			t.Errorf("tls-auth-clients %s: without a certificate: %v\n%s", row.auth, got, p.out)
		}
		if got := connect(&tls.Config{Certificates: []tls.Certificate{client}}); got != row.within {
			t.Errorf("tls-auth-clients %s: with a certificate: %v\n%s", row.auth, got, p.out)
		}
		if connect(&tls.Config{Certificates: []tls.Certificate{client}, MaxVersion: tls.VersionTLS12}) {
			t.Errorf("tls-protocols TLSv1.3: TLS 1.2 is spoken")
		}
		p.stop()
	}
}

// freePort is one that nothing has at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	return port
}

func TestStore_SeveralAddresses_AbsentOptionalOnesAreNone(t *testing.T) {
	p := startStore(t, nil, "--dir", ".", "--port", freePort(t), "--bind", "127.0.0.1", "127.0.0.2", "-192.0.2.1", "--unixsocket", "s")
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		c, err := net.Dial("tcp", net.JoinHostPort(host, p.settings("port")["port"]))
		if err != nil {
			t.Fatal(err)
		}
		if v := talk(t, c, "PING")[0]; v.Text() != "PONG" {
			t.Error(v)
		}
	}
	p.stop()
}

func TestStore_Timeout_ClosesTheSilent(t *testing.T) {
	p := startStore(t, nil, "--dir", ".", "--port", "0", "--unixsocket", "s", "--timeout", "1")
	c, err := net.Dial("unix", p.path("s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(processPatience))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("%d, %v", n, err)
	}
}

// The manual of the store is a session that works.
func TestManual_TheStoresPage_CommandsWork(t *testing.T) {
	runManual(t, "../../docs/store.md", filepath.Dir(asRedisServer(t)))
}

// runManual runs each sh block of a page, one after another, in an empty
// directory. Programs are looked for in bin first, where limpet is added. Port
// 7000 is another one.
func runManual(t *testing.T, manual, bin string) {
	t.Helper()
	text, dir := readFile(t, manual), shortDir(t)
	if err := os.Symlink(binary, filepath.Join(bin, "limpet")); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -eu\nwait_for() { for i in $(seq 1 300); do \"$@\" >/dev/null 2>&1 && return; sleep 0.05; done; echo \"in vain: $*\"; exit 1; }\n")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) < 3 {
		t.Fatalf("%s: %d blocks of commands", manual, len(blocks))
	}
	for _, b := range blocks {
		// What runs in the foreground of a terminal goes to the background of the
		// script, and a server must answer before others talk to it.
		for line := range strings.Lines(b[1]) {
			if fields := strings.Fields(line); slices.Contains([]string{"limpet", "redis-server"}, first(fields)) && strings.HasSuffix(strings.TrimSpace(line), "&") {
				line = strings.TrimSpace(line) + " echo $! >> pids\n"
				if fields[0] == "redis-server" || fields[1] == "store" {
					line += "wait_for redis-cli -p 7000 ping\n"
				}
			}
			script.WriteString(line)
		}
	}
	script.WriteString("kill $(cat pids) 2>&- || true\nwait\n") // as Ctrl-C does in the other terminal
	// Whatever happens, nothing stays behind.
	defer func() {
		for _, name := range []string{"pids", "store.pid"} {
			b, _ := os.ReadFile(filepath.Join(dir, name))
			for pid := range strings.FieldsSeq(string(b)) {
				_ = exec.Command("kill", "-9", pid).Run()
			}
		}
	}()
	c := exec.Command("bash", "-c", strings.ReplaceAll(script.String(), "7000", freePort(t)))
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.SysProcAttr = dieWithTest()
	c.WaitDelay = time.Second
	timer := time.AfterFunc(processPatience, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	if err := c.Run(); err != nil {
		t.Errorf("%v\n%s\n--- of\n%s", err, out.String(), script.String())
	}
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
