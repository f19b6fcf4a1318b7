package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// docroot is where the package has put its documentation.
func docroot(ctx context.Context, s site) (string, error) {
	list, err := exec.CommandContext(ctx, "dpkg", "-L", s.pkg).Output()
	if err != nil || !slices.Contains(strings.Split(string(list), "\n"), s.index) {
		return "", fmt.Errorf("not installed: apt-get install %s", s.pkg)
	}
	return filepath.Dir(s.index), nil
}

const nginxConf = `
daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 512; }
http {
	include /etc/nginx/mime.types;
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		root %[3]s;
	}
}
`

// serve starts nginx over a directory, on a free port of loopback.
func serve(ctx context.Context, root string) (addr string, stop func(), err error) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		return "", nil, errors.New("nginx not found: apt-get install nginx-light")
	}
	addr, err = freeAddr()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "limpet-bench-nginx-")
	if err != nil {
		return "", nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, addr, root), 0o600); err != nil {
		remove()
		return "", nil, err
	}
	cmd := exec.Command(nginx, "-c", conf, "-p", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		remove()
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		remove()
	}
	if err := awaitListener(ctx, addr); err != nil {
		stop()
		return "", nil, fmt.Errorf("nginx does not come up: %w", err)
	}
	return addr, stop, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func awaitListener(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
