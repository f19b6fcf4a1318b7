package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"limpet"
	"limpet/clock"
	"limpet/internal/archive"
	"limpet/internal/target"
	"limpet/internal/testredis"
)

// The manual of the archive is a session that works, with a real redis-server.
func TestManual_TheArchivesPage_CommandsWork(t *testing.T) {
	runManual(t, "../../docs/archive.md", shortDir(t))
}

// typed runs the program and gives what it prints and its exit code.
func typed(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

func wantTyped(t *testing.T, code int, text string, args ...string) string {
	t.Helper()
	out, have := typed(t, args...)
	if have != code || !strings.Contains(out, text) {
		t.Errorf("limpet %s: exit code %d, want %d, and %q in\n%s", strings.Join(args, " "), have, code, text, out)
	}
	return out
}

func TestArchive_NothingThere_EveryCommandSaysSo(t *testing.T) {
	empty := t.TempDir()
	wantTyped(t, exitNotFound, "nothing has been archived", "archive", "--status", "--to", empty)
	wantTyped(t, exitNotFound, "limpet archive --dir", "restore", "--from", empty, "--at", "now", "--dry-run")
	wantTyped(t, exitNotFound, "nothing has been archived", "history", "--from", empty)
	wantTyped(t, exitUsage, "exclude each other", "restore", "--from", empty, "--at", "now", "--before-flush", "--dry-run")
	wantTyped(t, exitUsage, "--to DIR", "restore", "--from", empty, "--at", "now")
	wantTyped(t, exitUsage, "-10m", "restore", "--from", empty, "--at", "noon", "--dry-run")
	wantTyped(t, exitUsage, "--since", "history", "--from", empty, "--since", "noon")
	wantTyped(t, exitUsage, "s3://", "archive", "--to", "ftp://x/y")
}

func TestArchive_Status_TellsTheLagAndWhoIsAtWork(t *testing.T) {
	server := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	server.Do("SET", "k", "v")
	to := t.TempDir()
	p := prepare(t, t.TempDir(), binary, "archive", "--dir", server.Dir(), "--to", to, "--interval", "50ms").start().says("a timeline begins")
	wait := func(what string, holds func(s map[string]any, code int) bool) {
		t.Helper()
		eventually(t, what, func() bool {
			out, code := typed(t, "archive", "--status", "--to", to, "--json", "--max-lag", "20s")
			var s map[string]any
			return json.Unmarshal([]byte(out), &s) == nil && holds(s, code)
		})
	}
	wait("two commands are shipped", func(s map[string]any, code int) bool {
		return code == 0 && s["success"] == true && s["commands"] == 2.0 && s["reason"] == "first"
	})
	wantTyped(t, exitNo, "behind, more than --max-lag", "archive", "--status", "--to", to, "--max-lag", "1ns")
	wantTyped(t, exitLocal, "is in use by process", "archive", "--dir", server.Dir(), "--to", to)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.out)
	}
	wantTyped(t, 0, "stopped in good order", "archive", "--status", "--to", to)
}

func TestStore_Archive_HoldsEverythingOnceTheStoreHasStopped(t *testing.T) {
	dir, to, back := shortDir(t), t.TempDir(), filepath.Join(t.TempDir(), "back")
	p := prepare(t, dir, binary, "store", "--dir", dir, "--store-addr", "127.0.0.1:0", "--archive", to, "--appendfsync", "no").
		start().says("a timeline begins")
	_, rest, _ := strings.Cut(p.out.String(), "addr=")
	addr, _, _ := strings.Cut(rest, " ")
	_, port, _ := strings.Cut(addr, ":")
	if out, err := exec.Command("redis-cli", "-p", port, "SET", "k", "v").CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "OK" {
		t.Fatalf("SET: %s %v\n%s", out, err, p.out)
	}
	if out, err := exec.Command("redis-cli", "-p", port, "SHUTDOWN").CombinedOutput(); err != nil {
		t.Fatalf("SHUTDOWN: %s %v", out, err)
	}
	<-p.exited
	// The store writes its times by itself, so the answer is the server's.
	out := wantTyped(t, 0, "SET k v", "restore", "--from", to, "--at", "now", "--to", back)
	if !strings.Contains(out, "#TS") {
		t.Errorf("printed %s", out)
	}
	again := testredis.Start(t, testredis.Options{Dir: back, Args: []string{"--appendonly", "yes"}})
	if got := again.Do("GET", "k"); got != "v" {
		t.Errorf("a real server finds %v", got)
	}
	wantTyped(t, exitLocal, "is not empty", "restore", "--from", to, "--at", "now", "--to", back)
}

