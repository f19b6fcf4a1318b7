package engine

import (
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"limpet/internal/testredis"
	"limpet/rdb"
	"limpet/vfs"
)

// RDB files as no sound server leaves them, and what else may be in one.

// rdbFile makes a file of a body without a checksum.
func rdbFile(parts ...[]byte) []byte {
	return slices.Concat([]byte("REDIS0012"), slices.Concat(parts...), []byte{0xFF}, make([]byte, 8))
}

// onDisk is a disk with a dump.rdb, or the base of a log.
func onDisk(t *testing.T, file []byte, asBase bool) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	write := func(name string, b []byte) {
		f, err := mem.OpenFile(name, vfs.O_WRONLY|vfs.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dir := func(name string) {
		if err := mem.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	dir(home)
	if !asBase {
		write(home+"/dump.rdb", file)
		return mem
	}
	dir(home + "/appendonlydir")
	write(home+"/appendonlydir/appendonly.aof.1.base.rdb", file)
	write(home+"/appendonlydir/appendonly.aof.manifest", []byte("file appendonly.aof.1.base.rdb seq 1 type b\n"))
	return mem
}

// everywhere opens a file as a dump and as a base.
func everywhere(t *testing.T, file []byte, o Options, look func(e *Engine, err error)) {
	t.Helper()
	for _, asBase := range []bool{false, true} {
		o.FS, o.NoAppendOnly = onDisk(t, file, asBase), !asBase
		e, err := Open(home, o)
		look(e, err)
		if err == nil {
			_ = e.Close()
		}
	}
}

// What only the keyspace can find wrong is placed as well as what the decoder finds.
func TestOpen_WrongFile_ErrorNamesKeyAndOffset(t *testing.T) {
	str := func(s string) []byte { return append([]byte{byte(len(s))}, s...) }
	good := slices.Concat([]byte{0xFE, 3, 0}, str("k"), str("v")) // 7 bytes from 9 on
	ttlHash := slices.Concat([]byte{24}, str("h"), make([]byte, 8), []byte{1, 9}, str("f"), str("v"))
	for name, c := range map[string]struct {
		body []byte
		want string
		kind error
	}{
		"a key twice":              {slices.Concat(good, []byte{0}, str("k"), str("w")), `rdb: offset 16: db 3 key "k": the key occurs twice: damaged`, rdb.ErrCorrupt},
		"a field twice":            {slices.Concat(good, []byte{4}, str("h"), []byte{2}, str("f"), str("v"), str("f"), str("w")), `rdb: offset 16: db 3 key "h": field "f" occurs twice: damaged`, rdb.ErrCorrupt},
		"a member twice":           {slices.Concat(good, []byte{2}, str("s"), []byte{2}, str("m"), str("m")), `rdb: offset 16: db 3 key "s": member "m" occurs twice: damaged`, rdb.ErrCorrupt},
		"a hash of 7.4":            {slices.Concat(good, ttlHash), `rdb: offset 16: db 3 key "h": a hash field with a deadline of its own (Redis 7.4): not supported`, rdb.ErrUnsupported},
		"a value of a module":      {slices.Concat(good, []byte{7}, str("m"), []byte{0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0}), `rdb: offset 16: db 3 key "m": a value of the module AAAAAAAAA: not supported`, rdb.ErrUnsupported},
		"a database too many":      {[]byte{0xFE, 16, 0, 1, 'k', 1, 'v'}, `rdb: offset 11: db 16 key "k": only 16 databases are configured`, nil},
		"a string longer than all": {slices.Concat(good, []byte{0}, str("l"), []byte{0x81, 0, 0, 0, 7, 0, 0, 0, 0}), `string: string of 30064771072 bytes, more than 4294963200 are not accepted: damaged`, rdb.ErrCorrupt},
	} {
		everywhere(t, rdbFile(c.body), Options{}, func(_ *Engine, err error) {
			if err == nil || !strings.HasSuffix(err.Error(), c.want) || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("%s: %v\nwant … %s", name, err, c.want)
			}
		})
	}
}

func TestOpen_LyingSizeHints_TakeLittleMemory(t *testing.T) {
	var body []byte
	for db := range byte(16) {
		huge := []byte{0x81, 0, 0, 0, 1, 0, 0, 0, 0}
		body = slices.Concat(body, []byte{0xFE, db, 0xFB}, huge, huge, []byte{0, 1, 'k', 1, 'v'})
	}
	plain := taking(func() { everywhere(t, rdbFile(), Options{}, func(*Engine, error) {}) })
	cost := taking(func() {
		everywhere(t, rdbFile(body), Options{}, func(e *Engine, err error) {
			if err != nil || e.ks.Len() != 16 {
				t.Error(err)
			}
		})
	})
	if more := int64(cost - plain); more > 2<<20 {
		t.Errorf("%d bytes of file took %d KiB", len(body), more>>10)
	}
}

func TestOpen_EmptyCollectionsAndUnknownFacts_ArePassedOver(t *testing.T) {
	body := slices.Concat([]byte{0xFA, 4}, []byte("what"), []byte{4}, []byte("ever"),
		[]byte{0xFE, 0}, []byte{1, 1, 'e', 0}, []byte{4, 1, 'f', 0}, []byte{0, 1, 'k', 1, 'v'})
	var said strings.Builder
	everywhere(t, rdbFile(body), Options{Logger: slog.New(slog.NewTextHandler(&said, nil))}, func(e *Engine, err error) {
		if err != nil || e.ks.Len() != 1 {
			t.Fatal(err)
		}
	})
	if n := strings.Count(said.String(), "empty collections were passed over"); n != 2 || !strings.Contains(said.String(), "keys=2") {
		t.Errorf("it said:\n%s", said.String())
	}
}

// Function libraries in an RDB are kept, and are there in the next one.
func TestSave_FunctionLibraries_AreKept(t *testing.T) {
	source := "#!lua name=lib\nredis.register_function('f', function() return 7 end)"
	body := slices.Concat([]byte{0xF5, byte(0x40), byte(len(source))}, []byte(source), []byte{0xFE, 0, 0, 1, 'k', 1, 'v'})
	for _, asBase := range []bool{false, true} {
		mem := onDisk(t, rdbFile(body), asBase)
		e := start(t, mem, Options{NoAppendOnly: !asBase})
		connect(t, e).must("SAVE")
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := vfs.Open(mem, home+"/dump.rdb")
		if err != nil {
			t.Fatal(err)
		}
		d := rdb.NewDecoder(f, rdb.DecoderOptions{})
		if _, err := d.Next(); err != nil || len(d.Functions()) != 1 || string(d.Functions()[0]) != source {
			t.Errorf("as base %v: %v, functions %q", asBase, err, d.Functions())
		}
		_ = f.Close()
	}
}

// In a log, a function library is a command that is not understood here. Going on
// without it would lose it with the next rewrite.
func TestOpen_LogThatLoadsFunctions_IsRefused(t *testing.T) {
	dir := t.TempDir()
	real := testredis.Start(t, testredis.Options{Dir: dir, Args: []string{"--appendonly", "yes"}})
	real.Do("SET", "k", "v")
	real.Do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 7 end)")
	real.Stop()
	_, err := Open(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), "unknown command 'FUNCTION'") {
		t.Fatalf("%v", err)
	}
	real.Restart()
	if n := real.Do("FCALL", "f", 0); n != int64(7) {
		t.Errorf("the function answers %v", n)
	}
}
