package hotcopy

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"limpet/aof"
	"limpet/vfs"
)

// lay makes a data directory in memory.
func lay(t *testing.T, files map[string]string) vfs.FS {
	t.Helper()
	mem := vfs.NewMem()
	for name, text := range files {
		name = filepath.Join("/d", name)
		if err := mem.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := vfs.Create(mem, name)
		if err == nil {
			_, err = io.WriteString(f, text)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return mem
}

func command(args ...string) string { return string(aof.AppendCommand(nil, args...)) }

const twoIncrs = "file appendonly.aof.1.incr.aof seq 1 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n"

// The server is in the middle of writing, at any byte.
func TestTake_LiveFileAtEveryByte_EndsAfterLastWholeUnit(t *testing.T) {
	units := []string{
		command("SELECT", "3"), command("SET", "a", "1"),
		command("MULTI") + command("SET", "b", "2") + command("SET", "c", "3") + command("EXEC"),
		"#TS:1767323045\r\n" + command("DEL", "a"),
	}
	text := strings.Join(units, "")
	defer func(was time.Duration) { settle = was }(settle)
	settle = 0
	for n := range len(text) + 1 {
		mem := lay(t, map[string]string{
			"appendonlydir/appendonly.aof.manifest":   twoIncrs,
			"appendonlydir/appendonly.aof.1.incr.aof": command("SET", "z", "0"),
			"appendonlydir/appendonly.aof.2.incr.aof": text[:n],
		})
		c, err := Take(context.Background(), Options{Dir: "/d", FS: mem})
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		want := ""
		for _, u := range units {
			if len(want)+len(u) > n {
				break
			}
			want += u
		}
		got, _ := io.ReadAll(c.Files[1].Reader())
		// An annotation before what is missing may stay.
		if strings.TrimSuffix(string(got), "#TS:1767323045\r\n") != want {
			t.Fatalf("%d bytes: copy has %q, want %q", n, got, want)
		}
		if p := c.Position; p.Offset != int64(len(got)) || p.Left != int64(n-len(got)) || p.Incr != 2 || len(want) > 0 && p.DB != 3 {
			t.Fatalf("%d bytes: %+v", n, p)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Between the two looks at the manifest, files come and go.
func TestTake_ManifestMovesMeanwhile_IsTakenAnew(t *testing.T) {
	files := map[string]string{
		"appendonlydir/appendonly.aof.manifest":   "file appendonly.aof.1.incr.aof seq 1 type i\n",
		"appendonlydir/appendonly.aof.1.incr.aof": command("SET", "a", "1"),
		"appendonlydir/appendonly.aof.2.incr.aof": command("SET", "a", "2"),
	}
	for _, removed := range []bool{false, true} {
		mem := lay(t, files)
		looks := 0
		fsys := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
			if op.Kind == vfs.OpOpen && strings.HasSuffix(op.Path, "1.incr.aof") && looks == 0 {
				looks++
				err := vfs.Replace(mem, "/d/appendonlydir/appendonly.aof.manifest", "/d/appendonlydir/temp",
					[]byte("file appendonly.aof.2.incr.aof seq 2 type i\n"))
				if removed {
					err = errors.Join(err, mem.Remove("/d/appendonlydir/appendonly.aof.1.incr.aof"))
				}
				if err != nil {
					t.Error(err)
				}
			}
			return vfs.Fault{}
		})
		c, err := Take(context.Background(), Options{Dir: "/d", FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		if c.Position.Incr != 2 || len(c.Files) != 2 || looks != 1 {
			t.Errorf("%+v", c)
		}
		_ = c.Close()
	}
}

func TestTake_WhatCouldNotBeLoaded_IsRefused(t *testing.T) {
	manifest := "appendonlydir/appendonly.aof.manifest"
	first, second := "appendonlydir/appendonly.aof.1.incr.aof", "appendonlydir/appendonly.aof.2.incr.aof"
	base := "file appendonly.aof.1.base.rdb seq 1 type b\n"
	for _, row := range []struct {
		name  string
		files map[string]string
		is    func(error) bool
	}{
		{"nothing there", map[string]string{"x": ""}, as[*NothingError]},
		{"torn before the last", map[string]string{manifest: twoIncrs, first: command("SET", "a", "1")[:9], second: ""}, as[*aof.HoleError]},
		{"damage in the last", map[string]string{manifest: twoIncrs, first: "", second: command("SET", "a", "1") + "rubbish"}, as[*aof.FormatError]},
		{"a file is missing", map[string]string{manifest: twoIncrs, first: ""}, as[*aof.MissingError]},
		{"a base of no bytes", map[string]string{manifest: base, "appendonlydir/appendonly.aof.1.base.rdb": ""}, as[*aof.FormatError]},
		{"a bad manifest", map[string]string{manifest: "file x"}, as[*aof.ManifestError]},
	} {
		_, err := Take(context.Background(), Options{Dir: "/d", FS: lay(t, row.files)})
		if !row.is(err) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func TestTake_OldSingleFile_IsTaken(t *testing.T) {
	c, err := Take(context.Background(), Options{Dir: "/d", FS: lay(t, map[string]string{"appendonly.aof": command("SET", "a", "1") + "*1"})})
	if err != nil || len(c.Files) != 1 || c.Files[0].Size != int64(len(command("SET", "a", "1"))) {
		t.Errorf("%+v, %v", c, err)
	}
}
