package main

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// console is the program on a terminal of its own, whose screen can be read.
type console struct {
	t             *testing.T
	cmd           *exec.Cmd
	master, slave *os.File
	before        unix.Termios // how the terminal was set
	screen        vt10x.Terminal
	exited        chan struct{}

	mu  sync.Mutex // guards raw
	raw strings.Builder
}

func startConsole(t *testing.T, columns, rows int, env []string, args ...string) *console {
	t.Helper()
	c := &console{t: t, exited: make(chan struct{}), screen: vt10x.New(vt10x.WithSize(columns, rows))}
	c.master, c.slave = openTerminal(t)
	t.Cleanup(func() { _ = c.slave.Close() })
	c.size(columns, rows)
	settings, err := unix.IoctlGetTermios(int(c.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	c.before = *settings
	c.cmd = exec.Command(binary, args...)
	c.cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR="), env...)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.slave, c.slave, c.slave
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.cmd.Wait(); close(c.exited) }()
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); <-c.exited })
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, err := c.master.Read(b)
			if n > 0 {
				_, _ = c.screen.Write(b[:n])
				c.mu.Lock()
				c.raw.Write(b[:n])
				c.mu.Unlock()
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// size tells the kernel, which tells the program.
func (c *console) size(columns, rows int) {
	c.t.Helper()
	c.screen.Resize(columns, rows)
	if err := unix.IoctlSetWinsize(int(c.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)}); err != nil {
		c.t.Fatal(err)
	}
}

// shows waits until the screen has all of some texts.
func (c *console) shows(parts ...string) {
	c.t.Helper()
	exited := c.exited
	for deadline := time.Now().Add(processPatience); ; {
		text, missing := c.screen.String(), ""
		for _, part := range parts {
			if !strings.Contains(text, part) {
				missing = part
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-exited:
			// What it wrote last may not have been read yet.
			exited, deadline = nil, time.Now().Add(time.Second)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("does not show %q:\n%s", missing, text)
		}
	}
}

// colourOf is the colour in which a text stands, as the terminal numbers them.
func (c *console) colourOf(text string) vt10x.Color {
	c.t.Helper()
	c.screen.Lock()
	defer c.screen.Unlock()
	columns, rows := c.screen.Size()
	for y := range rows {
		var row []rune
		for x := range columns {
			row = append(row, c.screen.Cell(x, y).Char)
		}
		if before, _, found := strings.Cut(string(row), text); found {
			return c.screen.Cell(len([]rune(before)), y).FG
		}
	}
	c.t.Fatalf("no %q on the screen", text)
	return 0
}

func (c *console) types(keys string) {
	c.t.Helper()
	if _, err := c.master.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// ends waits for the end, and wants the terminal as it was.
func (c *console) ends(code int) {
	c.t.Helper()
	eventually(c.t, "the end", func() bool {
		select {
		case <-c.exited:
			return true
		default:
			return false
		}
	})
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		c.t.Errorf("exit code %d, want %d\n%s", got, code, c.screen.String())
	}
	after, err := unix.IoctlGetTermios(int(c.slave.Fd()), unix.TCGETS)
	if err != nil {
		c.t.Fatal(err)
	}
	if *after != c.before {
		c.t.Errorf("the terminal was %+v, and is %+v", c.before, *after)
	}
	const leaves = "\x1b[?1049l" // the alternate screen
	eventually(c.t, "the screen is given back", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return strings.Contains(c.raw.String(), leaves)
	})
}
