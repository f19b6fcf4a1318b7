package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"limpet/clock"
	"limpet/internal/archive"
	"limpet/internal/target"
	"limpet/internal/testredis"
)

// found is what the doctor finds as "severity code", and its exit code, by a
// clock that is ahead of the machine's.
func found(t *testing.T, c doctorCmd, ahead time.Duration) (all string, dos []string, code int) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	c.JSON, c.now = true, func() time.Time { return clock.Real().Now().Add(ahead) }
	if err = c.Run(context.Background(), terminal{out, out}); err != nil {
		var f *failure
		if !errors.As(err, &f) || f.text != "" {
			t.Fatal(err)
		}
		code = f.code
	}
	var codes []string
	for line := range strings.Lines(readFile(t, out.Name())) {
		var v struct{ Severity, Code, Do string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		codes, dos = append(codes, v.Severity+" "+v.Code), append(dos, v.Do)
	}
	slices.Sort(codes)
	return strings.Join(codes, ", "), dos, code
}

// The backups are real ones; only the clock by which the doctor looks at them
// goes on by itself.
func TestDoctor_Backups_TheirAgeAndTheirDrills(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: withLog})
	server.Do("SET", "k", "v")
	to := filepath.Join(t.TempDir(), "the backups")
	c := doctorCmd{Backups: to}
	want := func(ahead time.Duration, want string, wantCode int) {
		t.Helper()
		if have, dos, code := found(t, c, ahead); have != want || code != wantCode {
			t.Errorf("%v on: found %q with code %d, want %q with %d", ahead, have, code, want, wantCode)
		} else if want != "" && !strings.Contains(strings.Join(dos, "\n"), "'"+to+"'") {
			t.Errorf("%s: nothing to type among %q", have, dos)
		}
	}
	want(0, "critical no-backup", exitSevere)
	if _, err := os.Stat(to); err == nil {
		t.Error("looking has made the directory")
	}
	limpetCommand(t, "backup", "--dir", server.Dir(), "--to", to).want(0)
	want(0, "warning no-drill", exitMild)
	limpetCommand(t, "verify", "--from", to).want(0)
	want(0, "", 0)
	want(25*time.Hour, "", 0)
	want(27*time.Hour, "warning backup-old", exitMild)
	want(9*24*time.Hour, "info drill-old, warning backup-old", exitMild)
	execute(t, exec.Command(binary, "doctor", "--backups", to)).printed(0, "Nothing found.")

	objects, err := filepath.Glob(filepath.Join(to, "backups", "*", "*base*"))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%v: %v", objects, err)
	}
	writeFile(t, objects[0], "no base any more")
	limpetCommand(t, "verify", "--from", to).printed(exitNo, "BAD")
	want(0, "critical backup-bad, warning no-drill", exitSevere)
	entries, err := filepath.Glob(filepath.Join(to, "catalogue", "*", "backup.json"))
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v: %v", entries, err)
	}
	writeFile(t, entries[0], "{")
	want(0, "critical catalogue-unreadable", exitSevere)
	execute(t, exec.Command(binary, "doctor", "--backups", "ftp://x/y")).want(exitUsage, "s3://")
}

// An archiver that is killed, one that is stopped, one that goes on.
func TestDoctor_Archive_WhoIsGoneAndHowFarItIs(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: append(withLog, "--save", "3600 1", "--aof-load-truncated", "no")})
	server.Do("SET", "k", "v")
	to := t.TempDir()
	c := doctorCmd{Archive: to}
	want := func(ahead time.Duration, want string) {
		t.Helper()
		if have, _, _ := found(t, c, ahead); have != want {
			t.Errorf("%v on: found %q, want %q", ahead, have, want)
		}
	}
	want(0, "critical no-archive")
	archiver := func(says string) *process {
		return prepare(t, t.TempDir(), binary, "archive", "--dir", server.Dir(), "--to", to, "--interval", "50ms").start().says(says)
	}
	end := func(p *process, s syscall.Signal) {
		t.Helper()
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		<-p.exited
	}
	p := archiver("a timeline begins")
	eventually(t, "it is heard of", func() bool { have, _, code := found(t, c, 0); return have == "" && code == 0 })
	end(p, syscall.SIGTERM)
	want(30*time.Second, "")
	want(time.Hour, "warning archiver-gone")
	c.Store = fmt.Sprintf("redis://%s", server.Addr())
	if have, _, _ := found(t, c, time.Hour); !strings.Contains(have, "critical archiver-gone") {
		t.Errorf("while the server runs: found %q", have)
	}
	c.Store = ""
	end(archiver("the archive goes on"), syscall.SIGKILL)
	want(30*time.Second, "")
	want(2*time.Minute, "warning archiver-gone")
	want(time.Hour, "critical archiver-gone")
	// A target that is no longer what it was.
	leases, err := filepath.Glob(filepath.Join(to, "archive/lease/*"))
	if err != nil || len(leases) == 0 {
		t.Fatalf("%v: %v", leases, err)
	}
	writeFile(t, leases[len(leases)-1], "no lease")
	want(0, "critical catalogue-unreadable")
}

// A source that the archiver cannot read any more is behind, though the archiver
// lives. Its clock is moved on, for this takes a minute.
func TestDoctor_Archive_BehindThoughTheArchiverLives(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: withLog})
	server.Do("SET", "k", "v")
	to := t.TempDir()
	store, err := target.Open(context.Background(), to)
	if err != nil {
		t.Fatal(err)
	}
	fast := clock.NewFake(clock.Real().Now())
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = archive.New(store, archive.Options{Dir: server.Dir(), Clock: fast, Holder: "the test"}).Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		_ = store.Close()
	})
	c := doctorCmd{Archive: to}
	finds := func(what string) {
		t.Helper()
		eventually(t, what, func() bool {
			fast.Advance(time.Second)
			have, _, _ := found(t, c, 0)
			return have == what
		})
	}
	finds("")
	server.Stop()
	writeFile(t, filepath.Join(server.Dir(), "appendonlydir", "appendonly.aof.manifest"), "no manifest\n")
	finds("warning archive-behind")
	finds("critical archive-behind")
}
