package usage

import (
	"os"
	"path/filepath"
	"testing"

	"limpet/internal/hotcopy"
)

func TestLook_TellsWhatEachFileIsFor(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"appendonlydir/appendonly.aof.manifest":         "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\nfile appendonly.aof.2.incr.aof seq 2 type i\n",
		"appendonlydir/appendonly.aof.2.base.rdb":       "12345678",
		"appendonlydir/appendonly.aof.1.incr.aof":       "123456",
		"appendonlydir/appendonly.aof.2.incr.aof":       "1234",
		"appendonlydir/appendonly.aof.9.incr.aof":       "12",
		"appendonlydir/appendonly.aof.2.incr.aof.cut-1": "1",
		"appendonlydir/temp-appendonly.aof.manifest":    "1",
		"temp-rewriteaof-bg-7.aof":                      "1",
		"temp-7.rdb":                                    "1",
		"dump.rdb":                                      "123",
		"appendonly.aof":                                "1",
		"notes/mine.txt":                                "1",
		"elsewhere/appendonly.aof.1.incr.aof":           "1",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Look(hotcopy.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for class, want := range map[Class]int64{Base: 8, History: 6, Incr: 4, Orphan: 2, Cut: 1, Temp: 3, Dump: 3, OldLog: 1, Other: 2} {
		if got := d.Of(class); got != want {
			t.Errorf("%s: %d bytes, want %d: %v", class, got, want, d.Files)
		}
	}
	if d.Problem != "" || d.Bytes != 8+6+4+2+1+3+3+1+2+d.Of(Manifest) {
		t.Errorf("%q, %d bytes", d.Problem, d.Bytes)
	}
	if s := d.Saving(); s == nil || *s.Bytes != 4+6 || *s.After != 8 {
		t.Errorf("a rewrite would save %+v", s)
	}
	if s := d.SavingAt(5); *s.Bytes != 8+6+4-5 || *s.After != 5 {
		t.Errorf("a rewrite to 5 bytes would save %+v", s)
	}
	if err := os.WriteFile(filepath.Join(dir, "appendonlydir/appendonly.aof.manifest"), []byte("rubbish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err = Look(hotcopy.Options{Dir: dir}); err != nil || d.Problem == "" {
		t.Errorf("a manifest that cannot be read: %v, %+v", err, d)
	}
}

// Much behind a small base: the sizes do not tell.
func TestSaving_SmallBase_IsNotGuessed(t *testing.T) {
	d := &Disk{Files: []File{{"b", Base, 89}, {"i", Incr, 1 << 20}}}
	if s := d.Saving(); s == nil || s.Bytes != nil || s.How == "" {
		t.Errorf("%+v", s)
	}
	if s := (&Disk{}).Saving(); s != nil {
		t.Errorf("without a log: %+v", s)
	}
}
