package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whatever is wrong with the files, the store says what is safe and what to type,
// and what it says can be typed as it stands: into a shell, with a path that a
// shell would take apart. Behind it the store starts.
func TestStore_WillNotOpen_WhatItSaysToTypeWorks(t *testing.T) {
	const command = "*3\r\n$3\r\nSET\r\n$1\r\nz\r\n$1\r\n1\r\n"
	for _, row := range []struct {
		fault string
		spoil func(t *testing.T, dir string)
		says  string
		and   string // what is added to the line that mends
		args  []string
	}{
		{"damaged in the middle", func(t *testing.T, dir string) {
			appendTo(t, filepath.Join(dir, realIncr), "junk\r\n"+command)
		}, "is damaged at byte", "", nil},
		{"a hole", func(t *testing.T, dir string) {
			appendTo(t, filepath.Join(dir, realIncr), command[:9])
			appendTo(t, filepath.Join(dir, realManifest), "file appendonly.aof.3.incr.aof seq 3 type i\n")
			writeFile(t, filepath.Join(dir, "appendonlydir/appendonly.aof.3.incr.aof"), command)
		}, "there is a hole in the log", "", nil},
		{"torn, and it may not be cut", func(t *testing.T, dir string) {
			appendTo(t, filepath.Join(dir, realIncr), command[:9])
		}, "ends in the middle of a command", "", []string{"--aof-load-truncated", "no"}},
		{"no manifest", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, realManifest)); err != nil {
				t.Fatal(err)
			}
		}, "no manifest", "", nil},
		{"a manifest that is none", func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, realManifest), "no manifest\n")
		}, "manifest", "", nil},
		{"a file is missing", func(t *testing.T, dir string) {
			appendTo(t, filepath.Join(dir, realManifest), "file appendonly.aof.3.incr.aof seq 3 type i\n")
		}, "missing", "", nil},
		{"a base that ends early", func(t *testing.T, dir string) {
			base := readFile(t, filepath.Join(dir, realBase))
			writeFile(t, filepath.Join(dir, realBase), base[:len(base)-9])
		}, "rdb: ", " --salvage-base --keep-after-gap", nil},
	} {
		t.Run(row.fault, func(t *testing.T) {
			dir := filepath.Join(shortDir(t), "it's a store")
			if err := os.Rename(realDir(t), dir); err != nil {
				t.Fatal(err)
			}
			row.spoil(t, dir)
			before := snapshot(t, dir)
			r := execute(t, exec.Command(binary, append([]string{"store", "--dir", dir, "--store-addr", "127.0.0.1:0"}, row.args...)...))
			if r.code != exitLocal || !strings.Contains(r.err, row.says) || !strings.Contains(r.err, "Nothing has been changed.") {
				t.Fatalf("exit code %d, and %s", r.code, r.err)
			}
			delete(before, dir) // its time: a lock lies in it now
			after := snapshot(t, dir)
			for path, was := range before {
				if after[path] != was {
					t.Errorf("%s has changed", path)
				}
			}
			typedSo := func(label string) string {
				m := regexp.MustCompile(`(?m)^  ` + label + `: +limpet (.*)$`).FindStringSubmatch(r.err)
				if m == nil {
					t.Fatalf("no line begins with %s: %s", label, r.err)
				}
				return m[1]
			}
			shell := func(line string) result {
				return execute(t, exec.Command("bash", "-c", binary+" "+line))
			}
			if look := shell(typedSo("look")); look.code != exitSevere && look.code != exitMild {
				t.Errorf("looking: exit code %d: %s%s", look.code, look.out, look.err)
			}
			shell(typedSo("mend")+row.and+" --yes").printed(0, "is sound")
			prepare(t, t.TempDir(), binary, "store", "--dir", dir+".mended", "--store-addr", "127.0.0.1:0").start().says("ready for Redis clients")
		})
	}
}

func TestRepair_OneFile_AsUsersOfRedisCheckAofHaveIt(t *testing.T) {
	dir := filepath.Join(shortDir(t), "my files")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log, mended := filepath.Join(dir, "appendonly.aof"), filepath.Join(dir, "appendonly.mended.aof")
	const command = "*3\r\n$3\r\nSET\r\n$1\r\nz\r\n$1\r\n1\r\n"
	writeFile(t, log, command+"*1\r\n$5\r\nMULTI\r\n"+command)
	if err := os.Chmod(log, 0o600); err != nil {
		t.Fatal(err)
	}
	look := execute(t, exec.Command(binary, "check", log))
	look.printed(exitMild, "plan:   limpet repair --from '"+log+"' --to '"+mended+"'\n")
	plan := execute(t, exec.Command(binary, "repair", "--from", log, "--to", mended))
	plan.printed(exitNo, "kept are 1 command in bytes 0 to 27", "cut: bytes 27 to ", "do it:  limpet repair --from '"+log+"' --to '"+mended+"' --yes")
	if _, err := os.Stat(mended); err == nil {
		t.Error("written without being told to")
	}
	execute(t, exec.Command(binary, "repair", "--from", log, "--to", mended, "--yes")).printed(0, mended+" is sound: 1 command.", "are kept in "+mended+".cut-")
	execute(t, exec.Command("redis-check-aof", mended)).printed(0)
	if info, err := os.Stat(mended); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("who may read it has changed: %v %v", info.Mode(), err)
	}
	execute(t, exec.Command(binary, "repair", "--from", log, "--to", mended, "--yes")).want(exitLocal, "is there already", "Nothing has been changed.")
	execute(t, exec.Command(binary, "repair", "--from", log, "--in-place", "--yes")).printed(0, "The file as it was is in "+log+".before-repair-", log+" is sound")
	if got := readFile(t, log); got != command {
		t.Errorf("holds %q", got)
	}
	whole := realDir(t)
	appendTo(t, filepath.Join(whole, realIncr), command[:9])
	execute(t, exec.Command(binary, "repair", "--from", filepath.Join(whole, realIncr), "--to", mended+"2")).
		want(exitRefused, "it is part of a log", "Nothing has been changed.", "else:   limpet repair --from "+whole+" --to "+whole+".mended")
	execute(t, exec.Command(binary, "check", filepath.Join(whole, realIncr))).printed(exitMild, "plan:   limpet repair --from "+whole+" --to "+whole+".mended")
}
