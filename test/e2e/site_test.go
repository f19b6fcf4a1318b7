package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The sites, each with the package that brings it.
var (
	pythonDocs   = docs{"/usr/share/doc/python3.11-doc/html", "python3.11-doc"}
	postgresDocs = docs{"/usr/share/doc/postgresql-doc-15/html", "postgresql-doc-15"}
)

type docs struct{ dir, deb string }

// site is an nginx that serves a directory, whatever host it is asked for.
type site struct {
	*process
	port int
	log  string // file with a line "<status> <URI as it was asked for>" for each request
}

const nginxConf = `
daemon off;
master_process off;  # so that there is one process to kill
pid %[1]s/pid;
error_log stderr error;
events {}
http {
	types {
		text/html html;
		text/css css;
		text/plain txt py;
		application/javascript js;
		image/svg+xml svg;
		image/png png;
	}
	log_format requests '$status $request_uri';
	access_log %[1]s/log requests;
	client_body_temp_path %[1]s/body;
	proxy_temp_path       %[1]s/proxy;
	fastcgi_temp_path     %[1]s/fastcgi;
	uwsgi_temp_path       %[1]s/uwsgi;
	scgi_temp_path        %[1]s/scgi;
	server {
		listen 127.0.0.1:%[2]d;
		root %[3]s;
	}
}
`

// serve starts nginx. Another process may take the port that was found free, so
// it tries a few.
func serve(t testing.TB, d docs) *site {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx" // not on the path of most users
	}
	if _, err := os.Stat(nginx); err != nil {
		t.Fatal("nginx not found: apt-get install nginx-light")
	}
	if _, err := os.Stat(filepath.Join(d.dir, "index.html")); err != nil {
		t.Fatalf("%v: apt-get install %s", err, d.deb)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	var s *site
	for range 5 {
		s = &site{port: freePort(t), log: filepath.Join(dir, "log")}
		if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, s.port, d.dir), 0o644); err != nil {
			t.Fatal(err)
		}
		s.process = spawn(t, exec.Command(nginx, "-e", "stderr", "-c", conf))
		if s.up(t) {
			return s
		}
	}
	t.Fatalf("nginx does not start:\n%s", s.errors)
	return nil
}

// up waits until nginx answers, and reports false when it has ended instead.
func (s *site) up(t testing.TB) (answers bool) {
	await(t, "nginx answers or ends", func() bool {
		select {
		case <-s.exited:
			return true
		default:
		}
		// The log belongs to this nginx alone, whoever may have taken the port.
		if response, err := http.Get("http://" + s.addr() + "/robots.txt"); err == nil {
			_ = response.Body.Close()
		}
		answers = len(s.requests(t)) > 0
		return answers
	})
	return answers
}

func (s *site) addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// request is a line of the log.
type request struct{ status, uri string }

// requests are those that were answered so far.
func (s *site) requests(t testing.TB) (all []request) {
	t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		status, uri, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		all = append(all, request{status, uri})
	}
	return all
}

// freePort is a port that nobody has just now.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
