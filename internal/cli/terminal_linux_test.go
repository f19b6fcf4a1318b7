package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// screen is a pseudo-terminal: what a program writes to the slave is gathered.
type screen struct {
	t             *testing.T
	master, slave *os.File

	mu   sync.Mutex
	cond sync.Cond
	text bytes.Buffer
	seen int // of text, by await
}

func openScreen(t *testing.T) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	must(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}))
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	s := &screen{t: t, master: master, slave: slave}
	s.cond.L = &s.mu
	read := make(chan struct{})
	go func() {
		defer close(read)
		chunk := make([]byte, 4096)
		for {
			n, err := master.Read(chunk)
			s.mu.Lock()
			s.text.Write(chunk[:n])
			s.cond.Broadcast()
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			_, _ = master.WriteString("\n\x04") // whoever still reads there may go
			return
		}
		_ = slave.Close()
		<-read
		_ = master.Close()
	})
	return s
}

// await waits for a text behind what was awaited before, and gives everything up
// to it.
func (s *screen) await(text string) string {
	s.t.Helper()
	const patience = time.Minute
	timeout := false
	timer := time.AfterFunc(patience, func() {
		s.mu.Lock()
		timeout = true
		s.cond.Broadcast()
		s.mu.Unlock()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		fresh := s.text.Bytes()[s.seen:]
		if i := bytes.Index(fresh, []byte(text)); i >= 0 {
			s.seen += i + len(text)
			return string(fresh[:i+len(text)])
		}
		if timeout {
			s.t.Fatalf("no %q within %v, but %q", text, patience, fresh)
		}
		s.cond.Wait()
	}
}

func (s *screen) typed(text string) {
	s.t.Helper()
	_, err := s.master.WriteString(text)
	must(s.t, err)
}

// everything is what a program that has ended wrote and was not awaited.
func (s *screen) everything() string {
	const end = "-- end --"
	_, _ = s.slave.WriteString(end)
	return strings.TrimSuffix(s.await(end), end)
}

// running is a redis-cli at a terminal.
type running struct {
	*screen
	interrupt func()
	ended     chan int // the exit code
}

func (c call) oursOn(t *testing.T) *running {
	r := &running{screen: openScreen(t), ended: make(chan int, 1)}
	r.interrupt = func() { must(t, syscall.Kill(os.Getpid(), syscall.SIGINT)) }
	go func() {
		r.ended <- Program{
			In: r.slave, Out: r.slave, Err: r.slave, Getenv: func(name string) string { return c.env[name] },
		}.Main(c.args)
	}()
	return r
}

func (c call) realOn(t *testing.T) *running {
	t.Helper()
	r := &running{screen: openScreen(t), ended: make(chan int, 1)}
	cmd := exec.Command("redis-cli", c.args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.slave, r.slave, r.slave
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range c.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	must(t, cmd.Start())
	r.interrupt = func() { must(t, cmd.Process.Signal(os.Interrupt)) }
	go func() {
		_ = cmd.Wait()
		r.ended <- cmd.ProcessState.ExitCode()
	}()
	return r
}

func TestPrompt_ASession_LooksAsWithTheRealOne(t *testing.T) {
	s := startServer(t)
	fill(s)
	// Each line, and what to wait for behind it. \x03 is ^C.
	steps := []struct{ typed, until string }{
		{"get a", "> "}, {"get text", "> "}, {"select 3", "[3]> "}, {"multi", "(TX)> "}, {"set k v", "(TX)> "}, {"exec", "[3]> "},
		{"multi", "(TX)> "}, {"nosuch", "(TX)> "}, {"exec", "[3]> "}, {"multi", "(TX)> "}, {"discard", "[3]> "},
		{"multi", "(TX)> "}, {"select 5", "[5](TX)> "}, {"discard", "[3]> "},
		{"multi", "(TX)> "}, {"select 5", "[5](TX)> "}, {"nosuch", "(TX)> "}, {"exec", "[3]> "},
		{"subscribe c1 c2", "(integer) 2"}, {"\x03", "]> "}, {"monitor", "OK"}, {"\x03", "]> "},
		{"client kill type normal skipme no", "]> "}, {"get a", "not connected> "}, {"ping", "[3]> "},
		{"hello 3", "[3]> "}, {"hgetall nope", "[3]> "}, {"2 ping", "[3]> "}, {"set x \"", "[3]> "}, {"connect 127.0.0.1 1", "not connected> "},
		{"get a", "not connected> "}, {"connect localhost $PORT", "[3]> "}, {"debug sleep 0.6", "[3]> "},
		{"clear", "[3]> "}, {"reset", words(s, "$PORT")[0] + "> "},
	}
	session := func(r *running) (text string, code int) {
		text = r.await("> ")
		for _, step := range steps {
			if step.typed == "\x03" {
				r.interrupt()
			} else {
				r.typed(words(s, strings.ReplaceAll(step.typed, " ", "␣")+"␣")[0] + "\n")
			}
			text += r.await(step.until)
		}
		r.typed("quit\n")
		code = <-r.ended
		return text + r.everything(), code
	}
	c := call{args: words(s, "-p $PORT"), env: map[string]string{"TERM": "dumb", "HOME": t.TempDir()}}
	want, wantCode := session(c.realOn(t))
	got, code := session(c.oursOn(t))
	if diff := cmp.Diff(timeless(want), timeless(got)); diff != "" || code != wantCode {
		t.Errorf("exit %d, want %d; (-redis +limpet):\n%s", code, wantCode, diff)
	}
}

// The real one forgets to select the database again, under a prompt that says it
// did.
func TestPrompt_AfterALostConnection_IsInTheDatabaseItShows(t *testing.T) {
	s := startServer(t)
	r := call{args: words(s, "-p $PORT -n 3"), env: map[string]string{"TERM": "dumb"}}.oursOn(t)
	for _, step := range []struct{ typed, until string }{
		{"set k v", "[3]> "}, {"client kill type normal skipme no", "[3]> "}, {"get k", "not connected> "}, {"get k", `"v"`},
	} {
		r.typed(step.typed + "\n")
		r.await(step.until)
	}
	r.await("[3]> ")
	r.typed("quit\n")
	<-r.ended
}

// timeless takes out how long things took, the id of a connection, and how many
// there were.
func timeless(text string) string {
	var kept []string
	lines := strings.Split(text, "\r\n")
	for i, line := range lines {
		if i > 0 && strings.Contains(lines[i-1], "client kill") {
			continue
		}
		line = strings.ReplaceAll(line, "Connection reset by peer", "Server closed the connection")
		if strings.Contains(line, `"id" =>`) || strings.HasPrefix(line, "(") && strings.HasSuffix(line, "s)") {
			continue
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
}

func TestPrompt_Editing_HistoryAndCompletion(t *testing.T) {
	s := startServer(t)
	fill(s)
	home := t.TempDir()
	start := func() *running {
		r := call{args: words(s, "-s $SOCKET"), env: map[string]string{"TERM": "xterm", "HOME": home}}.oursOn(t)
		r.await("redis.sock> ")
		return r
	}
	enter := func(r *running, keys, until string) {
		t.Helper()
		r.typed(keys + "\r")
		r.await(until)
		r.await("redis.sock")
		r.await("> ")
	}
	const up, left = "\x1b[A", "\x1b[D"
	r := start()
	enter(r, "set typed first", "OK")
	enter(r, "get typo"+"\x7f"+"ed", `"first"`)
	enter(r, up+up+"\x05"+"!", "OK") // ^E: the end of the line
	enter(r, "gt typed"+strings.Repeat(left, 7)+"e", `"first!"`)
	enter(r, "auth secret", "ERR AUTH")
	enter(r, "object\t help", "OBJECT <subcommand>") // stays what it is
	enter(r, "incrbyf\t n 1.5", `"1.5"`)
	r.typed("\x04")
	if code := <-r.ended; code != 0 {
		t.Errorf("^D ends with %d", code)
	}
	file := filepath.Join(home, ".rediscli_history")
	text, err := os.ReadFile(file)
	must(t, err)
	want := "set typed first\nget typed\nset typed first!\nget typed\nOBJECT help\nINCRBYFLOAT n 1.5\n"
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history: %v, %v", info.Mode(), err)
	}

	r = start()
	enter(r, up, `"3"`)
	r.typed("half a line\x03")
	if code := <-r.ended; code != 0 {
		t.Errorf("^C at the prompt ends with %d", code)
	}
}

func TestPrompt_InterruptOfACommand_EndsTheProgram(t *testing.T) {
	s := startServer(t)
	c := call{args: words(s, "-p $PORT"), env: map[string]string{"TERM": "dumb", "HOME": t.TempDir()}}
	for _, r := range []*running{c.realOn(t), c.oursOn(t)} {
		r.await("> ")
		r.typed("blpop nokey 0\n")
		for !strings.Contains(s.Do("INFO", "clients").(string), "blocked_clients:1\r") {
			s.Do("ECHO", "not yet")
		}
		r.interrupt()
		if code := <-r.ended; code != 1 {
			t.Errorf("exit %d, want 1", code)
		}
		for !strings.Contains(s.Do("INFO", "clients").(string), "blocked_clients:0\r") {
			s.Do("ECHO", "not yet")
		}
	}
}

func TestOneShot_OnATerminal_IsFormatted(t *testing.T) {
	s := startServer(t)
	fill(s)
	for _, line := range []string{"-p $PORT lrange l 0 -1", "-p $PORT get nope", "-3 -p $PORT debug protocol push", "-p $PORT --scan --pattern te*"} {
		c := call{args: words(s, line), env: map[string]string{"TERM": "xterm"}}
		var screens [2]string
		for i, r := range []*running{c.realOn(t), c.oursOn(t)} {
			code := <-r.ended
			screens[i] = fmt.Sprint(r.everything(), code)
		}
		if diff := cmp.Diff(screens[0], screens[1]); diff != "" {
			t.Errorf("%s (-redis +limpet):\n%s", line, diff)
		}
	}
}
