package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"limpet/resp"
)

// names of the servers, in the order of each round.
var names = []string{"redis", "limpet"}

// process is a running server.
type process struct {
	name string
	port int
	dir  string
	cmd  *exec.Cmd
	took time.Duration // from its start to its first answer
}

// start runs a server on a directory, which is made when it is missing, and
// waits until it answers.
func (b *bench) start(name, dir, policy string) (*process, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &process{name: name, port: port, dir: dir}
	if name == "redis" {
		p.cmd = exec.CommandContext(b.ctx, "redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "yes", "--appendfsync", policy)
	} else {
		p.cmd = exec.CommandContext(b.ctx, b.binary, "store", "--dir", dir, "--store-addr", p.addr(), "--appendfsync", policy)
	}
	log, err := os.Create(filepath.Join(b.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGKILL) }
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.await(b); err != nil {
		p.stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	p.took = time.Since(began)
	return p, p.quiet()
}

func (p *process) addr() string { return "127.0.0.1:" + strconv.Itoa(p.port) }

// await polls until the server answers PING, which it does not while it loads.
func (p *process) await(b *bench) error {
	for b.ctx.Err() == nil {
		c, err := p.dial()
		if err == nil {
			v, err := c.do("PING")
			c.close()
			if err == nil && v.Err() == nil {
				return nil
			}
		}
		if p.cmd.ProcessState != nil {
			return fmt.Errorf("ended: %s", p.cmd.ProcessState)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return b.ctx.Err()
}

// quiet keeps the server from rewriting its log by itself in the middle of a
// measurement.
func (p *process) quiet() error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.close()
	v, err := c.do("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
	return firstError(err, v.Err())
}

// stop ends the server in an orderly way and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// status reads a field of /proc/PID/status in bytes: VmRSS, VmHWM.
func (p *process) status(field string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024
		}
	}
	return 0
}

// cpu is the processor time that the server has used, in seconds.
func (p *process) cpu() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticks
}

const ticks = 100 // of the kernel's clock in a second, in what it tells programs

// forgetPeak makes VmHWM begin anew at VmRSS.
func (p *process) forgetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

// info reads a field of INFO persistence.
func (p *process) info(field string) (int64, error) {
	c, err := p.dial()
	if err != nil {
		return 0, err
	}
	defer c.close()
	v, err := c.do("INFO", "persistence")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(v.Str) {
		if rest, ok := bytes.CutPrefix(line, []byte(field+":")); ok {
			return strconv.ParseInt(strings.TrimSpace(string(rest)), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s: INFO persistence has no %s", p.name, field)
}

// rewrite runs BGREWRITEAOF to its end, or awaits the end of one that the server
// has begun by itself.
func (p *process) rewrite(b *bench) (took time.Duration, err error) {
	c, err := p.dial()
	if err != nil {
		return 0, err
	}
	defer c.close()
	began := time.Now()
	v, err := c.do("BGREWRITEAOF")
	if err := firstError(err, v.Err()); err != nil && !strings.Contains(err.Error(), "in progress") {
		return 0, fmt.Errorf("%s: BGREWRITEAOF: %w", p.name, err)
	}
	for b.ctx.Err() == nil {
		running, err := p.info("aof_rewrite_in_progress")
		if err != nil {
			return 0, err
		}
		scheduled, err := p.info("aof_rewrite_scheduled")
		if err != nil {
			return 0, err
		}
		if running == 0 && scheduled == 0 {
			return time.Since(began), nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, b.ctx.Err()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// client is the least of a client: one request, one reply.
type client struct {
	net net.Conn
	in  *bufio.Reader
	buf []byte
}

func (p *process) dial() (*client, error) {
	c, err := net.Dial("tcp", p.addr())
	if err != nil {
		return nil, err
	}
	return &client{net: c, in: bufio.NewReaderSize(c, 64<<10)}, nil
}

func (c *client) close() { _ = c.net.Close() }

// do sends one request. The reply is valid until the next call.
func (c *client) do(args ...string) (resp.Value, error) {
	var request []byte
	request = resp.AppendArrayHeader(request, len(args))
	for _, a := range args {
		request = resp.AppendBulk(request, []byte(a))
	}
	if _, err := c.net.Write(request); err != nil {
		return resp.Value{}, err
	}
	c.buf = c.buf[:0]
	for {
		v, n, err := resp.Decode(c.buf)
		if err == nil && n > 0 {
			return v, nil
		}
		if _, err := c.in.Peek(1); err != nil {
			return resp.Value{}, err
		}
		more, _ := c.in.Peek(c.in.Buffered())
		c.buf = append(c.buf, more...)
		_, _ = c.in.Discard(len(more))
	}
}
