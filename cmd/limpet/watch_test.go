package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// watched is a run of the program that has not ended yet.
type watched struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	err   bytes.Buffer
}

func (s *service) watch(args ...string) *watched {
	s.t.Helper()
	w := &watched{t: s.t, cmd: s.command(append(args, "--interval", "20ms")...)}
	w.cmd.Stderr = &w.err
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	w.lines = bufio.NewScanner(out)
	if err := w.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	hang := time.AfterFunc(20*time.Second, func() { _ = w.cmd.Process.Kill() })
	s.t.Cleanup(func() { hang.Stop(); _ = w.cmd.Process.Kill() })
	return w
}

// await reads lines until one has the part.
func (w *watched) await(part string) {
	w.t.Helper()
	var seen []string
	for w.lines.Scan() {
		seen = append(seen, w.lines.Text())
		if strings.Contains(w.lines.Text(), part) {
			return
		}
	}
	w.t.Fatalf("no %q in\n%s\n%s", part, strings.Join(seen, "\n"), w.err.String())
}

// end awaits the end and answers the last line and the exit code.
func (w *watched) end() (last string, code int) {
	w.t.Helper()
	for w.lines.Scan() {
		last = w.lines.Text()
	}
	return last, exitCode(w.t, w.cmd.Wait())
}

func TestWatch_NotATerminal_PrintsLinesUntilItIsCompleted(t *testing.T) {
	s := start(t)
	s.submit()
	w := s.watch("progress", "test.com", "--watch")
	w.await("test.com  running  0/1 pages (0.00 %)")
	s.crawl("https://test.com/a")
	s.run("pause", "test.com").want(0)
	w.await("test.com  paused  1/2 pages (50.00 %)")
	s.run("resume", "test.com").want(0)
	s.fail("gone")
	last, code := w.end()
	if code != 0 || !strings.Contains(last, "test.com  completed  2/2 pages (100.00 %), 1 crawled, 1 failed, 0 skipped") {
		t.Errorf("%d %q", code, last)
	}
	if strings.Contains(last, "\x1b") || w.err.Len() != 0 {
		t.Errorf("%q, standard error %q", last, w.err.String())
	}
}

func TestWatch_Cancelled_ExitCodeIs1(t *testing.T) {
	s := start(t)
	w := s.watch("submit", "test.com", "--watch")
	w.await("test.com: crawl started")
	w.await("running  0/1 pages")
	s.run("cancel", "test.com").want(0)
	if last, code := w.end(); code != exitNo || !strings.Contains(last, "cancelled  1/1 pages (100.00 %), 0 crawled, 0 failed, 1 skipped") {
		t.Errorf("%d %q", code, last)
	}
}

func TestWatch_JSON_OneLineForEachChange(t *testing.T) {
	s := start(t)
	s.submit()
	w := s.watch("progress", "test.com", "--watch", "--json")
	w.await(`"total":1,`)
	s.crawl("https://test.com/a")
	w.await(`"total":2,`)
	s.crawl()
	if last, code := w.end(); code != 0 || !strings.Contains(last, `"status":"completed"`) {
		t.Errorf("%d %q", code, last)
	}
}

// A service that is restarted goes on where it was, and so does the watch.
func TestWatch_ServiceIsRestarted_GoesOn(t *testing.T) {
	s := start(t)
	s.submit()
	w := s.watch("progress", "test.com", "--watch")
	w.await("running  0/1 pages")
	addr := s.http.Listener.Addr().String()
	s.http.Close()
	s.crawl("https://test.com/a")
	s.crawl()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s.http = &httptest.Server{Listener: l, Config: &http.Server{Handler: s.handler}}
	s.http.Start()
	if last, code := w.end(); code != 0 || !strings.Contains(last, "completed  2/2 pages") {
		t.Errorf("%d %q %q", code, last, w.err.String())
	}
}

func TestWatch_Interrupted_ExitCodeIs130(t *testing.T) {
	s := start(t)
	s.submit()
	w := s.watch("progress", "test.com", "--watch")
	w.await("running")
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _, code := w.end(); code != exitInterrupted {
		t.Errorf("exit code %d %q", code, w.err.String())
	}
}

func TestWatch_OnATerminal_DrawsABar(t *testing.T) {
	s := start(t)
	s.submit()
	master, slave := openTerminal(t)
	c := s.command("progress", "test.com", "--watch", "--interval", "20ms")
	c.Stdout, c.Stderr = slave, slave
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close()
	// Reading ends when the program does, so that a failing test ends, too.
	hang := time.AfterFunc(20*time.Second, func() { _ = c.Process.Kill() })
	defer hang.Stop()
	screen := &screen{t: t, r: master}
	screen.await("test.com [")
	screen.await("0/1 pages, 0.0/s, 0 failed")
	s.crawl("https://test.com/a", "https://test.com/b", "https://test.com/c")
	s.fail("gone")
	screen.await("=>")
	screen.await("2/4 pages")
	screen.await("1 failed, ") // and the time that is left
	screen.await(" left")
	s.run("pause", "test.com").want(0)
	screen.await(", paused")
	s.run("resume", "test.com").want(0)
	s.crawl()
	s.crawl()
	screen.await("test.com: completed, 4/4 pages (100.00 %), 3 crawled, 1 failed, 0 skipped\r\n")
	if code := exitCode(t, c.Wait()); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// screen reads what a terminal is sent.
type screen struct {
	t    *testing.T
	r    io.Reader
	text strings.Builder
	from int // where the next part is looked for
}

func (s *screen) await(part string) {
	s.t.Helper()
	buffer := make([]byte, 4096)
	for {
		if i := strings.Index(s.text.String()[s.from:], part); i >= 0 {
			s.from += i
			return
		}
		n, err := s.r.Read(buffer)
		s.text.Write(buffer[:n])
		if err != nil {
			s.t.Fatalf("no %q on the terminal: %v\n%q", part, err, s.text.String()[s.from:])
		}
	}
}

func TestMeter_TellsTheRateOfTheLastSeconds(t *testing.T) {
	var m meter
	at := time.Unix(0, 0)
	step := func(seconds float64, done, pending int64) (float64, time.Duration) {
		at = at.Add(time.Duration(seconds * float64(time.Second)))
		return m.add(at, progress{Total: done + pending, Pending: pending, Status: "running"})
	}
	if rate, left := step(0, 0, 10); rate != 0 || left != -1 {
		t.Errorf("at first: %v %v", rate, left)
	}
	if rate, left := step(2, 20, 100); rate != 10 || left != 10*time.Second {
		t.Errorf("then: %v %v", rate, left)
	}
	for range 20 {
		step(1, 20, 100)
	}
	if rate, left := step(1, 20, 100); rate != 0 || left != -1 {
		t.Errorf("after a standstill: %v %v", rate, left)
	}
	if rate, _ := step(1, 0, 120); rate != 0 {
		t.Errorf("after a new generation: %v", rate)
	}
	if rate, _ := step(2, 8, 120); rate != 4 {
		t.Errorf("and on: %v", rate)
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1400 * time.Millisecond: "1s", 61 * time.Second: "1m01s", 2*time.Hour + 5*time.Minute + 20*time.Second: "2h05m", 240 * time.Hour: "10d",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