func TestStore_ArchiveIsTroubled_TheStoreGoesOn(t *testing.T) {
	dir := shortDir(t)
	to := filepath.Join(shortDir(t), "file")
	if err := os.WriteFile(to, []byte("no directory"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := prepare(t, dir, binary, "store", "--dir", dir, "--store-addr", "127.0.0.1:0", "--archive", to).start()
	p.says("the archive stands still").says("ready for Redis clients")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.out)
	}
}

// A store whose history is days old, pruned by the program.
func TestPrune_OfAnArchive_KeepsWhatItWasToldTo(t *testing.T) {
	dir, to := shortDir(t), t.TempDir()
	store, err := target.Open(context.Background(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	clk := clock.NewFake(clock.Real().Now().Add(-10 * 24 * time.Hour).Truncate(time.Second))
	db, err := limpet.Open(dir, &limpet.Options{Clock: clk, Timestamps: true, Fsync: limpet.Always})
	if err != nil {
		t.Fatal(err)
	}
	do := func(args ...any) string {
		t.Helper()
		v, err := db.Do(context.Background(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return v.Text()
	}
	shipped := make(chan uint64, 1000)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- archive.New(store, archive.Options{Dir: dir, Interval: time.Millisecond, Shipped: func(s *archive.Segment) { shipped <- s.Number }}).Run(ctx)
	}()
	days := map[int]time.Time{}
	for day := range 10 {
		do("SET", "day", day)
		<-shipped
		days[day] = clk.Now()
		do("BGREWRITEAOF")
		eventually(t, "the rewrite ends", func() bool { return strings.Contains(do("INFO", "persistence"), "aof_rewrite_in_progress:0") })
		bases := func() int {
			found, _ := filepath.Glob(filepath.Join(to, "archive/data/000001/base/*"))
			return len(found)
		}
		eventually(t, "its base is shipped", func() bool { return bases() == day+2 })
		clk.Advance(24 * time.Hour)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	at := func(day int) string { return days[day].Add(time.Hour).UTC().Format(time.RFC3339) }
	wantTyped(t, exitUsage, "--keep-within", "prune", "--from", to)
	wantTyped(t, exitUsage, "30d", "prune", "--from", to, "--keep-within", "a while")
	wantTyped(t, exitNotFound, "nothing has been archived", "prune", "--from", t.TempDir(), "--keep-within", "1d")
	wantTyped(t, 0, "would delete 0 timelines, ", "prune", "--from", to, "--keep-within", "4d", "--dry-run")
	wantTyped(t, 0, "SET day 2", "restore", "--from", to, "--at", at(2), "--dry-run")
	wantTyped(t, 0, "every second since ", "prune", "--from", to, "--keep-within", "4d")
	wantTyped(t, exitNo, "it has been pruned", "restore", "--from", to, "--at", at(2), "--dry-run")
	for day := 6; day < 10; day++ {
		back := filepath.Join(t.TempDir(), "back")
		wantTyped(t, 0, "SET day "+strconv.Itoa(day), "restore", "--from", to, "--at", at(day), "--to", back)
	}
	wantTyped(t, 0, "SET day 9", "history", "--from", to, "--key", "day")
	wantTyped(t, 0, `"segments":0`, "prune", "--from", to, "--keep-within", "4d", "--json")
	// The same target may hold backups.
	limpetCommand(t, "backup", "--dir", dir, "--to", to).want(0)
	wantTyped(t, 0, "deleted 0 of 1 backups", "prune", "--from", to, "--keep-last", "1", "--keep-within", "4d")
}

func TestRestore_TheClockWentBack_ThePlanSaysSo(t *testing.T) {
	dir, to := shortDir(t), t.TempDir()
	set := func(value string, at time.Time) {
		t.Helper()
		db, err := limpet.Open(dir, &limpet.Options{Clock: clock.NewFake(at), Timestamps: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Do(context.Background(), "SET", "k", value); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	first := clock.Real().Now().Add(-time.Hour).Truncate(time.Second)
	set("first", first)
	set("turned", first.Add(-30*time.Minute))
	set("again", first)
	p := prepare(t, t.TempDir(), binary, "archive", "--dir", dir, "--to", to, "--interval", "50ms").start().says("a timeline begins")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	at := first.Add(-10 * time.Minute).UTC().Format(time.RFC3339)
	out := wantTyped(t, 0, "SET k turned", "restore", "--from", to, "--at", at, "--dry-run")
	if !strings.Contains(out, "the clock went back 30m00s at "+onClock(first)+", before command ") || !strings.Contains(out, "limpet restore --from "+to+" --before-command N") {
		t.Errorf("printed %s", out)
	}
	var r restoredTo
	if err := json.Unmarshal([]byte(wantTyped(t, 0, "", "restore", "--from", to, "--at", at, "--dry-run", "--json")), &r); err != nil || r.Turn == nil {
		t.Fatalf("%+v: %v", r, err)
	}
	wantTyped(t, 0, "SET k first", "restore", "--from", to, "--before-command", strconv.FormatUint(r.Turn.Command, 10), "--dry-run")
}

func TestParseMoment_WhatPeopleWrite(t *testing.T) {
	here := time.FixedZone("here", 2*60*60)
	now := time.Date(2026, 11, 23, 14, 3, 22, 0, here)
	for text, want := range map[string]string{
		"now":                       "2026-11-23T12:03:22Z",
		"-10m":                      "2026-11-23T11:53:22Z",
		"-1h30m":                    "2026-11-23T10:33:22Z",
		"2026-11-22T10:00:01Z":      "2026-11-22T10:00:01Z",
		"2026-11-22T10:00:01+01:00": "2026-11-22T09:00:01Z",
		"2026-11-22T10:00:01":       "2026-11-22T08:00:01Z",
		"2026-11-22 10:00:01":       "2026-11-22T08:00:01Z",
		"2026-11-22 10:00":          "2026-11-22T08:00:00Z",
		"2026-11-22":                "2026-11-21T22:00:00Z",
		"10:00:01":                  "2026-11-23T08:00:01Z",
		"10:00":                     "2026-11-23T08:00:00Z",
	} {
		at, err := parseMoment(text, now)
		if err != nil || at.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v; want %s", text, at.UTC(), err, want)
		}
	}
	for _, text := range []string{"", "noon", "-", "-ten", "--5m", "10m", "2026-13-01", "25:00"} {
		if at, err := parseMoment(text, now); err == nil {
			t.Errorf("%q is taken for %v", text, at)
		}
	}
	if got := strings.Join(joinMoments([]string{"restore", "--at", "-10m", "--from", "-x", "--", "--at", "-5m"}), " "); got != "restore --at=-10m --from -x -- --at -5m" {
		t.Errorf("joined: %s", got)
	}
}

func TestShown_CommandsAreAsRedisCliWouldTakeThem(t *testing.T) {
	got := shown([][]byte{[]byte("SET"), []byte("a key"), []byte("\x00\xff\"\\\r\n\t"), nil, []byte(strings.Repeat("x", 70))})
	want := `SET "a key" "\x00\xff\"\\\r\n\t" "" ` + strings.Repeat("x", 64) + "… (70 bytes)"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
